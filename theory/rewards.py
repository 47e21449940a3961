"""What of a reward a scheme weighs, and what is added beside it.

A total reward is an outcome o in {0, 1} (or graded in [0, 1]) plus shaping s: format bonuses,
length penalties. Schemes weigh the outcome; shaping is centred in its group and added,

    A_i = A_scheme(o)_i + s_i − s̄.

Standardising the total instead gives groups without a correct response advantages of full size
that are made of shaping alone.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable
from typing import Literal, get_args

from theory._arrays import Array, as_array, as_floating, check_interval, namespace

ShapingMode = Literal["gate", "add", "apart"]
"""How shaping enters the advantages, see :func:`shaping_advantages`."""

MODES: tuple[ShapingMode, ...] = get_args(ShapingMode)

_EPS = 1e-4
"""Added to the standard deviation of a component that is normalised apart, as in TRL."""


@dataclasses.dataclass(frozen=True)
class OutcomeRule:
    """How a reward r tells the outcome: o = (r − low)/(high − low), or [r ≥ threshold].

    With a threshold, what the reward has besides, r − low − (high − low)·o, is shaping.

    Attributes:
        low: Reward of a wrong response.
        high: Reward of a correct one, above ``low``.
        threshold: Rewards of at least this are correct; None for the affine map.

    Raises:
        ValueError: Numbers that are not finite, or ``high`` not above ``low``.

    >>> import numpy as np
    >>> OutcomeRule(-1, 1).outcomes(np.array([-1.0, 1.0])).tolist()
    [0.0, 1.0]
    >>> overlong = OutcomeRule(-1, 1, threshold=0)
    >>> overlong.outcomes(np.array([0.5, -1.5])).tolist()
    [1.0, 0.0]
    >>> overlong.shaping(np.array([0.5, -1.5])).tolist()
    [-0.25, -0.25]
    """

    low: float = 0.0
    high: float = 1.0
    threshold: float | None = None

    def __post_init__(self) -> None:
        numbers = [self.low, self.high] + ([] if self.threshold is None else [self.threshold])
        if not all(math.isfinite(number) for number in numbers):
            raise ValueError(f"low, high and threshold must be finite; got {self}")
        if not self.high > self.low:
            raise ValueError(f"high must be above low; got low {self.low:g} and high {self.high:g}")

    def outcomes(self, rewards: Array) -> Array:
        """Outcomes of rewards of any shape; without a threshold they may lie outside [0, 1]."""
        rewards = as_floating(rewards)
        if self.threshold is not None:
            xp = namespace(rewards)
            return xp.astype(rewards >= self.threshold, rewards.dtype)
        if (self.low, self.high) == (0.0, 1.0):
            return rewards
        return (rewards - self.low) / (self.high - self.low)

    def shaping(self, rewards: Array) -> Array:
        """What the rewards have besides the outcome, in units of a correct response's gain.

        That is r' − o with r' = (r − low)/(high − low); 0 without a threshold.
        """
        rewards = as_floating(rewards)
        if self.threshold is None:
            return namespace(rewards).zeros_like(rewards)
        return (rewards - self.low) / (self.high - self.low) - self.outcomes(rewards)


def two_levels(values: Iterable[float]) -> tuple[float, float] | None:
    """Rewards of wrong and correct responses where there are two whole numbers, as −1 and 1.

    The higher must be at least 1, and the lower 0, −1 or the higher's negative: 0 and 0.5 may be
    all that responses got for their format.

    >>> two_levels([10, 0, 0]), two_levels([-1, 1]), two_levels([0, 0.5]), two_levels([0, 1, 2])
    ((0.0, 10.0), (-1.0, 1.0), None, None)
    """
    found = sorted({float(value) for value in values})
    if len(found) != 2 or not all(value.is_integer() for value in found):
        return None
    low, high = found
    return (low, high) if high >= 1 and low in (0, -1, -high) else None


def shaping_advantages(
    outcomes: Array, shaping: Array, mode: ShapingMode = "gate", *, valid: Array | None = None
) -> Array:
    """What shaping adds to the advantages of each group.

    Args:
        outcomes: Outcomes, shape (..., group).
        shaping: Shaping rewards in units of the outcome, of the same shape, or of shape
            (..., group, components).
        mode: ``"add"``: s_i − s̄, the sum of the components centred in the group. ``"gate"``: the
            same, and 0 in groups without a correct response. ``"apart"``: Σ_k of each component k
            standardised by itself, (s_ik − s̄_k)/(sd_k + ε), the groups' part of GDPO.
        valid: Boolean, shape (..., group); False marks responses that get 0 and leave the means.

    Returns:
        Advantages, shape (..., group), which sum to 0 over the valid responses of every group; a
        constant bonus adds exactly 0.

    Raises:
        ValueError: An unknown mode, shapes that do not fit, or shaping that is not finite.

    Source: phantom advantages and the gate, docs/theory.md §8; GDPO, arXiv 2601.05242.

    >>> import numpy as np
    >>> shaping_advantages(np.array([[1.0, 0], [0, 0]]), np.array([[0.2, 0], [0.2, 0]])).tolist()
    [[0.1, -0.1], [0.0, 0.0]]
    """
    if mode not in MODES:
        raise ValueError(f"mode must be one of {', '.join(MODES)}; got {mode!r}")
    outcomes, shaping = as_floating(outcomes), as_floating(shaping)
    xp = namespace(outcomes, shaping)
    shape = tuple(outcomes.shape)
    if tuple(shaping.shape) == shape:
        shaping = xp.expand_dims(shaping, axis=-1)
    if tuple(shaping.shape)[:-1] != shape:
        raise ValueError(
            f"shaping must have shape {shape} or {(*shape, 'components')}; "
            f"got {tuple(shaping.shape)}"
        )
    check_interval("shaping", shaping, low=-math.inf, high=math.inf)
    shaping = xp.astype(shaping, outcomes.dtype, copy=False)
    counted = xp.ones_like(outcomes) if valid is None else as_array(valid)
    if tuple(counted.shape) != shape:
        raise ValueError(f"valid must have shape {shape}; got {tuple(counted.shape)}")
    counted = xp.astype(counted != 0, outcomes.dtype)
    if mode != "apart":
        shaping = xp.sum(shaping, axis=-1, keepdims=True)
    centred = _centred(shaping, xp.expand_dims(counted, axis=-1), standardise=mode == "apart")
    added = xp.sum(centred, axis=-1)
    if mode == "gate":
        correct = xp.max(outcomes * counted, axis=-1, keepdims=True) > 0
        added = xp.where(correct, added, xp.zeros_like(added))
    return added


def _centred(shaping: Array, counted: Array, *, standardise: bool) -> Array:
    """Components less their groups' means, where they differ by more than rounding."""
    xp = namespace(shaping)
    size = xp.sum(counted, axis=-2, keepdims=True)
    size = xp.where(size > 0, size, xp.ones_like(size))
    shaping = xp.where(counted > 0, shaping, xp.zeros_like(shaping))
    deviation = counted * (shaping - xp.sum(shaping, axis=-2, keepdims=True) / size)
    largest = xp.max(xp.abs(deviation), axis=-2, keepdims=True)
    scale = xp.max(xp.abs(shaping), axis=-2, keepdims=True)
    rounding = 8 * float(xp.finfo(shaping.dtype).eps) * scale
    deviation = xp.where(largest <= rounding, xp.zeros_like(deviation), deviation)
    if not standardise:
        return deviation
    left = xp.where(size > 1, size - 1, xp.ones_like(size))
    spread = xp.sqrt(xp.sum(deviation**2, axis=-2, keepdims=True) / left)
    return deviation / (spread + _EPS)
