"""The family of weights ω = ρ^−a (1 − ρ)^−b, which gives nothing to groups of one verdict.

It holds weights of the papers, so it stands apart from their schemes: a list of all schemes would
name one weight twice.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from scipy import integrate

from theory._arrays import Array, is_traced
from theory._coefficients import Pair, divide, in_population
from theory._options import Allowed
from theory._registry import BLUE
from theory._scheme import Scheme

__all__ = ["LARGEST", "POWER"]

LARGEST = 4.0
"""Largest power, up or down, of ρ and 1 − ρ."""

Power = Annotated[float, Allowed(-LARGEST, LARGEST)]


def _power(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    a: Power = 1.0,
    b: Power = 0.5,
) -> Pair:
    """A family of weights that gives nothing to groups of one verdict.

    a = b = 0 is Dr. GRPO, a = b = ½ GRPO, a = 1 with b = 0, ½ and 1 Linear-R, Sqrt-R and Uniform-R
    without their penalty on all-wrong groups.
    """

    def product(of_mean: float, of_rest: float) -> Array:
        # Each factor where its power is positive: ∞ times 0 would be undefined.
        above = mean ** max(of_mean, 0) * (1 - mean) ** max(of_rest, 0)
        return divide(xp, above, mean ** max(-of_mean, 0) * (1 - mean) ** max(-of_rest, 0))

    positive, negative = product(-a, 1 - b), product(1 - a, -b)
    if in_population(group_size):
        return positive, negative
    zero = xp.zeros_like(mean)
    return xp.where(mean < 1, positive, zero), xp.where(mean > 0, negative, zero)


def _surrogate(xp: Any, success: Array, *, a: float, b: float) -> Array | None:
    """∫ρ^−a (1−ρ)^−b dρ from ½, which is infinite at 0 for a ≥ 1 and at 1 for b ≥ 1."""
    if is_traced(success):
        return None

    def integral(point: float) -> float:
        if (point == 0 and a >= 1) or (point == 1 and b >= 1):
            return -math.inf if point == 0 else math.inf
        return float(integrate.quad(lambda t: t**-a * (1 - t) ** -b, 0.5, point, limit=200)[0])

    points = [float(point) for point in xp.reshape(success, (-1,))]
    values = xp.asarray([integral(point) for point in points], dtype=success.dtype)
    return xp.reshape(values, tuple(success.shape))


POWER = Scheme.from_coefficients(
    _power,
    "power",
    title="Power",
    formula="ρ^−a (1−ρ)^−b",
    color=BLUE,
    dash="dash",
    surrogate_formula=_surrogate,
)
"""Sqrt-R without its penalty on all-wrong groups, until powers are given."""
