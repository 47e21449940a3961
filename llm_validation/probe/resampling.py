"""Intervals by drawing prompts again, for means over prompts and over pairs of prompts."""

from __future__ import annotations

import dataclasses

import numpy as np

from runs.seeds import stream
from theory._arrays import Floats
from theory.intervals import Interval

_UNDEFINED = 0.05
"""An interval is given if at most this share of the resamples leaves the statistic undefined."""


@dataclasses.dataclass(frozen=True)
class Resamples:
    """How often each prompt was drawn, resample by resample; the first row is the prompts as drawn.

    Attributes:
        counts: Shape (1 + resamples, prompts); rows sum to the number of prompts.
        level: Coverage of intervals, in (0, 1).
    """

    counts: Floats
    level: float = 0.95

    @classmethod
    def draw(cls, prompts: int, resamples: int, *, seed: int, level: float = 0.95) -> Resamples:
        """Draw prompts with replacement.

        >>> Resamples.draw(3, 2, seed=0).counts.sum(axis=1).tolist()
        [3.0, 3.0, 3.0]
        """
        generator = stream(seed, "resamples")
        drawn = generator.multinomial(prompts, np.full(prompts, 1 / prompts), size=resamples)
        return cls(np.concatenate([np.ones((1, prompts)), drawn]).astype(np.float64), level)

    def total(self, values: Floats) -> Floats:
        """Σ_i of a value of each prompt, per resample; NaN counts as 0."""
        return np.asarray(self.counts @ np.nan_to_num(values))

    def pairs(self, values: Floats) -> Floats:
        """Σ over pairs of different prompts of values (prompts, prompts), per resample.

        A prompt that is drawn twice makes no pair with itself, whose value is another kind of
        number; NaN counts as 0.
        """
        apart = np.nan_to_num(np.asarray(values, dtype=np.float64))
        np.fill_diagonal(apart, 0.0)
        return np.asarray(np.einsum("bi,ij,bj->b", self.counts, apart, self.counts, optimize=True))

    def effect(self, values: Floats, targets: Floats | None = None) -> Floats:
        """Mean over targets i of (1/N) Σ_j values_ij, per resample.

        The prompt itself and the N − 1 others are taken apart: drawn twice, a prompt is not one of
        its others.

        Args:
            values: What an update on prompt j does to prompt i, shape (prompts, prompts).
            targets: Share with which each prompt counts as a target; all alike by default.
        """
        own = np.diag(values)
        apart = np.asarray(values - np.diag(own))
        prompts = len(own)
        others = self.counts @ apart.T / np.maximum(prompts - self.counts, 1)
        each = (own + (prompts - 1) * others) / prompts
        weight = self.counts * (1.0 if targets is None else targets)
        return quotient((weight * each).sum(axis=1), weight.sum(axis=1))

    def interval(self, statistic: Floats) -> Interval:
        """The estimate with its percentile interval; NaN where it is not defined."""
        estimate, drawn = float(statistic[0]), statistic[1:]
        defined = drawn[~np.isnan(drawn)]
        if np.isnan(estimate) or len(defined) < (1 - _UNDEFINED) * len(drawn):
            return Interval(estimate, np.nan, np.nan)
        ends = (1 - self.level) / 2, (1 + self.level) / 2
        low, high = np.quantile(defined, ends, method="inverted_cdf")  # which takes infinite ones
        return Interval(estimate, float(low), float(high))


def quotient(over: Floats, under: Floats) -> Floats:
    """Quotients; NaN where the denominator is not positive.

    >>> quotient(np.array([1.0, 1.0]), np.array([2.0, 0.0])).tolist()
    [0.5, nan]
    """
    positive = under > 0
    return np.asarray(np.where(positive, over / np.where(positive, under, 1.0), np.nan))
