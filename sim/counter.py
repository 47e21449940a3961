"""Counter-based random numbers in 32-bit lanes: a keyed hash of (step, prompt, sample).

A draw is a function of its coordinates, not of the draws before it, so results do not depend on
the order of evaluation, a resumed run needs no generator state, and two schemes under one seed
meet the same uniforms. The hash is the three-round multiply-xorshift permutation ``triple32``
(C. Wellons, "Prospecting for hash functions", 2018), with a 64-bit key entering before the first
and second round. It costs three 32-bit multiplications per draw and vectorises without shuffles,
an order of magnitude less than the 20 rounds of threefry, which ``jax.random`` uses and which
remains the reference (``generator="threefry"``). Its statistics are tested in
``tests/sim/test_counter.py``.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array
Key = tuple[Array, Array]
Generator = Literal["hash", "threefry"]

_MULTIPLIERS = (0xED5AD4BB, 0xAC4C1B51, 0x31848BAB)
_SHIFTS = (17, 11, 15, 14)
_WEYL = 0x9E3779B9


def key(seed: Array | int, step: Array | int, stream: Array | int = 0) -> Key:
    """Key of all draws of one step under one seed.

    Args:
        seed: Run seed, 0 ≤ seed < 2³².
        step: Update number, 0 ≤ step < 2³².
        stream: Which of several independent sets of draws of that step.

    Returns:
        Two uint32 words.

    >>> [int(word) for word in key(0, 0)] == [int(word) for word in key(0, 1)]
    False
    """
    seed, step = jnp.asarray(seed, jnp.uint32), jnp.asarray(step, jnp.uint32)
    stream = jnp.asarray(stream, jnp.uint32)
    first = _hash(_hash(seed + _word(_WEYL)) ^ (_hash(step + _word(2 * _WEYL)) + stream))
    second = _hash(_hash(first ^ seed) + step)
    return first, second


def uniforms(
    key: Key,
    rows: int,
    columns: int,
    *,
    first: Array | int = 0,
    stride: int | None = None,
    dtype: jnp.dtype | None = None,
) -> Array:
    """Independent uniform draws on [0, 1), shape (rows, columns).

    u = 2⁻²⁴ ⌊h(row·stride + first + column)/2⁸⌋ in float32 and 2⁻³² h in float64, so 1 never
    occurs.

    Args:
        key: From :func:`key`.
        rows: First dimension.
        columns: Second dimension; rows × stride must be below 2³².
        first: Where these columns begin among all of them: a block of columns gets the draws it
            would get within the whole.
        stride: Number of all columns, if these are a block.
        dtype: float32 (default) or float64.

    Returns:
        Array of ``dtype``.

    Raises:
        ValueError: More than 2³² draws for one key, or a stride that gives two columns one draw.

    >>> bool((uniforms(key(0, 0), 2, 3) < 1).all())
    True
    """
    stride = columns if stride is None else stride
    if stride < columns:
        raise ValueError(f"stride must be at least the columns, {columns}; got {stride}")
    if rows * stride >= 2**32:
        raise ValueError(f"one key gives fewer than 2**32 draws; got {rows} × {stride}")
    dtype = jnp.dtype(jnp.float32) if dtype is None else jnp.dtype(dtype)
    shape = (rows, columns)
    row = lax.broadcasted_iota(jnp.uint32, shape, 0)
    column = lax.broadcasted_iota(jnp.uint32, shape, 1)
    bits = _hash(row * _word(stride) + column + (jnp.asarray(first, jnp.uint32) + key[0]), key[1])
    if dtype == jnp.float64:
        return bits.astype(dtype) * jnp.asarray(2.0**-32, dtype)
    # int32 conversion is one instruction; unsigned conversion is emulated on most processors.
    top = lax.shift_right_logical(bits, jnp.full(shape, 8, jnp.uint32)).astype(jnp.int32)
    return top.astype(dtype) * jnp.asarray(2.0**-24, dtype)


def draw(
    generator: Generator,
    seed: Array | int,
    step: Array | int,
    rows: int,
    columns: int,
    *,
    stream: Array | int = 0,
    first: Array | int = 0,
    stride: int | None = None,
    dtype: jnp.dtype | None = None,
) -> Array:
    """Uniforms of one step from the chosen generator, shape (rows, columns).

    Args:
        generator: ``"hash"`` or ``"threefry"``.
        seed: Run seed.
        step: Update number.
        rows: First dimension.
        columns: Second dimension.
        stream: Which of several independent sets of draws of that step.
        first: See :func:`uniforms`; for threefry merely another word of the key.
        stride: See :func:`uniforms`.
        dtype: float32 (default) or float64.
    """
    if generator == "hash":
        words = key(seed, step, stream)
        return uniforms(words, rows, columns, first=first, stride=stride, dtype=dtype)
    folded = jax.random.key(jnp.asarray(seed, jnp.uint32), impl="threefry2x32")
    for word in (step, stream, first):
        folded = jax.random.fold_in(folded, jnp.asarray(word, jnp.uint32))
    return jax.random.uniform(folded, (rows, columns), dtype=dtype or jnp.float32)


def _word(value: int) -> Array:
    return jnp.asarray(value % 2**32, jnp.uint32)


def _hash(x: Array, second_key: Array | None = None) -> Array:
    for number, multiplier in enumerate(_MULTIPLIERS):
        x = (x ^ _right(x, _SHIFTS[number])) * _word(multiplier)
        if number == 0 and second_key is not None:
            x = x ^ second_key
    return x ^ _right(x, _SHIFTS[-1])


def _right(x: Array, bits: int) -> Array:
    return lax.shift_right_logical(x, jnp.full(x.shape, bits, jnp.uint32))
