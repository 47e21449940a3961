"""What the mathematics says of the claims that it can decide.

Every check computes its number by means that share nothing with what it tests: an optimiser that
knows no closed form, plain quadrature in ρ, step-by-step simulation, sums over outcomes, exact
fractions, and derivatives by complex steps (f(x + ih) has the imaginary part h f′(x) to rounding).
"""

from __future__ import annotations

from collections.abc import Callable

from claims import (
    crossover,
    designs,
    gradients,
    lens,
    noise_dose,
    optimal_weights,
    shaping,
    spending,
    spread_and_sharing,
    time_to_target,
    unequal_prompts,
)
from claims.spec import bound
from claims.verdicts import Check, said

CHECKS: dict[str, Callable[[], float | list[Check]]] = {
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
    "O2": designs.theory_o2,
    "O3": gradients.theory_o3,
    "O4": crossover.theory_o4,
    "O5": designs.theory_o5,
    "O6": designs.theory_o6,
    "O7": unequal_prompts.theory_o7,
    "O9": noise_dose.theory_o9,
    "O10": shaping.theory_o10,
    "O11": spread_and_sharing.theory_o11,
    "O12": unequal_prompts.theory_o12,
    "S1": spending.theory_s1,
    "S2": spending.theory_s2,
}
"""Claim → its checks, or the one number that its main bound judges; of a number the docstring says
what it is."""


def theory_checks(id: str) -> list[Check]:
    """Compute what a claim predicts, a few seconds at most; the main check is first.

    Args:
        id: One of :data:`CHECKS`.

    Raises:
        ValueError: A claim that the theory does not decide.

    Source: arXiv 2602.11128 (A), 2510.08696 (L), 2506.01347 (N); docs/theory.md (O).

    >>> [check] = theory_checks("O1")
    >>> check.verdict, check.quantity[:27]
    ('confirmed', 'largest relative difference')
    """
    if id not in CHECKS:
        raise ValueError(f"{id!r} has no check in theory; claims that do: {', '.join(CHECKS)}")
    found = CHECKS[id]()
    if isinstance(found, list):
        return found
    words = said(CHECKS[id])
    return [bound(id, "theory").check(words[:1].lower() + words[1:], [found], exact=True)]
