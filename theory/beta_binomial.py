"""What counts of correct responses say of pass rates: a Beta-binomial fit with a mass at 0.

Of n_i responses to prompt i, K_i were correct. Pass rates are taken to be spread over prompts as

    ρ = 0 with probability z,   ρ ~ Beta(a, b) otherwise,

and a, b and z maximise the likelihood of all counts at once, Π_i P(K_i | n_i) with

    P(K | n) = z [K = 0] + (1 − z) C(n, K) B(a + K, b + n − K) / B(a, b).

Given its own count a prompt is then ρ ~ Beta(a + K, b + n − K), or 0 with a probability that is
positive only if it was never solved. A prompt that was solved 0 times in 8 is so neither 0 nor
some fixed fraction: it is what such prompts of this file are.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import optimize
from scipy.special import betainc, betaln, expit, gammaln, logit

from theory._arrays import Array, Floats, namespace

_LEAST_SUM, _LARGEST_SUM = 1e-3, 1e6
"""Range of a + b: at its ends pass rates are all but 0 or 1, and all but equal."""

_SHIFT = 10
"""Γ is moved up to where four terms of Stirling's series have 1e-10."""

_GAIN = 1.0
"""Log-likelihood that a mass at 0 has to add to be believed: Akaike's price of a parameter."""


@dataclasses.dataclass(frozen=True)
class PassRateModel:
    """How pass rates are spread over prompts: Beta(a, b), and a mass at 0.

    Attributes:
        a: First parameter of the Beta distribution.
        b: Second parameter.
        never: z, share of the prompts with ρ = 0, in [0, 1).
        log_likelihood: Of the counts it was fitted to; 0 if it was not fitted.
        message: What the counts leave open; empty if nothing.
    """

    a: float
    b: float
    never: float = 0.0
    log_likelihood: float = 0.0
    message: str = ""

    def log_probability(self, correct: Array, tries: Array) -> Floats:
        """ln P(K | n).

        Args:
            correct: K, whole numbers in [0, n], any shape.
            tries: n, whole numbers of at least 0, of a shape that broadcasts.

        >>> float(np.exp(PassRateModel(1.0, 1.0).log_probability(2, 4)).round(12))
        0.2
        """
        k, n = np.broadcast_arrays(*(np.asarray(x, dtype=np.float64) for x in (correct, tries)))
        ways = gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
        with np.errstate(divide="ignore"):
            log = math.log1p(-self.never) + ways + _log_ratio(self.a, self.b, k, n - k)
            zero = np.log(np.where(k == 0, self.never, 0.0))
        return np.asarray(np.logaddexp(log, zero))

    def posterior(self, correct: Array, tries: Array, *, whole: bool = True) -> Posterior:
        """What is known of each prompt once its own responses are counted.

        Args:
            correct: K of each prompt, shape (prompts,).
            tries: n of each, or one for all; 0 for prompts that were not tried.
            whole: Counts are whole numbers; not those that have faded.

        Raises:
            ValueError: Counts that are not whole, or not in [0, n].

        >>> PassRateModel(0.1, 0.9).posterior([0], 8).mean().round(4).tolist()  # not 0, not 0.056
        [0.0111]
        """
        k, n = _check_counts(correct, tries, least=0, whole=whole)
        never = np.where(k == 0, still_never(self.never, chance_of_none(self.a, self.b, n)), 0.0)
        return Posterior(self.a + k, self.b + n - k, never)


