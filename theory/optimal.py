"""Optimal prompt weights under a fixed update budget, and what any other weight loses.

Minimise the time T[ω] = ∫ c/(ωv) dρ from ρ₀ to ρ₁ subject to ∫ ω b dρ = B. The integrand's
derivative in ω vanishes pointwise where ω² = c/(λ v b), hence

    ω*(ρ) = (B/∫ g b) g(ρ),   g = √(c/(v b)),   T* = (∫ g b)²/B.

The budget density b ≡ 1 is the integrated variance of the advantage along the mirror flow.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from theory._arrays import Array, Floats, as_floating, check_interval, elementwise
from theory._notebook import html_table
from theory._quadrature import NARROW, Integrals, features, graded, integrate_success
from theory.clocks import Clock, resolve_clock
from theory.dynamics import (
    Dynamics,
    Weight,
    check_range,
    is_custom,
    resolve_dynamics,
    scheme_kinks,
    weight_function,
)
from theory.schemes import SCHEMES, Scheme, SchemeLike, schemes_by_name

BudgetDensity = str | Callable[[Array], Array]
BUDGETS = ("unit", "advantage_variance")
"""Named budget densities: b = 1, and b = ρ(1−ρ)/v, the variance of the advantage per unit of ρ."""


@dataclasses.dataclass(frozen=True)
class OptimalWeight:
    """The optimal weight function of a problem.

    Attributes:
        start: ρ₀.
        target: ρ₁.
        clock: What is counted.
        dynamics: The update rule.
        budget: B.
        time: T*, the least time on the clock; ∞ if no weight reaches the target.
        converged: T* is finite and its relative error at most 1e-9.
        message: What went wrong, or what was given may hide; empty if neither.
    """

    start: float
    target: float
    clock: Clock
    dynamics: Dynamics
    budget: float
    time: float
    converged: bool
    message: str
    _density: Callable[[Array], Array] = dataclasses.field(repr=False)
    _norm: float = dataclasses.field(repr=False)
    _kinks: tuple[float, ...] = dataclasses.field(repr=False)

    def weight(self, success: Array) -> Array:
        """Optimal weight ω*(ρ); its limit (possibly ∞) at 0 and 1.

        Args:
            success: ρ, any shape, in [0, 1]. Outside [start, target] the same formula holds.

        Returns:
            ω*(ρ) as a NumPy array of the same shape.

        Raises:
            ValueError: ``success`` outside [0, 1], or a problem without a finite optimum.

        Source: arXiv 2602.11128, optimal weights; theory.md section 3.

        >>> best = optimal_weight(0.01, 0.9, clock="updates")
        >>> ratio = best.weight(0.5) / SCHEMES["grpo"].weight(0.5)
        >>> bool(np.isclose(best.weight(0.1) / SCHEMES["grpo"].weight(0.1), ratio))
        True
        """
        self._require_finite()
        success = as_floating(success)
        check_interval("success", success)
        points = np.asarray(success, dtype=np.float64)
        with np.errstate(divide="ignore", invalid="ignore"):
            g = np.sqrt(
                self.clock.cost(points) / (self.dynamics.velocity(points) * self._density(points))
            )
        return self.budget / self._norm * g

    def excess(self, scheme: Weight, group_size: int | None = None) -> float:
        """Budget-normalised excess time T[ω]·B[ω]/(T*·B) ≥ 1 of a scheme; 1 is optimal.

        Both integrals use the scheme's own weight, so its scale does not matter.

        Args:
            scheme: A scheme, its name, or a function from ρ to ω(ρ).
            group_size: M for the weight ω_M of finite groups; ``None`` for the population limit.

        Returns:
            The ratio; ∞ if the scheme never reaches the target or its budget is infinite.

        Raises:
            ValueError: Unknown scheme, one without a weight (LENS), no finite optimum, or a group
                size on a clock that waits.

        Source: arXiv 2602.11128; the table of theory.md section 3.

        >>> round(optimal_weight(0.01, 0.9).excess("grpo"), 3)
        1.555
        """
        self.clock.require_realised(group_size)
        weight = weight_function(scheme, group_size=group_size)
        found = features(weight, self.start, self.target) if is_custom(scheme) else ()
        return self._excess([weight], (*scheme_kinks(scheme), *found))[0]

    def excess_of_all(
        self,
        schemes: Iterable[SchemeLike] | None = None,
        group_size: int | None = None,
    ) -> dict[str, float]:
        """Excess times of many schemes in one pass; all that have a weight by default.

        Args:
            schemes: Names of schemes, with options after a colon.
            group_size: M; ``None`` for the population limit.

        Returns:
            Excess time by name, in the order given.

        Raises:
            ValueError: As :meth:`excess`.

        Source: arXiv 2602.11128; the table of theory.md section 3.

        >>> round(optimal_weight(0.38, 0.9).excess_of_all()["linear_r"], 3)
        1.066
        """
        self.clock.require_realised(group_size)
        bound = schemes_by_name(weighted_schemes(group_size) if schemes is None else schemes)
        values = self._excess(
            [weight_function(scheme, group_size=group_size) for scheme in bound.values()],
            [kink for scheme in bound.values() for kink in scheme_kinks(scheme)],
        )
        return dict(zip(bound, values, strict=True))

    def _repr_html_(self) -> str:
        ranked = sorted(self.excess_of_all().items(), key=lambda item: item[1])
        columns = {"scheme": [SCHEMES[name].label for name, _ in ranked]}
        return html_table({**columns, "excess": [ratio for _, ratio in ranked]}, repr(self))

    def _excess(
        self, weights: list[Callable[[Array], Array]], kinks: Sequence[float]
    ) -> list[float]:
        self._require_finite()

        def integrand(success: Floats) -> Floats:
            cost = np.asarray(self.clock.cost(success))
            velocity = np.asarray(self.dynamics.velocity(success))
            density = np.asarray(self._density(success))
            omega = np.stack([np.asarray(weight(success)) for weight in weights])
            with np.errstate(divide="ignore", invalid="ignore"):
                # Where the success probability does not rise it never passes.
                times = np.where(omega > 0, cost / (omega * velocity), math.inf)
            return np.concatenate([times, omega * density])

        result = integrate_success(integrand, self.start, self.target, (*self._kinks, *kinks))
        if len(weights) > 1 and not result.converged:
            return [self._excess([weight], kinks)[0] for weight in weights]
        times, budgets = np.split(result.values, 2)
        # A weight of zero spends nothing and never arrives: 0 · ∞ is ∞ here.
        arrives = np.isfinite(times) & np.isfinite(budgets)
        ratios = np.full_like(times, np.inf)
        ratios[arrives] = times[arrives] * budgets[arrives] / self._norm**2
        return [float(ratio) for ratio in ratios]

    def _require_finite(self) -> None:
        if not math.isfinite(self.time):
            raise ValueError(f"no weight reaches the target in finite time: {self.message}")


def optimal_weight(
    start: float,
    target: float,
    *,
    clock: str | Clock | Callable[[Array], Array] = "responses",
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
    budget_density: BudgetDensity = "unit",
    budget: float = 1.0,
    kinks: Sequence[float] = (),
) -> OptimalWeight:
    """Find the weight that reaches ``target`` soonest under a fixed update budget.

    Closed forms are used where they exist (both named dynamics with the clocks updates and
    responses and, for the mirror flow, affine), quadrature to a relative 1e-10 elsewhere.

    Args:
        start: ρ₀ in [0, 1).
        target: Above ``start``, at most 1.
        clock: What is counted, see ``theory.clocks``: a name, a clock or a function c(ρ) > 0.
        dynamics: The update rule: a name, a :class:`Dynamics` or a function v(ρ) > 0.
        budget_density: b: ``"unit"``, ``"advantage_variance"`` or a function b(ρ) > 0.
        budget: B > 0.
        kinks: Points where a function you gave is not smooth, or has a narrow peak, for a
            quadrature exact there too.

    Returns:
        The optimum; if the time diverges, ``converged`` is false and ``message`` says where.

    Raises:
        ValueError: Probabilities outside [0, 1] or not increasing, a budget that is not positive,
            unknown names.

    Source: arXiv 2602.11128 (updates and responses); theory.md section 3 in general.

    >>> best = optimal_weight(0.01, 0.9, clock="responses")
    >>> ratio = best.weight(np.array([0.1, 0.5])) / SCHEMES["sqrt_r"].weight(np.array([0.1, 0.5]))
    >>> bool(np.isclose(ratio[0], ratio[1]))
    True
    """
    check_range(start, target)
    if isinstance(budget, bool) or not 0 < budget < math.inf:
        raise ValueError(f"budget must be a positive number; got {budget}")
    kinks = graded(kinks)
    clock, dynamics = resolve_clock(clock), resolve_dynamics(dynamics)
    density = _resolve_density(budget_density, dynamics)
    closed = _closed_form(clock, dynamics) if budget_density == "unit" else None
    if closed is not None:
        norm = closed(target) - closed(start)
        # Differences of nearly equal antiderivatives lose digits that quadrature keeps.
        if math.isfinite(norm) and norm > 1e-3 * abs(closed(target)):
            return OptimalWeight(
                start,
                target,
                clock,
                dynamics,
                budget,
                norm**2 / budget,
                True,
                "",
                density,
                norm,
                tuple(kinks),
            )

    def integrand(success: Floats) -> Floats:
        cost, velocity = clock.cost(success), dynamics.velocity(success)
        with np.errstate(divide="ignore"):
            return np.asarray(np.sqrt(cost * density(success) / velocity))[None, :]

    points, custom = tuple(kinks), is_custom(clock, dynamics, budget_density)
    if custom:
        points += features(integrand, start, target)
    result: Integrals = integrate_success(integrand, start, target, points)
    norm = float(result.values[0])
    return OptimalWeight(
        start,
        target,
        clock,
        dynamics,
        budget,
        norm**2 / budget,
        result.converged,
        NARROW if custom and not kinks and not result.message else result.message,
        density,
        norm,
        points,
    )


def weighted_schemes(group_size: int | None = None) -> list[str]:
    """Names of the schemes that have a weight ω(ρ), in the registry's order.

    Args:
        group_size: M, to name those with a weight ω_M; ``None`` for the population limit, where
            PPO's perfect critic has one too.

    Source: theory.md section 1.

    >>> "ppo" in weighted_schemes(), "ppo" in weighted_schemes(16), "lens" in weighted_schemes()
    (True, False, False)
    """
    if group_size is None:
        return [name for name, scheme in SCHEMES.items() if scheme.has_weight]
    return [name for name, scheme in SCHEMES.items() if _has_table_for(scheme, group_size)]


def _has_table_for(scheme: Scheme, group_size: int) -> bool:
    try:
        scheme.check_group_size(group_size)
    except ValueError:
        return False
    return scheme.has_table


def _resolve_density(budget_density: BudgetDensity, dynamics: Dynamics) -> Callable[[Array], Array]:
    if callable(budget_density):
        return _positive(elementwise(budget_density))
    if budget_density == "unit":
        return np.ones_like
    if budget_density == "advantage_variance":
        return lambda success: success * (1 - success) / dynamics.velocity(success)
    raise ValueError(
        f"unknown budget density {budget_density!r}; known ones: {', '.join(BUDGETS)}, "
        "or a function of the success probability"
    )


def _positive(density: Callable[[Array], Array]) -> Callable[[Array], Array]:
    def checked(success: Array) -> Array:
        values = density(success)
        if not np.all(values > 0):
            raise ValueError("the budget density must be positive at every success probability")
        return values

    return checked


def _closed_form(clock: Clock, dynamics: Dynamics) -> Callable[[float], float] | None:
    """Antiderivative of √(c/v), or None where there is none in elementary functions."""
    costs = {"updates": (1.0, 0.0), "responses": (0.0, 1.0)}.get(clock.name)
    if clock.name == "affine":
        costs = (float(clock.options["update"] or 0), float(clock.options["response"] or 0))
    if costs is None:
        return None
    if dynamics.name == "mirror":
        return lambda success: _mirror_affine(success, *costs)
    if dynamics.name == "softmax_gradient" and clock.name in ("updates", "responses"):
        return _softmax_updates if clock.name == "updates" else _softmax_responses
    return None


def _mirror_affine(success: float, update: float, response: float) -> float:
    """∫ √((α + β/ρ)/(ρ(1−ρ))) dρ = √α arcsin u − √β ln w, with α = update and β = response."""
    total = 0.0
    if update:
        # u = (2αρ + β − α)/(α + β), through 1 − u = 2α(1−ρ)/(α + β) to keep digits near u = ±1.
        half_angle = math.asin(math.sqrt(update * (1 - success) / (update + response)))
        total += math.sqrt(update) * (math.pi / 2 - 2 * half_angle)
    if response:
        if success == 0:
            return -math.inf
        root = math.sqrt((update * success + response) * (1 - success))
        top = 2 * math.sqrt(response) * root + 2 * response + (update - response) * success
        total -= math.sqrt(response) * math.log(top / success)
    return total


def _softmax_updates(success: float) -> float:
    """∫ dρ/(√2 ρ(1−ρ))."""
    if success in (0.0, 1.0):
        return math.copysign(math.inf, success - 0.5)
    return (math.log(success) - math.log1p(-success)) / math.sqrt(2)


def _softmax_responses(success: float) -> float:
    """∫ dρ/(√2 ρ^{3/2}(1−ρ)) = √2 (artanh √ρ − 1/√ρ)."""
    if success in (0.0, 1.0):
        return math.copysign(math.inf, success - 0.5)
    return math.sqrt(2) * (math.atanh(math.sqrt(success)) - 1 / math.sqrt(success))
