"""What a simulated claim's runs looked like, from the table beside its verdict.

Every claim of the simulator leaves ``table.csv``: times to the target, or curves of what the claim
is about, for every regime it was tried in. Drawn, they are the figures of the papers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from claims.records import VERDICT_FILE, Record
from figures.claim_checks import claim_checks_picture
from figures.over_training import draw_curves
from figures.picture import Picture
from figures.style import (
    WIDE,
    Theme,
    base_model,
    in_order,
    legend_below,
    looks,
    new_figure,
    probability_axis,
    title,
)
from runs.files import read_table
from sim.summary import THEORY_CLOCKS

_TIMES = "time/grpo"
_MOST = 30.0
_CLOCKS = {
    "updates": "updates",
    "responses": "responses drawn",
    "first_success": THEORY_CLOCKS["first_success"].title,
}
"""Clocks of the panels; the last, the population's, where no response was drawn."""

_EARLIER = {"effective": "first_success"}
"""Names in tables that were published earlier → names now."""

_WORDS = {
    "all_wrong": "all-wrong groups",
    "entropy_correct": "entropy among correct answers",
    "success": "success",
    "entropy": "entropy",
    **{f"success/q{n}": f"success, fifth {n}" for n in range(1, 6)},
}
_FIRST_AND_LAST = ("success/q1", "success/q5", "pass@1", "pass@16")
"""Of the many curves of a claim about fifths and pass@k, those that are drawn."""


def claim_pictures(record: Record) -> list[Picture]:
    """Pictures of a claim: its checks and, where its runs left a table, what they looked like.

    Args:
        record: A finding that was read from a file.

    Raises:
        ValueError: The table beside the finding is not one.

    Source: the finding and its table.
    """
    pictures = [claim_checks_picture(record.finding)]
    file = record.path
    if file is None:
        return pictures
    beside = file.with_name("table.csv") if file.name == VERDICT_FILE else file.with_suffix(".csv")
    if not beside.exists():
        return pictures
    return [*pictures, *table_pictures(record.finding.id, read_claim_table(beside))]


def read_claim_table(path: Path) -> pd.DataFrame:
    """Read the table that a claim's runs left.

    Raises:
        ValueError: It is not one.
    """
    wanted = {"run", "scheme", "metric", "step", "clock", "mean", "low", "high", "seeds"}
    table = read_table(path)
    if not wanted <= set(table.columns):
        raise ValueError(f"{path} lacks the column {sorted(wanted - set(table.columns))[0]!r}")
    return table.replace({"clock": _EARLIER})


def table_pictures(claim: str, table: pd.DataFrame) -> list[Picture]:
    """Pictures of a claim's table: times, pass@k before and after, or curves over training.

    Args:
        claim: Id in the ledger.
        table: Its table; empty where nothing was trained.

    Source: arXiv 2602.11128 for times, arXiv 2506.01347 for pass@k and entropy, arXiv 2510.08696
    for all-wrong groups and fifths.
    """
    if table.empty:
        return []
    if _TIMES in set(table["metric"]):
        return [_times_picture(claim, table)]
    if table["step"].nunique() == 2:
        return [_pass_at_k_picture(claim, table)]
    return [_curves_picture(claim, table)]


def _times_picture(claim: str, table: pd.DataFrame) -> Picture:
    part = table[(table["metric"] == _TIMES) & table["clock"].isin(list(_CLOCKS))]
    clocks = [clock for clock in _CLOCKS if clock in set(part["clock"])][:2]
    part = part[part["clock"].isin(clocks)].reset_index(drop=True)
    runs, schemes = list(dict.fromkeys(part["run"])), in_order(part["scheme"].unique())

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 0.5 + len(runs) * (0.52 + 0.17 * len(schemes)))
        grid = figure.subplots(len(runs), len(clocks), squeeze=False, sharey=True, sharex="col")
        for row, run in zip(grid, runs, strict=True):
            for axes, clock in zip(row, clocks, strict=True):
                column = part[part["clock"] == clock]
                _draw_ratios(axes, column[column["run"] == run], schemes, _ends(column), theme)
            row[0].set_title(run, fontsize=7)
        for axes, clock in zip(grid[-1], clocks, strict=True):
            axes.set_xlabel(f"{_CLOCKS[clock]}, relative to GRPO")
        return figure

    return Picture(
        f"claim_{claim.lower()}_times",
        f"Claim {claim}: time to the target",
        "Time to the target relative to GRPO in every run of the claim, on a logarithmic axis: "
        f"geometric mean over {_seeds(part)} with 95% intervals. Left of the line is "
        f"sooner; what lies beyond a factor of {_MOST:g}, as seeds that never arrive do, stands at "
        "the edge.",
        "Panels of relative times, one row per run and one point per scheme.",
        part,
        draw,
    )


def _ends(part: pd.DataFrame) -> tuple[float, float]:
    """Ends of an axis that holds what is finite, but at most a factor of ``_MOST`` either way."""
    values = part[["mean", "low", "high"]].to_numpy(float)
    inside = values[np.isfinite(values) & (values >= 1 / _MOST) & (values <= _MOST)]
    return min(inside.min(initial=0.67), 0.67) / 1.15, max(inside.max(initial=1.5), 1.5) * 1.15


