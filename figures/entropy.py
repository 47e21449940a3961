"""Entropy of the policy over training: how much diversity a scheme leaves."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from claims.curves import band_in_words, smoothing_in_words, training_table
from figures.over_training import draw_panels, measured_panels
from figures.picture import Picture
from figures.style import Theme, in_order, title

PANELS = {
    "entropy": "all answers",
    "entropy_correct": "among correct answers",
    "held_out/entropy": "held-out prompts",
}
"""Metric → panel title. A simulation's entropies are exact, per answer; a language model's is the
mean over tokens."""

_NOTHING = 1e-4


def entropy_picture(metrics: pd.DataFrame, *, clock: str = "step") -> Picture:
    """Picture of the entropy along training.

    Args:
        metrics: Metrics of a simulation or a training.
        clock: ``step`` or a metric that counts, such as ``responses``.

    Raises:
        ValueError: Entropy was not measured.

    Source: arXiv 2506.01347, entropy during training.
    """
    panels = measured_panels(metrics, PANELS)
    if "sim" not in set(metrics["source"]):
        panels = {"entropy": "sampled tokens"}
    # One correct answer has no entropy, and rounding is not worth a panel.
    largest = metrics.groupby("metric")["value"].max()
    panels = {m: words for m, words in panels.items() if m == "entropy" or largest[m] > _NOTHING}
    table = training_table(metrics, panels, clock=clock)

    def draw(theme: Theme) -> Figure:
        figure, axes_of = draw_panels(table, panels, theme, share=False, label="entropy, nats")
        for axes in axes_of:
            axes.set_ylim(bottom=0)
        return figure

    main = table[table["metric"] == "entropy"]
    start = float(main.groupby("scheme")["mean"].first().mean())
    ends = main.groupby("scheme")["mean"].last()
    ranked = sorted(in_order(ends.index), key=lambda name: -float(ends[name]))
    listed = ", ".join(f"{title(name)} {ends[name]:.2f}" for name in ranked)
    return Picture(
        "entropy",
        "Entropy",
        f"Entropy of the policy over training: {start:.2f} nats at the start, and at the end, from "
        f"the widest to the narrowest, {listed} ({next(iter(panels.values()))}). Mean over seeds, "
        f"{band_in_words(int(table['seeds'].max()))}{smoothing_in_words(metrics)}.",
        f"{len(panels)} panels of entropy curves, one curve per scheme.",
        table,
        draw,
    )
