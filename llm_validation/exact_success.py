"""Success probabilities without sampling, where every right answer to a prompt is known."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from llm_validation.tasks.task import Example

_ROWS = 2048


@torch.no_grad()
def answer_probabilities(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    answers: Callable[[str], Sequence[str]],
) -> list[torch.Tensor]:
    """Probability of each right answer to each prompt: Π_t π(y_t | x, y_<t).

    The end token counts among the y_t; sampling at temperature 1 is meant.

    Args:
        model: Causal language model.
        tokenizer: Its tokenizer, which must spell every answer in one way.
        examples: Prompts of equal length.
        answers: Gold → the right answers, such as ``Task.answers``.

    Returns:
        One tensor per example, float64, as long as it has right answers.

    Raises:
        ValueError: No examples, one without a right answer, or prompts that differ in length.
    """
    if not examples:
        raise ValueError("examples must be at least one; got none")
    prompts = tokenizer([str(example.prompt) for example in examples])["input_ids"]
    if len(lengths := {len(prompt) for prompt in prompts}) != 1:
        raise ValueError(
            f"examples must have prompts of equal length; got {sorted(lengths)} tokens"
        )
    right = [list(answers(example.gold)) for example in examples]
    counts = [len(each) for each in right]
    if not all(counts):
        lacking = examples[counts.index(0)].id
        raise ValueError(f"every example must have a right answer; {lacking} has none")
    spelled = tokenizer([answer for each in right for answer in each])["input_ids"]
    rows = torch.full((len(spelled), max(map(len, spelled)) + 1), int(tokenizer.eos_token_id))
    for row, tokens in zip(rows, spelled, strict=True):
        row[: len(tokens)] = torch.tensor(tokens)
    # The end token counts once; what pads after it does not.
    used = torch.arange(rows.shape[1]) <= torch.tensor([len(tokens) for tokens in spelled])[:, None]
    asked = torch.tensor(prompts).repeat_interleave(torch.tensor(counts), dim=0)
    whole = torch.cat([asked, rows], dim=1)
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    parts = []
    for tokens, counted in zip(whole.split(_ROWS), used.split(_ROWS), strict=True):
        inputs = tokens[:, :-1].to(device)
        logits = model(input_ids=inputs, use_cache=False).logits[:, asked.shape[1] - 1 :]
        log_probs = logits.double().log_softmax(-1).cpu()
        chosen = log_probs.gather(-1, tokens[:, asked.shape[1] :, None]).squeeze(-1)
        parts.append(torch.where(counted, chosen, 0.0).sum(-1).exp())
    model.train(training)
    return list(torch.cat(parts).split(counts))


def success_probability(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    examples: Sequence[Example],
    answers: Callable[[str], Sequence[str]] = lambda gold: [gold],
) -> torch.Tensor:
    """Probability of a right answer to each prompt, shape (examples,), float64.

    Args:
        model: See :func:`answer_probabilities`, whose errors it raises.
        tokenizer: Its tokenizer.
        examples: Prompts of equal length.
        answers: Gold → the right answers; by default the reference answer alone.
    """
    each = answer_probabilities(model, tokenizer, examples, answers)
    return torch.stack([chances.sum() for chances in each])


def distinct_answers(chances: torch.Tensor, tries: int) -> float:
    """Expected number of different right answers among so many tries: Σ_y 1 − (1 − π(y))^n.

    Args:
        chances: Probability of each right answer.
        tries: Number n of responses sampled.

    >>> distinct_answers(torch.tensor([0.5, 0.5]), 2)
    1.5
    """
    return float(-torch.expm1(tries * torch.log1p(-chances.clamp(max=1.0))).sum())
