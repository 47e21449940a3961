"""What a measured kernel says: sharing, kernel by difficulty, and ∇ρ by the pass rate."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
from scipy.special import betaln

from llm_validation.probe.kernel import Kernel
from llm_validation.probe.resampling import Resamples, quotient
from theory._arrays import Floats
from theory.beta_binomial import fit_pass_rates
from theory.intervals import Interval
from theory.prompt_sets import measured_set
from theory.shared_advice import spread_of
from theory.sharing import sharing_of_ratio

EDGES = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Pass rates between which prompts count as of one difficulty."""

_EXPONENTS = np.linspace(0.0, 2.5, 251)
"""Exponents q of ‖∇ρ‖ ∝ (ρ(1−ρ))^q that are compared."""


@dataclasses.dataclass(frozen=True)
class Sharing:
    """How much of an update acts on other prompts.

    Means of K_ij weigh prompts by v = ρ(1−ρ), by which log-odds move success.

    Attributes:
        own: Mean of the diagonal.
        others: Mean off the diagonal.
        ratio: others/own.
        sharing: s of theory.sharing that has this ratio among the prompts of the probe.
        in_training: The same among the prompts of a training set.
    """

    own: Interval
    others: Interval
    ratio: Interval
    sharing: Interval
    in_training: Interval


def measure_sharing(kernel: Kernel, drawn: Resamples, training_prompts: int = 0) -> Sharing:
    """Sharing with intervals over prompts.

    Args:
        kernel: The kernel.
        drawn: Resamples of its prompts.
        training_prompts: N of the training set that ``in_training`` is for; 0 for the probe's own.
    """
    products, v = kernel.success_products, kernel.variance
    own = quotient(drawn.total(np.diag(products)), drawn.total(kernel.squared_variance))
    others = quotient(drawn.pairs(products), drawn.pairs(np.outer(v, v)))
    ratio = quotient(others, own)
    prompts = len(v)
    return Sharing(
        own=drawn.interval(own),
        others=drawn.interval(others),
        ratio=drawn.interval(ratio),
        sharing=drawn.interval(sharing_of_ratio(ratio, prompts)),
        in_training=drawn.interval(sharing_of_ratio(ratio, training_prompts or prompts)),
    )


def by_difficulty(kernel: Kernel, drawn: Resamples) -> list[dict[str, Any]]:
    """Mean K_ij between prompts of two difficulties, and of the diagonal, with intervals.

    Returns:
        Rows with low, high (pass rates of prompts i), other_low, other_high (of prompts j), kind
        (``own`` or ``others``), prompts, estimate, low_end and high_end.
    """
    products, v, squared = kernel.success_products, kernel.variance, kernel.squared_variance
    bins = list(itertools.pairwise(EDGES))
    member = [_inside(kernel.rate, ends) for ends in bins]
    rows = []
    for (a, ends), (b, others) in itertools.product(enumerate(bins), enumerate(bins)):
        if b < a:
            continue
        one = np.outer(member[a], member[b])
        both = np.maximum(one, one.T)
        mean = quotient(drawn.pairs(both * products), drawn.pairs(both * np.outer(v, v)))
        rows.append(_row(ends, others, "others", (member[a] | member[b]) & (v > 0), drawn, mean))
        if a == b:
            own = quotient(
                drawn.total(member[a] * np.diag(products)), drawn.total(member[a] * squared)
            )
            rows.append(_row(ends, ends, "own", member[a] & (squared > 0), drawn, own))
    return rows


def _inside(rate: Floats, ends: tuple[float, float]) -> np.ndarray:
    low, high = ends
    return np.asarray((rate >= low) & ((rate < high) | (high == EDGES[-1])))


def _row(
    ends: tuple[float, float],
    others: tuple[float, float],
    kind: str,
    prompts: np.ndarray,
    drawn: Resamples,
    mean: Floats,
) -> dict[str, Any]:
    found = drawn.interval(mean)
    return {
        "low": ends[0],
        "high": ends[1],
        "other_low": others[0],
        "other_high": others[1],
        "kind": kind,
        "prompts": int(np.sum(prompts)),
        "estimate": found.estimate,
        "low_end": found.low,
        "high_end": found.high,
    }


def norm_exponent(kernel: Kernel, drawn: Resamples) -> Interval:
    """Exponent q of ‖∇ρ‖ ∝ (ρ(1−ρ))^q over prompts.

    K̂_ii is unbiased for K_ii given the count, so that its mean given K is c E[v^{2(q−1)} | K], the
    expectation over the posterior Beta(a + K, b + n − K) of a Beta distribution fitted to all
    counts. c and q fit these means by least squares with the weights (K(n−K)/n)², as the noise of
    K̂_ii has. q = 1 is the constant diagonal of the softmax kernel, q = ½ the natural gradient's.

    Args:
        kernel: The kernel; prompts with two right and two wrong responses are used.
        drawn: Resamples of its prompts.

    Returns:
        q in [0, 2.5] with its interval; NaN without two such prompts.
    """
    k, n = kernel.correct, kernel.responses
    used = np.flatnonzero(kernel.squared_variance > 0)
    if len(used) < 2:
        return Interval(np.nan, np.nan, np.nan)
    prior = fit_pass_rates(k, n)
    a, b = prior.a + k[used], prior.b + n - k[used]
    power = 2 * (_EXPONENTS[:, None] - 1)
    mean = np.exp(betaln(a + power, b + power) - betaln(a, b))
    weight = (k[used] * (n - k[used]) / n) ** 2
    counts = drawn.counts[:, used]
    across = (counts * (weight * np.diag(kernel.matrix)[used])) @ mean.T
    along = (counts * weight) @ (mean**2).T
    explained = np.where((across > 0) & (along > 0), across**2 / np.where(along > 0, along, 1), 0)
    best = _EXPONENTS[np.argmax(explained, axis=1)]
    return drawn.interval(np.where(explained.max(axis=1) > 0, best, np.nan))


def spread_of_odds(kernel: Kernel) -> Interval:
    """Standard deviation of the log-odds of the prompts, as ``apw advise`` takes it from counts."""
    if not kernel.correct.any():
        return Interval(np.nan, np.nan, np.nan)
    return spread_of(measured_set(kernel.correct, kernel.responses))


def smooth_kernel(kernel: Kernel, drawn: Resamples) -> Floats:
    """K of all prompts from means by difficulty, for :func:`theory.sharing.path_costs`.

    Single entries of K̂ are mostly noise. Entries are those of the pair of difficulties, or the mean
    of all where none was measured, and the diagonal is that of its difficulty, or the mean.

    Returns:
        Shape (prompts, prompts); NaN everywhere if there was nothing to measure.
    """
    sharing = measure_sharing(kernel, drawn)
    bins = list(itertools.pairwise(EDGES))
    place = np.array([[_inside(kernel.rate, ends) for ends in bins]]).squeeze(0).argmax(axis=0)
    off = np.full((len(bins), len(bins)), sharing.others.estimate)
    own = np.full(len(bins), sharing.own.estimate)
    for row in by_difficulty(kernel, drawn):
        a, b = EDGES.index(row["low"]), EDGES.index(row["other_low"])
        if not np.isfinite(row["estimate"]):
            continue
        if row["kind"] == "own":
            own[a] = row["estimate"] if row["estimate"] > 0 else own[a]
        else:
            off[a, b] = off[b, a] = row["estimate"]
    matrix = off[np.ix_(place, place)]
    np.fill_diagonal(matrix, own[place])
    return np.asarray(matrix)
