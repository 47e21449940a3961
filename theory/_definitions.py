"""The formulas of the schemes: each written once, as coefficients (a⁺, a⁻) of a group.

Every function takes the array namespace, the mean ρ̂ and the population variance of a group's
rewards and its size M (``math.inf`` for the population limit), and returns a⁺ and a⁻. Its keyword
arguments are the scheme's options and its docstring's first line is the scheme's summary.
Coefficients may be infinite where no response uses them.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from theory._arrays import Array, counting

Coefficients = Callable[..., tuple[Array, Array]]
Surrogate = Callable[..., Array | None]
Pair = tuple[Array, Array]
Factor = str | float | Array


@dataclasses.dataclass(frozen=True)
class Definition:
    """What makes a scheme; fields as in ``theory.schemes.Scheme``, options at their defaults."""

    title: str
    formula: str
    source: str
    summary: str
    options: Mapping[str, Any]
    coefficients: Coefficients | None = None
    surrogate: Surrogate | None = None
    centred: bool = True
    graded: bool = True
    needs_confidence: bool = False
    needs_baseline: bool = False
    minimum_group: int = 1


DEFINITIONS: dict[str, Definition] = {}
"""Definitions by name, in the order in which tables and legends list the schemes."""


def _define(
    name: str, title: str, formula: str, source: str, **fields: Any
) -> Callable[[Coefficients], Coefficients]:
    def add(function: Coefficients) -> Coefficients:
        parameters = inspect.signature(function).parameters.values()
        DEFINITIONS[name] = Definition(
            title=title,
            formula=formula,
            source=source,
            summary=(inspect.getdoc(function) or "").split("\n\n")[0],
            options={p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY},
            coefficients=function,
            **fields,
        )
        return function

    return add


def in_population(group_size: Array | float) -> bool:
    """Tell whether ``group_size`` is ∞, the population limit."""
    return isinstance(group_size, float) and math.isinf(group_size)


def divide(xp: Any, numerator: Array, denominator: Array) -> Array:
    """Quotient with x/0 = ∞ and 0/0 = 0, without warnings."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = numerator / denominator
    return xp.where(numerator == 0, xp.zeros_like(quotient), quotient)


def sample_deviation(
    xp: Any, variance: Array, group_size: Array | float, ddof: float, eps: float
) -> Array:
    """Standard deviation of a group with ``ddof`` degrees of freedom taken off, plus ``eps``."""
    if ddof and not in_population(group_size):
        size = xp.zeros_like(variance) + group_size
        left = size - ddof
        variance = variance * size / xp.where(left > 0, left, xp.ones_like(left))
    return xp.sqrt(variance) + eps


def _with_singletons(
    xp: Any, mean: Array, group_size: Array | float, coefficients: Pair, singleton: str
) -> Pair:
    """Coefficients of a lone response: nothing to compare with, or the raw reward."""
    if in_population(group_size):
        return coefficients
    alone = xp.zeros_like(mean) + group_size <= 1
    zero = xp.zeros_like(mean)
    lone = xp.ones_like(mean) if singleton == "raw" else zero
    return xp.where(alone, lone, coefficients[0]), xp.where(alone, zero, coefficients[1])


def _with_zero_success(
    xp: Any, mean: Array, group_size: Array | float, negative: Array, zero_success: Factor
) -> Array:
    """Penalty with the share that groups without a success keep of theirs, which is 1.

    In the population limit there are no such groups, and nothing to drop.
    """
    if in_population(group_size):
        return negative
    words = {"keep": 1.0, "drop": 0.0}
    share = words[zero_success] if isinstance(zero_success, str) else zero_success
    return xp.where(mean > 0, negative, share * xp.ones_like(mean))


def _unless_all_right(xp: Any, mean: Array, group_size: Array | float, positive: Array) -> Array:
    if in_population(group_size):
        return positive
    return xp.where(mean < 1, positive, xp.zeros_like(positive))


def _all_wrong(xp: Any, correct: Array, pool: Array, draws: int) -> Array:
    """Probability C(pool − correct, draws)/C(pool, draws) that no correct response is drawn.

    0 if the pool is too small to draw from.
    """
    index = xp.reshape(counting(correct, draws), (1,) * len(correct.shape) + (draws,))
    pool = xp.expand_dims(pool, axis=-1)
    wrong_left = pool - xp.expand_dims(correct, axis=-1) - index
    left = pool - index
    positive = (wrong_left > 0) & (left > 0)
    one = xp.ones_like(wrong_left)
    ratio = xp.where(positive, wrong_left, one) / xp.where(positive, left, one)
    return xp.prod(xp.where(positive, ratio, xp.zeros_like(ratio)), axis=-1)


