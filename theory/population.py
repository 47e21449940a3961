"""Many prompts, one update budget: whom to train, how far, and with what weight.

Prompt i (share w_i) is moved from ρ₀ᵢ to ρ₁ᵢ with a weight ω_i of its own, at the cost
T_i = ∫ c/(ω_i v) dρ and the budget B_i = ∫ ω_i b dρ. Minimise the mean cost Σ w_i T_i subject to
Σ w_i B_i = B and a mean final success Σ w_i ρ₁ᵢ of at least the target.

Costs add over prompts because every clock of this package counts what is paid per prompt, its
updates or its responses; prompts may well be trained side by side. For given ends the pointwise
Lagrangian gives T_i = G_i²/B_i with G_i = ∫ g b dρ, and Cauchy-Schwarz over prompts B_i ∝ G_i, so

    ω_i(ρ) = (B/Σ w G) g(ρ) for every prompt,   Σ w T = (Σ w_i G_i)²/B:

one function of ρ serves the whole population, the single-prompt optimum. What is left is to choose
ends that minimise Σ w_i G_i, where an end costs g b at the margin. g b falls and then rises in ρ
for all named clocks and dynamics; hence trained prompts share one end, prompts above it stay, and
the hardest prompts are left alone if lifting them costs more per unit of success than that margin.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from scipy import optimize
from scipy.special import expit, logit

from theory._arrays import Array, Floats
from theory._ends import TOP, Levels, Path
from theory._notebook import html_fields
from theory.clocks import Clock, resolve_clock
from theory.dynamics import Dynamics, Weight, weight_function
from theory.optimal import BudgetDensity, OptimalWeight, optimal_weight
from theory.pass_rates import PassRates, as_pass_rates

MOST_STARTS = 128
"""Distinct starts that :func:`shared_weight` tells apart."""


class _StopsRising(Exception):  # noqa: N818
    """A weight that is not positive."""


@dataclasses.dataclass(frozen=True)
class PopulationOptimum:
    """The optimal allocation; arrays have the order of the prompts given.

    Attributes:
        start: ρ₀ of each prompt, less those of share 0.
        end: ρ₁ of each prompt; equal to ``start`` where it is not trained.
        share: w of each prompt.
        prompt_budget: B_i of each prompt; their mean is ``budget``.
        prompt_time: T_i of each prompt.
        target: Mean success asked for.
        budget: B.
        time: Least mean cost Σ w T.
        level: The common end of the trained prompts.
        gap: By how much, relative to Σ w G, another choice of ends could at most be better. It
            comes from the Lagrangian dual, on a grid fine enough for 1e-6; 0 certifies a global
            optimum, and it shrinks like 1/prompts otherwise.
        converged: The target is met and the margin g b has the one minimum the method needs.
        message: What went wrong, empty if nothing did.
    """

    start: Floats = dataclasses.field(repr=False)
    end: Floats = dataclasses.field(repr=False)
    share: Floats = dataclasses.field(repr=False)
    prompt_budget: Floats = dataclasses.field(repr=False)
    prompt_time: Floats = dataclasses.field(repr=False)
    target: float
    budget: float
    time: float
    level: float
    gap: float
    converged: bool
    message: str
    _single: OptimalWeight = dataclasses.field(repr=False)
    _path: Path = dataclasses.field(repr=False)

    def _repr_html_(self) -> str:
        return html_fields(
            {
                "prompts": int(self.start.size),
                "prompts trained": int((self.end > self.start).sum()),
                "target": self.target,
                "budget": self.budget,
                "time": self.time,
                "common end": self.level,
                "gap": self.gap,
                "converged": self.converged,
                "message": self.message,
            },
            "Optimal allocation over prompts",
        )

    def weight(self, success: Array) -> Array:
        """The optimal weight ω(ρ) of every trained prompt.

        Args:
            success: ρ, any shape, in [0, 1].

        Raises:
            ValueError: ``success`` outside [0, 1].

        >>> best = optimal_population([0.01, 0.2], 0.8)
        >>> ratio = best.weight(np.array([0.05, 0.5])) / optimal_weight(0.01, 0.8).weight(
        ...     np.array([0.05, 0.5]))
        >>> bool(np.isclose(ratio[0], ratio[1]))
        True
        """
        # The single-prompt optimum is g/√T for its T; here g is scaled by B/Σ w G = √(B/T).
        single = self._single
        scaled: Array = math.sqrt(single.time * self.budget / self.time) * single.weight(success)
        return scaled

    def excess(self, scheme: Weight, group_size: int | None = None) -> float:
        """Budget-normalised excess cost of a scheme that trains all prompts side by side.

        Every prompt follows dρ/dt = ωv for the same time, until the mean success is the target;
        the ratio is Σ w T · Σ w B of the scheme over that of the optimum.

        Args:
            scheme: A scheme, its name, or a function from ρ to ω(ρ) > 0.
            group_size: M for ω_M; ``None`` for the population limit.

        Returns:
            The ratio, at least (1 − ``gap``)²; ∞ if the scheme does not get there, or its weight is
            not positive above the hardest start.

        Raises:
            ValueError: Unknown scheme, or one without a weight; a group size on a clock that waits.

        >>> round(optimal_population([0.01], 0.9).excess("grpo"), 3)
        1.555
        """
        self._single.clock.require_realised(group_size)
        omega = weight_function(scheme, group_size=group_size)
        path, single, odds = self._path, self._single, logit(self.start)

        def rates(success: Floats) -> Floats:
            weight = np.asarray(omega(success), dtype=np.float64)
            if np.any(weight <= 0):
                raise _StopsRising
            speed = weight * np.asarray(single.dynamics.velocity(success))
            cost = np.asarray(single.clock.cost(success))
            with np.errstate(divide="ignore"):
                return np.stack([1 / speed, cost / speed, weight * _density(single, success)])

        try:
            clock, cost, spent = path.primitives(rates)
        except _StopsRising:
            return math.inf
        begun = clock(odds)

        def ends(time: float) -> Floats:
            return np.interp(begun + time, clock(path.odds), path.odds)

        hardest = float(odds.min())
        first = float(clock(hardest))

        def missing(hardest_end: float) -> float:
            time = float(clock(hardest_end)) - first
            return float(self.share @ expit(ends(time))) - self.target

        # The end of the hardest prompt tells time; times themselves may span dozens of decades.
        if not math.isfinite(float(clock(TOP))) or missing(TOP) < 0:
            return math.inf
        last = optimize.brentq(missing, hardest, TOP, xtol=1e-13)
        reached = ends(float(clock(last)) - first)
        total = float(self.share @ (cost(reached) - cost(odds)))
        budget = float(self.share @ (spent(reached) - spent(odds)))
        return total * budget / (self.time * self.budget)


def optimal_population(
    start: PassRates | Array,
    target: float,
    *,
    clock: str | Clock | Callable[[Array], Array] = "responses",
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
    budget_density: BudgetDensity = "unit",
    budget: float = 1.0,
) -> PopulationOptimum:
    """Reach a mean success of ``target`` at the least mean cost, with one budget for all prompts.

    Args:
        start: ρ₀ of every prompt, or :class:`~theory.pass_rates.PassRates`; in (0, 1).
        target: Mean final success, above the mean of ``start`` and below 1 − 2e-9.
        clock: What is paid per prompt.
        dynamics: The update rule.
        budget_density: b, as in :func:`theory.optimal.optimal_weight`.
        budget: B, the mean budget of a prompt.

    Returns:
        The allocation with its certificate ``gap``. For equal shares it is the global optimum.

    Raises:
        ValueError: Probabilities outside (0, 1), a target not above the mean start, a budget that
            is not positive.

    >>> best = optimal_population([0.001, 0.3, 0.5, 0.95], 0.6)
    >>> best.end.round(3).tolist()  # the hardest prompt is not worth its cost
    [0.001, 0.724, 0.724, 0.95]
    """
    rates = as_pass_rates(start)
    if np.any(rates.success <= 0) or np.any(rates.success >= 1):
        raise ValueError("start must lie in (0, 1) for every prompt")
    rates = PassRates(rates.success[rates.share > 0], rates.share[rates.share > 0])
    mean = rates.mean()
    if not mean < target < expit(TOP):
        raise ValueError(
            f"target must lie above the mean start, {mean:g}, and below 1 − 2e-9; got {target:g}"
        )
    if not (math.isfinite(budget) and budget > 0):
        raise ValueError(f"budget must be a positive number; got {budget}")
    lowest = float(rates.success.min())
    single = optimal_weight(
        lowest,
        max(target, (1 + lowest) / 2),
        clock=clock,
        dynamics=dynamics,
        budget_density=budget_density,
    )
    path = Path(lambda success: _margin(single, success), lowest)
    order = np.argsort(rates.success, kind="stable")
    levels = Levels(rates.success[order], rates.share[order], path)
    sorted_ends, level = levels.solve(target - mean)
    end = np.empty_like(sorted_ends)
    end[order] = sorted_ends
    lengths = path.length(logit(end)) - path.length(logit(rates.success))
    lengths = np.where(end > rates.success, lengths, 0.0)
    total = float(rates.share @ lengths)
    bound = levels.dual_bound(target - mean, level)
    single_minimum = path.has_one_minimum()
    return PopulationOptimum(
        start=rates.success,
        end=end,
        share=rates.share,
        prompt_budget=budget * lengths / total,
        prompt_time=lengths * total / budget,
        target=target,
        budget=budget,
        time=total**2 / budget,
        level=level,
        gap=max(0.0, 1 - bound / total),
        converged=single_minimum,
        message="" if single_minimum else "g·b does not fall and then rise; see gap for the loss",
        _single=single,
        _path=path,
    )


def _margin(single: OptimalWeight, success: Floats) -> Floats:
    """The marginal cost g b of an end, from g² v b = c."""
    cost, velocity = single.clock.cost(success), single.dynamics.velocity(success)
    return np.asarray(cost / (velocity * _unscaled(single, success)))


def _density(single: OptimalWeight, success: Floats) -> Floats:
    return np.asarray(_margin(single, success) / _unscaled(single, success))


def _unscaled(single: OptimalWeight, success: Floats) -> Floats:
    """The weight g = √(c/(v b))."""
    return np.asarray(single.weight(success)) * math.sqrt(single.time)


def shared_weight(
    start: PassRates | Array,
    target: float,
    *,
    clock: str | Clock | Callable[[Array], Array] = "responses",
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
) -> OptimalWeight:
    """Optimal weight where every prompt is trained to one target with one weight and one budget.

    Cost and budget of all prompts are integrals of one prompt's times the share of the prompts
    that pass through ρ, those that started below it. With that factor in clock and budget density
    alike the optimum is that of one prompt, and so are excess times.

    Args:
        start: ρ₀ of every prompt, or :class:`~theory.pass_rates.PassRates`; in (0, target). More
            than ``MOST_STARTS`` different ones are moved to evenly spaced log-odds first.
        target: ρ₁ of every prompt.
        clock: What is paid per prompt.
        dynamics: The update rule.

    Returns:
        The optimum; its ``start`` is the lowest.

    Raises:
        ValueError: A start outside (0, target), unknown names.

    >>> best = shared_weight([0.1, 0.4], 0.9)
    >>> optimal_weight(0.4, 0.9).time < best.time < optimal_weight(0.1, 0.9).time
    True
    """
    rates = as_pass_rates(start)
    if not np.all((rates.success > 0) & (rates.success < target)):
        raise ValueError(f"start must lie in (0, {target:g}), below the target, for every prompt")
    success = rates.success
    if np.unique(success).size > MOST_STARTS:
        grid = np.linspace(logit(success.min()), logit(success.max()), MOST_STARTS)
        success = expit(grid)[np.rint((logit(success) - grid[0]) / (grid[1] - grid[0])).astype(int)]
    knots, place = np.unique(success, return_inverse=True)
    passing = np.cumsum(np.bincount(place, weights=rates.share))
    costs = resolve_clock(clock)

    def share(success: Array) -> Floats:
        below = np.searchsorted(knots, np.asarray(success), side="right") - 1
        return np.asarray(passing[np.maximum(below, 0)])

    # Its steps are named as kinks, so that it need not be searched for features as a caller's is.
    paid = resolve_clock(lambda success: costs.cost(success) * share(success))
    return optimal_weight(
        float(knots[0]),
        target,
        clock=dataclasses.replace(paid, name="shared"),
        dynamics=dynamics,
        budget_density=share,
        kinks=[float(knot) for knot in knots[1:]],
    )
