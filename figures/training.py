"""Training of language models: success, reward and the share of groups that are all wrong."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from claims.curves import band_in_words, smoothing_in_words, training_table
from figures.over_training import draw_panels, measured_panels
from figures.picture import Picture
from figures.style import Theme, probability_axis, title

PANELS = {
    "success": "success on held-out prompts",
    "reward": "mean reward of the responses",
    "groups_all_wrong": "share of all-wrong groups",
}
"""Metric → panel title; a metric that a run lacks leaves its panel out."""


def training_picture(metrics: pd.DataFrame, *, clock: str = "step") -> Picture:
    """Picture of a training run.

    Args:
        metrics: Metrics of a training run.
        clock: ``step`` or a metric that counts, such as ``responses``.

    Raises:
        ValueError: None of the panels' metrics was measured.

    Source: the measures of arXiv 2602.11128 and 2510.08696.
    """
    panels = measured_panels(metrics, PANELS)
    table = training_table(metrics, panels, clock=clock)

    def draw(theme: Theme) -> Figure:
        figure, axes_of = draw_panels(table, panels, theme, share=True, label="")
        for axes in axes_of:
            probability_axis(axes)
        return figure

    averaged = smoothing_in_words(metrics) if set(panels) - {"success"} else ""
    seeds = int(table["seeds"].max())
    return Picture(
        "training",
        "Training of the language model",
        f"Training through TRL's GRPOTrainer with the advantages of each scheme: mean over seeds, "
        f"{band_in_words(seeds)}{averaged}.{_in_words(table)}",
        f"{len(panels)} panels of curves over training steps, one curve per scheme.",
        table,
        draw,
    )


def _in_words(table: pd.DataFrame) -> str:
    """Success at the end, the highest first; empty if it was not measured."""
    success = table[table["metric"] == "success"].sort_values("reading")
    ends = success.groupby("scheme")["mean"].last().sort_values(ascending=False, kind="stable")
    listed = ", ".join(f"{title(str(name))} {end:.1%}" for name, end in ends.items())
    return f" Success at the end, the highest first: {listed}." if listed else ""
