"""LENS: wrong responses penalised by how confident the policy was in them (arXiv 2510.08696).

Let p*(o) be the probability that answer o to a question is correct. With D = 1/Σ_o p*(o) the
policy π* = D p* is a distribution, and p = π/D a model of correctness. Maximum likelihood of that
model is policy gradient on a reward that is 1 for a correct answer and, for a wrong one, a
penalty growing with π/D. The first half of this module is that theory, on answers whose
probabilities are known; the second is the practical reward of a group of sampled responses.
"""

from __future__ import annotations

import math

from theory._arrays import (
    Array,
    as_array,
    as_floating,
    check_interval,
    is_traced,
    namespace,
    widened,
)

# Above, the closed form loses ε/w(z) of relative accuracy, about 4 ε; below, the last term of the
# series is 1e-17 of the sum.
_SERIES_BELOW = 0.5
_SERIES_TERMS = 52

SCALES = ("practical", "importance", "largest")
"""Estimators of D in a group: the larger of the other two, from the correct, from the largest."""


def penalty_weight(ratio: Array) -> Array:
    """Penalty w(z) = (1/z) ln(1/(1−z)) − 1 on a wrong answer of confidence ratio z = π/D.

    It satisfies w(z) + z w′(z) = z/(1−z); w ≈ z/2 near 0 and w → ∞ as z → 1.

    Args:
        ratio: z in [0, 1], any shape.

    Returns:
        w(z), same shape, to within a few units of rounding everywhere.

    Raises:
        ValueError: A ratio outside [0, 1].

    Source: arXiv 2510.08696, Theorem 2.

    >>> import numpy as np
    >>> [round(float(w), 6) for w in penalty_weight(np.array([0.0, 0.5, 1.0]))]
    [0.0, 0.386294, inf]
    """
    ratio = as_floating(ratio)
    check_interval("ratio", ratio)
    xp = namespace(ratio)
    small = ratio < _SERIES_BELOW
    one = ratio >= 1
    series_at = xp.where(small, ratio, xp.zeros_like(ratio))
    series = xp.zeros_like(ratio)
    for power in range(_SERIES_TERMS, 0, -1):  # Σ z^k/(k+1)
        series = series_at * (1 / (power + 1) + series)
    closed_at = xp.where(small | one, xp.full_like(ratio, 0.5), ratio)
    closed = -xp.log1p(-closed_at) / closed_at - 1
    closed = xp.where(one, xp.full_like(ratio, math.inf), closed)
    return xp.where(small, series, closed)


def exact_scale(correctness: Array) -> Array:
    """Scale D = (Σ_o p*(o))⁻¹ of a question whose answers can be enumerated.

    Args:
        correctness: p*(o) in [0, 1], shape (..., answers), some answer possible in every row.

    Returns:
        D, shape (...,); in (0, 1] if at least one answer is certainly correct.

    Raises:
        ValueError: A probability outside [0, 1], or a row of zeros, which has no D.

    Source: arXiv 2510.08696, section 2 (definition of D).

    >>> float(exact_scale([1.0, 1.0, 0.0]))
    0.5
    """
    correctness = as_floating(correctness)
    check_interval("correctness", correctness)
    xp = namespace(correctness)
    total = xp.sum(correctness, axis=-1)
    if not is_traced(total) and not bool(xp.all(total > 0)):
        raise ValueError("correctness must be positive for some answer of every question")
    return 1 / total


def gradient_coefficient(
    log_probability: Array, outcome: Array, scale: Array, *, preference: Array | None = None
) -> Array:
    """Coefficient r − (1−r) π/(D−π) of ∇ln π in −∇L: what an answer is worth.

    L = −(1/n) Σ { r ln π + (1−r) ln(1 − π/D) } is the loss of the model of correctness p = π/D.

    Preference-aware it is r − (1−r) π/(Dρ−π). With the policy itself as preference, ρ = π held
    fixed, every wrong answer weighs the same, 1/(D−1): uniform weights are a special case.

    Args:
        log_probability: ln π of the sampled answers, shape (..., n).
        outcome: r in [0, 1], same shape.
        scale: D, above π (or π/ρ) of every answer that may be wrong, broadcasting.
        preference: ρ(q,o) > 0, same shape as the samples; default 1.

    Returns:
        The coefficients, shape (..., n).

    Raises:
        ValueError: Outcomes outside [0, 1], or a wrong answer with a model probability of 1.

    Source: arXiv 2510.08696, Theorem 1 and the preference-aware form.

    >>> import numpy as np
    >>> gradient_coefficient(np.log([0.5, 0.25]), np.array([1, 0]), 0.5).tolist()
    [1.0, -1.0]
    """
    _, outcome, model = _model(log_probability, outcome, scale, preference)
    return outcome - (1 - outcome) * model / (1 - model)


