"""Pass@k curves: of evaluations, and of trained schemes against the policy they began as.

Evaluations estimate pass@k from sampled responses, without bias, with intervals over problems;
simulations, and language models small enough, know it exactly, with intervals over seeds.
"""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from claims.curves import band_in_words
from claims.pass_at_k import (
    BASE,
    SPLITS,
    TOLD_APART,
    step_to_compare_at,
    trained_pass_at_k_table,
)
from figures.picture import Picture
from figures.style import (
    COLUMN,
    WIDE,
    Look,
    Theme,
    accent,
    base_model,
    in_order,
    look,
    looks,
    new_figure,
    probability_axis,
    title,
)
from runs.text import listed
from theory.schemes import SCHEMES


def trained_pass_at_k_picture(metrics: pd.DataFrame) -> Picture:
    """Picture of pass@k over k at the end of training, and of the gain over its start.

    Args:
        metrics: Metrics of a simulation or of published evidence.

    Raises:
        ValueError: Pass@k was not measured at more than one k.

    Source: the comparison of arXiv 2506.01347.
    """
    step = step_to_compare_at(metrics)
    table = trained_pass_at_k_table(metrics, step=step)
    if table["k"].nunique() < 2:
        raise ValueError("pass@k was measured at one k only: there is no curve to draw")
    splits = [split for split in SPLITS.values() if split in set(table["split"])]
    schemes = in_order(set(table["scheme"]) - {BASE})

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 0.45 + 2.15 * len(splits))
        panels = figure.subplots(len(splits), 2, squeeze=False)
        styles = {BASE: base_model(theme), **looks(schemes, theme)}
        for row, split in enumerate(splits):
            for axes, quantity in zip(panels[row], ("pass", "gain"), strict=True):
                part = table[(table["split"] == split) & (table["quantity"] == quantity)]
                for name, style in styles.items():
                    curve = part[part["scheme"] == name]
                    _draw_curve(axes, curve, style, _label(name), "mean")
                _k_axis(axes, part)
            panels[row, 0].set_title(f"pass@k, {split}")
            panels[row, 1].set_title(f"gain over base, {split}")
            probability_axis(panels[row, 0])
            panels[row, 1].axhline(0, color=base_model(theme).color, linewidth=0.9)
        handles, labels = panels[0, 0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=min(6, len(labels)))
        return figure

    largest = int(table["k"].max())
    gains = table[(table["quantity"] == "gain") & (table["split"] == splits[-1])]
    return Picture(
        "pass_at_k",
        "Pass@k after training",
        f"Pass@k of the trained policies {_when(step)} (left) and its gain over the policy they "
        f"began as (right). On the {splits[-1]}, {_in_words(gains, 1)}; "
        f"{_in_words(gains, largest)}. Exact values; mean over seeds, "
        f"{band_in_words(int(table['seeds'].max()))}.",
        "Panels of pass@k rising with k, one curve per scheme and one for the base, beside panels "
        "of the difference from the base.",
        table,
        draw,
    )


def pass_at_k_picture(summaries: Mapping[str, pd.DataFrame], *, group: str = "all") -> Picture:
    """Picture of pass@k over k, one curve per evaluation.

    Args:
        summaries: Name of an evaluation, a scheme or any other, → its summary table.
        group: Problems that are drawn, such as ``all`` or a level.

    Raises:
        ValueError: No evaluation has pass@k for the group.

    Source: the unbiased estimator of arXiv 2107.03374, as in arXiv 2506.01347.
    """
    parts = []
    for name, summary in summaries.items():
        chosen = summary[(summary["metric"] == "pass") & (summary["group"] == group)]
        parts.append(chosen.assign(evaluation=name).sort_values("k"))
    table = pd.concat(parts, ignore_index=True)
    if table.empty:
        raise ValueError(f"no evaluation has pass@k for {group}")

    def draw(theme: Theme) -> Figure:
        figure = new_figure(COLUMN, 2.6)
        axes = figure.subplots()
        for number, (name, part) in enumerate(table.groupby("evaluation", sort=False)):
            _draw_curve(axes, part, _style(str(name), number, theme), _label(str(name)), "estimate")
        _k_axis(axes, table)
        axes.set_ylabel("pass@k")
        probability_axis(axes)
        if len(summaries) > 1:
            axes.legend(loc="lower right")
        return figure

    problems = int(table["problems"].max())
    return Picture(
        "pass_at_k",
        "Pass@k",
        f"Share of {problems} problems solved by at least one of k samples: unbiased estimates, "
        "bands are 95% intervals over problems.",
        "Curves of pass@k over k.",
        table,
        draw,
    )


def _when(step: int | None) -> str:
    if step is None:
        return "at the end of training"
    return f"after {step} updates, when the first of them reaches a pass@1 of {TOLD_APART:g}"


def _in_words(gains: pd.DataFrame, k: int) -> str:
    part = gains[gains["k"] == k].set_index("scheme")
    above = [title(str(name)) for name in part.index if part.loc[name, "low"] > 0]
    below = [title(str(name)) for name in part.index if part.loc[name, "high"] < 0]
    words = [f"{_they_lie(above)} above the base"] if above else []
    words += [f"{_they_lie(below)} below it"] if below else []
    sure = " (bands that exclude 0)" if words and part["seeds"].max() > 1 else ""
    return f"at k = {k} {' and '.join(words) or 'no scheme differs from the base'}{sure}"


def _they_lie(names: list[str]) -> str:
    return f"{listed(names)} {'lies' if len(names) == 1 else 'lie'}"


def _style(name: str, number: int, theme: Theme) -> Look:
    if name == BASE:
        return base_model(theme)
    return look(name, theme) if name.partition(":")[0] in SCHEMES else accent(number, theme)


def _label(name: str) -> str:
    return title(name) if name.partition(":")[0] in SCHEMES else name


def _draw_curve(axes: Axes, part: pd.DataFrame, style: Look, label: str, column: str) -> None:
    if part.empty:
        return
    axes.plot(part["k"], part[column], **style.line(), marker=style.marker, label=label)
    axes.fill_between(
        part["k"], part["low"], part["high"], color=style.color, alpha=0.15, linewidth=0
    )


def _k_axis(axes: Axes, table: pd.DataFrame) -> None:
    ticks = sorted(table["k"].unique())
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_xlabel("samples k")
