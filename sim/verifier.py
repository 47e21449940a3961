"""A verifier that errs: verdicts of responses where right ones may fail and wrong ones pass."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from sim.policies.base import Policy

Array = jax.Array


@dataclasses.dataclass(frozen=True)
class Verifier:
    """Verdicts of sampled responses; each response errs by itself.

    What is sampled are *outcomes*, an answer with its verdict: all answers as passed, then all as
    failed, with the masses m_a p_a and m_a (1 − p_a), p_a the chance that answer a passes. A
    verifier without errors leaves the answers themselves.

    Attributes:
        false_positives: f₀, chance that a wrong response passes.
        false_negatives: f₁, chance that a right response fails.

    >>> from sim.policies.bandit import Bandit
    >>> errs = Verifier(0.25, 0.5)
    >>> errs.outcomes(Bandit(2, 1), jnp.array([[2.0], [4.0]])).ravel().tolist()
    [1.0, 1.0, 1.0, 3.0]
    """

    false_positives: float = 0.0
    false_negatives: float = 0.0

    @property
    def exact(self) -> bool:
        """Whether it never errs."""
        return self.false_positives == 0 and self.false_negatives == 0

    @property
    def informedness(self) -> float:
        """J = 1 − f₀ − f₁."""
        return 1 - self.false_positives - self.false_negatives

    def observed(self, success: Array, failure: Array) -> tuple[Array, Array]:
        """Pass rate ρ̃ = f₀ + Jρ and 1 − ρ̃, from ρ and 1 − ρ."""
        if self.exact:
            return success, failure
        passing = (1 - self.false_negatives) * success + self.false_positives * failure
        failing = self.false_negatives * success + (1 - self.false_positives) * failure
        return passing, failing

    def outcomes(self, policy: Policy, masses: Array) -> Array:
        """Masses of the outcomes, shape (answers or 2 × answers, prompts)."""
        if self.exact:
            return masses
        one = jnp.ones_like(masses[0])
        passing = policy.by_verdict((1 - self.false_negatives) * one, self.false_positives * one)
        return jnp.concatenate([masses * passing, masses * (1 - passing)])

    def passed(self, policy: Policy, counts: Array) -> Array:
        """How many responses of each group passed, K, shape (prompts,)."""
        if self.exact:
            return policy.sum_correct(counts)
        return counts[: len(counts) // 2].sum(axis=0)

    def by_answer(self, counts: Array) -> Array:
        """Counts of the answers, whatever their verdict."""
        return counts if self.exact else counts[: len(counts) // 2] + counts[len(counts) // 2 :]

    def weights(
        self, policy: Policy, counts: Array, positive: Array, negative: Array
    ) -> tuple[Array, Array | None]:
        """Weight of each answer, and its negative part where an answer may have both.

        Args:
            policy: The policy.
            counts: Counts of the outcomes.
            positive: Advantage of a response that passed, shape (prompts,).
            negative: Minus that of a response that failed.
        """
        if self.exact:
            return counts * policy.by_verdict(positive, -negative), None
        passed, failed = jnp.split(counts, 2)
        gain, loss = passed * positive[None], -failed * negative[None]
        return gain + loss, jnp.minimum(gain, 0) + jnp.minimum(loss, 0)
