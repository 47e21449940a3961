"""Pass@k: the chance that at least one of k responses is correct, without bias.

From n responses to a problem of which c are correct, the estimate

    pass@k = 1 − C(n−c, k)/C(n, k)

is unbiased for 1 − (1−ρ)^k. The plug-in 1 − (1 − c/n)^k is biased (too low), and is not offered.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import numpy.typing as npt

from theory._arrays import Floats
from theory.intervals import bounded_interval


def pass_at_k(samples: npt.ArrayLike, correct: npt.ArrayLike, k: npt.ArrayLike) -> Floats:
    """Unbiased estimate 1 − C(n−c, k)/C(n, k) of pass@k.

    The quotient is the product Π_i (1 − k/(n−i)) over i < c (or with c and k exchanged, whichever
    is shorter), summed as logarithms, so that neither binomials overflow nor small values cancel.

    Args:
        samples: n, responses per problem; whole numbers of at least 1, any shape.
        correct: c, correct ones among them, in [0, n]; broadcasts against ``samples``.
        k: Attempts, in [1, n]; broadcasts, such as ``k[:, None]`` against problems.

    Returns:
        Estimates in [0, 1], float64, of the broadcast shape.

    Raises:
        ValueError: Numbers that are not whole or out of range, in particular k > n: pass@k cannot
            be estimated without bias from fewer than k responses.

    Source: Chen et al., arXiv 2107.03374; theory.md section 7.

    >>> pass_at_k(4, [0, 1, 2, 4], 2).round(6).tolist()
    [0.0, 0.5, 0.833333, 1.0]
    """
    n, c, attempts = _checked_counts(samples, correct, k)
    triples = np.stack([n.ravel(), c.ravel(), attempts.ravel()], axis=1)
    distinct, place = np.unique(triples, axis=0, return_inverse=True)
    values = np.array([_estimate(*row) for row in distinct.tolist()], dtype=np.float64)
    return values[place.ravel()].reshape(n.shape)[()]


@dataclasses.dataclass(frozen=True)
class PassAtKTable:
    """Mean pass@k over problems, with intervals.

    Attributes:
        k: Attempts, shape (rows,).
        estimate: Mean over problems of the unbiased estimate, shape (rows,).
        low: Lower end of the interval, shape (rows,).
        high: Upper end, shape (rows,).
        level: Coverage of the interval.
        problems: Number of problems.

    Source: theory.md section 7.

    >>> pass_at_k_table([4, 4], [1, 4]).rows()[0][:2]
    (1, 0.625)
    """

    k: npt.NDArray[np.int64]
    estimate: Floats
    low: Floats
    high: Floats
    level: float
    problems: int

    def rows(self) -> list[tuple[int, float, float, float]]:
        """Return (k, estimate, low, high) of each row as Python numbers."""
        columns = (self.k, self.estimate, self.low, self.high)
        return list(zip(*(column.tolist() for column in columns), strict=True))


def pass_at_k_table(
    samples: npt.ArrayLike,
    correct: npt.ArrayLike,
    *,
    k: npt.ArrayLike | None = None,
    level: float = 0.95,
) -> PassAtKTable:
    """Mean pass@k over problems for k = 1, 2, 4, ... with intervals over problems.

    Args:
        samples: n, responses of each problem; a number or shape (problems,).
        correct: c, correct responses of each problem, shape (problems,).
        k: Attempts to report; default the powers of two up to the smallest n.
        level: Coverage of the intervals, in (0, 1).

    Returns:
        The table, one row per k.

    Raises:
        ValueError: As :func:`pass_at_k` and :func:`theory.intervals.bounded_interval`.

    Source: theory.md section 7.

    >>> table = pass_at_k_table(8, [0, 2, 8])
    >>> table.k.tolist(), table.estimate.round(3).tolist()
    ([1, 2, 4, 8], [0.417, 0.488, 0.595, 0.667])
    """
    c = np.atleast_1d(np.asarray(correct))
    if c.ndim != 1 or c.size < 1:
        raise ValueError(f"correct must have shape (problems,); got {c.shape}")
    n = np.broadcast_to(np.asarray(samples), c.shape)
    if k is None:
        k = 2 ** np.arange(int(np.log2(max(float(n.min()), 1))) + 1)
    attempts = np.atleast_1d(np.asarray(k))
    values = pass_at_k(n[:, None], c[:, None], attempts)
    low, high = bounded_interval(values, level=level)
    return PassAtKTable(
        k=attempts.astype(np.int64),
        estimate=values.mean(axis=0),
        low=low,
        high=high,
        level=level,
        problems=c.size,
    )


def _checked_counts(
    samples: npt.ArrayLike, correct: npt.ArrayLike, k: npt.ArrayLike
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    n = _whole("samples", samples)
    c = _whole("correct", correct)
    attempts = _whole("k", k)
    try:
        n, c, attempts = np.broadcast_arrays(n, c, attempts)
    except ValueError as error:
        raise ValueError(
            "samples, correct and k must broadcast against each other; "
            f"got shapes {n.shape}, {c.shape} and {attempts.shape}"
        ) from error
    if not np.all(n >= 1):
        raise ValueError(f"samples must be at least 1; got {n[n < 1].flat[0]}")
    if not np.all(attempts >= 1):
        raise ValueError(f"k must be at least 1; got {attempts[attempts < 1].flat[0]}")
    outside = (c < 0) | (c > n)
    if np.any(outside):
        raise ValueError(
            f"correct must lie in [0, samples]; got {c[outside].flat[0]} of {n[outside].flat[0]}"
        )
    beyond = attempts > n
    if np.any(beyond):
        raise ValueError(
            f"k must be at most the number of samples; got k = {attempts[beyond].flat[0]} with "
            f"{n[beyond].flat[0]} samples, from which pass@k cannot be estimated without bias"
        )
    return n, c, attempts


def _whole(name: str, values: npt.ArrayLike) -> npt.NDArray[np.int64]:
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must be whole numbers; got {values!r}")
    whole = array.astype(np.int64)
    if not np.array_equal(whole, array):
        raise ValueError(f"{name} must be whole numbers; got {array[whole != array].flat[0]}")
    return whole


def _estimate(n: int, c: int, k: int) -> float:
    shorter, longer = min(c, k), max(c, k)
    if shorter == 0:
        return 0.0
    if longer + shorter > n:  # fewer than k wrong responses
        return 1.0
    left = n - np.arange(shorter, dtype=np.float64)
    return float(-np.expm1(np.log1p(-longer / left).sum()))
