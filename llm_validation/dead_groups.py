"""Groups whose responses are all right or all wrong: kept, dropped, or sampled again.

Such groups teach nothing under schemes that compare. ``resample`` samples their prompts again,
``refill`` takes other prompts in their place (dynamic sampling, DAPO, arXiv 2503.14476), up to a
number of tries; what is dead after that, or at once under ``drop``, is left out of the loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

from runs.text import listed

if TYPE_CHECKING:  # configurations name these choices, and do without torch
    import torch

DeadGroups = Literal["keep", "drop", "resample", "refill"]
"""What to do with groups without both right and wrong responses."""

CHOICES: tuple[DeadGroups, ...] = get_args(DeadGroups)

_LEFT = ("prompt_ids", "prompt_mask")
"""Tensors that are padded on the left; all others are padded on the right."""


def are_dead(outcomes: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """Which groups have no two different outcomes among their scored responses.

    >>> outcomes = np.array([[1.0, 0], [0, 0], [1, 0]])
    >>> are_dead(outcomes, np.array([[True, True], [True, True], [True, False]])).tolist()
    [False, True, True]
    """
    highest = np.where(valid, outcomes, -np.inf).max(axis=1)
    lowest = np.where(valid, outcomes, np.inf).min(axis=1)
    return np.asarray(~(highest > lowest))


def rows_of(groups: Sequence[int], size: int) -> list[int]:
    """Rows of groups in a batch.

    >>> rows_of([2, 0], 3)
    [6, 7, 8, 0, 1, 2]
    """
    return [group * size + row for group in groups for row in range(size)]


def replace_rows(
    batch: dict[str, Any],
    rows: Sequence[int],
    fresh: dict[str, Any],
    taken: Sequence[int],
    pad: int,
) -> dict[str, Any]:
    """Put rows of a fresh batch in the place of rows of another, padded to a common width.

    Args:
        batch: What TRL's trainer generated and scored: tensors by name, of a row each.
        rows: Rows of ``batch`` that are replaced.
        fresh: Another such batch with the same names.
        taken: Rows of ``fresh`` that take their places, as many.
        pad: Token id of padding.

    Returns:
        The new batch; numbers without rows stay as in ``batch``.

    Raises:
        ValueError: A batch with other things than tensors of rows, such as images.
    """
    import torch

    count = len(batch["completion_ids"])
    made: dict[str, Any] = {}
    for name, old in batch.items():
        if not isinstance(old, torch.Tensor) or old.dim() > 2:
            raise ValueError(f"groups cannot be sampled again where a batch holds {name}")
        if old.dim() == 0:
            made[name] = old
            continue
        new = fresh[name]
        if len(old) != count:
            raise ValueError(f"groups cannot be sampled again where a batch holds {name}")
        if old.dim() == 2:
            width, fill = max(old.shape[1], new.shape[1]), pad if name.endswith("_ids") else 0
            old, new = (_padded(part, width, fill, left=name in _LEFT) for part in (old, new))
        made[name] = old.clone()
        made[name][list(rows)] = new[list(taken)].to(old.dtype)
    return made


def _padded(part: torch.Tensor, width: int, fill: int, *, left: bool) -> torch.Tensor:
    import torch

    missing = width - part.shape[1]
    return torch.nn.functional.pad(part, (missing, 0) if left else (0, missing), value=fill)


def check_dead_groups(trainer: Any) -> None:
    """Refuse what cannot be dropped or sampled again, before the first step.

    Args:
        trainer: A :class:`llm_validation.trainer.WeightedGRPOTrainer`.

    Raises:
        ValueError: An unknown choice, groups spread over processes, a scheme that compares prompts,
            or a data set without a length.
    """
    choice = trainer.dead_groups
    if choice not in CHOICES:
        raise ValueError(f"dead_groups must be {listed(CHOICES, 'or')}; got {choice!r}")
    if trainer.tries < 1:
        raise ValueError(f"tries must be at least 1; got {trainer.tries}")
    arguments = trainer.args
    rows = arguments.per_device_train_batch_size * arguments.steps_per_generation
    if choice != "keep" and rows % trainer.num_generations:
        raise ValueError(
            "dead groups are dropped or sampled again where no group is spread over processes: "
            f"a process's {rows} responses must be whole groups of {trainer.num_generations}"
        )
    if trainer.scheme.needs_batch and choice in ("resample", "refill"):
        raise ValueError(
            f"{trainer.scheme.name} weighs prompts against those sampled with them: dead groups "
            "can be kept or dropped, not sampled again"
        )
    if choice == "refill" and not hasattr(trainer.train_dataset, "__len__"):
        raise ValueError("dead_groups='refill' needs a train_dataset with a length")
