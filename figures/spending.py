"""What ways to spend responses on prompts cost: choosing, sampling and weighing them."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from claims.spending import SIZE, spending_table
from figures.picture import Picture
from figures.style import WIDE, Theme, accent, new_figure

_TICKS = (0.25, 0.5, 1, 2, 4)


def spending_picture() -> Picture:
    """Picture of responses over those of all prompts alike, a panel per distribution."""
    table = spending_table()
    regimes = list(dict.fromkeys(table["regime"]))
    ways = list(dict.fromkeys(table["way"]))[::-1]
    top = 1.25 * float(table.loc[np.isfinite(table["ratio"]), "ratio"].max())

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 3.2)
        panels = figure.subplots(1, len(regimes), sharey=True)
        for axes, regime in zip(panels, regimes, strict=True):
            part = table[table["regime"] == regime].set_index("way").loc[ways]
            color = accent(0, theme).color
            for place, ratio in enumerate(part["ratio"]):
                if np.isfinite(ratio):
                    axes.plot([1, ratio], [place, place], color=color, linewidth=1)
                    axes.plot(ratio, place, color=color, marker="o", linestyle="")
                else:
                    axes.annotate("never", (0.97 * top, place), ha="right", va="center", fontsize=7)
            axes.axvline(1, color="0.5", linewidth=0.8)
            axes.set_xscale("log")
            shown = [tick for tick in _TICKS if tick < top]
            axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
            axes.minorticks_off()
            axes.set_xlim(None, top)
            axes.set_title(f"{regime}, to a mean of {part['target'].iloc[0]:g}")
            axes.set_xlabel("responses, 1 = all prompts alike")
        panels[0].set_yticks(range(len(ways)), ways)
        return figure

    best = table[table["way"] == "Best choice"].set_index("regime")["ratio"]
    all_three = table[table["way"] == ways[0]].set_index("regime")["ratio"]
    savings = " and ".join(f"{1 - best[regime]:.0%} {regime}" for regime in regimes)
    return Picture(
        "spending",
        "Choosing prompts saves most",
        f"Responses at equal path energy until the mean success of independent prompts with known "
        f"pass rates is the target, GRPO in groups of {SIZE}, over those of all prompts alike. The "
        f"best choice saves {savings}; the best sizes and weights besides bring that to "
        f"{' and '.join(f'{1 - all_three[regime]:.0%}' for regime in regimes)}. A fixed pool may "
        "never get there.",
        "Panels of ratios on a logarithmic axis, a row per way to spend.",
        table,
        draw,
    )