@dataclasses.dataclass(frozen=True)
class Posterior:
    """Distribution of the pass rate of each prompt: Beta(a, b), or 0.

    Attributes:
        a: First parameters, shape (prompts,).
        b: Second parameters.
        never: Probabilities that ρ = 0.
    """

    a: Floats
    b: Floats
    never: Floats

    def mean(self) -> Floats:
        """E[ρ] of each prompt."""
        return np.asarray((1 - self.never) * self.a / (self.a + self.b))

    def all_wrong(self, group_size: int) -> Floats:
        """Probability that a further group of M responses holds no correct one.

        >>> PassRateModel(1.0, 1.0).posterior([0], 1).all_wrong(1).round(9).tolist()
        [0.666666667]
        """
        tries = np.full(self.b.shape, float(group_size))
        none = chance_of_none(self.a, self.b, tries)
        return np.asarray(self.never + (1 - self.never) * none)

    def below(self, success: Array) -> Floats:
        """P(ρ ≤ x) of each prompt at each x in [0, 1), shape (prompts, points)."""
        points = np.asarray(success, dtype=np.float64).ravel()
        inside = betainc(self.a[:, None], self.b[:, None], points)
        return np.asarray(self.never[:, None] + (1 - self.never[:, None]) * inside)

    def sample(self, generator: np.random.Generator) -> Floats:
        """One pass rate of each prompt, drawn from its distribution."""
        drawn = generator.beta(self.a, self.b)
        return np.where(generator.random(drawn.shape) < self.never, 0.0, drawn)


def fit_pass_rates(
    correct: Array,
    tries: Array,
    prompts: Array | None = None,
    *,
    near: PassRateModel | None = None,
) -> PassRateModel:
    """Fit Beta(a, b) with a mass at 0 to counts of correct responses, by maximum likelihood.

    The mass at 0 is kept if it adds at least 1 to the log-likelihood, the price of a parameter in
    Akaike's criterion; otherwise the plain Beta-binomial is the fit.

    Args:
        correct: K of each prompt, whole numbers in [0, n].
        tries: n of each prompt, at least 1, or one number for all.
        prompts: How many prompts have each count; one by default.
        near: Fit of similar counts, such as those these were resampled from: the search starts
            there, and has a mass at 0 if that has one.

    Returns:
        The fit. Where the counts leave it open, ``message`` says so: with no correct response, or
        no wrong one, a Beta distribution for one pass rate that all prompts share, by Jeffreys'
        prior; with one try of each prompt the spread with a + b = 1.

    Raises:
        ValueError: Counts that are not whole, or not in [0, n].

    >>> fit = fit_pass_rates([0, 1, 2, 8], 8, prompts=[60, 20, 10, 10])
    >>> round(float(fit.posterior([0], 8).all_wrong(8)[0]), 2)  # never solved in 8, nor in 8 more
    0.91
    """
    k, n = _check_counts(correct, tries, least=1)
    w = np.ones_like(k) if prompts is None else np.asarray(prompts, dtype=np.float64)
    if w.shape != k.shape or not np.all(np.isfinite(w)) or np.any(w < 0) or not np.any(w > 0):
        raise ValueError("prompts must hold a number of at least 0 for each count, one positive")
    k, n, w = k[w > 0], n[w > 0], w[w > 0]
    right, total = float(w @ k), float(w @ n)
    if right in (0, total):
        word = "correct" if right == 0 else "wrong"
        return _result(k, n, w, right + 0.5, total - right + 0.5, 0.0, f"no response was {word}")
    if n.max() == 1:
        mean = right / total
        return _result(k, n, w, mean, 1 - mean, 0.0, "one try of each prompt shows no spread")
    counts = _Counts.of(k, n, w)
    if near is not None and not near.message:
        return _result(k, n, w, *_maximise(counts, inflated=near.never > 0, near=near)[:3], "")
    plain = _maximise(counts, inflated=False)
    inflated = _maximise(counts, inflated=True)
    best = inflated if inflated[3] >= plain[3] + _GAIN else plain
    return _result(k, n, w, *best[:3], "")


def chance_of_none(a: Array | float, b: Array | float, tries: Array) -> Array:
    """Probability that none of n responses is correct: Γ(b+n) Γ(a+b)/(Γ(b) Γ(a+b+n)).

    Works on NumPy, JAX (also under ``jit``) and torch.

    Args:
        a: a > 0 of the Beta distribution of the pass rate, of a shape that broadcasts.
        b: b > 0, likewise.
        tries: n ≥ 0, an array; discounted counts are not whole.

    Returns:
        Probabilities, to a relative error of 1e-9 in float64, as far as a + b < 1e6.

    Source: DLMF 5.11.1 (Stirling's series).

    >>> chance_of_none(1.0, 1.0, np.array([0.0, 1.0, 3.0])).round(9).tolist()
    [1.0, 0.5, 0.25]
    """
    xp = namespace(tries)
    none = xp.zeros_like(tries)
    return xp.exp(_log_rise(xp, none + b, tries) - _log_rise(xp, none + a + b, tries))


