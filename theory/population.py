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
from scipy.interpolate import CubicHermiteSpline
from scipy.special import expit, logit

from theory._arrays import Array, Floats
from theory.clocks import Clock
from theory.dynamics import Dynamics, Weight, weight_function
from theory.optimal import BudgetDensity, OptimalWeight, optimal_weight
from theory.pass_rates import PassRates, as_pass_rates

_TOP = 20.0  # log-odds of the highest end considered: 1 − ρ = 2e-9, known to 1e-7 in float64
_CELLS = 4000
# One prompt may be trained part of the way: tried at every cut-off of a small population, and near
# the best one of a large population, where it changes the cost by less than 1/prompts.
_SMALL, _NEIGHBOURS = 64, 3


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

    start: Floats
    end: Floats
    share: Floats
    prompt_budget: Floats
    prompt_time: Floats
    target: float
    budget: float
    time: float
    level: float
    gap: float
    converged: bool
    message: str
    _path: _Path = dataclasses.field(repr=False)

    def weight(self, success: Array) -> Array:
        """The optimal weight ω(ρ) of every trained prompt.

        Args:
            success: ρ, any shape, in [0, 1].

        Raises:
            ValueError: ``success`` outside [0, 1].

        Source: derived in this module.

        >>> best = optimal_population([0.01, 0.2], 0.8)
        >>> ratio = best.weight(np.array([0.05, 0.5])) / optimal_weight(0.01, 0.8).weight(
        ...     np.array([0.05, 0.5]))
        >>> bool(np.isclose(ratio[0], ratio[1]))
        True
        """
        # The single-prompt optimum is g/√T for its T; here g is scaled by B/Σ w G = √(B/T).
        single = self._path.single
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
            The ratio, at least (1 − ``gap``)²; ∞ if the scheme does not get there.

        Raises:
            ValueError: Unknown scheme, or one without a weight.

        Source: derived in this module; one prompt gives ``OptimalWeight.excess``.

        >>> round(optimal_population([0.01], 0.9).excess("grpo"), 3)
        1.555
        """
        omega = weight_function(scheme, group_size=group_size)
        path, odds = self._path, logit(self.start)

        def rates(success: Floats) -> Floats:
            weight = np.asarray(omega(success), dtype=np.float64)
            speed = weight * path.velocity(success)
            with np.errstate(divide="ignore"):
                return np.stack(
                    [1 / speed, path.cost(success) / speed, weight * path.density(success)]
                )

        clock, cost, spent = path.primitives(rates)
        begun = clock(odds)

        def ends(time: float) -> Floats:
            return np.interp(begun + time, clock(path.odds), path.odds)

        hardest = float(odds.min())
        first = float(clock(hardest))

        def missing(hardest_end: float) -> float:
            time = float(clock(hardest_end)) - first
            return float(self.share @ expit(ends(time))) - self.target

        # The end of the hardest prompt tells time; times themselves may span dozens of decades.
        if not math.isfinite(float(clock(_TOP))) or missing(_TOP) < 0:
            return math.inf
        last = optimize.brentq(missing, hardest, _TOP, xtol=1e-13)
        reached = ends(float(clock(last)) - first)
        total = float(self.share @ (cost(reached) - cost(odds)))
        budget = float(self.share @ (spent(reached) - spent(odds)))
        return total * budget / (self.time * self.budget)


def optimal_population(
    start: PassRates | Array,
    target: float,
    *,
    clock: str | Clock | Callable[[Array], Array] = "effective",
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

    Source: theory.md section 3, carried over to many prompts in this module.

    >>> best = optimal_population([0.001, 0.3, 0.5, 0.95], 0.6)
    >>> best.end.round(3).tolist()  # the hardest prompt is not worth its cost
    [0.001, 0.724, 0.724, 0.95]
    """
    rates = as_pass_rates(start)
    if np.any(rates.success <= 0) or np.any(rates.success >= 1):
        raise ValueError("start must lie in (0, 1) for every prompt")
    rates = PassRates(rates.success[rates.share > 0], rates.share[rates.share > 0])
    mean = rates.mean()
    if not mean < target < expit(_TOP):
        raise ValueError(
            f"target must lie above the mean start, {mean:g}, and below 1 − 2e-9; got {target:g}"
        )
    if not (math.isfinite(budget) and budget > 0):
        raise ValueError(f"budget must be a positive number; got {budget}")
    lowest = float(rates.success.min())
    single = optimal_weight(
        lowest, max(target, (1 + lowest) / 2), clock=clock, dynamics=dynamics,
        budget_density=budget_density,
    )  # fmt: skip
    path = _Path(single, lowest)
    order = np.argsort(rates.success, kind="stable")
    levels = _Levels(rates.success[order], rates.share[order], path)
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
        _path=path,
    )


