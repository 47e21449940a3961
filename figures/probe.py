"""What a probe measured: the kernel by difficulty, and steps against what first order predicts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures.picture import Picture
from figures.style import WIDE, Theme, accent, legend_below, looks, new_figure, optimum
from runs.files import read_table
from runs.text import number

FILES = ("difficulty.csv", "steps.csv")
"""Tables that make a folder one of ``apw probe``, or of its published evidence."""

_QUARTERS = {0.0: "0–¼", 0.25: "¼–½", 0.5: "½–¾", 0.75: "¾–1"}


def is_probe(path: Path) -> bool:
    """Whether a folder holds what a probe found."""
    return all((path / name).exists() for name in FILES)


def probe_picture(path: Path) -> Picture:
    """Picture of the kernel between difficulties, and of measured against predicted gains.

    Args:
        path: Folder with the tables of a probe.

    Raises:
        ValueError: A table that is broken, or nothing in it to draw.

    Source: theory.md, section "Prompts that share".
    """
    difficulty, steps = _read(path)
    kernel = difficulty.dropna(subset=["estimate"])
    if kernel.empty:
        raise ValueError(f"{path} holds a probe without a kernel: no prompt had both outcomes")
    drawn = pd.concat(
        [kernel.assign(panel="kernel"), steps.assign(panel="steps")], ignore_index=True
    )
    schemes = list(dict.fromkeys(steps["scheme"])) if len(steps) else []

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 3.1)
        left, right = figure.subplots(1, 2)
        _draw_kernel(left, kernel, theme)
        _draw_steps(right, steps, schemes, theme)
        if schemes:
            legend_below(figure, schemes, columns=6, theme=theme)
        return figure

    return Picture(
        "probe",
        "How prompts share, and what a step does",
        _caption(kernel, steps),
        "Mean kernel entries with intervals by pairs of difficulties, beside points of measured "
        "against predicted change of success along a diagonal.",
        drawn,
        draw,
    )


def _read(path: Path) -> tuple[pd.DataFrame, pd.DataFrame]:
    difficulty, steps = (read_table(path / name) for name in FILES)
    wanted = (
        (difficulty, FILES[0], ("low", "other_low", "kind", "estimate", "low_end", "high_end")),
        (steps, FILES[1], ("optimizer", "scheme", "group", "predicted", "measured")),
    )
    for table, name, columns in wanted:
        missing = [column for column in columns if column not in table]
        if missing:
            raise ValueError(f"{path / name} lacks the column {missing[0]!r}")
    return difficulty, steps[steps["group"] == "all"]


def _draw_kernel(axes: Axes, kernel: pd.DataFrame, theme: Theme) -> None:
    ordered = kernel.sort_values(["kind", "low", "other_low"], ascending=[False, True, True])
    labels = []
    for place, row in enumerate(ordered.to_dict("records")):
        own = row["kind"] == "own"
        style = accent(0 if own else 3, theme)
        middle, low, high = (float(row[name]) for name in ("estimate", "low_end", "high_end"))
        ends = [[middle - low], [high - middle]]
        axes.errorbar(
            middle,
            -place,
            xerr=np.nan_to_num(np.maximum(ends, 0)),
            color=style.color,
            marker="o" if own else "s",
            linewidth=0.9,
        )
        one, other = (_quarter(float(row[name])) for name in ("low", "other_low"))
        labels.append(f"{one}, a prompt" if own else f"{one} with {other}")
    axes.set_yticks([-place for place in range(len(labels))], labels)
    axes.axvline(0, color=optimum(theme).color, linewidth=0.8)
    axes.set_xlabel("mean ⟨∇ℓ, ∇ℓ⟩, by pass rates")
    axes.set_title("kernel by difficulty")


def _quarter(low: float) -> str:
    return _QUARTERS.get(low, f"from {low:g}")


def _draw_steps(axes: Axes, steps: pd.DataFrame, schemes: list[str], theme: Theme) -> None:
    axes.set_title("one step: change of mean success")
    if not schemes:
        axes.set_title("no steps were taken")
        return
    styles = looks(schemes, theme)
    for row in steps.to_dict("records"):
        color, filled = styles[str(row["scheme"])].color, row["optimizer"] == "sgd"
        middle, low, high = (
            float(row[name]) for name in ("measured", "measured_low", "measured_high")
        )
        axes.errorbar(
            float(row["predicted"]),
            middle,
            yerr=[[middle - low], [high - middle]],
            color=color,
            marker="o" if filled else "D",
            markerfacecolor=color if filled else "none",
            linewidth=0.8,
        )
    values = steps[["predicted", "measured"]].to_numpy(float)
    ends = [min(0.0, float(np.nanmin(values))), max(0.0, float(np.nanmax(values)))]
    axes.plot(ends, ends, color=optimum(theme).color, linewidth=0.9, zorder=0)
    axes.set_xlabel("predicted to first order (filled SGD, hollow Adam)")
    axes.set_ylabel("measured on held-out responses")


def _caption(kernel: pd.DataFrame, steps: pd.DataFrame) -> str:
    own, others = (kernel.loc[kernel["kind"] == kind, "estimate"] for kind in ("own", "others"))
    largest = f"from {number(others.min(), 2)} to {number(others.max(), 2)}" if len(others) else "–"
    words = (
        f"Left: entries of the kernel of log-odds, {number(own.min(), 2)} to "
        f"{number(own.max(), 2)} of a prompt with itself and {largest} between prompts, "
        "with intervals over prompts."
        if len(own)
        else f"Left: entries of the kernel of log-odds between prompts, {largest}."
    )
    if not len(steps):
        return words
    inside = (steps["measured_low"] <= steps["predicted"]) & (
        steps["predicted"] <= steps["measured_high"]
    )
    return (
        f"{words} Right: the change of mean success by one step of each scheme, predicted to first "
        "order from gradients and measured by importance weights on the same held-out responses; "
        f"{int(inside.sum())} of {len(steps)} predictions lie in the interval of what was measured."
    )