def _model(
    log_probability: Array, outcome: Array, scale: Array, preference: Array | None
) -> tuple[Array, Array, Array]:
    """Checked log-probabilities and outcomes, and the model probability p = π/(Dρ)."""
    log_probability, outcome = as_floating(log_probability), as_floating(outcome)
    xp = namespace(log_probability, outcome)
    check_interval("log_probability", log_probability, low=-math.inf, high=0.0)
    check_interval("outcome", outcome)
    _check_shape("outcome", outcome, log_probability, "log_probability")
    _check_positive("scale", scale)
    outcome = xp.astype(outcome, log_probability.dtype, copy=False)
    model = xp.exp(log_probability) / scale
    if preference is not None:
        _check_positive("preference", preference)
        model = model / preference
    # A certainly correct answer has no term in 1 − p, and p = 1 is right for it.
    model = xp.where(outcome < 1, model, xp.zeros_like(model))
    if not is_traced(model) and not bool(xp.all((model >= 0) & (model < 1))):
        raise ValueError(
            "scale must exceed the probability (over its preference) of every answer that may be "
            "wrong, so that π/D is below 1"
        )
    return log_probability, outcome, model


def objective(probability: Array, correctness: Array, scale: Array) -> Array:
    """Objective J = E_π[r*] − E_π[w(π/D)(1−r*)] over answers that can be enumerated.

    Its gradient is the on-policy gradient of −L (Theorem 2), and vanishes at π = D p*.

    Args:
        probability: π(o), shape (..., answers).
        correctness: r* = p*(o) in [0, 1], same shape.
        scale: D > max π, broadcasting against the answers.

    Returns:
        J, shape (...,).

    Raises:
        ValueError: Probabilities outside [0, 1] or above D.

    Source: arXiv 2510.08696, Theorem 2.

    >>> import numpy as np
    >>> round(float(objective(np.array([0.5, 0.5]), np.array([1.0, 0.0]), 1.0)), 6)
    0.306853
    """
    probability, correctness = as_floating(probability), as_floating(correctness)
    xp = namespace(probability, correctness)
    check_interval("probability", probability)
    check_interval("correctness", correctness)
    _check_shape("correctness", correctness, probability, "probability")
    _check_positive("scale", scale)
    penalty = penalty_weight(probability / scale)
    certain = correctness == 1  # w may be infinite there, and is multiplied by zero
    penalty = xp.where(certain, xp.zeros_like(penalty), penalty)
    return xp.sum(probability * (correctness - penalty * (1 - correctness)), axis=-1)


