"""The reward a trainer gives: a task's outcomes as numbers, with every outcome counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from llm_validation.outcomes import Outcome
from llm_validation.tasks.task import Task

RESTARTS = "verifier_restarts"
"""Metric: verifier workers replaced because an answer ended them, since this process began."""


class TaskReward:
    """Reward function for ``trl.GRPOTrainer``: 1 for a correct response, 0 for another.

    A response that cannot be scored gets None: it earns no advantage and leaves the baseline.

    Args:
        task: Scores the responses; the training rows must have its ``gold`` as a column.
    """

    __name__ = "task_reward"

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(
        self,
        prompts: Sequence[Any],
        completions: Sequence[Any],
        gold: Sequence[str],
        log_metric: Callable[[str, float], None] | None = None,
        **_: Any,
    ) -> list[float | None]:
        """Rewards of the completions, in order.

        The share of each outcome is logged, and how many workers of the scorer had to be replaced
        so far.
        """
        answers = [response_text(completion) for completion in completions]
        outcomes = self.task.score(list(gold), answers, list(prompts))
        if log_metric is not None:
            counts = Counter(outcomes)
            for outcome in Outcome:
                log_metric(f"outcome_{outcome}", counts[outcome] / len(outcomes))
            restarts = getattr(self.task.scorer, "restarts", None)
            if restarts is not None:
                log_metric(RESTARTS, restarts)
        return [outcome.reward for outcome in outcomes]


class LengthPenalty:
    """Shaping reward for ``trl.GRPOTrainer``: −penalty × tokens / longest."""

    __name__ = "length_penalty"

    def __init__(self, penalty: float, longest: int) -> None:
        self.penalty, self.longest = penalty, longest

    def __call__(self, *, completion_ids: Sequence[Sequence[int]], **_: Any) -> list[float]:
        """Penalties of the completions, in order."""
        return [-self.penalty * len(tokens) / self.longest for tokens in completion_ids]


def response_text(completion: Any) -> str:
    """Text of a completion, which TRL gives as a string or as chat messages.

    >>> response_text([{"role": "assistant", "content": "42"}])
    '42'
    """
    return completion if isinstance(completion, str) else str(completion[-1]["content"])
