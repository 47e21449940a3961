"""Integrals over the success probability, several at once, to a relative error of 1e-10.

All integrands of this package are smooth in logit ρ and, at ρ = 0 and ρ = 1, behave like a power
of the distance to the end. Gauss-Legendre panels in logit ρ therefore converge geometrically, and
what lies within ``_END`` of an end is the integral of that power. Panels that do not agree with
their finer version are given to SciPy's adaptive cubature; where that fails too, singular points
inside the interval are looked for, at which the integrand is taken for a power of the distance.
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
_NEAR = 1e-9  # in logit ρ, from a singular point: float64 still knows the distance to 1e-7
_PIECES = 200  # panels that do not converge: more of them than singular points have are a stretch
_LOOKS, _ROUGH, _STRETCHES = 2**15, 1e-6, 100
_FEW, _CLOSER = 16, 15  # kinks that are named by hand; 4^−15 is about _NEAR
_END = 1e-8  # the square root of machine precision: 1 − ρ is still known to 1e-8 there

INFINITE = "the integrand is infinite inside the interval"

NARROW = (
    "a peak of the function that was given is missed if it is narrower than 1/10,000 of the range "
    "of log-odds: name such points in kinks"
)
"""What no finite number of looks at a caller's function can exclude."""


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
                message = _diverges(end, float(powers[np.isinf(tail)].max()))
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
    with np.errstate(invalid="ignore"):
        coarse, estimate = values[:, : x0.size] @ w0, values[:, x0.size :] @ w1
    if np.all(np.isfinite(values)):
        error = np.abs(estimate - coarse)
        # Rounding of nodes and values alone is a few units in the last place per point.
        if np.all(error <= _RELATIVE * np.abs(estimate)):
            return estimate, error, ""
    return _adaptive(in_logit, breaks)


def _adaptive(
    in_logit: Callable[[Floats], Floats], breaks: Sequence[float]
) -> tuple[Floats, Floats, str]:
    """Cubature, and where it fails between singular points, with a power law at each of them."""
    left, right = breaks[0], breaks[-1]
    value, error = _cubature(in_logit, left, right, breaks)
    if np.all(error <= 10 * _RELATIVE * np.abs(value)):
        return value, error, ""
    singular = _singular_points(in_logit, breaks, np.abs(value))
    if singular == [] and not np.all(np.isfinite(error)):
        # A weak singularity converges about its point, at which the function has no value.
        singular = [_peak(in_logit, left, right)]
    if singular is None:
        return np.where(np.isfinite(error), value, np.inf), np.zeros_like(value), INFINITE
    ends = [left - _NEAR, *singular, right + _NEAR]
    parts = [
        _cubature(in_logit, low + _NEAR, high - _NEAR, breaks)
        for low, high in itertools.pairwise(ends)
        if high - low > 2 * _NEAR
    ]
    value = sum((part for part, _ in parts), 0 * value)
    error = sum((part for _, part in parts), 0 * value)
    for x in singular:
        near, power = _at_singular(in_logit, x, left, right)
        value = value + near
        if np.any(np.isinf(near)):
            return value, np.zeros_like(value), _diverges(float(expit(x)), power)
    return np.where(np.isfinite(error), value, np.inf), error, ""


def _singular_points(
    in_logit: Callable[[Floats], Floats], breaks: Sequence[float], total: Floats
) -> list[float] | None:
    """Points about which no panel converges, however short; None for whole stretches."""
    x, w = gauss_legendre(_ORDER)
    low, high = np.array(breaks[:-1]), np.array(breaks[1:])

    def panels(low: Floats, high: Floats) -> Floats:
        half = (high - low) / 2
        values = in_logit(((low + high) / 2 + half * x[:, None]).ravel())
        with np.errstate(invalid="ignore"):
            result: Floats = np.einsum("q,mqc->mc", w, values.reshape(-1, x.size, low.size)) * half
        return result

    while low.size and (high - low).max() > _NEAR:
        middle = (low + high) / 2
        whole, left, right = panels(low, high), panels(low, middle), panels(middle, high)
        with np.errstate(invalid="ignore"):
            wrong = ~(np.abs(whole - left - right) <= _RELATIVE * total[:, None])
        bad = np.any(wrong, axis=0)
        low, high = (
            np.concatenate([low[bad], middle[bad]]),
            np.concatenate([middle[bad], high[bad]]),
        )
        if low.size > _PIECES:
            return None
    stretches: list[list[float]] = []
    for start, end in sorted(zip(low.tolist(), high.tolist(), strict=True)):
        if stretches and start - stretches[-1][1] < 4 * _NEAR:
            stretches[-1][1] = end
        else:
            stretches.append([start, end])
    return [_peak(in_logit, *stretch) for stretch in stretches]


def _cubature(
    in_logit: Callable[[Floats], Floats], low: float, high: float, breaks: Sequence[float]
) -> tuple[Floats, Floats]:
    """Adaptive cubature with its error, which is ∞ for a function that is not finite throughout."""
    broken = np.zeros(1, dtype=bool)

    def batch(x: Floats) -> Floats:
        nonlocal broken
        values = in_logit(x[:, 0])
        broken = broken | ~np.all(np.isfinite(values), axis=1)
        return np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0).T

    inner = [np.array([x]) for x in breaks if low < x < high]
    # Its own estimate can be small by coincidence where a function has a kink, hence rtol / 100.
    result = integrate.cubature(
        batch, [low], [high], rtol=_RELATIVE / 100, atol=0.0, max_subdivisions=500, points=inner
    )
    return np.asarray(result.estimate), np.where(broken, np.inf, np.asarray(result.error))


