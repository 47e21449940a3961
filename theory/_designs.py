"""What a sampling design is: which outcomes an update is made of, and how each counts."""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np
from scipy.special import expit, logit

from theory._arrays import Array, Floats, check_interval
from theory._binomial import binomial_probabilities, check_group_size
from theory._quadrature import gauss_legendre
from theory._scheme import Scheme, finite_coefficients
from theory._velocity import check_range

DesignName = Literal["fixed", "until_any", "until_mixed", "first_success", "population"]
_PANEL = 0.5  # width in logit ρ; at M = 1,024 a group's pass rate is known to 0.06 of it
_EXACT_SIZES = 64
_SIZE_NODES = 12  # per panel in ln N, for sums over the sizes beyond


@dataclasses.dataclass(frozen=True)
class Design:
    """A way of sampling the groups that updates are made of.

    Attributes:
        name: Name in :data:`DESIGNS`.
        title: What is sampled, in words.
        used_by: Who trains so.
        drops_all_wrong: Groups without a correct response are not used.
        drops_all_right: Groups without a wrong response are not used.
    """

    name: DesignName
    title: str
    used_by: str
    drops_all_wrong: bool = False
    drops_all_right: bool = False

    @property
    def grouped(self) -> bool:
        """Whether responses come in groups of one size M, and not one by one."""
        return self.name not in ("first_success", "population")

    def acceptance(self, group_size: int, success: Array) -> Floats:
        """Probability P_S that a group is used; 1 where responses come one by one.

        Args:
            group_size: M.
            success: ρ, any shape, in [0, 1].

        >>> round(float(DESIGNS["until_any"].acceptance(16, 0.01)), 4)  # 1 − 0.99^16
        0.1485
        """
        rho = checked_success(success)
        if not self.grouped:
            return np.ones_like(rho)
        check_group_size(group_size)
        low, high = np.minimum(rho, 1 - rho), np.maximum(rho, 1 - rho)
        # 1 − (1−ρ)^M keeps its digits as −expm1(M log1p(−ρ)), and by symmetry 1 − ρ^M does.
        with np.errstate(divide="ignore"):
            likely_some = -np.expm1(group_size * np.log1p(-low))
            rare_some = -np.expm1(group_size * np.log(low))
        some_right = np.where(rho <= 0.5, likely_some, rare_some)
        if self.drops_all_wrong and self.drops_all_right:
            mixed: Floats = likely_some - low**group_size
            return mixed
        return np.asarray(some_right if self.drops_all_wrong else np.ones_like(high))

    def responses(self, group_size: int | None, success: Array) -> Floats:
        """Expected responses per update: M/P_S, or 1/ρ where one success is waited for.

        Args:
            group_size: M; not used where responses come one by one.
            success: ρ, any shape, in [0, 1].

        Returns:
            The expectation; ∞ where no group is ever accepted.

        >>> round(float(DESIGNS["until_any"].responses(16, 0.01)), 1)
        107.7
        """
        rho = checked_success(success)
        with np.errstate(divide="ignore"):
            if not self.grouped:
                return 1 / rho
            size = checked_group_size(self, group_size)
            return size / self.acceptance(size, rho)


DESIGNS: dict[DesignName, Design] = {
    design.name: design
    for design in (
        Design("fixed", "groups of M responses, all of them used", "TRL, verl by default"),
        Design(
            "until_any",
            "groups of M, drawn again until one response is correct",
            "resampling of all-wrong groups",
            drops_all_wrong=True,
        ),
        Design(
            "until_mixed",
            "groups of M, drawn again until responses are both correct and wrong",
            "DAPO's dynamic sampling (arXiv 2503.14476)",
            drops_all_wrong=True,
            drops_all_right=True,
        ),
        Design(
            "first_success",
            "responses one by one until the first correct one",
            "the clock 1/ρ of arXiv 2602.11128, literally",
            drops_all_wrong=True,
        ),
        Design(
            "population",
            "groups so large that pass rates are known, on the clock α + β/ρ",
            "the theorem of arXiv 2602.11128",
        ),
    )
}
"""Every sampling design by name."""