class _Path:
    """G along ρ as a function of log-odds, and the integrands it is made of."""

    def __init__(self, single: OptimalWeight, lowest: float) -> None:
        self.single = single
        self.odds = np.linspace(float(logit(lowest)) - 1e-9, _TOP, _CELLS + 1)
        (self.length,) = self.primitives(lambda success: self.margin(success)[None])
        self.success = expit(self.odds)
        self.lengths = self.length(self.odds)

    def cost(self, success: Floats) -> Floats:
        return np.asarray(self.single.clock.cost(success))

    def velocity(self, success: Floats) -> Floats:
        return np.asarray(self.single.dynamics.velocity(success))

    def weight(self, success: Floats) -> Floats:
        """The unscaled weight g = √(c/(v b))."""
        return np.asarray(self.single.weight(success)) * math.sqrt(self.single.time)

    def margin(self, success: Floats) -> Floats:
        """The marginal cost g b of an end, from g² v b = c."""
        return self.cost(success) / (self.velocity(success) * self.weight(success))

    def density(self, success: Floats) -> Floats:
        return self.margin(success) / self.weight(success)

    def primitives(self, integrands: Callable[[Floats], Floats]) -> list[CubicHermiteSpline]:
        """Integrals over ρ from the lowest start, as functions of log-odds."""
        nodes, weights = np.polynomial.legendre.leggauss(6)
        half = np.diff(self.odds) / 2
        points = self.odds[:-1, None] + half[:, None] * (1 + nodes)

        def in_odds(odds: Floats) -> Floats:
            success = expit(odds)
            return np.asarray(integrands(success)) * success * expit(-odds)

        values = in_odds(points.ravel()).reshape(-1, *points.shape)
        steps = np.einsum("mcn,n,c->mc", values, weights, half)
        slopes = in_odds(self.odds)
        return [
            CubicHermiteSpline(self.odds, np.concatenate([[0.0], np.cumsum(s)]), d)
            for s, d in zip(steps, slopes, strict=True)
        ]

    def has_one_minimum(self) -> bool:
        """Tell whether g b falls and then rises."""
        margin = self.margin(self.success)
        turns = np.sign(np.diff(margin))[np.abs(np.diff(margin)) > 1e-9 * margin[1:]]
        return bool(np.all(np.diff(turns) >= 0))


