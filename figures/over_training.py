"""One measure along training, in as many panels as it was measured for."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.style import COLUMN, WIDE, Theme, count_axis, legend_below, looks, new_figure
from theory.clocks import CLOCKS

_CLOCKS = {
    "step": "updates",
    "responses": "responses",
    CLOCKS["responses"].metric: CLOCKS["responses"].title,
}
"""Clock → what it counts, in words."""


def measured_panels(metrics: pd.DataFrame, panels: Mapping[str, str]) -> dict[str, str]:
    """The panels whose metric was measured.

    Args:
        metrics: Metrics of a run.
        panels: Metric → panel title.

    Raises:
        ValueError: None was.
    """
    shown = {metric: words for metric, words in panels.items() if metric in set(metrics["metric"])}
    if not shown:
        raise ValueError(f"the run has none of the metrics {', '.join(panels)}")
    return shown


def draw_panels(
    table: pd.DataFrame, panels: Mapping[str, str], theme: Theme, *, share: bool, label: str
) -> tuple[Figure, list[Axes]]:
    """One panel per metric with a curve per scheme, and the legend below.

    Args:
        table: The table of :func:`training_table`.
        panels: Metric → panel title.
        theme: Light or dark.
        share: Whether panels share their vertical axis.
        label: What the vertical axis of the first panel shows.
    """
    names = [str(name) for name in table["scheme"].unique()]
    width = COLUMN if len(panels) == 1 and len(names) <= 6 else WIDE
    columns = min(len(names), 3 if width == COLUMN else 6)
    figure = new_figure(width, 2.3 + 0.17 * -(-len(names) // columns))
    axes_of = list(figure.subplots(1, len(panels), sharey=share, squeeze=False)[0])
    clock = str(table["clock"].iloc[0])
    for axes, (metric, words) in zip(axes_of, panels.items(), strict=True):
        draw_curves(axes, table[table["metric"] == metric], theme)
        axes.set_title(words)
        axes.set_xlabel(_CLOCKS.get(clock, clock))
        axes.set_xlim(left=0)
        count_axis(axes)
    axes_of[0].set_ylabel(label)
    legend_below(figure, names, columns=columns, theme=theme)
    return figure, axes_of


def draw_curves(axes: Axes, table: pd.DataFrame, theme: Theme) -> None:
    """Draw every scheme's mean and band."""
    styles = looks(table["scheme"].unique(), theme)
    for name, part in table.groupby("scheme", sort=False):
        style = styles[str(name)]
        axes.plot(part["reading"], part["mean"], **style.line())
        axes.fill_between(
            part["reading"], part["low"], part["high"], color=style.color, alpha=0.18, linewidth=0
        )
