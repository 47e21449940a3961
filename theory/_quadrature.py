"""Integrals over the success probability, several at once, to a relative error of 1e-10.

All integrands of this package are smooth in logit ρ and, at ρ = 0 and ρ = 1, behave like a power
of the distance to the end. Gauss-Legendre panels in logit ρ therefore converge geometrically, and
what lies within ``_END`` of an end is the integral of that power. Panels that do not agree with
their finer version are given to SciPy's adaptive cubature.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import math
from collections.abc import Callable, Sequence

import numpy as np
from scipy import integrate
from scipy.special import expit, logit

from theory._arrays import Floats

_RELATIVE = 1e-10
_PANEL = 4.0  # width in logit ρ; the nearest singularity of expit is at a distance of π
_ORDER = 20
_END = 1e-8  # the square root of machine precision: 1 − ρ is still known to 1e-8 there


@dataclasses.dataclass(frozen=True)
class Integrals:
    """Values of several integrals.

    Attributes:
        values: One value per integrand; ∞ where the integral diverges.
        errors: Estimated absolute errors.
        converged: Every integral is finite and its error within the tolerance.
        message: What went wrong, empty if nothing did.
    """

    values: Floats
    errors: Floats
    converged: bool
    message: str


def integrate_success(
    integrand: Callable[[Floats], Floats],
    start: float,
    target: float,
    kinks: Sequence[float] = (),
) -> Integrals:
    """Integrate positive functions of ρ from ``start`` to ``target``.

    Args:
        integrand: Maps ρ of shape (n,) to values of shape (m, n), one row per function.
        start: Lower end, in [0, 1).
        target: Upper end, above ``start``, at most 1.
        kinks: Points where a function is continuous but not smooth; panels end there. A kink
            that is not named costs digits: the adaptive rule can miss one close to an end.
    """
    low = min(_END, target / 2) if start == 0 else start
    high = max(1 - _END, (1 + start) / 2) if target == 1 else target
    values, errors, message = _interior(integrand, low, high, kinks)
    for end, near in ((start, low), (target, high)):
        if end != near:
            tail, powers = _tail(integrand, end, near)
            values = values + tail
            if np.any(np.isinf(tail)):
                worst = powers[np.isinf(tail)].max()
                message = (
                    f"the integral diverges at success = {end:g}, where the integrand grows like "
                    f"the distance to the power −{worst:.3g}"
                )
    finite = bool(np.all(np.isfinite(values)))
    small = bool(np.all(errors <= 10 * _RELATIVE * np.abs(values)))
    if finite and not small and not message:
        message = "the quadrature did not reach a relative error of 1e-9"
    return Integrals(values, errors, finite and small, message)


def _interior(
    integrand: Callable[[Floats], Floats], low: float, high: float, kinks: Sequence[float]
) -> tuple[Floats, Floats, str]:
    left, right = float(logit(low)), float(logit(high))
    breaks = sorted({left, right, *(float(logit(k)) for k in kinks if low < k < high)})

    def in_logit(x: Floats) -> Floats:
        success = expit(x)
        # Rounding must not carry a point past the ends a caller's function is defined between.
        inside = np.clip(success, low, high)
        result: Floats = np.asarray(integrand(inside)) * (success * expit(-x))
        return result

    # Two partitions without a common inner edge: what hides from one, the other sees.
    (x0, w0), (x1, w1) = (_panels(breaks, extra) for extra in (0, 1))
    values = in_logit(np.concatenate([x0, x1]))
    coarse, estimate = values[:, : x0.size] @ w0, values[:, x0.size :] @ w1
    if not np.all(np.isfinite(estimate)):
        estimate = np.where(np.isfinite(estimate), estimate, np.inf)
        return estimate, np.zeros_like(estimate), "the integrand is infinite inside the interval"
    error = np.abs(estimate - coarse)
    # Rounding of nodes and values alone is a few units in the last place per point.
    if np.all(error <= _RELATIVE * np.abs(estimate)):
        return estimate, error, ""
    inner = [np.array([x]) for x in breaks[1:-1]]

    def batch(x: Floats) -> Floats:
        return in_logit(x[:, 0]).T

    # Its own estimate can be small by coincidence where a function has a kink, hence rtol / 100.
    result = integrate.cubature(
        batch, [left], [right], rtol=_RELATIVE / 100, atol=0.0, max_subdivisions=500, points=inner
    )
    return np.asarray(result.estimate), np.asarray(result.error), ""


def _panels(breaks: Sequence[float], extra: int) -> tuple[Floats, Floats]:
    """Nodes and weights of Gauss-Legendre panels between consecutive breaks."""
    x, w = _gauss_legendre()
    nodes, weights = [], []
    for left, right in itertools.pairwise(breaks):
        count = max(1, math.ceil((right - left) / _PANEL)) + extra
        half = (right - left) / (2 * count)
        centres = left + half * (2 * np.arange(count) + 1)
        nodes.append((centres[:, None] + half * x).ravel())
        weights.append(np.tile(half * w, count))
    return np.concatenate(nodes), np.concatenate(weights)


@functools.cache
def _gauss_legendre() -> tuple[Floats, Floats]:
    nodes, weights = np.polynomial.legendre.leggauss(_ORDER)
    return nodes, weights


def _tail(integrand: Callable[[Floats], Floats], end: float, near: float) -> tuple[Floats, Floats]:
    """Integral between ``near`` and ``end`` of C·distance^(−p), and the powers p.

    Two points at distances d and 2d determine the power. p ≥ 1 has no finite integral; powers
    within 1e-3 of 1 are taken for 1, since rounding leaves p uncertain by about 1e-8.
    """
    distance = abs(near - end)
    points = np.array([near, near + (near - end)])
    values = np.asarray(integrand(points))
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.where(values[:, 0] > 0, np.log2(values[:, 0] / values[:, 1]), -np.inf)
        tail = np.where(powers < 1 - 1e-3, distance * values[:, 0] / (1 - powers), np.inf)
    return np.where(values[:, 0] > 0, tail, 0.0), powers
