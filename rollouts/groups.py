"""Groups of responses: flat arrays of responses, one group after the other."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np

Integers = np.ndarray[tuple[int, ...], np.dtype[np.int64]]
Keys = np.ndarray[tuple[int, ...], np.dtype[np.uint64]]
Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Booleans = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@dataclasses.dataclass(frozen=True)
class Groups:
    """Whole groups: the responses to one prompt at one step each.

    Attributes:
        step: Training step of each group, shape (groups,), increasing.
        prompt: Key of each group's prompt, shape (groups,).
        size: Responses of each group, at least 1, shape (groups,).
        success: Whether each response is correct, shape (responses,), group after group.
        text: Hash of each response's text, shape (responses,), 0 where there is none; or None.
        log_confidence: ln π̄ ≤ 0, the mean log-probability of each response's tokens, shape
            (responses,), NaN where it is not known; or None.
        length: Tokens of each response, NaN where not known; or None.
        log_ratio: Log-probability of each response under the trainer minus that under the sampler,
            NaN where not known; or None.
        advantage: Advantage that the trainer gave each response, NaN where not known; or None.
        truncated: 1 for responses that were cut off, 0 for others, NaN where not known; or None.
        age: Updates of the policy between sampling and training, NaN where not known; or None.
        characters: Characters of each response where tokens are not known; or None.
        restated: 1 for boxed answers that only say the problem again, NaN without a box; or None.
        components: Parts of the reward beside the outcome, shape (components, responses), NaN
            where not known; or None.
    """

    step: Integers
    prompt: Keys
    size: Integers
    success: Booleans
    text: Keys | None = None
    log_confidence: Floats | None = None
    length: Floats | None = None
    log_ratio: Floats | None = None
    advantage: Floats | None = None
    truncated: Floats | None = None
    age: Floats | None = None
    characters: Floats | None = None
    restated: Floats | None = None
    components: Floats | None = None

    @functools.cached_property
    def start(self) -> Integers:
        """Index of each group's first response."""
        return np.cumsum(self.size) - self.size

    @functools.cached_property
    def correct(self) -> Integers:
        """Correct responses K of each group."""
        if not self.size.size:
            return self.size
        return np.add.reduceat(self.success.astype(np.int64), self.start)

    def sums(self, values: Floats | Booleans) -> Floats:
        """Sum of a value of each response over each group."""
        if not self.size.size:
            return np.zeros(0)
        return np.add.reduceat(values.astype(np.float64, copy=False), self.start)


def whole_groups(step: Integers, prompt: Keys, success: Booleans, **known: Any) -> Groups:
    """Groups of responses that stand sorted by step and prompt.

    Args:
        step: Step of each response, shape (responses,).
        prompt: Key of each response's prompt.
        success: Whether it is correct.
        **known: What else is known, as in :class:`Groups`.

    >>> groups = whole_groups(
    ...     np.array([1, 1, 2]), np.array([7, 7, 7], np.uint64), np.array([True, False, True])
    ... )
    >>> groups.size.tolist(), groups.correct.tolist()
    ([2, 1], [1, 1])
    """
    first = first_of_runs(step, prompt)
    size = np.diff(np.append(first, step.size))
    return Groups(step[first], prompt[first], size, success, **known)


def first_of_runs(*keys: np.ndarray) -> Integers:
    """Index of the first of every run of equal keys.

    >>> first_of_runs(np.array([3, 3, 4]), np.array([1, 2, 2])).tolist()
    [0, 1, 2]
    """
    if not keys[0].size:
        return np.zeros(0, dtype=np.int64)
    new = np.zeros(keys[0].size, dtype=bool)
    new[0] = True
    for key in keys:
        new[1:] |= key[1:] != key[:-1]
    return np.flatnonzero(new)
