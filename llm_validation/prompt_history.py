"""What a trainer remembers of its prompts, for schemes whose baseline asks for it, and for plans.

A scheme is a function of one group and has no state (:mod:`theory.empirical_bayes`): the trainer
keeps correct responses and tries of each prompt, discounted by the optimizer step, and puts them
into its checkpoints. With ``refit`` it also fits the prior of all prompts every so many steps.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from accelerate.utils import gather_object

from llm_validation.prompt_counts import PromptCounts, prompt_key
from llm_validation.prompt_planner import PromptPlanner
from theory.advantages import group_advantages
from theory.beta_binomial import fit_pass_rates
from theory.empirical_bayes import Prior, prior_of
from theory.schemes import Scheme


class PromptHistory:
    """Correct responses and tries of every prompt so far, and the prior of all prompts.

    The prior is the scheme's own until ``refit`` steps have passed, and is then the Beta-binomial
    fit, with a mass at 0 where it helps, to the last group of every prompt seen: one count of each,
    whole and as recent as there is. Where the counts leave the fit open, as when no response was
    correct, the prior stays as it was.

    Args:
        scheme: The scheme; one that keeps no history makes every method do nothing.

    Attributes:
        planner: Who plans which prompts come next, from the same outcomes; none by default.

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
        self.planner: PromptPlanner | None = None
        self._counts = PromptCounts(self._keep)
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
        if not self.scheme.keeps_history and self.planner is None:
            return
        # With one process this is the list itself.
        rows: list[str] = gather_object([prompt_key(row["prompt"]) for row in inputs])
        self._keys, self._step = rows[::group_size], step
        # Before its responses are drawn: a baseline made of them would bias the update.
        if self._refit and step - self._fitted >= self._refit:
            self._fit()

    def advantages(self, rewards: np.ndarray, valid: np.ndarray | None) -> np.ndarray:
        """Advantages of the groups of these prompts, shape (groups, M)."""
        # The last step counts in full, earlier ones less and less.
        counts = self._counts.at(self._keys, step=self._step - 1).astype(rewards.dtype)
        history = (counts if self._keep else np.zeros_like(counts)).T
        return np.asarray(
            group_advantages(rewards, self.scheme, history=(history[0], history[1]), valid=valid)
        )

    def add(self, rewards: np.ndarray, valid: np.ndarray, raw: np.ndarray | None = None) -> None:
        """Count the responses of these prompts; those that could not be scored do not count.

        Args:
            rewards: What the scheme weighs, shape (groups, M).
            valid: Which responses were scored.
            raw: Rewards by function, shape (rows, functions), which the planner takes its outcomes
                from: a scheme of any scale is given totals.
        """
        if self.scheme.keeps_history:
            correct, tries = (rewards * valid).sum(axis=1), valid.sum(axis=1)
            self._counts.add(self._keys, correct, tries, step=self._step)
        if self.planner is not None and raw is not None:
            self.planner.add_rewards(self._keys, raw)

    def end_batch(self) -> None:
        """Let the planner plan: the batch, with what was sampled again, is whole."""
        if self.planner is not None:
            self.planner.end_batch()

    def _fit(self) -> None:
        """Fit the prior to the last group of every prompt."""
        groups = self._counts.last_groups()
        if not len(groups):
            return
        self._fitted = self._step
        fit = fit_pass_rates(groups[:, 0], groups[:, 1])
        if not fit.message:
            self.scheme = self.scheme.bind(a=fit.a, b=fit.b, never=fit.never)

    def metrics(self) -> dict[str, float]:
        """The prior that the last batch was weighed by, if refitted, and what the planner says."""
        prior = self.prior._asdict() if self._refit else {}
        planned = {} if self.planner is None else self.planner.metrics()
        return {f"prior_{name}": float(value) for name, value in prior.items()} | planned

    def state(self) -> dict[str, Any]:
        """Everything, of JSON types; empty where nothing is kept."""
        kept: dict[str, Any] = {}
        if self.scheme.keeps_history:
            counts = self._counts.state()
            kept |= {"prompts": counts, "prior": list(self.prior), "fitted": self._fitted}
        return kept if self.planner is None else kept | {"plan": self.planner.state()}

    def remember(self, state: Mapping[str, Any]) -> None:
        """Go on from :meth:`state`."""
        if self.planner is not None and "plan" in state:
            self.planner.remember(state["plan"])
        if "prompts" not in state:
            return
        self._counts.remember(state["prompts"])
        self._fitted = state["fitted"]
        self.scheme = self.scheme.bind(**Prior(*state["prior"])._asdict())
