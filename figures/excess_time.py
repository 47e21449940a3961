"""Excess time of the schemes against the success probability they start from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures.picture import Picture
from figures.style import WIDE, Theme, in_order, legend_below, look, new_figure, success_axis, title
from theory.optimal import optimal_weight

SCHEMES = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")


def excess_time_table(
    schemes: Sequence[str] = SCHEMES,
    *,
    target: float = 0.9,
    group_size: int = 16,
    points: int = 33,
) -> pd.DataFrame:
    """Budget-normalised excess times over the success probability at the start.

    Args:
        schemes: Names of schemes.
        target: Success probability to reach.
        group_size: M of the finite-group times.
        points: Number of starts, from 0.001 to 0.5, evenly spaced in their logarithm.

    Returns:
        Columns clock, group_size (empty for the population limit), start, target, scheme, excess.

    Raises:
        ValueError: An unknown scheme, or one without a weight.

    Source: arXiv 2602.11128; theory.md, sections 3 and 4.

    >>> table = excess_time_table(["sqrt_r"], points=2)
    >>> table.query("clock == 'responses' and group_size.isna()")["excess"].round(6).tolist()
    [1.0, 1.0]
    """
    schemes = in_order(schemes)
    rows = []
    for start in np.geomspace(0.001, 0.5, points):
        for clock, size in (("responses", None), ("responses", group_size), ("updates", None)):
            excess = optimal_weight(start, target, clock=clock).excess_of_all(
                schemes, group_size=size, hypothetical=True
            )
            rows += [(clock, size, start, target, name, excess[name]) for name in schemes]
    columns = ["clock", "group_size", "start", "target", "scheme", "excess"]
    return pd.DataFrame(rows, columns=columns).astype({"group_size": "Int64"})


def excess_time_picture(
    schemes: Sequence[str] = SCHEMES, *, target: float = 0.9, group_size: int = 16
) -> Picture:
    """Picture of excess times.

    Args:
        schemes: Names of schemes.
        target: Success probability to reach.
        group_size: M of the finite-group panel.

    Raises:
        ValueError: An unknown scheme, or one without a weight.

    Source: arXiv 2602.11128; theory.md, sections 3 and 4.
    """
    table = excess_time_table(schemes, target=target, group_size=group_size)

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 2.7)
        panels = figure.subplots(1, 3, sharey=True)
        finite = table["group_size"].notna()
        responses = table["clock"] == "responses"
        titles = (
            "responses counted, M → ∞",
            f"responses counted, M = {group_size}",
            "updates counted, M → ∞",
        )
        parts = (table[responses & ~finite], table[responses & finite], table[~responses])
        for axes, heading, part in zip(panels, titles, parts, strict=True):
            for name, curve in part.groupby("scheme", sort=False):
                axes.plot(curve["start"], curve["excess"], **look(str(name), theme).line())
            axes.set_title(heading)
            success_axis(axes)
            axes.set_xlabel("success probability at the start ρ₀")
        panels[0].set_yscale("log")
        panels[0].set_ylim(0.93, 20)
        panels[0].set_yticks([1, 2, 5, 10, 20], ["1", "2", "5", "10", "20"])
        for axes in panels:
            axes.minorticks_off()
        panels[0].set_ylabel(f"time to {target:g}, 1 = optimal")
        names = [str(name) for name in table["scheme"].unique()]
        legend_below(figure, names, columns=len(names), theme=theme)
        return figure

    best = optimal_weight(0.01, target)
    finite = best.excess("grpo", group_size, hypothetical=True)
    rich = optimal_weight(0.4, target)
    caption = (
        f"Time to reach a success probability of {target:g} as a multiple of the optimum with the "
        "same update budget. Where responses are what costs, the symmetric schemes fall behind as "
        f"successes get rare: from 1%, {title('grpo')} takes {best.excess('grpo'):.2f} times the "
        f"optimal time in the limit of large groups and {finite:.2f} "
        f"times in groups of {group_size}. From 40% it takes {rich.excess('grpo'):.2f} times: "
        f"little is left to win. Where updates are what costs, {title('grpo')} is the optimum."
    )
    return Picture(
        "excess_time",
        "Excess time",
        caption,
        "Three panels of excess time over the starting success probability, one curve per scheme.",
        table,
        draw,
    )
