"""Prompts drawn by the chances of a plan, in TRL's order of groups and repetitions.

``apw advise FILE --json`` makes such a plan from counts: its ``probability`` of every prompt. A
:class:`llm_validation.prompt_planner.PromptPlanner` makes it anew while training.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from torch.utils.data import Sampler

from llm_validation.prompt_counts import prompt_key
from llm_validation.prompt_planner import PromptPlanner, draw, outcome_split
from llm_validation.replan import Replan
from runs.text import listed
from theory.rewards import OutcomeRule


class PlannedSampler(Sampler[int]):
    """Like TRL's sampler, but every batch is drawn by chances, without replacement.

    The batch is a function of the seed, its number in the run and the chances, so that a run that
    is resumed draws as one that was not.

    Args:
        like: TRL's ``RepeatSampler``, whose groups, batches, repetitions and seed it takes.
        probability: Chance of each prompt of the data set, or a function of a batch's number that
            gives them.

    Raises:
        ValueError: Chances that :func:`check_probability` refuses.
    """

    def __init__(
        self, like: Any, probability: Sequence[float] | Callable[[int], np.ndarray]
    ) -> None:
        self.like = like
        if callable(probability):
            self.probability = probability
        else:
            check_probability(probability, len(like.data_source), like.batch_size)
            chances = np.asarray(probability, dtype=np.float64)
            self.probability = lambda batch: chances
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Take the batches of an epoch next, as accelerate says."""
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        """Indices of an epoch: as many batches as TRL's has."""
        batches = len(self.like.data_source) // self.like.batch_size
        for number in range(self.epoch * batches, (self.epoch + 1) * batches):
            chosen = draw(self.probability(number), self.like.batch_size, self.like.seed, number)
            for _ in range(self.like.repeat_count):
                for index in chosen.tolist():
                    yield from [index] * self.like.mini_repeat_count

    def __len__(self) -> int:
        """Number of indices of an epoch."""
        return len(self.like)


def planner_of(
    how: Replan, trainer: Any, outcome: str | None, rule: OutcomeRule | None
) -> PromptPlanner:
    """The planner of a training run.

    Args:
        how: When to plan, and for what.
        trainer: A :class:`llm_validation.trainer.WeightedGRPOTrainer`.
        outcome: Name of the reward function that says which responses are correct.
        rule: How its reward says so.

    Raises:
        ValueError: A data set without a length, or fewer prompts than a batch has, or workers that
            load data ahead; or several reward functions of which none is named.
    """
    names = trainer.reward_func_names
    if len(names) > 1 and outcome is None:
        raise ValueError(
            "a plan counts correct responses: say which reward function tells them, "
            f"outcome={listed([repr(name) for name in names], 'or')}"
        )
    data, workers = trainer.train_dataset, trainer.args.dataloader_num_workers
    batch = trainer.args.generation_batch_size // trainer.num_generations
    if not hasattr(data, "__len__"):
        raise ValueError("prompts are planned where train_dataset has a length")
    if workers:
        raise ValueError(
            "dataloader_num_workers must be 0 where prompts are planned as training goes, since "
            f"workers draw batches long before; got {workers}"
        )
    if len(data) < batch:
        raise ValueError(f"a batch holds {batch} different prompts, and there are {len(data)}")
    return PromptPlanner(
        [prompt_key(prompt) for prompt in data["prompt"]],
        batch=batch,
        group_size=trainer.num_generations,
        scheme=trainer.scheme,
        how=how,
        split=outcome_split(names, trainer.reward_weights.tolist(), outcome, rule),
    )


def check_probability(probability: Sequence[float], prompts: int, batch: int) -> None:
    """Refuse chances that no batch can be drawn by.

    Args:
        probability: Chances, in proportion.
        prompts: Prompts of the data set.
        batch: Different prompts of a batch.

    Raises:
        ValueError: Another number of chances than prompts, one that is negative or not finite, or
            fewer prompts with a chance than a batch holds.

    >>> check_probability([0.5, 0.25, 0.25], 3, 2)
    """
    chances = np.asarray(probability, dtype=np.float64)
    if chances.shape != (prompts,):
        raise ValueError(
            f"prompt_probability must hold a chance for each of the {prompts} prompts; got "
            f"{'x'.join(map(str, chances.shape)) or 'a number'}"
        )
    if not np.all(np.isfinite(chances)) or np.any(chances < 0):
        raise ValueError("prompt_probability must hold finite numbers of at least 0")
    able = int(np.count_nonzero(chances))
    if able < batch:
        raise ValueError(
            f"a batch holds {batch} different prompts, and prompt_probability leaves {able}"
        )
