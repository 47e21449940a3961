"""What a trainer remembers of its prompts, for schemes whose baseline asks for it.

A scheme is a function of one group and has no state (:mod:`theory.empirical_bayes`): the trainer
keeps correct responses and tries of each prompt, discounted by the optimizer step, and puts them
into its checkpoints.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from accelerate.utils import gather_object

from theory.advantages import group_advantages
from theory.schemes import Scheme


class PromptHistory:
    """Correct responses and tries of every prompt so far.

    Args:
        scheme: The scheme; one that keeps no history makes every method do nothing.

    >>> from theory.schemes import resolve
    >>> history = PromptHistory(resolve("empirical_bayes:a=1,b=1,keep=0.5"))
    >>> rewards, valid = np.array([[1.0, 0.0]]), np.ones((1, 2), dtype=bool)
    >>> for step in (0, 1):
    ...     history.begin([{"prompt": "1+1="}] * 2, 2, step)
    ...     advantages = history.advantages(rewards, None)
    ...     history.add(rewards, valid)
    >>> advantages.tolist()  # a + 1 and b + 1 of step 0, and the other response
    [[0.6, -0.6]]
    """

    def __init__(self, scheme: Scheme) -> None:
        self.scheme = scheme
        self._keep = float(scheme.options["keep"] or 0) if scheme.keeps_history else 0.0
        self._seen: dict[str, tuple[float, float, int]] = {}  # with the step of the last update
        self._keys: list[str] = []
        self._step = 0

    def begin(self, inputs: Sequence[Any], group_size: int, step: int) -> None:
        """Learn which prompts are sampled next.

        Args:
            inputs: Rows of this process, with a ``prompt``; groups are consecutive rows, perhaps
                spread over processes.
            group_size: M.
            step: Number of the optimizer step.
        """
        if not self.scheme.keeps_history:
            return
        # With one process this is the list itself.
        rows: list[str] = gather_object([_key(row["prompt"]) for row in inputs])
        self._keys, self._step = rows[::group_size], step

    def advantages(self, rewards: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
        """Advantages of the groups of these prompts, shape (groups, M)."""
        counts = np.array([self._counts(key) for key in self._keys], dtype=rewards.dtype)
        history = counts[:, 0], counts[:, 1]
        return np.asarray(group_advantages(rewards, self.scheme, history=history, valid=valid))

    def add(self, rewards: np.ndarray, valid: np.ndarray) -> None:
        """Count the responses of these prompts; those that could not be scored do not count."""
        if not self.scheme.keeps_history:
            return
        correct, tries = (rewards * valid).sum(axis=1), valid.sum(axis=1)
        for key, right, tried in zip(self._keys, correct, tries, strict=True):
            before, seen, step = self._seen.get(key, (0.0, 0.0, self._step))
            kept = self._keep ** (self._step - step)
            self._seen[key] = kept * before + float(right), kept * seen + float(tried), self._step

    def _counts(self, key: str) -> tuple[float, float]:
        """S and N after the last step: that one counts in full, earlier ones less and less."""
        correct, tries, step = self._seen.get(key, (0.0, 0.0, self._step))
        kept = self._keep ** max(self._step - step - 1, 0)
        return kept * correct, kept * tries

    def state(self) -> dict[str, list[float]]:
        """Everything, of JSON types."""
        return {key: list(values) for key, values in self._seen.items()}

    def remember(self, state: dict[str, list[float]]) -> None:
        """Go on from :meth:`state`."""
        self._seen = {key: (k, n, int(step)) for key, (k, n, step) in state.items()}


def _key(prompt: Any) -> str:
    """A short name for a prompt, text or conversation."""
    text = json.dumps(prompt, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
