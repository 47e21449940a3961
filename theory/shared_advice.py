"""Which weight suits prompts that are unequal and share parameters, and how far that can be told.

What an update is worth there depends on two things that a file of pass rates does not say: whether
steps are of a constant rate or of equal size (plain gradients, or Adam and clipped ones), and how
noisy the scores ∇ln π are where a prompt is nearly solved (long responses of many tokens, or few
answers). :mod:`theory.sharing` predicts each of the four; their orders of schemes differ, and in
simulations at own learning rates that of few answers was the true one. A scheme is worth a change
if all four say so.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from theory._arrays import Floats
from theory._comparison import WORTH_IT
from theory.intervals import Interval
from theory.prompt_sets import PromptSet
from theory.schemes import SchemeLike, name_of
from theory.sharing import Budget, path_costs

READINGS: Mapping[str, tuple[Budget, tuple[float, float]]] = {
    "long responses, constant rate": ("energy", (0.0, 0.0)),
    "long responses, equal steps": ("steps", (0.0, 0.0)),
    "few answers, constant rate": ("energy", (1.0, 1.0)),
    "few answers, equal steps": ("steps", (1.0, 1.0)),
}
"""Reading → budget and collision probabilities of :func:`theory.sharing.path_costs`."""

POWERS = tuple(itertools.product((0.0, 0.25, 0.5, 0.75, 1.0, 1.25), (0.0, 0.25, 0.5, 0.75, 1.0)))
"""(a, b) of the weights ρ^−a(1−ρ)^−b that are compared, in quarters: finer is within noise."""


@dataclasses.dataclass(frozen=True)
class SharedAdvice:
    """Costs of schemes for prompts side by side, by reading.

    Attributes:
        present: The scheme that costs are over.
        spread: Standard deviation of the log-odds of the prompts, with a 95 % interval by what
            counts leave open.
        cost: Reading → scheme → cost over the present scheme's.
        power: Reading → (a, b) of the best weight ρ^−a(1−ρ)^−b, and its cost over the present's.
    """

    present: str
    spread: Interval
    cost: Mapping[str, Mapping[str, float]]
    power: Mapping[str, tuple[float, float, float]]

    def range(self, scheme: str) -> tuple[float, float]:
        """Least and largest cost of a scheme over the readings."""
        costs = [by_scheme[scheme] for by_scheme in self.cost.values()]
        return min(costs), max(costs)

    @property
    def steady(self) -> str:
        """The scheme that saves ``WORTH_IT`` by every reading, most by the worst; else present."""
        names = next(iter(self.cost.values()))
        best = min(names, key=lambda name: self.range(name)[1])
        return best if self.range(best)[1] <= 1 - WORTH_IT else self.present


def spread_of(prompts: PromptSet) -> Interval:
    """Standard deviation of the log-odds of prompts in reach, with its interval by the draws.

    >>> from theory.prompt_sets import known_set
    >>> spread_of(known_set([0.5, 0.5]))
    Interval(estimate=0.0, low=0.0, high=0.0)
    """
    value = float(np.std(prompts.odds))
    drawn = [float(np.std(one.odds)) for one in prompts.draws]
    low, high = np.quantile(drawn, (0.025, 0.975)) if drawn else (value, value)
    return Interval(value, float(min(low, value)), float(max(high, value)))


def shared_advice(
    prompts: PromptSet,
    schemes: Sequence[SchemeLike],
    *,
    present: SchemeLike = "grpo",
    kernel: Floats | None = None,
    sharing: float = 0.5,
    **setting: Any,
) -> SharedAdvice:
    """Costs of schemes and of power laws over the present scheme's, by every reading.

    Args:
        prompts: The prompts; with a kernel one for each of its rows, in order.
        schemes: Schemes with a table.
        present: The scheme in use.
        kernel: K_ij = ⟨∇ℓ_i, ∇ℓ_j⟩ as a probe measured it; none for that of ``sharing``.
        sharing: s in [0, 1], without a kernel.
        **setting: Target, group size, design, costs and conditions of
            :func:`theory.sharing.path_costs`.

    Raises:
        ValueError: Values outside the ranges named there.

    >>> from theory.prompt_sets import known_set
    >>> found = shared_advice(known_set([0.02, 0.2, 0.6]), ["sqrt_r"], target=0.9, group_size=8)
    >>> sorted(found.cost["few answers, equal steps"])
    ['grpo', 'sqrt_r']
    """
    own = name_of(present)
    names = list(dict.fromkeys([*map(name_of, schemes), own]))
    laws = [f"power:a={a:g},b={b:g}" for a, b in POWERS]
    if kernel is None:
        setting |= {"sharing": sharing, "unsolvable": prompts.out_of_reach}
    else:
        setting |= {"kernel": kernel}
    cost: dict[str, dict[str, float]] = {}
    power: dict[str, tuple[float, float, float]] = {}
    for reading, (budget, concentration) in READINGS.items():
        values = path_costs(
            [*names, *laws], prompts.odds, budget=budget, concentration=concentration, **setting
        )[:, 0]
        values = values / values[names.index(own)]
        cost[reading] = dict(zip(names, values.tolist(), strict=False))
        best = int(np.argmin(values[len(names) :]))
        power[reading] = (*POWERS[best], float(values[len(names) + best]))
    return SharedAdvice(own, spread_of(prompts), cost, power)