@dataclasses.dataclass(frozen=True)
class Outcomes:
    """What can come of one accepted update, and how it counts at each success probability.

    ω_S = right·a⁺ + wrong·a⁻ and n_S = ρ right·(a⁺)² + (1−ρ) wrong·(a⁻)².

    Attributes:
        correct: Correct responses of each outcome.
        size: Responses of each outcome.
        right: What a⁺ of each outcome adds to the drift, shape (points, outcomes).
        wrong: The same for a⁻.
        success: ρ, one per point.
    """

    correct: Floats
    size: Floats
    right: Floats
    wrong: Floats
    success: Floats

    def drift(self, positive: Floats, negative: Floats) -> Floats:
        """ω_S of the tables a⁺ and a⁻, one value per outcome, at every point."""
        drift: Floats = self.right @ positive + self.wrong @ negative
        return drift

    def second_moment(self, positive: Floats, negative: Floats) -> Floats:
        """n_S of the tables, at every point."""
        rho = self.success
        second: Floats = rho * (self.right @ positive**2) + (1 - rho) * (self.wrong @ negative**2)
        return second


def resolve_design(design: str | Design) -> Design:
    """The design a caller means.

    Raises:
        ValueError: A name that is not in :data:`DESIGNS`.

    >>> resolve_design("until_mixed").used_by
    "DAPO's dynamic sampling (arXiv 2503.14476)"
    """
    if isinstance(design, Design):
        return design
    if design not in DESIGNS:
        raise ValueError(f"sampling design must be one of {', '.join(DESIGNS)}; got {design!r}")
    return DESIGNS[design]


def outcomes_of(design: Design, group_size: int | None, success: Floats) -> Outcomes:
    """Outcomes of an accepted update at every success probability.

    K a⁺_K/M · Bin(K; M, ρ)/ρ is a⁺_K Bin(K−1; M−1, ρ), so that nothing is divided by ρ(1−ρ), and
    digits are kept down to ρ of 1e-9 and less.

    Args:
        design: A design other than the population.
        group_size: M; not used by ``"first_success"``.
        success: ρ in (0, 1), shape (points,).

    >>> found = outcomes_of(DESIGNS["until_any"], 2, np.array([0.5]))
    >>> found.right.round(4).tolist()  # a⁺_0 belongs to no response
    [[0.0, 0.6667, 0.6667]]
    """
    rho = np.asarray(success, dtype=np.float64)[:, None]
    if design.name == "first_success":
        return _first_success(rho)
    size = checked_group_size(design, group_size)
    others = np.asarray(binomial_probabilities(size - 1, rho[:, 0]))
    none = np.zeros_like(rho)
    right, wrong = np.hstack([none, others]), np.hstack([others, none])
    correct = np.arange(size + 1.0)
    used = np.ones(size + 1, dtype=bool)
    used[0], used[-1] = not design.drops_all_wrong, not design.drops_all_right
    accepted = design.acceptance(size, rho)
    return Outcomes(
        correct,
        np.full(size + 1, float(size)),
        right * used / accepted,
        wrong * used / accepted,
        rho[:, 0],
    )


def tables_of(scheme: Scheme, outcomes: Outcomes) -> tuple[Floats, Floats]:
    """Coefficients a⁺ and a⁻ that a scheme gives to outcomes; 0 where it compares nothing.

    >>> from theory.schemes import resolve
    >>> outcomes = outcomes_of(DESIGNS["fixed"], 2, np.array([0.5]))
    >>> [table.tolist() for table in tables_of(resolve("linear_r"), outcomes)]
    [[0.0, 1.0, 0.0], [1.0, 1.0, 0.0]]
    """
    if outcomes.size[0] == outcomes.size[-1]:
        return scheme.table(int(outcomes.size[0]))
    scheme.check_group_size(max(scheme.minimum_group, 2))
    mean = outcomes.correct / outcomes.size
    positive, negative = finite_coefficients(
        *scheme.coefficients(mean, mean * (1 - mean), outcomes.size)
    )
    enough = outcomes.size >= scheme.minimum_group
    return np.where(enough, positive, 0.0), np.where(enough, negative, 0.0)


