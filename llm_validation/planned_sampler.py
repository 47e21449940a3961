"""Prompts drawn by the chances of a plan, in TRL's order of groups and repetitions.

``apw advise FILE --json`` makes such a plan from counts: its ``probability`` of every prompt.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Sampler


class PlannedSampler(Sampler[int]):
    """Like TRL's sampler, but every batch is drawn by chances, without replacement.

    Args:
        like: TRL's ``RepeatSampler``, whose groups, batches, repetitions and seed it takes.
        probability: Chance of each prompt of the data set.

    Raises:
        ValueError: Chances that :func:`check_probability` refuses.
    """

    def __init__(self, like: Any, probability: Sequence[float]) -> None:
        check_probability(probability, len(like.data_source), like.batch_size)
        self.like = like
        self.probability = torch.tensor(np.asarray(probability, dtype=np.float64))
        self.generator = torch.Generator()
        if like.seed is not None:
            self.generator.manual_seed(like.seed)

    def __iter__(self) -> Iterator[int]:
        """Indices of an epoch: as many batches as TRL's has."""
        for _ in range(len(self.like.data_source) // self.like.batch_size):
            batch = torch.multinomial(
                self.probability, self.like.batch_size, generator=self.generator
            )
            for _ in range(self.like.repeat_count):
                for index in batch.tolist():
                    yield from [index] * self.like.mini_repeat_count

    def __len__(self) -> int:
        """Number of indices of an epoch."""
        return len(self.like)


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
