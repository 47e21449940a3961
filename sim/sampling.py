"""Group sampling as counts: how often each answer occurs among M responses.

Gradients of a policy with a reward per answer need the counts N_a, not the responses themselves.
Inverse-CDF sampling gives them without a gather or scatter: with cumulative masses C_a and
thresholds t_i = u_i C_last, Σ_{b≤a} N_b = #{i : t_i < C_a}. The order of the answers in the CDF is
free, so cumulative sums are taken over two short axes instead of one long one.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array

_UNROLLED = 16
"""Comparisons written out one after the other; more are a loop, or compilation takes long."""


def sample_counts(masses: Array, uniforms: Array, live: Array | None = None) -> Array:
    """Counts of each answer in a group, shape (answers, prompts), floating.

    Args:
        masses: Unnormalised probabilities, shape (answers, prompts), each column's sum positive.
        uniforms: Draws in [0, 1), shape (group, prompts).
        live: A traced scalar that is always True; see :func:`materialised`.

    Returns:
        Counts that add up to the group size in every column; answers of mass 0 are never drawn.

    >>> masses = jnp.array([[1.0], [3.0]])
    >>> sample_counts(masses, jnp.array([[0.1], [0.2], [0.9]])).tolist()
    [[2.0], [1.0]]
    """
    answers, prompts = masses.shape
    inner = math.isqrt(answers - 1) + 1
    outer = -(-answers // inner)
    padding = outer * inner - answers
    padded = lax.pad(masses, jnp.zeros((), masses.dtype), ((0, padding, 0), (0, 0, 0)))
    within = materialised(_prefix_sums, padded.reshape(outer, inner, prompts), live=live)
    offsets = materialised(_prefix_sums, within[-1], live=live)
    thresholds = uniforms * offsets[-1:]
    below = materialised(_count_below, within, offsets[:-1], thresholds, live=live)
    # Answer (j, i) owns what lies between two prefix sums. A column's last sum and the next
    # column's offset are one and the same addition, so no threshold is lost or counted twice.
    counts = (below[1:] - below[:-1]).reshape(outer * inner, prompts)
    kept: Array = counts[:answers]
    return kept


def _prefix_sums(parts: Array) -> Array:
    """0, x₀, x₀ + x₁, … along the first axis, written into place: stacking would copy them."""
    sums = jnp.zeros((parts.shape[0] + 1, *parts.shape[1:]), parts.dtype)
    running = parts[0]
    sums = sums.at[1].set(running)
    for j in range(1, parts.shape[0]):
        running = running + parts[j]
        sums = sums.at[j + 1].set(running)
    return sums


def _count_below(within: Array, offsets: Array, thresholds: Array) -> Array:
    """How many thresholds lie below each cumulative mass, floating."""
    cumulative = within + offsets[None]
    one = jnp.ones((), cumulative.dtype)
    # A masked floating addition is one instruction where a comparison turned into an integer is
    # two; two counts side by side hide its latency.
    counts = [jnp.zeros_like(cumulative) for _ in range(2)]

    def add(counts: list[Array], some: Array) -> list[Array]:
        even, odd = counts
        for number, threshold in enumerate(some):
            smaller = threshold[None, None] < cumulative
            if number % 2:
                odd = jnp.where(smaller, odd + one, odd)
            else:
                even = jnp.where(smaller, even + one, even)
        return [even, odd]

    def add_chunk(number: Array, counts: list[Array]) -> list[Array]:
        return add(counts, lax.dynamic_slice_in_dim(thresholds, number * _UNROLLED, _UNROLLED))

    chunks, rest = divmod(thresholds.shape[0], _UNROLLED)
    if chunks <= 2:
        counts = add(counts, thresholds)
    else:
        counts = lax.fori_loop(0, chunks, add_chunk, counts)
        counts = add(counts, thresholds[thresholds.shape[0] - rest :])
    return counts[0] + counts[1]


def sample_answers(masses: Array, uniforms: Array) -> Array:
    """Answers themselves, int32 of shape (group, prompts), by inverse CDF in the given order.

    >>> sample_answers(jnp.array([[1.0], [3.0]]), jnp.array([[0.1], [0.9]])).tolist()
    [[0], [1]]
    """
    cumulative = jnp.cumsum(masses, axis=0)
    thresholds = uniforms * cumulative[-1:]
    last = masses.shape[0] - 1
    answers = [
        jnp.minimum((threshold[None] >= cumulative).sum(axis=0, dtype=jnp.int32), last)
        for threshold in thresholds
    ]
    return jnp.stack(answers)


def materialised(function: Callable[..., Any], *arguments: Any, live: Array | None) -> Any:
    """Call ``function`` and keep the compiler from fusing its result into what reads it.

    XLA on the CPU recomputes a cheap-looking producer in each of its consumers: the comparisons
    of :func:`sample_counts` would be done twice, the prefix sums a dozen times. The result of a
    branch is not recomputed. ``live`` must be a traced scalar that is always True but not known
    to be so by the compiler, and the same for all that is vectorised; None calls the function
    plainly.
    """
    if live is None:
        return function(*arguments)
    shapes = jax.eval_shape(function, *arguments)

    def never(*_: Any) -> Any:
        return jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shapes)

    return lax.cond(live, function, never, *arguments)
