"""What ``apw advise`` found: where prompts start, how much they should count, what schemes cost."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, StrMethodFormatter

from figures.picture import Picture
from figures.style import (
    WIDE,
    Theme,
    draw_excess,
    draw_optimum,
    look,
    new_figure,
    success_axis,
    title,
)
from theory.dynamics import weight_function
from theory.optimal import OptimalWeight

_BINS = 24
_POINTS = 161
_LONGEST = 5.0
"""Bars that are longer end here, with an arrow beside their number."""

_BARS = {"light": "#BFBFBF", "dark": "#5A5F66"}


def advice_picture(
    best: OptimalWeight, starts: np.ndarray, excess: Mapping[str, float], group_size: int
) -> Picture:
    """Picture of an advice: prompts by success, weights in finite groups, and every scheme's cost.

    Args:
        best: The optimum for the whole set of prompts.
        starts: Success probability of each prompt below the target, in (0, target).
        excess: Excess time T·B/(T*·B*) in groups of ``group_size`` by scheme.
        group_size: M.

    Source: arXiv 2602.11128; finite groups as in ``theory.finite_group``.

    >>> from theory.optimal import optimal_weight
    >>> best = optimal_weight(0.01, 0.9)
    >>> advice_picture(best, np.array([0.01]), {"grpo": 2.29, "sqrt_r": 1.36}, 16).name
    'advice'
    """
    bars = sorted((s for s in excess if math.isfinite(excess[s])), key=excess.__getitem__)
    curves = list(dict.fromkeys([*bars[:1], *(s for s in ("grpo", "rloo") if s in bars)]))
    weights, prompts = _weights(best, curves, group_size), _prompts(best, starts)
    costs = pd.DataFrame({"scheme": bars, "excess": [excess[s] for s in bars]})
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
        draw_excess(panels["costs"], excess, theme, longest=_LONGEST)
        return figure

    return Picture(
        "advice",
        "Where the prompts start, how much they should count, and what schemes cost",
        f"Top left: share of the prompts by the success probability they start with. Bottom left: "
        f"weight of a prompt on its way to {best.target:g}, relative to one that is there; the "
        f"optimum, and schemes in groups of {group_size}. Right: cost to bring all prompts to the "
        f"target in groups of {group_size}, as a multiple of the optimum's under the same update "
        f"budget; {title(bars[0])} is the least of those compared."
        if bars
        else "No scheme that was compared reaches the target.",
        "Histogram of prompts over success probability above curves of weights; bars of cost.",
        data,
        draw,
    )


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
    axes.legend(loc="best")
