"""Sampling whose random numbers belong to a response, not to the order things happen in.

Each response of a run has its own row of uniform numbers, fixed by (seed, step, row). The batch it
is generated in, the number of processes and a restart make no difference to it, and runs of
different schemes with the same seed share them (common random numbers).
"""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from transformers import (
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    TemperatureLogitsWarper,
    TopPLogitsWarper,
)


def uniform_rows(seed: int, step: int, first: int, rows: int, length: int) -> np.ndarray:
    """Uniform numbers of responses ``first`` to ``first + rows`` of a step, (rows, length).

    >>> whole = uniform_rows(0, 3, 0, 4, 5)
    >>> bool((uniform_rows(0, 3, 2, 2, 5) == whole[2:]).all())
    True
    """
    # PCG64 takes one 64-bit draw per number, so rows before ours are skipped without drawing them.
    bits = np.random.PCG64(np.random.SeedSequence((seed, step))).advance(first * length)
    return np.random.Generator(bits).random((rows, length))


class SeededChoice(LogitsProcessor):
    """Choose each row's next token by inverting the distribution function at a given number.

    The chosen token keeps the score 0 and every other gets −∞, so whatever samples afterwards
    takes it.

    Args:
        uniforms: Numbers in [0, 1), shape (rows, tokens); one column is used per call.
        temperature: Sampling temperature.
        top_p: Nucleus of sampling.
    """

    def __init__(self, uniforms: torch.Tensor, temperature: float, top_p: float) -> None:
        # One column, of shape (rows, 1), per token.
        self.uniforms = uniforms.T.contiguous().unsqueeze(-1)
        self.position = 0
        self.warpers = LogitsProcessorList()
        if temperature != 1:
            self.warpers.append(TemperatureLogitsWarper(temperature))
        if top_p < 1:
            self.warpers.append(TopPLogitsWarper(top_p))

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:
        """Replace scores, shape (rows, vocabulary), by those of the chosen tokens."""
        if self.warpers:
            scores = self.warpers(input_ids, scores)
        cumulative = scores.softmax(-1).cumsum(-1, dtype=torch.float64)
        # Scaled by the total, which rounding leaves a little off 1: a token is always found.
        target = self.uniforms[self.position] * cumulative[:, -1:]
        self.position += 1
        chosen = torch.searchsorted(cumulative, target, right=True)
        return torch.full_like(scores, -torch.inf).scatter_(-1, chosen, 0.0)

    # transformers asks for it before every token, and working it out takes a while.
    __call__.__signature__ = inspect.signature(__call__)  # type: ignore[attr-defined]


@contextlib.contextmanager
def seeded_generation(
    model: PreTrainedModel, uniforms: torch.Tensor, *, temperature: float, top_p: float
) -> Iterator[None]:
    """Let ``model.generate`` sample with the given numbers in this block.

    Args:
        model: The model.
        uniforms: Numbers in [0, 1), one row per response, on the device of the prompts.
        temperature: Sampling temperature.
        top_p: Nucleus of sampling.
    """
    choice = SeededChoice(uniforms, temperature, top_p)
    sampler: Any = model  # its generate comes from a class that not every model has
    inner = type(sampler).generate

    def generate(*arguments: Any, **options: Any) -> Any:
        options["logits_processor"] = LogitsProcessorList([choice])
        if "generation_config" in options:
            # One token per row is left to choose from: no other sampling is wanted, or paid for.
            greedy = options["generation_config"] = copy.copy(options["generation_config"])
            greedy.do_sample, greedy.temperature = False, None
            greedy.top_p, greedy.top_k = None, None
        return inner(model, *arguments, **options)

    # On the instance, since the caller of generate gives no way to pass a processor through.
    sampler.generate = generate
    try:
        yield
    finally:
        del sampler.generate
