"""The problem that ``apw advise`` solves: prompts that start anywhere, at what an update costs."""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from theory.clocks import resolve_clock
from theory.group_size import group_size_advice
from theory.optimal import OptimalWeight, optimal_weight
from theory.schemes import resolve

MOST_KNOTS = 128
"""Distinct success probabilities that are told apart."""

GROUP_SIZES = (2, 4, 8, 16, 32, 64, 128)

ENOUGH = 0.9
"""Of what the best group size gets for its cost; the smallest that gets so much is recommended."""

SAMPLINGS = {"fixed": None, "until_correct": "any_success", "until_mixed": "mixed_group"}
"""How groups are drawn → the clock that counts them."""


@dataclasses.dataclass(frozen=True)
class Costs:
    """What an update of a prompt costs.

    Attributes:
        update: α, apart from sampling.
        response: β, of every response.
        sampling: A key of ``SAMPLINGS``.
    """

    update: float
    response: float
    sampling: str = "fixed"

    def of_update(self, group_size: int, success: Any) -> Any:
        """Expected cost of an update at a success probability: α + βM·groups drawn.

        >>> float(Costs(1.0, 0.5, "until_correct").of_update(2, 0.5))  # 4/3 groups are drawn
        2.333333333333333
        """
        name = SAMPLINGS[self.sampling]
        drawn = 1.0 if name is None else resolve_clock(name, group_size=group_size).cost(success)
        return self.update + self.response * group_size * drawn


def solve(starts: np.ndarray, target: float, costs: Costs, group_size: int) -> OptimalWeight:
    """Optimal weight of prompts that share it and one budget, each from its start to the target.

    The cost and the budget of all prompts are integrals of one prompt's times the share of the
    prompts that pass through ρ: those that started below it. With that factor in clock and budget
    density alike the optimum is that of one prompt, and so are excess times.

    Args:
        starts: ρ of each prompt, in (0, target), shape (prompts,).
        target: ρ to reach.
        costs: What an update costs.
        group_size: M.

    >>> best = solve(np.array([0.1, 0.4]), 0.9, Costs(1.0, 0.0), 8)
    >>> bool(best.time < solve(np.array([0.1, 0.1]), 0.9, Costs(1.0, 0.0), 8).time)
    True
    """
    knots, shares = _knots(starts)

    def share(success: Any) -> Any:
        place = np.searchsorted(knots, np.asarray(success), side="right") - 1
        return shares[np.maximum(place, 0)]

    return optimal_weight(
        float(knots[0]), target, budget_density=share, kinks=[float(knot) for knot in knots[1:]],
        clock=lambda success: costs.of_update(group_size, success) * share(success),
    )  # fmt: skip


def _knots(starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct starts, increasing, and the share of prompts that started at or below each.

    More than ``MOST_KNOTS`` of them are moved to evenly spaced log-odds first.
    """
    if np.unique(starts).size > MOST_KNOTS:
        odds = np.log(starts) - np.log1p(-starts)
        grid = np.linspace(odds.min(), odds.max(), MOST_KNOTS)
        nearest = np.rint((odds - grid[0]) / (grid[1] - grid[0])).astype(np.int64)
        starts = 1 / (1 + np.exp(-grid[nearest]))
    knots, counts = np.unique(starts, return_counts=True)
    return knots, np.cumsum(counts) / starts.size


class GroupSizes(NamedTuple):
    """Group sizes that progress most for their cost.

    Attributes:
        recommended: The smallest with nearly the best squared signal-to-noise of an update.
        information: The best in that, where noise limits the learning rate.
        drift: The best at a fixed learning rate, which the drift decides.
    """

    recommended: int
    information: int
    drift: int


def group_sizes(scheme: str, success: float, costs: Costs) -> GroupSizes:
    """Best of the group sizes 2, 4, ..., 128 for a scheme at one success probability.

    >>> group_sizes("rloo", 0.3, Costs(0.0, 1.0))  # (M − 1)/M of the information per response
    GroupSizes(recommended=16, information=128, drift=2)
    """
    allowed = [m for m in GROUP_SIZES if m >= resolve(scheme).minimum_group]
    found = group_size_advice(scheme, success, group_sizes=allowed)
    cost = np.array([float(costs.of_update(m, success)) for m in allowed])
    information = found.group_sizes * found.efficiency / cost
    enough = information >= ENOUGH * information.max()
    return GroupSizes(
        recommended=allowed[int(np.argmax(enough))],
        information=allowed[int(np.argmax(information))],
        drift=allowed[int(np.argmax(found.drift / cost))],
    )
