"""Independent softmax bandit: one logit per prompt and answer, nothing shared between prompts.

Arrays are laid out (answers, prompts): sums over answers then add rows, which vectorises over
prompts, and one layout serves four prompts and a million.
"""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np

from sim.starts import initial_success

Array = jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Bandit:
    """Softmax over the answers of each prompt, π(a|x) ∝ exp(z_ax).

    Attributes:
        correct: Boolean, shape (answers, prompts).
    """

    correct: Array

    def logits(self, parameters: Array) -> Array:
        """Logits z, shape (answers, prompts): the parameters themselves."""
        return parameters

    def masses(self, parameters: Array) -> Array:
        """Unnormalised probabilities exp(z − max z), shape (answers, prompts)."""
        return jnp.exp(parameters - parameters.max(axis=0, keepdims=True))

    def score(self, parameters: Array, masses: Array, weights: Array) -> Array:
        """Gradient of Σ_a W_a ln π(a|x) in the logits: W − π Σ_a W_a.

        Args:
            parameters: Logits.
            masses: From :meth:`masses`.
            weights: W, shape (answers, prompts).
        """
        total = weights.sum(axis=0, keepdims=True) / masses.sum(axis=0, keepdims=True)
        return weights - masses * total


def prior_logits(
    *,
    prompts: int,
    answers: int,
    correct_answers: int,
    start: float | str,
    prior_spread: float,
    seed: int,
) -> np.ndarray:
    """Initial logits with the wanted success probabilities.

    The correct answers share ρ₀ and the wrong ones 1 − ρ₀ in proportion to exp(σξ), ξ ~ N(0, 1).
    Correct answers come first; prompts are ordered from hardest to easiest.

    Args:
        prompts: Number of prompts.
        answers: Number of answers per prompt, at least 2.
        correct_answers: How many of them are correct, 1 ≤ C < answers.
        start: See :func:`sim.starts.initial_success`.
        prior_spread: σ ≥ 0.
        seed: Seed of the prompts.

    Returns:
        Log-probabilities, float64, shape (answers, prompts).

    >>> logits = prior_logits(prompts=3, answers=4, correct_answers=2, start=0.25,
    ...                       prior_spread=1.0, seed=0)
    >>> np.exp(logits)[:2].sum(axis=0).round(6).tolist()
    [0.25, 0.25, 0.25]
    """
    generator = np.random.default_rng((seed, 0x5EED))
    success = initial_success(start, prompts, generator)
    noise = prior_spread * generator.standard_normal((answers, prompts))
    right, wrong = noise[:correct_answers], noise[correct_answers:]
    return np.concatenate(
        [
            right - _log_sum_exp(right) + np.log(success),
            wrong - _log_sum_exp(wrong) + np.log1p(-success),
        ]
    )


def _log_sum_exp(values: np.ndarray) -> np.ndarray:
    return np.logaddexp.reduce(values, axis=0, keepdims=True)
