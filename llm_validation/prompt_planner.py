"""Chances of prompts, planned anew from the outcomes of training as they come.

Every so many batches the counts of all prompts so far, faded since pass rates move, give a plan
(:mod:`theory.rollout_plan`): the pool of pass rates that is worth its responses, and each prompt's
posterior chance of being in it. A prompt that was not tried yet, or not for long, has the chance
that prompts in general have, so that none is ever left out for good.

Samplers of prompts are asked for the next batch before the last one's outcomes are in. The plan of
a batch so takes those up to the last but one into account, whether a run was interrupted or not.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from llm_validation.prompt_counts import PromptCounts
from llm_validation.replan import Replan
from llm_validation.reward_split import RewardSplit
from runs.seeds import stream
from theory._arrays import Floats
from theory.beta_binomial import fit_pass_rates
from theory.prompt_sets import posterior_set
from theory.rewards import OutcomeRule
from theory.rollout_plan import RolloutPlan, plan_known, plan_rollouts
from theory.schemes import Scheme, resolve

AHEAD = 2
"""A batch is drawn when the outcomes of the last batch but one are the newest."""

_GRAIN = 4.0
"""Faded counts are rounded to quarters of a response: many prompts then share one posterior."""

_LEAST = 1e-9
"""Least chance of a prompt over that of the likeliest: none is out of the question."""


class PromptPlanner:
    """Plans of a training run, one every ``every`` batches.

    Args:
        keys: Name of each prompt of the data set; prompts of one name share their counts.
        batch: Prompts of a batch.
        group_size: M.
        scheme: Scheme that is trained with.
        how: When to plan, for what target.
        split: What tells outcomes from rewards (:func:`outcome_split`); rewards of 0 and 1 and the
            like, of one function, by default.

    Raises:
        ValueError: Counts of another number of prompts than there are.

    >>> planner = PromptPlanner(["a", "b", "c"], batch=1, group_size=4, how=Replan(every=2))
    >>> planner.probability(0).round(2).tolist()  # nothing is known yet
    [0.33, 0.33, 0.33]
    >>> for key, correct in (("a", 0.0), ("b", 2.0), ("c", 4.0)):
    ...     planner.add([key], [correct], [4.0])
    ...     planner.end_batch()
    >>> bool(np.argmax(planner.probability(4)) == 1)
    True
    """

    def __init__(
        self,
        keys: Sequence[str],
        *,
        batch: int,
        group_size: int,
        scheme: str | Scheme = "grpo",
        how: Replan | None = None,
        split: RewardSplit | None = None,
    ) -> None:
        self._how = how or Replan()
        self._split = split or outcome_split(["reward"], [1.0])
        self._keys, self._group_size, self._scheme = list(keys), group_size, scheme
        memory = self._how.memory or max(len(self._keys) / batch, 1.0)
        self._counts = PromptCounts(math.exp(-1 / memory))
        self._batch = 0
        self._plans: dict[int, list[float] | None] = {0: None}
        self._pool: tuple[float, float] | None = None
        if len(self._how.correct):
            if len(self._how.correct) != len(self._keys):
                raise ValueError(
                    f"counts are of {len(self._how.correct)} prompts, and there are "
                    f"{len(self._keys)}"
                )
            known = [place for place, n in enumerate(self._how.tries) if n]
            self._counts.add(
                [self._keys[place] for place in known],
                [self._how.correct[place] for place in known],
                [self._how.tries[place] for place in known],
                step=0,
            )
        if len(self._how.correct) or self._how.rates is not None:
            self._plans[0] = self._plan(0)

    def probability(self, batch: int) -> Floats:
        """Chance of each prompt of the data set in a batch, numbered from 0; sums to 1.

        It is the newest plan made in time. Those of batches long past are gone, and all are alike.
        """
        made = [number for number in self._plans if number <= batch // self._how.every]
        chances = self._plans[max(made)] if made else None
        count = len(self._keys)
        return np.full(count, 1 / count) if chances is None else np.array(chances)

    def add(self, keys: Sequence[str], correct: Sequence[float], tries: Sequence[float]) -> None:
        """Count groups of the present batch."""
        self._counts.add(keys, correct, tries, step=self._batch)

    def add_rewards(self, keys: Sequence[str], rewards: np.ndarray) -> None:
        """Count groups of the present batch by their rewards.

        Args:
            keys: Names of the prompts, shape (groups,).
            rewards: Rewards by function, shape (groups × M, functions); NaN for none.
        """
        outcomes, _, valid = self._split(rewards)
        groups = len(keys), -1
        tries = valid.reshape(groups).sum(axis=1)
        correct = np.rint((outcomes * valid).reshape(groups).sum(axis=1))  # grades make parts
        self.add(keys, np.clip(correct, 0, tries).tolist(), tries.tolist())

    def end_batch(self) -> None:
        """The outcomes of a batch are all in: plan, if that is due."""
        self._batch += 1
        number, rest = divmod(self._batch - 1 + AHEAD, self._how.every)
        if rest == 0:
            self._plans[number] = self._plan(self._batch)
            self._plans = {past: self._plans[past] for past in sorted(self._plans)[-AHEAD - 1 :]}

    def _plan(self, batch: int) -> list[float] | None:
        """Chances by what is known at the start of a batch; none where nothing speaks for any."""
        plan = self._plan_by_counts(batch) if self._how.rates is None else self._plan_by_rates()
        self._pool = None if plan is None else (plan.low, plan.high)
        if plan is None:
            return None
        chances = np.maximum(plan.probability, _LEAST * plan.probability.max())
        return [float(chance) for chance in chances / chances.sum()]

    def _plan_by_rates(self) -> RolloutPlan | None:
        assert self._how.rates is not None
        rates = self._how.rates()
        if not rates.any():
            return None
        return plan_known(rates, self._scheme, self._group_size, target=self._how.target)

    def _plan_by_counts(self, batch: int) -> RolloutPlan | None:
        groups = self._counts.last_groups()
        fit = fit_pass_rates(groups[:, 0], groups[:, 1]) if len(groups) else None
        if fit is None or not groups[:, 0].any():
            return None
        counts = np.rint(_GRAIN * self._counts.at(self._keys, step=batch)) / _GRAIN
        if not counts[:, 0].any():
            return None
        prompts = posterior_set(fit, counts[:, 0], counts[:, 1], whole=False)
        return plan_rollouts(
            prompts, self._scheme, self._group_size, target=self._how.target, present=self._scheme
        )

    def metrics(self) -> dict[str, float]:
        """Ends of the pool of the newest plan, and how many prompts were tried."""
        values = {"prompts_tried": float(len(self._counts.last_groups()))}
        if self._pool is not None:
            values |= {"pool_low": self._pool[0], "pool_high": self._pool[1]}
        return values

    def state(self) -> dict[str, Any]:
        """Everything, of JSON types."""
        return {
            "batch": self._batch,
            "counts": self._counts.state(),
            "plans": [[number, chances] for number, chances in self._plans.items()],
            "pool": self._pool,
        }

    def remember(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`."""
        self._batch = state["batch"]
        self._counts.remember(state["counts"])
        self._plans = {int(number): chances for number, chances in state["plans"]}
        self._pool = None if state["pool"] is None else (state["pool"][0], state["pool"][1])


