"""One problem, start to target on one clock: weights of the schemes beside the optimal one."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures.picture import Picture
from figures.style import WIDE, Theme, look, new_figure, optimum, success_axis, title
from theory.dynamics import weight_function
from theory.optimal import OptimalWeight
from theory.schemes import resolve

_DRAWN = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")
"""Schemes whose curves are drawn where more than eight are compared."""


def problem_picture(
    best: OptimalWeight, schemes: Sequence[str], *, group_size: int | None = None
) -> Picture:
    """Picture of a problem's optimal weight and of every scheme's excess time.

    Args:
        best: The solved problem.
        schemes: Schemes to compare.
        group_size: M, to show finite groups as well.

    Raises:
        ValueError: An unknown scheme, or one without a weight.

    Source: arXiv 2602.11128.
    """
    curves = list(schemes) if len(schemes) <= 8 else [s for s in schemes if s in _DRAWN]
    table = _table(best, curves)
    tabled = [name for name in schemes if resolve(name).has_table]
    limit = best.excess_of_all(schemes)
    finite = best.excess_of_all(tabled, group_size) if group_size is not None else {}
    bars = sorted((s for s in schemes if math.isfinite(limit[s])), key=limit.__getitem__)

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, max(2.6, 0.7 + 0.17 * len(bars)))
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        for name in curves:
            part = table[table["scheme"] == name]
            left.plot(
                part["success"], part["weight"], **look(name, theme).line(), label=title(name)
            )
        part = table[table["scheme"] == "optimum"]
        left.plot(
            part["success"],
            part["weight"],
            color=optimum(theme).color,
            linewidth=3.5,
            alpha=0.25,
            label="optimal",
            zorder=1,
        )
        if best.start > 0 and best.target < 1:
            success_axis(left, "logit")
        left.set_yscale("log")
        left.set_title("weight, unit budget")
        left.set_xlabel("success probability ρ")
        left.legend(loc="best")
        places = np.arange(len(bars))[::-1]
        right.barh(
            places,
            [limit[s] for s in bars],
            height=0.62,
            color=[look(s, theme).color for s in bars],
            label="M → ∞",
        )
        shown = [(p, finite[s]) for p, s in zip(places, bars, strict=True) if s in finite]
        if shown:
            right.plot(
                [x for _, x in shown],
                [p for p, _ in shown],
                "|",
                markersize=9,
                markeredgewidth=1.6,
                color=optimum(theme).color,
                label=f"M = {group_size}",
            )
            right.legend(loc="upper right")
        for place, name in zip(places, bars, strict=True):
            edge = max(limit[name], finite.get(name, 0.0))
            numbers = f"  {limit[name]:.2f}"
            if name in finite:
                numbers += f" → {finite[name]:.2f}"
            right.text(edge, place, numbers, va="center", fontsize=6.5)
        right.axvline(1, color=optimum(theme).color, linewidth=0.8)
        right.set_yticks(places, [title(s) for s in bars])
        right.set_title("excess time, 1 = optimal")
        right.set_xlim(0, 1.28 * max([*(limit[s] for s in bars), *finite.values()], default=1))
        right.grid(visible=False, axis="y")
        return figure

    return Picture(
        "problem",
        "Optimal weight and excess times",
        f"From a success probability of {best.start:g} to {best.target:g} on the {best.clock.name} "
        f"clock with {best.dynamics.name} dynamics: weights scaled to the same budget, and how "
        "much longer each scheme takes than the optimal weight.",
        "Left: curves of weight over success probability. Right: bars of excess time.",
        table,
        draw,
    )


def _table(best: OptimalWeight, schemes: Sequence[str], *, points: int = 161) -> pd.DataFrame:
    low, high = max(best.start, 1e-6), min(best.target, 1 - 1e-6)
    odds = np.linspace(np.log(low / (1 - low)), np.log(high / (1 - high)), points)
    success = 1 / (1 + np.exp(-odds))
    step = np.gradient(success)

    def scaled(weight: np.ndarray) -> np.ndarray:
        # The common scale is a picture's matter: the trapezoid rule on its own grid will do.
        return weight / float(np.sum(weight * step))

    columns = {name: np.asarray(weight_function(name)(success)) for name in schemes}
    columns["optimum"] = best.weight(success)
    return pd.concat(
        [
            pd.DataFrame({"scheme": name, "success": success, "weight": scaled(weight)})
            for name, weight in columns.items()
        ],
        ignore_index=True,
    )