@_define("rloo", "RLOO", "1", "rloo", minimum_group=2, surrogate=lambda xp, p, **_: p)
def _rloo(
    xp: Any, mean: Array, variance: Array, group_size: Array | float, *, singleton: str = "refuse"
) -> Pair:
    """REINFORCE with the mean of the other responses as baseline."""
    if in_population(group_size):
        return 1 - mean, mean
    size = xp.zeros_like(mean) + group_size
    others = size / xp.where(size > 1, size - 1, xp.ones_like(size))
    pair = (1 - mean) * others, mean * others
    return _with_singletons(xp, mean, group_size, pair, singleton)


@_define("reinforce", "REINFORCE", "a⁺ = 1, a⁻ = 1", "reinforce", centred=False,
         surrogate=lambda xp, p: 2 * p)  # fmt: skip
def _reinforce(xp: Any, mean: Array, variance: Array, group_size: Array | float) -> Pair:
    """Rewards +1 and −1 without a baseline, hence the constant weight 2."""
    return xp.ones_like(mean), xp.ones_like(mean)


def _grpo_surrogate(xp: Any, success: Array, *, eps: float, **_: Any) -> Array | None:
    """Integral of 1/(√(ρ(1−ρ)) + ε) from 0; 2 arcsin √ρ for ε = 0.

    With ρ = sin²(θ/2) it is θ − ∫ a/(a + sin θ) dθ with a = 2ε, elementary for a < 1.
    """
    sine, cosine = xp.sqrt(success), xp.sqrt(1 - success)
    angle = 2 * xp.asin(sine)
    if eps == 0:
        return angle
    a = 2 * eps
    if a >= 1:
        return None
    q = math.sqrt(1 - a * a)
    ratio = (cosine + sine * ((1 + q) / a)) * (1 + q) / ((1 + q) * cosine + a * sine)
    return angle - (a / q) * xp.log(ratio)


@_define("grpo", "GRPO", "1/√(ρ(1−ρ))", "grpo", minimum_group=2, surrogate=_grpo_surrogate)
def _grpo(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    ddof: float = 0,
    eps: float = 0.0,
    singleton: str = "refuse",
) -> Pair:
    """Rewards standardised by the group's mean and standard deviation."""
    deviation = sample_deviation(xp, variance, group_size, ddof, eps)
    pair = divide(xp, 1 - mean, deviation), divide(xp, mean, deviation)
    return _with_singletons(xp, mean, group_size, pair, singleton)


@_define("dr_grpo", "Dr. GRPO", "1", "dr_grpo", minimum_group=2, surrogate=lambda xp, p, **_: p)
def _dr_grpo(
    xp: Any, mean: Array, variance: Array, group_size: Array | float, *, singleton: str = "refuse"
) -> Pair:
    """Rewards minus the group's mean, without the standard deviation."""
    return _with_singletons(xp, mean, group_size, (1 - mean, mean), singleton)


@_define("dapo", "DAPO", "1/√(ρ(1−ρ)), mixed groups only", "dapo", minimum_group=2,
         surrogate=_grpo_surrogate)  # fmt: skip
def _dapo(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    ddof: float = 0,
    eps: float = 0.0,
    singleton: str = "refuse",
) -> Pair:
    """GRPO's advantages; groups without variation are sampled again (the mixed-group clock)."""
    return _grpo(xp, mean, variance, group_size, ddof=ddof, eps=eps, singleton=singleton)


@_define("ppo", "PPO", "1", "ppo", needs_baseline=True, surrogate=lambda xp, p: p)
def _ppo(xp: Any, mean: Array, variance: Array, group_size: Array | float) -> Pair:
    """Reward minus a critic's value V(x); the population reference, where V = ρ."""
    if not in_population(group_size):
        raise ValueError(
            "ppo has no table: its baseline is a critic's value; "
            "use group_advantages(rewards, 'ppo', baseline=...)"
        )
    return 1 - mean, mean


