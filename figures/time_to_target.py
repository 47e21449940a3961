"""Time to the target relative to one scheme: measured with intervals, and predicted by theory."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures.picture import Picture
from figures.style import WIDE, Theme, in_order, look, new_figure, optimum, title
from sim.prediction import clocks_of, time_to_target_table
from sim.rates import compared_at
from sim.summary import LEAST_UPDATES

_LEAST = math.log(1.5)
"""The axis spans at least this much, in logarithm."""

_TICKS = (0.1, 0.2, 0.3, 0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10)
_FINE_TICKS = (0.5, 0.6, 0.7, 0.8, 0.9, 1, 1.2, 1.4, 1.6, 2)


def time_to_target_picture(
    metrics: pd.DataFrame, config: Mapping[str, Any], *, reference: str = "grpo"
) -> Picture:
    """Picture of the times to the target relative to one scheme.

    Args:
        metrics: Metrics of a simulation.
        config: Its configuration.
        reference: Scheme that the others are compared with.

    Raises:
        ValueError: Success was not measured.

    Source: theory.md, sections 3 and 4.
    """
    table = time_to_target_table(metrics, config, reference=reference)
    names = in_order(table["scheme"].unique())
    counted = clocks_of(config)

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 0.9 + 0.26 * len(names))
        clocks = [clock for clock in counted if clock in set(table["clock"])]
        panels = np.atleast_1d(figure.subplots(1, len(clocks), sharey=True))
        places = {name: -i for i, name in enumerate(names)}
        for axes, clock in zip(panels, clocks, strict=True):
            part = table[table["clock"] == clock]
            _bars(axes, part, places, theme)
            axes.axvline(1, color=optimum(theme).color, linewidth=0.8)
            axes.set_title(f"counting {counted[clock]}")
            axes.set_xlabel(f"time to {config['target']:g} relative to {title(reference)}")
            axes.grid(visible=False, axis="y")
        panels[0].set_yticks(list(places.values()), [title(name) for name in places])
        if table["predicted"].notna().any():
            handle = panels[-1].plot([], [], "d", markerfacecolor="none", color="0.4")[0]
            panels[-1].legend([handle], ["theory"], loc="lower right")
        return figure

    seeds = int(table["seeds"].max())
    compared = f", all schemes at {compared_at(config)}"
    predicted = (
        "; diamonds are what the theory predicts for groups of this size"
        if table["predicted"].notna().any()
        else ""
    )
    return Picture(
        "time_to_target",
        "Time to target",
        f"Time until the mean success probability is {config['target']:g}, as a multiple of "
        f"{title(reference)}'s{compared}, on a logarithmic axis: geometric mean over {seeds} seeds "
        f"paired by prompts and draws with 95% intervals{predicted}. Left of the line is sooner.",
        "Horizontal bars of relative times that begin at 1, one per scheme, a panel per clock.",
        table,
        draw,
    )


def _bars(axes: Any, part: pd.DataFrame, places: Mapping[str, int], theme: Theme) -> None:
    """Bars from 1, to the left where a scheme is sooner; ratios stand on a logarithmic axis."""
    ink = optimum(theme).color
    reach = part[["ratio", "ratio_low", "ratio_high", "predicted"]].to_numpy(float)
    logs = np.log(reach[np.isfinite(reach) & (reach > 0)])
    left, right = float(logs.min(initial=0.0)), float(logs.max(initial=0.0))
    margin = max(0.08 * (right - left), (_LEAST - (right - left)) / 2)
    low, high = math.exp(left - margin), math.exp(right + margin)
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.set_ylim(0.5 - len(places), 0.5)
    for row in part.itertuples():
        name, place = str(row.scheme), places[str(row.scheme)]
        ratio = float(row.ratio)  # type: ignore[arg-type]
        if not math.isfinite(ratio):
            why = f"reached by {row.reached} of {row.seeds} seeds"
            why += ", some diverged" if row.diverged else ""
            axes.text(
                0.02,
                place,
                f"below {LEAST_UPDATES:g} updates" if row.too_soon else why,
                transform=axes.get_yaxis_transform(),
                va="center",
                fontsize=6.5,
            )
            continue
        axes.barh(place, ratio - 1, left=1, height=0.55, color=look(name, theme).color, alpha=0.85)
        # ∞ or 0 where some seed never arrived: the line leaves the panel.
        ends = np.clip([float(row.ratio_low), float(row.ratio_high)], low, high)  # type: ignore[arg-type]
        if ends[1] > ends[0]:
            axes.plot(ends, [place, place], color=ink, linewidth=1.2, solid_capstyle="butt")
        axes.plot(ratio, place, "|", markersize=6, color=ink)
        if math.isfinite(float(row.predicted)):  # type: ignore[arg-type]
            axes.plot(row.predicted, place, "d", markersize=4.5, markerfacecolor="none", color=ink)
        axes.text(
            1.01,
            place,
            f"{ratio:.2f}",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=6.5,
        )
    shown = [tick for tick in _ticks(high / low) if low <= tick <= high]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.minorticks_off()
    axes.tick_params(axis="y", length=0)


def _ticks(span: float) -> Sequence[float]:
    """Ticks of an axis whose ends have this ratio, few enough to be read."""
    if span < 12:
        return _FINE_TICKS if span < 4 else _TICKS
    decades = math.ceil(math.log10(span) / 5)
    return [10.0 ** (decades * power) for power in range(-9, 10)]
