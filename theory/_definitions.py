"""The formulas of the schemes: each written once, as coefficients (a⁺, a⁻) of a group.

Every function takes the array namespace, the mean ρ̂ and the population variance of a group's
rewards and its size M (``math.inf`` for the population limit), and returns a⁺ and a⁻. Its keyword
arguments are the scheme's options, what they may be beside their defaults, and its docstring's
first line is the scheme's summary.
Coefficients may be infinite where no response uses them.
"""

from __future__ import annotations

from typing import Annotated, Any

from theory._arrays import Array
from theory._coefficients import (
    Factor,
    Pair,
    against_others,
    all_wrong,
    divide,
    geometric,
    in_population,
    sample_deviation,
    standardised_surrogate,
    unless_all_right,
    with_penalty,
    with_singletons,
    with_zero_success,
)
from theory._options import Allowed
from theory._registry import (
    BLACK,
    BLUE,
    DEFINITIONS,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    RED,
    SKY,
    Ddof,
    Deviation,
    Eps,
    Singleton,
    Zero,
    ZeroSuccess,
    define,
)

__all__ = ["DEFINITIONS"]


@define(
    "rloo",
    "RLOO",
    "1",
    "rloo",
    (GREY, "dash", "o"),
    shift_invariant=True,
    minimum_group=2,
    surrogate_formula=lambda xp, p, **_: p,
    traits=lambda *, zero, **_: {"shift_invariant": not zero},
)
def _rloo(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    singleton: Singleton = "refuse",
    zero: Zero = 0.0,
) -> Pair:
    """REINFORCE with the mean of the other responses as baseline."""
    if in_population(group_size):
        return 1 - mean, mean
    size = xp.zeros_like(mean) + group_size
    others = size / xp.where(size > 1, size - 1, xp.ones_like(size))
    pair = (1 - mean) * others, with_penalty(xp, mean, mean * others, zero)
    return with_singletons(xp, mean, group_size, pair, singleton)


@define(
    "reinforce",
    "REINFORCE",
    "a⁺ = 1, a⁻ = 1",
    "reinforce",
    (GREY, "solid", "P"),
    centred=False,
    surrogate_formula=lambda xp, p: 2 * p,
)
def _reinforce(xp: Any, mean: Array, variance: Array, group_size: Array | float) -> Pair:
    """Rewards +1 and −1 without a baseline, hence the constant weight 2."""
    return xp.ones_like(mean), xp.ones_like(mean)


def _grpo_traits(*, deviation: str | None, zero: float = 0.0, **_: Any) -> dict[str, bool]:
    """Against the others of each response advantages are no longer linear in the reward.

    A penalty tells an all-wrong group by rewards of 0, so that a shift is not free.
    """
    linear = deviation != "others"
    return {"centred": linear, "graded": linear, "shift_invariant": linear and not zero}


@define(
    "grpo",
    "GRPO",
    "1/√(ρ(1−ρ))",
    "grpo",
    (RED, "short", "s"),
    shift_invariant=True,
    minimum_group=2,
    surrogate_formula=standardised_surrogate,
    traits=_grpo_traits,
)
def _grpo(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    ddof: Ddof = 0,
    eps: Eps = 0.0,
    deviation: Deviation = "group",
    singleton: Singleton = "refuse",
    zero: Zero = 0.0,
) -> Pair:
    """Rewards standardised by the group's mean and standard deviation.

    ``deviation=none`` leaves them centred, and ``others`` takes mean and unbiased deviation of the
    group's other responses, for binary rewards. ``zero`` is the penalty of all-wrong groups.
    """
    if deviation == "others" and not in_population(group_size):
        positive, negative = against_others(xp, mean, group_size, eps)
        return positive, with_penalty(xp, mean, negative, zero)
    pair = 1 - mean, mean
    if deviation is not None:
        spread = sample_deviation(xp, variance, group_size, ddof, eps)
        pair = divide(xp, 1 - mean, spread), divide(xp, mean, spread)
    if not in_population(group_size):
        pair = pair[0], with_penalty(xp, mean, pair[1], zero)
    return with_singletons(xp, mean, group_size, pair, singleton)