@_define("linear_r", "Linear-R", "1/ρ", "apw", surrogate=lambda xp, p, **_: xp.log(p))
def _linear_r(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    zero_success: Factor = "keep",
) -> Pair:
    """Effective weight 1 − ρ, falling linearly from the hardest prompts to the easiest."""
    negative = _with_zero_success(xp, mean, group_size, xp.ones_like(mean), zero_success)
    return divide(xp, 1 - mean, mean), negative


@_define("sqrt_r", "Sqrt-R", "1/(ρ√(1−ρ))", "apw",
         surrogate=lambda xp, p, **_: -2 * xp.atanh(xp.sqrt(1 - p)))  # fmt: skip
def _sqrt_r(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    zero_success: Factor = "keep",
) -> Pair:
    """Effective weight √(1−ρ): time-optimal when responses are what costs."""
    root = xp.sqrt(1 - mean)
    negative = divide(xp, xp.ones_like(mean), root)
    negative = _with_zero_success(xp, mean, group_size, negative, zero_success)
    return divide(xp, root, mean), negative


def _plateau_surrogate(xp: Any, success: Array, *, threshold: float, **_: Any) -> Array:
    """Log-odds up to τ, then ln(ρ/τ)/(1−τ) more."""
    if threshold == 1:
        return xp.log(success) - xp.log1p(-success)
    if threshold == 0:
        return xp.log(success)
    flat = success < threshold
    low = xp.where(flat, success, xp.full_like(success, threshold))
    high = xp.where(flat, xp.full_like(success, threshold), success)
    return xp.log(low) - xp.log1p(-low) + xp.log(high / threshold) / (1 - threshold)


@_define("plateau_r", "Plateau-R", "min(1, (1−ρ)/(1−τ)) / (ρ(1−ρ))", "apw",
         surrogate=_plateau_surrogate)  # fmt: skip
def _plateau_r(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    threshold: float = 0.5,
    zero_success: Factor = "keep",
) -> Pair:
    """Effective weight 1 up to a threshold τ, then falling to 0 at ρ = 1.

    The paper names the shape; the threshold τ is a parameter of this package. τ = 0 is Linear-R
    and τ = 1 is Uniform-R.
    """
    if threshold == 1:
        return _uniform_r(xp, mean, variance, group_size, zero_success=zero_success)
    sloping = (1 - mean) / (1 - threshold)
    effective = xp.where(sloping < 1, sloping, xp.ones_like(mean))
    ceiling = xp.full_like(mean, 1 / (1 - threshold))
    negative = xp.where(sloping < 1, ceiling, divide(xp, xp.ones_like(mean), 1 - mean))
    negative = _with_zero_success(xp, mean, group_size, negative, zero_success)
    return divide(xp, effective, mean), negative


@_define("uniform_r", "Uniform-R", "1/(ρ(1−ρ))", "apw",
         surrogate=lambda xp, p, **_: xp.log(p) - xp.log1p(-p))  # fmt: skip
def _uniform_r(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    zero_success: Factor = "keep",
) -> Pair:
    """Effective weight 1 on every prompt."""
    one = xp.ones_like(mean)
    negative = divide(xp, one, 1 - mean)
    negative = _with_zero_success(xp, mean, group_size, negative, zero_success)
    return _unless_all_right(xp, mean, group_size, divide(xp, one, mean)), negative


@_define("psr", "PSR", "a⁺ = 1, a⁻ = 0", "nsr", centred=False, graded=False,
         surrogate=lambda xp, p: p)  # fmt: skip
def _psr(xp: Any, mean: Array, variance: Array, group_size: Array | float) -> Pair:
    """Positive reinforcement alone: correct responses are rewarded, wrong ones ignored."""
    return xp.ones_like(mean), xp.zeros_like(mean)


@_define("nsr", "NSR", "a⁺ = 0, a⁻ = 1", "nsr", centred=False, graded=False,
         surrogate=lambda xp, p: p)  # fmt: skip
def _nsr(xp: Any, mean: Array, variance: Array, group_size: Array | float) -> Pair:
    """Negative reinforcement alone: wrong responses are penalised, correct ones ignored."""
    return xp.zeros_like(mean), xp.ones_like(mean)


@_define("w_reinforce", "W-REINFORCE", "a⁺ = λ, a⁻ = 1", "nsr", centred=False, graded=False,
         surrogate=lambda xp, p, *, lam: (1 + lam) * p)  # fmt: skip
