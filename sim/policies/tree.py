"""Token tree: an autoregressive tabular policy whose answers are sequences of tokens."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sim._floats import tiny
from sim.policies.base import Array
from sim.policies.tokens import TokenPolicy
from sim.policies.tree_shape import TreeShape


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Tree(TokenPolicy):
    """Autoregressive softmax, π(y|x) = Π_t π(y_t | y_<t, x), a table of logits per prefix.

    Parameters are the choice logits, shape (nodes × symbols, prompts).

    Attributes:
        correct: Boolean, shape (answers, prompts).
        shape: The answers.
    """

    correct: Array
    shape: TreeShape = dataclasses.field(metadata={"static": True})

    def choice_logits(self, parameters: Array) -> Array:
        """The parameters themselves."""
        return parameters

    def logits(self, parameters: Array) -> Array:
        """Log-probabilities of the answers: sums of those of their choices."""
        incidence = jnp.asarray(self.shape.incidence, parameters.dtype)
        return jnp.matmul(incidence, self.choices(parameters), precision=lax.Precision.HIGHEST)

    def through(self, weights: Array) -> Array:
        """Sum of the answers' weights that pass through each choice."""
        incidence = jnp.asarray(self.shape.incidence, weights.dtype)
        return jnp.matmul(incidence.T, weights, precision=lax.Precision.HIGHEST)

    def carry_back(self, gradient: Array) -> Array:
        """The gradient itself."""
        return gradient

    def moved(self, parameters: Array, direction: Array) -> Array:
        """Parameters of π·exp(direction): choice logits of the moved distribution."""
        logits = self.logits(parameters) + direction
        masses = jnp.exp(logits - logits.max(axis=0)[None])
        return jnp.log(self.through(masses) + tiny(parameters))


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
