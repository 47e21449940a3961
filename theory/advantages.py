"""Group advantages: the one function that simulator, trainers and figures share."""

from __future__ import annotations

import math

from theory import lens
from theory._arrays import (
    Array,
    as_array,
    as_floating,
    check_interval,
    counting,
    is_traced,
    namespace,
    widened,
)
from theory._coefficients import sample_deviation
from theory.empirical_bayes import History, prior_coefficients, scheme_prior
from theory.rewards import OutcomeRule, ShapingMode, shaping_advantages
from theory.schemes import Option, Scheme, SchemeLike, finite_coefficients, resolve


def group_advantages(
    rewards: Array,
    scheme: SchemeLike,
    *,
    log_confidence: Array | None = None,
    log_probability: Array | None = None,
    baseline: Array | None = None,
    length: Array | None = None,
    history: tuple[Array, Array] | None = None,
    valid: Array | None = None,
    outcome: OutcomeRule | None = None,
    shaping: Array | None = None,
    shaping_mode: ShapingMode = "gate",
    **options: Option,
) -> Array:
    """Advantages of the responses of each group under a scheme.

    A_i = r_i a⁺(ρ̂) − (1 − r_i) a⁻(ρ̂), which for centred schemes is ω(ρ̂)(r_i − ρ̂). Works on
    NumPy, JAX (also under ``jit``) and torch, keeps device and floating dtype; 16-bit floats are
    computed in float32.

    Args:
        rewards: Rewards, shape (..., group), in [0, 1]; schemes that are not ``graded`` take only
            0 and 1, and those that are ``shift_invariant`` any scale. Rewards of a group that
            differ by rounding alone count as equal.
        scheme: Name in ``SCHEMES`` (options may follow a colon) or a :class:`Scheme`.
        log_confidence: Length-normalised log-probability of each response under the policy that
            sampled it, same shape as ``rewards``; needed by LENS alone.
        log_probability: Log-probability of each whole response, same shape; needed by LENS with
            ``importance="full"`` alone.
        baseline: A critic's value V(x) of each prompt, shape (..., 1), or one per response;
            needed by PPO alone.
        length: Tokens of each response, same shape, above 0; needed by OPO alone.
        history: Correct responses and tries seen of each prompt before, a pair of arrays of shape
            (...), see :class:`theory.empirical_bayes.History`; for schemes that keep one, which
            take prompts as new without it.
        valid: Boolean, same shape; False marks a response that could not be scored. It gets
            advantage 0 and does not enter its group's baseline. A single valid response gets 0
            from schemes that compare (those with a ``minimum_group`` above 1), unless
            ``singleton="raw"``, and from the others what they give a group of one.
        outcome: How a reward tells the outcome that the scheme weighs, where that is not the reward
            itself, such as ``OutcomeRule(-1, 1)``; what a threshold leaves over is shaping.
        shaping: Rewards beside the outcome, in its units, shape (..., group) or (..., group,
            components); added to the advantages as ``shaping_mode`` says.
        shaping_mode: ``gate``, ``add`` or ``apart``, see :func:`theory.rewards.shaping_advantages`.
            For advantages of the total, pass the sum as ``rewards``.
        **options: Options of the scheme, such as ``zero_success="drop"`` or ``engine="trl"``.

    Returns:
        Advantages of the same shape.

    Raises:
        ValueError: Unknown scheme or option, rewards outside [0, 1] or graded where the scheme is
            binary, a group too small for the scheme, missing or positive ``log_confidence``,
            missing ``length``, or shaping that does not fit.

    Source: arXiv 2602.11128 (centred schemes), 2506.01347 (PSR, NSR), 2510.08696 (LENS).

    >>> import numpy as np
    >>> group_advantages(np.array([[1, 0, 0, 0], [0, 0, 0, 0]]), "linear_r").tolist()
    [[3.0, -1.0, -1.0, -1.0], [-1.0, -1.0, -1.0, -1.0]]
    >>> group_advantages(np.array([10, 0, 0, 0]), "linear_r", outcome=OutcomeRule(0, 10)).tolist()
    [3.0, -1.0, -1.0, -1.0]
    """
    bound = resolve(scheme, **options)
    given = as_floating(rewards)
    if len(given.shape) < 1 or given.shape[-1] < 1:
        raise ValueError(f"rewards must have shape (..., group); got {tuple(given.shape)}")
    bound.check_group_size(given.shape[-1])
    rewards = widened(given)
    xp = namespace(rewards)
    counted = None
    if valid is not None:
        counted = _like_rewards("valid", as_array(valid), rewards) != 0
        rewards = xp.where(counted, rewards, xp.zeros_like(rewards))
    if outcome is not None:
        shaping = _with_remainder(shaping, outcome, rewards)
        rewards = outcome.outcomes(rewards)
        if counted is not None:
            rewards = xp.where(counted, rewards, xp.zeros_like(rewards))
    _check_rewards(rewards, bound)
    if baseline is not None and not bound.needs_baseline:
        raise ValueError(f"baseline is for ppo alone; {bound.name} makes its own from the group")
    if history is not None and not bound.keeps_history:
        raise ValueError(
            f"{bound.label} keeps no history of prompts; empirical_bayes:keep=0.9 does"
        )
    if bound.needs_confidence:
        advantages = _lens(rewards, log_confidence, log_probability, counted, bound)
    elif bound.needs_baseline:
        advantages = rewards - _baseline(baseline, rewards)
    elif bound.needs_length:
        advantages = rewards - _length_weighted_mean(length, rewards, counted)
    elif bound.needs_batch:
        mean, _, size = _moments(rewards, counted)
        weight = _reverse_hazard_rate(mean, size, rewards.shape[-1])
        advantages = weight * (rewards - mean)
    else:
        rewards, between = _settled(rewards, counted, float(xp.finfo(given.dtype).eps))
        mean, variance, size = _moments(rewards, counted)
        if history is None:
            found = bound.coefficients(mean, variance, size)
        else:
            seen = [_like_rewards("history", part, mean[..., 0])[..., None] for part in history]
            prior = scheme_prior(bound, History(*seen))
            found = prior_coefficients(mean, size, prior)
        positive, negative = finite_coefficients(*found)
        advantages = rewards * positive - (1 - rewards) * negative
        if bound.centred and bound.graded:
            # a⁺ and a⁻ of equal rewards cancel but for rounding; a lone one may be left raw.
            advantages = xp.where(between & (size > 1), xp.zeros_like(advantages), advantages)
    if counted is not None:
        advantages = xp.where(counted, advantages, xp.zeros_like(advantages))
    if bound.scaled_like is not None:
        like = group_advantages(rewards, bound.scaled_like, valid=valid)
        advantages = advantages * scale_factor((like**2).sum(), (advantages**2).sum())
    if shaping is not None:
        beside = shaping_advantages(rewards, shaping, shaping_mode, valid=counted)
        advantages = advantages + beside
    return xp.astype(advantages, given.dtype, copy=False)