def _w_reinforce(
    xp: Any, mean: Array, variance: Array, group_size: Array | float, *, lam: float | Array = 0.1
) -> Pair:
    """NSR plus λ times PSR; the option ``lam`` is λ, and λ = 1 is REINFORCE."""
    return lam * xp.ones_like(mean), xp.ones_like(mean)


def _geometric(xp: Any, success: Array, terms: int) -> Array:
    """(1 − (1−ρ)^T)/ρ as the sum Σ_{k<T} (1−ρ)^k, exact for small ρ and at ρ = 0."""
    total = xp.zeros_like(success)
    for _ in range(terms):
        total = 1 + (1 - success) * total
    return total


def _maxrl_surrogate(xp: Any, success: Array, *, order: int | None, eps: float) -> Array | None:
    """ln ρ, truncated to −Σ_{k≤T} (1−ρ)^k/k at order T."""
    if order is None:
        return xp.log(success + eps)
    if eps:
        return None
    total = xp.zeros_like(success)
    for k in range(order, 0, -1):
        total = (total + 1 / k) * (1 - success)
    return -total


@_define("maxrl", "MaxRL", "1/ρ; (1−(1−ρ)^T)/ρ at order T", "maxrl", graded=False,
         surrogate=_maxrl_surrogate)  # fmt: skip
def _maxrl(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    order: int | None = None,
    eps: float = 0.0,
) -> Pair:
    """Truncated maximum likelihood: rewards centred and divided by the pass rate, 0 if K = 0.

    Order T weighs a group by ω = P/ρ̂, where P = 1 − C(M−1−K, T)/C(M−1, T) is the chance that T
    of M − 1 responses, K of them correct, contain a correct one. Its expected weight is exactly
    that of the order-T truncated log-likelihood. T = M − 1 is the paper's estimator (the default,
    ``order=None``, at every M); T = M also penalises all-wrong groups and is Linear-R.
    """
    if order is None:
        found = mean > 0 if not in_population(group_size) else mean >= 0
        negative = xp.astype(found, mean.dtype)
        positive = divide(xp, (1 - mean) * negative, mean + eps)
    elif in_population(group_size):
        weight = _geometric(xp, mean, order)
        negative = mean * weight
        positive = (1 - mean) * (weight if eps == 0 else negative / (mean + eps))
    else:
        size = xp.zeros_like(mean) + group_size
        negative = 1 - _all_wrong(xp, xp.round(mean * size), size - 1, order)
        positive = divide(xp, (1 - mean) * negative, mean + eps)
    if eps:
        negative = negative * mean / (mean + eps)
    return positive, negative


@_define("pass_at_k", "Pass@k", "k(1−ρ)^(k−1)", "pkpo", centred=False, graded=False,
         minimum_group=2, surrogate=lambda xp, p, *, k: p * _geometric(xp, p, k))  # fmt: skip
def _pass_at_k(
    xp: Any, mean: Array, variance: Array, group_size: Array | float, *, k: int = 4
) -> Pair:
    """Ascends pass@k: a response counts by the chance that k − 1 of the others are all wrong.

    A_i = c(K_i)·(r_i − K_i/(M−1)) with K_i the correct responses among the others of response i
    and c(J) = k C(M−1−J, k−1)/C(M−1, k−1), whose expectation is the weight k(1−ρ)^{k−1}.
    k = 1 is RLOO; a group with fewer than k responses that count has no such weight and gets 0.
    """
    if in_population(group_size):
        weight = k * (1 - mean) ** (k - 1)
        return (1 - mean) * weight, mean * weight
    size = xp.zeros_like(mean) + group_size
    correct = xp.round(mean * size)
    others = xp.where(size > 1, size - 1, xp.ones_like(size))
    enough = (size > 1) & (size >= k)
    scale = xp.where(enough, k / others, xp.zeros_like(others))
    positive = scale * (size - correct) * _all_wrong(xp, correct - 1, others, k - 1)
    return positive, scale * correct * _all_wrong(xp, correct, others, k - 1)


DEFINITIONS["lens"] = Definition(
    title="LENS",
    formula="a⁻ grows with the confidence of the wrong response",
    source="lens",
    summary="Wrong responses are penalised by their confidence; all-wrong groups teach too.",
    options={
        "parts": "full",
        "alpha": 0.25,
        "scale": "practical",
        "importance": "normalised",
        "ddof": 0,
        "eps": 0.0,
    },
    needs_confidence=True,
    minimum_group=2,
)
