"""One update of a policy from groups of responses to every prompt.

A group is the vector of counts N_a; the advantage of an answer depends on whether it is correct
and on K, and for LENS on its probability. The policy gradient of a group is the score of the
weights W_a = N_a A_a / M, whatever the policy.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sim._floats import epsilon, tiny
from sim.cores import fence
from sim.policies.base import Policy
from sim.sampling import counts_between, cumulative_counts, sample_answers, sample_counts
from sim.tables import Table, expected_weight, look_up
from theory.advantages import group_advantages
from theory.schemes import Scheme

Array = jax.Array


class Group(NamedTuple):
    """Sampled groups as weights.

    Attributes:
        weights: W_a = N_a A_a / M, shape (answers, prompts).
        total: Σ_a W_a, shape (prompts,).
        correct: K, shape (prompts,).
        memory: What the next groups may write over, see :func:`sim.sampling.cumulative_counts`.
    """

    weights: Array
    total: Array
    correct: Array
    memory: Array | None = None


def table_group(
    policy: Policy, masses: Array, uniforms: Array, table: Table, memory: Array | None = None
) -> Group:
    """Sample groups and weigh them by a scheme with a table.

    Args:
        policy: The policy.
        masses: Its masses, shape (answers, prompts).
        uniforms: Draws, shape (group, prompts).
        table: The scheme.
        memory: From earlier groups of this shape, if any.
    """
    below = cumulative_counts(masses, uniforms, memory)
    counts = counts_between(below, masses.shape[0])
    group = weigh(policy, counts, table, uniforms.shape[0])
    return group if memory is None else group._replace(memory=below)


def weigh(policy: Policy, counts: Array, table: Table, group_size: int) -> Group:
    """Weights of groups given as counts."""
    hits = policy.sum_correct(counts)
    positive, negative = (fence(part / group_size) for part in look_up(table, hits))
    return Group(
        counts * policy.by_verdict(positive, -negative),
        hits * positive - (group_size - hits) * negative,
        hits,
    )


def confidence_group(policy: Policy, masses: Array, uniforms: Array, scheme: Scheme) -> Group:
    """Sample groups and weigh them by a scheme that looks at the responses' probabilities.

    The confidence of an answer is π^{1/length}, its probability per token.
    """
    group_size = uniforms.shape[0]
    answers = sample_answers(masses, uniforms)
    confidence = jnp.log(masses / masses.sum(axis=0)[None])
    if policy.lengths is not None:
        confidence = confidence / policy.lengths.astype(masses.dtype)[:, None]
    one = jnp.ones_like(masses[0])
    verdicts = policy.by_verdict(one, 0 * one)
    drawn = jnp.take_along_axis(confidence, answers, axis=0)
    rewards = jnp.take_along_axis(verdicts, answers, axis=0)
    advantages = group_advantages(rewards.T, scheme, log_confidence=drawn.T).T / group_size
    columns = jnp.broadcast_to(jnp.arange(answers.shape[1])[None], answers.shape)
    weights = jnp.zeros_like(masses).at[answers, columns].add(advantages)
    return Group(weights, advantages.sum(axis=0), rewards.sum(axis=0))


def mixed_groups(
    policy: Policy,
    masses: Array,
    uniforms: Callable[[Array], Array],
    attempts: int,
    table: Table,
) -> tuple[Group, Array]:
    """DAPO's dynamic sampling: sample again until a group is mixed.

    Args:
        policy: The policy.
        masses: Its masses.
        uniforms: Draws of attempt number n, shape (group, prompts).
        attempts: Largest number of attempts.
        table: The scheme.

    Returns:
        The groups, and how many were sampled for each prompt, shape (prompts,). A prompt that got
        no mixed group has weight 0 under every scheme DAPO is used with.
    """
    zero = jnp.zeros_like(masses[0])
    group_size = jax.eval_shape(uniforms, jnp.uint32(0)).shape[0]

    def attempt(number: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        counts, taken = state
        hits = policy.sum_correct(counts)
        again = (hits == 0) | (hits == group_size)
        new = sample_counts(masses, uniforms(number.astype(jnp.uint32)))
        return jnp.where(again[None], new, counts), taken + again

    # Counts of zero are an all-wrong group, so the first attempt samples every prompt.
    start = (jnp.zeros_like(masses), zero)
    counts, taken = jax.lax.fori_loop(0, attempts, attempt, start)
    return weigh(policy, counts, table, group_size), taken


def natural_direction(masses: Array, weights: Array) -> Array:
    """Natural gradient W/π in the answers' logits, whose expectation is the mirror step.

    The Fisher matrix of a softmax is diag(π) − ππᵀ, and its pseudo-inverse maps W − πΣW to W/π up
    to a constant, which a softmax does not see.
    """
    probabilities = masses / masses.sum(axis=0)[None]
    return jnp.where(weights == 0, 0, weights / jnp.where(weights == 0, 1, probabilities))


def mirror_direction(policy: Policy, weight: Array) -> Array:
    """Exact KL-proximal step π′ ∝ π exp(η ω r) in the answers' logits: ω at correct answers."""
    return policy.by_verdict(weight, jnp.zeros_like(weight))


