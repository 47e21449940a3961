"""A trainer's reward functions as one outcome, which a scheme weighs, and shaping beside it."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterable, Sequence
from typing import Literal, get_args

import numpy as np

from runs.text import listed
from theory.rewards import OutcomeRule, ShapingMode, two_levels
from theory.schemes import Scheme

RewardMode = Literal["gate", "add", "apart", "total"]
"""How several rewards become advantages: shaping beside the outcome, or the scheme on the total."""

_LOG = logging.getLogger(__name__)

_MOST_VALUES = 8
"""Different rewards that are remembered: more than any pair of levels has."""


class RewardSplit:
    """Outcomes and shaping of the rewards of each batch.

    A scheme weighs the outcome: the reward function that ``outcome`` names, or the only one there
    is. The others, by their weights over the outcome's, are shaping. A rule that is not given is
    recognised from the rewards: 0 and 1, grades in [0, 1] where the scheme takes them, or two whole
    numbers such as −1 and 1; anything else counts as correct from 1 on, with a warning, and what is
    left is shaping. Shift-invariant schemes without a named outcome get the weighted total.

    Args:
        scheme: The scheme.
        names: Names of the reward functions.
        weights: Their weights.
        outcome: Name of the function whose reward is the outcome.
        rule: How its reward tells the outcome; recognised by default.
        mode: ``gate``, ``add`` or ``apart`` (see ``theory.rewards.shaping_advantages``), or
            ``total``; by default ``total`` where a shift-invariant scheme has no outcome, else
            ``gate``.

    Attributes:
        seen: Different rewards of the outcome so far, the first few.

    Raises:
        ValueError: An outcome that is no reward function, several functions of which none is named
            and a scheme that needs one, or options that exclude each other.

    >>> from theory.schemes import SCHEMES
    >>> split = RewardSplit(SCHEMES["sqrt_r"], ["exact", "format"], [1, 0.5], outcome="exact")
    >>> outcomes, shaping, valid = split(np.array([[1.0, 1.0], [0.0, 1.0]]))
    >>> outcomes.tolist(), shaping.tolist(), valid.tolist()
    ([1.0, 0.0], [[0.5], [0.5]], [True, True])
    """

    def __init__(
        self,
        scheme: Scheme,
        names: Sequence[str],
        weights: Sequence[float],
        *,
        outcome: str | None = None,
        rule: OutcomeRule | None = None,
        mode: RewardMode | None = None,
    ) -> None:
        if mode is not None and mode not in get_args(RewardMode):
            raise ValueError(f"shaping must be {listed(get_args(RewardMode), 'or')}; got {mode!r}")
        if outcome is not None and list(names).count(outcome) != 1:
            raise ValueError(
                f"outcome must name one of the reward functions, {listed(list(names), 'or')}; got "
                f"{outcome!r}"
            )
        free = scheme.shift_invariant and outcome is None and rule is None
        self.mode: RewardMode = mode or ("total" if free else "gate")
        if self.mode == "total" and (outcome is not None or rule is not None):
            raise ValueError("shaping='total' has no outcome: leave outcome and rule out")
        if len(names) > 1 and outcome is None and not (scheme.shift_invariant and free):
            raise ValueError(
                f"{scheme.name} weighs an outcome, and there are {len(names)} reward functions: "
                f"say which one it is, outcome={listed([repr(name) for name in names], 'or')}"
            )
        if len(names) > 1 and outcome is None and self.mode != "total":
            raise ValueError(f"shaping={self.mode!r} needs outcome, the name of a reward function")
        self.scheme, self.rule = scheme, rule
        self.weights = np.asarray(weights, dtype=np.float64)
        self._place = list(names).index(outcome) if outcome is not None else 0
        if self.mode != "total" and not self.weights[self._place] > 0:
            raise ValueError("the outcome's weight must be above 0")
        self.seen: set[float] = set()
        self._warned = False
        self._told: OutcomeRule | None = None

    def __call__(self, rewards: np.ndarray) -> tuple[np.ndarray, np.ndarray | None, np.ndarray]:
        """Split rewards of shape (rows, functions); NaN where a function gave none.

        Returns:
            Outcomes (rows,), shaping (rows, components) or None, and which rows could be scored.
        """
        if self.mode == "total":
            absent = np.isnan(rewards)
            total = np.where(absent, 0.0, rewards * self.weights).sum(axis=1)
            return total.astype(rewards.dtype), None, ~absent.all(axis=1)
        named = rewards[:, self._place]
        valid = ~np.isnan(named)
        named = np.where(valid, named, 0.0).astype(rewards.dtype)
        rule = self.rule or self._recognised(named[valid])
        parts = np.delete(rewards, self._place, axis=1)
        relative = np.delete(self.weights, self._place) / self.weights[self._place]
        shaping = np.where(np.isnan(parts), 0.0, parts * relative)
        if rule.threshold is not None:
            shaping = np.column_stack([shaping, rule.shaping(named)])
        outcomes = np.where(valid, rule.outcomes(named), 0.0).astype(rewards.dtype)
        return outcomes, shaping if shaping.shape[1] else None, valid

    @property
    def shaping_mode(self) -> ShapingMode:
        """How shaping is added; of no concern to a total, which leaves none."""
        return "gate" if self.mode == "total" else self.mode

    def _recognised(self, rewards: np.ndarray) -> OutcomeRule:
        self.remember(rewards)
        rewards = np.array(sorted(self.seen))
        binary = bool(((rewards == 0) | (rewards == 1)).all())
        within = bool(((rewards >= 0) & (rewards <= 1)).all())
        if self.scheme.shift_invariant or binary or (within and self.scheme.graded):
            return OutcomeRule()
        # All responses wrong so far, on a scale whose other end is not known yet.
        pair = (-1.0, 1.0) if self.seen == {-1.0} else two_levels(self.seen)
        if pair is not None:
            found = OutcomeRule(*pair)
            if found != self._told:
                self._told = found
                _LOG.warning(
                    "rewards of %g and %g: %s takes %g as correct and %g as wrong; a rule of your "
                    "own, such as OutcomeRule(low=%g, high=%g), settles it",
                    *(*pair, self.scheme.name, pair[1], pair[0], *pair),
                )
            return found
        if not self._warned:
            self._warned = True
            warnings.warn(
                f"rewards such as {listed([f'{value:g}' for value in sorted(self.seen)[:4]])} are "
                f"neither 0 and 1 nor two whole numbers: those of at least 1 count as correct for "
                f"{self.scheme.name}, and the rest is shaping; say which by a rule, such as "
                "OutcomeRule(low=0, high=1, threshold=1)",
                stacklevel=2,
            )
        return OutcomeRule(threshold=1.0)

    def remember(self, rewards: Iterable[float]) -> None:
        """Take up rewards of the outcome, here or from a checkpoint."""
        if len(self.seen) < _MOST_VALUES:
            values = np.array(list(rewards), dtype=np.float64)
            ends = [values.min(), values.max()] if values.size else []
            self.seen.update(map(float, ends), np.unique(values)[:_MOST_VALUES].tolist())
