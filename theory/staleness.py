"""Staleness: updates made from responses that the policy gave some time ago.

A response sampled τ earlier comes from a policy of success ρ_τ = ρ(t−τ). With *importance weights*
π/π_τ the update is on policy but for the advantage, which was computed from the old group. Without
them right responses count ρ_τ/ρ times what they should, wrong ones (1−ρ_τ)/(1−ρ) times. In the
mirror flow, with a KL anchor,

    dℓ/dt = η ω(ρ_τ) − κ(ρ)                                                    (weights),
    dℓ/dt = η (E[A|r=1] ρ_τ/ρ − E[A|r=0] (1−ρ_τ)/(1−ρ)) − κ(ρ)                 (none),

the expectations at ρ_τ; for centred schemes the second is dρ/dt = η e(ρ_τ) − κρ(1−ρ), e the
effective weight. About a resting point x′ = −a x(t−τ) − b x(t), whose solutions die out for every
lag if b ≥ |a|, and if a > |b| as long as

    τ < arccos(−b/a)/√(a² − b²).

With weights a = −ηω′ρ(1−ρ) and b = β: for small β the limit is η|ω′|ρ(1−ρ)τ < π/2. Without them
a = −ηe′ and b = β + ηω(1−2ρ), and a lag can carry ρ up to 1 in finite time, as e(ρ_τ) is not 0
then.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy.special import expit, logit

from theory._arrays import Array, Floats, check_interval
from theory.finite_group import expected_advantages
from theory.schemes import SchemeLike, resolve

__all__ = ["critical_lag", "delayed_trajectory", "stale_drift"]

_FAR = 36.0  # log-odds at which 1 − ρ is the rounding of 1
_SMALL = 2e-3  # in log-odds


def stale_drift(
    scheme: SchemeLike,
    success: Array,
    sampled: Array,
    *,
    group_size: int | None = None,
    importance_weights: bool = True,
) -> Floats:
    """Drift dℓ/dt of the log-odds at ρ, made of responses that were sampled at ρ_τ.

    Args:
        scheme: Scheme, or its name.
        success: ρ now, any shape, in (0, 1).
        sampled: ρ_τ when the responses were sampled, of a shape that broadcasts, in (0, 1).
        group_size: M; ``None`` for the population limit.
        importance_weights: Whether responses count by π/π_τ.

    Returns:
        The drift at a learning rate of 1, without an anchor.

    Raises:
        ValueError: Values outside these ranges, a scheme without a table.

    Source: theory.md, section 8 "Staleness".

    >>> float(stale_drift("rloo", 0.5, 0.1)), float(stale_drift("rloo", 0.5, 0.1,
    ...     importance_weights=False).round(4))  # e(0.1)/(0.5·0.5)
    (1.0, 0.36)
    """
    now, old = np.asarray(success, dtype=np.float64), np.asarray(sampled, dtype=np.float64)
    check_interval("success", now, open_ends=True)
    check_interval("sampled", old, open_ends=True)
    right, wrong = (np.asarray(x) for x in expected_advantages(scheme, group_size, old))
    if importance_weights:
        return np.asarray(right - wrong + 0 * now)
    return np.asarray(right * (old / now) - wrong * ((1 - old) / (1 - now)))


def critical_lag(
    scheme: SchemeLike,
    success: float,
    *,
    coefficient: float,
    rate: float = 1.0,
    group_size: int | None = None,
    importance_weights: bool = True,
) -> float:
    """Largest lag τ at which a resting point is stable.

    Args:
        scheme: Scheme, or its name.
        success: ρ of the resting point, in (0, 1), where ηω = κ; see
            :func:`theory.kl_anchor.resting_points`.
        coefficient: β > 0 of the anchor, per unit of time.
        rate: η > 0.
        group_size: M; ``None`` for the population limit.
        importance_weights: Whether responses count by π/π_τ.

    Returns:
        τ in units of time; ∞ if every lag is harmless, 0 if the point is unstable without one.

    Raises:
        ValueError: Values outside these ranges.

    Source: theory.md, section 8 "Staleness".

    >>> round(critical_lag("linear_r", 0.5, coefficient=1e-9) * 1.0, 4)  # |ω′|ρ(1−ρ) = 1; π/2
    1.5708
    """
    check_interval("success", np.asarray(success, dtype=np.float64), open_ends=True)
    if not (coefficient > 0 and math.isfinite(coefficient) and rate > 0 and math.isfinite(rate)):
        raise ValueError("coefficient and rate must be positive numbers")
    odds = float(logit(success))

    def drift(now: float, old: float) -> float:
        ends = float(expit(odds + now)), float(expit(odds + old))
        options = {"group_size": group_size, "importance_weights": importance_weights}
        return float(stale_drift(scheme, *ends, **options))  # type: ignore[arg-type]

    a = -rate * _derivative(lambda x: drift(0.0, x))
    b = coefficient - rate * _derivative(lambda x: drift(x, 0.0))
    if a + b <= 0:
        return 0.0
    if a <= abs(b):
        return math.inf
    return math.acos(-b / a) / math.sqrt(a * a - b * b)


def _derivative(function: Callable[[float], float]) -> float:
    """Derivative at 0, by differences that err by the fourth power of their distance."""
    near, far = (function(h) - function(-h) for h in (_SMALL, 2 * _SMALL))
    return (8 * near - far) / (12 * _SMALL)


def delayed_trajectory(
    scheme: SchemeLike,
    start: float,
    *,
    lag: float,
    duration: float,
    coefficient: float = 0.0,
    reference: float | None = None,
    rate: float = 1.0,
    group_size: int | None = None,
    importance_weights: bool = True,
    steps_per_lag: int = 64,
) -> tuple[Floats, Floats]:
    """Success probability along a flow that learns from responses sampled τ earlier.

    Until τ the responses are those of the start. Runge-Kutta's method of fourth order, in steps
    that divide the lag, with cubic interpolation of the past.

    Args:
        scheme: Scheme, or its name.
        start: ρ₀ in (0, 1).
        lag: τ > 0.
        duration: Time to follow the flow for, positive.
        coefficient: β ≥ 0 of the anchor, per unit of time.
        reference: ρ_ref in (0, 1); ``start`` by default.
        rate: η > 0.
        group_size: M; ``None`` for the population limit.
        importance_weights: Whether responses count by π/π_τ.
        steps_per_lag: Steps in a time of τ, at least 1.

    Returns:
        Times, a step apart, and ρ at each.

    Raises:
        ValueError: Values outside these ranges, or a flow that leaves the numbers.

    Source: theory.md, section 8 "Staleness".

    >>> times, success = delayed_trajectory("rloo", 0.5, lag=1.0, duration=2.0)
    >>> float(times[-1]), float(success[-1].round(6))  # a constant weight has no memory: σ(2)
    (2.0, 0.880797)
    """
    anchor = start if reference is None else reference
    check_interval("start and reference", np.array([start, anchor]), open_ends=True)
    if not all(0 < x < math.inf for x in (lag, duration, rate)) or not 0 <= coefficient < math.inf:
        raise ValueError("lag, duration and rate must be positive numbers, coefficient at least 0")
    if steps_per_lag < 1:
        raise ValueError(f"steps_per_lag must be at least 1; got {steps_per_lag}")
    bound, first, home = resolve(scheme), float(logit(start)), float(logit(anchor))
    step = lag / steps_per_lag
    count = math.ceil(duration / step - 1e-9)
    odds, slopes = np.empty(count + 1), np.empty(count + 1)

    def slope(now: float, old: float) -> float:
        if not max(abs(now), abs(old)) < _FAR:
            raise ValueError("the flow leaves the numbers: the success probability runs to 0 or 1")
        drift = stale_drift(
            bound,
            float(expit(now)),
            float(expit(old)),
            group_size=group_size,
            importance_weights=importance_weights,
        )
        return rate * float(drift) - coefficient * (now - home)

    def past(place: int, half: bool) -> float:
        """Log-odds a lag before the step ``place``, or before the middle of it."""
        place -= steps_per_lag
        if place < 0:
            return first
        if not half:
            return float(odds[place])
        mean = (odds[place] + odds[place + 1]) / 2
        return float(mean + step * (slopes[place] - slopes[place + 1]) / 8)

    odds[0], slopes[0] = first, slope(first, first)
    for place in range(count):
        now, middle, later = float(odds[place]), past(place, True), past(place + 1, False)
        k1 = slope(now, past(place, False))
        k2 = slope(now + step / 2 * k1, middle)
        k3 = slope(now + step / 2 * k2, middle)
        k4 = slope(now + step * k3, later)
        odds[place + 1] = now + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        slopes[place + 1] = slope(float(odds[place + 1]), later)
    times: Floats = step * np.arange(count + 1.0)
    return times, np.asarray(expit(odds))
