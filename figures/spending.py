"""What ways to spend responses on prompts cost: choosing, sampling and weighing them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from claims.spending import BEST, SIZE, simulated_spending, spending_table
from figures.picture import Picture
from figures.style import WIDE, Theme, accent, is_narrow, new_figure

_TICKS = (0.25, 0.5, 1, 2, 4)


def spending_picture() -> Picture:
    """Picture of responses over those of all prompts alike, a panel per distribution."""
    theory, simulated = spending_table(), simulated_spending()
    table = pd.concat([theory.assign(source="theory"), simulated.assign(source="sim")])
    regimes = list(dict.fromkeys(theory["regime"]))
    ways = list(dict.fromkeys(theory["way"]))[::-1]
    ways.insert(ways.index(BEST), f"{BEST}, by counts")
    top = 1.25 * float(table.loc[np.isfinite(table["ratio"]), "ratio"].max())

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 3.9)
        panels = figure.subplots(1, len(regimes), sharey=True)
        for axes, regime in zip(panels, regimes, strict=True):
            for source, offset in (("theory", 0.15), ("sim", -0.15)):
                here = (table["source"] == source) & (table["regime"] == regime)
                _draw_ways(axes, table[here], ways, offset, top, theme)
            axes.axvline(1, color="0.5", linewidth=0.8)
            axes.set_xscale("log")
            shown = [tick for tick in _TICKS if tick < top]
            axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
            axes.minorticks_off()
            axes.set_xlim(None, top)
            target = theory.loc[theory["regime"] == regime, "target"].iloc[0]
            axes.set_title(f"{regime}\nto a mean of {target:g}")
        panels[-1 if is_narrow() else len(panels) // 2].set_xlabel(
            "responses over those of all prompts alike"
        )
        panels[0].set_yticks(range(len(ways)), ways)
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
        return figure

    best = theory[theory["way"] == BEST].set_index("regime")["ratio"]
    all_three = theory[theory["way"] == f"{BEST}, sizes and weights"].set_index("regime")["ratio"]
    found = simulated[simulated["way"] == BEST].set_index("regime")["ratio"]
    savings = " and ".join(f"{1 - best[regime]:.0%} {_on(regime)}" for regime in regimes)
    return Picture(
        "spending",
        "Choosing prompts saves most",
        "Responses until the mean success of prompts is the target, GRPO in groups of "
        f"{SIZE}, over those of all prompts alike. Theory: independent prompts, equal "
        f"path energy; the best choice saves {savings}, and the best sizes and weights besides "
        "bring that to "
        f"{' and '.join(f'{1 - all_three[regime]:.0%}' for regime in regimes)}. Simulation: a "
        "shared rule, updates of equal KL, intervals of 95 %; the best choice saves "
        f"{' and '.join(f'{1 - found[regime]:.0%}' for regime in regimes)}. There larger updates "
        "have less noise and no larger step, so that rules that draw more responses an update "
        "lose. A fixed pool may never get there.",
        "Panels of ratios on a logarithmic axis, a row per way to spend, by theory and simulation.",
        table,
        draw,
    )


def _draw_ways(
    axes: Axes, part: pd.DataFrame, ways: list[str], offset: float, top: float, theme: Theme
) -> None:
    """Marks of one source, its rows moved by an offset."""
    simulated = part["source"].iloc[0] == "sim"
    color = accent(int(simulated), theme).color
    label = "simulation" if simulated else "theory"
    for record in part.to_dict("records"):
        place = ways.index(str(record["way"])) + offset
        ratio, low, high = (float(record[name]) for name in ("ratio", "low", "high"))
        if not np.isfinite(ratio):
            axes.annotate("never", (0.97 * top, place), ha="right", va="center", fontsize=7)
            continue
        if simulated:
            axes.plot([low, high], [place, place], color=color, linewidth=1.5)
        else:
            axes.plot([1, ratio], [place, place], color=color, linewidth=0.6)
        axes.plot(
            ratio,
            place,
            color=color,
            marker="s" if simulated else "o",
            markersize=3.5,
            linestyle="",
            label=label,
        )
        label = "_"


def _on(regime: str) -> str:
    return f"on {regime}" if regime.startswith("MATH") else regime
