"""What is wrong with a run, if anything: named findings, each with its number and interval.

A finding is raised only if the whole interval of its number, of 95 %, lies beyond what is usual, so
that few responses do not raise it by chance. How often it is raised on logs of runs in which
nothing is wrong was measured; ``python -m benchmarks.false_positives`` does it again.

Intervals of shares are Wilson's, with groups for trials: responses of a group are alike, and no
share of responses varies more than one of groups. Shares of Σ|A| take (Σm)²/Σm² groups, m a group's
Σ|A|. What goes by steps compares the first and the last quarter of them by Welch's t.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

import numpy as np
import pandas as pd
from scipy import special

from rollouts.credit import credit_table, parts_of
from rollouts.tables import age_table, mass_table, step_table
from rollouts.tally import Rollouts
from runs.text import number, percent
from theory.intervals import Interval, share_interval
from theory.schemes import Scheme

_BINS = 40
_FEWEST = 3
"""Bins of steps at either end that a trend takes."""

_AGED = 0.05
"""Share of the responses from which on an age is looked at."""


@dataclasses.dataclass(frozen=True)
class Finding:
    """Something that was looked for.

    Attributes:
        name: Its name, as ``--fail-on`` takes it.
        sentence: What was found, with number and interval.
        interval: The number, of 95 %.
        limit: Beyond it, the finding is raised; below it where ``below``.
        below: Small numbers are what is wrong.
        evidence: The row that the number comes from.
    """

    name: str
    sentence: str
    interval: Interval
    limit: float
    below: bool = False
    evidence: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def raised(self) -> bool:
        """Whether the whole interval lies beyond the limit."""
        low, high = self.interval.low, self.interval.high
        return high < self.limit if self.below else low > self.limit

    @property
    def open(self) -> bool:
        """Whether the number lies beyond the limit and its interval does not: too little to tell.

        >>> few = Interval(0.3, 0.1, 0.6)
        >>> Finding("a", "b", few, 0.2).open, Finding("a", "b", few, 0.4).open
        (True, False)
        """
        value = self.interval.estimate
        beyond = value < self.limit if self.below else value > self.limit
        return beyond and not self.raised

    @property
    def false_positives(self) -> dict[str, Any] | None:
        """Clean logs on which it was looked for, on how many it was raised, and the share."""
        return false_positives().get(self.name)

    def data(self) -> dict[str, Any]:
        """Everything as plain values."""
        return {
            "name": self.name,
            "raised": self.raised,
            "open": self.open,
            "sentence": self.sentence,
            "value": self.interval.estimate,
            "low": self.interval.low,
            "high": self.interval.high,
            "limit": self.limit,
            "below": self.below,
            "evidence": dict(self.evidence),
            "false_positives": self.false_positives,
        }


@functools.cache
def false_positives() -> dict[str, dict[str, Any]]:
    """Finding → ``logs`` that were clean, how many it was ``raised`` on, and the ``rate``."""
    text = resources.files("rollouts").joinpath("false_positives.json").read_text("utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)["findings"]
    return found


def change(values: pd.Series, *, ratio: bool, level: float = 0.95) -> Interval | None:
    """Change from the first to the last quarter of the steps; None if there are too few.

    Args:
        values: One value a bin of steps, in order.
        ratio: Take the ratio, whose logarithm is what varies; else the difference.
        level: Coverage.

    >>> rates = pd.Series([0.1, 0.12, 0.11, *[0.2] * 6, 0.31, 0.3, 0.32])
    >>> [round(end, 2) for end in change(rates, ratio=False)]
    [0.2, 0.18, 0.22]
    """
    known = values.dropna().to_numpy(np.float64)
    if ratio and not np.all(known > 0):
        return None
    quarter = known.size // 4
    if quarter < _FEWEST:
        return None
    known = np.log(known) if ratio else known
    first, last = known[:quarter], known[-quarter:]
    centre = float(last.mean() - first.mean())
    parts = np.array([first.var(ddof=1), last.var(ddof=1)]) / quarter
    half = 0.0
    if parts.sum() > 0:
        freedom = parts.sum() ** 2 / (parts**2 / (quarter - 1)).sum()
        half = float(special.stdtrit(freedom, (1 + level) / 2) * math.sqrt(parts.sum()))
    ends = (centre, centre - half, centre + half)
    return Interval(*(math.exp(end) for end in ends)) if ratio else Interval(*ends)


@dataclasses.dataclass(frozen=True)
class _Known:
    """What the checks look at."""

    whole: pd.Series
    steps: pd.DataFrame
    trained: Scheme
    groups: float
    meant: bool
    credit: pd.DataFrame | None
    credited: float
    ages: pd.DataFrame | None


_Check = Callable[[str, _Known], Finding | None]
"""Makes a finding of a name, from what is known."""


def find(
    rollouts: Rollouts, schemes: Mapping[str, Scheme], components: tuple[str, ...] = ()
) -> list[Finding]:
    """Everything that could be looked for, raised or not, the raised ones first.

    Args:
        rollouts: What is known.
        schemes: Name → scheme; the first is what was trained with.
        components: Names of the reward's components.
    """
    name, trained = next(iter(schemes.items()))
    mass = mass_table(rollouts, {name: trained}, rows=1).set_index("difficulty")["mass"]
    credit, credited = None, 0.0
    if rollouts.advantages is not None and rollouts.advantages["mass"].sum() > 0:
        credit = credit_table(rollouts.advantages, components)
        credited = float(
            rollouts.advantages["mass"].sum() ** 2 / rollouts.advantages["mass_square"].sum()
        )
    known = _Known(
        step_table(rollouts, trained, rows=1).iloc[0],
        step_table(rollouts, trained, rows=_BINS),
        trained,
        float(rollouts.outcomes["groups"].sum()),
        bool(mass["0"] > 0),
        credit,
        credited,
        age_table(rollouts),
    )
    found = [
        finding for name, check in CHECKS.items() if (finding := check(name, known)) is not None
    ]
    return sorted(found, key=lambda finding: not finding.raised)


def _told(value: Interval) -> str:
    return f"{percent(value.estimate)} ({percent(value.low)}–{percent(min(value.high, 1.0))})"


def _phantom(name: str, known: _Known) -> Finding | None:
    """Σ|A| in groups without a correct response, where the scheme gives them none."""
    if known.credit is None or known.meant:
        return None
    row = _record(known.credit, 0)
    share = share_interval(row["share"], known.credited)
    return Finding(
        name,
        f"{_told(share)} of Σ|A| lies in groups without a correct response: there the policy "
        "learned something other than to be correct.",
        share,
        0.1,
        evidence=row,
    )


def _shaping(name: str, known: _Known) -> Finding | None:
    if known.credit is None or not (parts := parts_of(known.credit)):
        return None
    row = _record(known.credit, -1)
    if math.isnan(row["shaping"]):
        return None
    share = share_interval(float(row["shaping"]), known.credited * row["split"])
    most = max(parts, key=lambda name: row[name])
    return Finding(
        name,
        f"{_told(share)} of Σ|A| comes from parts of the reward other than the outcome, most of "
        f"it ({percent(row[most])}) from {most}.",
        share,
        0.5,
        evidence=row,
    )


def _noise(name: str, known: _Known) -> Finding | None:
    if known.credit is None or known.trained.needs_confidence:
        return None
    row = _record(known.credit, -1)
    if math.isnan(row["noise"]):
        return None
    share = share_interval(float(row["noise"]), known.credited * row["split"])
    return Finding(
        name,
        f"{_told(share)} of Σ|A| is explained neither by the outcome nor by a logged part of the "
        "reward.",
        share,
        0.1,
        evidence=row,
    )


def _dead(name: str, known: _Known) -> Finding | None:
    logged = known.whole.get("logged_zero_advantage", math.nan)
    value = known.whole["zero_advantage"] if math.isnan(logged) else logged
    share = share_interval(float(value), known.groups)
    return Finding(
        name,
        f"{_told(share)} of the responses had advantage 0 and taught nothing.",
        share,
        0.8,
        evidence=_row(known.whole, "groups", "all_wrong", "mixed", "all_right", "zero_advantage"),
    )


def _share_of(column: str, limit: float, words: str, *beside: str) -> _Check:
    def check(name: str, known: _Known) -> Finding | None:
        value = float(known.whole.get(column, math.nan))
        if math.isnan(value):
            return None
        trials = known.groups
        if column == "restated":
            trials *= max(float(known.whole["pass_rate"]), 1e-9)
        share = share_interval(value, trials)
        evidence = _row(known.whole, "groups", "responses", column, *beside)
        return Finding(name, f"{_told(share)} {words}.", share, limit, evidence=evidence)

    return check


def _trend(column: str, limit: float, words: str, *, ratio: bool, below: bool) -> _Check:
    def check(name: str, known: _Known) -> Finding | None:
        if column not in known.steps:
            return None
        values = known.steps[column].dropna()
        found = change(values, ratio=ratio)
        if found is None:
            return None
        quarter = values.size // 4
        ends = {
            "first_quarter": float(values.iloc[:quarter].mean()),
            "last_quarter": float(values.iloc[-quarter:].mean()),
        }
        shown = percent if column == "pass_rate" else number
        if ratio:
            told = f"{number(found.estimate, 2)} times ({number(found.low, 2)}–"
            told += f"{number(found.high, 2)}) what it was"
        else:
            told = f"a change of {number(100 * found.estimate, 2)} points ("
            told += f"{number(100 * found.low, 2)} to {number(100 * found.high, 2)})"
        sentence = (
            f"{words} from {shown(ends['first_quarter'])} in the first quarter of the steps to "
            f"{shown(ends['last_quarter'])} in the last, {told}."
        )
        return Finding(name, sentence, found, limit, below=below, evidence=ends)

    return check


def _mismatch(name: str, known: _Known) -> Finding | None:
    if known.ages is not None and known.ages["share"].max() < 1:
        return None  # rollouts of several ages differ from the trainer by their age
    value = float(known.whole.get("effective_sample_size", math.nan))
    if math.isnan(value):
        return None
    share = share_interval(value, known.groups)
    return Finding(
        name,
        f"Importance weights would keep {_told(share)} of the sample: sampler and trainer are not "
        "the same policy; correct for it or find the cause.",
        share,
        0.9,
        below=True,
        evidence=_row(known.whole, "log_ratio", "log_ratio_absolute", "k3"),
    )


def _stale(name: str, known: _Known) -> Finding | None:
    if known.ages is None or "effective_sample_size" not in known.ages:
        return None
    old = known.ages[(known.ages["share"] >= _AGED) & (known.ages["age"] > 0)]
    old = old.dropna(subset=["effective_sample_size"])
    if old.empty:
        return None
    row = _record(old.sort_values("effective_sample_size"), 0)
    each = float(known.whole["responses"]) / known.groups
    share = share_interval(float(row["effective_sample_size"]), float(row["responses"]) / each)
    return Finding(
        name,
        f"Of responses that were {int(row['age'])} updates old when they were trained on, "
        f"{percent(row['share'])} of all, importance weights would keep {_told(share)}.",
        share,
        0.5,
        below=True,
        evidence=row,
    )


def _record(table: pd.DataFrame, place: int) -> dict[str, Any]:
    return {str(name): value for name, value in table.iloc[place].to_dict().items()}


def _row(whole: pd.Series, *names: str) -> dict[str, Any]:
    return {name: whole[name] for name in names if name in whole}


CHECKS: dict[str, _Check] = {
    "phantom-advantages": _phantom,
    "shaping-outweighs-outcome": _shaping,
    "noise-in-advantages": _noise,
    "dead-groups": _dead,
    "restated-answers": _share_of(
        "restated", 0.05, "of the correct boxed answers only say again what was asked"
    ),
    "truncated-responses": _share_of("truncated", 0.1, "of the responses were cut off", "length"),
    "repeated-responses": _share_of(
        "repeated",
        0.2,
        "of the responses repeat another of their group word for word; a group of copies is a "
        "smaller group",
    ),
    "falling-pass-rate": _trend("pass_rate", -0.05, "The pass rate fell", ratio=False, below=True),
    "falling-entropy": _trend("entropy", 0.5, "The entropy fell", ratio=True, below=True),
    "growing-length": _trend("length", 2.0, "The responses grew", ratio=True, below=False),
    "shrinking-length": _trend("length", 0.5, "The responses shrank", ratio=True, below=True),
    "sampler-mismatch": _mismatch,
    "stale-rollouts": _stale,
}
"""Name → what looks for it; None where the log does not hold what it takes."""

NAMES = tuple(CHECKS)
"""Names of all findings."""
