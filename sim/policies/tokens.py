"""What policies over token sequences have in common: scores and clips by choice of a token."""

from __future__ import annotations

import abc

import jax
import jax.numpy as jnp

from sim.policies.base import Array, MaskedPolicy
from sim.policies.tree_shape import TreeShape


class TokenPolicy(MaskedPolicy):
    """Autoregressive softmax, π(y|x) = Π_t π(y_t | y_<t, x), over the answers of a tree.

    A *choice* is a token after a prefix. Everything is known from the logits of the choices, and
    the gradient in them is carried back to what the policy learns.

    Attributes:
        shape: The answers.
    """

    shape: TreeShape

    @abc.abstractmethod
    def choice_logits(self, parameters: Array) -> Array:
        """Logits of every choice, shape (nodes × symbols, prompts)."""

    @abc.abstractmethod
    def through(self, weights: Array) -> Array:
        """Sum of the answers' weights that pass through each choice."""

    @abc.abstractmethod
    def carry_back(self, gradient: Array) -> Array:
        """Gradient in the parameters, from that in the logits of the choices."""

    @property
    def lengths(self) -> Array:
        """Tokens of each answer, the end token included."""
        return jnp.asarray(self.shape.lengths)

    def choices(self, parameters: Array) -> Array:
        """Log-probabilities of every choice, shape (nodes × symbols, prompts)."""
        logits = self.choice_logits(parameters)
        by_node = logits.reshape(-1, self.shape.symbols, logits.shape[-1])
        return jax.nn.log_softmax(by_node, axis=1).reshape(logits.shape)

    def score(
        self,
        parameters: Array,
        masses: Array,
        weights: Array,
        total: Array | None = None,
        sum_of_masses: Array | None = None,
    ) -> Array:
        """Per node, the weight W that passes through each choice minus π times their sum."""
        return self._score_of_choices(self.choices(parameters), self.through(weights))

    def clipped_score(
        self,
        parameters: Array,
        sampled: Array,
        weights: Array,
        clip_low: float,
        clip_high: float,
        negative: Array | None = None,
    ) -> Array:
        """Gradient of PPO's surrogate with a ratio per token, Σ_a Σ_t min(r_t W_a, clip(r_t) W_a).

        r_t = π(y_t|y_<t)/π_old(y_t|y_<t) belongs to a choice, so all answers that make the choice
        share it, and only what passes through with either sign has to be known.

        Args:
            parameters: Where the gradient is taken.
            sampled: Parameters of the policy that drew the responses.
            weights: W, shape (answers, prompts), of one sign per answer.
            clip_low: ε of 1 − ε.
            clip_high: ε of 1 + ε.
            negative: Negative part of the weights, where responses with one answer have both.

        Source: Schulman et al. (2017), eq. 7, per token as trainers of language models have it.
        """
        below = jnp.minimum(weights, 0) if negative is None else negative
        signed = jnp.concatenate([weights - below, below], axis=1)
        good, bad = jnp.split(self.through(signed), 2, axis=1)
        choices = self.choices(parameters)
        ratio = jnp.exp(choices - self.choices(sampled))
        good = jnp.where(ratio < 1 + clip_high, good, 0)
        bad = jnp.where(ratio > 1 - clip_low, bad, 0)
        return self._score_of_choices(choices, ratio * (good + bad))

    def _score_of_choices(self, choices: Array, weights: Array) -> Array:
        by_node = weights.reshape(-1, self.shape.symbols, weights.shape[-1])
        probabilities = jnp.exp(choices).reshape(by_node.shape)
        gradient = by_node - probabilities * by_node.sum(axis=1, keepdims=True)
        return self.carry_back(gradient.reshape(weights.shape))