def _peak(in_logit: Callable[[Floats], Floats], low: float, high: float) -> float:
    """Where any of the functions is largest, by zooming into a grid."""
    for _ in range(6):
        grid = np.linspace(low, high, 2001)
        values = np.nan_to_num(np.abs(in_logit(grid)), nan=np.inf).max(axis=0)
        place = int(np.argmax(values))
        low, high = float(grid[max(place - 1, 0)]), float(grid[min(place + 1, 2000)])
    return float(grid[place])


def _at_singular(
    in_logit: Callable[[Floats], Floats], x: float, left: float, right: float
) -> tuple[Floats, float]:
    """Integral within ``_NEAR`` of x of a power law on each side, and the larger power."""
    total, largest = np.zeros(1), -math.inf
    for sign in (-1, 1):
        if not left <= x + 2 * sign * _NEAR <= right:
            continue
        values = in_logit(x + sign * _NEAR * np.array([1.0, 2.0]))
        part, powers = _power_law(values, _NEAR)
        total, largest = total + part, max(largest, float(powers.max()))
    return total, largest


def _panels(breaks: Sequence[float], extra: int) -> tuple[Floats, Floats]:
    """Nodes and weights of Gauss-Legendre panels between consecutive breaks."""
    x, w = gauss_legendre(_ORDER)
    nodes, weights = [], []
    for left, right in itertools.pairwise(breaks):
        count = max(1, math.ceil((right - left) / _PANEL)) + extra
        half = (right - left) / (2 * count)
        centres = left + half * (2 * np.arange(count) + 1)
        nodes.append((centres[:, None] + half * x).ravel())
        weights.append(np.tile(half * w, count))
    return np.concatenate(nodes), np.concatenate(weights)


@functools.cache
def gauss_legendre(count: int) -> tuple[Floats, Floats]:
    """Nodes in (−1, 1) and weights, found once: an eigenproblem, which a busy machine makes long.

    >>> [part.tolist() for part in gauss_legendre(1)]
    [[0.0], [2.0]]
    """
    found = np.polynomial.legendre.leggauss(count)
    for part in found:
        part.setflags(write=False)
    nodes, weights = found
    return nodes, weights


def _tail(integrand: Callable[[Floats], Floats], end: float, near: float) -> tuple[Floats, Floats]:
    """Integral between ``near`` and ``end`` of C·distance^(−p), and the powers p.

    Two points at distances d and 2d determine the power. p ≥ 1 has no finite integral; powers
    within 1e-3 of 1 are taken for 1, since rounding leaves p uncertain by about 1e-8.
    """
    values = np.asarray(integrand(np.array([near, near + (near - end)])))
    return _power_law(values, abs(near - end))


def _power_law(values: Floats, distance: float) -> tuple[Floats, Floats]:
    """Integral from 0 to d of C·x^(−p) with the values at d and 2d, and p; ∞ for p ≥ 1."""
    with np.errstate(divide="ignore", invalid="ignore"):
        powers = np.where(values[:, 0] > 0, np.log2(values[:, 0] / values[:, 1]), -np.inf)
        tail = np.where(powers < 1 - 1e-3, distance * values[:, 0] / (1 - powers), np.inf)
    return np.where(values[:, 0] > 0, tail, 0.0), powers


def _diverges(success: float, power: float) -> str:
    return (
        f"the integral diverges at success = {success:g}, where the integrand grows like "
        f"the distance to the power −{power:.3g}"
    )


def graded(kinks: Sequence[float]) -> tuple[float, ...]:
    """Kinks with points on both sides that come closer by fours, for what is narrow there.

    Many of them, as the steps of a distribution over prompts, are left as they are.
    """
    if len(kinks) > _FEW:
        return tuple(kinks)
    inside = logit(np.array([kink for kink in kinks if 0 < kink < 1]))[:, None]
    steps = 4.0 ** -np.arange(_CLOSER + 1)
    around = expit(np.concatenate([inside - steps, inside + steps], axis=1))
    return tuple(sorted({*map(float, kinks), *map(float, around.ravel())}))


def features(
    function: Callable[[Floats], Floats], start: float, target: float
) -> tuple[float, ...]:
    """Points at which panels should end, for a function that a caller gave and may not be smooth.

    The function is looked at on a grid of log-odds; where its second difference is large, the ends
    and the peak of that stretch are returned. A spike narrower than 1/10,000 of the range of
    log-odds can be missed (:data:`NARROW`), and has to be named as a kink, about which panels are
    :func:`graded`.
    """
    low, high = max(start, _END), min(target, 1 - _END)
    grid = np.linspace(float(logit(low)), float(logit(high)), _LOOKS)
    success = np.clip(expit(grid), low, high)
    with np.errstate(all="ignore"):
        values = np.atleast_2d(np.asarray(function(success), dtype=np.float64))
        bend = np.abs(values[:, 2:] - 2 * values[:, 1:-1] + values[:, :-2])
        rough = np.any(~(bend <= _ROUGH * np.abs(values[:, 1:-1])), axis=0)
        height = np.nan_to_num(np.abs(values), nan=np.inf).max(axis=0)
    changes = np.flatnonzero(np.diff(np.concatenate([[False], rough, [False]]).astype(int)))
    found: list[float] = []
    for first, last in changes.reshape(-1, 2)[:_STRETCHES]:
        middle = first + int(np.argmax(height[first : last + 2]))
        found += [float(success[first]), float(success[middle]), float(success[last + 1])]
    return tuple(sorted({point for point in found if low < point < high}))
