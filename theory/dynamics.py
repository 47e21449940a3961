"""Dynamics: how fast the success probability moves, and when it reaches a target.

A scheme of weight ω moves ρ by dρ/dt = ω(ρ) v(ρ), where the velocity v belongs to the update rule.
The mirror (natural-gradient) flow has v = ρ(1−ρ), that is d logit ρ/dt = ω(ρ).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy import integrate, optimize
from scipy.special import expit, logit

from theory._arrays import Array, Floats, check_interval, elementwise
from theory._quadrature import INFINITE, NARROW, features, graded, integrate_success
from theory._velocity import DYNAMICS, Dynamics, check_range, resolve_dynamics
from theory.clocks import Clock, resolve_clock
from theory.schemes import Scheme, resolve

__all__ = [
    "DYNAMICS",
    "Dynamics",
    "TimeToTarget",
    "Weight",
    "check_range",
    "is_custom",
    "resolve_dynamics",
    "scheme_kinks",
    "time_to_target",
    "trajectory",
    "weight_function",
]

Weight = str | Scheme | Callable[[Array], Array]
"""A scheme, its name, or a function from ρ to ω(ρ)."""

_HIGHEST, _LOWEST = 36.0, 708.39  # log-odds of 1 − 2e-16 and of 2.2e-308, the ends of float64


_TINY = float(np.finfo(np.float64).tiny)


@dataclasses.dataclass(frozen=True)
class TimeToTarget:
    """Time a scheme needs.

    Attributes:
        value: The time on the clock asked for; ∞ if the target is never reached.
        error: Estimated absolute error of the quadrature.
        converged: The time is finite and its relative error at most 1e-9.
        message: What went wrong, or what was given may hide; empty if neither.
    """

    value: float
    error: float
    converged: bool
    message: str


def weight_function(scheme: Weight, *, group_size: int | None = None) -> Callable[[Array], Array]:
    """Return ω(ρ), or ω_M(ρ) if a group size is given, as a function.

    Args:
        scheme: A scheme, its name, or the function itself.
        group_size: M; ``None`` for the population limit.

    Raises:
        ValueError: An unknown scheme, or one without a table.

    Source: arXiv 2602.11128; finite groups as in ``theory.finite_group``.

    >>> float(weight_function("linear_r", group_size=2)(0.5))  # (1 − (1−ρ)²)/ρ
    1.5
    """
    if callable(scheme) and group_size is None:
        return elementwise(scheme)
    bound = resolve(scheme)
    if group_size is None:

        def population(success: Array) -> Array:
            # Scheme.weight without its check of the argument, which a solver need not repeat.
            positive, negative = bound.coefficients(success, success * (1 - success), math.inf)
            return positive + negative

        return population
    from theory.finite_group import expected_weight

    bound.table(group_size)  # an unsuitable scheme or size is refused here, not inside a solver
    return lambda success: expected_weight(bound, group_size, success)


def scheme_kinks(scheme: Weight) -> tuple[float, ...]:
    """Points where a scheme's population weight is continuous but not smooth.

    Source: theory.md section 1, Plateau-R.

    >>> scheme_kinks("plateau_r:threshold=0.3")
    (0.3,)
    """
    threshold = resolve(scheme).options.get("threshold") if not is_custom(scheme) else None
    return (float(threshold),) if isinstance(threshold, int | float) else ()


def time_to_target(
    scheme: Weight,
    start: float,
    target: float,
    *,
    clock: str | Clock | Callable[[Array], Array] = "updates",
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
    group_size: int | None = None,
    kinks: Sequence[float] = (),
) -> TimeToTarget:
    """Time to raise the success probability from ``start`` to ``target``: T = ∫ c/(ωv) dρ.

    Args:
        scheme: A scheme, its name, or a function from ρ to ω(ρ) ≥ 0.
        start: ρ₀ in [0, 1).
        target: Above ``start``, at most 1.
        clock: What is counted; see ``theory.clocks``.
        dynamics: The update rule.
        group_size: M for the finite-group weight ω_M; ``None`` for the population limit.
        kinks: Points where a function you gave is not smooth, or has a narrow peak, for a
            quadrature exact there too.

    Returns:
        The time with its error; a divergent integral is reported, not raised.

    Raises:
        ValueError: ``start`` and ``target`` not in [0, 1] or not increasing; unknown names; a group
            size on a clock that waits.

    Source: arXiv 2602.11128, section on continuous-time dynamics.

    >>> round(time_to_target("rloo", 0.1, 0.9).value, 6)  # logit 0.9 − logit 0.1
    4.394449
    """
    check_range(start, target)
    clock, dynamics = resolve_clock(clock), resolve_dynamics(dynamics)
    clock.require_realised(group_size)
    weight = weight_function(scheme, group_size=group_size)

    def integrand(success: Floats) -> Floats:
        speed = np.asarray(weight(success)) * np.asarray(dynamics.velocity(success))
        with np.errstate(divide="ignore", invalid="ignore"):
            # Where the success probability does not rise it never passes.
            return np.where(speed > 0, clock.cost(success) / speed, math.inf)[None, :]

    custom = is_custom(scheme, clock, dynamics)
    found = features(integrand, start, target) if custom else ()
    points = (*graded(kinks), *scheme_kinks(scheme), *found)
    result = integrate_success(integrand, start, target, points)
    message = result.message
    if message == INFINITE:
        message = (
            "the success probability stops rising on the way, where the weight is not positive or "
            "an update never comes"
        )
    elif custom and not message and not kinks:
        message = NARROW
    return TimeToTarget(float(result.values[0]), float(result.errors[0]), result.converged, message)


def is_custom(*parts: object) -> bool:
    """Tell whether a scheme, clock, dynamics or density is a caller's function.

    >>> is_custom("grpo", resolve_clock("responses")), is_custom(lambda success: success)
    (False, True)
    """
    return any(
        (callable(part) and not isinstance(part, Scheme)) or getattr(part, "name", "") == "custom"
        for part in parts
    )


def trajectory(
    scheme: Weight,
    start: float,
    times: Array,
    *,
    clock: str | Clock | Callable[[Array], Array] = "updates",
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
    group_size: int | None = None,
) -> Floats:
    """Success probability ρ at given times of the flow dρ/dt = ωv/c.

    Args:
        scheme: A scheme, its name, or a function from ρ to ω(ρ).
        start: ρ at time 0, in (0, 1) and at least 2.23e-308.
        times: Times on the clock, increasing, at least 0, shape (n,).
        clock: What is counted; see ``theory.clocks``.
        dynamics: The update rule.
        group_size: M for the finite-group weight ω_M; ``None`` for the population limit.

    Returns:
        ρ at each time, shape (n,). A flow that arrives in finite time (GRPO's does) stays at 1.

    Raises:
        ValueError: ``start`` outside (0, 1), times that decrease or are negative, a group size on
            a clock that waits, or a flow that the solver cannot follow.

    Source: arXiv 2602.11128, section on continuous-time dynamics.

    >>> trajectory("rloo", 0.5, [0.0, 2.0]).round(6).tolist()  # logit ρ = t
    [0.5, 0.880797]
    """
    points = np.asarray(times, dtype=np.float64)
    check_interval("start", np.asarray(start, dtype=np.float64), open_ends=True)
    if start < _TINY:
        raise ValueError(
            f"start must be at least {_TINY:.3g}, below which floats lose their digits"
        )
    if points.ndim != 1 or not np.all(np.isfinite(points)):
        raise ValueError(f"times must be a list of finite numbers; got shape {points.shape}")
    if points.size == 0:
        return points
    if points[0] < 0 or np.any(np.diff(points) < 0):
        raise ValueError("times must start at 0 or later and increase")
    if points[-1] == 0:
        return np.full(points.shape, float(start))
    clock, dynamics = resolve_clock(clock), resolve_dynamics(dynamics)
    clock.require_realised(group_size)
    weight = weight_function(scheme, group_size=group_size)

    def slope(_: float, state: Floats) -> Floats:
        # Along the arc of (logit ρ, t): t slows down where ρ runs away, as it does on its way to 1.
        success = expit(np.clip(state[:1], -_LOWEST, _HIGHEST))
        speed = np.asarray(weight(success)) * np.asarray(dynamics.velocity(success))
        rate = speed / (clock.cost(success) * success * (1 - success))
        arc = np.hypot(rate, 1.0)
        return np.concatenate([rate / arc, 1 / arc])

    first, last = float(logit(start)), float(points[-1])
    ends = [
        lambda _, state: state[1] - last,
        lambda _, state: _HIGHEST - state[0],
        lambda _, state: state[0] + _LOWEST + 1,
    ]
    for end in ends:
        end.terminal = True  # type: ignore[attr-defined]
    solution: Any = integrate.solve_ivp(
        slope,
        (0.0, 2 * (last + _HIGHEST + _LOWEST)),
        [first, 0.0],
        events=ends,
        method="DOP853",
        rtol=1e-10,
        atol=1e-12,
        dense_output=True,
    )
    if solution.status != 1:
        raise ValueError(f"the flow could not be followed: {solution.message}")
    arcs, passed = solution.t, solution.y[1]
    if solution.t_events[0].size:
        passed[-1] = last  # found by root-finding, hence but for rounding
    odds = np.empty(points.shape)
    for place, time in enumerate(points):
        step = int(np.searchsorted(passed, time))
        if step == 0:
            odds[place] = first
        elif step < len(passed):
            odds[place] = solution.sol(_root(solution.sol, time, arcs[step - 1], arcs[step]))[0]
        else:  # the flow has run off the numbers
            odds[place] = math.copysign(math.inf, solution.y[0, -1] - first)
    return np.asarray(expit(odds))


def _root(path: Callable[[float], Floats], time: float, low: float, high: float) -> float:
    """Arc at which a path of (logit ρ, t) passes a time."""

    def late(arc: float) -> float:
        return float(path(arc)[1]) - time

    # The path and its steps agree but for rounding, which may take the sign at an end.
    if late(high) <= 0:
        return high
    return low if late(low) >= 0 else float(optimize.brentq(late, low, high))
