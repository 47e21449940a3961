"""Scores ∇ln π(y|x) of responses, one at a time, and log-probabilities of many at once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import DynamicCache, PreTrainedModel


def response_score(
    model: PreTrainedModel,
    parameters: Sequence[torch.nn.Parameter],
    prompt: Sequence[int],
    response: Sequence[int],
) -> tuple[float, tuple[torch.Tensor, ...]]:
    """Log-probability of a response, in nats, and its gradient by the parameters.

    Args:
        model: The model, in evaluation mode.
        parameters: Parameters that require gradients.
        prompt: Tokens of the prompt.
        response: Tokens of the response, at least one.

    Returns:
        ln π(y|x) = Σ_t ln π(y_t | x, y_<t), and ∇ln π(y|x) in the order of the parameters.
    """
    device = next(model.parameters()).device
    tokens = torch.tensor([[*prompt, *response]], device=device)
    logits = model(
        input_ids=tokens[:, :-1], use_cache=False, logits_to_keep=len(response)
    ).logits.float()
    chosen = logits.log_softmax(-1).gather(-1, tokens[:, -len(response) :, None])
    total = chosen.sum()
    return float(total.detach()), torch.autograd.grad(total, parameters)


@torch.no_grad()
def log_probabilities(
    model: PreTrainedModel,
    prompt: Sequence[int],
    responses: Sequence[Sequence[int]],
    rows: int = 64,
) -> torch.Tensor:
    """Log-probabilities of responses to one prompt, whose own part is worked out once.

    Args:
        model: The model, in evaluation mode.
        prompt: Tokens of the prompt.
        responses: Tokens of the responses, at least one each.
        rows: Responses at once.

    Returns:
        ln π(y|x) of each, shape (responses,), float64, on the CPU.
    """
    device = next(model.parameters()).device
    start = torch.tensor([list(prompt)], device=device)
    found = []
    for first in range(0, len(responses), rows):
        chunk = responses[first : first + rows]
        longest = max(map(len, chunk))
        padded = torch.zeros(len(chunk), longest, dtype=torch.long, device=device)
        real = torch.zeros(len(chunk), longest, dtype=torch.bool, device=device)
        for row, response in enumerate(chunk):
            padded[row, : len(response)] = torch.tensor(list(response), device=device)
            real[row, : len(response)] = True
        cache = DynamicCache(config=model.config)
        begun = model(input_ids=start, past_key_values=cache, use_cache=True, logits_to_keep=1)
        logits = begun.logits.float().expand(len(chunk), -1, -1)
        if longest > 1:
            cache.batch_repeat_interleave(len(chunk))
            # Padding stands behind what is real, where causal attention does not look.
            rest = model(input_ids=padded[:, :-1], past_key_values=cache, use_cache=True)
            logits = torch.cat([logits, rest.logits.float()], dim=1)
        chosen = logits.log_softmax(-1).gather(-1, padded[..., None]).squeeze(-1)
        found.append(chosen.double().where(real, 0.0).sum(-1).cpu())
    return torch.cat(found)
