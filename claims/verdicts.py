"""How a prediction is judged by a measurement: checks, intervals over seeds, verdicts.

Intervals are Student's t over seeds, of logarithms where a check is of a ratio. A check has *no
effect* if its whole interval lies within ±δ, the smallest effect that a user would act on; else it
is confirmed or refuted once the whole interval is on one side, and open until then. Closeness is
confirmed by two one-sided tests: the whole interval lies within the tolerance.

Every source of evidence is judged by these, and a check keeps the samples behind it, so that a
published verdict can be derived again from its evidence (:func:`judged`, :func:`rejudged`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypedDict, Unpack, get_args

import numpy as np

from theory.intervals import mean_interval
from theory.schemes import resolve

Verdict = Literal["no effect", "confirmed", "refuted", "open"]
Relation = Literal["near", "above", "below"]
Unit = Literal["value", "difference", "ratio", "log ratio"]
"""How a scheme is set against its reference; a value needs none."""

BASE = "base"
"""The reference that is no scheme: the same model before training."""

Rule = Literal["all", "primary"]
"""How checks join: every one counts, or those of the first regime do."""

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
        low: Lower end of its interval.
        high: Upper end.
        verdict: What follows.
        samples: The measurement, one value per seed.
        delta: δ, the smallest effect that a user would act on; 0 where none is stated.
        level: Coverage of the interval, corrected for looks where seeds were added.
        exact: Nothing was sampled: one number is as good as many.
        void: Why nothing can be told, such as a pass@k that was 1 before training; else empty.
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
    delta: float = 0.0
    level: float = 0.95
    exact: bool = False
    void: str = ""
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

    @property
    def allows_none(self) -> bool:
        """Tell whether no effect is what was predicted: the bound lies at δ or beyond.

        >>> above("pass@1", -0.01, [0.0], delta=0.01).allows_none, below("ln", 0.0, []).allows_none
        (True, False)
        """
        far = self.prediction if self.relation == "below" else -self.prediction
        return self.relation != "near" and self.delta > 0 and far >= self.delta * (1 - 1e-9)

    @property
    def holds(self) -> bool:
        """Tell whether what was predicted came out."""
        return self.verdict == "confirmed" or (self.verdict == "no effect" and self.allows_none)


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

        >>> finding("A4", "…", [above("gain", 0.0, [0.1] * 5)], [], quick=True).to_dict()["rule"]
        'all'
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
    delta: float
    level: float
    exact: bool
    void: str


def compared(
    scheme: str,
    reference: str,
    unit: Unit = "difference",
    regime: str = "",
    *,
    exact: bool = False,
    void: str = "",
) -> Compared:
    """Fields of a check that sets a scheme against a reference.

    >>> above("pass@1", 0.0, [0.1], **compared("nsr", BASE)).label
    'pass@1, NSR minus base'
    """
    return Compared(
        scheme=scheme, reference=reference, unit=unit, regime=regime, exact=exact, void=void
    )


def near(
    quantity: str,
    prediction: float,
    samples: Sequence[float],
    tolerance: float,
    **about: Unpack[Compared],
) -> Check:
    """Check that a mean lies within a relative tolerance of its prediction.

    Confirmed if the whole interval is within it, by two one-sided tests; refuted if the whole
    interval is outside of it.

    Args:
        quantity: What was measured.
        prediction: What was predicted.
        samples: One value per seed.
        tolerance: Relative tolerance.
        **about: Scheme, reference, unit, regime and exact of the :class:`Check`.

    >>> near("ratio", 2.0, [2.02, 1.99, 2.01], 0.05).verdict
    'confirmed'
    >>> near("ratio", 2.0, [-50.0, 54.0, 2.0, 1.9, 2.2], 0.1).verdict
    'open'
    """
    return judge(quantity, prediction, "near", tolerance, samples, **about)


def above(
    quantity: str, bound: float, samples: Sequence[float], **about: Unpack[Compared]
) -> Check:
    """Check that a mean exceeds a bound: confirmed or refuted once the interval is on one side.

    >>> above("gain", 0.0, [0.1, 0.2, 0.15, 0.1]).verdict
    'confirmed'
    >>> above("gain", 0.0, [0.001, 0.002, 0.0015], delta=0.01).verdict
    'no effect'
    """
    return judge(quantity, bound, "above", 0.0, samples, **about)


def below(
    quantity: str, bound: float, samples: Sequence[float], **about: Unpack[Compared]
) -> Check:
    """Check that a mean stays under a bound; see :func:`above`.

    >>> below("loss", 0.0, [0.1, -0.2, 0.1]).verdict
    'open'
    """
    return judge(quantity, bound, "below", 0.0, samples, **about)


def judged(check: Check) -> Check:
    """The check derived again from its prediction and its samples.

    >>> check = above("gain", 0.0, [0.1, 0.2, 0.15, 0.1])
    >>> judged(dataclasses.replace(check, verdict="refuted")) == check
    True
    """
    return judge(
        check.quantity,
        check.prediction,
        check.relation,
        check.tolerance,
        check.samples,
        scheme=check.scheme,
        reference=check.reference,
        unit=check.unit,
        regime=check.regime,
        delta=check.delta,
        level=check.level,
        exact=check.exact,
        void=check.void,
    )


def rejudged(found: Finding) -> Finding:
    """The finding derived again: every check from its samples, the verdict from its rule.

    Rule ``all``: refuted if a check is, open if one is; of the others, no effect if all checks that
    state a δ show none, or all that predicted an effect; refuted if the effect is there in some
    checks and not in others that predicted it; else confirmed. ``primary``: the same for the
    checks of the first check's regime, whatever the others say. In a full run a check of fewer than
    five samples counts as open, unless it is exact.

    >>> found = finding("A4", "sooner", [above("gain", 0.0, [0.1] * 5)], [], quick=False)
    >>> rejudged(dataclasses.replace(found, verdict="refuted")) == found
    True
    """
    checks = tuple(judged(check) for check in found.checks)
    verdict = _joined(checks, found.rule, found.quick)
    return dataclasses.replace(found, checks=checks, verdict=verdict)


def _joined(checks: Sequence[Check], rule: Rule, quick: bool) -> Verdict:
    if not checks:
        return "open"
    counted = [c for c in checks if rule == "all" or c.regime == checks[0].regime]
    verdicts = {
        c.verdict if quick or c.exact or c.seeds >= LEAST_SEEDS else "open" for c in counted
    }
    if "refuted" in verdicts:
        return "refuted"
    if "open" in verdicts:
        return "open"
    sized = [check for check in counted if check.delta > 0]
    effects = [check for check in sized if not check.allows_none]
    none = [check for check in sized if check.verdict == "no effect"]
    if none and (len(none) == len(sized) or (effects and not any(c.holds for c in effects))):
        return "no effect"
    return "confirmed" if all(check.holds for check in counted) else "refuted"


def judge(
    quantity: str,
    prediction: float,
    relation: Relation,
    tolerance: float,
    samples: Sequence[float],
    **about: Unpack[Compared],
) -> Check:
    """Judge samples by a prediction: no effect, confirmed, refuted or open, the first that holds.

    Args:
        quantity: What was measured.
        prediction: The number predicted, or the bound.
        relation: ``"near"``, ``"above"`` or ``"below"``.
        tolerance: Relative tolerance of ``near``.
        samples: One value per seed.
        **about: Other fields of the :class:`Check`.
    """
    kept = tuple(float(sample) for sample in samples)
    mean, low, high = _interval(
        kept, about.get("unit", "value"), about.get("level", 0.95), about.get("exact", False)
    )
    delta = about.get("delta", 0.0)
    if relation == "near":
        least, most = sorted((prediction * (1 - tolerance), prediction * (1 + tolerance)))
        holds, fails = least <= low and high <= most, high < least or low > most
    elif relation == "above":
        holds, fails = low > prediction, high <= prediction
    else:
        holds, fails = high < prediction, low >= prediction
    verdict: Verdict = "confirmed" if holds else "refuted" if fails else "open"
    if delta > 0 and -delta <= low and high <= delta:
        verdict = "no effect"
    if about.get("void"):
        verdict = "open"
    return Check(quantity, prediction, relation, tolerance, mean, low, high, verdict, kept, **about)


def finding(
    id: str, claim: str, checks: Sequence[Check], regimes: Sequence[str], *, quick: bool
) -> Finding:
    """Join checks by the rule ``all`` of :func:`rejudged`.

    Args:
        id: Id in the ledger.
        claim: The claim in one sentence.
        checks: The checks, the main one first.
        regimes: What was run, in words.
        quick: The short version.

    >>> checks = [above("gain", 0.0, [0.1, 0.1]), above("gain", 0.0, [-0.1, 0.2])]
    >>> finding("A4", "sooner", checks, ["rule"], quick=True).verdict
    'open'
    """
    kept = tuple(checks)
    return Finding(id, claim, _joined(kept, "all", quick), kept, tuple(regimes), quick)


def said(function: object) -> str:
    """What a check says it finds: the first line of its docstring, without the full stop.

    >>> said(said)
    'What a check says it finds: the first line of its docstring, without the full stop'
    """
    return (getattr(function, "__doc__", "") or "").partition("\n")[0].removesuffix(".")


def primary_regime(
    id: str, claim: str, outcomes: Mapping[str, Sequence[Check]], *, quick: bool
) -> Finding:
    """Join regimes: the verdict is that of the first one, named before the run.

    The checks and verdicts of the others are kept beside it: they tell how far the claim reaches.

    >>> regimes = {"a": [above("gain", 0.0, [-0.1] * 2)], "b": [above("gain", 0.0, [0.1] * 2)]}
    >>> found = primary_regime("N3", "falls", regimes, quick=True)
    >>> found.verdict, regime_verdicts(found)
    ('refuted', {'a': 'refuted', 'b': 'confirmed'})
    """
    if not all(outcomes.values()):
        raise ValueError("every regime must have at least one check")
    checks = tuple(
        dataclasses.replace(check, regime=regime)
        for regime, found in outcomes.items()
        for check in found
    )
    return Finding(id, claim, _joined(checks, "primary", quick), checks, (), quick, "primary")


def regime_verdicts(found: Finding) -> dict[str, Verdict]:
    """Verdict of every regime of a finding whose rule tells regimes apart; else none."""
    if found.rule == "all":
        return {}
    regimes: dict[str, list[Check]] = {}
    for check in found.checks:
        regimes.setdefault(check.regime, []).append(check)
    return {regime: _joined(checks, "all", found.quick) for regime, checks in regimes.items()}


def _printed(scheme: str) -> str:
    return resolve(scheme).label if scheme and scheme != BASE else scheme


def _interval(
    samples: Sequence[float], unit: Unit, level: float, exact: bool
) -> tuple[float, float, float]:
    """Mean and interval; of a ratio that is positive throughout, the geometric mean's."""
    values = np.asarray(samples, dtype=float)
    if not values.size or np.isnan(values).any():
        return (math.nan,) * 3
    if exact or (np.isinf(values).all() and np.ptp(np.sign(values)) == 0):
        return (float(values[0]),) * 3
    if np.isinf(values).any():  # a time that was never reached has no mean
        return float(np.sort(values)[values.size // 2]), -math.inf, math.inf
    log = unit == "ratio" and bool(values.min() > 0)
    mean, low, high = mean_interval(values, level=level, log=log)
    return mean, low, high


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
        delta=float(values.get("delta", 0.0)),
        level=float(values.get("level", 0.95)),
        exact=bool(values.get("exact", False)),
        void=str(values.get("void", "")),
        scheme=str(values["scheme"]),
        reference=str(values["reference"]),
        unit=values["unit"],
        regime=str(values["regime"]),
        **numbers,
    )
