"""Schemes given by their tables a⁺_K, a⁻_K for one group size."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from theory._arrays import Array, is_traced
from theory._binomial import like
from theory._scheme import Scheme


def table_scheme(
    positive: Array, negative: Array, *, name: str = "table", title: str = "", source: str = ""
) -> Scheme:
    """Make a scheme of a table, for groups of exactly M responses and binary rewards.

    A_i = r_i a⁺_K − (1 − r_i) a⁻_K with K the number of correct responses of the group.

    Args:
        positive: a⁺_K for K = 0..M, shape (M + 1,); a⁺_0 belongs to no response.
        negative: a⁻_K for K = 0..M, same shape; a⁻_M belongs to no response.
        name: Name in messages and tables of results.
        title: Printed name; ``name`` if empty.
        source: Citation key.

    Returns:
        A scheme that ``group_advantages``, ``expected_weight`` and the rest of the package take.
        It has no population limit.

    Raises:
        ValueError: Tables of different or too small length, or numbers that are not finite.

    Source: theory.md, sections 1 and 4.

    >>> from theory.advantages import group_advantages
    >>> half = table_scheme([0.0, 0.5, 0.0], [0.0, 0.5, 0.0], name="half")
    >>> group_advantages(np.array([1.0, 0.0]), half).tolist()
    [0.5, -0.5]
    """
    gain = np.asarray(positive, dtype=np.float64).copy()
    penalty = np.asarray(negative, dtype=np.float64).copy()
    if gain.ndim != 1 or gain.shape != penalty.shape or gain.size < 2:
        raise ValueError(
            "positive and negative must have shape (M + 1,) with M of at least 1; "
            f"got {gain.shape} and {penalty.shape}"
        )
    if not (np.all(np.isfinite(gain)) and np.all(np.isfinite(penalty))):
        raise ValueError("positive and negative must be finite numbers")
    gain[0] = penalty[-1] = 0.0
    size = gain.size - 1
    correct = np.arange(size + 1)
    balance = correct * gain - (size - correct) * penalty
    scale = max(float(np.abs(correct * gain).max()), 1e-300)

    def coefficients(
        xp: Any, mean: Array, variance: Array, group_size: Array | float
    ) -> tuple[Array, Array]:
        _check_size(name, size, group_size)
        count = xp.astype(xp.round(mean * size), xp.int32)
        flat = xp.reshape(count, (-1,))
        return tuple(
            xp.reshape(xp.take(like(table, mean), flat, axis=0), tuple(mean.shape))
            for table in (gain, penalty)
        )

    return Scheme.from_coefficients(
        coefficients,
        name,
        title=title or name,
        formula=f"table for groups of {size}",
        source=source,
        summary=f"Coefficients looked up by the number of correct responses among {size}.",
        centred=bool(np.all(np.abs(balance[1:-1]) <= 1e-12 * scale)),
        graded=False,
        minimum_group=size,
    )


def _check_size(name: str, size: int, group_size: Array | float) -> None:
    if isinstance(group_size, int | float):
        if math.isinf(group_size):
            raise ValueError(
                f"{name} is a table for groups of {size} and has no population limit; "
                f"use expected_weight(scheme, {size}, success)"
            )
        if group_size != size:
            raise ValueError(f"{name} is a table for groups of {size}; got groups of {group_size}")
        return
    if is_traced(group_size):
        return
    # Groups in which some responses could not be scored are smaller than they look.
    sizes = np.unique(np.asarray(group_size))
    if not np.array_equal(sizes, [size]):
        raise ValueError(
            f"{name} is a table for groups of {size} scored responses; got groups of {sizes[0]:g}"
        )
