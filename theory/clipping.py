"""Clipping and several epochs: how far one batch can move a prompt.

An exact mirror move δ of the log-odds changes the probabilities of right and wrong responses by

    r₊ = e^δ/(1 + ρ(e^δ − 1)),   r₋ = 1/(1 + ρ(e^δ − 1)).

PPO's surrogate min(rA, clip(r)A) stops the push on right responses (A > 0) where r₊ reaches 1+ε and
the push on wrong ones (A < 0) where r₋ reaches 1−ε, that is at

    δ₊ = ln[(1+ε)(1−ρ)/(1−ρ(1+ε))],   δ₋ = ln[1 + ε/((1−ε)ρ)].

For hard prompts δ₊ → ln(1+ε), however many epochs there are, while δ₋ grows like ln(1/ρ): from
scratch a⁺ is limited by the clip and a⁻ is not. Repeated small steps on one batch, with importance
ratios, keep the drift E[A|r=1] − E[A|r=0] of the group that was sampled; each part of it counts
until it is clipped.

The ratios are those of whole responses, as in GSPO or where a response is one token. Ratios per
token share the move of a response among its tokens, and reach a clip later.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import expit, logit

from theory._arrays import Array, Floats, check_interval
from theory._designs import checked_success
from theory._velocity import check_open_range
from theory.finite_group import expected_advantages
from theory.schemes import SchemeLike

__all__ = ["batch_move", "batches_to_target", "clip_high_move", "clip_low_move", "ratios"]

MOST_BATCHES = 100_000


def ratios(success: Array, move: Array) -> tuple[Floats, Floats]:
    """Importance ratios r₊ and r₋ of right and wrong responses after a move of the log-odds.

    Args:
        success: ρ before the move, any shape, in [0, 1].
        move: δ, of a shape that broadcasts.

    Returns:
        Two arrays of the common shape.

    Raises:
        ValueError: ``success`` outside [0, 1].

    Source: theory.md, section 8 "Clipping and several epochs".

    >>> [float(r.round(4)) for r in ratios(0.25, np.log(3.0))]  # ρ goes from 1/4 to 1/2
    [2.0, 0.6667]
    """
    rho = checked_success(success)
    delta = np.asarray(move, dtype=np.float64)
    # 1 + ρ(e^δ − 1) is scaled by e^−δ where that is large.
    large = delta > 0
    shrunk = np.exp(-np.abs(delta))
    mixed = np.where(large, rho + (1 - rho) * shrunk, 1 - rho + rho * shrunk)
    right, wrong = np.where(large, 1.0, shrunk), np.where(large, shrunk, 1.0)
    return np.asarray(right / mixed), np.asarray(wrong / mixed)


def clip_high_move(success: Array, epsilon: float = 0.2) -> Floats:
    """Move δ₊ at which the push on right responses is clipped, r₊ = 1 + ε.

    Args:
        success: ρ, any shape, in [0, 1].
        epsilon: ε > 0; ∞ for no clip.

    Returns:
        δ₊; ∞ where ρ(1+ε) ≥ 1, since no probability can grow so much.

    Raises:
        ValueError: Values outside these ranges.

    Source: theory.md, section 8 "Clipping and several epochs".

    >>> clip_high_move([0.001, 0.5, 0.9], 0.2).round(3).tolist()  # ln 1.2 = 0.182
    [0.183, 0.405, inf]
    """
    rho = checked_success(success)
    _check_epsilon("clip_high", epsilon, math.inf)
    room = 1 - rho * (1 + epsilon) if math.isfinite(epsilon) else np.zeros_like(rho)
    open_ended = room <= 0
    move = np.log1p(epsilon if math.isfinite(epsilon) else 0.0) + np.log1p(
        -np.where(open_ended, 0.0, rho)
    )
    return np.where(open_ended, math.inf, move - np.log(np.where(open_ended, 1.0, room)))


def clip_low_move(success: Array, epsilon: float = 0.2) -> Floats:
    """Move δ₋ at which the push on wrong responses is clipped, r₋ = 1 − ε.

    Args:
        success: ρ, any shape, in [0, 1].
        epsilon: ε in (0, 1]; 1 for no clip.

    Returns:
        δ₋; ∞ at ρ = 0.

    Raises:
        ValueError: Values outside these ranges.

    Source: theory.md, section 8 "Clipping and several epochs".

    >>> clip_low_move([0.001, 0.5], 0.2).round(2).tolist()
    [5.53, 0.41]
    """
    rho = checked_success(success)
    _check_epsilon("clip_low", epsilon, 1.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log1p(epsilon / ((1 - epsilon) * rho)))


def batch_move(
    scheme: SchemeLike,
    success: Array,
    step: float,
    *,
    group_size: int | None = None,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> Floats:
    """Move of the log-odds that a batch makes in the end, in gradient steps that add up to s.

    Without a clip it is s·ω_M. With one, right responses push at the rate E[A|r=1] up to δ₊ and
    wrong ones at −E[A|r=0] up to δ₋.

    Args:
        scheme: Scheme, or its name.
        success: ρ at which the batch was sampled, any shape, in (0, 1).
        step: s > 0, learning rate times gradient steps (epochs times minibatches).
        group_size: M; ``None`` for the population limit.
        clip_low: ε of 1 − ε, in (0, 1]; 1 for no clip.
        clip_high: ε of 1 + ε, positive; ∞ for no clip.

    Returns:
        δ, of the shape of ``success``.

    Raises:
        ValueError: Values outside these ranges, a scheme without a table.

    Source: theory.md, section 8 "Clipping and several epochs".

    >>> setting = dict(step=1.0, group_size=16)
    >>> [round(float(batch_move(name, 0.01, **setting)), 3) for name in ("grpo", "nsr", "sqrt_r")]
    [0.22, 1.0, 1.177]
    """
    rho = checked_success(success)
    check_interval("success", rho, open_ends=True)
    if isinstance(step, bool) or not 0 < step < math.inf:
        raise ValueError(f"step must be a positive number; got {step}")
    right, wrong = (np.asarray(x) for x in expected_advantages(scheme, group_size, rho))
    rates = np.stack([right, -wrong])
    if np.any(rates < 0):
        raise ValueError("right responses must be pushed up and wrong ones down at this success")
    limits = np.stack([clip_high_move(rho, clip_high), clip_low_move(rho, clip_low)])
    # Both push up to the nearer limit; what is left of the step goes to the other one alone.
    first = np.minimum(limits.min(0), step * rates.sum(0))
    with np.errstate(divide="ignore", invalid="ignore"):
        used = np.where(rates.sum(0) > 0, first / rates.sum(0), 0.0)
    slower = np.take_along_axis(rates, limits.argmax(0)[None], 0)[0]
    return np.asarray(np.minimum(limits.max(0), first + np.maximum(step - used, 0.0) * slower))


def batches_to_target(
    scheme: SchemeLike,
    start: float,
    target: float,
    step: float,
    *,
    group_size: int | None = None,
    clip_low: float = 0.2,
    clip_high: float = 0.2,
) -> float:
    """Batches until the success probability reaches the target, the last one in part.

    Args:
        scheme: Scheme, or its name.
        start: ρ₀ in (0, 1).
        target: Above ``start``, below 1.
        step: s > 0, learning rate times gradient steps on a batch.
        group_size: M; ``None`` for the population limit.
        clip_low: ε of 1 − ε.
        clip_high: ε of 1 + ε.

    Returns:
        The number; ∞ if it is above 100,000.

    Raises:
        ValueError: As :func:`batch_move`.

    Source: theory.md, section 8 "Clipping and several epochs".

    >>> setting = dict(start=0.01, target=0.9, step=1.0, group_size=16)
    >>> [round(batches_to_target("grpo", clip_high=e, **setting), 1) for e in (0.2, 0.28, np.inf)]
    [16.2, 13.8, 3.9]
    """
    check_open_range(start, target)
    odds, last = float(logit(start)), float(logit(target))
    for count in range(MOST_BATCHES):
        move = float(
            batch_move(
                scheme,
                float(expit(odds)),
                step,
                group_size=group_size,
                clip_low=clip_low,
                clip_high=clip_high,
            )
        )
        if odds + move >= last:
            return count + (last - odds) / move
        odds += move
    return math.inf


def _check_epsilon(name: str, epsilon: float, most: float) -> None:
    if isinstance(epsilon, bool) or not 0 < epsilon <= most:
        raise ValueError(f"{name} must be positive and at most {most:g}; got {epsilon}")
