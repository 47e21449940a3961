"""Sampling designs: which groups an update is made of, and how many responses it costs.

A statement about time needs one design: what an accepted group teaches, how much it scatters and
what it cost belong together. Groups of M responses of which K are correct are accepted if K lies
in S; with P_S = P(K ∈ S) and G_K = [K a⁺_K (1−ρ) + (M−K) a⁻_K ρ]/M an update has

    drift          ω_S = Σ_{K∈S} Bin(K; M, ρ) G_K / (P_S ρ(1−ρ)),   dρ/dt = ω_S v,
    second moment  n_S = E[(1/M) Σ_i A_i² | K ∈ S],
    cost           c   = α + β M/P_S   (α per update, β per response).

Until the first success responses come one by one: N of them, geometric, of which one is correct,
at M/P_S = 1/ρ responses an update: the clock 1/ρ taken literally. The population design is the
limit M → ∞ on the abstract clock α + β/ρ.

A path from start to target takes the time T = ∫ c/(ω_S v) dρ. It spends the *weight budget*
∫ ω_S dρ, which knows nothing of noise, or the *energy* ∫ n_S/(ω_S v) dρ, the second moment of the
advantages added up along the path. T times a budget does not depend on the scale of a scheme, and
its ratio to the least possible value is the scheme's excess.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from scipy.special import expit, logit

from theory._arrays import Array, Floats, check_interval
from theory._binomial import binomial_probabilities, check_group_size
from theory._quadrature import integrate_success
from theory.dynamics import Dynamics, check_range, resolve_dynamics
from theory.schemes import Scheme, SchemeLike, finite_coefficients, resolve

DesignName = Literal["fixed", "until_any", "until_mixed", "first_success", "population"]
Budget = Literal["energy", "weight"]
Reference = Literal["best_table", "best_weight"]
BUDGETS: tuple[Budget, ...] = ("energy", "weight")
REFERENCES: tuple[Reference, ...] = ("best_table", "best_weight")

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
    def waits(self) -> bool:
        """Tell whether an update may take more responses than its group holds."""
        return self.drops_all_wrong or self.drops_all_right

    def acceptance(self, group_size: int, success: Array) -> Floats:
        """Probability P_S that a group is used; 1 where responses come one by one.

        Args:
            group_size: M.
            success: ρ, any shape, in [0, 1].

        >>> round(float(DESIGNS["until_any"].acceptance(16, 0.01)), 4)  # 1 − 0.99^16
        0.1485
        """
        rho = _probabilities(success)
        if self.name in ("first_success", "population"):
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
        rho = _probabilities(success)
        with np.errstate(divide="ignore"):
            if self.name in ("first_success", "population"):
                return 1 / rho
            size = _group_size(self, group_size)
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


@dataclasses.dataclass(frozen=True)
class Path:
    """What the way from start to target costs under one design.

    Attributes:
        time: ∫ c/(ω_S v) dρ.
        weight: ∫ ω_S dρ.
        energy: ∫ n_S/(ω_S v) dρ.
        updates: ∫ 1/(ω_S v) dρ.
        responses: ∫ (M/P_S)/(ω_S v) dρ.
        converged: Every integral is finite and known to a relative 1e-9.
        message: What went wrong; empty if nothing did.
    """

    time: float
    weight: float
    energy: float
    updates: float
    responses: float
    converged: bool
    message: str

    def product(self, budget: Budget) -> float:
        """Time times a budget, which does not depend on the scale of the scheme."""
        return self.time * (self.energy if budget == "energy" else self.weight)


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


def drift(
    scheme: SchemeLike, success: Array, *, design: str | Design = "fixed", group_size: int
) -> Floats:
    """Expected weight ω_S(ρ) of an update, given that its group was accepted.

    Args:
        scheme: Scheme with a table, or its name.
        success: ρ, any shape, in (0, 1).
        design: Sampling design, by name.
        group_size: M.

    Returns:
        ω_S, of the shape of ``success``. For ``"fixed"`` it is ω_M of
        :func:`theory.finite_group.expected_weight`.

    Raises:
        ValueError: An unknown design, a scheme without a table, ρ of 0 or 1.

    Source: section "Sampling designs" of docs/theory.md.

    >>> round(float(drift("grpo", 0.01, design="until_any", group_size=16)), 3)
    25.131
    """
    tables, outcomes = _tables_and_outcomes(scheme, design, group_size, success)
    return outcomes.drift(*tables).reshape(np.shape(success))


def second_moment(
    scheme: SchemeLike, success: Array, *, design: str | Design = "fixed", group_size: int
) -> Floats:
    """Second moment n_S(ρ) of the advantages of an update, given that its group was accepted.

    Args:
        scheme: Scheme with a table, or its name.
        success: ρ, any shape, in (0, 1).
        design: Sampling design, by name.
        group_size: M.

    Returns:
        n_S, of the shape of ``success``.

    Raises:
        ValueError: As :func:`drift`.

    Source: section "Sampling designs" of docs/theory.md.

    >>> round(float(second_moment("grpo", 0.01, design="until_mixed", group_size=16)), 6)
    1.0
    """
    tables, outcomes = _tables_and_outcomes(scheme, design, group_size, success)
    return outcomes.second_moment(*tables).reshape(np.shape(success))


def path(
    scheme: SchemeLike,
    *,
    start: float,
    target: float,
    design: str | Design = "fixed",
    group_size: int | None = None,
    update_cost: float = 0.0,
    response_cost: float = 1.0,
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
) -> Path:
    """Time, budgets, updates and responses from start to target.

    Args:
        scheme: Scheme with a table, or its name.
        start: ρ₀ in (0, 1).
        target: Above ``start``, below 1.
        design: Sampling design other than ``"population"``.
        group_size: M; not used by ``"first_success"``.
        update_cost: α ≥ 0, the cost of an update.
        response_cost: β ≥ 0, the cost of a response; not both are 0.
        dynamics: The velocity v, see :mod:`theory.dynamics`.

    Returns:
        The integrals; if ω_S is not positive all the way, the time is ∞ and ``message`` says so.

    Raises:
        ValueError: Bad ranges, costs, design or group size; a scheme without a table.

    Source: section "Sampling designs" of docs/theory.md.

    >>> way = path("grpo", start=0.01, target=0.9, design="until_any", group_size=16)
    >>> way.converged, round(way.responses / way.updates, 1)
    (True, 19.0)
    """
    bound, found = resolve(scheme), _finite_design(design)
    _check_problem(start, target, update_cost, response_cost)
    size = None if found.name == "first_success" else _group_size(found, group_size)
    flow = resolve_dynamics(dynamics)

    def integrand(success: Floats) -> Floats:
        outcomes = outcomes_of(found, size, success)
        tables = tables_of(bound, outcomes)
        omega, second = outcomes.drift(*tables), outcomes.second_moment(*tables)
        responses = found.responses(size, success)
        moving = omega > 0
        slowness = 1 / (np.where(moving, omega, 1.0) * np.asarray(flow.velocity(success)))
        cost = update_cost + response_cost * responses
        rates = np.stack([cost, omega / slowness, second, np.ones_like(cost), responses])
        return np.where(moving, rates * slowness, np.inf)

    result = integrate_success(integrand, start, target, _breaks(start, target))
    message = result.message
    if not np.all(np.isfinite(result.values)):
        message = f"the drift of {bound.label} is not positive all the way to the target"
    time, weight, energy, updates, responses = map(float, result.values)
    return Path(time, weight, energy, updates, responses, result.converged, message)


def least_product(
    *,
    start: float,
    target: float,
    design: str | Design = "fixed",
    group_size: int | None = None,
    update_cost: float = 0.0,
    response_cost: float = 1.0,
    budget: Budget = "energy",
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
) -> float:
    """Least time times budget of any weight on the design's clock, (∫ √(c b/v) dρ)².

    By Cauchy and Schwarz no table does better under the weight budget, b = 1. Under the energy
    b = ρ(1−ρ)/v, which is n/ω² of a centred scheme in large groups; finite groups scatter more.

    Args:
        start: ρ₀ in (0, 1).
        target: Above ``start``, below 1.
        design: Any sampling design.
        group_size: M; not used by ``"first_success"`` and ``"population"``.
        update_cost: α.
        response_cost: β.
        budget: ``"energy"`` or ``"weight"``.
        dynamics: The velocity v.

    Raises:
        ValueError: As :func:`path`.

    Source: arXiv 2602.11128 for the population; section "Sampling designs" of docs/theory.md.

    >>> round(least_product(start=0.01, target=0.9, design="population"), 4)  # Sqrt-R's
    28.4254
    """
    found, flow = resolve_design(design), resolve_dynamics(dynamics)
    _check_problem(start, target, update_cost, response_cost)

    def integrand(success: Floats) -> Floats:
        velocity = np.asarray(flow.velocity(success))
        cost = update_cost + response_cost * found.responses(group_size, success)
        density = success * (1 - success) / velocity if budget == "energy" else 1.0
        return np.asarray(np.sqrt(cost * density / velocity))[None, :]

    return float(integrate_success(integrand, start, target, _breaks(start, target)).values[0]) ** 2


def excess(
    scheme: SchemeLike,
    *,
    design: str | Design = "fixed",
    group_size: int | None = None,
    start: float,
    target: float,
    update_cost: float = 0.0,
    response_cost: float = 1.0,
    budget: Budget = "energy",
    reference: Reference = "best_table",
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
) -> float:
    """Excess of a scheme: its time times budget over the least possible one; at least 1.

    Args:
        scheme: Scheme with a table, or its name; for the population any with a weight.
        design: Sampling design, by name.
        group_size: M; not used by ``"first_success"`` and ``"population"``.
        start: ρ₀ in (0, 1).
        target: Above ``start``, below 1.
        update_cost: α ≥ 0, the cost of an update.
        response_cost: β ≥ 0, the cost of a response; not both are 0.
        budget: ``"energy"``, the second moment added up along the path, or ``"weight"``, ∫ω dρ.
        reference: ``"best_table"``, the best of all tables a⁺, a⁻ under this design (see
            :func:`theory.best_tables.best_table`), or ``"best_weight"``, the least value on the
            design's clock (see :func:`least_product`). In the population there are no tables, and
            the best weight is the reference. So it is under the weight budget, which a table can
            meet at no price in noise.
        dynamics: The velocity v, see :mod:`theory.dynamics`.

    Returns:
        The ratio; ∞ if the scheme does not reach the target.

    Raises:
        ValueError: Unknown names, bad ranges or costs, a scheme without what the design needs.

    Source: section "Sampling designs" of docs/theory.md.

    >>> setting = dict(group_size=16, start=0.01, target=0.9)
    >>> round(excess("grpo", design="fixed", **setting), 3)
    1.023
    >>> round(excess("linear_r", design="until_any", budget="weight", **setting), 3)
    1.635
    >>> round(excess("grpo", design="population", start=0.01, target=0.9), 3)  # the clock 1/ρ
    1.555
    """
    found = resolve_design(design)
    if budget not in BUDGETS:
        raise ValueError(f"budget must be {' or '.join(BUDGETS)}; got {budget!r}")
    if reference not in REFERENCES:
        raise ValueError(f"reference must be {' or '.join(REFERENCES)}; got {reference!r}")
    _check_problem(start, target, update_cost, response_cost)
    problem: dict[str, Any] = {
        "start": start,
        "target": target,
        "design": found,
        "group_size": group_size,
        "update_cost": update_cost,
        "response_cost": response_cost,
        "dynamics": dynamics,
    }
    if found.name == "population":
        return _population_excess(scheme, start, target, update_cost, response_cost, dynamics)
    way = path(scheme, **problem)
    if not math.isfinite(way.time):
        return math.inf
    if reference == "best_weight" or budget == "weight":
        return way.product(budget) / least_product(budget=budget, **problem)
    from theory.best_tables import best_table

    return way.product("energy") / best_table(**problem).product


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
    size = _group_size(design, group_size)
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
    nodes, weights = np.polynomial.legendre.leggauss(_SIZE_NODES)
    half = np.diff(edges) / 2
    tail = np.exp(((edges[1:] + edges[:-1]) / 2)[:, None] + half[:, None] * nodes).ravel()
    sizes.append(tail)
    step.append((half[:, None] * weights).ravel() * tail)
    size, count = np.concatenate(sizes), np.concatenate(step)
    chance = count * np.exp((size - 1) * np.log1p(-rho))
    right = chance / size
    wrong = chance * (rho / (1 - rho)) * (size - 1) / size
    return Outcomes(np.ones_like(size), size, right, wrong, rho[:, 0])


def _population_excess(
    scheme: SchemeLike,
    start: float,
    target: float,
    update_cost: float,
    response_cost: float,
    dynamics: str | Dynamics | Callable[[Array], Array],
) -> float:
    from theory.clocks import resolve_clock
    from theory.optimal import optimal_weight

    clock = resolve_clock("affine", update=update_cost, response=response_cost)
    return optimal_weight(start, target, clock=clock, dynamics=dynamics).excess(scheme)


def _tables_and_outcomes(
    scheme: SchemeLike, design: str | Design, group_size: int, success: Array
) -> tuple[tuple[Floats, Floats], Outcomes]:
    rho = _probabilities(success).ravel()
    if np.any((rho <= 0) | (rho >= 1)):
        raise ValueError("success must lie strictly between 0 and 1: at the ends nothing is learnt")
    outcomes = outcomes_of(_finite_design(design), group_size, rho)
    return tables_of(resolve(scheme), outcomes), outcomes


def _finite_design(design: str | Design) -> Design:
    found = resolve_design(design)
    if found.name == "population":
        raise ValueError("the population has no groups; use theory.optimal.optimal_weight for it")
    return found


def _group_size(design: Design, group_size: int | None) -> int:
    if group_size is None:
        raise ValueError(f"the design {design.name} needs a group size")
    size, least = check_group_size(group_size), 1 + design.drops_all_right
    if size < least:
        raise ValueError(f"{design.name} needs groups of at least {least}; got {size}")
    return size


def _probabilities(success: Array) -> Floats:
    rho = np.asarray(success, dtype=np.float64)
    check_interval("success", rho)
    return rho


def _check_problem(start: float, target: float, update_cost: float, response_cost: float) -> None:
    check_range(start, target)
    if start == 0 or target == 1:
        raise ValueError(
            "a path starts above 0 and ends below 1: outside, groups of any size say nothing; "
            f"got {start:g} to {target:g}"
        )
    costs = (update_cost, response_cost)
    if not all(0 <= cost < math.inf for cost in costs) or not any(costs):
        raise ValueError(
            "update_cost and response_cost must be finite numbers of at least 0, not both 0; "
            f"got {update_cost:g} and {response_cost:g}"
        )


def _breaks(start: float, target: float) -> tuple[float, ...]:
    """Ends of panels in logit ρ, close enough for the steepest of binomial sums."""
    low, high = float(logit(start)), float(logit(target))
    count = max(1, math.ceil((high - low) / _PANEL))
    return tuple(map(float, expit(np.linspace(low, high, count + 1)[1:-1])))
