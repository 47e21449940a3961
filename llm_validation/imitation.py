"""Supervised start of the tiny model on Countdown: it imitates noisy worked solutions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from llm_validation.demonstrations import Demonstrator
from llm_validation.tasks.task import Example
from runs.seeds import stream

_RISE = 50
"""Steps over which the learning rate rises."""


def imitate(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    *,
    shown_success: float,
    steps: int,
    seed: int,
    batch: int = 64,
    learning_rate: float = 2e-3,
    on_step: Callable[[int], None] | None = None,
) -> None:
    """Train the model in place on demonstrations of which a share is right.

    A model that has not learned all of it succeeds less often than it is shown to, and less often
    on held-out prompts than on those it was shown: what came of it is measured before a run.

    Args:
        model: Changed in place.
        tokenizer: Its tokenizer, one token a character.
        examples: Training prompts of the task ``small_countdown``, of equal length.
        shown_success: Mean share of right demonstrations, in (0, 1).
        steps: Optimizer steps (AdamW, linear decay to 0).
        seed: Seed of the demonstrations.
        batch: Demonstrations per step.
        learning_rate: Largest step size.
        on_step: Called with the number of steps done.

    Raises:
        ValueError: A share outside (0, 1).
    """
    demonstrator = Demonstrator(examples)
    tries = demonstrator.tries(shown_success)
    rng = stream(seed, "imitation")
    end = int(tokenizer.eos_token_id)
    prompts = np.array(tokenizer([str(example.prompt) for example in examples])["input_ids"])
    lengths = np.array([len(text) for text in demonstrator.texts])
    texts = np.full((len(lengths), lengths.max() + 1), end)
    for row, tokens in enumerate(tokenizer(demonstrator.texts)["input_ids"]):
        texts[row, : len(tokens)] = tokens
    optimizer = torch.optim.AdamW(model.parameters(), lr=learning_rate, weight_decay=0.0)
    pace = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min(1.0, (step + 1) / _RISE) * (1 - step / steps)
    )
    device = next(model.parameters()).device
    start = prompts.shape[1]
    model.train()
    for step in range(steps):
        chosen = rng.integers(len(prompts), size=batch)
        shown = demonstrator.draw(chosen, tries, rng)
        tokens = torch.tensor(np.hstack([prompts[chosen], texts[shown]]), device=device)
        # The first end token counts; what pads after it does not.
        counted = np.arange(texts.shape[1]) <= lengths[shown, None]
        used = torch.tensor(counted, device=device)
        logits = model(input_ids=tokens[:, :-1], use_cache=False).logits[:, start - 1 :]
        loss = torch.nn.functional.cross_entropy(logits[used], tokens[:, start:][used])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        pace.step()
        if on_step is not None:
            on_step(step + 1)
