"""The least that a target costs in responses at equal path energy, however they are spent.

R and E of :mod:`theory.spending` add over prompts and along their ways. For a price μ of energy, a
prompt's way costs R + μE = ∫ h_μ dρ, where at every ρ the group size and, if it is free, the scale
of the advantages is the cheapest:

    scale free:   h_μ = min_M 2√(μ a_M s_M)/(ω_M v),   w = √(a_M/(μ s_M)),
    scale w = 1:  h_μ = min_M (a_M + μ s_M)/(ω_M v),

with a_M = α + βM/P the cost of a group and s_M = n_M/M its noise. What is left is who is trained,
and how far: the ends with the least Σ_i ∫ h_μ dρ at a mean success of the target, as in
:mod:`theory.population`. Since 4μRE ≤ (R + μE)², with equality at μ = R/E, the least R·E is the
least (R + μE)²/(4μ) over μ and all of this.

With a free scale and α = 0 the length is 2√μ ∫ √(n_M/P)/(ω_M v) dρ: of the group size only
n_M/ω_M² is left, RLOO's M/(M−1), since a group of twice the size with twice the scale is two
groups. And with the scheme's scale, groups of M ∝ √(nP) take the scale's place. So **weights and
group sizes are two ways to the same**; ends are another matter.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from scipy import optimize
from scipy.interpolate import CubicSpline
from scipy.special import expit, logit

from theory._arrays import Array, Floats, check_interval
from theory._binomial import check_group_size
from theory._designs import Design, check_costs, finite_design
from theory._ends import TOP, Levels, Path
from theory._group_rates import group_rates
from theory._notebook import html_fields
from theory._spending_rules import SPENDING_RULES, SpendingRule
from theory.pass_rates import PassRates, as_pass_rates
from theory.schemes import Scheme, resolve
from theory.token_cost import check_length_ratio, mean_length

__all__ = ["SIZES", "BestSpending", "best_spending"]

SIZES = (2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128)
"""Group sizes that are tried where they are free."""

_PRICES = 5.0  # of ln μ, either way from where R = μE for one prompt
_LOOKS = 11
_LOWEST = 1e-6
_NODES = 401
_CELLS = 800

_Indices = np.ndarray[tuple[int, ...], np.dtype[np.intp]]


@dataclasses.dataclass(frozen=True)
class BestSpending:
    """The cheapest way of spending; arrays have the order of the prompts given.

    Attributes:
        start: ρ₀ of each prompt.
        end: ρ₁ of each; equal to ``start`` where it is not trained.
        level: Common end of the prompts that are trained all the way.
        responses: R per prompt of the set.
        energy: E at the same learning rate.
        price: μ = R/E.
        gap: By how much, relative to R + μE, other ends could at most be better, from the
            Lagrangian dual; group sizes and scales are the best at every ρ.
        sizes: Group sizes that were allowed.
    """

    start: Floats = dataclasses.field(repr=False)
    end: Floats = dataclasses.field(repr=False)
    level: float
    responses: float
    energy: float
    price: float
    gap: float
    sizes: tuple[int, ...]
    _way: _Way = dataclasses.field(repr=False)

    def _repr_html_(self) -> str:
        low, high = self.pool
        return html_fields(
            {
                "prompts": int(self.start.size),
                "prompts trained": int(self.trained().sum()),
                "pool": f"{low:.3g} to {high:.3g}",
                "responses × energy": self.product,
                "gap": self.gap,
            },
            "Best spending",
        )

    @property
    def product(self) -> float:
        """R·E, to be compared with :attr:`theory.spending.SpendingCost.product`."""
        return self.responses * self.energy

    def trained(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        """Which prompts are worth their responses."""
        return np.asarray(self.end > self.start)

    @property
    def pool(self) -> tuple[float, float]:
        """Pass rates from which prompts are trained, and from which they are left alone."""
        lowest = float(self.start[self.trained()].min())
        return lowest * (1 - 1e-9), min(self.level, 1.0)  # log-odds are rounded

    def rule(self) -> SpendingRule:
        """The pool as a rule that looks at ρ alone."""
        low, high = self.pool
        return SPENDING_RULES["pool"].bind(low=low, high=high)

    def group_size(self, success: Array) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
        """Best M of a prompt at ρ.

        Args:
            success: ρ in (0, 1), shape (prompts,).
        """
        return self._way.choose(success, self.price)[0]

    def scale(self, success: Array) -> Floats:
        """Best factor w of a prompt's advantages at ρ; 1 where the scale is the scheme's.

        Args:
            success: ρ in (0, 1), shape (prompts,).
        """
        return self._way.choose(success, self.price)[1]


def best_spending(
    start: PassRates | Array,
    target: float,
    *,
    scheme: str | Scheme = "grpo",
    sizes: int | Sequence[int] = SIZES,
    free_scale: bool = False,
    partly: bool = True,
    design: str | Design = "fixed",
    update_cost: float = 0.0,
    response_cost: float = 1.0,
    length_ratio: float = 1.0,
) -> BestSpending:
    """Reach a mean success with the fewest responses at equal path energy.

    Args:
        start: ρ₀ of every prompt, or :class:`~theory.pass_rates.PassRates`; prompts below 1e-6 are
            left alone.
        target: Mean success to reach.
        scheme: Scheme with a table.
        sizes: Group sizes to choose from; one number fixes it.
        free_scale: Advantages may be multiplied by any factor w(ρ).
        partly: One prompt may be trained part of the way; without it the result is there sooner,
            and a pool exactly.
        design: Sampling design in which groups have one size.
        update_cost: α, the cost of a group besides its responses.
        response_cost: β.
        length_ratio: k, tokens of a wrong response over those of a right one.

    Raises:
        ValueError: Values outside these ranges; a scheme that does not raise every success
            probability; a target out of reach of the prompts above 1e-6.

    >>> from theory.spending import spending_cost
    >>> start = [0.001, 0.2, 0.6, 0.95]
    >>> best = best_spending(start, 0.6, sizes=16)
    >>> plain = spending_cost("uniform", start, 0.6)
    >>> best.trained().tolist(), bool(best.product < plain.product)
    ([False, True, True, False], True)
    """
    bound, found = resolve(scheme), finite_design(design)
    listed = [sizes] if isinstance(sizes, int | np.integer) else list(sizes)
    allowed = tuple(sorted({check_group_size(size) for size in listed}))
    if not allowed:
        raise ValueError("sizes must name a group size at least")
    check_costs(update_cost, response_cost)
    check_length_ratio(length_ratio)
    rates = as_pass_rates(start)
    able = (rates.success >= _LOWEST) & (rates.share > 0)
    rates.check_target(target)
    if not np.any(able) or target >= 1 - float(rates.share[~able].sum()):
        raise ValueError(
            f"prompts with a success probability of at least {_LOWEST:g} cannot bring the mean to "
            f"{target:g}"
        )
    success, share = np.minimum(rates.success[able], expit(TOP)), rates.share[able]
    order = np.argsort(success, kind="stable")
    way = _Way(bound, found, allowed, free_scale, update_cost, response_cost, length_ratio)
    ends = _Ends(way, success[order], share[order], target - rates.mean())
    price = way.price_at_half() if free_scale else ends.best_price()
    levels = ends.levels(price)
    moved, level = levels.solve(ends.need, partly=partly)
    moved = np.minimum(moved, expit(TOP))
    responses, energy = ends.spent(price, moved, levels.path)
    least = levels.dual_bound(ends.need, level)
    end = rates.success.copy()
    end[np.flatnonzero(able)[order]] = moved
    return BestSpending(
        start=rates.success,
        end=end,
        level=level,
        responses=responses,
        energy=energy,
        price=price,
        gap=max(0.0, 1 - least / (responses + price * energy)),
        sizes=allowed,
        _way=way,
    )


class _Way:
    """What a step along ρ takes of responses and of energy, by group size."""

    def __init__(
        self,
        scheme: Scheme,
        design: Design,
        sizes: tuple[int, ...],
        free_scale: bool,
        update_cost: float,
        response_cost: float,
        length_ratio: float,
    ) -> None:
        self.sizes, self.free_scale = np.array(sizes), free_scale
        odds = np.linspace(-TOP, TOP, _NODES)
        success = expit(odds)
        length = np.asarray(mean_length(success, length_ratio))
        terms = []
        for size in sizes:
            drift, noise, taken = group_rates(scheme, design, size, success)
            if np.any(drift <= 0):
                raise ValueError(f"{scheme.label} does not raise every success probability")
            speed = drift * success * expit(-odds)
            terms.append(((update_cost + response_cost * taken * length) / speed, noise / speed))
        # Their logarithms are smooth in logit ρ, and are looked up at a hundred prices.
        self.logs = CubicSpline(odds, np.log(np.stack(terms, axis=1)), axis=2)

    def price_at_half(self) -> float:
        """The price at which a free scale is 1 at ρ = ½: any price has the same R·E."""
        responses, energy = np.exp(self.logs(0.0))
        best = int(np.argmin(responses * energy))
        return float(responses[best] / energy[best])

    def per_step(self, success: Floats, price: float) -> tuple[Floats, _Indices]:
        """dR/dρ and dE/dρ of the cheapest way at a price, shape (2, points), and its size."""
        responses, energy = np.exp(self.logs(logit(success)))
        if self.free_scale:
            best = np.argmin(responses * energy, axis=0)
        else:
            best = np.argmin(responses + price * energy, axis=0)
        taken = np.stack([responses, energy])[:, best, np.arange(best.size)]
        if self.free_scale:
            both = np.sqrt(taken[0] * taken[1])
            taken = np.stack([both * math.sqrt(price), both / math.sqrt(price)])
        return taken, best

    def choose(self, success: Array, price: float) -> tuple[_Indices, Floats]:
        """The cheapest group size and scale at ρ."""
        rho = np.atleast_1d(np.asarray(success, dtype=np.float64))
        check_interval("success", rho, open_ends=True)
        best = self.per_step(rho, price)[1]
        responses, energy = np.exp(self.logs(logit(rho)))[:, best, np.arange(best.size)]
        scale = np.sqrt(responses / (price * energy)) if self.free_scale else np.ones_like(rho)
        return self.sizes[best], scale


class _Ends:
    """The best ends of sorted prompts at a price of energy."""

    def __init__(self, way: _Way, start: Floats, share: Floats, need: float) -> None:
        self.way, self.start, self.share, self.need = way, start, share, need

    def levels(self, price: float) -> Levels:
        """Candidates for the ends at a price, over lengths ∫h_μ dρ."""

        def margin(success: Floats) -> Floats:
            taken = self.way.per_step(success, price)[0]
            return np.asarray(taken[0] + price * taken[1])

        return Levels(self.start, self.share, Path(margin, float(self.start[0]), cells=_CELLS))

    def best_price(self) -> float:
        """μ with the least (R + μE)²/(4μ): the best of a grid, refined."""

        def cost(log_price: float) -> float:
            least = self.levels(math.exp(log_price)).least(self.need)
            return 2 * math.log(least) - log_price

        looks = math.log(self.way.price_at_half()) + np.linspace(-_PRICES, _PRICES, _LOOKS)
        best = int(np.clip(np.argmin([cost(look) for look in looks]), 1, _LOOKS - 2))
        found = optimize.minimize_scalar(
            cost,
            bounds=(looks[best - 1], looks[best + 1]),
            method="bounded",
            options={"xatol": 1e-6},
        )
        return math.exp(float(found.x))

    def spent(self, price: float, ends: Floats, path: Path) -> tuple[float, float]:
        """R and E of the ends."""
        first, last = logit(self.start), logit(ends)
        spent = path.primitives(lambda success: self.way.per_step(success, price)[0])
        responses, energy = (float(self.share @ (one(last) - one(first))) for one in spent)
        return responses, energy
