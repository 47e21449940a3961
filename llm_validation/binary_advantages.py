"""Group advantages looked up in a table where rewards are 0 or 1.

The advantages are those of ``theory.advantages.group_advantages``. On the few hundred numbers of a
training step its array operations cost more than their arithmetic, and of a scheme with a table
there are only 2M different results.
"""

from __future__ import annotations

import functools

import numpy as np

from theory.advantages import group_advantages
from theory.schemes import Scheme


def binary_advantages(rewards: np.ndarray, scheme: Scheme) -> np.ndarray:
    """Advantages of responses that could all be scored.

    A_i = a⁺_K where r_i = 1 and −a⁻_K where r_i = 0, in a group with K rewards of 1. Graded rewards
    and schemes without a table are handed on to ``group_advantages``, to whose results these are
    equal; in the last digit they may differ where M is no power of two, since sums of such
    fractions are rounded and depend on their order.

    Args:
        rewards: Shape (groups, M), in [0, 1].
        scheme: Any that needs no more of responses than their rewards.

    Returns:
        Advantages of the same shape and dtype.

    Raises:
        ValueError: As ``group_advantages``.

    >>> from theory.schemes import SCHEMES
    >>> binary_advantages(np.array([[1.0, 0, 0, 0], [0, 0, 0, 0]]), SCHEMES["linear_r"]).tolist()
    [[3.0, -1.0, -1.0, -1.0], [-1.0, -1.0, -1.0, -1.0]]
    """
    right = rewards == 1
    if not scheme.has_table or not (right | (rewards == 0)).all():
        return np.asarray(group_advantages(rewards, scheme))
    table = _table(scheme, rewards.shape[1], rewards.dtype)
    places = np.count_nonzero(right, axis=1)[:, None], right.astype(np.intp)
    return np.asarray(table[places])


@functools.lru_cache(maxsize=64)
def _table(scheme: Scheme, group_size: int, dtype: np.dtype) -> np.ndarray:
    """Advantages of a wrong and of a right response by K, shape (M + 1, 2); 0 for those of none."""
    rewards = np.tri(group_size + 1, group_size, -1, dtype=dtype)  # K ones, then zeros
    advantages = group_advantages(rewards, scheme)
    table = np.zeros((group_size + 1, 2), dtype)
    table[:-1, 0], table[1:, 1] = advantages[:-1, -1], advantages[1:, 0]
    return table
