"""Numerical verdicts on the claims of the ledger that mathematics can decide.

Every check computes its number by means that share nothing with what it tests: an optimiser that
knows no closed form, plain quadrature in ρ, step-by-step simulation, sums over outcomes, exact
fractions, and derivatives by complex steps (f(x + ih) has the imaginary part h f′(x) to rounding).
A claim holds if the number lies within the tolerance of the prediction.
"""

from __future__ import annotations

import dataclasses

from claims import crossover, gradients, lens, optimal_weights, time_to_target  # noqa: F401
from claims.exact import CHECKS


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Outcome of one check.

    Attributes:
        id: Claim of the ledger, such as ``"A1"``.
        quantity: What was measured, in words.
        prediction: The number that the claim predicts.
        measured: The number found.
        tolerance: Largest difference at which the claim holds.
    """

    id: str
    quantity: str
    prediction: float
    measured: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Tell whether the number lies within the tolerance; NaN does not."""
        return abs(self.measured - self.prediction) <= self.tolerance


def claim_ids() -> list[str]:
    """Ids of the claims that have a numerical check, in the order of the ledger.

    Source: the claims ledger of this package.

    >>> claim_ids()[:3]
    ['A1', 'A2', 'A3']
    """
    return sorted(CHECKS)


def check(id: str) -> Verdict:
    """Compute the verdict on a claim; every check takes at most a few seconds.

    Args:
        id: One of :func:`claim_ids`.

    Raises:
        ValueError: A claim without a numerical check.

    Source: arXiv 2602.11128 (A), 2510.08696 (L), 2506.01347 (N); theory.md (O).

    >>> verdict = check("A6")
    >>> verdict.holds, round(verdict.measured, 3)
    (True, 0.86)
    """
    if id not in CHECKS:
        raise ValueError(f"{id!r} has no numerical check; claims that do: {', '.join(claim_ids())}")
    quantity, function = CHECKS[id]
    prediction, measured, tolerance = function()
    return Verdict(id, quantity, float(prediction), float(measured), float(tolerance))