def scale_factor(wanted: Array, given: Array) -> Array:
    """√(wanted/given), by which advantages are multiplied to have another sum of squares.

    Args:
        wanted: Σ A² that is wanted, a scalar array.
        given: Σ A² that they have; where it is 0 they stay what they are.

    Source: the ablation of weights and scale in theory.md, section 4c.

    >>> import numpy as np
    >>> float(scale_factor(np.array(8.0), np.array(2.0)))
    2.0
    """
    xp = namespace(wanted, given)
    some = xp.where(given > 0, given, xp.ones_like(given))
    return xp.where(given > 0, xp.sqrt(wanted / some), xp.ones_like(given))


def _with_remainder(shaping: Array | None, outcome: OutcomeRule, rewards: Array) -> Array | None:
    """Shaping, with what a threshold leaves of the rewards as a component of its own."""
    if outcome.threshold is None:
        return shaping
    left = outcome.shaping(rewards)
    if shaping is None:
        return left
    xp = namespace(rewards)
    shaping = xp.astype(as_floating(shaping), rewards.dtype, copy=False)
    if len(shaping.shape) == len(rewards.shape):
        shaping = xp.expand_dims(shaping, axis=-1)
    return xp.concat([shaping, xp.expand_dims(left, axis=-1)], axis=-1)


