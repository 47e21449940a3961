"""Sampling whose random numbers belong to a response, not to the order things happen in.

Each token of a run has its own uniform number, fixed by (seed, step, batch, row, turn, position).
The number of processes and a restart make no difference to it, and runs of different schemes with
the same seed share them (common random numbers).
"""

from __future__ import annotations

import contextlib
import copy
import inspect
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    TemperatureLogitsWarper,
)

from llm_validation.decoding import continuations
from llm_validation.fast_llama import can_sample, sample
from llm_validation.warpers import WARPERS, DivergedError, sampling_warpers
from runs.seeds import Purpose, sequence

_REFUSED = {
    "num_beams": 1,
    "num_return_sequences": 1,
    "top_h": None,
    "penalty_alpha": None,
    "prompt_lookup_num_tokens": None,
    "assistant_early_exit": None,
    "watermarking_config": None,
}
"""Options that change how tokens are chosen, with the value that seeded sampling takes."""


def uniform_rows(
    seed: int,
    step: int,
    first: int,
    rows: int,
    length: int,
    *,
    batch: int = 0,
    turn: int = 0,
    purpose: Purpose = "responses",
) -> np.ndarray:
    """Uniform numbers of responses ``first`` to ``first + rows`` of a batch, (rows, length).

    Args:
        seed: Seed of the run.
        step: Optimizer steps made before.
        first: First row among those of all processes.
        rows: Number of rows.
        length: Tokens of a response.
        batch: Which of the batches generated at this step.
        turn: Which of a response's turns; a tool's answer begins another one.
        purpose: What the responses are for; in an evaluation a problem takes a step's place.

    >>> whole = uniform_rows(0, 3, 0, 4, 5)
    >>> bool((uniform_rows(0, 3, 2, 2, 5) == whole[2:]).all())
    True
    """
    # PCG64 takes one 64-bit draw per number, so rows before ours are skipped without drawing them.
    bits = np.random.PCG64(sequence(seed, purpose, step, batch, turn))
    return np.random.Generator(bits.advance(first * length)).random((rows, length))


def check_sampling(config: GenerationConfig) -> None:
    """Refuse options of generation that seeded sampling cannot honour.

    Raises:
        ValueError: Names the option and the value that is allowed.
    """
    for name, allowed in _REFUSED.items():
        value = getattr(config, name, None)
        if value not in (None, allowed):
            raise ValueError(
                f"seeded sampling draws one token after another: {name} must be {allowed}; "
                f"got {value!r} (seeded=False leaves sampling to transformers)"
            )