def draw(chances: np.ndarray, count: int, seed: int | None, batch: int) -> np.ndarray:
    """Different prompts of a batch, each drawn in proportion to the chances of those left.

    Args:
        chances: Of all prompts, in proportion.
        count: Prompts to draw.
        seed: Seed of the run; None for chance itself.
        batch: Number of the batch.

    Source: exponential races (Efraimidis and Spirakis, 2006).

    >>> sorted(draw(np.array([0.5, 0.5, 0.0]), 2, 0, 0).tolist())
    [0, 1]
    """
    waits = stream(seed, "plan", batch).standard_exponential(len(chances))
    with np.errstate(divide="ignore"):
        return np.argsort(waits / chances, kind="stable")[:count]


def outcome_split(
    names: Sequence[str],
    weights: Sequence[float],
    outcome: str | None = None,
    rule: OutcomeRule | None = None,
) -> RewardSplit:
    """What tells outcomes from rewards, whatever scale the scheme itself takes.

    Args:
        names: Names of the reward functions.
        weights: Their weights.
        outcome: Which of them tells whether a response is correct, where there are several.
        rule: How it does; recognised by default.

    >>> split = outcome_split(["accuracy"], [1.0])
    >>> split(np.array([[-1.0], [1.0], [np.nan]]))[0].tolist()
    [0.0, 1.0, 0.0]
    """
    # PSR weighs outcomes of 0 and 1 alone: no totals and no grades.
    return RewardSplit(resolve("psr"), names, weights, outcome=outcome, rule=rule, mode="gate")
