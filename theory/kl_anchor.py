"""A KL anchor: what a penalty β·KL(π‖π_ref) does to the flow and to the optimal weight.

The step that maximises E[A] − β KL(π‖π_ref) adds −β ln(π/π_ref) to the advantage. The mirror flow
tilts a policy between right and wrong responses alone, so that this logarithm differs between the
two by ℓ − ℓ_ref, with ℓ = logit ρ:

    dℓ/dt = ω(ρ) − κ(ρ),   κ(ρ) = β (ℓ − ℓ_ref).

The flow rests where ω = κ, for RLOO at σ(ℓ_ref + 1/β), and reaches a target only if ω > κ all the
way. Minimising ∫ c/((ω−κ)v) dρ subject to ∫ ω dρ = B over ω − κ instead of ω gives

    ω* = κ + λg,   g = √(c/v),   λ = (B − ∫κ)/∫g,   T* = (∫g)²/(B − ∫κ),

and ∫κ dρ = β [KL(ρ₁‖ρ_ref) − KL(ρ₀‖ρ_ref)], divergences of coins: a budget below it buys nothing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from scipy import optimize
from scipy.special import expit, logit, rel_entr

from theory._arrays import Array, Floats, as_floating, check_interval
from theory._quadrature import integrate_success
from theory._velocity import check_open_range
from theory.clocks import Clock, resolve_clock
from theory.dynamics import (
    Dynamics,
    TimeToTarget,
    Weight,
    scheme_kinks,
    time_to_target,
    weight_function,
)
from theory.optimal import OptimalWeight, optimal_weight

__all__ = [
    "AnchoredOptimum",
    "RestingPoint",
    "anchored_optimum",
    "anchored_time",
    "least_budget",
    "pull",
    "resting_points",
]

_EDGE = 36.0  # log-odds at which 1 − ρ is the rounding of 1
_GRID, _LOOKS = 7201, 2001


def pull(success: Array, coefficient: float, reference: float) -> Floats:
    """The anchor's pull κ(ρ) = β (logit ρ − logit ρ_ref), in units of weight.

    Args:
        success: ρ, any shape, in [0, 1].
        coefficient: β ≥ 0, the KL coefficient per unit of advantage.
        reference: ρ_ref in (0, 1), the success probability of the reference policy.

    Returns:
        κ, of the shape of ``success``; ±∞ at the ends.

    Raises:
        ValueError: Values outside these ranges.

    Source: theory.md, section 8 "KL anchor".

    >>> float(pull(0.5, 0.1, 0.01).round(4))
    0.4595
    """
    _check_anchor(coefficient, reference)
    rho = np.asarray(as_floating(success), dtype=np.float64)
    check_interval("success", rho)
    if coefficient == 0:
        return np.zeros_like(rho)
    return np.asarray(coefficient * (logit(rho) - logit(reference)))


@dataclasses.dataclass(frozen=True)
class RestingPoint:
    """A success probability at which the weight balances the anchor.

    Attributes:
        success: ρ; 1 where it is nearer to 1 than floats can say.
        log_odds: ℓ = logit ρ.
        stable: Trajectories nearby come back.
    """

    success: float
    log_odds: float
    stable: bool


def resting_points(
    scheme: Weight, *, coefficient: float, reference: float, group_size: int | None = None
) -> list[RestingPoint]:
    """All ρ with ω(ρ) = κ(ρ), in increasing order, found on a grid of log-odds.

    Args:
        scheme: A scheme, its name, or a function from ρ to ω(ρ).
        coefficient: β > 0.
        reference: ρ_ref in (0, 1).
        group_size: M for the weight ω_M; ``None`` for the population limit.

    Returns:
        The points; none if the weight outruns the anchor up to ρ = 1, as a small β lets GRPO's do
        in the population. The flow that starts at ρ_ref rises to the first of them.

    Raises:
        ValueError: Values outside these ranges, an unknown scheme.

    Source: theory.md, section 8 "KL anchor".

    >>> [point] = resting_points("rloo", coefficient=0.5, reference=0.01)
    >>> round(point.success, 4), point.stable  # σ(logit 0.01 + 2)
    (0.0695, True)
    """
    _check_anchor(coefficient, reference)
    if coefficient == 0:
        raise ValueError("without an anchor nothing rests; coefficient must be positive")
    weight = weight_function(scheme, group_size=group_size)
    first = float(logit(reference))

    def surplus(odds: Array) -> Floats:
        return np.asarray(weight(expit(odds))) - coefficient * (np.asarray(odds) - first)

    grid = np.unique(np.append(np.linspace(-_EDGE, _EDGE, _GRID), logit(np.array(_kinks(scheme)))))
    with np.errstate(divide="ignore", invalid="ignore"):
        values = surplus(grid)
    found = [RestingPoint(float(expit(x)), float(x), False) for x in grid[values == 0]]
    for place in np.flatnonzero(values[:-1] * values[1:] < 0):
        ends = grid[place], grid[place + 1]
        odds = float(optimize.brentq(lambda x: float(surplus(x)), *ends, xtol=1e-13))
        found.append(RestingPoint(float(expit(odds)), odds, bool(values[place] > 0)))
    highest = float(weight(np.array(1.0)))
    if values[-1] > 0 and math.isfinite(highest):  # ω_M has its value at 1 from here on
        odds = first + highest / coefficient
        found.append(RestingPoint(float(expit(odds)), odds, True))
    return sorted(found, key=lambda point: point.log_odds)


def anchored_time(
    scheme: Weight,
    start: float,
    target: float,
    *,
    coefficient: float,
    reference: float | None = None,
    clock: str | Clock | Callable[[Array], Array] = "updates",
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
    group_size: int | None = None,
) -> TimeToTarget:
    """Time from start to target against the anchor: T = ∫ c/((ω−κ)v) dρ.

    The scale of the scheme matters here, as it is measured against β.

    Args:
        scheme: A scheme, its name, or a function from ρ to ω(ρ).
        start: ρ₀ in (0, 1).
        target: Above ``start``, below 1.
        coefficient: β ≥ 0.
        reference: ρ_ref in (0, 1); ``start`` by default.
        clock: What is counted; see ``theory.clocks``.
        dynamics: The update rule.
        group_size: M for the weight ω_M; ``None`` for the population limit.

    Returns:
        The time; ∞ where the anchor holds the success probability below the target.

    Raises:
        ValueError: Values outside these ranges, unknown names, a group size on a clock that waits.

    Source: theory.md, section 8 "KL anchor".

    >>> round(anchored_time("rloo", 0.01, 0.5, coefficient=0.1).value, 4)  # −ln(1 − βΔℓ)/β
    6.1528
    >>> anchored_time("rloo", 0.01, 0.5, coefficient=0.5).value
    inf
    """
    check_open_range(start, target)
    anchor = start if reference is None else reference
    _check_anchor(coefficient, anchor)
    resolve_clock(clock).require_realised(group_size)
    weight = weight_function(scheme, group_size=group_size)

    def net(success: Array) -> Array:
        return np.asarray(weight(success)) - pull(success, coefficient, anchor)

    message = "the anchor stops the success probability below the target: there ω is at most κ"
    if np.any(net(expit(np.linspace(logit(start), logit(target), _LOOKS))) <= 0):
        return TimeToTarget(math.inf, math.inf, False, message)
    result = time_to_target(
        net, start, target, clock=clock, dynamics=dynamics, kinks=scheme_kinks(scheme)
    )
    return result if math.isfinite(result.value) else dataclasses.replace(result, message=message)


def least_budget(
    start: float, target: float, *, coefficient: float, reference: float | None = None
) -> float:
    """Budget ∫κ dρ that the anchor takes: β [KL(ρ₁‖ρ_ref) − KL(ρ₀‖ρ_ref)].

    Args:
        start: ρ₀ in (0, 1).
        target: Above ``start``, below 1.
        coefficient: β ≥ 0.
        reference: ρ_ref in (0, 1); ``start`` by default.

    Returns:
        The budget; a weight with no more never arrives.

    Raises:
        ValueError: Values outside these ranges.

    Source: theory.md, section 8 "KL anchor".

    >>> round(least_budget(0.01, 0.9, coefficient=0.1), 4)
    0.3821
    """
    check_open_range(start, target)
    anchor = start if reference is None else reference
    _check_anchor(coefficient, anchor)

    def divergence(success: float) -> float:
        return float(rel_entr(success, anchor) + rel_entr(1 - success, 1 - anchor))

    return coefficient * (divergence(target) - divergence(start))


@dataclasses.dataclass(frozen=True)
class AnchoredOptimum:
    """The optimal weight against an anchor.

    Attributes:
        coefficient: β.
        reference: ρ_ref.
        budget: B.
        least_budget: ∫κ dρ, what the anchor takes of it.
        time: T*, the least time; ∞ if the budget is not larger than what the anchor takes.
        free: The optimum of the same problem without an anchor, for the budget 1.
    """

    coefficient: float
    reference: float
    budget: float
    least_budget: float
    time: float
    free: OptimalWeight = dataclasses.field(repr=False)

    def weight(self, success: Array) -> Floats:
        """ω*(ρ) = κ(ρ) + (B − ∫κ) g(ρ)/∫g.

        Raises:
            ValueError: A budget that the anchor takes altogether, ρ outside [0, 1].
        """
        if not math.isfinite(self.time):
            raise ValueError(
                f"the anchor takes the whole budget of {self.budget:g}; it has to be larger than "
                f"{self.least_budget:g}"
            )
        own = (self.budget - self.least_budget) * np.asarray(self.free.weight(success))
        return np.asarray(pull(success, self.coefficient, self.reference) + own)

    def excess(self, scheme: Weight, group_size: int | None = None) -> float:
        """Time of a scheme, scaled to the same budget, over T*; ∞ if the anchor stops it."""
        start, target = self.free.start, self.free.target
        weight = weight_function(scheme, group_size=group_size)
        spent = integrate_success(
            lambda success: np.asarray(weight(success))[None], start, target, _kinks(scheme)
        )
        scale = self.budget / float(spent.values[0])
        time = anchored_time(
            lambda success: scale * weight(success),
            start,
            target,
            coefficient=self.coefficient,
            reference=self.reference,
            clock=self.free.clock,
            dynamics=self.free.dynamics,
        )
        return time.value / self.time


def anchored_optimum(
    start: float,
    target: float,
    *,
    coefficient: float,
    budget: float,
    reference: float | None = None,
    clock: str | Clock | Callable[[Array], Array] = "responses",
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
) -> AnchoredOptimum:
    """The weight that reaches the target soonest against an anchor, at ∫ ω dρ = B.

    Args:
        start: ρ₀ in (0, 1).
        target: Above ``start``, below 1.
        coefficient: β ≥ 0.
        budget: B > 0; its scale matters, as it is measured against β.
        reference: ρ_ref, at most ``start``, which it is by default: below its reference a policy
            is pulled up, and the best weight could be negative.
        clock: What is counted; see ``theory.clocks``.
        dynamics: The update rule.

    Returns:
        The optimum.

    Raises:
        ValueError: Values outside these ranges, unknown names.

    Source: theory.md, section 8 "KL anchor".

    >>> best = anchored_optimum(0.01, 0.9, coefficient=0.1, budget=2.0, clock="updates")
    >>> round(best.time, 3), [round(best.excess(name), 3) for name in ("grpo", "rloo")]
    (3.263, [1.013, 1.103])
    """
    check_open_range(start, target)
    anchor = start if reference is None else reference
    if anchor > start:
        raise ValueError(f"reference must be at most the start, {start:g}; got {anchor:g}")
    if isinstance(budget, bool) or not 0 < budget < math.inf:
        raise ValueError(f"budget must be a positive number; got {budget}")
    taken = least_budget(start, target, coefficient=coefficient, reference=anchor)
    free = optimal_weight(start, target, clock=clock, dynamics=dynamics)
    time = free.time / (budget - taken) if budget > taken else math.inf
    return AnchoredOptimum(coefficient, anchor, budget, taken, time, free)


def _kinks(scheme: Weight) -> tuple[float, ...]:
    return tuple(kink for kink in scheme_kinks(scheme) if 0 < kink < 1)


def _check_anchor(coefficient: float, reference: float) -> None:
    if not 0 <= coefficient < math.inf:
        raise ValueError(f"coefficient must be a number of at least 0; got {coefficient}")
    if not 0 < reference < 1:
        raise ValueError(f"reference must lie in (0, 1); got {reference}")
