"""Token tree: an autoregressive tabular policy whose answers are sequences of tokens."""

from __future__ import annotations

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from sim._floats import tiny
from sim.policies.base import Array, MaskedPolicy


@dataclasses.dataclass(frozen=True)
class TreeShape:
    """Answers of up to L tokens over V symbols.

    With an end token, the last symbol ends an answer early, so lengths run from 1 (the end token
    alone) to L; without one, every answer has L tokens.

    Attributes:
        length: L, at least 1.
        symbols: V, at least 2.
        end: Whether the last symbol is an end token.

    >>> shape = TreeShape(length=2, symbols=3, end=True)
    >>> shape.sequences
    ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (2,))
    """

    length: int
    symbols: int
    end: bool = False

    def __post_init__(self) -> None:
        if self.length < 1 or self.symbols < 2:
            raise ValueError(
                "a tree needs length of at least 1 and symbols of at least 2; got "
                f"{self.length} and {self.symbols}"
            )
        if self.symbols**self.length > 2**16:
            raise ValueError(
                f"a tree may have at most 65,536 answers, to be enumerable; {self.symbols} symbols "
                f"and {self.length} tokens give {self.symbols**self.length}"
            )

    @functools.cached_property
    def sequences(self) -> tuple[tuple[int, ...], ...]:
        """Token sequences of all answers, in lexicographic order."""
        found: list[tuple[int, ...]] = []

        def extend(prefix: tuple[int, ...]) -> None:
            for symbol in range(self.symbols):
                sequence = (*prefix, symbol)
                last = len(sequence) == self.length
                if last or (self.end and symbol == self.symbols - 1):
                    found.append(sequence)
                else:
                    extend(sequence)

        extend(())
        return tuple(found)

    @functools.cached_property
    def nodes(self) -> tuple[tuple[int, ...], ...]:
        """Prefixes after which a token is chosen, the empty one first."""
        return tuple(sorted({s[:i] for s in self.sequences for i in range(len(s))}))

    @property
    def answers(self) -> int:
        """Number of answers."""
        return len(self.sequences)

    @functools.cached_property
    def incidence(self) -> np.ndarray:
        """1 where answer a makes choice (node, symbol): shape (answers, nodes × symbols)."""
        index = {node: i for i, node in enumerate(self.nodes)}
        matrix = np.zeros((self.answers, len(self.nodes) * self.symbols), np.float32)
        for row, sequence in enumerate(self.sequences):
            for depth, symbol in enumerate(sequence):
                matrix[row, index[sequence[:depth]] * self.symbols + symbol] = 1
        return matrix


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