def _like_rewards(name: str, values: Array, rewards: Array) -> Array:
    namespace(rewards, values)
    if tuple(values.shape) != tuple(rewards.shape):
        raise ValueError(
            f"{name} must have the shape of rewards, {tuple(rewards.shape)}; "
            f"got {tuple(values.shape)}"
        )
    return values


def _check_rewards(rewards: Array, scheme: Scheme) -> None:
    low, high = (-math.inf, math.inf) if scheme.shift_invariant else (0.0, 1.0)
    check_interval("rewards", rewards, low=low, high=high)
    if scheme.graded or is_traced(rewards):
        return
    xp = namespace(rewards)
    if not bool(xp.all((rewards == 0) | (rewards == 1))):
        raise ValueError(
            f"{scheme.label} is defined for binary rewards, 0 or 1, only: it splits responses "
            "into correct and wrong; use a centred scheme for graded rewards"
        )


def _baseline(baseline: Array | None, rewards: Array) -> Array:
    if baseline is None:
        raise ValueError(
            "ppo needs baseline: a critic's value of each prompt, of shape (..., 1), "
            "or of each response, of the shape of rewards"
        )
    xp = namespace(rewards)
    values = as_floating(baseline)
    namespace(rewards, values)
    per_prompt = (*tuple(rewards.shape)[:-1], 1)
    if tuple(values.shape) not in (per_prompt, tuple(rewards.shape)):
        raise ValueError(
            f"baseline must have shape {per_prompt} or {tuple(rewards.shape)}; "
            f"got {tuple(values.shape)}"
        )
    check_interval("baseline", values, low=-math.inf, high=math.inf)
    return xp.astype(values, rewards.dtype, copy=False)


def _length_weighted_mean(length: Array | None, rewards: Array, counted: Array | None) -> Array:
    """Mean of each group's rewards, responses counted by their tokens."""
    if length is None:
        raise ValueError("opo needs length: the tokens of each response, of the shape of rewards")
    xp = namespace(rewards)
    weight = xp.astype(_like_rewards("length", as_floating(length), rewards), rewards.dtype)
    if counted is not None:
        weight = xp.where(counted, weight, xp.zeros_like(weight))
    check_interval("length", weight, low=0.0, high=math.inf)
    total = xp.sum(weight, axis=-1, keepdims=True)
    mean = xp.sum(weight * rewards, axis=-1, keepdims=True) / xp.where(
        total > 0, total, xp.ones_like(total)
    )
    highest, lowest = _range(rewards, counted)
    # Equal rewards have the mean they share, whatever rounding does to it.
    return xp.where((highest == lowest) | (total <= 0), highest, mean)


def _reverse_hazard_rate(mean: Array, size: Array | float, largest: int) -> Array:
    """f(ρ̂)/F(ρ̂) of each group among the mixed groups of the array; 0 for groups that are not."""
    xp = namespace(mean)
    # Pass rates of groups of different sizes are sorted into M + 1 bins, as the authors' are.
    bins = xp.floor(mean * (largest + 1))
    mixed = xp.astype((mean > 0) & (mean < 1), mean.dtype)
    every = counting(mean, largest + 1)
    every = xp.reshape(every, (1,) * (len(mean.shape) - 1) + (largest + 1,))
    members = xp.reshape(mixed * xp.astype(bins == every, mean.dtype), (-1, largest + 1))
    density = xp.sum(members, axis=0)
    below = xp.cumulative_sum(density)
    rate = density / xp.where(below > 0, below, xp.ones_like(below))
    return xp.reshape(members @ rate, tuple(mean.shape))


