"""Schemes made for a problem: the best weight on a sampling design's clock, and its best table.

They are named with the problem as their options and are known wherever schemes are named:
``optimal:start=0.01,target=0.9,design=until_any`` and
``best_table:start=0.01,target=0.9,design=fixed,group_size=16``. Without ``group_size`` they are
made for the groups they are given.

``optimal`` weighs a group by ω* = √(c/v)/∫√(c/v) dρ at its pass rate, with the cost c of the design
(:mod:`theory.designs`) and the velocity v = ρ(1−ρ) of the mirror flow; in the population it is the
optimal weight of the theorem. Groups without a correct response get nothing where the design does
not use them. ``best_table`` has the tables of :func:`theory.best_tables.best_table`, for groups of
one size. ``empirical_bayes`` is made for prompts with pass rates spread as Beta(a, b), see
:mod:`theory.empirical_bayes`.

``power:a=1,b=0.5`` is the family of :mod:`theory.power_law`.
``rescaled:weights=sqrt_r,scale=grpo`` is for telling the weights of a scheme from its scale: the
advantages of one scheme, multiplied so that their mean square over a batch is that of another.
"""

from __future__ import annotations

import functools
import math
from typing import Annotated, Any

import numpy as np

from theory._arrays import Array, is_traced
from theory._coefficients import Pair
from theory._designs import DESIGNS, resolve_design
from theory._difficulty import DEFINITIONS
from theory._options import Allowed, Option
from theory._problem import Problem
from theory._scheme import Scheme
from theory._velocity import DYNAMICS
from theory._weight_coefficients import WeightCoefficients
from theory.best_tables import best_table
from theory.empirical_bayes import EMPIRICAL_BAYES
from theory.power_law import POWER

_RESCALABLE = tuple(name for name, scheme in DEFINITIONS.items() if scheme.has_table)
_WITH_TABLES = tuple(name for name, design in DESIGNS.items() if design.grouped)

Probability = Annotated[float, Allowed(0.0, 1.0)]
GroupSize = Annotated[int | None, Allowed(1, 1024, whole=True, none=True)]
Cost = Annotated[float, Allowed(0.0)]
Dynamics = Annotated[str, Allowed(words=tuple(DYNAMICS), numbers=False)]


def _optimal(
    xp: Any,
    mean: Array,
    variance: Array,
    size: Array | float,
    *,
    start: Probability = 0.01,
    target: Probability = 0.9,
    design: Annotated[str, Allowed(words=tuple(DESIGNS), numbers=False)] = "fixed",
    group_size: GroupSize = None,
    update_cost: Cost = 0.0,
    response_cost: Cost = 1.0,
) -> Pair:
    """The best weight on the clock of a sampling design, for a unit of ∫ω dρ."""
    found = resolve_design(design)
    if found.name in _WITH_TABLES:
        group_size = group_size or _one_size("optimal", size)
    weight = _best_weight(start, target, design, group_size, update_cost, response_cost)
    unused = "drop" if found.drops_all_wrong else "keep"
    return WeightCoefficients(weight, "optimal")(xp, mean, variance, size, zero_success=unused)


@functools.lru_cache(maxsize=64)
def _best_weight(*problem: Any) -> Any:
    return Problem.of(*problem).best_weight


def _best_table(
    xp: Any,
    mean: Array,
    variance: Array,
    size: Array | float,
    *,
    start: Probability = 0.01,
    target: Probability = 0.9,
    design: Annotated[str, Allowed(words=_WITH_TABLES, numbers=False)] = "fixed",
    group_size: GroupSize = None,
    update_cost: Cost = 0.0,
    response_cost: Cost = 1.0,
    dynamics: Dynamics = "mirror",
) -> Pair:
    """The table that reaches the target with the least time and energy under a sampling design."""
    best = best_table(
        start=start,
        target=target,
        design=design,
        group_size=group_size or _one_size("best_table", size),
        update_cost=update_cost,
        response_cost=response_cost,
        dynamics=dynamics,
    )
    if not best.converged:
        raise ValueError(f"the best table was not found: {best.message}")
    return best.scheme().coefficients(mean, variance, size)


def _rescaled(
    xp: Any,
    mean: Array,
    variance: Array,
    size: Array | float,
    *,
    weights: Annotated[str, Allowed(words=_RESCALABLE, numbers=False)] = "sqrt_r",
    scale: Annotated[str, Allowed(words=_RESCALABLE, numbers=False)] = "grpo",
) -> Pair:
    """The weights of one scheme at the total scale of another.

    A_i = A_i(weights) √(Σ A(scale)²/Σ A(weights)²) with sums over all responses of the batch. The
    table is that of ``weights``, as long as there is no batch.
    """
    return DEFINITIONS[weights].coefficients(mean, variance, size)


def _rescaled_traits(**options: Option) -> dict[str, Option]:
    return {"scaled_like": options["scale"]}


def _one_size(name: str, size: Array | float) -> int:
    """The size of all groups; M must be told where it cannot be seen."""
    sizes = np.array([]) if is_traced(size) else np.unique(np.asarray(size))
    if sizes.size != 1 or math.isinf(sizes[0]):
        raise ValueError(
            f"{name} is made for groups of one size: give it, as in {name}:group_size=16"
        )
    return int(sizes[0])


def _check(**options: Option) -> None:
    values: dict[str, Any] = {**options, "group_size": options["group_size"] or 1024}
    Problem.of(**values)


PROBLEM_SCHEMES = {
    "empirical_bayes": EMPIRICAL_BAYES,
    "optimal": Scheme.from_coefficients(
        _optimal,
        "optimal",
        title="Optimal",
        formula="√(c/v)/∫√(c/v) dρ",
        source="apw",
        check=_check,
    ),
    "best_table": Scheme.from_coefficients(
        _best_table,
        "best_table",
        title="Best table",
        formula="the table of least time × energy",
        centred=False,
        graded=False,
        check=_check,
    ),
    "rescaled": Scheme.from_coefficients(
        _rescaled,
        "rescaled",
        title="Rescaled",
        formula="the weights of one scheme at the scale of another",
        centred=False,
        graded=False,
        minimum_group=2,
        scaled_like="grpo",
        traits=_rescaled_traits,
    ),
    "power": POWER,
}
"""All by name, with their default problem: from 0.01 to 0.9 in fixed groups, or Jeffreys' prior."""