def _log_rise(xp: Any, start: Array, steps: Array) -> Array:
    """ln Γ(x + n)/Γ(x), small where n/x is: no difference of two large logarithms."""
    value = xp.zeros_like(steps)
    for _ in range(_SHIFT):
        value = value - xp.log1p(steps / start)
        start = start + 1
    end = start + steps
    value = value + (start - 0.5) * xp.log1p(steps / start) + steps * xp.log(end) - steps
    for power, divisor in ((1, 12.0), (3, -360.0), (5, 1260.0)):
        value = value + (1 / end**power - 1 / start**power) / divisor
    return value


def still_never(never: Array | float, none: Array) -> Array:
    """Probability that a prompt is one of those never solved, after responses that all failed.

    Args:
        never: z before, in [0, 1).
        none: :func:`chance_of_none` of these responses under the Beta distribution.

    >>> still_never(0.5, np.array([1.0, 0.25])).tolist()
    [0.5, 0.8]
    """
    return never / (never + (1 - never) * none)


def _check_counts(
    correct: Array, tries: Array, *, least: int, whole: bool = True
) -> tuple[Floats, Floats]:
    """Counts as two arrays of one shape (prompts,).

    Raises:
        ValueError: They are not whole numbers, n is below ``least``, or K is not in [0, n].
    """
    k = np.atleast_1d(np.asarray(correct, dtype=np.float64))
    n = np.asarray(tries, dtype=np.float64)
    if k.ndim != 1 or k.size == 0 or n.shape not in ((), (1,), k.shape):
        raise ValueError(
            "correct must list a number per prompt, and tries as many or one for all; got shapes "
            f"{k.shape} and {n.shape}"
        )
    n = np.broadcast_to(n, k.shape)
    bad = ~((n >= least) & (k >= 0) & (k <= n) & np.isfinite(n))
    if whole:
        bad |= (k != np.floor(k)) | (n != np.floor(n))
    if np.any(bad):
        at = int(np.argmax(bad))
        raise ValueError(
            f"correct and tries must be {'whole ' * whole}numbers, tries at least {least} and "
            f"correct in [0, tries]; got {k[at]:g} of {n[at]:g} at index {at}"
        )
    return k, n


def _log_ratio(a: float, b: float, right: Floats, wrong: Floats) -> Floats:
    """ln B(a + K, b + n − K)/B(a, b)."""
    return np.asarray(betaln(a + right, b + wrong) - betaln(a, b))


