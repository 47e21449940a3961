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
from collections.abc import Callable, Iterable
from typing import Literal

import numpy as np

from theory._arrays import Array, Floats
from theory._designs import (
    DESIGNS,
    Design,
    DesignName,
    Outcomes,
    checked_success,
    finite_design,
    outcomes_of,
    resolve_design,
    tables_of,
)
from theory._problem import Problem
from theory.best_tables import solved_table
from theory.clocks import resolve_clock
from theory.dynamics import Dynamics
from theory.optimal import optimal_weight
from theory.schemes import Scheme, SchemeLike, resolve, schemes_by_name

__all__ = [
    "BUDGETS",
    "DESIGNS",
    "REFERENCES",
    "Budget",
    "Design",
    "DesignName",
    "Outcomes",
    "Path",
    "Reference",
    "drift",
    "excess",
    "excess_of_all",
    "least_product",
    "outcomes_of",
    "path",
    "path_of",
    "resolve_design",
    "second_moment",
    "tables_of",
]

Budget = Literal["energy", "weight"]
Reference = Literal["best_table", "best_weight"]
BUDGETS: tuple[Budget, ...] = ("energy", "weight")
REFERENCES: tuple[Reference, ...] = ("best_table", "best_weight")


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
    start: Array,
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
        start: ρ₀ in (0, 1), or that of each of several prompts, whose mean is taken.
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
    costs = update_cost, response_cost
    problem = Problem.of(start, target, finite_design(design), group_size, *costs, dynamics)
    return path_of(resolve(scheme), problem)


def path_of(scheme: Scheme, problem: Problem) -> Path:
    """:func:`path` of a problem whose names are resolved and whose numbers are checked.

    >>> from theory.schemes import SCHEMES
    >>> path_of(SCHEMES["grpo"], Problem.of(0.01, 0.9, "fixed", 16)).converged
    True
    """

    def integrand(success: Floats) -> Floats:
        outcomes = problem.outcomes(success)
        tables = tables_of(scheme, outcomes)
        omega, second = outcomes.drift(*tables), outcomes.second_moment(*tables)
        cost, responses = problem.cost(success), problem.responses(success)
        net = omega - problem.pull(success)
        moving = net > 0
        slowness = 1 / (np.where(moving, net, 1.0) * problem.velocity(success))
        rates = np.stack([cost, omega / slowness, second, np.ones_like(cost), responses])
        return np.where(moving, rates * slowness, np.inf)

    result = problem.integrate(integrand)
    message = result.message
    if not np.all(np.isfinite(result.values)):
        message = f"the drift of {scheme.label} is not positive all the way to the target"
    time, weight, energy, updates, responses = map(float, result.values)
    return Path(time, weight, energy, updates, responses, result.converged, message)


def least_product(
    *,
    start: Array,
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
        start: ρ₀ in (0, 1), or that of each of several prompts, whose mean is taken.
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
    costs = update_cost, response_cost
    return _least_product(Problem.of(start, target, design, group_size, *costs, dynamics), budget)


def _least_product(problem: Problem, budget: Budget) -> float:
    def integrand(success: Floats) -> Floats:
        velocity = problem.velocity(success)
        density = success * (1 - success) / velocity if budget == "energy" else 1.0
        return np.asarray(np.sqrt(problem.cost(success) * density / velocity))[None, :]

    return float(problem.integrate(integrand).values[0]) ** 2


def excess(
    scheme: SchemeLike,
    *,
    design: str | Design = "fixed",
    group_size: int | None = None,
    start: Array,
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
        start: ρ₀ in (0, 1), or that of each of several prompts, whose mean is taken.
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
    ratios = excess_of_all(
        [scheme],
        design=design,
        group_size=group_size,
        start=start,
        target=target,
        update_cost=update_cost,
        response_cost=response_cost,
        budget=budget,
        reference=reference,
        dynamics=dynamics,
    )
    return next(iter(ratios.values()))


def excess_of_all(
    schemes: Iterable[SchemeLike],
    *,
    design: str | Design = "fixed",
    start: Array,
    target: float,
    update_cost: float = 0.0,
    response_cost: float = 1.0,
    budget: Budget = "energy",
    reference: Reference = "best_table",
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
    group_size: int | None = None,
) -> dict[str, float]:
    """Excess of several schemes over one reference, which is computed once.

    Args:
        schemes: Schemes with tables; for the population any with weights.
        design: As in :func:`excess`, and so are the rest.
        start: ρ₀ in (0, 1), or that of each of several prompts, whose mean is taken.
        target: Above ``start``, below 1.
        update_cost: α.
        response_cost: β.
        budget: ``"energy"`` or ``"weight"``.
        reference: ``"best_table"`` or ``"best_weight"``.
        dynamics: The velocity v.
        group_size: M.

    Returns:
        Name of each scheme → ratio, at least 1.

    Raises:
        ValueError: As :func:`excess`.

    >>> found = excess_of_all(["grpo", "rloo"], group_size=16, start=0.01, target=0.9)
    >>> {name: round(ratio, 3) for name, ratio in found.items()}
    {'grpo': 1.023, 'rloo': 1.105}
    """
    if budget not in BUDGETS:
        raise ValueError(f"budget must be {' or '.join(BUDGETS)}; got {budget!r}")
    if reference not in REFERENCES:
        raise ValueError(f"reference must be {' or '.join(REFERENCES)}; got {reference!r}")
    costs = update_cost, response_cost
    problem = Problem.of(start, target, design, group_size, *costs, dynamics)
    if problem.design.name == "population":
        if problem.several:
            raise ValueError(
                "the population design takes one start; theory.population has many prompts"
            )
        clock = resolve_clock("affine", update=update_cost, response=response_cost)
        low = problem.start
        return optimal_weight(low, target, clock=clock, dynamics=dynamics).excess_of_all(schemes)
    ways = {name: path_of(scheme, problem) for name, scheme in schemes_by_name(schemes).items()}
    if not any(math.isfinite(way.time) for way in ways.values()):
        return dict.fromkeys(ways, math.inf)
    if reference == "best_weight" or budget == "weight":
        least = _least_product(problem, budget)
    else:
        least = solved_table(problem).product
    return {
        name: way.product(budget) / least if math.isfinite(way.time) else math.inf
        for name, way in ways.items()
    }


def _tables_and_outcomes(
    scheme: SchemeLike, design: str | Design, group_size: int, success: Array
) -> tuple[tuple[Floats, Floats], Outcomes]:
    rho = checked_success(success).ravel()
    if np.any((rho <= 0) | (rho >= 1)):
        raise ValueError("success must lie strictly between 0 and 1: at the ends nothing is learnt")
    outcomes = outcomes_of(finite_design(design), group_size, rho)
    return tables_of(resolve(scheme), outcomes), outcomes
