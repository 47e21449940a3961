"""Percentile bootstrap intervals of a mean, over seeds or over problems."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from theory._arrays import Floats

_RESAMPLES = 4000  # of seeds
_NUMBERS_AT_ONCE = 4_000_000  # numbers of a bootstrap held in memory at a time


def interval_over_seeds(
    values: Floats,
    *,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile bootstrap interval of the mean over seeds, with a fixed generator.

    Args:
        values: One value per seed, shape (seeds,); infinities stay infinities.
        level: Coverage.

    Returns:
        Lower and upper end; both the value itself for a single seed.

    Source: Efron and Tibshirani (1993), percentile interval.

    >>> interval_over_seeds(np.array([1.0, 1.0]))
    (1.0, 1.0)
    """
    values = np.asarray(values, dtype=float)
    generator = np.random.default_rng(20260211)
    picks = generator.integers(values.size, size=(_RESAMPLES, values.size))
    samples = np.sort(values[picks].mean(axis=-1))
    # Order statistics rather than interpolation: ∞ − ∞ would be NaN.
    tail = (1 - level) / 2
    low, high = samples[int(tail * _RESAMPLES)], samples[-1 - int(tail * _RESAMPLES)]
    return float(low), float(high)


def interval_over_problems(
    values: npt.ArrayLike,
    generator: np.random.Generator,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
) -> tuple[Floats, Floats]:
    """Percentile bootstrap interval of the mean over problems.

    Problems are drawn with replacement, all columns of a problem together.

    Args:
        values: One row per problem, shape (problems, ...), such as estimates of pass@k.
        generator: Source of randomness.
        level: Coverage, in (0, 1).
        resamples: Number of resamples, at least 1.

    Returns:
        Lower and upper ends, shape (...,).

    Raises:
        ValueError: No problems, values that are not finite, or a level outside (0, 1).

    Source: Efron's percentile interval; theory.md section 7 (bootstrap over problems).

    >>> low, high = interval_over_problems([0.0, 1.0] * 50, np.random.default_rng(0))
    >>> bool(0.35 < low < 0.5 < high < 0.65)
    True
    """
    table = np.asarray(values, dtype=np.float64)
    if table.ndim < 1 or table.shape[0] < 1:
        raise ValueError("values must have shape (problems, ...) with at least one problem")
    if not np.all(np.isfinite(table)):
        raise ValueError("values must be finite numbers, one estimate per problem")
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1); got {level:g}")
    if resamples < 1:
        raise ValueError(f"resamples must be at least 1; got {resamples}")
    problems = table.shape[0]
    flat = table.reshape(problems, -1)
    chunk = max(1, _NUMBERS_AT_ONCE // problems)
    means = []
    for first in range(0, resamples, chunk):
        rows = min(chunk, resamples - first)
        # How often each problem is drawn is all that a mean needs.
        draws = generator.multinomial(problems, np.full(problems, 1 / problems), size=rows)
        means.append(draws @ flat / problems)
    ends = np.quantile(np.concatenate(means), [(1 - level) / 2, (1 + level) / 2], axis=0)
    low, high = ends.reshape((2, *table.shape[1:]))
    return low, high
