"""Token tree: an autoregressive tabular policy whose answers are sequences of tokens."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sim._floats import tiny
from sim.policies.base import Array, MaskedPolicy
from sim.policies.tree_shape import TreeShape


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tree(MaskedPolicy):
    """Autoregressive softmax, π(y|x) = Π_t π(y_t | y_<t, x), a table of logits per prefix.

    Parameters are the choice logits, shape (nodes × symbols, prompts).

    Attributes:
        correct: Boolean, shape (answers, prompts).
        shape: The answers.
    """

    correct: Array
    shape: TreeShape = dataclasses.field(metadata={"static": True})

    @property
    def lengths(self) -> Array:
        """Tokens of each answer, the end token included."""
        return jnp.asarray(self.shape.incidence.sum(axis=1))

    def choices(self, parameters: Array) -> Array:
        """Log-probabilities of every choice, shape (nodes × symbols, prompts)."""
        by_node = parameters.reshape(-1, self.shape.symbols, parameters.shape[-1])
        return jax.nn.log_softmax(by_node, axis=1).reshape(parameters.shape)

    def logits(self, parameters: Array) -> Array:
        """Log-probabilities of the answers: sums of those of their choices."""
        incidence = jnp.asarray(self.shape.incidence, parameters.dtype)
        return jnp.matmul(incidence, self.choices(parameters), precision=lax.Precision.HIGHEST)

    def score(
        self,
        parameters: Array,
        masses: Array,
        weights: Array,
        total: Array | None = None,
        sum_of_masses: Array | None = None,
    ) -> Array:
        """Per node, the weight W that passes through each choice minus π times their sum."""
        incidence = jnp.asarray(self.shape.incidence, parameters.dtype)
        through = jnp.matmul(incidence.T, weights, precision=lax.Precision.HIGHEST)
        by_node = through.reshape(-1, self.shape.symbols, parameters.shape[-1])
        probabilities = jnp.exp(self.choices(parameters)).reshape(by_node.shape)
        gradient = by_node - probabilities * by_node.sum(axis=1, keepdims=True)
        return gradient.reshape(parameters.shape)

    def clipped_score(
        self, parameters: Array, sampled: Array, weights: Array, clip_low: float, clip_high: float
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

        Source: Schulman et al. (2017), eq. 7, per token as trainers of language models have it.
        """
        incidence = jnp.asarray(self.shape.incidence, parameters.dtype)
        signed = jnp.concatenate([jnp.maximum(weights, 0), jnp.minimum(weights, 0)], axis=1)
        through = jnp.matmul(incidence.T, signed, precision=lax.Precision.HIGHEST)
        good, bad = jnp.split(through, 2, axis=1)
        choices = self.choices(parameters)
        ratio = jnp.exp(choices - self.choices(sampled))
        good = jnp.where(ratio < 1 + clip_high, good, 0)
        bad = jnp.where(ratio > 1 - clip_low, bad, 0)
        by_node = (ratio * (good + bad)).reshape(-1, self.shape.symbols, parameters.shape[-1])
        probabilities = jnp.exp(choices).reshape(by_node.shape)
        gradient = by_node - probabilities * by_node.sum(axis=1, keepdims=True)
        return gradient.reshape(parameters.shape)

    def moved(self, parameters: Array, direction: Array) -> Array:
        """Parameters of π·exp(direction): choice logits of the moved distribution."""
        logits = self.logits(parameters) + direction
        masses = jnp.exp(logits - logits.max(axis=0)[None])
        incidence = jnp.asarray(self.shape.incidence, parameters.dtype)
        through = jnp.matmul(incidence.T, masses, precision=lax.Precision.HIGHEST)
        return jnp.log(through + tiny(parameters))


def choice_logits(shape: TreeShape, log_probabilities: np.ndarray) -> np.ndarray:
    """Log-mass of the subtree below each choice, float64, shape (nodes × symbols, prompts).

    Args:
        shape: The answers.
        log_probabilities: ln π(a|x) up to a constant, shape (answers, prompts).

    >>> shape = TreeShape(length=2, symbols=2)
    >>> np.exp(choice_logits(shape, np.log([[0.1], [0.2], [0.3], [0.4]]))).round(6).ravel().tolist()
    [0.3, 0.7, 0.1, 0.2, 0.3, 0.4]
    """
    rows = [
        np.logaddexp.reduce(log_probabilities[through], axis=0)
        for through in (shape.incidence > 0).T
    ]
    return np.stack(rows)
