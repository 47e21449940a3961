"""Schemes as arrays: what lets one compiled program run every scheme that has a table."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np

from sim._floats import tiny
from theory.designs import DesignName, resolve_design
from theory.schemes import Scheme, resolve

Array = jax.Array

_SELECTED = 33
"""Longest table that is read by selections."""


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Table:
    """Advantages of a group with K correct responses: a⁺_K of a correct, −a⁻_K of a wrong one.

    Attributes:
        positive: a⁺, shape (M + 1,).
        negative: a⁻, shape (M + 1,).
        like: Table of the scheme whose mean square over a batch they are to have, if any.
    """

    positive: Array
    negative: Array
    like: Table | None = None


def scheme_table(
    scheme: Scheme, group_size: int, dtype: str, sampling: DesignName = "fixed"
) -> Table:
    """Table of a scheme as arrays of ``dtype``, 0 for groups that the design does not accept.

    >>> from theory.schemes import SCHEMES
    >>> scheme_table(SCHEMES["psr"], 2, "float32").positive.tolist()
    [0.0, 1.0, 1.0]
    """
    positive, negative = scheme.table(group_size)
    design = resolve_design(sampling)
    negative[0] *= not design.drops_all_wrong
    positive[-1] *= not design.drops_all_right
    like = None
    if scheme.scaled_like is not None:
        like = scheme_table(resolve(scheme.scaled_like), group_size, dtype, sampling)
    return Table(jnp.asarray(positive, dtype), jnp.asarray(negative, dtype), like)


def stack(tables: list[Table]) -> Table:
    """Tables of several schemes as one, with a leading axis."""
    stacked: Table = jax.tree.map(lambda *parts: jnp.asarray(np.stack(parts)), *tables)
    return stacked


def look_up(table: Table, correct: Array) -> tuple[Array, Array]:
    """a⁺_K and a⁻_K of each group.

    Args:
        table: Table of length M + 1.
        correct: K as floating numbers, shape (prompts,).

    >>> from theory.schemes import SCHEMES
    >>> table = scheme_table(SCHEMES["nsr"], 2, "float32")
    >>> [part.tolist() for part in look_up(table, jnp.array([1.0]))]
    [[0.0], [1.0]]
    """
    size = table.positive.shape[-1]
    if size > _SELECTED:
        index = correct.astype(jnp.int32)
        return table.positive[index], table.negative[index]
    # A gather is done number by number; a few selections are done for many prompts at once.
    positive, negative = (
        jnp.broadcast_to(part[0], correct.shape) for part in (table.positive, table.negative)
    )
    for k in range(1, size):
        here = correct == k
        positive = jnp.where(here, table.positive[k], positive)
        negative = jnp.where(here, table.negative[k], negative)
    return positive, negative


def expected_weight(table: Table, success: Array, failure: Array) -> Array:
    """Weight ω_M(ρ) = Σ_{J<M} Bin(J; M−1, ρ) (a⁺_{J+1} + a⁻_J) that sampled groups realise.

    Args:
        table: Table of length M + 1.
        success: ρ, shape (prompts,).
        failure: 1 − ρ, given apart because it may be too small to be seen in ρ.

    Returns:
        ω_M, shape (prompts,).

    Source: finite groups; the traced counterpart of theory.finite_group.expected_weight.

    >>> from theory.schemes import SCHEMES
    >>> table = scheme_table(SCHEMES["linear_r"], 4, "float32")
    >>> round(float(expected_weight(table, jnp.array([0.5]), jnp.array([0.5]))[0]), 6)
    1.875
    """
    coefficients = table.positive[1:] + table.negative[:-1]
    return (coefficients[:, None] * _others(table, success, failure)).sum(axis=0)


def second_moment(table: Table, success: Array, failure: Array) -> Array:
    """E[A²] = Σ_{J<M} Bin(J; M−1, ρ) (ρ a⁺²_{J+1} + (1−ρ) a⁻²_J) of the sampled advantages.

    Args:
        table: Table of length M + 1.
        success: ρ, shape (prompts,).
        failure: 1 − ρ.

    Source: theory.md, section 4 "Noise"; the traced counterpart of theory.finite_group.moments.

    >>> from theory.schemes import SCHEMES
    >>> table = scheme_table(SCHEMES["reinforce"], 4, "float32")
    >>> round(float(second_moment(table, jnp.array([0.3]), jnp.array([0.7]))[0]), 6)
    1.0
    """
    others = _others(table, success, failure)
    right = (table.positive[1:, None] ** 2 * others).sum(axis=0)
    wrong = (table.negative[:-1, None] ** 2 * others).sum(axis=0)
    return success * right + failure * wrong


def _others(table: Table, success: Array, failure: Array) -> Array:
    """Bin(J; M−1, ρ), how many of a response's companions are correct, shape (M, prompts)."""
    size = table.positive.shape[-1] - 1
    hits = jnp.arange(size, dtype=success.dtype)[:, None]
    rest = size - 1 - hits
    logs = [math.log(math.comb(size - 1, j)) for j in range(size)]
    choose = jnp.asarray(np.asarray(logs)[:, None], success.dtype)
    least = tiny(success)
    log_success, log_failure = (jnp.log(jnp.maximum(x, least))[None] for x in (success, failure))
    return jnp.exp(choose + hits * log_success + rest * log_failure)
