"""How prompts are chosen by their pass rates while training: when to plan, for what, from what."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from runs.pass_rates import read_measured
from theory._arrays import Floats

if TYPE_CHECKING:
    from llm_validation.config import TrainConfig
    from llm_validation.tasks import Example


@dataclasses.dataclass(frozen=True)
class Replan:
    """How prompts are chosen by their pass rates while training.

    Attributes:
        every: Batches between plans, at least 1.
        target: Mean success to reach, of the prompts in reach, in (0, 1).
        memory: Batches after which a response counts 1/e of a new one; the batches of an epoch by
            default.
        correct: Correct responses known of each prompt of the data set beforehand; none by default.
        tries: Responses that they are of.
        rates: Gives the true pass rate of each prompt under the present policy, where that can be
            known; plans then go by these and not by counts.

    Raises:
        ValueError: Values outside these ranges, or counts of another length.
    """

    every: int = 10
    target: float = 0.9
    memory: float | None = None
    correct: Sequence[float] = ()
    tries: Sequence[float] = ()
    rates: Callable[[], Floats] | None = None

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.every < 1:
            raise ValueError(f"every must be at least 1; got {self.every}")
        if not 0 < self.target < 1:
            raise ValueError(f"target must lie in (0, 1); got {self.target}")
        if self.memory is not None and not self.memory > 0:
            raise ValueError(f"memory must be positive; got {self.memory}")
        if len(self.correct) != len(self.tries):
            raise ValueError(
                "correct and tries must list as many prompts; "
                f"got {len(self.correct)} and {len(self.tries)}"
            )


def replan(config: TrainConfig, examples: Sequence[Example]) -> Replan | None:
    """How a run plans its prompts; none if it takes all in shuffled order.

    Args:
        config: The run's configuration.
        examples: Prompts it trains on.

    Raises:
        FileNotFoundError: There is no file of counts.
        ValueError: Fewer prompts than a batch has, or a file of counts that names none of them.
    """
    if not config.plan_every:
        return None
    batch = config.prompts_per_step * config.updates_per_generation
    if len(examples) < batch:
        raise ValueError(
            f"a batch holds {batch} different prompts, and there are {len(examples)} to plan with"
        )
    correct: Sequence[float] = ()
    tries: Sequence[float] = ()
    if config.plan_counts is not None:
        correct, tries = known_counts(config.plan_counts, [example.id for example in examples])
    return Replan(config.plan_every, config.plan_target, config.plan_memory, correct, tries)


def known_counts(file: str, names: Sequence[str]) -> tuple[list[float], list[float]]:
    """Correct responses and tries of prompts, from a file of counts; zeros where it names none.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no counts, or of none of these prompts.
    """
    found = read_measured(file)
    if found.tries is None:
        raise ValueError(f"{file} does not say how many tries its rates are of")
    known = dict(zip(found.name, zip(found.correct, found.tries, strict=True), strict=True))
    counts = np.array([known.get(name, (0.0, 0.0)) for name in names])
    if not counts[:, 1].any():
        raise ValueError(
            f"{file} names none of the {len(names):,} prompts: its ids are like {found.name[0]!r}, "
            f"theirs like {names[0]!r}"
        )
    return counts[:, 0].tolist(), counts[:, 1].tolist()
