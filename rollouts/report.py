"""A diagnosis as text for a terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import pandas as pd

from rollouts.credit import parts_of
from rollouts.findings import Finding
from rollouts.outcomes import DIFFICULTIES
from rollouts.reader import Reading
from runs.terminal import table
from runs.text import listed, number, percent
from theory.intervals import share_interval
from theory.schemes import Scheme

SHOWN_ROWS = 10
"""Rows of the printed table of steps."""

_SHARES = {
    "pass_rate": "pass rate",
    "all_wrong": "all wrong",
    "mixed": "mixed",
    "all_right": "all right",
    "zero_advantage": "A = 0",
    "repeated": "repeated",
}
_MEANS = {"length": "length", "confidence": "confidence", "entropy": "entropy", "k3": "k3"}


def describe(
    reading: Reading,
    sizes: Mapping[str, int],
    steps: Callable[[int], pd.DataFrame],
    mass: pd.DataFrame | None,
    schemes: Mapping[str, Scheme],
    credit: pd.DataFrame | None,
    findings: Sequence[Finding],
    sentences: Sequence[str],
) -> str:
    """Everything a diagnosis says, from what was read to what happened, in sentences."""
    return "\n".join(
        [
            reading.describe(),
            _size_words(sizes),
            *reading.notes(),
            "",
            *_finding_words(findings),
            _step_words(steps(SHOWN_ROWS)),
            "",
            *([] if credit is None else [_credit_words(credit), ""]),
            *([] if mass is None else [_mass_words(mass, schemes), ""]),
            *sentences,
        ]
    )


def _size_words(sizes: Mapping[str, int]) -> str:
    usual = sizes["usual_group"]
    words = f"{sizes['responses']:,} responses in {sizes['groups']:,} groups of {usual}"
    strange = []
    if sizes["smaller_groups"]:
        strange.append(f"{sizes['smaller_groups']:,} smaller")
    if sizes["larger_groups"]:
        strange.append(
            f"{sizes['larger_groups']:,} larger (a prompt drawn twice at a step is one group)"
        )
    if strange:
        words += f", of which {listed(strange)}"
    return words + "."


def _step_words(steps: pd.DataFrame) -> str:
    header = ["steps", "groups"]
    ends = zip(steps["step"], steps["last_step"], steps["groups"], strict=True)
    rows = [
        [f"{first}" if first == last else f"{first}–{last}", f"{groups:,}"]
        for first, last, groups in ends
    ]
    for name, words in (_SHARES | _MEANS).items():
        if name in steps:
            header.append(words)
            for row, value in zip(rows, steps[name], strict=True):
                row.append(percent(value) if name in _SHARES else number(value, 3))
    header.append("pass rates 0…1")
    for row, counts in zip(rows, steps.filter(regex="^groups ").to_numpy(), strict=True):
        row.append(histogram(counts))
    return table(header, rows, right="r" * len(header))


def histogram(counts: Iterable[float]) -> str:
    """Bars of a character each, the highest for the largest count and a dot for none.

    >>> histogram([8, 0, 1, 4])
    '█·▁▄'
    """
    numbers = list(counts)
    most = max(numbers, default=0)
    return "".join("▁▂▃▄▅▆▇█"[math.ceil(8 * n / most) - 1] if n else "·" for n in numbers)


def _mass_words(mass: pd.DataFrame, schemes: Mapping[str, Scheme]) -> str:
    first = mass[mass["scheme"] == mass["scheme"].iloc[0]].set_index("difficulty")
    total = first["groups"].sum()
    rows = [["all groups", *(percent(first["groups"][d] / total) for d in DIFFICULTIES), ""]]
    for name, part in mass.groupby("scheme", sort=False):
        share = part.set_index("difficulty")["share"]
        zero = percent(part["zero_advantage"].sum() / part["responses"].sum())
        rows.append([schemes[str(name)].label, *map(percent, share[list(DIFFICULTIES)]), zero])
    header = ["scheme", *DIFFICULTIES, "A = 0"]
    heading = "Share of the gradient mass Σ|A| by pass rate of the group, and responses with A = 0:"
    return f"{heading}\n{table(header, rows, right='l' + 'r' * len(rows[0]))}"


def _credit_words(credit: pd.DataFrame) -> str:
    """Σ|A| as logged by difficulty, and what it was made of."""
    parts = parts_of(credit)
    names = ["outcome", "shaping", "noise", *(parts if len(parts) > 1 else [])]
    header = ["pass rate", "groups", "A = 0", "Σ|A|", *names]
    rows = [
        [
            str(row["difficulty"]),
            f"{row['groups']:,}",
            *(percent(row[name]) for name in ("zero_advantage", "share", *names)),
        ]
        for row in credit.to_dict("records")
        if row["groups"]
    ]
    heading = (
        "The advantages in the log by pass rate of the group: responses with A = 0, share of Σ|A|, "
        "and what it comes from:"
    )
    return f"{heading}\n{table(header, rows, right='l' + 'r' * len(header))}"


def _finding_words(findings: Sequence[Finding]) -> list[str]:
    """Every finding with the numbers it rests on, and how often clean logs raise it."""
    if not findings:
        return []
    raised = [finding for finding in findings if finding.raised]
    unsettled = [finding for finding in findings if finding.open]
    quiet = [finding.name for finding in findings if not (finding.raised or finding.open)]
    words = []
    for finding in raised:
        words.append(f"FOUND {finding.name}: {finding.sentence}")
        words.append(f"  Rests on {evidence_words(finding)}.")
        if finding.false_positives:
            words.append(f"  {clean_words(finding)}")
    words += [f"Too little to tell {finding.name}: {finding.sentence}" for finding in unsettled]
    if quiet:
        words.append(f"Looked for and not found: {listed(quiet)}.")
    return [*words, ""]


def evidence_words(finding: Finding) -> str:
    """The row that a finding rests on, on one line.

    >>> from theory.intervals import Interval
    >>> row = {"groups": 12.0, "share": 0.25}
    >>> evidence_words(Finding("a", "b", Interval(0, 0, 0), 1.0, evidence=row))
    'groups 12, share 0.25'
    """
    return ", ".join(
        f"{name.replace('_', ' ')} {number(value, 3) if isinstance(value, float) else value}"
        for name, value in finding.evidence.items()
    )


def clean_words(finding: Finding) -> str:
    """How often a finding is raised where nothing is wrong."""
    counted = finding.false_positives
    if counted is None:
        return ""
    most = share_interval(counted["rate"], counted["logs"]).high
    return (
        f"Raised on {counted['raised']:,} of {counted['logs']:,} simulated logs in which nothing "
        f"is wrong: {percent(counted['rate'])}, by the 95% interval at most {percent(most)}."
    )
