"""The best weights for the mean of prompts that share parameters.

Of all weights ω = ρ̂^−a (1 − ρ̂)^−b, ρ̂ = K/M, that leave all-wrong groups alone, and of all tables
a⁺_K, a⁻_K, those that bring the mean success of unequal prompts to a target at the least cost, as
:mod:`theory.sharing` counts it. Neither problem is known to be convex: two starts have to agree.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize

from theory._arrays import Floats
from theory._binomial import check_group_size
from theory.power_law import LARGEST, POWER
from theory.schemes import Scheme, SchemeLike, resolve
from theory.sharing import path_costs
from theory.tables import table_scheme

_POWERS = ((0.5, 0.5), (0.2, 0.0))
_TABLES = ("grpo", "linear_r")
_AGREE = 1e-3
_DIFFERENCE = 1e-4


@dataclasses.dataclass(frozen=True)
class SharedOptimum:
    """The best of a family of schemes for prompts that share parameters.

    Attributes:
        scheme: The scheme, for groups of M.
        parameters: (a, b) of a power law; a⁺_1..a⁺_M and a⁻_0..a⁻_{M−1} of a table, scaled to a
            largest entry of 1.
        cost: Its cost over GRPO's.
        spread: Largest relative difference between the costs found from several starts.
        converged: The starts agree to 0.1 %.
    """

    scheme: Scheme
    parameters: tuple[float, ...]
    cost: float
    spread: float
    converged: bool


def best_power(odds: Floats, *, target: float, group_size: int, **setting: Any) -> SharedOptimum:
    """The power law of least cost.

    Args:
        odds: logit ρ of the prompts at the start, shape (prompts,).
        target: Mean success to reach.
        group_size: M.
        **setting: Sharing, kernel, budget, design and costs of :func:`theory.sharing.path_costs`.

    Raises:
        ValueError: Values outside the ranges named there.

    >>> from theory.sharing import spread_odds
    >>> found = best_power(spread_odds(0.1, 2.0, 8), target=0.9, group_size=8, sharing=0.0)
    >>> found.converged, bool(found.cost < 0.6)
    (True, True)
    """

    def made(values: Floats) -> Scheme:
        return POWER.bind(a=float(values[0]), b=float(values[1]))

    def cost(values: Floats) -> float:
        both = path_costs(
            [made(values), "grpo"], odds, target=target, group_size=group_size, **setting
        )[:, 0]
        return float(np.log(both[0] / both[1]))

    ends = [
        optimize.minimize(
            cost,
            start,
            method="Nelder-Mead",
            bounds=[(-LARGEST, LARGEST)] * 2,
            options={"xatol": 1e-3, "fatol": 1e-6},
        )
        for start in _POWERS
    ]
    return _optimum([(float(end.fun), end.x) for end in ends], made)


def best_shared_table(
    odds: Floats, *, target: float, group_size: int, **setting: Any
) -> SharedOptimum:
    """The table of least cost, by L-BFGS over the logarithm of the cost.

    Args:
        odds: logit ρ of the prompts at the start, shape (prompts,).
        target: Mean success to reach.
        group_size: M.
        **setting: Sharing, kernel, budget, design and costs of :func:`theory.sharing.path_costs`.

    Raises:
        ValueError: Values outside the ranges named there.

    >>> from theory.sharing import spread_odds
    >>> found = best_shared_table(spread_odds(0.1, 1.0, 4), target=0.8, group_size=2)
    >>> found.converged
    True
    """
    size = check_group_size(group_size)

    def made(values: Floats) -> Scheme:
        positive, negative = np.zeros((2, size + 1))
        positive[1:], negative[:-1] = np.split(values, 2)
        return table_scheme(positive, negative, name="best_shared_table")

    def costs(tables: list[Floats]) -> Floats:
        schemes: list[SchemeLike] = [*map(made, tables), "grpo"]
        found = path_costs(schemes, odds, target=target, group_size=size, **setting)[:, 0]
        logs: Floats = np.log(found[:-1] / found[-1])
        return logs

    def slope(values: Floats) -> tuple[float, Floats]:
        # All differences are one flow: a row each. The cost does not depend on the table's scale.
        step = _DIFFERENCE * np.abs(values).max()
        near = [
            values,
            *(values + sign * step * row for row in np.eye(2 * size) for sign in (1, -1)),
        ]
        found = np.where(np.isfinite(logs := costs(near)), logs, 50.0)
        return float(found[0]), (found[1::2] - found[2::2]) / (2 * step)

    ends = []
    for name in _TABLES:
        positive, negative = resolve(name).table(size)
        start = np.concatenate([positive[1:], negative[:-1]])
        start = start / np.abs(start).max()
        end = optimize.minimize(slope, start, jac=True, method="L-BFGS-B")
        ends.append((float(end.fun), end.x / np.abs(end.x).max()))
    return _optimum(ends, made)


def _optimum(ends: list[tuple[float, Floats]], made: Callable[[Floats], Scheme]) -> SharedOptimum:
    """The best of several ends (ln of cost over GRPO's, parameters), and whether they agree."""
    costs = np.exp([cost for cost, _ in ends])
    best = ends[int(np.argmin(costs))][1]
    spread = float(np.ptp(costs) / costs.min())
    return SharedOptimum(
        made(best), tuple(map(float, best)), float(costs.min()), spread, spread < _AGREE
    )
