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

    def prefix_sums(blocks: Array) -> Array:
        sums = [jnp.zeros_like(blocks[0])]
        for j in range(outer):
            sums.append(sums[-1] + blocks[j])
        return jnp.stack(sums)

    within = materialised(prefix_sums, padded.reshape(outer, inner, prompts), live=live)
    rows = [jnp.zeros_like(masses[0])]
    for i in range(inner):
        rows.append(rows[-1] + within[-1, i])
    offsets = materialised(lambda *parts: jnp.stack(parts), *rows[:-1], live=live)
    thresholds = materialised(lambda u, total: u * total[None], uniforms, rows[-1], live=live)

    def count_below(within: Array, offsets: Array, thresholds: Array) -> Array:
        cumulative = within + offsets[None]

        def add(below: Array, some: Array) -> Array:
            for threshold in some:
                below = below + (threshold[None, None] < cumulative).astype(jnp.int32)
            return below

        def add_chunk(number: Array, below: Array) -> Array:
            return add(below, lax.dynamic_slice_in_dim(thresholds, number * _UNROLLED, _UNROLLED))

        below = jnp.zeros(cumulative.shape, jnp.int32)
        chunks, rest = divmod(thresholds.shape[0], _UNROLLED)
        if chunks <= 2:
            below = add(below, thresholds)
        else:
            below = lax.fori_loop(0, chunks, add_chunk, below)
            below = add(below, thresholds[thresholds.shape[0] - rest :])
        return below.astype(masses.dtype)

    below = materialised(count_below, within, offsets, thresholds, live=live)
    # Answer (j, i) owns what lies between two prefix sums. A column's last sum and the next
    # column's offset are one and the same addition, so no threshold is lost or counted twice.
    counts = (below[1:] - below[:-1]).reshape(outer * inner, prompts)
    kept: Array = counts[:answers]
    return kept


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
