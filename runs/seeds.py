"""Randomness by purpose: what is drawn for different purposes never shares a stream.

NumPy pads the numbers that a stream is seeded with by zeros, so ``(seed, 2, 0)``, epoch 0 of a
shuffle, is ``(seed, 2)``, step 2 of another use. Words of a spawn key come after the padding: none
is lost, and a first word that says the purpose keeps purposes apart.
"""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np

Purpose = Literal[
    "responses",  # of training, by step, batch and turn
    "prompt order",  # by epoch
    "refill",  # other prompts for dead groups, by step, batch and process
    "warm-up",
    "evaluation",  # responses, by problem
    "vLLM",  # its own seed for a problem's responses, by problem and first sample
    "plan",  # prompts of a planned batch, by batch
    "adapters",  # first weights of LoRA
    "imitation",  # demonstrations
    "resamples",  # of the prompts of a probe
    "regret",  # rates, and what is made of them
]
"""What is drawn. A purpose's place in the list is part of its stream: add at the end alone."""

_WORDS = {purpose: number for number, purpose in enumerate(get_args(Purpose), start=1)}
_LARGEST = 2**32
"""A larger number is two words to NumPy, and no place of its own any more."""


def sequence(seed: int | None, purpose: Purpose, *numbers: int) -> np.random.SeedSequence:
    """The seed of a stream of its own for a purpose.

    Args:
        seed: Seed of the run, below 2^128; None for chance itself.
        purpose: What is drawn.
        numbers: What tells its streams apart, such as step and batch, each below 2^32.

    Raises:
        ValueError: A number that is negative or too large.

    >>> sequence(0, "prompt order", 0).spawn_key != sequence(0, "responses", 2).spawn_key
    True
    >>> stream(7, "refill", 3, 0).random() == stream(7, "refill", 3).random()
    False
    """
    if seed is not None and not 0 <= seed < 2**128:
        raise ValueError(f"a seed must lie in [0, 2^128); got {seed}")
    if any(not 0 <= number < _LARGEST for number in numbers):
        raise ValueError(f"numbers of a stream must lie in [0, 2^32); got {numbers}")
    return np.random.SeedSequence(seed, spawn_key=(_WORDS[purpose], *numbers))


def stream(seed: int | None, purpose: Purpose, *numbers: int) -> np.random.Generator:
    """The generator of :func:`sequence`."""
    return np.random.default_rng(sequence(seed, purpose, *numbers))
