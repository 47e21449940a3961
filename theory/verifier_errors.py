"""Wrong verifiers: what false positives and false negatives do to drift, noise and success.

A wrong response passes with probability f₀ and a right one fails with probability f₁. With
J = 1 − f₀ − f₁ a prompt of success probability ρ shows the pass rate

    ρ̃ = f₀ + Jρ.

*Errors drawn independently* for every response: of two responses the right one passes more often by
J, so that a scheme moves by Jω_M(ρ̃) v instead of ω_M(ρ) v, with the noise E[A²] at ρ̃. Every
weight is constant for ρ ≲ f₀/J, where passes are accidents, and below J = 0 training unlearns,
whatever the scheme. The reward (r − f₀)/J has mean ρ; with a constant weight it undoes J in the
drift and multiplies E[A²] by 1/J², while a standardised one has the same advantages as before.

*Errors that stick* to a response, as those of a verifier that a wrong answer fools every time: the
wrong responses that pass grow in step with the right ones that pass, and the shares

    right : fooling = ρ₀(1−f₁) : (1−ρ₀)f₀

among what passes never change. The flow goes to a pass rate of 1 and a success of less, unless
f₀ = 0. The sign of J does not change either on the way.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from theory._arrays import Array, Floats, as_floating, check_interval, namespace
from theory.dynamics import Weight, weight_function

__all__ = ["RIGHT", "VerifierErrors", "sticking_success"]


@dataclasses.dataclass(frozen=True)
class VerifierErrors:
    """How often a verifier errs.

    Attributes:
        false_positive: f₀ in [0, 1], the share of wrong responses that pass.
        false_negative: f₁ in [0, 1], the share of right responses that fail.
    """

    false_positive: float = 0.0
    false_negative: float = 0.0

    def __post_init__(self) -> None:
        """Check the shares."""
        for name in ("false_positive", "false_negative"):
            check_interval(name, np.asarray(getattr(self, name), dtype=np.float64))

    @property
    def informedness(self) -> float:
        """J = 1 − f₀ − f₁, by how much more often a right response passes than a wrong one."""
        return 1 - self.false_positive - self.false_negative

    def observed(self, success: Array) -> Array:
        """Pass rate ρ̃ = f₀ + Jρ at success probability ρ, any shape, in [0, 1].

        >>> float(VerifierErrors(0.02, 0.1).observed(0.5))
        0.46
        """
        success = as_floating(success)
        check_interval("success", success)
        return self.false_positive + self.informedness * success

    def success(self, observed: Array) -> Array:
        """Success probability ρ = (ρ̃ − f₀)/J behind a pass rate.

        Args:
            observed: ρ̃, any shape, between f₀ and 1 − f₁. Measured pass rates scatter and may lie
                outside: bring them into the range first, knowingly.

        Raises:
            ValueError: A pass rate outside the range, or J = 0, when it says nothing.

        >>> float(VerifierErrors(0.02, 0.1).success(0.46).round(12))
        0.5
        """
        observed = as_floating(observed)
        if self.informedness == 0:
            raise ValueError("with false_positive + false_negative = 1 a pass rate says nothing")
        low, high = sorted((self.false_positive, 1 - self.false_negative))
        check_interval("observed", observed, low=low, high=high)
        return (observed - self.false_positive) / self.informedness

    def corrected(self, rewards: Array) -> Array:
        """Rewards (r − f₀)/J, whose mean is the true ρ; not in [0, 1] any more.

        Raises:
            ValueError: J = 0.

        >>> VerifierErrors(0.1, 0.1).corrected(np.array([0.0, 1.0])).round(3).tolist()
        [-0.125, 1.125]
        """
        if self.informedness == 0:
            raise ValueError("with false_positive + false_negative = 1 a reward says nothing")
        return (as_floating(rewards) - self.false_positive) / self.informedness

    def weight(self, scheme: Weight, group_size: int | None = None) -> Callable[[Array], Array]:
        """The weight Jω(ρ̃) with which a scheme really moves ρ, as a function of ρ.

        Args:
            scheme: A scheme, its name, or a function from ρ to ω(ρ).
            group_size: M for ω_M; ``None`` for the population limit.

        Returns:
            A function that ``time_to_target`` and ``OptimalWeight.excess`` take. It is negative
            for J < 0.

        Raises:
            ValueError: An unknown scheme, or one without a weight.

        Source: theory.md, section 8 "Wrong verifiers".

        >>> from theory.optimal import optimal_weight
        >>> best, errors = optimal_weight(0.01, 0.9), VerifierErrors(0.02, 0.1)
        >>> [round(best.excess(errors.weight(name)), 3) for name in ("grpo", "linear_r", "sqrt_r")]
        [1.813, 1.08, 1.092]
        """
        told = weight_function(scheme, group_size=group_size)

        def real(success: Array) -> Array:
            success = as_floating(success)
            xp = namespace(success)
            # At the ends rounding may carry f₀ + Jρ out of [0, 1] by a unit in the last place.
            observed = xp.clip(self.false_positive + self.informedness * success, 0.0, 1.0)
            return self.informedness * told(observed)

        return real


RIGHT = VerifierErrors()
"""A verifier that is always right."""


def sticking_success(start: float, errors: VerifierErrors, observed: Array) -> Floats:
    """True success when the pass rate has come to ρ̃ and errors stick to their responses.

    ρ = ρ̃ R + (1−ρ̃) W, where R = ρ₀(1−f₁)/ρ̃₀ is the share of right responses among those that
    pass, and W = ρ₀f₁/(1−ρ̃₀) among those that fail. The flow changes neither.

    Args:
        start: ρ₀ in (0, 1).
        errors: f₀ and f₁ at the start.
        observed: ρ̃, any shape, in [0, 1]; ρ̃₀ at the start, 1 in the end.

    Returns:
        ρ, of the shape of ``observed``; it falls as ρ̃ rises if J < 0.

    Raises:
        ValueError: Values outside these ranges, or a start at which all responses pass or none.

    Source: theory.md, section 8 "Wrong verifiers".

    >>> sticking_success(0.01, VerifierErrors(0.02, 0.1), [0.0288, 1.0]).round(4).tolist()
    [0.01, 0.3125]
    """
    check_interval("start", np.asarray(start, dtype=np.float64), open_ends=True)
    passing = float(errors.observed(start))
    if not 0 < passing < 1:
        raise ValueError("at the start some responses must pass and some fail")
    told = np.asarray(observed, dtype=np.float64)
    check_interval("observed", told)
    among_passed = start * (1 - errors.false_negative) / passing
    among_failed = start * errors.false_negative / (1 - passing)
    return np.asarray(told * among_passed + (1 - told) * among_failed)
