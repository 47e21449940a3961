"""What a statement about time is about: a way from start to target, a sampling design, costs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from theory._arrays import Array, Floats
from theory._designs import (
    Design,
    Outcomes,
    Starts,
    checked_group_size,
    outcomes_of,
    resolve_design,
)
from theory._quadrature import Integrals, integrate_success
from theory._velocity import Dynamics, resolve_dynamics


@dataclasses.dataclass(frozen=True)
class Problem:
    """A problem with its names resolved and its numbers checked; equal ones have one hash.

    Attributes:
        start: ρ₀ in (0, 1), of several prompts the lowest.
        target: ρ₁ above it, below 1.
        design: The sampling design.
        group_size: M; none where the design has no groups of one size.
        update_cost: α.
        response_cost: β.
        dynamics: The velocity v.
        several: ρ₀ of each of several prompts, of which integrals are means; empty for one.
    """

    start: float
    target: float
    design: Design
    group_size: int | None
    update_cost: float
    response_cost: float
    dynamics: Dynamics
    several: tuple[float, ...] = ()

    @classmethod
    def of(
        cls,
        start: Array,
        target: float,
        design: str | Design = "fixed",
        group_size: int | None = None,
        update_cost: float = 0.0,
        response_cost: float = 1.0,
        dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
    ) -> Problem:
        """The problem a caller means; the group size counts where the design has one.

        Raises:
            ValueError: Unknown names, or numbers that are out of range.

        >>> Problem.of(0.01, 0.9, "first_success", 16).group_size is None
        True
        """
        found, flow = resolve_design(design), resolve_dynamics(dynamics)
        starts = Starts.of(start)
        starts.check(target, update_cost, response_cost)
        size = checked_group_size(found, group_size) if found.grouped else None
        costs = float(update_cost), float(response_cost)
        several = tuple(map(float, np.ravel(start))) if starts.knots.size > 1 else ()
        low = float(starts.knots[0])
        return cls(low, float(target), found, size, *costs, flow, several)

    @property
    def starts(self) -> Starts:
        """Where the prompt begins, or where several do."""
        return Starts.of(self.several or self.start)

    def responses(self, success: Array) -> Floats:
        """M/P_S, what an update takes at each success probability."""
        return self.design.responses(self.group_size, success)

    def cost(self, success: Array) -> Floats:
        """c = α + β M/P_S, what an update costs at each success probability."""
        return self.update_cost + self.response_cost * self.responses(success)

    def pull(self, success: Array) -> Floats:
        """What pulls back, in units of the weight ω_S; nothing here."""
        return np.zeros_like(np.asarray(success, dtype=np.float64))

    def velocity(self, success: Array) -> Floats:
        """v(ρ), in NumPy."""
        return np.asarray(self.dynamics.velocity(success))

    def outcomes(self, success: Floats) -> Outcomes:
        """Outcomes of an accepted update at every success probability."""
        return outcomes_of(self.design, self.group_size, success)

    def integrate(self, integrand: Callable[[Floats], Floats]) -> Integrals:
        """Integrals over ρ from start to target, one per row; of several prompts their mean."""
        starts = self.starts
        points = starts.breaks(self.target)
        if not self.several:
            return integrate_success(integrand, self.start, self.target, points)

        def passing(success: Floats) -> Floats:
            return starts.share(success) * integrand(success)

        return integrate_success(passing, self.start, self.target, points)

    def best_weight(self, success: Array) -> Floats:
        """Optimal weight on the design's clock for a unit of ∫ω dρ, √(c/v)/∫√(c/v) dρ.

        >>> population = Problem.of(0.01, 0.9, "population")
        >>> weight = population.best_weight(np.array([0.1, 0.5]))  # Sqrt-R's 1/(ρ√(1−ρ))
        >>> bool(np.isclose(weight[0] / weight[1], 5 * (0.5 / 0.9) ** 0.5))
        True
        """

        def shape(points: Floats) -> Floats:
            with np.errstate(divide="ignore"):
                return np.asarray(np.sqrt(self.cost(points) / self.velocity(points)))

        norm = float(self.integrate(lambda points: shape(points)[None, :]).values[0])
        return shape(np.asarray(success, dtype=np.float64)) / norm
