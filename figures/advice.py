"""What ``apw advise`` found: where prompts start, how much they should count, what schemes cost."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from figures.picture import Picture
from figures.style import (
    COLUMN,
    WIDE,
    Theme,
    draw_excess,
    draw_optimum,
    look,
    new_figure,
    success_axis,
    title,
)
from theory.advice import Advice
from theory.dynamics import weight_function
from theory.optimal import OptimalWeight

_BINS = 24
_POINTS = 161
_LONGEST = 5.0
"""Bars that are longer end here, with an arrow beside their number."""

_BARS = {"light": "#BFBFBF", "dark": "#5A5F66"}


def advice_picture(advice: Advice) -> Picture:
    """Picture of an advice: prompts by success, weights in finite groups, and every scheme's cost.

    Args:
        advice: What was advised.

    Source: ``theory.advice``; finite groups as in ``theory.finite_group``.

    >>> from theory.advice import advise
    >>> advice_picture(advise(0.01, schemes=["grpo", "sqrt_r"])).name
    'advice'
    """
    best, group_size, costs = advice.best, advice.group_size, _costs(advice)
    bars = list(costs["scheme"])
    curves = list(dict.fromkeys([*bars[:1], advice.present, *(s for s in ("rloo",) if s in bars)]))
    below = advice.prompts.success[advice.prompts.success < advice.target]
    weights, prompts = _weights(best, curves, group_size), _prompts(best, below)
    data = pd.concat(
        [
            prompts.assign(panel="prompts"),
            weights.assign(panel="weights"),
            costs.assign(panel="costs"),
        ],
        ignore_index=True,
    )

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, max(3.1, 0.9 + 0.17 * len(bars)))
        panels = figure.subplot_mosaic(
            [["prompts", "costs"], ["weights", "costs"]],
            height_ratios=(1, 2.1),
            width_ratios=(1.15, 1),
        )
        _draw_prompts(panels["prompts"], prompts, best, theme)
        _draw_weights(panels["weights"], weights, best, theme)
        _draw_costs(panels["costs"], costs, theme)
        return figure

    return Picture(
        "advice",
        "Where the prompts start, how much they should count, and what schemes cost",
        f"Top left: share of the prompts in reach by the success probability they start with. "
        f"Bottom left: weight of a prompt on its way to {best.target:g}, relative to one that is "
        f"there; the optimum for large groups, and schemes in groups of {group_size}. Right: time "
        f"times path energy to the target in groups of {group_size}, over the least of those "
        f"compared, that of {title(bars[0])}; {title(advice.present)} is in use.",
        "Histogram of prompts over success probability above curves of weights; bars of cost.",
        data,
        draw,
    )


def cost_picture(advice: Advice) -> Picture:
    """Every scheme's cost over the least, as wide as a column.

    Args:
        advice: What was advised.
    """
    costs = _costs(advice)

    def draw(theme: Theme) -> Figure:
        figure = new_figure(COLUMN, 0.9 + 0.17 * len(costs))
        _draw_costs(figure.subplots(), costs, theme)
        return figure

    return Picture(
        "costs",
        "What schemes cost",
        f"Time times path energy to the target in groups of {advice.group_size}, over the least of "
        f"those compared, that of {title(costs['scheme'][0])}; {title(advice.present)} is in use.",
        "Bars of cost, one for each scheme.",
        costs,
        draw,
    )


def _costs(advice: Advice) -> pd.DataFrame:
    """What schemes that get to the target cost, in the order of the advice."""
    arrive = {name: cost for name, cost in advice.cost.items() if math.isfinite(cost)}
    return pd.DataFrame({"scheme": list(arrive), "cost": list(arrive.values())})


def _prompts(best: OptimalWeight, starts: np.ndarray) -> pd.DataFrame:
    """Share of the prompts in bins of equal width in log-odds, from the lowest to the target."""
    low, high = _log_odds(min(best.start, float(starts.min()))), _log_odds(best.target)
    edges = np.linspace(low, high, _BINS + 1)
    counts, _ = np.histogram(np.clip(_log_odds(starts), low, high), edges)
    ends = 1 / (1 + np.exp(-edges))
    return pd.DataFrame({"low": ends[:-1], "high": ends[1:], "share": counts / starts.size})


def _weights(best: OptimalWeight, schemes: list[str], size: int) -> pd.DataFrame:
    odds = np.linspace(_log_odds(best.start), _log_odds(best.target), _POINTS)
    success = 1 / (1 + np.exp(-odds))
    success[0], success[-1] = best.start, best.target
    columns = {
        name: np.asarray(weight_function(name, group_size=size)(success)) for name in schemes
    }
    columns["optimum"] = best.weight(success)
    tables = [
        pd.DataFrame({"scheme": name, "success": success, "weight": weight / weight[-1]})
        for name, weight in columns.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _log_odds(success: np.ndarray | float) -> np.ndarray:
    value = np.asarray(success, dtype=np.float64)
    return np.log(value) - np.log1p(-value)


def _draw_costs(axes: Axes, costs: pd.DataFrame, theme: Theme) -> None:
    over = dict(zip(costs["scheme"], costs["cost"] / costs["cost"].min(), strict=True))
    draw_excess(axes, over, theme, longest=_LONGEST)
    axes.set_title("cost, 1 = the least")


def _draw_prompts(axes: Axes, prompts: pd.DataFrame, best: OptimalWeight, theme: Theme) -> None:
    axes.bar(
        prompts["low"],
        prompts["share"],
        prompts["high"] - prompts["low"],
        align="edge",
        color=_BARS[theme],
        linewidth=0,
    )
    axes.set_xlim(prompts["low"].iloc[0], best.target)
    success_axis(axes, "logit")
    axes.tick_params(axis="x", labelbottom=False)
    axes.set_title("share of the prompts")


def _draw_weights(axes: Axes, weights: pd.DataFrame, best: OptimalWeight, theme: Theme) -> None:
    for name in dict.fromkeys(weights["scheme"]):
        part = weights[weights["scheme"] == name]
        if name == "optimum":
            draw_optimum(axes, part["success"], part["weight"], theme, "optimal")
        else:
            axes.plot(
                part["success"], part["weight"], **look(name, theme).line(), label=title(name)
            )
    axes.set_xlim(weights["success"].min(), best.target)
    success_axis(axes, "logit")
    axes.set_yscale("log")
    for axis_format in (axes.yaxis.set_major_formatter, axes.yaxis.set_minor_formatter):
        axis_format(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(LogLocator(subs=(2, 5)))
    axes.set_title("weight, 1 at the target")
    axes.set_xlabel("success probability ρ")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), ncols=2)