@dataclasses.dataclass(frozen=True)
class _Counts:
    """Sums of the log-likelihood, each over j of a number times ln(parameter + j).

    ln B(a+K, b+n−K)/B(a, b) = Σ_{j<K} ln(a+j) + Σ_{j<n−K} ln(b+j) − Σ_{j<n} ln(a+b+j): the sum
    over prompts of such a term needs only how many prompts have K > j, and loses no digits however
    large a and b are. Prompts that were never solved are apart, by n, because of the mass at 0.
    """

    right: Floats
    wrong: Floats
    both: Floats
    solved: float
    zero_tries: np.ndarray[tuple[int, ...], np.dtype[np.intp]]
    zero_prompts: Floats

    @classmethod
    def of(cls, k: Floats, n: Floats, w: Floats) -> _Counts:
        solved = k > 0
        size = int(n.max())

        def more(values: Floats) -> Floats:
            counted = np.bincount(values[solved].astype(int), w[solved], size + 1)
            return np.asarray(np.cumsum(counted[::-1])[::-1][1:])

        zeros = np.bincount(n[~solved].astype(int), w[~solved], size + 1)
        there = np.flatnonzero(zeros)
        return cls(
            more(k),
            more(n - k),
            more(n),
            float(w[solved].sum()),
            there,
            np.asarray(zeros[there]),
        )

    def negative(self, a: float, b: float, z: float) -> tuple[float, Floats]:
        """−log-likelihood but for a constant, and its gradient by a, b and z."""
        j = np.arange(self.both.size)
        la, lb, ls = a + j, b + j, a + b + j
        value = self.right @ np.log(la) + self.wrong @ np.log(lb) - self.both @ np.log(ls)
        value += self.solved * math.log1p(-z)
        by_sum = -self.both @ (1 / ls)
        by_a, by_b = self.right @ (1 / la) + by_sum, self.wrong @ (1 / lb) + by_sum
        by_z = -self.solved / (1 - z)
        if self.zero_tries.size:
            ends = self.zero_tries - 1
            none = np.exp(np.cumsum(np.log(lb) - np.log(ls))[ends])
            slope_s = -np.cumsum(1 / ls)[ends]
            chance = z + (1 - z) * none
            value += self.zero_prompts @ np.log(chance)
            part = self.zero_prompts * (1 - z) * none / chance
            by_a += part @ slope_s
            by_b += part @ (np.cumsum(1 / lb)[ends] + slope_s)
            by_z += self.zero_prompts @ ((1 - none) / chance)
        return -float(value), -np.array([by_a, by_b, by_z])


def _maximise(
    counts: _Counts, *, inflated: bool, near: PassRateModel | None = None
) -> tuple[float, float, float, float]:
    """a, b, z and the log-likelihood but for a constant.

    The unknowns are ln(a + b), the logit of the mean and z: their ranges do not depend on each
    other, and the likelihood is smooth in them up to the bounds.
    """

    def parameters(unknown: Floats) -> tuple[float, float, float]:
        total, mean = math.exp(unknown[0]), float(expit(unknown[1]))
        return total * mean, total * float(expit(-unknown[1])), float(unknown[2])

    def negative(unknown: Floats) -> tuple[float, Floats]:
        a, b, z = parameters(unknown)
        value, (by_a, by_b, by_z) = counts.negative(a, b, z)
        share = a * b / (a + b)
        return value, np.array([a * by_a + b * by_b, share * (by_a - by_b), by_z])

    zeros = float(counts.zero_prompts.sum())
    share = zeros / (zeros + counts.solved)
    rate = float(counts.right.sum() / counts.both.sum())
    starts = [(1.0, rate * (1 - z) + 0.01 * z, z) for z in (0.5 * share, 0.95 * share)]
    if not inflated:
        starts = [(1.0, rate * (1 - share) + 1e-6, 0.0), (30.0, rate * (1 - share) + 1e-6, 0.0)]
    if near is not None:
        starts = [(near.a + near.b, near.a / (near.a + near.b), near.never)]
    bounds = [
        (math.log(_LEAST_SUM), math.log(_LARGEST_SUM)),
        (-30.0, 30.0),
        (0.0, 1 - 1e-9 if inflated else 0.0),
    ]
    found = [_descend(negative, start, bounds) for start in starts]
    unknown, value = min(found, key=lambda item: item[1])
    return (*parameters(unknown), -value)


def _descend(
    negative: Callable[[Floats], tuple[float, Floats]],
    start: tuple[float, float, float],
    bounds: list[tuple[float, float]],
) -> tuple[Floats, float]:
    total, mean, z = start
    first = np.array([math.log(total), logit(min(max(mean, 1e-6), 1 - 1e-6)), z])
    result = optimize.minimize(
        negative, first, jac=True, bounds=bounds, method="L-BFGS-B", options={"ftol": 1e-13}
    )
    return np.asarray(result.x), float(result.fun)


def _result(
    k: Floats, n: Floats, w: Floats, a: float, b: float, z: float, message: str
) -> PassRateModel:
    model = PassRateModel(a, b, z, 0.0, message)
    return dataclasses.replace(model, log_likelihood=float(w @ model.log_probability(k, n)))