def _settled(rewards: Array, counted: Array | None, eps: float) -> tuple[Array, Array]:
    """Rewards, with those of a group that are equal up to rounding made equal.

    Standardised, a difference of 1e-16 would become an advantage of full size. A mean of a hundred
    test cases errs by some units of rounding, and on the scale of 1 a reward below one is 0.

    Returns:
        The rewards, and whether those of a group share one value other than 0 and 1.
    """
    xp = namespace(rewards)
    highest, lowest = _range(rewards, counted)
    fine = float(xp.finfo(rewards.dtype).eps)
    largest = xp.maximum(xp.abs(highest), xp.abs(lowest))
    nothing = largest <= fine
    equal = nothing | (highest - lowest <= max(eps, 8 * fine) * largest)
    common = xp.where(nothing, xp.zeros_like(highest), highest)
    common = xp.where(xp.abs(common - 1) <= fine, xp.ones_like(common), common)
    return xp.where(equal, common, rewards), equal & (common != 0) & (common != 1)


def _range(rewards: Array, counted: Array | None) -> tuple[Array, Array]:
    """Highest and lowest reward of each group that counts; 0 if none does."""
    xp = namespace(rewards)
    if counted is None:
        return xp.max(rewards, axis=-1, keepdims=True), xp.min(rewards, axis=-1, keepdims=True)
    infinite = math.inf * xp.ones_like(rewards)
    highest = xp.max(xp.where(counted, rewards, -infinite), axis=-1, keepdims=True)
    lowest = xp.min(xp.where(counted, rewards, infinite), axis=-1, keepdims=True)
    none = highest < lowest
    zero = xp.zeros_like(highest)
    return xp.where(none, zero, highest), xp.where(none, zero, lowest)


def _moments(rewards: Array, counted: Array | None) -> tuple[Array, Array, Array | float]:
    """Mean, population variance and size of each group, with a kept last axis."""
    xp = namespace(rewards)
    size: Array | float
    highest, lowest = _range(rewards, counted)
    if counted is None:
        size = float(rewards.shape[-1])
        weight = xp.ones_like(rewards)
    else:
        weight = xp.astype(counted, rewards.dtype)
        size = xp.sum(weight, axis=-1, keepdims=True)
        size = xp.where(size > 0, size, xp.ones_like(size))
    mean = xp.sum(rewards, axis=-1, keepdims=True) / size
    variance = xp.sum(weight * (rewards - mean) ** 2, axis=-1, keepdims=True) / size
    # Equal rewards have variance 0 exactly, whatever rounding does to their mean.
    mean = xp.where(highest == lowest, highest, mean)
    return mean, xp.where(highest > lowest, variance, xp.zeros_like(variance)), size


def _lens(
    rewards: Array,
    log_confidence: Array | None,
    log_probability: Array | None,
    counted: Array | None,
    scheme: Scheme,
) -> Array:
    """LENS: GRPO on calibrated rewards in mixed groups, α times centred ones in all-wrong groups.

    All-right groups get nothing; ``parts`` switches either half off.
    """
    if log_confidence is None:
        raise ValueError(
            "lens needs log_confidence: the length-normalised log-probability of each response "
            "under the sampling policy, of the same shape as rewards"
        )
    options = scheme.options
    calibrated = lens.calibrated_rewards(
        rewards,
        log_confidence,
        counted,
        scale=str(options["scale"]),
        importance=str(options["importance"]),
        log_probability=log_probability,
    )
    xp = namespace(rewards, calibrated)
    plain_mixed = options["parts"] == "negative"
    mixed_rewards = rewards if plain_mixed else calibrated
    mean, variance, size = _moments(mixed_rewards, counted)
    ddof, eps = float(options["ddof"] or 0), float(options["eps"] or 0)
    deviation = sample_deviation(xp, variance, size, ddof, eps)
    safe = xp.where(deviation > 0, deviation, xp.ones_like(deviation))
    mixed = (mixed_rewards - mean) / safe
    negative = options["alpha"] * (calibrated - _moments(calibrated, counted)[0])
    if options["parts"] == "mixed":
        negative = xp.zeros_like(negative)
    any_correct = xp.max(rewards, axis=-1, keepdims=True) > 0
    considered = rewards if counted is None else xp.where(counted, rewards, xp.ones_like(rewards))
    all_right = xp.min(considered, axis=-1, keepdims=True) == 1
    advantages = xp.where(any_correct, mixed, negative)
    return xp.where(all_right, xp.zeros_like(advantages), advantages)
