"""Pieces that the coefficients of several schemes share."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from theory._arrays import Array, counting

Pair = tuple[Array, Array]
Factor = str | float | Array


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


def against_others(xp: Any, mean: Array, group_size: Array | float, eps: float) -> Pair:
    """Coefficients (r − m)/(s + ε) with mean m and unbiased deviation s of the other responses.

    For rewards of 0 and 1. Where the others are all alike, r − m is left as it is.
    """
    size = xp.zeros_like(mean) + group_size
    others = xp.where(size > 1, size - 1, xp.ones_like(size))
    left = xp.where(others > 1, others - 1, xp.ones_like(others))

    def divided(correct: Array, difference: Array) -> Array:
        share = correct / others
        variance = share * (1 - share) * others / left
        known = (variance > 0) & (others > 1)
        deviation = xp.sqrt(xp.where(known, variance, xp.ones_like(variance)))
        return xp.where(known, difference / (deviation + eps), difference)

    correct = mean * size
    wrong = size - correct
    return divided(correct - 1, wrong / others), divided(correct, correct / others)


def with_singletons(
    xp: Any, mean: Array, group_size: Array | float, coefficients: Pair, singleton: str
) -> Pair:
    """Coefficients of a lone response: nothing to compare with, or the raw reward."""
    if in_population(group_size):
        return coefficients
    alone = xp.zeros_like(mean) + group_size <= 1
    zero = xp.zeros_like(mean)
    lone = xp.ones_like(mean) if singleton == "raw" else zero
    return xp.where(alone, lone, coefficients[0]), xp.where(alone, zero, coefficients[1])


def with_penalty(xp: Any, mean: Array, negative: Array, zero: float) -> Array:
    """Penalty a⁻, which is ``zero`` where a group holds no correct response."""
    return xp.where(mean > 0, negative, zero * xp.ones_like(mean)) if zero else negative


def with_zero_success(
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


def unless_all_right(xp: Any, mean: Array, group_size: Array | float, positive: Array) -> Array:
    if in_population(group_size):
        return positive
    return xp.where(mean < 1, positive, xp.zeros_like(positive))


def all_wrong(xp: Any, correct: Array, pool: Array, draws: int) -> Array:
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


def geometric(xp: Any, success: Array, terms: int) -> Array:
    """(1 − (1−ρ)^T)/ρ as the sum Σ_{k<T} (1−ρ)^k, exact for small ρ and at ρ = 0."""
    total = xp.zeros_like(success)
    for _ in range(terms):
        total = 1 + (1 - success) * total
    return total


def standardised_surrogate(
    xp: Any, success: Array, *, eps: float, deviation: str | None = "group", **_: Any
) -> Array | None:
    """Integral of 1/(√(ρ(1−ρ)) + ε) from 0; 2 arcsin √ρ for ε = 0, and ρ without a deviation.

    With ρ = sin²(θ/2) it is θ − ∫ a/(a + sin θ) dθ with a = 2ε, elementary for a < 1.
    """
    if deviation is None:
        return success
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
