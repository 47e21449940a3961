"""Log-linear policy: prompts share parameters through features, so training one moves others."""

from __future__ import annotations

import dataclasses
import math

import jax
import jax.numpy as jnp

from sim._floats import epsilon
from sim.policies.base import Array, SharedPolicy, logit_score


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class LogLinear(SharedPolicy):
    """Logits z_ax = z⁰_ax + Σ_j W_ja φ_jx with features φ(x) shared by all answers.

    Parameters are W, shape (features, answers), 0 at the start.

    Attributes:
        correct: Boolean, shape (answers, prompts).
        prior: z⁰, shape (answers, prompts).
        features: φ, shape (features, prompts).
    """

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
        by_logit = logit_score(masses, weights, total, sum_of_masses)
        gradient: Array = self.features @ by_logit.T / weights.shape[1]
        return gradient

    def moved(self, parameters: Array, direction: Array) -> Array:
        """Parameters moved by the natural gradient: the direction as far as features express it.

        Where prompts share parameters no step changes each prompt's distribution as it likes. The
        step taken is the one whose change of logits Δᵀφ is nearest to the direction d in the
        Fisher metric of the policy: Δ minimises Σ_x (Δᵀφ_x − d_x)ᵀ F_x (Δᵀφ_x − d_x) with
        F_x = diag π_x − π_x π_xᵀ, so Δ = F⁺ (1/n) Σ_x φ_x (F_x d_x)ᵀ with F = (1/n) Σ_x φφᵀ ⊗ F_x.

        Args:
            parameters: Where it starts.
            direction: Wanted change of the logits, shape (answers, prompts).

        Source: Kakade (2001), a natural policy gradient; compatible function approximation.
        """
        masses = self.masses(parameters)
        probabilities = masses / masses.sum(axis=0)[None]
        weights = probabilities * direction
        gradient = self.score(parameters, masses, weights)
        features, answers = gradient.shape
        count = direction.shape[1]
        scaled = (self.features[:, None] * probabilities[None]).reshape(-1, count)
        own = jnp.einsum("jx,kx,ax->jak", self.features, self.features, probabilities)
        fisher = own[:, :, :, None] * jnp.eye(answers, dtype=own.dtype)[None, :, None]
        fisher = (fisher.reshape(features * answers, -1) - scaled @ scaled.T) / count
        # Shifting all logits of a prompt changes nothing: F is singular, and a ridge of half its
        # digits picks the shortest of the equivalent steps. Where the policy has become certain F
        # vanishes and the gradient is rounding; the last term keeps that from becoming a step.
        ridge = math.sqrt(epsilon(fisher)) * jnp.trace(fisher) / len(fisher)
        ridge = ridge + epsilon(fisher) * (self.features**2).mean()
        damped = fisher + ridge * jnp.eye(len(fisher), dtype=fisher.dtype)
        step = jax.scipy.linalg.solve(damped, gradient.ravel(), assume_a="pos")
        return parameters + step.reshape(features, answers)
