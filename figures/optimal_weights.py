"""Optimal weights over clocks and over ranges of the success probability."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures.picture import Picture
from figures.style import WIDE, Theme, accent, new_figure, success_axis
from theory.optimal import optimal_weight

CLOCKS = {
    "updates": "updates (= GRPO)",
    "affine:update=1,response=0.1": "update + 0.1 response",
    "responses": "responses (= Sqrt-R)",
}
"""Clock → what it counts, in words."""

STARTS = (0.001, 0.01, 0.1, 0.4)


def optimal_weights_table(
    *, target: float = 0.9, starts: Sequence[float] = STARTS, points: int = 121
) -> pd.DataFrame:
    """Optimal weights ω* of several clocks, and of several ranges for responses.

    Args:
        target: Success probability to reach.
        starts: Success probabilities at the start; the first is that of the clocks' comparison.
        points: Number of success probabilities.

    Returns:
        Columns clock, start, target, success, weight (for a unit budget from start to target) and
        relative (the weight divided by that at ρ = 1/2).

    Raises:
        ValueError: Probabilities outside [0, 1].

    Source: arXiv 2602.11128, optimal weights; theory.md, section 3.

    >>> table = optimal_weights_table(starts=[0.1], points=3)
    >>> sorted(table["clock"].unique())[0]
    'affine:update=1,response=0.1'
    """
    problems = [(clock, starts[0]) for clock in CLOCKS]
    problems += [("responses", start) for start in starts[1:]]
    tables = []
    for clock, start in problems:
        best = optimal_weight(start, target, clock=clock)
        odds = np.linspace(np.log(start / (1 - start)), np.log(target / (1 - target)), points)
        success = 1 / (1 + np.exp(-odds))
        weight = best.weight(success)
        tables.append(
            pd.DataFrame(
                {
                    "clock": clock,
                    "start": start,
                    "target": target,
                    "success": success,
                    "weight": weight,
                    "relative": weight / best.weight(0.5),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def optimal_weights_picture(*, target: float = 0.9, starts: Sequence[float] = STARTS) -> Picture:
    """Picture of optimal weights over clocks and ranges.

    Args:
        target: Success probability to reach.
        starts: Success probabilities at the start.

    Raises:
        ValueError: Probabilities outside [0, 1].

    Source: arXiv 2602.11128.
    """
    table = optimal_weights_table(target=target, starts=starts)

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 2.6)
        left, right = figure.subplots(1, 2)
        clocks = table[table["start"] == starts[0]].groupby("clock", sort=False)
        for number, (clock, part) in enumerate(clocks):
            left.plot(
                part["success"],
                part["relative"],
                **accent(number, theme).line(),
                label=CLOCKS[str(clock)],
            )
        ranges = table[table["clock"] == "responses"].groupby("start", sort=True)
        for number, (start, part) in enumerate(ranges):
            right.plot(
                part["success"],
                part["weight"],
                **accent(number, theme).line(),
                label=f"from ρ₀ = {start:g}",
            )
        left.set_title("what is counted decides the shape")
        left.set_ylabel("optimal weight ω*(ρ) / ω*(½)")
        right.set_title(f"the range decides the scale (responses, to {target:g})")
        right.set_ylabel("optimal weight ω*(ρ), unit budget")
        for axes in (left, right):
            success_axis(axes)
            axes.set_yscale("log")
            axes.set_xlabel("success probability ρ")
            axes.legend(loc="upper right")
        return figure

    return Picture(
        "optimal_weights",
        "Optimal weights in the limit of large groups",
        "The weight that reaches the target soonest at a given ∫ω dρ, by the population's theorem. "
        "Counting updates gives GRPO's weight, counting responses Sqrt-R's if every update waits "
        "for one that is correct, which no way of sampling groups does; a clock that charges for "
        "both lies between them. The rarer a success at the start, the more of the budget goes to "
        "the hardest prompts.",
        "Two panels of falling curves of optimal weight over success probability, logarithmic: "
        "one curve per clock on the left, one per starting point on the right.",
        table,
        draw,
    )
