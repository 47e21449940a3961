"""Independent softmax bandit: one logit per prompt and answer, nothing shared between prompts."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
from jax import lax

from sim._folds import max_over_answers
from sim.policies.base import Policy, logit_score

Array = jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Bandit(Policy):
    """Softmax over the answers of each prompt, π(a|x) ∝ exp(z_ax); the first answers are correct.

    Parameters are the logits, shape (answers, prompts).

    Attributes:
        answers: Number of answers.
        correct_answers: How many of them, the first ones, are correct.

    >>> bandit = Bandit(2, 1)
    >>> success, failure = bandit.success(jnp.log(jnp.array([[1.0], [3.0]])))
    >>> success.tolist(), failure.tolist()
    ([0.25], [0.75])
    """

    answers: int = dataclasses.field(metadata={"static": True})
    correct_answers: int = dataclasses.field(metadata={"static": True})

    def logits(self, parameters: Array) -> Array:
        """The parameters themselves."""
        return parameters

    def masses(self, parameters: Array) -> Array:
        """Unnormalised probabilities exp(z − max z), shape (answers, prompts)."""
        return jnp.exp(parameters - max_over_answers(parameters)[None])

    def score(
        self,
        parameters: Array,
        masses: Array,
        weights: Array,
        total: Array | None = None,
        sum_of_masses: Array | None = None,
    ) -> Array:
        """W − π Σ_a W_a."""
        return logit_score(masses, weights, total, sum_of_masses)

    def moved(self, parameters: Array, direction: Array) -> Array:
        """Logits plus direction."""
        return parameters + direction

    def sum_correct(self, values: Array) -> Array:
        """Sum over the first answers."""
        return values[: self.correct_answers].sum(axis=0)

    def sum_wrong(self, values: Array) -> Array:
        """Sum over the rest."""
        return values[self.correct_answers :].sum(axis=0)

    def by_verdict(self, right: Array, wrong: Array) -> Array:
        """``right`` in the first rows, ``wrong`` in the rest."""
        shape = (self.answers, right.shape[0])
        row = lax.broadcasted_iota(jnp.int32, shape, 0)
        return jnp.where(row < self.correct_answers, right[None], wrong[None])