@define(
    "dr_grpo",
    "Dr. GRPO",
    "1",
    "dr_grpo",
    (GREY, "dot", "X"),
    shift_invariant=True,
    minimum_group=2,
    surrogate_formula=lambda xp, p, **_: p,
)
def _dr_grpo(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    singleton: Singleton = "refuse",
) -> Pair:
    """Rewards minus the group's mean, without the standard deviation."""
    return with_singletons(xp, mean, group_size, (1 - mean, mean), singleton)


@define(
    "dapo",
    "DAPO",
    "1/√(ρ(1−ρ)), mixed groups only",
    "dapo",
    (RED, "dot", "p"),
    shift_invariant=True,
    minimum_group=2,
    surrogate_formula=standardised_surrogate,
    traits=_grpo_traits,
)
def _dapo(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    ddof: Ddof = 0,
    eps: Eps = 0.0,
    deviation: Deviation = "group",
    singleton: Singleton = "refuse",
) -> Pair:
    """GRPO's advantages; groups without variation are sampled again (the mixed-group clock)."""
    options: dict[str, Any] = {"ddof": ddof, "eps": eps, "singleton": singleton}
    return _grpo(xp, mean, variance, group_size, deviation=deviation, **options)


@define(
    "ppo",
    "PPO",
    "1",
    "ppo",
    (BLACK, "dash_dot", "."),
    needs_baseline=True,
    surrogate_formula=lambda xp, p: p,
)
def _ppo(xp: Any, mean: Array, variance: Array, group_size: Array | float) -> Pair:
    """Reward minus a critic's value V(x); the population reference, where V = ρ."""
    if not in_population(group_size):
        raise ValueError(
            "ppo has no table: its baseline is a critic's value; "
            "use group_advantages(rewards, 'ppo', baseline=...)"
        )
    return 1 - mean, mean


@define(
    "linear_r",
    "Linear-R",
    "1/ρ",
    "apw",
    (SKY, "dash_dot", "^"),
    surrogate_formula=lambda xp, p, **_: xp.log(p),
)
def _linear_r(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    zero_success: ZeroSuccess = "keep",
) -> Pair:
    """Effective weight 1 − ρ, falling linearly from the hardest prompts to the easiest."""
    negative = with_zero_success(xp, mean, group_size, xp.ones_like(mean), zero_success)
    return divide(xp, 1 - mean, mean), negative


@define(
    "sqrt_r",
    "Sqrt-R",
    "1/(ρ√(1−ρ))",
    "apw",
    (BLUE, "solid", "D"),
    surrogate_formula=lambda xp, p, **_: -2 * xp.atanh(xp.sqrt(1 - p)),
)
def _sqrt_r(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    zero_success: ZeroSuccess = "keep",
) -> Pair:
    """Effective weight √(1−ρ): time-optimal when responses are what costs."""
    root = xp.sqrt(1 - mean)
    negative = divide(xp, xp.ones_like(mean), root)
    negative = with_zero_success(xp, mean, group_size, negative, zero_success)
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


