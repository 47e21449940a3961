"""Share of all-wrong groups over training: what schemes that skip them cannot learn from."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from claims.curves import band_in_words, smoothing_in_words, training_table, with_difference
from figures.over_training import draw_panels, measured_panels
from figures.picture import Picture
from figures.style import Theme, in_order, title

PANELS = {
    "all_wrong": "training prompts",
    "held_out/all_wrong": "held-out prompts",
    "groups_all_wrong": "sampled groups",
}
"""Metric → panel title; the simulator computes the share exactly, a language model's is counted."""


def negative_groups_picture(metrics: pd.DataFrame, *, clock: str = "step") -> Picture:
    """Picture of the share of groups without a correct response.

    Args:
        metrics: Metrics of a simulation or a training.
        clock: ``step`` or a metric that counts, such as ``responses``.

    Raises:
        ValueError: The share was not measured.

    Source: arXiv 2510.08696, whose measure it is.
    """
    panels = measured_panels(metrics, PANELS)
    first, words = next(iter(panels.items()))
    metrics, difference = with_difference(metrics, first)
    if difference is not None:
        panels = {first: words, difference: f"{words}, minus GRPO", **panels}
    table = training_table(metrics, panels, clock=clock)

    def draw(theme: Theme) -> Figure:
        figure, axes_of = draw_panels(
            table, panels, theme, share=False, label="share of all-wrong groups"
        )
        top = float(table.loc[table["metric"] != difference, "high"].max())
        for axes, metric in zip(axes_of, panels, strict=True):
            if metric != difference:
                axes.set_ylim(0, min(1.02, 1.1 * top))
            axes.yaxis.set_major_formatter(
                lambda share, _: f"{round(100 * share, 6):g}%".replace("-", "−")
            )
        return figure

    main = table[table["metric"] == first]
    start = float(main.groupby("scheme")["mean"].first().mean())
    ends = main.groupby("scheme")["mean"].last()
    listed = ", ".join(f"{title(name)} {ends[name]:.0%}" for name in in_order(ends.index))
    return Picture(
        "negative_groups",
        "All-wrong groups",
        "Share of groups in which no response is correct, over training: at the start "
        f"{start:.0%}, at the end {listed} ({words}). GRPO learns nothing from these "
        f"groups. Mean over seeds, {band_in_words(int(table['seeds'].max()))}"
        f"{smoothing_in_words(metrics)}.",
        f"{len(panels)} panels of mostly falling curves, one per scheme.",
        table,
        draw,
    )