def calibrated_rewards(
    rewards: Array,
    log_confidence: Array,
    valid: Array | None = None,
    *,
    scale: str = "practical",
    importance: str = "normalised",
    log_probability: Array | None = None,
) -> Array:
    """Calibrated rewards r̃_i = r_i − (1−r_i)·(1/G)·π̄_i/(D − π̄_i) of each group.

    With the length-normalised confidence π̄_i = π_old(o_i|q)^{1/|o_i|}, D is by default the larger
    of 2 max_j π̄_j and the importance estimate [(1/G) Σ_j r_j/π_j]⁻¹, and 2 max_j π̄_j in a group
    without a correct response, which has no importance estimate. Every penalty then lies in
    [0, 1/G].

    Args:
        rewards: Rewards in [0, 1], shape (..., group); a fraction is a probability p* of being
            correct.
        log_confidence: ln π̄_i ≤ 0, same shape.
        valid: False where a response counts for nothing; default all true.
        scale: Estimator of D: ``"practical"`` (the larger of the two), ``"importance"`` alone
            (2 max π̄ where no response is correct), or ``"largest"`` alone (2 max π̄).
        importance: Probability inside the importance estimate. The paper writes π_old there and
            π̄ elsewhere; ``"normalised"`` is π̄ everywhere, ``"full"`` the whole response's π_old.
        log_probability: ln π_old(o_i|q) of whole responses, same shape; for ``"full"`` alone.

    Returns:
        Calibrated rewards, shape (..., group).

    Raises:
        ValueError: Rewards outside [0, 1], positive or infinite log-confidences, shapes that
            differ, or an importance estimate of D below a wrong response's confidence.

    Source: arXiv 2510.08696, section 3.

    >>> import numpy as np
    >>> calibrated_rewards(np.array([1.0, 0.0]), np.log([0.5, 0.5])).tolist()
    [1.0, -0.5]
    """
    rewards = widened(as_floating(rewards))
    xp = namespace(rewards)
    if scale not in SCALES:
        raise ValueError(f"scale must be one of {', '.join(SCALES)}; got {scale!r}")
    counted = xp.ones_like(rewards) > 0
    if valid is not None:
        valid = as_array(valid)
        namespace(rewards, valid)
        _check_shape("valid", valid, rewards)
        counted = valid != 0
    check_interval("rewards", xp.where(counted, rewards, xp.zeros_like(rewards)))
    log_confidence = _logs("log_confidence", log_confidence, rewards, counted)
    if importance == "full":
        if log_probability is None:
            raise ValueError(
                "importance='full' needs log_probability: the log-probability of each whole "
                "response, of the same shape as rewards"
            )
        inside = _logs("log_probability", log_probability, rewards, counted)
    elif importance == "normalised":
        inside = log_confidence
    else:
        raise ValueError(f"importance must be normalised or full; got {importance!r}")
    size = xp.sum(xp.astype(counted, rewards.dtype), axis=-1, keepdims=True)
    size = xp.where(size > 0, size, xp.ones_like(size))
    # D and π̄ enter as ratios to the group's largest π̄, which neither overflow nor underflow.
    floor = xp.full_like(rewards, -math.inf)
    largest = xp.max(xp.where(counted, log_confidence, floor), axis=-1, keepdims=True)
    largest = xp.where(xp.isfinite(largest), largest, xp.zeros_like(largest))
    relative = xp.where(counted, xp.exp(xp.where(counted, log_confidence - largest, floor)), 0.0)
    ratio = _relative_scale(rewards, inside, counted, size, largest, scale)
    wrong = counted & (rewards < 1)
    positive = relative < ratio
    if scale == "importance" and not is_traced(rewards) and not bool(xp.all(positive | ~wrong)):
        raise ValueError(
            "the importance estimate of D does not exceed the confidence of a wrong response, so "
            "its penalty is undefined; use scale='practical', which takes the larger of two"
        )
    gap = xp.where(positive, ratio - relative, xp.ones_like(relative))
    penalty = xp.where(positive, relative / gap, xp.full_like(relative, math.inf)) / size
    penalty = xp.where(wrong, penalty, xp.zeros_like(penalty))
    return xp.where(counted, rewards - (1 - rewards) * penalty, xp.zeros_like(rewards))


def _logs(name: str, values: Array, rewards: Array, counted: Array) -> Array:
    """Log-probabilities checked and in the dtype of the rewards, 0 where nothing counts."""
    values = as_floating(values)
    xp = namespace(rewards, values)
    _check_shape(name, values, rewards)
    values = xp.where(counted, values, xp.zeros_like(values))
    check_interval(name, values, low=-math.inf, high=0.0)
    return xp.astype(values, rewards.dtype, copy=False)


def _check_shape(name: str, values: Array, model: Array, of: str = "rewards") -> None:
    if tuple(values.shape) != tuple(model.shape):
        raise ValueError(
            f"{name} must have the shape of {of}, {tuple(model.shape)}; got {tuple(values.shape)}"
        )


def _check_positive(name: str, values: Array) -> None:
    values = as_floating(values)
    if not is_traced(values) and not bool(namespace(values).all(values > 0)):
        raise ValueError(f"{name} must be positive")


def _relative_scale(
    rewards: Array, log_inside: Array, counted: Array, size: Array, largest: Array, scale: str
) -> Array:
    """D over the largest confidence of each group, at least 2 unless by importance alone."""
    xp = namespace(rewards)
    two = xp.full_like(largest, 2.0)
    if scale == "largest":
        return two
    correct = counted & (rewards > 0)
    one = xp.ones_like(rewards)
    # ln Σ r_j/π_j by its largest term; D is the only quantity here that may under- or overflow.
    terms = xp.where(correct, xp.log(xp.where(correct, rewards, one)) - log_inside, -math.inf * one)
    top = xp.max(terms, axis=-1, keepdims=True)
    any_correct = xp.isfinite(top)
    top = xp.where(any_correct, top, xp.zeros_like(top))
    total = xp.sum(xp.exp(terms - top), axis=-1, keepdims=True)
    total = xp.where(any_correct, total, xp.ones_like(total))
    log_ratio = xp.log(size) - top - xp.log(total) - largest
    cap = 0.99 * math.log(float(xp.finfo(rewards.dtype).max))
    estimate = xp.exp(xp.where(log_ratio < cap, log_ratio, xp.full_like(log_ratio, cap)))
    if scale == "practical":
        estimate = xp.where(estimate > two, estimate, two)
    return xp.where(any_correct, estimate, two)
