"""Means that the theory's checks share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import stats
from scipy.special import expit, logit

from theory._arrays import Floats
from theory._quadrature import gauss_legendre
from theory.schemes import resolve

TARGET = 0.9
"""Success probability at which times are taken."""

GROUPS: dict[str, Callable[[int], tuple[int, int]]] = {
    "fixed": lambda size: (0, size),
    "until_any": lambda size: (1, size),
    "until_mixed": lambda size: (1, size - 1),
}
"""Design → fewest and most correct responses of a group of M that is kept."""

DESIGN_WORDS = {
    "fixed": "fixed groups",
    "until_any": "groups redrawn until any is right",
    "until_mixed": "groups redrawn until mixed",
}


def gradient(function: Callable[..., Any], at: Floats, *constants: Any) -> Floats:
    """Gradient by complex steps, for functions that take complex numbers."""
    step = 1e-30
    moved = [function(at + 1j * step * unit, *constants) for unit in np.eye(len(at))]
    return np.array([value.imag / step for value in moved])


def log_softmax(logits: Any) -> Any:
    """Logarithm of a softmax, of complex logits too."""
    shifted = logits - logits.real.max()
    return shifted - np.log(np.exp(shifted).sum())


def moment_tables(scheme: str, size: int) -> tuple[Floats, Floats]:
    """Values over K whose binomial means are ω_M and E[A²]."""
    positive, negative = resolve(scheme).table(size)
    share = np.arange(size + 1) / size
    return positive[1:] + negative[:-1], share * positive**2 + (1 - share) * negative**2


def design_moments(
    scheme: str, size: int, success: Floats, design: str
) -> tuple[Floats, Floats, Floats]:
    """Drift ω_S, second moment n_S and responses M/P_S of a design, by SciPy's binomial.

    Args:
        scheme: Scheme with a table.
        size: M.
        success: ρ, shape (points,).
        design: A name in :data:`GROUPS`.
    """
    positive, negative = resolve(scheme).table(size)
    low, high = GROUPS[design](size)
    correct = np.arange(low, high + 1)
    rho = success[:, None]
    chance = np.asarray(stats.binom.pmf(correct, size, rho))
    accepted = chance.sum(axis=1)
    gain = correct * positive[correct] * (1 - rho) + (size - correct) * negative[correct] * rho
    drift = (chance * gain).sum(axis=1) / (size * accepted * success * (1 - success))
    share = correct / size
    squares = share * positive[correct] ** 2 + (1 - share) * negative[correct] ** 2
    return drift, (chance * squares).sum(axis=1) / accepted, size / accepted


def design_costs(scheme: str, size: int, start: float, design: str) -> tuple[float, float, float]:
    """Responses, energy and weight budget from a start to :data:`TARGET` under the mirror flow.

    Returns:
        ∫ (M/P_S)/ω_S dℓ, ∫ n_S/ω_S dℓ and ∫ ω_S dρ, ℓ = logit ρ, by Gauss-Legendre sums.
    """
    nodes, weights = gauss_legendre(400)
    half = (logit(TARGET) - logit(start)) / 2
    success = expit(logit(start) + half * (nodes + 1))
    drift, second, responses = design_moments(scheme, size, success, design)
    step = half * weights
    return (
        float(step @ (responses / drift)),
        float(step @ (second / drift)),
        float(step @ (drift * success * (1 - success))),
    )
