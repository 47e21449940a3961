"""How the log-odds of prompts move each other under a policy: its kernel, exactly."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from sim.policies.base import Array, Policy
from theory._arrays import Floats


def log_odds_kernel(policy: Policy, parameters: Array) -> Floats:
    """K_ij = ⟨∇ℓ_i, ∇ℓ_j⟩ of the log-odds ℓ = logit ρ in the parameters, shape (prompts, prompts).

    By it dℓ_i/dt = (1/N) Σ_j K_ij e(ρ_j), see :mod:`theory.sharing`; where it is negative a prompt
    loses by what another learns. Every parameter's derivative of every prompt is held at once.

    Args:
        policy: The policy on the prompts.
        parameters: Where the gradients are taken.
    """

    def log_odds(at: Array) -> Array:
        right, wrong = policy.success(at)
        return jnp.log(right) - jnp.log(wrong)

    slopes = np.asarray(jax.jacrev(log_odds)(parameters), np.float64)
    slopes = slopes.reshape(len(slopes), -1)
    return np.asarray(slopes @ slopes.T)


def collisions(policy: Policy, parameters: Array) -> tuple[float, float]:
    """Σq² of the right and of the wrong answers of a prompt among themselves, means over prompts.

    Args:
        policy: The policy on the prompts.
        parameters: Its parameters.
    """
    masses = policy.masses(parameters)
    right, wrong = policy.success_of(masses)
    share = masses / masses.sum(axis=0)[None]
    squares = share**2
    return (
        float((policy.sum_correct(squares) / right**2).mean()),
        float((policy.sum_wrong(squares) / wrong**2).mean()),
    )