def _draw_ratios(
    axes: Axes, part: pd.DataFrame, schemes: Sequence[str], ends: tuple[float, float], theme: Theme
) -> None:
    styles, places = looks(schemes, theme), {name: -i for i, name in enumerate(schemes)}
    low, high = ends
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    axes.axvline(1, color=base_model(theme).color, linewidth=0.8)
    for row in part.to_dict("records"):
        style, place = styles[row["scheme"]], places[row["scheme"]]
        line = np.clip([row["low"], row["high"]], low, high)
        axes.plot(line, [place, place], color=style.color, linewidth=1.2)
        axes.plot(np.clip(row["mean"], low, high), place, style.marker or "o", color=style.color)
    axes.set_ylim(0.5 - len(schemes), 0.5)
    axes.set_yticks(list(places.values()), [title(name) for name in places], fontsize=6.5)
    narrow = high / low < 5
    wanted = (0.5, 0.7, 1, 1.5, 2) if narrow else (0.01, 0.1, 0.2, 0.5, 1, 2, 5, 10, 100)
    ticks = [tick for tick in wanted if low <= tick <= high]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _pass_at_k_picture(claim: str, table: pd.DataFrame) -> Picture:
    """Pass@k at the end of training and before it, in every run and on both kinds of prompts."""
    parts = table.assign(
        split=np.where(table["metric"].str.startswith("held_out/"), "held-out", "training"),
        k=table["metric"].str.rpartition("@")[2].astype(int),
    ).sort_values("k", kind="stable", ignore_index=True)
    panels = list(dict.fromkeys(zip(parts["run"], parts["split"], strict=True)))
    runs = list(dict.fromkeys(parts["run"]))
    panels.sort(key=lambda panel: (runs.index(panel[0]), panel[1] != "training"))
    schemes = in_order(parts["scheme"].unique())

    def draw(theme: Theme) -> Figure:
        rows = -(-len(panels) // 3)
        figure = new_figure(WIDE, 0.5 + 2.0 * rows)
        grid = figure.subplots(rows, 3, squeeze=False, sharey=True).ravel()
        styles, base = looks(schemes, theme), base_model(theme)
        for axes, (run, split) in zip(grid, panels, strict=False):
            part = parts[(parts["run"] == run) & (parts["split"] == split)]
            before = part[part["step"] == part["step"].min()].drop_duplicates("k")
            axes.plot(before["k"], before["mean"], **base.line())
            for name, style in styles.items():
                after = part[(part["scheme"] == name) & (part["step"] == part["step"].max())]
                axes.plot(after["k"], after["mean"], **style.line())
                axes.fill_between(
                    after["k"],
                    after["low"],
                    after["high"],
                    color=style.color,
                    alpha=0.15,
                    linewidth=0,
                )
            axes.set_xscale("log", base=4)
            ks = sorted(part["k"].unique())
            axes.set_xticks(ks, [str(k) for k in ks])
            axes.minorticks_off()
            axes.set_title(f"{run}, {split}", fontsize=7)
            axes.set_xlabel("samples k")
            probability_axis(axes)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        legend_below(figure, schemes, columns=len(schemes) + 1, theme=theme, base="base")
        return figure

    return Picture(
        f"claim_{claim.lower()}_pass_at_k",
        f"Claim {claim}: pass@k before and after",
        "Pass@k at the end of training, exact, on training and held-out prompts of every run of "
        "the claim; the base is the policy before training. Mean over "
        f"{_seeds(parts)}, bands are 95% intervals.",
        "Panels of pass@k over k, one curve per scheme and one for the start.",
        parts,
        draw,
    )


def _curves_picture(claim: str, table: pd.DataFrame) -> Picture:
    """Curves over training, a row per run and a column per metric."""
    measured = sorted(dict.fromkeys(table["metric"]), key=lambda name: name.startswith("held_out"))
    metrics = measured if len(measured) <= 4 else [m for m in _FIRST_AND_LAST if m in measured]
    part = table[table["metric"].isin(metrics)].sort_values("step", kind="stable")
    part = part.assign(reading=part["step"].astype(float)).reset_index(drop=True)
    runs, schemes = list(dict.fromkeys(table["run"])), in_order(part["scheme"].unique())

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 0.5 + 1.6 * len(runs))
        grid = figure.subplots(len(runs), len(metrics), squeeze=False)
        for row, run in zip(grid, runs, strict=True):
            for axes, metric in zip(row, metrics, strict=True):
                chosen = part[(part["run"] == run) & (part["metric"] == metric)]
                axes.set_visible(not chosen.empty)
                draw_curves(axes, chosen, theme)
                axes.set_title(f"{run}: {_words(metric)}", fontsize=7)
                axes.set_xlim(0, chosen["reading"].max() if len(chosen) else 1)
        for axes in grid[-1]:
            axes.set_xlabel("updates")
        legend_below(figure, schemes, columns=len(schemes), theme=theme)
        return figure

    return Picture(
        f"claim_{claim.lower()}_curves",
        f"Claim {claim}: over training",
        f"{', '.join(_words(metric) for metric in metrics)} over training in every run of the claim"
        f": mean over {_seeds(part)}, bands are 95% intervals.",
        "Panels of curves over training, one row per run and one curve per scheme.",
        part,
        draw,
    )


def _words(metric: str) -> str:
    name = metric.removeprefix("held_out/")
    words = _WORDS.get(name, name)
    return words if name == metric else f"{words}, held out"


def _seeds(part: pd.DataFrame) -> str:
    counts = sorted({int(count) for count in part["seeds"]})
    return " to ".join(map(str, counts)) + (" seed" if counts == [1] else " seeds")
