"""Intervals for means over seeds and over problems.

Student's t covers what it says at the five to twenty seeds of a run; for ratios and times it is
taken of logarithms. Means of numbers in a known range, such as pass@k over problems, have an
interval that is right for constant and for rare values too. Percentile bootstraps of so few
values cover less than they say. A mean is shown to lie in a range, by two one-sided t tests,
exactly if its interval does.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from scipy import special

from theory._arrays import Floats

FEWEST_FOR_BAND = 5
"""With fewer seeds a band is their range: an interval of so few is too wide to be drawn."""


class Interval(NamedTuple):
    """An estimate with the ends of its interval; numbers, or arrays of one shape.

    Attributes:
        estimate: The estimate.
        low: Lower end.
        high: Upper end.
    """

    estimate: float
    low: float
    high: float


def mean_interval(values: npt.ArrayLike, *, level: float = 0.95, log: bool = False) -> Interval:
    """Student's t interval of a mean: x̄ ± t_{n−1} s/√n.

    With ``log`` it is taken of ln x and is one of the geometric mean: right for ratios and times,
    whose logarithms are nearer to normal than they are.

    Args:
        values: One value per seed, shape (seeds,); positive with ``log``.
        level: Coverage, in (0, 1).
        log: Whether to work with logarithms.

    Returns:
        The mean with its interval; one value alone says nothing of its spread, and its interval
        is everything.

    Raises:
        ValueError: No values, values that are not finite (or, with ``log``, not positive), or a
            level outside (0, 1).

    >>> [round(end, 3) for end in mean_interval([1.0, 2.0, 3.0])]  # 2 ± 4.303/√3
    [2.0, -0.484, 4.484]
    """
    data = _checked(values, level)
    if log:
        if not np.all(data > 0):
            raise ValueError(f"values must be positive to take logarithms; got {data.min():g}")
        return Interval(*(float(np.exp(end)) for end in mean_interval(np.log(data), level=level)))
    if data.size == 1:
        return Interval(data.item(), -np.inf, np.inf)
    centre, half = map(float, _t_interval(data, level))
    return Interval(centre, centre - half, centre + half)


def time_interval(times: npt.ArrayLike, *, level: float = 0.95) -> Interval:
    """Geometric mean of times, or of ratios of times, with Student's t interval of logarithms.

    A time of 0 or ∞, which was reached at the start or never, has no logarithm with a spread: then
    the mean is the limit, and the ends are the least and the largest time seen.

    Args:
        times: One value per seed, shape (seeds,), in [0, ∞].
        level: Coverage, in (0, 1).

    Returns:
        The geometric mean with its interval; NaN of 0 and ∞ together, or if a time is NaN.

    Raises:
        ValueError: No times, a negative one, or a level outside (0, 1).

    >>> [round(end, 2) for end in time_interval([1.0, 2.0, 4.0])]
    [2.0, 0.36, 11.19]
    >>> time_interval([5.0, float("inf")])
    Interval(estimate=inf, low=5.0, high=inf)
    """
    data = np.asarray(times, dtype=np.float64)
    if np.isnan(data).any():
        return Interval(math.nan, math.nan, math.nan)
    if not np.all(data >= 0):
        raise ValueError("times must be numbers of at least 0; ∞ is one that is never reached")
    if data.size and not (np.all(data > 0) and np.all(np.isfinite(data))):
        with np.errstate(divide="ignore", invalid="ignore"):
            estimate = float(np.exp(np.log(data).mean()))
        return Interval(estimate, float(data.min()), float(data.max()))
    return mean_interval(data, level=level, log=True)


def bounded_interval(
    values: npt.ArrayLike, *, low: float = 0.0, high: float = 1.0, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Interval of the mean over problems of numbers in a known range, such as pass@k.

    Agresti and Coull's interval carried over from shares: to the n values come z²/2 at each end of
    the range, and mean and variance are those of all n + z². Values that are all alike, or all but
    a few, still leave room for problems that were not seen.

    Args:
        values: One row per problem, shape (problems, ...), in [low, high].
        low: Least value possible; −1 for differences of two shares.
        high: Largest value possible.
        level: Coverage, in (0, 1).

    Returns:
        Lower and upper ends, shape (...,), within the range.

    Raises:
        ValueError: No problems, values outside the range, or a level outside (0, 1).

    >>> [round(float(end), 3) for end in bounded_interval(np.zeros(20))]  # 0 of 20
    [0.0, 0.19]
    """
    table = _checked(values, level)
    if not np.all((table >= low) & (table <= high)):
        raise ValueError(f"values must lie in [{low:g}, {high:g}]")
    z = float(special.ndtri((1 + level) / 2))
    size = table.shape[0] + z**2
    mean = (table.sum(axis=0) + z**2 * (low + high) / 2) / size
    squares = ((table - mean) ** 2).sum(axis=0)
    squares = squares + z**2 / 2 * ((low - mean) ** 2 + (high - mean) ** 2)
    half = z * np.sqrt(squares) / size
    return np.maximum(mean - half, low), np.minimum(mean + half, high)


