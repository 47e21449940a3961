"""Correct responses and tries of every prompt so far, which fade as the policy moves."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from theory.empirical_bayes import History, observed


class _Seen(NamedTuple):
    """Discounted S and N of a prompt, the step they are of, and K and M of its last group."""

    correct: float
    tries: float
    step: int
    last_correct: float
    last_tries: float


class PromptCounts:
    """Discounted counts of prompts, and the last group of each.

    Args:
        keep: Factor by which counts fade from one step to the next, in [0, 1].

    >>> counts = PromptCounts(0.5)
    >>> counts.add(["1+1="], [3.0], [4.0], step=0)
    >>> counts.at(["1+1=", "2+2="], step=2).tolist()
    [[0.75, 1.0], [0.0, 0.0]]
    """

    def __init__(self, keep: float) -> None:
        self._keep = keep
        self._seen: dict[str, _Seen] = {}

    def add(
        self, keys: Sequence[str], correct: Sequence[float], tries: Sequence[float], *, step: int
    ) -> None:
        """Count groups of a step; responses that could not be scored are no tries."""
        for key, right, tried in zip(keys, correct, tries, strict=True):
            before = self._seen.get(key, _Seen(0.0, 0.0, step, 0.0, 0.0))
            kept, group = self._keep ** (step - before.step), (float(right), float(tried))
            total = observed(History(before.correct, before.tries), *group, keep=kept)
            self._seen[key] = _Seen(*total, step, *(group if tried else before[3:]))

    def at(self, keys: Sequence[str], *, step: int) -> np.ndarray:
        """S and N of prompts as they are at a step, shape (prompts, 2); zeros for unknown ones."""
        found = np.zeros((len(keys), 2))
        for place, key in enumerate(keys):
            if key in self._seen:
                seen = self._seen[key]
                kept = self._keep ** max(step - seen.step, 0)
                found[place] = kept * seen.correct, kept * seen.tries
        return found

    def last_groups(self) -> np.ndarray:
        """K and M of the last group of every prompt seen, whole numbers, shape (prompts, 2)."""
        groups = [seen[3:] for seen in self._seen.values() if seen.last_tries]
        return np.array(groups).reshape(-1, 2)

    def state(self) -> dict[str, list[float]]:
        """Everything, of JSON types."""
        return {key: list(seen) for key, seen in self._seen.items()}

    def remember(self, state: Mapping[str, Sequence[Any]]) -> None:
        """Go on from :meth:`state`."""
        self._seen = {key: _Seen(*seen) for key, seen in state.items()}


def prompt_key(prompt: Any) -> str:
    """A short name for a prompt, text or conversation."""
    text = json.dumps(prompt, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
