"""Times to a target in words: the table that a person reads, and what its words mean."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from runs.terminal import table
from runs.text import interval, listed, number
from sim.summary import LEAST_UPDATES
from theory.schemes import Scheme, schemes_by_name

CLOCKS = {
    "updates": "gradient steps",
    "first_success": "responses per prompt if every update waits for one correct",
    "responses": "all that were drawn, for all prompts together",
}
"""Clocks that are shown to people, and what they count."""

_EXTRA_COLUMNS = {"regime": "regime", "learning_rate": "rate"}
"""Columns of a sweep's times that are shown, by their headings."""

Row = Mapping[Any, Any]


def times_text(
    times: pd.DataFrame, reference: str, compared: str = "", *, groups: bool = True
) -> str:
    """Times to a target as a table, with notes below it.

    Args:
        times: Table of :func:`sim.summary.time_to_target` or :func:`sim.sweep.sweep_times`.
        reference: Scheme that the ratios compare with.
        compared: At which learning rates, such as ``"one common rate"``; see
            :func:`sim.rates.compared_at`.
        groups: Updates are those of groups, which have not waited for a success: the clock 1/ρ is
            the population's, and left out.

    >>> from sim.summary import time_to_target
    >>> rows = [("grpo", 0, t, m, v) for t in (0, 10)
    ...         for m, v in (("success", t / 50), ("updates", t))]
    >>> metrics = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    >>> for line in times_text(time_to_target(metrics, 0.5), "grpo").splitlines()[-2:]:
    ...     print(line)
    GRPO: not within 10 steps with 1 of 1 seeds (0.2 at the end).
    GRPO never arrives: there is nothing to compare with.
    """
    shown = times[times["clock"].isin([c for c in CLOCKS if not (groups and c == "first_success")])]
    shown = shown.assign(place=shown["clock"].map(list(CLOCKS).index))
    keys = [*(["regime"] if "regime" in shown else []), "place", "mean"]
    rows: list[Row] = shown.sort_values(keys, kind="stable").to_dict("records")  # type: ignore[assignment]
    extra = [name for name in _EXTRA_COLUMNS if name in times]
    schemes = schemes_by_name([reference, *times["scheme"]])
    header = [
        *(_EXTRA_COLUMNS[name] for name in extra),
        "scheme",
        "clock",
        "mean",
        "95% interval",
        "seeds there",
        f"relative to {schemes[reference].label}{f', {compared}' if compared else ''}",
    ]
    lines = [
        [
            *(_extra(row, name) for name in extra),
            schemes[row["scheme"]].label,
            row["clock"],
            "diverged" if math.isnan(row["mean"]) else number(row["mean"], infinite="not reached"),
            _ends(row["low"], row["high"]),
            f"{row['reached']} of {row['seeds']}",
            _ratio(row),
        ]
        for row in rows
    ]
    text = table(header, lines, right="l" * (len(extra) + 2) + "rrrr")
    return "\n".join([text, "", *_notes(rows, reference, schemes)])


def outcome_in_words(row: Row) -> str:
    """Why a scheme has no time to the target; empty where every seed arrived.

    Args:
        row: A row of :func:`sim.summary.time_to_target`.

    >>> row = {"steps": 400, "seeds": 5, "late": 2, "end": 0.4137, "diverged": 1,
    ...        "diverged_step": 30.0}
    >>> outcome_in_words(row)
    'not within 400 steps with 2 of 5 seeds (0.414 at the end); diverged with 1 of 5, by step 30'
    """
    words, seeds = [], row["seeds"]
    if row["late"]:
        words.append(
            f"not within {row['steps']:,} steps with {row['late']} of {seeds} seeds "
            f"({number(row['end'], 3)} at the end)"
        )
    if row["diverged"]:
        whom = f"{row['diverged']} of {seeds}{'' if words else ' seeds'}"
        words.append(f"diverged with {whom}, by step {row['diverged_step']:,.0f}")
    return "; ".join(words)


def _notes(rows: Sequence[Row], reference: str, schemes: Mapping[str, Scheme]) -> list[str]:
    """What the table's words mean, as far as they occur."""
    there = {row["clock"] for row in rows}
    clocks = "; ".join(f"{name}, {words}" for name, words in CLOCKS.items() if name in there)
    notes = [f"Clocks: {clocks}."]
    for row in rows:
        words = outcome_in_words(row) if row["clock"] == rows[0]["clock"] else ""
        if words:
            notes.append(f"{schemes[row['scheme']].label}{_where(row)}: {words}.")
    if any(row["diverged"] for row in rows):
        notes.append(
            "Diverged: parameters or success are no longer finite numbers; a smaller learning rate"
            " may keep them so."
        )
    label = schemes[reference].label
    if any(row["reached"] and row["late"] and not math.isnan(row["ratio"]) for row in rows):
        notes.append("In ratios a run that does not arrive counts as if it did at its end.")
    for row in rows:
        if row["scheme"] == reference and not row["reached"] and row["clock"] == rows[0]["clock"]:
            notes.append(f"{label} never arrives{_where(row)}: there is nothing to compare with.")
    soon = [row for row in rows if row["too_soon"] and row["clock"] == rows[0]["clock"]]
    if soon:
        names = [f"{schemes[row['scheme']].label}{_where(row)}" for row in soon]
        notes.append(
            f"Times below {LEAST_UPDATES:g} updates are a matter of one step's size and not "
            f"compared: {listed(names)}. A smaller learning rate or a higher target takes longer."
        )
    if any(row.get("at_edge") for row in rows):
        notes.append(
            "* the best rate lies at an end of the grid, or beyond it: not compared. Give "
            "learning_rates on both sides of it."
        )
    return notes


def _where(row: Row) -> str:
    return f" in {row['regime']}" if "regime" in row else ""


def _extra(row: Row, name: str) -> str:
    if name == "learning_rate":
        return f"{row[name]:g}{'*' if row['at_edge'] else ''}"
    return str(row[name])


def _ends(low: float, high: float) -> str:
    return "–" if math.isnan(low) else interval(low, high)


def _ratio(row: Row) -> str:
    if math.isnan(row["ratio"]):
        return "–"
    return f"{number(row['ratio'], 3)} ({interval(row['ratio_low'], row['ratio_high'], 3)})"