class SeededChoice(LogitsProcessor):
    """Choose each row's next token by inverting the distribution function at a given number.

    The chosen token keeps the score 0 and every other gets −∞, so whatever samples afterwards
    takes it.

    Args:
        uniforms: Numbers in [0, 1), shape (rows, tokens); one column is used per call.
        config: Options of sampling: temperature, top_k, top_p, min_p and the like.
        noted: Whether the log-probabilities of what is chosen are kept.
    """

    def __init__(
        self, uniforms: torch.Tensor, config: GenerationConfig, *, noted: bool = False
    ) -> None:
        # One column, of shape (rows, 1), per token.
        self.uniforms = uniforms.T.contiguous().unsqueeze(-1)
        self.position = 0
        self.warpers = sampling_warpers(config)
        self._totals: list[torch.Tensor] = []
        self._temperature = config.temperature or 1.0
        self._cut = any(not isinstance(one, TemperatureLogitsWarper) for one in self.warpers)
        self._noted: list[torch.Tensor] | None = [] if noted else None

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> torch.Tensor:
        """Replace scores, shape (rows, vocabulary), by those of the chosen tokens."""
        policy = scores
        if self.warpers:
            scores = self.warpers(input_ids, scores)
        probabilities = scores.softmax(-1)
        cumulative = probabilities.cumsum(-1, dtype=torch.float64)
        total = cumulative[:, -1:]
        self._totals.append(total.sum())
        # Scaled by the total, which rounding leaves a little off 1: a token is always found.
        target = self.uniforms[self.position] * total
        self.position += 1
        chosen = torch.searchsorted(cumulative, target, right=True)
        # Of NaN nothing is found; :meth:`check` says so without waiting for a GPU at every token.
        chosen = chosen.clamp(max=scores.shape[-1] - 1)
        if self._noted is not None:
            if self._cut:  # what top_p and its like leave is not the policy
                probabilities = (policy / self._temperature).softmax(-1)
            self._noted.append(probabilities.gather(-1, chosen).log())
        return torch.full_like(scores, -torch.inf).scatter_(-1, chosen, 0.0)

    # transformers asks for it before every token, and working it out takes a while.
    __call__.__signature__ = inspect.signature(__call__)  # type: ignore[attr-defined]

    def log_probs(self) -> torch.Tensor:
        """Log-probabilities of the chosen tokens under the policy at the sampling temperature.

        Those of the whole distribution, as trainers count them: what top_k, top_p and the like cut
        away is in it. Shape (rows, tokens); tokens after a response's end mean nothing.
        """
        assert self._noted is not None
        return torch.cat(self._noted, dim=1)

    def check(self) -> None:
        """Make sure that every token was chosen from a distribution.

        Raises:
            DivergedError: Logits were NaN, +∞, or all −∞.
        """
        refuse_broken([~total.isfinite() for total in self._totals])


def refuse_broken(tokens: Sequence[torch.Tensor]) -> None:
    """Refuse responses of which some token was chosen from no distribution.

    Args:
        tokens: For each token in turn, whether any row's logits were NaN, +∞, or all −∞.

    Raises:
        DivergedError: Names the first such token.
    """
    if tokens and (broken := torch.stack(list(tokens))).any():
        token = int(broken.int().argmax()) + 1
        raise DivergedError(f"the model's logits are not finite at token {token} of a response")


@contextlib.contextmanager
def seeded_generation(
    model: PreTrainedModel, uniforms: torch.Tensor, noted: list[torch.Tensor] | None = None
) -> Iterator[None]:
    """Let ``model.generate`` sample with the given numbers in this block.

    The options of sampling are those of the ``generation_config`` that generate is called with. A
    small Llama on the CPU is sampled by :mod:`llm_validation.fast_llama` instead, a third sooner,
    and other models there by :mod:`llm_validation.decoding`.

    Args:
        model: The model.
        uniforms: Numbers in [0, 1), one row per response, on the device of the prompts.
        noted: List that gets the log-probabilities of each call, as :meth:`SeededChoice.log_probs`
            gives them; None for none.

    Raises:
        DivergedError: See :meth:`SeededChoice.check`.
    """
    sampler: Any = model  # its generate comes from a class that not every model has
    inner = type(sampler).generate

    def generate(*arguments: Any, **options: Any) -> Any:
        config = options.get("generation_config") or GenerationConfig()
        choice = SeededChoice(uniforms, config, noted=noted is not None)
        if not arguments and can_sample(model, options):
            output = sample(sampler, options["input_ids"], choice, config)
        else:
            given = {name: value for name, value in options.items() if name != "generation_config"}
            done = None if arguments else continuations(model, given, config, uniforms, noted)
            if done is not None:
                return done
            options["logits_processor"] = LogitsProcessorList([choice])
            # One token per row is left to choose from: no other sampling is wanted, or paid for.
            greedy = options["generation_config"] = copy.copy(config)
            greedy.do_sample = False
            for name in WARPERS:
                setattr(greedy, name, None)
            output = inner(model, *arguments, **options)
        choice.check()
        if noted is not None:
            noted.append(choice.log_probs())
        return output

    # On the instance, since the caller of generate gives no way to pass a processor through.
    sampler.generate = generate
    try:
        yield
    finally:
        del sampler.generate
