"""Training of independent prompts on groups that are drawn, kept or drawn again, and counted.

Each prompt has one number, its log-odds of a correct response. An update draws a group of M
responses; if the design does not accept it, it draws another, and all responses count. The update
is the natural gradient of what was kept. Nothing here knows a drift, a probability of acceptance
or an expected cost.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt
from scipy.special import expit, logit

from claims.exact import GROUPS
from theory._arrays import Floats
from theory.schemes import resolve

Tables = tuple[Floats, Floats]
Counts = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Walk:
    """What training cost until the mean success was at the target, one value per seed.

    Attributes:
        responses: Responses drawn per prompt, times the learning rate.
        energy: Second moments of the advantages added up over updates, times the learning rate.
        weight: ∫ω dρ of the updates made.
    """

    responses: Floats
    energy: Floats
    weight: Floats

    @property
    def energy_product(self) -> Floats:
        """Responses times energy."""
        return self.responses * self.energy

    @property
    def weight_product(self) -> Floats:
        """Responses times the budget ∫ω dρ."""
        return self.responses * self.weight


def draw_groups(
    success: Floats, size: int, design: str, generator: np.random.Generator
) -> tuple[Counts, Floats]:
    """Correct responses of the group that is kept, and how many responses were drawn for it.

    Args:
        success: ρ, one per group, shape (groups,), in (0, 1).
        size: M.
        design: A name in :data:`claims.exact.GROUPS`.
        generator: Source of randomness.

    >>> correct, drawn = draw_groups(np.full(3, 0.5), 4, "until_any", np.random.default_rng(0))
    >>> bool((correct >= 1).all()), bool((drawn % 4 == 0).all())
    (True, True)
    """
    low, high = GROUPS[design](size)
    correct = np.empty(success.size, dtype=np.int64)
    drawn = np.zeros(success.size)
    waiting = np.arange(success.size)
    while waiting.size:
        found = generator.binomial(size, success[waiting])
        drawn[waiting] += size
        correct[waiting] = found
        waiting = waiting[(found < low) | (found > high)]
    return correct, drawn


def update(tables: Tables, size: int, success: Floats, correct: Counts) -> Floats:
    """Natural gradient in log-odds of a group with so many correct responses."""
    positive, negative = tables
    gain = correct * positive[correct] * (1 - success)
    gain = gain + (size - correct) * negative[correct] * success
    return np.asarray(gain / (size * success * (1 - success)))


def walk(
    tables: Tables,
    size: int,
    start: float,
    target: float,
    design: str,
    *,
    updates: int,
    prompts: int,
    seeds: int,
    seed: int,
) -> Walk:
    """Train until the mean success of every seed's prompts is at the target.

    Args:
        tables: a⁺ and a⁻ over the number of correct responses, each of shape (size + 1,).
        size: M.
        start: ρ₀ of every prompt.
        target: Success to reach.
        design: A name in :data:`claims.exact.GROUPS`.
        updates: About how many updates it shall take, which sets the learning rate.
        prompts: Independent prompts of a seed, an even number.
        seeds: Seeds.
        seed: The first seed.
    """
    generator = np.random.default_rng([seed, size, round(1e6 * start)])
    rate = (logit(target) - logit(start)) / updates / _speed(tables, size, target, generator)
    odds: Floats = np.full(prompts * seeds, float(logit(start)))
    level: Floats = np.full(seeds, start)
    sums = np.zeros((3, seeds))
    running = np.ones(seeds, dtype=bool)
    positive, negative = tables

    def per_seed(values: Floats) -> Floats:
        return np.asarray(values.reshape(seeds, prompts).mean(axis=1))

    while running.any():
        success = expit(odds)
        correct, drawn = draw_groups(success, size, design, generator)
        step = update(tables, size, success, correct)
        share = correct / size
        square = share * positive[correct] ** 2 + (1 - share) * negative[correct] ** 2
        odds += rate * step
        after = expit(odds)
        reached = per_seed(after)
        # The last update counts as far as it went towards the target.
        part = np.clip((target - level) / np.maximum(reached - level, 1e-12), 0.0, 1.0)
        part = np.where(reached < target, 1.0, part) * running
        # ω from one group and the change of ρ from an independent one: their product has no bias.
        spent = _crossed(step, after - success, seeds) * part
        sums += np.stack([rate * per_seed(drawn) * part, rate * per_seed(square) * part, spent])
        level = reached
        running &= reached < target
    return Walk(*sums)


def _crossed(weight: Floats, gain: Floats, seeds: int) -> Floats:
    """ω Δρ of every seed, each from the other half of its prompts: else noise would add to it."""
    omega, rise = (values.reshape(seeds, 2, -1).mean(axis=2) for values in (weight, gain))
    return np.asarray((omega[:, 0] * rise[:, 1] + omega[:, 1] * rise[:, 0]) / 2)


def _speed(tables: Tables, size: int, target: float, generator: np.random.Generator) -> float:
    """Mean update between one in ten and the target, from groups of every kind."""
    success = np.linspace(0.1, target, 2000)
    correct = generator.binomial(size, success)
    return float(update(tables, size, success, correct).mean())


def mean_drift(
    scheme: str, size: int, success: float, design: str, *, groups: int, seeds: int, seed: int
) -> list[float]:
    """Mean update of kept groups at one pass rate, one per seed."""
    tables, found = resolve(scheme).table(size), []
    rho = np.full(groups, success)
    for number in range(seeds):
        generator = np.random.default_rng([seed, number])
        correct, _ = draw_groups(rho, size, design, generator)
        found.append(float(update(tables, size, rho, correct).mean()))
    return found
