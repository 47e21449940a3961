"""Group advantages: the one function that simulator, trainers and figures share."""

from __future__ import annotations

import math

from theory import lens
from theory._arrays import Array, as_array, as_floating, check_interval, is_traced, namespace
from theory.schemes import Option, Scheme, finite_coefficients, resolve


def group_advantages(
    rewards: Array,
    scheme: str | Scheme,
    *,
    log_confidence: Array | None = None,
    valid: Array | None = None,
    **options: Option,
) -> Array:
    """Advantages of the responses of each group under a scheme.

    A_i = r_i a⁺(ρ̂) − (1 − r_i) a⁻(ρ̂), which for centred schemes is ω(ρ̂)(r_i − ρ̂). Works on
    NumPy, JAX (also under ``jit``) and torch, keeps device and floating dtype.

    Args:
        rewards: Rewards, shape (..., group), in [0, 1]; schemes that are not ``graded`` take only
            0 and 1.
        scheme: Name in ``SCHEMES`` (options may follow a colon) or a :class:`Scheme`.
        log_confidence: Length-normalised log-probability of each response under the policy that
            sampled it, same shape as ``rewards``; needed by LENS alone.
        valid: Boolean, same shape; False marks a response that could not be scored. It gets
            advantage 0 and does not enter its group's baseline.
        **options: Options of the scheme, such as ``zero_success="drop"``.

    Returns:
        Advantages of the same shape.

    Raises:
        ValueError: Unknown scheme or option, rewards outside [0, 1] or graded where the scheme is
            binary, a group too small for the scheme, missing or positive ``log_confidence``.

    Source: arXiv 2602.11128 (centred schemes), 2506.01347 (PSR, NSR), 2510.08696 (LENS).

    >>> import numpy as np
    >>> group_advantages(np.array([[1, 0, 0, 0], [0, 0, 0, 0]]), "linear_r").tolist()
    [[3.0, -1.0, -1.0, -1.0], [-1.0, -1.0, -1.0, -1.0]]
    """
    bound = resolve(scheme, **options)
    rewards = as_floating(rewards)
    if len(rewards.shape) < 1:
        raise ValueError("rewards must have shape (..., group); got a single number")
    bound.check_group_size(rewards.shape[-1])
    xp = namespace(rewards)
    counted = None
    if valid is not None:
        valid = as_array(valid)
        if tuple(valid.shape) != tuple(rewards.shape):
            raise ValueError(
                f"valid must have the shape of rewards, {tuple(rewards.shape)}; "
                f"got {tuple(valid.shape)}"
            )
        counted = valid != 0
        rewards = xp.where(counted, rewards, xp.zeros_like(rewards))
    _check_rewards(rewards, bound)
    if bound.needs_confidence:
        return _lens(rewards, log_confidence, counted, bound)
    mean, variance, size = _moments(rewards, counted)
    positive, negative = finite_coefficients(*bound.coefficients(mean, variance, size))
    advantages = rewards * positive - (1 - rewards) * negative
    return advantages if counted is None else xp.where(counted, advantages, 0 * advantages)


def _check_rewards(rewards: Array, scheme: Scheme) -> None:
    check_interval("rewards", rewards)
    if scheme.graded or is_traced(rewards):
        return
    xp = namespace(rewards)
    if not bool(xp.all((rewards == 0) | (rewards == 1))):
        raise ValueError(
            f"{scheme.name} is defined for binary rewards, 0 or 1, only: its paper splits "
            "responses into correct and wrong; use a centred scheme for graded rewards"
        )


def _moments(rewards: Array, counted: Array | None) -> tuple[Array, Array, Array | float]:
    """Mean, population variance and size of each group, with a kept last axis."""
    xp = namespace(rewards)
    size: Array | float
    if counted is None:
        size = float(rewards.shape[-1])
        weight = xp.ones_like(rewards)
        mean = xp.sum(rewards, axis=-1, keepdims=True) / size
    else:
        weight = xp.astype(counted, rewards.dtype)
        size = xp.sum(weight, axis=-1, keepdims=True)
        size = xp.where(size > 0, size, xp.ones_like(size))
        mean = xp.sum(rewards, axis=-1, keepdims=True) / size
    variance = xp.sum(weight * (rewards - mean) ** 2, axis=-1, keepdims=True) / size
    # Equal rewards have variance 0 exactly, whatever rounding does to their mean.
    highest = xp.max(
        xp.where(weight > 0, rewards, xp.full_like(rewards, -math.inf)), axis=-1, keepdims=True
    )
    lowest = xp.min(
        xp.where(weight > 0, rewards, xp.full_like(rewards, math.inf)), axis=-1, keepdims=True
    )
    return mean, xp.where(highest > lowest, variance, xp.zeros_like(variance)), size


def _lens(
    rewards: Array, log_confidence: Array | None, counted: Array | None, scheme: Scheme
) -> Array:
    if log_confidence is None:
        raise ValueError(
            "lens needs log_confidence: the length-normalised log-probability of each response "
            "under the sampling policy, of the same shape as rewards"
        )
    log_confidence = as_floating(log_confidence)
    xp = namespace(rewards, log_confidence)
    if tuple(log_confidence.shape) != tuple(rewards.shape):
        raise ValueError(
            f"log_confidence must have the shape of rewards, {tuple(rewards.shape)}; "
            f"got {tuple(log_confidence.shape)}"
        )
    used = log_confidence if counted is None else xp.where(counted, log_confidence, 0 * rewards)
    check_interval("log_confidence", used, low=-math.inf, high=0.0)
    parts, alpha = scheme.options["parts"], scheme.options["alpha"]
    ddof, eps = float(scheme.options["ddof"] or 0), float(scheme.options["eps"] or 0)
    calibrated = lens.calibrated_rewards(rewards, log_confidence, counted)
    weight = xp.ones_like(rewards) if counted is None else xp.astype(counted, rewards.dtype)
    mixed_rewards = rewards if parts == "negative" else calibrated
    mean, variance, size = _moments(mixed_rewards, counted)
    deviation = xp.sqrt(variance * size / (size - ddof) if ddof else variance) + eps
    safe = xp.where(deviation > 0, deviation, xp.ones_like(deviation))
    mixed = weight * (mixed_rewards - mean) / safe
    negative_mean, _, _ = _moments(calibrated, counted)
    negative = weight * alpha * (calibrated - negative_mean)
    if parts == "mixed":
        negative = 0 * negative
    any_correct = xp.max(rewards, axis=-1, keepdims=True) > 0
    all_right = (
        xp.min(xp.where(weight > 0, rewards, xp.ones_like(rewards)), axis=-1, keepdims=True) == 1
    )
    advantages = xp.where(any_correct, mixed, negative)
    return xp.where(all_right, 0 * advantages, advantages)
