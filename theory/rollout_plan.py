"""Which prompts to choose how often next, from what counts say of them.

For known pass rates the best choice is a pool: prompts from a cut, below which they are not worth
their responses, to one common end (:mod:`theory.best_spending`). Counts say how likely a prompt is
in the pool, and the plan chooses it in proportion,

    q_i ∝ P(low ≤ ρ_i < high | K_i of n_i),

which is Thompson sampling: each time a prompt's turn comes its pass rate is drawn from its
posterior, and it is taken if that lies in the pool. A prompt that was never solved so keeps the
share that its posterior gives it, neither none nor everything. Groups are of one size: others add
little to the best choice.

It is a plan for the next updates, of prompts as if they were independent: pass rates move.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from theory._arrays import Floats
from theory.best_spending import BestSpending, best_spending
from theory.intervals import Interval
from theory.pass_rates import PassRates
from theory.prompt_sets import PromptSet, known_set
from theory.schemes import Scheme, SchemeLike, resolve
from theory.spending import spending_cost


@dataclasses.dataclass(frozen=True)
class RolloutPlan:
    """Chance of each prompt.

    Attributes:
        low: Pass rate from which a prompt is worth its responses.
        high: Pass rate from which it is left alone.
        probability: q_i, the chance that a prompt of the batch is this one; sums to 1.
        group_size: M, of all.
        saving: Share of the responses, at equal path energy, that the pool saves over the present
            scheme on all prompts in reach and out of it alike, if pass rates were known; with a
            95 % interval by what the counts leave open.
    """

    low: float
    high: float
    probability: Floats
    group_size: int
    saving: Interval


def plan_rollouts(
    prompts: PromptSet,
    scheme: SchemeLike = "grpo",
    group_size: int = 16,
    *,
    target: float = 0.9,
    present: SchemeLike = "grpo",
    length_ratio: float = 1.0,
) -> RolloutPlan | None:
    """The pool with the fewest responses, and each prompt's chance of being in it.

    Args:
        prompts: A measured set, with what is known of each prompt.
        scheme: Scheme to train with; it must raise every success probability.
        group_size: M, at least 2.
        target: Mean success to reach, of the prompts in reach.
        present: Scheme of what is compared with: all prompts alike, in groups of M.
        length_ratio: k, tokens of a wrong response over those of a right one.

    Returns:
        The plan; none where there is nothing to choose: the mean is at the target already, or no
        prompt is likely in the pool.

    Raises:
        ValueError: A set without counts, values outside these ranges, a scheme without a table.

    >>> from theory.prompt_sets import measured_set
    >>> plan = plan_rollouts(measured_set([0, 0, 2, 5, 8, 8], 8), target=0.8)
    >>> plan.probability.round(2).tolist()
    [0.12, 0.12, 0.39, 0.35, 0.01, 0.01]
    """
    if prompts.posterior is None:
        raise ValueError("a plan needs counts of correct responses, not pass rates that are known")
    if not float(np.mean(prompts.success)) < target:
        return None
    setting = (resolve(scheme), resolve(present), group_size, target, length_ratio)
    best, value = _pool(prompts, *setting)
    low, high = best.pool
    below = prompts.posterior.below([low, min(high, 1 - 1e-12)])
    inside = below[:, 1] - below[:, 0]
    if not inside.sum() > 0:
        return None
    saving = Interval(1 - value, 1 - value, 1 - value)
    drawn = [one for one in prompts.draws if float(np.mean(one.success)) < target]
    if len(drawn) > 1:
        half = 1.96 * float(np.log([_pool(one, *setting)[1] for one in drawn]).std(ddof=1))
        saving = Interval(1 - value, 1 - value * math.exp(half), 1 - value * math.exp(-half))
    return RolloutPlan(low, high, inside / inside.sum(), group_size, saving)


def plan_known(
    success: Floats, scheme: SchemeLike = "grpo", group_size: int = 16, *, target: float = 0.9
) -> RolloutPlan | None:
    """The same where every pass rate is known: prompts in the pool alike, and no others.

    Args:
        success: ρ of each prompt.
        scheme: Scheme to train with, and what is compared with.
        group_size: M, at least 2.
        target: Mean success to reach, of the prompts in reach.

    Raises:
        ValueError: As :func:`plan_rollouts`, or nothing but zeros.

    >>> plan_known(np.array([0.0, 0.01, 0.3, 0.4, 0.99]), target=0.7).probability.tolist()
    [0.0, 0.0, 0.5, 0.5, 0.0]
    """
    known = known_set(success)
    if not float(np.mean(known.success)) < target:
        return None
    bound = resolve(scheme)
    best, value = _pool(known, bound, bound, group_size, target, 1.0)
    low, high = best.pool
    inside = ((success >= low) & (success < high)).astype(np.float64)
    saving = Interval(1 - value, 1 - value, 1 - value)
    return RolloutPlan(low, high, inside / inside.sum(), group_size, saving)


def _pool(
    prompts: PromptSet,
    scheme: Scheme,
    present: Scheme,
    size: int,
    target: float,
    length_ratio: float,
) -> tuple[BestSpending, float]:
    """The best pool, and its responses at equal energy over those of all prompts alike."""
    able, count = 1 - prompts.out_of_reach, prompts.success.size
    rates = PassRates(
        np.append(prompts.success, 0.0),
        np.append(np.full(count, able / count), prompts.out_of_reach),
    )
    goal = able * target
    best = best_spending(
        rates, goal, scheme=scheme, sizes=size, partly=False, length_ratio=length_ratio
    )
    plain = spending_cost(
        "uniform", rates, goal, scheme=present, group_size=size, length_ratio=length_ratio
    )
    return best, best.product / plain.product
