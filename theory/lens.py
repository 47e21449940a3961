"""LENS: wrong responses penalised by how confident the policy was in them (arXiv 2510.08696)."""

from __future__ import annotations

from theory._arrays import Array, namespace


def calibrated_rewards(rewards: Array, log_confidence: Array, valid: Array | None = None) -> Array:
    """Calibrated rewards r̃_i = r_i − (1−r_i)·(1/G)·π̄_i/(D − π̄_i) of each group.

    With the length-normalised confidence π̄_i = π_old(o_i|q)^{1/|o_i|}, D is 2 max_j π̄_j in a
    group without a correct response, else the larger of that and the importance estimate
    [(1/G) Σ_j r_j/π̄_j]⁻¹. Every penalty lies in [0, 1/G].

    Args:
        rewards: Rewards in [0, 1], shape (..., group).
        log_confidence: ln π̄_i ≤ 0, same shape.
        valid: False where a response counts for nothing; default all true.

    Returns:
        Calibrated rewards, shape (..., group).

    Source: arXiv 2510.08696, section 3; π̄ also inside the importance estimate.

    >>> import numpy as np
    >>> calibrated_rewards(np.array([1.0, 0.0]), np.log([0.5, 0.5])).tolist()
    [1.0, -0.5]
    """
    xp = namespace(rewards, log_confidence)
    counted = xp.ones_like(rewards) if valid is None else xp.astype(valid, rewards.dtype)
    size = xp.sum(counted, axis=-1, keepdims=True)
    # Ratios of confidences to the group's largest are all the formula needs, and cannot underflow.
    floor = xp.full_like(log_confidence, -xp.inf)
    largest = xp.max(xp.where(counted > 0, log_confidence, floor), axis=-1, keepdims=True)
    largest = xp.where(xp.isfinite(largest), largest, xp.zeros_like(largest))
    relative = counted * xp.exp(xp.where(counted > 0, log_confidence - largest, floor))
    correct = rewards * counted
    inverse = xp.where(
        correct > 0,
        xp.exp(xp.where(correct > 0, largest - log_confidence, 0.0 * rewards)),
        0.0 * rewards,
    )
    total = xp.sum(correct * inverse, axis=-1, keepdims=True)
    importance = size / xp.where(total > 0, total, xp.ones_like(total))
    two = xp.full_like(total, 2.0)
    scale = xp.where((total > 0) & (importance > two), importance, two)
    penalty = relative / (scale - relative) / xp.where(size > 0, size, xp.ones_like(size))
    return counted * (rewards - (1 - rewards) * penalty)
