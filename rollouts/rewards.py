"""Which rewards count as correct: 1, two values of which one is, or a threshold."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from rollouts.sample import flat, number
from theory.rewards import two_levels

_MOST_VALUES = 8
"""Different rewards that are remembered."""


@dataclasses.dataclass
class Rewards:
    """What rewards there are, and which count as correct.

    Attributes:
        threshold: Rewards of at least this are correct; None if one value is.
        low, high: The rewards that stand for wrong and correct without a threshold.
        offers: What to try if that cannot be right, for the complaint.
        total: Number of rewards.
        others: Rewards that are neither ``low`` nor ``high``.
        lowest, highest: Their range.
        values: The first few different rewards.
    """

    threshold: float | None = None
    low: float = 0.0
    high: float = 1.0
    offers: str = ""
    total: int = 0
    others: int = 0
    lowest: float = np.inf
    highest: float = -np.inf
    values: set[float] = dataclasses.field(default_factory=set)

    def count(self, rewards: np.ndarray) -> np.ndarray:
        """Count rewards and return which of them are correct."""
        right = rewards == self.high
        if rewards.size:
            strange = ~(right | (rewards == self.low))
            self.total += rewards.size
            self.others += int(np.count_nonzero(strange))
            self.lowest = min(self.lowest, float(rewards.min()))
            self.highest = max(self.highest, float(rewards.max()))
            if len(self.values) < _MOST_VALUES:
                found = np.unique(rewards[strange]) if strange.any() else rewards[:0]
                ends = [self.lowest, self.highest]
                self.values.update(np.concatenate([ends, found])[: 2 + _MOST_VALUES].tolist())
        return right if self.threshold is None else rewards >= self.threshold

    @property
    def scaled(self) -> bool:
        """Two rewards other than 0 and 1 stand for wrong and correct."""
        return self.threshold is None and (self.low, self.high) != (0.0, 1.0)

    def again(self) -> Rewards | None:
        """The rule to read with again, if it was none of 0 and 1 but another pair of rewards."""
        pair = None
        if self.threshold is None and self.others and len(self.values) <= 2:
            pair = two_values(list(self.values))
        if pair is None or pair == (self.low, self.high):
            return None
        return Rewards(low=pair[0], high=pair[1], offers=self.offers)

    def data(self) -> dict[str, Any]:
        """The rule and what it was applied to, as plain values."""
        return {
            "threshold": self.threshold,
            "wrong": None if self.threshold is not None else self.low,
            "correct": None if self.threshold is not None else self.high,
            "others": self.others,
            "lowest": self.lowest,
            "highest": self.highest,
        }

    def notes(self) -> list[str]:
        """What was taken for correct, where that is not plain, in sentences."""
        if self.scaled:
            low, high = (f"{value:g}".replace("-", "−") for value in (self.low, self.high))
            return [f"Rewards are {low} and {high} and were taken for 0 and 1."]
        if self.threshold is None:
            return []
        return [
            f"Rewards of {self.threshold:g} and more count as correct; {self.others:,} of "
            f"{self.total:,} were neither 0 nor 1."
        ]

    def check(self) -> None:
        """Raise a ``ValueError`` if it takes a threshold to say which rewards are correct."""
        if self.others and self.threshold is None:
            raise ValueError(
                f"{self.others:,} of {self.total:,} rewards are neither {self.low:g} nor "
                f"{self.high:g} (they lie between {self.lowest:g} and {self.highest:g}); say from "
                f"which reward on a response is correct, such as --threshold "
                f"{self._likely():g}{self.offers}"
            )

    def _likely(self) -> float:
        """A threshold with rewards on both sides of it: 1 or ½ of a scale to 1, else full marks."""
        whole = all(value == round(value) for value in self.values)
        between = 1.0 if self.highest > 1 else 0.5
        inside = self.lowest < between <= self.highest
        return between if inside and not whole else self.highest


def two_values(values: list[Any]) -> tuple[float, float] | None:
    """Wrong and correct by ``theory.rewards.two_levels``, lists taken apart and blanks left out.

    >>> two_values([10, 0, 0.0]), two_values([-1, 1]), two_values([0, 0.5]), two_values([0, 1, 2])
    ((0.0, 10.0), (-1.0, 1.0), None, None)
    """
    found = [value for item in flat(values) if (value := number(item)) is not None]
    return two_levels(found)
