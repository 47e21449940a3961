"""Numerical verdicts on the claims of the ledger that mathematics can decide.

Every check computes its number by means that share nothing with what it tests: an optimiser that
knows no closed form, plain quadrature in ρ, step-by-step simulation, sums over outcomes, exact
fractions, and derivatives by complex steps (f(x + ih) has the imaginary part h f′(x) to rounding).
A claim holds if the number lies within the tolerance of the prediction.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from claims import crossover, gradients, lens, optimal_weights, time_to_target
from claims.exact import Comparison

CHECKS: dict[str, Callable[[], Comparison]] = {
    "A1": optimal_weights.theory_a1,
    "A2": optimal_weights.theory_a2,
    "A3": optimal_weights.theory_a3,
    "A4": time_to_target.theory_a4,
    "A5": time_to_target.theory_a5,
    "A6": time_to_target.theory_a6,
    "L1": lens.theory_l1,
    "L2": lens.theory_l2,
    "N1": gradients.theory_n1,
    "O1": gradients.theory_o1,
    "O2": optimal_weights.theory_o2,
    "O3": gradients.theory_o3,
    "O4": crossover.theory_o4,
}
"""Claim → the function that measures it; its docstring says what is measured."""


@dataclasses.dataclass(frozen=True)
class NumericalCheck:
    """A number that was computed, beside the one predicted.

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

    >>> claim_ids()[:3]
    ['A1', 'A2', 'A3']
    """
    return sorted(CHECKS)


def check(id: str) -> NumericalCheck:
    """Compute the number that a claim predicts; every check takes at most a few seconds.

    Args:
        id: One of :func:`claim_ids`.

    Raises:
        ValueError: A claim without a numerical check.

    Source: arXiv 2602.11128 (A), 2510.08696 (L), 2506.01347 (N); theory.md (O).

    >>> found = check("A6")
    >>> found.holds, round(found.measured, 3)
    (True, 0.86)
    """
    if id not in CHECKS:
        raise ValueError(f"{id!r} has no numerical check; claims that do: {', '.join(claim_ids())}")
    said = (CHECKS[id].__doc__ or "").removesuffix(".")
    prediction, measured, tolerance = CHECKS[id]()
    return NumericalCheck(
        id, said[:1].lower() + said[1:], float(prediction), float(measured), float(tolerance)
    )
