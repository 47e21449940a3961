"""Training of language models: success, reward and the share of groups that are all wrong."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from figures.curves import band_in_words, curves_table, draw_curves
from figures.over_training import SMOOTHING, smooth
from figures.picture import Picture
from figures.style import WIDE, Theme, legend_below, new_figure, probability_axis, title

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
    shown = [metric for metric in PANELS if metric in set(metrics["metric"])]
    if not shown:
        raise ValueError(f"the run has none of the metrics {', '.join(PANELS)}")
    sampled = set(metrics["source"]) == {"llm"}
    table = pd.concat(
        [
            curves_table(
                smooth(metrics, metric) if sampled and metric != "success" else metrics,
                metric,
                clock=clock,
            )
            for metric in shown
        ],
        ignore_index=True,
    )

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 2.6)
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, metric in zip(panels, shown, strict=True):
            draw_curves(axes, table[table["metric"] == metric], theme)
            axes.set_title(PANELS[metric])
            axes.set_xlabel("optimizer steps" if clock == "step" else clock)
            axes.set_xlim(left=0)
            probability_axis(axes)
        names = [str(name) for name in table["scheme"].unique()]
        legend_below(figure, names, columns=len(names), theme=theme)
        return figure

    seeds = int(table["seeds"].max())
    smoothed = (
        f"; metrics of single batches are averages over {SMOOTHING} steps"
        if sampled and (len(shown) > 1 or shown[0] != "success")
        else ""
    )
    return Picture(
        "training",
        "Training of the language model",
        f"Training through TRL's GRPOTrainer with the advantages of each scheme: mean over seeds, "
        f"{band_in_words(seeds)}{smoothed}.{_in_words(table)}",
        f"{len(shown)} panels of curves over training steps, one curve per scheme.",
        table,
        draw,
    )


def _in_words(table: pd.DataFrame) -> str:
    """Success at the end, the highest first; empty if it was not measured."""
    success = table[table["metric"] == "success"].sort_values("reading")
    ends = success.groupby("scheme")["mean"].last().sort_values(ascending=False, kind="stable")
    listed = ", ".join(f"{title(str(name))} {end:.1%}" for name, end in ends.items())
    return f" Success at the end, the highest first: {listed}." if listed else ""
