"""Noisy worked solutions of Countdown: the best of a number of random tries.

A demonstrator writes down n expressions at random, each legal one as likely as another, and shows
the one nearest to the target. It is right with probability 1 − (1 − f)ⁿ where a share f of the
legal expressions is right: hard prompts are mostly shown wrong, by near misses. With n below 1 it
shows a random expression of the prompt's numbers with probability n, and else one of other numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.optimize import brentq

from llm_validation.tasks.expressions import legal_expressions
from llm_validation.tasks.small_countdown import parse_problem
from llm_validation.tasks.task import Example


class Demonstrator:
    """Draws expressions for problems.

    Args:
        examples: Problems of the task ``small_countdown``.

    Attributes:
        texts: Every expression that may be shown, once.
        share: Share f of right ones among the legal expressions of each problem's numbers.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        problems = [parse_problem(example.gold) for example in examples]
        self.texts: list[str] = []
        spelled: dict[tuple[int, ...], tuple[np.ndarray, int]] = {}
        for numbers in sorted({numbers for numbers, _ in problems}):
            legal = legal_expressions(numbers)
            spelled[numbers] = np.array([float(e.value) for e in legal]), len(self.texts)
            self.texts += [e.text for e in legal]
        self._nearest: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        shares = []
        for numbers, target in problems:
            values, first = spelled[numbers]
            distance = np.abs(values - target).round(9)  # floats of equal fractions may differ
            order = np.argsort(distance, kind="stable")
            ranked = distance[order]
            # Of expressions equally near one is as good as another: each one's block of equals.
            start, end = (np.searchsorted(ranked, ranked, side) for side in ("left", "right"))
            self._nearest.append((first + order, start, end))
            shares.append(np.count_nonzero(ranked == 0) / len(ranked))
        self.share = np.array(shares)

    def success(self, tries: float) -> float:
        """Mean chance of a right demonstration after n tries; other numbers count as wrong."""
        if tries < 1:
            return float(tries * self.share.mean())
        return float(np.mean(-np.expm1(tries * np.log1p(-self.share))))

    def tries(self, success: float) -> float:
        """Number n of tries, whole or not, whose mean chance of a right demonstration this is.

        Raises:
            ValueError: No chance in (0, 1).
        """
        if not 0 < success < 1:
            raise ValueError(f"success must lie in (0, 1); got {success:g}")
        if success <= self.success(1):
            return float(success / self.share.mean())
        found = brentq(lambda log: self.success(math.exp(log)) - success, 0.0, math.log(1e9))
        return math.exp(found)

    def draw(self, chosen: np.ndarray, tries: float, rng: np.random.Generator) -> np.ndarray:
        """Places in ``texts`` of one demonstration for each of the chosen problems."""
        uniform, within, own = rng.random((3, len(chosen)))
        others = rng.integers(len(self.texts), size=len(chosen))
        # The least of n uniform numbers has the distribution function 1 − (1 − u)ⁿ.
        least = -np.expm1(np.log1p(-uniform) / max(tries, 1.0))
        shown = []
        for row, problem in enumerate(chosen):
            if own[row] >= tries:
                shown.append(others[row])
                continue
            order, starts, ends = self._nearest[problem]
            rank = min(int(least[row] * len(order)), len(order) - 1)
            start, end = starts[rank], ends[rank]
            shown.append(order[start + int(within[row] * (end - start))])
        return np.array(shown)
