"""A learned critic: the value V(x) that PPO takes from the rewards."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sim.policies.base import Policy, SharedPolicy

Array = jax.Array


def initial_critic(policy: Policy, prompts: int, dtype: jnp.dtype) -> Array:
    """Parameters of a critic that says ½ everywhere: one per feature, or one per prompt."""
    if isinstance(policy, SharedPolicy):
        return jnp.zeros((policy.features.shape[-2], 1), dtype)
    return jnp.zeros((1, prompts), dtype)


def value(policy: Policy, critic: Array) -> Array:
    """V(x) = σ(v·φ(x)), with the features that the policy sees, or σ(v_x) where it has none."""
    if isinstance(policy, SharedPolicy):
        return jax.nn.sigmoid((critic * policy.features).sum(axis=0))
    return jax.nn.sigmoid(critic[0])


def fitted(policy: Policy, critic: Array, pass_rate: Array, rate: float) -> Array:
    """The critic after a step up the likelihood of the rewards, Σ_x (ρ̂ − V) ∇v.

    Args:
        policy: The policy, on the prompts of the update.
        critic: v.
        pass_rate: ρ̂ of each group, shape (prompts,).
        rate: Step size.
    """
    error = pass_rate - value(policy, critic)
    if not isinstance(policy, SharedPolicy):
        return critic + rate * error[None]
    # Features have a mean square length of 1, so that this is a step per prompt again.
    step: Array = (policy.features * error[None]).mean(axis=1, keepdims=True)
    return critic + rate * step
