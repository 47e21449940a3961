"""How a prediction is judged by a measurement: checks, intervals over seeds, verdicts.

Every source of evidence is judged by these, and a check keeps the samples behind it, so that a
published verdict can be derived again from its evidence (:func:`judged`, :func:`rejudged`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack, get_args

import numpy as np

from theory.intervals import interval_over_seeds
from theory.schemes import resolve

Verdict = Literal["confirmed", "refuted", "inconclusive"]
Relation = Literal["near", "above", "below"]
Unit = Literal["value", "difference", "ratio", "log ratio"]
"""How a scheme is set against its reference; a value needs none."""

BASE = "base"
"""The reference that is no scheme: the same model before training."""

Rule = Literal["all", "primary", "any"]
"""How checks join: every one counts, those of the first regime do, or one regime is enough."""

LEAST_SEEDS = 5
"""Fewer samples than these decide nothing in a full run, unless the check is exact."""


@dataclasses.dataclass(frozen=True)
class Check:
    """One prediction against one measurement.

    Attributes:
        quantity: What was measured, in words: ``"time to target"``.
        prediction: The number predicted before the run, or the bound.
        relation: ``"near"``, ``"above"`` or ``"below"`` the prediction.
        tolerance: Relative tolerance of ``near``.
        measurement: The number measured.
        low: Lower end of its 95 % interval.
        high: Upper end.
        verdict: What follows.
        samples: The measurement, one value per seed.
        exact: Nothing was sampled: one number is as good as many.
        scheme: Scheme it was measured of; empty where none is.
        reference: Scheme it is compared with, or :data:`BASE`.
        unit: How it is compared.
        regime: Regime it was measured in, where a finding has several.
    """

    quantity: str
    prediction: float
    relation: Relation
    tolerance: float
    measurement: float
    low: float
    high: float
    verdict: Verdict
    samples: tuple[float, ...]
    exact: bool = False
    scheme: str = ""
    reference: str = ""
    unit: Unit = "value"
    regime: str = ""

    @property
    def label(self) -> str:
        """What was measured, in words, without the regime.

        >>> above("time to target", 0.0, [1.0], scheme="sqrt_r", reference="grpo",
        ...       unit="log ratio").label
        'ln of time to target, Sqrt-R over GRPO'
        """
        quantity = f"ln of {self.quantity}" if self.unit == "log ratio" else self.quantity
        scheme, reference = _printed(self.scheme), _printed(self.reference)
        word = "minus" if self.unit == "difference" else "over"
        return ", ".join(
            part
            for part in (quantity, f"{scheme} {word} {reference}" if reference else scheme)
            if part
        )

    @property
    def name(self) -> str:
        """What was measured, and in which regime."""
        return f"{self.label}, {self.regime}" if self.regime else self.label

    @property
    def seeds(self) -> int:
        """Number of seeds behind the measurement."""
        return len(self.samples)


@dataclasses.dataclass(frozen=True)
class Finding:
    """Outcome of a claim in one source.

    Attributes:
        id: Id in the ledger, such as ``"A4"``.
        claim: The claim in one sentence.
        verdict: What follows from the checks by the rule.
        checks: The checks, the main one first.
        regimes: What was run, in words; empty where the checks name their regimes.
        quick: The short version.
        rule: How the checks join, see :func:`rejudged`.
    """

    id: str
    claim: str
    verdict: Verdict
    checks: tuple[Check, ...]
    regimes: tuple[str, ...]
    quick: bool
    rule: Rule = "all"

    def to_dict(self) -> dict[str, Any]:
        """Every field, of JSON types; infinities and NaN are strings.

        >>> finding("A4", "…", [above("gain", 0.0, [0.1])], [], quick=True).to_dict()["verdict"]
        'confirmed'
        """
        values: dict[str, Any] = _finite(dataclasses.asdict(self))
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Finding:
        """The inverse of :meth:`to_dict`; fields of other names are ignored.

        Raises:
            ValueError: A field that is missing or of a wrong type.
        """
        try:
            checks = tuple(_check_from(check) for check in values["checks"])
            regimes = tuple(str(regime) for regime in values["regimes"])
            if values["verdict"] not in get_args(Verdict):
                raise ValueError(f"no verdict {values['verdict']!r}")
            rule = values.get("rule", "all")
            if rule not in get_args(Rule):
                raise ValueError(f"no rule {rule!r}")
            return cls(
                str(values["id"]),
                str(values["claim"]),
                values["verdict"],
                checks,
                regimes,
                bool(values["quick"]),
                rule,
            )
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ValueError(f"not a finding: {type(error).__name__} {error}") from error


class Compared(TypedDict, total=False):
    """Fields of a check that say what it is about."""

    scheme: str
    reference: str
    unit: Unit
    regime: str
    exact: bool


def compared(
    scheme: str,
    reference: str,
    unit: Unit = "difference",
    regime: str = "",
    *,
    exact: bool = False,
) -> Compared:
    """Fields of a check that sets a scheme against a reference.

    >>> above("pass@1", 0.0, [0.1], **compared("nsr", BASE)).label
    'pass@1, NSR minus base'
    """
    return Compared(scheme=scheme, reference=reference, unit=unit, regime=regime, exact=exact)


def near(
    quantity: str,
    prediction: float,
    samples: Sequence[float],
    tolerance: float,
    **about: Unpack[Compared],
) -> Check:
    """Check that a mean lies within a relative tolerance of its prediction.

    Confirmed if the mean is within it, refuted if the whole interval is outside of it.

    Args:
        quantity: What was measured.
        prediction: What was predicted.
        samples: One value per seed.
        tolerance: Relative tolerance.
        **about: Scheme, reference, unit, regime and exact of the :class:`Check`.

    >>> near("ratio", 2.0, [2.02, 1.99, 2.01], 0.05).verdict
    'confirmed'
    """
    return _judge(quantity, prediction, "near", tolerance, samples, **about)


def above(
    quantity: str, bound: float, samples: Sequence[float], **about: Unpack[Compared]
) -> Check:
    """Check that a mean exceeds a bound: confirmed or refuted once the interval is on one side.

    >>> above("gain", 0.0, [0.1, 0.2, 0.1]).verdict
    'confirmed'
    """
    return _judge(quantity, bound, "above", 0.0, samples, **about)


def below(
    quantity: str, bound: float, samples: Sequence[float], **about: Unpack[Compared]
) -> Check:
    """Check that a mean stays under a bound; see :func:`above`.

    >>> below("loss", 0.0, [0.1, -0.2, 0.1]).verdict
    'inconclusive'
    """
    return _judge(quantity, bound, "below", 0.0, samples, **about)


def judged(check: Check) -> Check:
    """The check derived again from its prediction and its samples.

    >>> check = above("gain", 0.0, [0.1, 0.2, 0.1])
    >>> judged(dataclasses.replace(check, verdict="refuted")) == check
    True
    """
    return _judge(
        check.quantity,
        check.prediction,
        check.relation,
        check.tolerance,
        check.samples,
        scheme=check.scheme,
        reference=check.reference,
        unit=check.unit,
        regime=check.regime,
        exact=check.exact,
    )


def rejudged(found: Finding) -> Finding:
    """The finding derived again: every check from its samples, the verdict from its rule.

    Rule ``all``: refuted if one check is, confirmed if all are, else inconclusive. ``primary``: the
    same for the checks of the first check's regime, whatever the others say. ``any``: confirmed if
    one regime confirms all its checks, refuted if every regime refutes one. In a full run a check
    of fewer than five samples counts as inconclusive, unless it is exact.

    >>> found = finding("A4", "sooner", [above("gain", 0.0, [0.1] * 5)], [], quick=False)
    >>> rejudged(dataclasses.replace(found, verdict="refuted")) == found
    True
    """
    checks = tuple(judged(check) for check in found.checks)
    verdict = _joined(checks, found.rule, found.quick)
    return dataclasses.replace(found, checks=checks, verdict=verdict)


def _joined(checks: Sequence[Check], rule: Rule, quick: bool) -> Verdict:
    if not checks:
        return "inconclusive"
    if rule == "all":
        return _every(checks, quick)
    regimes: dict[str, list[Check]] = {}
    for check in checks:
        regimes.setdefault(check.regime, []).append(check)
    verdicts = [_every(part, quick) for part in regimes.values()]
    if rule == "primary":
        return verdicts[0]
    if "confirmed" in verdicts:
        return "confirmed"
    return "refuted" if set(verdicts) == {"refuted"} else "inconclusive"


def _every(checks: Sequence[Check], quick: bool) -> Verdict:
    verdicts = {
        check.verdict if quick or check.exact or check.seeds >= LEAST_SEEDS else "inconclusive"
        for check in checks
    }
    if "refuted" in verdicts:
        return "refuted"
    return "confirmed" if verdicts == {"confirmed"} else "inconclusive"


def _judge(
    quantity: str,
    prediction: float,
    relation: Relation,
    tolerance: float,
    samples: Sequence[float],
    **about: Unpack[Compared],
) -> Check:
    mean, low, high = _summary(samples)
    if relation == "near":
        least, most = sorted((prediction * (1 - tolerance), prediction * (1 + tolerance)))
        holds = least <= mean <= most
        fails = high < least or low > most or math.isinf(mean)
    elif relation == "above":
        holds, fails = low > prediction, high <= prediction
    else:
        holds, fails = high < prediction, low >= prediction
    verdict: Verdict = "confirmed" if holds else "refuted" if fails else "inconclusive"
    kept = tuple(float(sample) for sample in samples)
    return Check(quantity, prediction, relation, tolerance, mean, low, high, verdict, kept, **about)


def finding(
    id: str, claim: str, checks: Sequence[Check], regimes: Sequence[str], *, quick: bool
) -> Finding:
    """Join checks: refuted if one is, confirmed if all are, else inconclusive.

    Args:
        id: Id in the ledger.
        claim: The claim in one sentence.
        checks: The checks, the main one first.
        regimes: What was run, in words.
        quick: The short version.

    >>> checks = [above("gain", 0.0, [0.1]), above("gain", 0.0, [-0.1, 0.2])]
    >>> finding("A4", "sooner", checks, ["rule"], quick=True).verdict
    'inconclusive'
    """
    kept = tuple(checks)
    return Finding(id, claim, _joined(kept, "all", quick), kept, tuple(regimes), quick)


def any_regime(
    id: str, claim: str, outcomes: Mapping[str, Sequence[Check]], *, quick: bool
) -> Finding:
    """Join regimes: confirmed if one confirms all its checks, refuted if every one refutes one.

    The checks of all regimes are kept, those of a confirming one first.

    >>> regimes = {"a": [above("gain", 0.0, [-0.1])], "b": [above("gain", 0.0, [0.1])]}
    >>> regime_verdicts(any_regime("N3", "falls", regimes, quick=True))
    {'b': 'confirmed', 'a': 'refuted'}
    """
    found = _regimes(outcomes, quick)
    order = sorted(found, key=lambda regime: found[regime] != "confirmed")
    return _of_regimes(id, claim, outcomes, found, order, "any", quick)


def primary_regime(
    id: str, claim: str, outcomes: Mapping[str, Sequence[Check]], *, quick: bool
) -> Finding:
    """Join regimes: the verdict is that of the first one, named before the run.

    The checks and verdicts of the others are kept beside it: they tell how far the claim reaches.

    >>> regimes = {"a": [above("gain", 0.0, [-0.1])], "b": [above("gain", 0.0, [0.1])]}
    >>> found = primary_regime("N3", "falls", regimes, quick=True)
    >>> found.verdict, regime_verdicts(found)
    ('refuted', {'a': 'refuted', 'b': 'confirmed'})
    """
    found = _regimes(outcomes, quick)
    return _of_regimes(id, claim, outcomes, found, list(found), "primary", quick)


def regime_verdicts(found: Finding) -> dict[str, Verdict]:
    """Verdict of every regime of a finding whose rule tells regimes apart; else none."""
    if found.rule == "all":
        return {}
    regimes: dict[str, list[Check]] = {}
    for check in found.checks:
        regimes.setdefault(check.regime, []).append(check)
    return _regimes(regimes, found.quick)


def _regimes(outcomes: Mapping[str, Sequence[Check]], quick: bool) -> dict[str, Verdict]:
    return {regime: _joined(checks, "all", quick) for regime, checks in outcomes.items()}


def _of_regimes(
    id: str,
    claim: str,
    outcomes: Mapping[str, Sequence[Check]],
    found: Mapping[str, Verdict],
    order: Sequence[str],
    rule: Rule,
    quick: bool,
) -> Finding:
    if not all(outcomes.values()):
        raise ValueError("every regime must have at least one check")
    checks = tuple(
        dataclasses.replace(check, regime=regime) for regime in order for check in outcomes[regime]
    )
    return Finding(id, claim, _joined(checks, rule, quick), checks, (), quick, rule)


def _printed(scheme: str) -> str:
    return resolve(scheme).label if scheme and scheme != BASE else scheme


def _summary(samples: Sequence[float]) -> tuple[float, float, float]:
    values = np.asarray(samples, dtype=float)
    if not values.size or np.isnan(values).any():
        return (math.nan,) * 3
    with np.errstate(invalid="ignore"):  # ∞ − ∞
        mean = float(np.mean(values))
        return (mean, *interval_over_seeds(values))


def _finite(value: Any) -> Any:
    """JSON has no infinities: they become strings."""
    if isinstance(value, dict):
        return {k: _finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(v) for v in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def _check_from(values: Mapping[str, Any]) -> Check:
    if values["relation"] not in get_args(Relation) or values["verdict"] not in get_args(Verdict):
        raise ValueError(f"no relation {values['relation']!r} or verdict {values['verdict']!r}")
    if values["unit"] not in get_args(Unit):
        raise ValueError(f"no unit {values['unit']!r}")
    numbers = {
        name: float(values[name])
        for name in ("prediction", "tolerance", "measurement", "low", "high")
    }
    return Check(
        quantity=str(values["quantity"]),
        relation=values["relation"],
        verdict=values["verdict"],
        samples=tuple(float(sample) for sample in values["samples"]),
        exact=bool(values.get("exact", False)),
        scheme=str(values["scheme"]),
        reference=str(values["reference"]),
        unit=values["unit"],
        regime=str(values["regime"]),
        **numbers,
    )
