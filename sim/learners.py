"""Directions and gradients that learners make of weighed groups."""

from __future__ import annotations

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp

from sim._floats import epsilon, tiny
from sim.groups import Group
from sim.policies.base import Policy
from sim.policies.tokens import TokenPolicy
from sim.tables import Table, expected_weight
from theory.schemes import Scheme

Array = jax.Array


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


RatioOf = Literal["token", "response", "response_mean"]


def clipped_weights(
    group: Group,
    masses: Array,
    sampled: Array,
    clip_low: float,
    clip_high: float,
    lengths: Array | None = None,
) -> Array:
    """Weights of PPO's clipped surrogate Σ_a W_a min-clip(r_a) at the current policy.

    An answer's weight is multiplied by its ratio r_a = π_a/π_old,a while the ratio is inside its
    clip range or moving back into it, and is 0 otherwise. The ratio is that of whole answers.

    Args:
        group: Groups sampled by the old policy.
        masses: Masses of the current policy.
        sampled: Masses of the old policy.
        clip_low: ε of 1 − ε.
        clip_high: ε of 1 + ε.
        lengths: Tokens of each answer, for the ratio (π_a/π_old,a)^{1/length} whose gradient is
            r_a/length that of ln π_a; none for the ratio itself.

    Source: Schulman et al. (2017), eq. 7; with lengths GSPO, arXiv 2507.18071, eq. 5.
    """
    least = tiny(masses)
    old = jnp.maximum(sampled / sampled.sum(axis=0)[None], least)
    ratio = masses / masses.sum(axis=0)[None] / old
    scale: Array | float = 1.0
    if lengths is not None:
        scale = 1 / lengths.astype(masses.dtype)[:, None]
        ratio = ratio**scale
    below = jnp.minimum(group.weights, 0) if group.negative is None else group.negative
    kept = jnp.where(ratio < 1 + clip_high, group.weights - below, 0)
    kept = kept + jnp.where(ratio > 1 - clip_low, below, 0)
    return jnp.where(kept != 0, kept * ratio * scale, 0)


def clipped_gradient(
    policy: Policy,
    parameters: Array,
    masses: Array,
    sampled: tuple[Array, Array],
    group: Group,
    clips: tuple[float, float],
    ratio: RatioOf,
) -> Array:
    """Gradient of the clipped surrogate, with a ratio per token or per response.

    Args:
        policy: The policy.
        parameters: Where the gradient is taken.
        masses: Masses there.
        sampled: Parameters and masses of the policy that drew the responses.
        group: What it drew, weighed.
        clips: ε of 1 − ε and of 1 + ε.
        ratio: What has a ratio of its own; answers of one token have one in any case.
    """
    if ratio == "token" and isinstance(policy, TokenPolicy):
        return policy.clipped_score(parameters, sampled[0], group.weights, *clips, group.negative)
    lengths = policy.lengths if ratio == "response_mean" else None
    weights = clipped_weights(group, masses, sampled[1], *clips, lengths)
    return policy.score(parameters, masses, weights)
