"""One optimizer step by a scheme: its direction, its size in nats, and what it does to success."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import numpy as np
import torch

from llm_validation.probe.config import Optimizer
from theory._arrays import Floats


def direction(update: torch.Tensor, optimizer: Optimizer) -> torch.Tensor:
    """Way of the first step that ascends along an update, of any length.

    SGD goes along U itself, Adam without momentum yet along U/(|U| + ε), the sign of U where it
    is not tiny.

    Args:
        update: U, the gradient that is ascended.
        optimizer: ``sgd`` or ``adam``.

    >>> direction(torch.tensor([2.0, -4.0]), "adam").round(decimals=3).tolist()
    [1.0, -1.0]
    """
    place = torch.nn.Parameter(torch.zeros_like(update))
    # ε of Adam is meant for gradients of the size that losses have: those of means over tokens.
    scale = float(update.norm()) / max(update.numel(), 1) ** 0.5
    place.grad = -update if optimizer == "sgd" else -update / (scale or 1.0)
    kind = {"sgd": torch.optim.SGD, "adam": torch.optim.Adam}[optimizer]
    kind([place], lr=1.0).step()
    return place.detach()


@contextlib.contextmanager
def moved(parameters: Sequence[torch.nn.Parameter], step: torch.Tensor) -> Iterator[None]:
    """Parameters moved by a step inside the block, and exactly where they were after it.

    Args:
        parameters: The parameters.
        step: Their change, all coordinates in order.
    """
    before = [parameter.detach().clone() for parameter in parameters]
    start = 0
    try:
        with torch.no_grad():
            for parameter in parameters:
                part = step[start : start + parameter.numel()]
                parameter.add_(part.view_as(parameter).to(parameter))
                start += parameter.numel()
        yield
    finally:
        with torch.no_grad():
            for parameter, kept in zip(parameters, before, strict=True):
                parameter.copy_(kept)


def change_of_success(rewards: Floats, log_ratio: Floats) -> Floats:
    """Change of each prompt's success, from responses of the policy before the step.

    With w = π′/π, E[r w] is the success after it and E[w] = 1 is known: the mean of
    (r_j − b_j)(w_j − 1), b_j the mean reward of the prompt's other responses, is unbiased, and two
    policies that agree differ by exactly 0.

    Args:
        rewards: 0 or 1, shape (prompts, responses), at least 2 responses.
        log_ratio: ln w, same shape.

    Returns:
        Shape (prompts,).

    >>> change_of_success(np.array([[1.0, 0.0]]), np.log([[1.5, 0.5]])).tolist()
    [0.5]
    """
    return _weighed(rewards, np.expm1(log_ratio))


def first_order_change(rewards: Floats, log_ratio: Floats) -> Floats:
    """The same to first order, ⟨∇ρ, Δθ⟩, from ⟨∇ln π, Δθ⟩ of each response."""
    return _weighed(rewards, log_ratio)


def _weighed(rewards: Floats, values: Floats) -> Floats:
    n = rewards.shape[1]
    centred = rewards - rewards.mean(axis=1, keepdims=True)
    return np.asarray((centred * values).sum(axis=1) / (n - 1))


def effective_share(log_ratio: Floats) -> float:
    """Kish's effective share of responses under weights w: (Σw)²/(n Σw²), in (0, 1].

    >>> effective_share(np.zeros((2, 3)))
    1.0
    """
    weights = np.exp(log_ratio - log_ratio.max())
    return float(weights.sum() ** 2 / (weights.size * (weights**2).sum()))
