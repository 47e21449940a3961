"""What a claim's simulation hands to the ledger: checks with predictions, intervals, verdicts."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from apw.runs import describe_environment, write_json
from sim.summary import bootstrap_interval

Verdict = Literal["confirmed", "refuted", "inconclusive"]


@dataclasses.dataclass(frozen=True)
class Check:
    """One prediction against one measurement.

    Attributes:
        name: What was measured, in words.
        prediction: The number predicted before the run, or the bound.
        relation: ``"near"``, ``"above"`` or ``"below"`` the prediction.
        tolerance: Relative tolerance of ``near``.
        measurement: The number measured.
        low: Lower end of its 95 % interval.
        high: Upper end.
        seeds: Seeds behind it.
        verdict: What follows.
    """

    name: str
    prediction: float
    relation: Literal["near", "above", "below"]
    tolerance: float
    measurement: float
    low: float
    high: float
    seeds: int
    verdict: Verdict


@dataclasses.dataclass(frozen=True)
class Finding:
    """Outcome of a claim in the simulator.

    Attributes:
        id: Id in the ledger, such as ``"A4"``.
        claim: The claim in one sentence.
        verdict: All checks confirmed; or one refuted; or neither.
        checks: The checks, the main one first.
        regimes: What was run, in words, one line per regime tried.
        quick: The short version.
    """

    id: str
    claim: str
    verdict: Verdict
    checks: tuple[Check, ...]
    regimes: tuple[str, ...]
    quick: bool

    def write(self, folder: Path) -> None:
        """Write ``verdict.json`` into the folder of the claim's runs."""
        values = dataclasses.asdict(self)
        values["arm"] = "sim"
        values["environment"] = describe_environment()
        write_json(Path(folder) / "verdict.json", _finite(values))


def near(
    name: str, prediction: float, samples: Sequence[float], tolerance: float, *, level: float = 0.95
) -> Check:
    """Check that a mean lies within a relative tolerance of its prediction.

    Confirmed if the mean is within it, refuted if the whole interval is outside of it.

    Args:
        name: What was measured.
        prediction: What was predicted.
        samples: One value per seed.
        tolerance: Relative tolerance.
        level: Coverage of the interval.

    >>> near("ratio", 2.0, [2.02, 1.99, 2.01], 0.05).verdict
    'confirmed'
    """
    mean, low, high = _summary(samples, level)
    inside = prediction * (1 - tolerance), prediction * (1 + tolerance)
    verdict: Verdict = "inconclusive"
    if inside[0] <= mean <= inside[1]:
        verdict = "confirmed"
    elif high < inside[0] or low > inside[1] or not math.isfinite(mean):
        verdict = "refuted"
    return Check(name, prediction, "near", tolerance, mean, low, high, len(samples), verdict)


def above(name: str, bound: float, samples: Sequence[float], *, level: float = 0.95) -> Check:
    """Check that a mean exceeds a bound: confirmed or refuted once the interval is on one side.

    >>> above("gain", 0.0, [0.1, 0.2, 0.1]).verdict
    'confirmed'
    """
    mean, low, high = _summary(samples, level)
    verdict: Verdict = (
        "confirmed" if low > bound else "refuted" if high <= bound else "inconclusive"
    )
    return Check(name, bound, "above", 0.0, mean, low, high, len(samples), verdict)


def below(name: str, bound: float, samples: Sequence[float], *, level: float = 0.95) -> Check:
    """Check that a mean stays under a bound; see :func:`above`."""
    mean, low, high = _summary(samples, level)
    verdict: Verdict = (
        "confirmed" if high < bound else "refuted" if low >= bound else "inconclusive"
    )
    return Check(name, bound, "below", 0.0, mean, low, high, len(samples), verdict)


def finding(
    id: str, claim: str, checks: Sequence[Check], regimes: Sequence[str], *, quick: bool
) -> Finding:
    """Join checks: refuted if one is, confirmed if all are, else inconclusive."""
    verdicts = {check.verdict for check in checks}
    verdict: Verdict = "confirmed"
    if "refuted" in verdicts:
        verdict = "refuted"
    elif verdicts != {"confirmed"}:
        verdict = "inconclusive"
    return Finding(id, claim, verdict, tuple(checks), tuple(regimes), quick)


def any_regime(
    id: str, claim: str, outcomes: Mapping[str, Sequence[Check]], *, quick: bool
) -> Finding:
    """Join regimes: confirmed if one confirms all its checks, refuted if every one refutes one.

    The checks of all regimes are kept, those of a confirming one first.
    """
    found = {
        regime: finding(id, claim, checks, [], quick=quick) for regime, checks in outcomes.items()
    }
    verdicts = [f.verdict for f in found.values()]
    verdict: Verdict = "inconclusive"
    if "confirmed" in verdicts:
        verdict = "confirmed"
    elif set(verdicts) == {"refuted"}:
        verdict = "refuted"
    order = sorted(found, key=lambda regime: found[regime].verdict != "confirmed")
    checks = [
        dataclasses.replace(check, name=f"{regime}: {check.name}")
        for regime in order
        for check in found[regime].checks
    ]
    regimes = tuple(f"{regime}: {found[regime].verdict}" for regime in order)
    return Finding(id, claim, verdict, tuple(checks), regimes, quick)


def _summary(samples: Sequence[float], level: float) -> tuple[float, float, float]:
    values = np.asarray(samples, dtype=float)
    if np.isnan(values).any():
        return (math.nan,) * 3
    low, high = bootstrap_interval(values, level=level)
    return float(np.mean(values)), low, high


def _finite(value: Any) -> Any:
    """JSON has no infinities: they become strings."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