def mirror_weight(table: Table | None, scheme: Scheme | None, rho: tuple[Array, Array]) -> Array:
    """Weight of the exact mirror step: ω_M from a table, or ω(ρ) in the population limit."""
    success, failure = rho
    if table is not None:
        return expected_weight(table, success, failure)
    assert scheme is not None
    # float32 reaches 1, where Uniform-R's weight is infinite and the step has no limit.
    inside = jnp.clip(success, tiny(success), 1 - epsilon(success))
    weight: Array = scheme.weight(inside)
    return weight.astype(success.dtype)


@dataclasses.dataclass(frozen=True)
class Regulariser:
    """Entropy bonus and KL penalty, as exact weights to be added to the group's.

    ∇H = Σ_a (−π ln π)_a ∇ln π_a and −∇KL(π‖π₀) = −Σ_a π_a (ln π_a − ln π₀_a) ∇ln π_a.

    Attributes:
        entropy_bonus: Coefficient of H.
        kl_penalty: Coefficient of KL(π‖π₀).
    """

    entropy_bonus: float
    kl_penalty: float

    def weights(self, masses: Array, initial: Array) -> Array:
        """Weights of both terms, shape (answers, prompts).

        Args:
            masses: Masses of the policy.
            initial: ln π₀ up to a constant, shape (answers, prompts).
        """
        total = masses.sum(axis=0)[None]
        probabilities = masses / total
        least = tiny(masses)
        logs = jnp.log(jnp.maximum(probabilities, least))
        pull = -self.entropy_bonus * logs
        if self.kl_penalty:
            reference = jax.nn.log_softmax(initial, axis=0)
            pull = pull - self.kl_penalty * (logs - reference)
        return probabilities * pull


def clipped_weights(
    group: Group, masses: Array, sampled: Array, clip_low: float, clip_high: float
) -> Array:
    """Weights of PPO's clipped surrogate Σ_a W_a min-clip(π_a/π_old,a) at the current policy.

    An answer's weight is multiplied by its ratio while the ratio is inside its clip range or
    moving back into it, and is 0 otherwise. The ratio is that of whole answers; answers of several
    tokens have one per token, :meth:`sim.policies.tree.Tree.clipped_score`.

    Args:
        group: Groups sampled by the old policy.
        masses: Masses of the current policy.
        sampled: Masses of the old policy.
        clip_low: ε of 1 − ε.
        clip_high: ε of 1 + ε.
    """
    least = tiny(masses)
    old = jnp.maximum(sampled / sampled.sum(axis=0)[None], least)
    ratio = masses / masses.sum(axis=0)[None] / old
    active = jnp.where(group.weights > 0, ratio < 1 + clip_high, ratio > 1 - clip_low)
    return jnp.where(active & (group.weights != 0), group.weights * ratio, 0)
