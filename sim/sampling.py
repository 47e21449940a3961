"""Group sampling as counts: how often each answer occurs among M responses.

Gradients of a tabular policy with a reward per answer need the counts N_a, not the responses
themselves. Inverse-CDF sampling gives them without a gather or scatter: with cumulative masses
C_a and u_i·C_last uniform, Σ_{b≤a} N_b = #{i : u_i C_last < C_a}.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

Array = jax.Array


def sample_counts(masses: Array, uniforms: Array) -> Array:
    """Counts of each answer in a group, shape (answers, prompts), floating.

    Args:
        masses: Unnormalised probabilities, shape (answers, prompts), each column's sum positive.
        uniforms: Draws in [0, 1), shape (group, prompts).

    Returns:
        Counts that add up to the group size in every column; answers of mass 0 are never drawn.

    >>> masses = jnp.array([[1.0], [3.0]])
    >>> sample_counts(masses, jnp.array([[0.1], [0.2], [0.9]])).tolist()
    [[2.0], [1.0]]
    """
    cumulative = jnp.cumsum(masses, axis=0)
    thresholds = uniforms * cumulative[-1:]
    below = jnp.zeros_like(cumulative)
    for i in range(uniforms.shape[0]):
        below = below + (thresholds[i : i + 1] < cumulative).astype(masses.dtype)
    return jnp.diff(below, axis=0, prepend=0)


def sample_answers(masses: Array, uniforms: Array) -> Array:
    """Answers themselves, int32 of shape (group, prompts), from the same draws as the counts.

    >>> sample_answers(jnp.array([[1.0], [3.0]]), jnp.array([[0.1], [0.9]])).tolist()
    [[0], [1]]
    """
    cumulative = jnp.cumsum(masses, axis=0)
    thresholds = uniforms * cumulative[-1:]
    answers = [
        (threshold[None, :] >= cumulative).astype(jnp.int32).sum(axis=0) for threshold in thresholds
    ]
    return jnp.stack(answers)