def share_interval(share: float, trials: float, *, level: float = 0.95) -> Interval:
    """Wilson's interval of a share p̂ of n trials.

    (p̂ + z²/2n ± z √(p̂(1−p̂)/n + z²/4n²)) / (1 + z²/n).

    Args:
        share: p̂; NaN where it is not known. Beyond [0, 1], as a share of a sum with negative parts
            may be, it has the interval of the nearer end.
        trials: n, or a number of trials that vary as much; not a whole number then.
        level: Coverage, in (0, 1).

    Returns:
        The share with its interval, all of [0, 1] where nothing is known.

    Source: E. B. Wilson, J. Am. Stat. Assoc. 22 (1927) 209.

    >>> [round(end, 3) for end in share_interval(0.5, 100)]
    [0.5, 0.404, 0.596]
    """
    if math.isnan(share) or not trials > 0:
        return Interval(math.nan, 0.0, 1.0)
    within = min(max(share, 0.0), 1.0)
    z = float(special.ndtri((1 + level) / 2))
    centre = (within + z * z / (2 * trials)) / (1 + z * z / trials)
    half = z / (1 + z * z / trials)
    half *= math.sqrt(within * (1 - within) / trials + z * z / (4 * trials**2))
    return Interval(share, min(share, max(0.0, centre - half)), max(share, min(1.0, centre + half)))


def _checked(values: npt.ArrayLike, level: float) -> Floats:
    data = np.asarray(values, dtype=np.float64)
    if data.ndim < 1 or data.shape[0] < 1:
        raise ValueError("values must have shape (problems, ...) with at least one problem")
    if not np.all(np.isfinite(data)):
        raise ValueError("values must be finite numbers; restrict times at a horizon first")
    if not 0 < level < 1:
        raise ValueError(f"level must lie in (0, 1); got {level:g}")
    return data


def band_over_seeds(values: npt.ArrayLike, *, level: float = 0.95) -> tuple[Floats, Floats]:
    """Band around the mean over seeds of a curve: Student's t at every point.

    Below ``FEWEST_FOR_BAND`` seeds it is their range, which covers nothing in particular.

    Args:
        values: One row per seed, shape (seeds, points), finite.
        level: Coverage at each point, in (0, 1).

    Returns:
        Lower and upper ends, shape (points,).

    Raises:
        ValueError: No seeds, values that are not finite, or a level outside (0, 1).

    >>> low, high = band_over_seeds([[0.0, 1.0], [0.5, 1.0]])
    >>> low.tolist(), high.tolist()
    ([0.0, 1.0], [0.5, 1.0])
    """
    data = _checked(values, level)
    if len(data) < FEWEST_FOR_BAND:
        return data.min(axis=0), data.max(axis=0)
    centre, half = _t_interval(data, level)
    return centre - half, centre + half


def _t_interval(data: Floats, level: float) -> tuple[Floats, Floats]:
    """Mean over seeds and half the width of its interval, at every point."""
    spread = np.where(np.ptp(data, axis=0) > 0, data.std(axis=0, ddof=1), 0.0)
    quantile = float(special.stdtrit(len(data) - 1, (1 + level) / 2))
    return data.mean(axis=0), quantile * spread / math.sqrt(len(data))
