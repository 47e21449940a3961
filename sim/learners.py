"""One update of a policy from groups of responses to every prompt.

Written for policies whose answers can be enumerated: a group is the vector of counts N_a, the
advantage of an answer depends on whether it is correct and on K, and the policy gradient of the
group is the score of W_a = N_a A_a / M.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sim.bandit import Bandit
from sim.sampling import sample_answers, sample_counts
from sim.tables import Table, expected_weight
from theory.advantages import group_advantages
from theory.schemes import resolve

Array = jax.Array


def mirror_step(policy: Bandit, parameters: Array, weight: Array, rate: Array) -> Array:
    """Exact KL-proximal step π′ ∝ π exp(η ω r), so that logit ρ′ = logit ρ + η ω.

    Args:
        policy: The policy.
        parameters: Its logits, shape (answers, prompts).
        weight: ω of each prompt, shape (prompts,).
        rate: η.
    """
    return parameters + jnp.where(policy.correct, rate * weight[None], 0)


def natural_step(
    policy: Bandit, parameters: Array, masses: Array, weights: Array, rate: Array
) -> Array:
    """Sampled natural gradient z′ = z + η W/π, whose expectation is the mirror step.

    The Fisher matrix of a softmax is diag(π) − ππᵀ, and its pseudo-inverse maps W − πΣW to W/π up
    to a constant, which a softmax does not see.
    """
    probabilities = masses / masses.sum(axis=0, keepdims=True)
    step = jnp.where(weights == 0, 0, weights / jnp.where(weights == 0, 1, probabilities))
    return parameters + rate * step


def softmax_step(
    policy: Bandit, parameters: Array, masses: Array, weights: Array, rate: Array
) -> Array:
    """Policy gradient on the logits, z′ = z + η (W − π ΣW)."""
    return parameters + rate * policy.score(parameters, masses, weights)


def table_weights(policy: Bandit, masses: Array, uniforms: Array, table: Table) -> Array:
    """Weights W_a = N_a A_a / M of a sampled group under a scheme with a table."""
    size = uniforms.shape[0]
    counts = sample_counts(masses, uniforms)
    correct = jnp.where(policy.correct, counts, 0).sum(axis=0).astype(jnp.int32)
    positive, negative = table.positive[correct] / size, -table.negative[correct] / size
    return counts * jnp.where(policy.correct, positive[None], negative[None])


def confidence_weights(policy: Bandit, masses: Array, uniforms: Array, scheme: str) -> Array:
    """The same for a scheme that looks at the responses' probabilities (LENS)."""
    size = uniforms.shape[0]
    answers = sample_answers(masses, uniforms)
    log_probabilities = jnp.log(masses / masses.sum(axis=0, keepdims=True))
    confidence = jnp.take_along_axis(log_probabilities, answers, axis=0)
    rewards = jnp.take_along_axis(policy.correct, answers, axis=0).astype(masses.dtype)
    advantages = group_advantages(rewards.T, scheme, log_confidence=confidence.T).T / size
    columns = jnp.broadcast_to(jnp.arange(answers.shape[1])[None], answers.shape)
    return jnp.zeros_like(masses).at[answers, columns].add(advantages)


def mirror_weight(scheme: str | None, table: Table | None, success: Array, failure: Array) -> Array:
    """Weight of the exact mirror step: ω_M from a table, or ω(ρ) in the population limit."""
    if table is not None:
        return expected_weight(table, success, failure)
    if scheme is None:
        raise ValueError("the population limit needs the scheme's name")
    weight: Array = resolve(scheme).weight(success)
    return weight.astype(success.dtype)
