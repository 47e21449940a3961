"""Pass rates of many prompts from few tries each: a Beta distribution fitted to the counts.

A prompt with K correct of n responses has not the pass rate K/n. If pass rates are spread over the
prompts as (1−z)·Beta(a, b), with a mass z of prompts at exactly 0, the counts are beta-binomial,

    P(K | n) = z·[K = 0] + (1−z) C(n, K) B(K+a, n−K+b)/B(a, b),

which is fitted by maximum likelihood; and a prompt's own rate is then a posterior,
Beta(a+K, b+n−K), with K = 0 split between the mass at 0 and Beta(a, b+n).
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

import numpy as np
from scipy import optimize
from scipy.special import betaln, digamma, expit, gammaln, log_expit

from theory._arrays import Array, Floats
from theory._binomial import whole_number
from theory.pass_rates import PassRates

__all__ = ["BetaPrior", "Fit", "fit", "log_likelihood"]

ZeroMass = Literal["auto", "never", "always"]
_STARTS = (0.3, 3.0, 30.0)  # values of s = a + b to start from
_NARROWEST = 1e6  # largest a + b; the pass rates then lie within 0.001 of each other


@dataclasses.dataclass(frozen=True)
class BetaPrior:
    """How pass rates are spread over prompts: (1−z)·Beta(a, b) and a mass z at 0.

    Attributes:
        a: a > 0, the correct responses it counts for.
        b: b > 0, the wrong responses it counts for.
        zero: z in [0, 1), the share of prompts that are never answered correctly.
    """

    a: float
    b: float
    zero: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not (0 < self.a < math.inf and 0 < self.b < math.inf):
            raise ValueError(f"a and b must be positive numbers; got {self.a} and {self.b}")
        if not 0 <= self.zero < 1:
            raise ValueError(f"zero must lie in [0, 1); got {self.zero}")

    @property
    def strength(self) -> float:
        """s = a + b: the responses that the prior counts for."""
        return self.a + self.b

    @property
    def mean(self) -> float:
        """Mean pass rate (1−z) a/(a+b)."""
        return (1 - self.zero) * self.a / self.strength

    def zero_given(self, correct: Array, tries: Array) -> Floats:
        """Posterior probability that a prompt belongs to the mass at 0: none if K > 0."""
        right, count = _counts(correct, tries)
        never = math.log(self.zero) if self.zero else -math.inf
        chance = math.log1p(-self.zero) + betaln(self.a, self.b + count) - betaln(self.a, self.b)
        return np.where(right > 0, 0.0, np.exp(never - np.logaddexp(never, chance)))

    def posterior_mean(self, correct: Array, tries: Array) -> Floats:
        """Expected pass rate (a+K)/(a+b+n) of a prompt, less for K = 0 if there is a mass at 0.

        Args:
            correct: K, any shape.
            tries: n, a number or the shape of ``correct``.

        >>> float(BetaPrior(0.5, 4.5).posterior_mean(0, 8).round(4))
        0.0385
        """
        right, count = _counts(correct, tries)
        mean: Floats = (self.a + right) / (self.strength + count)
        return mean * (1 - self.zero_given(right, count))

    def predicted(self, tries: int) -> Floats:
        """P(K | n) for K = 0..n of a prompt nothing is known of."""
        size = whole_number("tries", tries, least=0)
        right = np.arange(size + 1.0)
        chances: Floats = (1 - self.zero) * np.exp(
            _log_choose(right, size) + _log_odds(right, size, self.a, self.b)
        )
        chances[0] += self.zero
        return chances

    def rates(self, nodes: int = 64) -> PassRates:
        """The distribution itself, as nodes and shares."""
        return _mixed([(self.a, self.b, 1 - self.zero)], self.zero, nodes)

    def posterior_rates(self, correct: Array, tries: Array, nodes: int = 16) -> PassRates:
        """The pass rates of the prompts with these counts: the average of their posteriors.

        Args:
            correct: K of each prompt, shape (prompts,).
            tries: n, a number or one per prompt.
            nodes: Nodes per posterior; prompts with the same counts share them.

        >>> rates = BetaPrior(0.5, 4.5).posterior_rates([0, 0, 4], 8)
        >>> round(rates.mean(), 4)  # the mean of 0.5/13, 0.5/13 and 4.5/13
        0.141
        """
        kinds, shares = _kinds(*_counts(correct, tries))
        none = self.zero_given(*kinds.T)
        parts = [
            (self.a + right, self.b + count - right, share * (1 - never))
            for (right, count), share, never in zip(kinds, shares, none, strict=True)
        ]
        return _mixed(parts, float(shares @ none), nodes)


@dataclasses.dataclass(frozen=True)
class Fit:
    """A fitted distribution of pass rates.

    Attributes:
        prior: The distribution.
        log_likelihood: Its log-likelihood, binomial coefficients left out.
        prompts: Number of prompts.
        converged: The search ended at a maximum inside the range of parameters.
        message: What was noteworthy; empty if nothing was.
    """

    prior: BetaPrior
    log_likelihood: float
    prompts: int
    converged: bool
    message: str


def fit(correct: Array, tries: Array, *, zero_mass: ZeroMass = "auto") -> Fit:
    """Fit (1−z)·Beta(a, b) to the counts of all prompts by maximum likelihood.

    Args:
        correct: K of each prompt, shape (prompts,).
        tries: n of each prompt, or one number; at least 1.
        zero_mass: Whether there is a mass z at 0: ``"auto"`` where it raises the log-likelihood by
            more than ½ ln(prompts), the price of one more parameter.

    Returns:
        The fit.

    Raises:
        ValueError: Counts that are none, or that are all 0 or all n: any Beta distribution close
            enough to that end explains them, and no likelihood can choose.

    Source: theory.md, section 8 "Empirical Bayes".

    >>> found = fit([0] * 60 + [1] * 25 + [2] * 10 + [5] * 5, 8)
    >>> found.converged, round(found.prior.mean, 3), round(found.prior.zero, 3)
    (True, 0.088, 0.0)
    """
    right, count = _counts(correct, tries)
    if not right.size:
        raise ValueError("there are no counts to fit")
    if np.all(right == 0) or np.all(right == count):
        raise ValueError(
            f"every prompt has {'no' if right[0] == 0 else 'only'} correct responses: their number "
            "alone does not tell how pass rates are spread; give a and b yourself"
        )
    if zero_mass not in ("auto", "never", "always"):
        raise ValueError(f"zero_mass must be auto, never or always; got {zero_mass!r}")
    kinds, shares = _kinds(right, count)
    weights = shares * right.size
    plain = _maximum(kinds, weights, False)
    if zero_mass == "never" or not np.any(right == 0):
        chosen = plain
    else:
        mixed = _maximum(kinds, weights, True)
        least = plain[1] + (0.5 * math.log(right.size) if zero_mass == "auto" else 0.0)
        chosen = mixed if mixed[1] > least else plain
    prior, value, converged = chosen
    narrow = prior.strength > 0.99 * _NARROWEST
    message = "pass rates differ by no more than chance explains" if narrow else ""
    if not (converged or narrow):
        message = "the search for the maximum did not end"
    return Fit(prior, value, int(right.size), converged or narrow, message)


def log_likelihood(prior: BetaPrior, correct: Array, tries: Array) -> float:
    """Log-likelihood of counts, without the binomial coefficients, which no prior changes.

    >>> round(log_likelihood(BetaPrior(1.0, 1.0), [1], 1), 4)  # ln ½
    -0.6931
    """
    right, count = _counts(correct, tries)
    logs = math.log1p(-prior.zero) + _log_odds(right, count, prior.a, prior.b)
    never = math.log(prior.zero) if prior.zero else -math.inf
    return float(np.sum(np.where(right > 0, logs, np.logaddexp(never, logs))))


def _maximum(kinds: Floats, weights: Floats, mass: bool) -> tuple[BetaPrior, float, bool]:
    """Maximise over logit m, ln s and logit z, with m = a/(a+b) and s = a + b."""
    right, count = kinds.T
    mean = float(weights @ right / (weights @ count))
    none = right == 0

    def loss(x: Floats) -> tuple[float, Floats]:
        m, s = float(expit(x[0])), math.exp(x[1])
        a, b = s * m, s * float(expit(-x[0]))
        logs = _log_odds(right, count, a, b)
        by_total = digamma(s) - digamma(s + count)
        by_a = digamma(a + right) - digamma(a) + by_total
        by_b = digamma(b + count - right) - digamma(b) + by_total
        inside = np.ones_like(logs)
        slope = np.zeros_like(x)
        if mass:
            whole = np.logaddexp(log_expit(x[2]), log_expit(-x[2]) + logs)
            inside = np.where(none, np.exp(log_expit(-x[2]) + logs - whole), 1.0)
            slope[2] = -float(weights @ (1 - inside - expit(x[2])))
            logs = np.where(none, whole, log_expit(-x[2]) + logs)
        pull_a, pull_b = float(weights @ (inside * by_a)), float(weights @ (inside * by_b))
        slope[0] = -(pull_a - pull_b) * s * m * (1 - m)
        slope[1] = -(pull_a * a + pull_b * b)
        return -float(weights @ logs), slope

    bounds = [(-30.0, 30.0), (math.log(1e-4), math.log(_NARROWEST)), (-40.0, 20.0)][: 2 + mass]
    best = None
    for strength in _STARTS:
        start = [math.log(mean / (1 - mean)), math.log(strength), -2.0][: 2 + mass]
        found = optimize.minimize(
            loss,
            start,
            jac=True,
            method="L-BFGS-B",
            bounds=bounds,
            options={"ftol": 1e-15, "gtol": 1e-8, "maxiter": 500},
        )
        if best is None or found.fun < best.fun:
            best = found
    assert best is not None
    m, s = float(expit(best.x[0])), math.exp(best.x[1])
    gradient = np.abs(best.jac) / float(weights.sum())
    prior = BetaPrior(s * m, s * float(expit(-best.x[0])), float(expit(best.x[2])) if mass else 0.0)
    return prior, -float(best.fun), bool(gradient.max() < 1e-5)


def _log_odds(right: Floats, count: Array, a: float, b: float) -> Floats:
    logs: Floats = betaln(right + a, count - right + b) - betaln(a, b)
    return logs


def _log_choose(right: Floats, count: int) -> Floats:
    logs: Floats = gammaln(count + 1) - gammaln(right + 1) - gammaln(count - right + 1)
    return logs


def _counts(correct: Array, tries: Array) -> tuple[Floats, Floats]:
    right = np.asarray(correct, dtype=np.float64)
    count = np.broadcast_to(np.asarray(tries, dtype=np.float64), right.shape)
    whole = (right == np.round(right)) & (count == np.round(count))
    if not np.all(whole & (right >= 0) & (count >= right) & (count >= 1) & np.isfinite(count)):
        raise ValueError("correct and tries must be whole numbers with 0 <= correct <= tries >= 1")
    return right, count


def _kinds(right: Floats, count: Floats) -> tuple[Floats, Floats]:
    """Different pairs (K, n), shape (kinds, 2), and the share of prompts with each."""
    pairs = np.stack([right.ravel(), count.ravel()], axis=1)
    kinds, number = np.unique(pairs, axis=0, return_counts=True)
    return kinds, number / pairs.shape[0]


def _mixed(parts: list[tuple[float, float, float]], zero: float, nodes: int) -> PassRates:
    each = [(PassRates.beta(a, b, nodes), share) for a, b, share in parts if share > 0]
    success = [rates.success for rates, _ in each]
    shares = [share * rates.share for rates, share in each]
    if zero:
        success, shares = [np.zeros(1), *success], [np.array([zero]), *shares]
    return PassRates(np.concatenate(success), np.concatenate(shares))
