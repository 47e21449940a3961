"""What a trainer remembers of its prompts, for schemes whose baseline asks for it.

A scheme is a function of one group and has no state (:mod:`theory.empirical_bayes`): the trainer
keeps correct responses and tries of each prompt, discounted by the optimizer step, and puts them
into its checkpoints. With ``refit`` it also fits the prior of all prompts every so many steps.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from accelerate.utils import gather_object

from theory.advantages import group_advantages
from theory.beta_binomial import fit_pass_rates
from theory.empirical_bayes import History, Prior, observed, prior_of
from theory.schemes import Scheme


class _Seen(NamedTuple):
    """Discounted S and N of a prompt, the step they are of, and K and M of its last group."""

    correct: float
    tries: float
    step: int
    last_correct: float
    last_tries: float


class PromptHistory:
    """Correct responses and tries of every prompt so far, and the prior of all prompts.

    The prior is the scheme's own until ``refit`` steps have passed, and is then the Beta-binomial
    fit, with a mass at 0 where it helps, to the last group of every prompt seen: one count of each,
    whole and as recent as there is. Where the counts leave the fit open, as when no response was
    correct, the prior stays as it was.

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
        options = scheme.options if scheme.keeps_history else {"keep": 0, "refit": 0}
        self._keep, self._refit = float(options["keep"] or 0), int(options["refit"] or 0)
        self._seen: dict[str, _Seen] = {}
        self._keys: list[str] = []
        self._step = self._fitted = 0

    @property
    def prior(self) -> Prior:
        """The prior of all prompts at present."""
        return prior_of(self.scheme)

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
        # Before its responses are drawn: a baseline made of them would bias the update.
        if self._refit and step - self._fitted >= self._refit:
            self._fit()

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
            before = self._seen.get(key, _Seen(0.0, 0.0, self._step, 0.0, 0.0))
            kept, group = self._keep ** (self._step - before.step), (float(right), float(tried))
            counts = observed(History(before.correct, before.tries), *group, keep=kept)
            last = group if tried else before[3:]
            self._seen[key] = _Seen(*counts, self._step, *last)

    def _counts(self, key: str) -> tuple[float, float]:
        """S and N after the last step: that one counts in full, earlier ones less and less."""
        if key not in self._seen or not self._keep:
            return 0.0, 0.0
        seen = self._seen[key]
        kept = self._keep ** max(self._step - seen.step - 1, 0)
        return kept * seen.correct, kept * seen.tries

    def _fit(self) -> None:
        """Fit the prior to the last group of every prompt."""
        groups = [seen[3:] for seen in self._seen.values() if seen.last_tries]
        if not groups:
            return
        counts = np.array(groups)
        self._fitted = self._step
        fit = fit_pass_rates(counts[:, 0], counts[:, 1])
        if not fit.message:
            self.scheme = self.scheme.bind(a=fit.a, b=fit.b, never=fit.never)

    def metrics(self) -> dict[str, float]:
        """The prior that the last batch was weighed by, if it is refitted."""
        prior = self.prior._asdict() if self._refit else {}
        return {f"prior_{name}": float(value) for name, value in prior.items()}

    def state(self) -> dict[str, Any]:
        """Everything, of JSON types; empty for a scheme that keeps no history."""
        if not self.scheme.keeps_history:
            return {}
        prompts = {key: list(seen) for key, seen in self._seen.items()}
        return {"prompts": prompts, "prior": list(self.prior), "fitted": self._fitted}

    def remember(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`."""
        if not state:
            return
        self._seen = {key: _Seen(*seen) for key, seen in state["prompts"].items()}
        self._fitted = state["fitted"]
        self.scheme = self.scheme.bind(**Prior(*state["prior"])._asdict())


def _key(prompt: Any) -> str:
    """A short name for a prompt, text or conversation."""
    text = json.dumps(prompt, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:24]
