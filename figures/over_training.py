"""One measure along training, in as many panels as it was measured for."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.curves import curves_table, draw_curves
from figures.style import COLUMN, WIDE, Theme, legend_below, new_figure
from theory.clocks import CLOCKS

SMOOTHING = 10
"""Steps over which metrics of single batches are averaged."""

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


def training_table(
    metrics: pd.DataFrame, panels: Mapping[str, str], *, clock: str = "step"
) -> pd.DataFrame:
    """Curves of several metrics; those of language models' batches are trailing means.

    Args:
        metrics: Metrics of a run.
        panels: Metrics, as keys.
        clock: ``step`` or a metric that counts.

    Returns:
        The columns of ``curves_table``.

    Raises:
        ValueError: A metric or clock that was not measured.
    """
    sampled = set(metrics["source"]) == {"llm"}
    tables = [
        curves_table(smooth(metrics, metric) if sampled else metrics, metric, clock=clock)
        for metric in panels
    ]
    return pd.concat(tables, ignore_index=True)


def with_difference(
    metrics: pd.DataFrame, metric: str, *, reference: str = "grpo"
) -> tuple[pd.DataFrame, str | None]:
    """Add a metric's difference from a reference scheme's, seed by seed and step by step.

    Returns:
        The metrics, and the name of what was added: none if the reference was not run, or alone.
    """
    chosen = metrics[metrics["metric"] == metric]
    base = chosen.loc[chosen["scheme"] == reference, ["seed", "step", "value"]]
    paired = chosen.merge(base, on=["seed", "step"], suffixes=("", "_reference"))
    if not set(paired["scheme"]) - {reference}:
        return metrics, None
    name = f"{metric} − {reference}"
    paired["value"] = paired["value"] - paired.pop("value_reference")
    paired["metric"] = name
    return pd.concat([metrics, paired], ignore_index=True), name


def smooth(metrics: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Replace a metric by its trailing mean over ``SMOOTHING`` measurements, run by run."""
    chosen = metrics["metric"] == metric
    means = metrics[chosen].sort_values("step").copy()
    means["value"] = means.groupby(["scheme", "seed"])["value"].transform(
        lambda values: values.rolling(SMOOTHING, min_periods=1).mean()
    )
    return pd.concat([metrics[~chosen], means], ignore_index=True)


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
    axes_of[0].set_ylabel(label)
    legend_below(figure, names, columns=columns, theme=theme)
    return figure, axes_of


def smoothing_in_words(metrics: pd.DataFrame) -> str:
    """What was averaged, if anything, to end a caption with."""
    if set(metrics["source"]) != {"llm"}:
        return ""
    return f"; averages over the last {SMOOTHING} batches"
