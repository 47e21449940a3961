"""Log-linear policy: prompts share parameters through features, so training one moves others."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import jax

from sim.policies.base import Array, MaskedPolicy


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LogLinear(MaskedPolicy):
    """Logits z_ax = z⁰_ax + Σ_j W_ja φ_jx with features φ(x) shared by all answers.

    Parameters are W, shape (features, answers), 0 at the start.

    Attributes:
        correct: Boolean, shape (answers, prompts).
        prior: z⁰, shape (answers, prompts).
        features: φ, shape (features, prompts).
    """

    correct: Array
    prior: Array
    features: Array

    shared: ClassVar[bool] = True

    def logits(self, parameters: Array) -> Array:
        """Prior plus what the features add."""
        return self.prior + parameters.T @ self.features

    def score(
        self,
        parameters: Array,
        masses: Array,
        weights: Array,
        total: Array | None = None,
        sum_of_masses: Array | None = None,
    ) -> Array:
        """(1/n) φ (W − π ΣW)ᵀ, the mean over the n prompts."""
        total = weights.sum(axis=0) if total is None else total
        sum_of_masses = masses.sum(axis=0) if sum_of_masses is None else sum_of_masses
        by_logit = weights - masses * (total / sum_of_masses)[None]
        gradient: Array = self.features @ by_logit.T / weights.shape[1]
        return gradient

    def take(self, prompts: Array) -> LogLinear:
        """The policy on some of the prompts."""
        return LogLinear(
            self.correct[:, prompts], self.prior[:, prompts], self.features[:, prompts]
        )
