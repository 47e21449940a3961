"""Exact measurements of a policy whose answers can be enumerated."""

from __future__ import annotations

import itertools

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlogy

from sim.tables import Table, expected_weight

Array = jax.Array

QUINTILES = 5


def success_and_failure(masses: Array, correct: Array) -> tuple[Array, Array]:
    """Success probability ρ and 1 − ρ of each prompt, each accurate where it is small.

    Args:
        masses: Unnormalised probabilities, shape (answers, prompts).
        correct: Boolean, same shape.

    >>> masses, correct = jnp.array([[1.0], [3.0]]), jnp.array([[True], [False]])
    >>> [part.tolist() for part in success_and_failure(masses, correct)]
    [[0.25], [0.75]]
    """
    right = jnp.where(correct, masses, 0).sum(axis=0)
    wrong = jnp.where(correct, 0, masses).sum(axis=0)
    return right / (right + wrong), wrong / (right + wrong)


def measure(
    masses: Array,
    correct: Array,
    *,
    group_size: int | None,
    pass_k: tuple[int, ...],
    table: Table | None,
) -> dict[str, Array]:
    """Means over prompts of what the training and its critics look at.

    ``success``; ``pass@k`` = 1 − (1−ρ)^k; ``entropy`` of the answers and ``entropy_correct``
    among the correct ones, in nats; ``all_wrong``, ``all_right`` and ``mixed``, the probabilities
    that a group is so; ``effective_weight`` = ω_M(ρ)ρ(1−ρ) of the scheme. ``success/q1`` to
    ``q5`` and ``pass@k/q1`` to ``q5`` are means over quintiles of initial difficulty, q1 the
    hardest; prompts must be ordered from hardest to easiest.

    Args:
        masses: Unnormalised probabilities, shape (answers, prompts).
        correct: Boolean, same shape.
        group_size: M, or none for the population limit.
        pass_k: The k of pass@k.
        table: Scheme table, if it has one.

    Returns:
        Scalars by name.
    """
    success, failure = success_and_failure(masses, correct)
    probabilities = masses / masses.sum(axis=0, keepdims=True)
    right = jnp.where(correct, probabilities, 0)
    share = right / jnp.maximum(right.sum(axis=0, keepdims=True), _tiny(right))
    values = {
        "success": success.mean(),
        "entropy": -xlogy(probabilities, probabilities).sum(axis=0).mean(),
        "entropy_correct": -xlogy(share, share).sum(axis=0).mean(),
    }
    by_prompt = {"success": success}
    log_failure = jnp.log(jnp.maximum(failure, _tiny(failure)))
    for k in pass_k:
        solved = -jnp.expm1(k * log_failure)
        values[f"pass@{k}"] = solved.mean()
        by_prompt[f"pass@{k}"] = solved
    if group_size is not None:
        all_right = success**group_size
        all_wrong = failure**group_size
        values["all_right"] = all_right.mean()
        values["all_wrong"] = all_wrong.mean()
        values["mixed"] = 1 - values["all_right"] - values["all_wrong"]
    if table is not None:
        weight = expected_weight(table, success, failure)
        values["effective_weight"] = (weight * success * failure).mean()
    for name, prompts in by_prompt.items():
        for number, part in enumerate(_quintiles(prompts), 1):
            values[f"{name}/q{number}"] = part.mean()
    return values


def _tiny(values: Array) -> float:
    return float(np.finfo(values.dtype).tiny)


def _quintiles(values: Array) -> list[Array]:
    """Contiguous fifths, sizes differing by at most one; none where there are too few prompts."""
    count = values.shape[0]
    if count < QUINTILES:
        return []
    edges = [round(count * i / QUINTILES) for i in range(QUINTILES + 1)]
    return [values[a:b] for a, b in itertools.pairwise(edges)]
