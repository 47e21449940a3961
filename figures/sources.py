"""Time to the target by theory, simulation and language model, on one axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from claims.across_sources import (
    GROUP_SIZE,
    LANGUAGE_MODEL,
    SCHEMES,
    SERIES,
    SETTINGS,
    SIMULATIONS,
    THEORIES,
    foretold,
    sources_table,
)
from claims.verdicts import Finding
from figures.picture import Picture
from figures.style import WIDE, Theme, accent, in_order, new_figure, optimum, title
from runs.text import number


def sources_picture(
    findings: Mapping[str, Finding] | None = None,
    outcomes: Mapping[str, pd.DataFrame] | None = None,
) -> Picture:
    """Picture of the times relative to GRPO's, one panel per setting.

    Args:
        findings: Claim → finding of the simulator.
        outcomes: Setting of the language model → its outcomes.

    Source: theory.md, section 4.
    """
    table = sources_table(findings, outcomes)
    shown = [series for series in SERIES if series in set(table["series"])]
    schemes = in_order(SCHEMES)

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 1.05 + 0.62 * len(schemes))
        panels = figure.subplots(1, len(SETTINGS), sharey=True)
        for axes, (setting, (_, start, _)) in zip(panels, SETTINGS.items(), strict=True):
            part = table[table["setting"] == setting]
            for place, series in enumerate(shown):
                offset = 0.66 * (place / max(1, len(shown) - 1) - 0.5)
                _draw_series(axes, part[part["series"] == series], schemes, offset, series, theme)
            axes.axvline(1, color=optimum(theme).color, linewidth=0.8)
            axes.set_xscale("log")
            low, high = table["low"].min() / 1.1, table["high"].max() * 1.1
            axes.set_xlim(low, high)
            ticks = [t for t in (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 10) if low < t < high]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.minorticks_off()
            axes.set_title(f"{setting}, ρ₀ = {start:g}")
            axes.set_xlabel("responses to the target over GRPO’s")
            axes.grid(visible=False, axis="y")
            for edge in range(1, len(schemes)):
                axes.axhline(0.5 - edge, linewidth=0.4, color="0.6")
        panels[0].set_ylim(0.5 - len(schemes), 0.5)
        panels[0].set_yticks([-i for i in range(len(schemes))], [title(s) for s in schemes])
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(3, len(labels)))
        return figure

    return Picture(
        "time_to_target_sources",
        "Time to target: theory, simulation, language model",
        _caption(table),
        "Two panels, from scratch and after fine-tuning: one row per scheme, one mark per source, "
        "on an axis of responses relative to GRPO's.",
        table,
        draw,
    )


def _draw_series(
    axes: Axes, part: pd.DataFrame, schemes: Sequence[str], offset: float, series: str, theme: Theme
) -> None:
    number = SERIES.index(series)
    color, marker = accent(number, theme).color, "Ddosv^"[number]
    places = [-schemes.index(str(scheme)) - offset for scheme in part["scheme"]]
    axes.hlines(places, part["low"], part["high"], color=color, linewidth=1.4)
    axes.plot(
        part["ratio"],
        places,
        linestyle="",
        marker=marker,
        color=color,
        markersize=4.5,
        markerfacecolor=axes.get_facecolor() if series in THEORIES else color,
        label=series,
    )


def _caption(table: pd.DataFrame) -> str:
    series = set(table["series"])
    words = [
        "Responses until the success probability is at the target, as a multiple of GRPO's; left "
        f"of the line is fewer. The theory, exact for one prompt and groups of {GROUP_SIZE}, is of "
        "two sampling designs and takes responses times path energy, in which no scheme's scale "
        "counts."
    ]
    if {*SIMULATIONS.values(), LANGUAGE_MODEL} & series:
        words.append("Measured schemes draw fixed groups, each at its own best learning rate.")
    seeds = table.loc[table["seeds"] > 0, "seeds"]
    words.append(
        f"Measured marks are geometric means over paired seeds ({seeds.min()} or more) with 95% "
        "intervals."
        if len(seeds)
        else "No simulation or language model has been run."
    )
    words += _foretold(table)
    return " ".join(words)


def _foretold(table: pd.DataFrame) -> list[str]:
    """A sentence on how well the cheap arm foretells the dear one."""
    numbers = [
        f"{number(found.correlation, 2)} for {found.series.removeprefix('simulation, ')} (missed "
        f"most, by a factor of {found.miss:.2f}, in {title(found.scheme)} {found.setting})"
        for found in foretold(table)
        if found.pairs > 2
    ]
    return [
        "Over schemes and settings the rank correlation of a simulation's ratios with the language "
        f"model's is {', '.join(numbers)}."
    ] * bool(numbers)
