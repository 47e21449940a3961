"""What every policy offers: logits, samples, score and exact success probability.

Arrays are laid out (answers, prompts): sums over answers then add rows, which vectorises over
prompts, and one layout serves four prompts and a million.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import ClassVar, Self

import jax
import jax.numpy as jnp

from sim._folds import sum_over_answers

Array = jax.Array


def logit_score(masses: Array, weights: Array, total: Array | None, sums: Array | None) -> Array:
    """Gradient of Σ_a W_a ln π(a|x) in the logits of a softmax, W − π Σ_a W_a.

    Args:
        masses: Unnormalised probabilities, shape (answers, prompts).
        weights: W, same shape.
        total: Σ_a W_a, shape (prompts,), if known.
        sums: Sum of the masses over answers, shape (prompts,), if known.
    """
    total = weights.sum(axis=0) if total is None else total
    sums = sum_over_answers(masses) if sums is None else sums
    return weights - masses * (total / sums)[None]


class Policy(abc.ABC):
    """A distribution over answers to each prompt, with the answers' verdicts.

    Subclasses are frozen dataclasses registered as JAX pytrees; what is learned is not in them
    but in ``parameters``, an array whose shape is the policy's business.
    """

    shared: ClassVar[bool] = False
    """Whether prompts share parameters, so that one prompt's update moves the others."""

    @abc.abstractmethod
    def logits(self, parameters: Array) -> Array:
        """Logits of the answers, ln π(a|x) up to a constant of x, shape (answers, prompts)."""

    @abc.abstractmethod
    def score(
        self,
        parameters: Array,
        masses: Array,
        weights: Array,
        total: Array | None = None,
        sum_of_masses: Array | None = None,
    ) -> Array:
        """Gradient of Σ_a W_a ln π(a|x) in the parameters; mean over prompts where they share.

        Args:
            parameters: Where the gradient is taken.
            masses: From :meth:`masses`, so that they are computed once.
            weights: W, shape (answers, prompts).
            total: Σ_a W_a, shape (prompts,), if known.
            sum_of_masses: Sum of the masses over answers, shape (prompts,), if known.
        """

    @abc.abstractmethod
    def sum_correct(self, values: Array) -> Array:
        """Sum over the correct answers of values of shape (answers, prompts)."""

    @abc.abstractmethod
    def by_verdict(self, right: Array, wrong: Array) -> Array:
        """Values per prompt as (answers, prompts): ``right`` at correct answers, else ``wrong``."""

    def moved(self, parameters: Array, direction: Array) -> Array:
        """Parameters of the policy π·exp(direction), where one has exactly that form.

        Args:
            parameters: Where it starts.
            direction: Change of the answers' logits, shape (answers, prompts).
        """
        raise NotImplementedError(f"{type(self).__name__} cannot take a step of the distribution")

    def prompts(self, parameters: Array) -> int:
        """Number of prompts, which parameters tell where each prompt has its own."""
        return int(parameters.shape[-1])

    def at_temperature(self, parameters: Array, temperature: float) -> tuple[Policy, Array]:
        """Policy and parameters whose logits, of answers or of tokens, are divided by T."""
        return self, parameters / temperature

    @property
    def lengths(self) -> Array | None:
        """Tokens of each answer, shape (answers,); none if each is one token."""
        return None

    def masses(self, parameters: Array) -> Array:
        """Unnormalised probabilities exp(z − max z), shape (answers, prompts)."""
        logits = self.logits(parameters)
        return jnp.exp(logits - logits.max(axis=0, keepdims=True))

    def log_probabilities(self, parameters: Array) -> Array:
        """ln π(a|x), shape (answers, prompts)."""
        return jax.nn.log_softmax(self.logits(parameters), axis=0)

    def success(self, parameters: Array) -> tuple[Array, Array]:
        """Success probability ρ and 1 − ρ of each prompt, each accurate where it is small."""
        return self.success_of(self.masses(parameters))

    def success_of(self, masses: Array) -> tuple[Array, Array]:
        """The same from :meth:`masses`."""
        right = self.sum_correct(masses)
        wrong = self.sum_wrong(masses)
        return right / (right + wrong), wrong / (right + wrong)

    def sum_wrong(self, values: Array) -> Array:
        """Sum over the wrong answers of values of shape (answers, prompts)."""
        zero = jnp.zeros_like(values[0])
        return jnp.where(self.by_verdict(zero, zero + 1) > 0, values, 0).sum(axis=0)

    def sample(self, parameters: Array, uniforms: Array) -> Array:
        """Answers drawn by inverse CDF, int32 of the shape of ``uniforms``, (group, prompts)."""
        from sim.sampling import sample_answers

        return sample_answers(self.masses(parameters), uniforms)


class MaskedPolicy(Policy):
    """A policy whose verdicts are a boolean array.

    Attributes:
        correct: Boolean, shape (answers, prompts).
    """

    correct: Array

    def sum_correct(self, values: Array) -> Array:
        """Sum over the correct answers."""
        return jnp.where(self.correct, values, 0).sum(axis=0)

    def by_verdict(self, right: Array, wrong: Array) -> Array:
        """``right`` at correct answers, else ``wrong``."""
        return jnp.where(self.correct, right[None], wrong[None])


@dataclasses.dataclass(frozen=True)
class SharedPolicy(MaskedPolicy):
    """A policy whose prompts share what is learned: logits are a prior plus what features add.

    Attributes:
        correct: Boolean, shape (answers, prompts).
        prior: Logits before training, the last axis over prompts.
        features: φ, shape (features, prompts).
    """

    correct: Array
    prior: Array
    features: Array

    shared: ClassVar[bool] = True

    def prompts(self, parameters: Array) -> int:
        """Number of prompts."""
        return int(self.features.shape[-1])

    def at_temperature(self, parameters: Array, temperature: float) -> tuple[Self, Array]:
        """The policy with its prior and the parameters divided by T."""
        return dataclasses.replace(self, prior=self.prior / temperature), parameters / temperature

    def take(self, prompts: Array) -> Self:
        """The policy on some of the prompts."""
        names = ("correct", "prior", "features")
        return dataclasses.replace(
            self, **{name: getattr(self, name)[:, prompts] for name in names}
        )
