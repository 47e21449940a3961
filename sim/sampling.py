"""Group sampling as counts: how often each answer occurs among M responses.

Gradients of a policy with a reward per answer need the counts N_a, not the responses themselves.
Inverse-CDF sampling gives them without a gather or scatter: with cumulative masses C_a and
thresholds t_i = u_i C_last, Σ_{b≤a} N_b = #{i : t_i < C_a}. The order of the answers in the CDF is
free, so cumulative sums are taken over two short axes instead of one long one.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sim.cores import fence

Array = jax.Array

_UNROLLED = 10
"""Triples of comparisons written out one after the other; more are a loop."""

_PARTS = 16
"""Parts of the answers that are counted one by one; more take too long to compile."""


class Thresholds(NamedTuple):
    """Thresholds of a group, as triples in order and what three do not divide.

    Attributes:
        low: Smallest of each triple, shape (⌊M/3⌋, prompts).
        middle: Middle of each triple.
        high: Largest of each triple.
        rest: The others, shape (M mod 3, prompts).
    """

    low: Array
    middle: Array
    high: Array
    rest: Array


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
    return counts_between(cumulative_counts(masses, uniforms), masses.shape[0])


def cumulative_counts(masses: Array, uniforms: Array, memory: Array | None = None) -> Array:
    """How many responses of a group come before each place of the CDF.

    Args:
        masses: See :func:`sample_counts`.
        uniforms: See :func:`sample_counts`.
        memory: An array to write over, from :func:`new_memory` or an earlier call of the same
            shapes; without it one is made each time.

    Returns:
        Counts of shape (outer + 1, inner, prompts) for :func:`counts_between`.
    """
    answers, prompts = masses.shape
    outer, inner = _sides(answers)
    padding = outer * inner - answers
    padded = fence(lax.pad(masses, jnp.zeros((), masses.dtype), ((0, padding, 0), (0, 0, 0))))
    parts = padded.reshape(outer, inner, prompts)
    # Answer (j, i) owns what lies between the sums over j′ < j and over j′ ≤ j of column i, all
    # columns before it added.
    sums = [parts[0]]
    for part in parts[1:]:
        sums.append(fence(sums[-1] + part))
    columns = fence(_exclusive_sums(sums[-1]))
    offsets, total = columns[:-1], columns[-1:]
    thresholds = in_triples(fence(uniforms * total))
    # A column's last sum and the next column's offset are one and the same addition, so no
    # threshold is lost or counted twice.
    if not _is_by_parts(answers, uniforms.shape[0]):
        within = fence(jnp.stack([jnp.zeros_like(offsets), *sums]))
        cumulative = (within + offsets[None]).reshape(-1, prompts)
        return fence(count_below(cumulative, thresholds).reshape(within.shape))
    last = fence(count_below(sums[-1] + offsets, thresholds))
    below = jnp.zeros((outer + 1, inner, prompts), masses.dtype) if memory is None else memory
    below = fence(below.at[0, 1:].set(last[:-1]))  # none lies below the first column
    for j, within in enumerate(sums[:-1], start=1):
        below = fence(below.at[j].set(count_below(within + offsets, thresholds)))
    return fence(below.at[outer].set(last))


def counts_between(below: Array, answers: int) -> Array:
    """Counts of each answer, shape (answers, prompts), from :func:`cumulative_counts`."""
    return (below[1:] - below[:-1]).reshape(-1, below.shape[-1])[:answers]


def new_memory(answers: int, group_size: int, prompts: int, dtype: jnp.dtype) -> Array | None:
    """Zeros for :func:`cumulative_counts` to write over, where it writes over anything."""
    outer, inner = _sides(answers)
    if not _is_by_parts(answers, group_size):
        return None
    return jnp.zeros((outer + 1, inner, prompts), dtype)


def _is_by_parts(answers: int, group_size: int) -> bool:
    return _sides(answers)[0] <= _PARTS and group_size <= 3 * _UNROLLED


def _sides(answers: int) -> tuple[int, int]:
    """Sides (outer, inner) of the square on which the answers are laid out."""
    inner = math.isqrt(answers - 1) + 1
    return -(-answers // inner), inner


def in_triples(thresholds: Array) -> Thresholds:
    """Thresholds of shape (group, prompts), each three in order.

    >>> [part.tolist() for part in in_triples(jnp.array([[3.0], [1.0], [2.0], [0.0]]))]
    [[[1.0]], [[2.0]], [[3.0]], [[0.0]]]
    """
    count = thresholds.shape[0] // 3
    first, second, third = thresholds[: 3 * count].reshape(3, count, *thresholds.shape[1:])
    smaller, larger = jnp.minimum(first, second), jnp.maximum(first, second)
    return Thresholds(
        fence(jnp.minimum(smaller, third)),
        fence(jnp.maximum(smaller, jnp.minimum(larger, third))),
        fence(jnp.maximum(larger, third)),
        thresholds[3 * count :],
    )


def count_below(cumulative: Array, thresholds: Thresholds) -> Array:
    """How many thresholds lie below each cumulative mass, floating, of the shape of the masses.

    Of three in order, the middle one says which of the others is still to be compared: two
    comparisons instead of three. A masked floating addition is one instruction where a comparison
    turned into an integer is two; two counts side by side hide its latency.
    """
    one = jnp.ones((), cumulative.dtype)
    two = one + one

    def add(
        counts: tuple[Array, Array], low: Array, middle: Array, high: Array
    ) -> tuple[Array, Array]:
        pairs, singles = counts
        for triple in zip(low, middle, high, strict=True):
            smallest, central, largest = (threshold[None] for threshold in triple)
            above = central < cumulative
            pairs = jnp.where(above, pairs + two, pairs)
            left = jnp.where(above, largest, smallest)
            singles = jnp.where(left < cumulative, singles + one, singles)
        return pairs, singles

    def add_chunk(number: Array, counts: tuple[Array, Array]) -> tuple[Array, Array]:
        return add(
            counts,
            *(
                lax.dynamic_slice_in_dim(part, number * _UNROLLED, _UNROLLED)
                for part in thresholds[:3]
            ),
        )

    counts = jnp.zeros_like(cumulative), jnp.zeros_like(cumulative)
    chunks, rest = divmod(thresholds.low.shape[0], _UNROLLED)
    if chunks > 1:
        counts = lax.fori_loop(0, chunks, add_chunk, counts)
        counts = add(counts, *(part[part.shape[0] - rest :] for part in thresholds[:3]))
    else:
        counts = add(counts, *thresholds[:3])
    pairs, singles = counts
    for threshold in thresholds.rest:
        singles = jnp.where(threshold[None] < cumulative, singles + one, singles)
    return pairs + singles


def _exclusive_sums(values: Array) -> Array:
    """0, x₀, x₀ + x₁, … along the first axis: one elementwise loop, where stacking is copying."""
    count = values.shape[0]
    # Times 0 and plus 0 are exact.
    before = jnp.asarray(np.tri(count + 1, count, -1), values.dtype)
    sums = before[:, :1] * values[0][None]
    for number in range(1, count):
        sums = sums + before[:, number, None] * values[number][None]
    return sums


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