class _Levels:
    """Ends of prompts sorted from hardest to easiest: none below a cut-off, one level above it."""

    def __init__(self, start: Floats, share: Floats, path: _Path) -> None:
        self.start, self.share, self.path = start, share, path
        self.length = path.length(logit(start))
        self.shares = np.concatenate([[0.0], np.cumsum(share)])
        self.mass = np.concatenate([[0.0], np.cumsum(share * start)])
        self.lengths = np.concatenate([[0.0], np.cumsum(share * self.length)])

    def fill(self, cut: Array, need: Array) -> tuple[Floats, Floats]:
        """Common level and cost if prompts from ``cut`` on are lifted by ``need`` in total.

        The level is that of water poured over the starts; ∞ cost if it would reach 1.
        """
        cut, need = np.broadcast_arrays(np.asarray(cut), np.asarray(need, dtype=np.float64))
        low, high = cut + 1, np.full(cut.shape, len(self.start))
        # Bisection for the number of prompts under water: lifting those below ``middle`` to the
        # start of prompt ``middle`` takes no more than what is there.
        while np.any(low < high):
            middle = (low + high) // 2
            at = self.start[np.minimum(middle, len(self.start) - 1)]
            takes = at * (self.shares[middle] - self.shares[cut]) - (
                self.mass[middle] - self.mass[cut]
            )
            under = (takes < need) & (low < high)
            low, high = np.where(under, middle + 1, low), np.where(under, high, middle)
        low = np.minimum(low, len(self.start))
        wet = self.shares[low] - self.shares[cut]
        level = (need + self.mass[low] - self.mass[cut]) / wet
        inside = level < expit(_TOP)
        length = self.path.length(logit(np.where(inside, level, 0.5)))
        cost = length * wet - (self.lengths[low] - self.lengths[cut])
        return level, np.where(inside, cost, np.inf)

    def solve(self, need: float) -> tuple[Floats, float]:
        """Ends with the least cost, and their common level."""
        count = len(self.start)
        cost = self.fill(np.arange(count), need)[1]
        best = int(np.argmin(cost))
        least, part = float(cost[best]), 0.0
        cut = best
        # One prompt may stop on the falling side of g b: the hardest one of those trained.
        near = range(max(1, best - _NEIGHBOURS), min(count, best + _NEIGHBOURS + 1))
        for trial in range(1, count) if count <= _SMALL else near:
            partial, gain = self._partial(trial, need)
            if partial < least * (1 - 1e-12):
                least, part, cut = partial, gain, trial
        share = self.share[cut - 1] if cut else 0.0
        final = float(self.fill(cut, need - share * part)[0])
        end = np.where(np.arange(count) >= cut, np.maximum(self.start, final), self.start)
        if part > 0:
            end[cut - 1] = self.start[cut - 1] + part
        return end, final

    def _partial(self, cut: int, need: float) -> tuple[float, float]:
        """Least cost if the prompt before ``cut`` is lifted by a gain of its own, and the gain."""
        share, start = float(self.share[cut - 1]), float(self.start[cut - 1])
        most = min(need / share, float(self.fill(cut, need)[0]) - start)

        def cost(gain: Array) -> Floats:
            gain = np.asarray(gain, dtype=np.float64)
            own = share * (self.path.length(logit(start + gain)) - self.length[cut - 1])
            return np.asarray(own + self.fill(cut, np.maximum(need - share * gain, 0.0))[1])

        if not math.isfinite(most) or most <= 0 or start + most >= expit(_TOP):
            return math.inf, 0.0
        grid = np.linspace(0.0, most, 129)
        place = int(np.argmin(cost(grid)))
        low, high = grid[max(place - 1, 0)], grid[min(place + 1, 128)]
        found = optimize.minimize_scalar(
            lambda gain: float(cost(gain)), bounds=(low, high), method="bounded",
            options={"xatol": 1e-12},
        )  # fmt: skip
        return float(found.fun), float(found.x)

    def dual_bound(self, need: float, level: float) -> float:
        """Largest Lagrangian lower bound on Σ w G over prices near the margin at ``level``."""
        path = self.path
        place = np.searchsorted(path.odds, logit(self.start))

        def bound(log_price: float) -> float:
            price = math.exp(log_price)
            net = path.lengths - price * path.success
            best_above = np.minimum.accumulate(net[::-1])[::-1]
            stay = self.length - price * self.start
            gain = np.minimum(best_above[np.minimum(place, len(net) - 1)] - stay, 0.0)
            return float(self.share @ gain) + price * need

        centre = math.log(float(path.margin(np.array([level]))[0]))
        found = optimize.minimize_scalar(
            lambda log_price: -bound(log_price), bounds=(centre - 2, centre + 2), method="bounded"
        )
        return max(bound(centre), -float(found.fun))