@define(
    "plateau_r",
    "Plateau-R",
    "min(1, (1−ρ)/(1−τ)) / (ρ(1−ρ))",
    "apw",
    (PURPLE, "dash_dot_dot", "h"),
    surrogate_formula=_plateau_surrogate,
)
def _plateau_r(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    threshold: Annotated[float, Allowed(0.0, 1.0)] = 0.5,
    zero_success: ZeroSuccess = "keep",
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
    negative = with_zero_success(xp, mean, group_size, negative, zero_success)
    return divide(xp, effective, mean), negative


@define(
    "uniform_r",
    "Uniform-R",
    "1/(ρ(1−ρ))",
    "apw",
    (GREEN, "dot", "v"),
    surrogate_formula=lambda xp, p, **_: xp.log(p) - xp.log1p(-p),
)
def _uniform_r(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    zero_success: ZeroSuccess = "keep",
) -> Pair:
    """Effective weight 1 on every prompt."""
    one = xp.ones_like(mean)
    negative = divide(xp, one, 1 - mean)
    negative = with_zero_success(xp, mean, group_size, negative, zero_success)
    return unless_all_right(xp, mean, group_size, divide(xp, one, mean)), negative


@define(
    "psr",
    "PSR",
    "a⁺ = 1, a⁻ = 0",
    "nsr",
    (SKY, "dash", "<"),
    centred=False,
    graded=False,
    surrogate_formula=lambda xp, p: p,
)
def _psr(xp: Any, mean: Array, variance: Array, group_size: Array | float) -> Pair:
    """Positive reinforcement alone: correct responses are rewarded, wrong ones ignored."""
    return xp.ones_like(mean), xp.zeros_like(mean)


@define(
    "nsr",
    "NSR",
    "a⁺ = 0, a⁻ = 1",
    "nsr",
    (PURPLE, "solid", ">"),
    centred=False,
    graded=False,
    surrogate_formula=lambda xp, p: p,
)
def _nsr(xp: Any, mean: Array, variance: Array, group_size: Array | float) -> Pair:
    """Negative reinforcement alone: wrong responses are penalised, correct ones ignored."""
    return xp.zeros_like(mean), xp.ones_like(mean)


@define(
    "w_reinforce",
    "W-REINFORCE",
    "a⁺ = λ, a⁻ = 1",
    "nsr",
    (GREEN, "dash", "*"),
    centred=False,
    graded=False,
    surrogate_formula=lambda xp, p, *, lam: (1 + lam) * p,
)
def _w_reinforce(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    lam: Annotated[
        Factor, Allowed(0.0, traced=True, aliases=("reward", "positive_advantage_weight"))
    ] = 0.1,
) -> Pair:
    """NSR plus λ times PSR; the option ``lam`` is λ, and λ = 1 is REINFORCE."""
    return lam * xp.ones_like(mean), xp.ones_like(mean)


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


@define(
    "maxrl",
    "MaxRL",
    "1/ρ; (1−(1−ρ)^T)/ρ at order T",
    "maxrl",
    (BLACK, "dash", "d"),
    graded=False,
    surrogate_formula=_maxrl_surrogate,
)
def _maxrl(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    order: Annotated[int | None, Allowed(1, whole=True, none=True)] = None,
    eps: Eps = 0.0,
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
        weight = geometric(xp, mean, order)
        negative = mean * weight
        positive = (1 - mean) * (weight if eps == 0 else negative / (mean + eps))
    else:
        size = xp.zeros_like(mean) + group_size
        negative = 1 - all_wrong(xp, xp.round(mean * size), size - 1, order)
        positive = divide(xp, (1 - mean) * negative, mean + eps)
    if eps:
        negative = negative * mean / (mean + eps)
    return positive, negative


@define(
    "pass_at_k",
    "Pass@k",
    "k(1−ρ)^(k−1)",
    "pkpo",
    (BLACK, "dot", "1"),
    centred=False,
    graded=False,
    minimum_group=2,
    surrogate_formula=lambda xp, p, *, k: p * geometric(xp, p, k),
)
def _pass_at_k(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    k: Annotated[int, Allowed(1, whole=True)] = 4,
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
    positive = scale * (size - correct) * all_wrong(xp, correct - 1, others, k - 1)
    return positive, scale * correct * all_wrong(xp, correct, others, k - 1)


@define(
    "lens",
    "LENS",
    "a⁻ grows with the confidence of the wrong response",
    "lens",
    (ORANGE, "solid", "8"),
    needs_confidence=True,
    minimum_group=2,
)
def _lens(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    parts: Annotated[str, Allowed(words=("full", "mixed", "negative"), numbers=False)] = "full",
    alpha: Annotated[Factor, Allowed(0.0, traced=True)] = 0.25,
    scale: Annotated[
        str, Allowed(words=("practical", "importance", "largest"), numbers=False)
    ] = "practical",
    importance: Annotated[str, Allowed(words=("normalised", "full"), numbers=False)] = "normalised",
    ddof: Ddof = 0,
    eps: Eps = 0.0,
) -> Pair:
    """Wrong responses are penalised by their confidence; all-wrong groups teach too."""
    raise ValueError(
        "lens has no table: its advantages depend on the responses' confidences; "
        "use group_advantages(rewards, 'lens', log_confidence=...)"
    )