def _first_success(rho: Floats) -> Outcomes:
    """N responses, the last of them correct, with probability ρ(1−ρ)^{N−1}.

    Sizes up to :data:`_EXACT_SIZES` are summed one by one. Beyond, the sum is an integral in ln N,
    Σ_{N>n} f(N) = ∫_{n+½} f dN + f′(n+½)/24 with f′(n+½) = f(n+1) − f(n), to a relative n⁻⁴.
    """
    last = max(60 / float(rho.min()), 4.0 * _EXACT_SIZES)
    sizes, step = [np.arange(1.0, _EXACT_SIZES + 2)], [np.ones(_EXACT_SIZES + 1)]
    step[0][-2:] = 1 - 1 / 24, 1 / 24
    edges = np.linspace(math.log(_EXACT_SIZES + 0.5), math.log(last), 1 + math.ceil(math.log(last)))
    nodes, weights = gauss_legendre(_SIZE_NODES)
    half = np.diff(edges) / 2
    tail = np.exp(((edges[1:] + edges[:-1]) / 2)[:, None] + half[:, None] * nodes).ravel()
    sizes.append(tail)
    step.append((half[:, None] * weights).ravel() * tail)
    size, count = np.concatenate(sizes), np.concatenate(step)
    chance = count * np.exp((size - 1) * np.log1p(-rho))
    right = chance / size
    wrong = chance * (rho / (1 - rho)) * (size - 1) / size
    return Outcomes(np.ones_like(size), size, right, wrong, rho[:, 0])


def finite_design(design: str | Design) -> Design:
    found = resolve_design(design)
    if found.name == "population":
        raise ValueError("the population has no groups; use theory.optimal.optimal_weight for it")
    return found


def checked_group_size(design: Design, group_size: int | None) -> int:
    if group_size is None:
        raise ValueError(f"the design {design.name} needs a group size")
    size, least = check_group_size(group_size), 1 + design.drops_all_right
    if size < least:
        raise ValueError(f"{design.name} needs groups of at least {least}; got {size}")
    return size


def checked_success(success: Array) -> Floats:
    rho = np.asarray(success, dtype=np.float64)
    check_interval("success", rho)
    return rho


def check_problem(start: float, target: float, update_cost: float, response_cost: float) -> None:
    check_range(start, target)
    if start == 0 or target == 1:
        raise ValueError(
            "a path starts above 0 and ends below 1: outside, groups of any size say nothing; "
            f"got {start:g} to {target:g}"
        )
    check_costs(update_cost, response_cost)


def check_costs(update_cost: float, response_cost: float) -> None:
    costs = (update_cost, response_cost)
    if not all(0 <= cost < math.inf for cost in costs) or not any(costs):
        raise ValueError(
            "update_cost and response_cost must be finite numbers of at least 0, not both 0; "
            f"got {update_cost:g} and {response_cost:g}"
        )


@dataclasses.dataclass(frozen=True)
class Starts:
    """Where one or several prompts begin, of equal share each.

    Time and energy of several are sums of one prompt's integrals, so that each ρ counts by the
    share of the prompts that pass through it.

    Attributes:
        knots: The different ρ₀, ascending.
        passing: Share of the prompts that start at each knot or below.
    """

    knots: Floats
    passing: Floats

    @classmethod
    def of(cls, start: Array) -> Starts:
        """Starts of one prompt, or of several."""
        values = np.atleast_1d(np.asarray(start, dtype=np.float64)).ravel()
        if values.size == 0:
            raise ValueError("start must hold one success probability at least")
        knots, counts = np.unique(values, return_counts=True)
        return cls(knots, np.cumsum(counts) / values.size)

    def check(self, target: float, update_cost: float, response_cost: float) -> None:
        """Refuse what :func:`check_problem` refuses, for each start."""
        for knot in (self.knots[-1], self.knots[0]):
            check_problem(float(knot), target, update_cost, response_cost)

    def share(self, success: Floats) -> Floats:
        """Share of the prompts that pass through ρ."""
        below = np.searchsorted(self.knots, success, side="right") - 1
        return np.asarray(self.passing[np.maximum(below, 0)])

    def breaks(self, target: float) -> tuple[float, ...]:
        """Ends of panels inside of the way, as :func:`breaks` has them, and every later start."""
        inside = {*breaks(float(self.knots[0]), target), *map(float, self.knots[1:])}
        return tuple(sorted(inside))


def breaks(start: float, target: float) -> tuple[float, ...]:
    """Ends of panels in logit ρ, close enough for the steepest of binomial sums."""
    low, high = float(logit(start)), float(logit(target))
    count = max(1, math.ceil((high - low) / _PANEL))
    return tuple(map(float, expit(np.linspace(low, high, count + 1)[1:-1])))
