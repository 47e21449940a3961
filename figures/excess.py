"""Excess of the schemes by sampling design and by the success probability they start from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from claims.excess import DRAWN, SCHEMES, design_words, excess_table
from figures.picture import Picture
from figures.style import WIDE, Theme, legend_below, look, new_figure, success_axis, title
from theory.schemes import in_order

_TICKS = (1, 1.2, 1.5, 2, 3, 5, 10, 20)


def excess_picture(
    schemes: Sequence[str] = SCHEMES, *, target: float = 0.9, group_size: int = 16, points: int = 17
) -> Picture:
    """Picture of excess, a panel per design.

    Args:
        schemes: Schemes with tables.
        target: Success probability to reach.
        group_size: M.
        points: Number of starts, from 0.001 to 0.5, evenly spaced in their logarithm.

    Raises:
        ValueError: An unknown scheme, or one without a table.
    """
    starts = [float(start) for start in np.geomspace(0.001, 0.5, points)]
    every = excess_table([*schemes, "grpo"], starts=starts, target=target, group_size=group_size)
    table = every[every["scheme"].isin(in_order(schemes))].reset_index(drop=True)

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 2.7)
        panels = figure.subplots(1, len(DRAWN))
        for axes, design in zip(panels, DRAWN, strict=True):
            part = table[table["design"] == design]
            for name, curve in part.groupby("scheme", sort=False):
                axes.plot(curve["start"], curve["excess"], **look(str(name), theme).line())
            axes.set_title(design_words(design, group_size))
            success_axis(axes)
            axes.set_xlabel("success probability at the start ρ₀")
            axes.set_yscale("log")
            # Where groups are sampled, one scale shows how little schemes differ.
            kind = (table["design"] == "population") == (design == "population")
            axes.set_ylim(1, max(2, 1.1 * float(table.loc[kind, "excess"].max())))
            shown = [tick for tick in _TICKS if tick <= axes.get_ylim()[1]]
            axes.set_yticks(shown, map(str, shown))
            axes.minorticks_off()
        panels[0].set_ylabel("excess, 1 = optimal")
        names = [str(name) for name in table["scheme"].unique()]
        legend_below(figure, names, columns=len(names), theme=theme)
        return figure

    grpo = every[every["scheme"] == "grpo"].groupby("design")["excess"].max()
    return Picture(
        "excess",
        "Excess by sampling design",
        f"What a prompt takes to get to a success probability of {target:g}. Left and middle: time "
        "and noise (path energy) together, over the best table of advantages for groups of "
        f"{group_size}; right: time over the optimal weight's in the limit of large groups on the "
        f"clock 1/ρ, which no way of sampling has. {title('grpo')} loses {grpo['fixed'] - 1:.0%} "
        f"at most with groups as they come, {grpo['until_mixed'] - 1:.0%} with mixed groups, and "
        f"a factor of {grpo['population']:.2g} in that limit.",
        "Three panels of excess over the starting success probability, one curve per scheme.",
        table,
        draw,
    )
