"""Supervised warm-up of the tiny model to a chosen success probability."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from llm_validation.tasks.arithmetic import ANSWER_LENGTH
from llm_validation.tasks.task import Example
from runs.seeds import stream


def right_fraction(initial_success: float) -> float:
    """Share q of digits to show right so that a perfect imitator succeeds with probability ρ₀.

    The other digits are uniform over the ten and right by chance; an answer of n digits is right
    if each is: (q + (1 − q)/10)ⁿ = ρ₀.

    Raises:
        ValueError: ρ₀ below chance or not below 1.

    >>> right_fraction(0.01), round(right_fraction(0.4), 4)
    (0.0, 0.5916)
    """
    chance = 0.1**ANSWER_LENGTH
    if not chance * (1 - 1e-9) <= initial_success < 1:
        raise ValueError(
            f"initial_success must lie in [{chance:g}, 1), since guessing succeeds with {chance:g};"
            f" got {initial_success}"
        )
    digit = math.pow(initial_success, 1 / ANSWER_LENGTH)
    return round(max(0.0, (digit - 0.1) / 0.9), 12)


def warm_up(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    *,
    initial_success: float,
    steps: int,
    seed: int,
    batch: int = 64,
    learning_rate: float = 3e-3,
    on_step: Callable[[int], None] | None = None,
) -> None:
    """Train the model in place on demonstrations of which a share q of the digits is right.

    If q > 0 the first quarter of the steps shows right answers only, which teaches the task, and
    the others the mixture, which brings the success probability to ρ₀. If q = 0 every step shows
    guesses: the model learns the form of an answer and nothing of the task.

    Digits are corrupted one by one. With whole answers corrupted, the second digit would tell
    whether the first was right, a dependence the model is slow to imitate, and ρ₀ would be missed
    by half.

    Args:
        model: Changed in place.
        tokenizer: Its tokenizer.
        examples: Training prompts of equal length, with answers of ``ANSWER_LENGTH`` digits.
        initial_success: Success probability ρ₀ aimed at, in [0.1ⁿ, 1).
        steps: Optimizer steps (AdamW, linear decay to 0).
        seed: Seed of the demonstrations.
        batch: Demonstrations per step.
        learning_rate: Step size at the first step.
        on_step: Called with the number of steps done, for a progress bar.

    Raises:
        ValueError: ρ₀ below chance.
    """
    share = right_fraction(initial_success)
    rng = stream(seed, "warm-up")
    prompts = np.array(tokenizer([str(example.prompt) for example in examples])["input_ids"])
    right = np.array(tokenizer([example.gold for example in examples])["input_ids"])
    digits = np.array(tokenizer("0123456789")["input_ids"])
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    decay = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    device = next(model.parameters()).device
    start = prompts.shape[1]
    model.train()
    for step in range(steps):
        chosen = rng.integers(len(prompts), size=batch)
        guesses = digits[rng.integers(len(digits), size=(batch, ANSWER_LENGTH))]
        kept = rng.random((batch, ANSWER_LENGTH)) < share
        if share > 0 and step < steps // 4:
            kept[:] = True
        answers = np.where(kept, right[chosen], guesses)
        end = np.full((batch, 1), tokenizer.eos_token_id)
        tokens = torch.tensor(np.hstack([prompts[chosen], answers, end]), device=device)
        logits = model(input_ids=tokens[:, :-1], use_cache=False).logits[:, start - 1 :]
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, start:].flatten())
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        decay.step()
        if on_step is not None:
            on_step(step + 1)
