"""One problem, start to target: weights of the schemes beside the optimal one, and excess."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

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
from theory.best_tables import BestTable
from theory.designs import drift
from theory.dynamics import weight_function
from theory.optimal import OptimalWeight

_DRAWN = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")
"""Schemes whose curves are drawn where more than eight are compared."""


def problem_picture(best: OptimalWeight, schemes: Sequence[str]) -> Picture:
    """Picture of the population's optimal weight and of every scheme's excess time.

    Args:
        best: The solved problem.
        schemes: Schemes to compare.

    Raises:
        ValueError: An unknown scheme, or one without a weight.

    Source: arXiv 2602.11128.
    """
    curves = _drawn(schemes)
    success = _grid(best.start, best.target)
    weights = {name: np.asarray(weight_function(name)(success)) for name in curves}
    return _picture(
        _table(success, {**weights, "optimum": best.weight(success)}),
        best.excess_of_all(schemes),
        best.start > 0 and best.target < 1,
        f"In the limit of large groups, from a success probability of {best.start:g} to "
        f"{best.target:g} on the {best.clock.name} clock with {best.dynamics.name} dynamics: "
        "weights scaled to the same budget, and how much longer each scheme takes than the "
        "optimal weight.",
    )


def design_picture(best: BestTable, excess: Mapping[str, float], success: np.ndarray) -> Picture:
    """Picture of the weight that the best table realises under a sampling design.

    Args:
        best: The best table.
        excess: Scheme → time times energy over the best table's.
        success: Success probabilities of the curves.
    """
    size = best.group_size or 1
    weights = {
        name: drift(name, success, design=best.design, group_size=size) for name in _drawn(excess)
    }
    return _picture(
        _table(success, {**weights, "optimum": best.drift(success)}),
        excess,
        True,
        f"From a success probability of {best.start:g} to {best.target:g}, sampling "
        f"{best.design.title}{f', M = {size}' if best.group_size else ''}: expected weights of an "
        "update scaled to the same ∫ω dρ, and time times path energy over the best table's.",
    )


def _drawn(schemes: Iterable[str]) -> list[str]:
    names = list(schemes)
    return names if len(names) <= 8 else [name for name in names if name in _DRAWN]


def _picture(
    table: pd.DataFrame, excess: Mapping[str, float], inner: bool, caption: str
) -> Picture:

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, max(2.6, 0.7 + 0.17 * len(excess)))
        left, right = figure.subplots(1, 2, width_ratios=(1.15, 1))
        for name in (n for n in table["scheme"].unique() if n != "optimum"):
            part = table[table["scheme"] == name]
            left.plot(
                part["success"], part["weight"], **look(name, theme).line(), label=title(name)
            )
        part = table[table["scheme"] == "optimum"]
        draw_optimum(left, part["success"], part["weight"], theme, "optimal")
        if inner:
            success_axis(left, "logit")
        left.set_yscale("log")
        left.set_title("weight, unit budget")
        left.set_xlabel("success probability ρ")
        left.legend(loc="best")
        draw_excess(right, excess, theme)
        return figure

    return Picture(
        "problem",
        "Optimal weight and excess",
        caption,
        "Left: curves of weight over success probability. Right: bars of excess.",
        table,
        draw,
    )


def _grid(start: float, target: float, points: int = 161) -> np.ndarray:
    low, high = max(start, 1e-6), min(target, 1 - 1e-6)
    odds = np.linspace(np.log(low / (1 - low)), np.log(high / (1 - high)), points)
    return np.asarray(1 / (1 + np.exp(-odds)))


def _table(success: np.ndarray, weights: Mapping[str, np.ndarray]) -> pd.DataFrame:
    step = np.gradient(success)
    # The common scale is a picture's matter: the trapezoid rule on its own grid will do.
    return pd.concat(
        [
            pd.DataFrame(
                {"scheme": name, "success": success, "weight": w / float(np.sum(w * step))}
            )
            for name, w in weights.items()
        ],
        ignore_index=True,
    )
