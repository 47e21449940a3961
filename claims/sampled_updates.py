"""Sampled policy gradients of single updates, compiled once for each shape."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import numpy as np

from sim.counter import draw
from sim.groups import table_group
from sim.policies.bandit import Bandit
from sim.priors import make_prior
from sim.tables import Table, scheme_table
from theory.schemes import resolve


def sampled_weights(
    scheme: str, success: float, size: int, *, groups: int, seed: int
) -> list[float]:
    """Estimates of ω_M(ρ) from sampled groups, one per seed: gradient over that of ρ."""
    policy = Bandit(4, 2)
    prior = make_prior(
        prompts=1, answers=4, correct_answers=2, start=success, prior_spread=1.0, seed=0
    )
    logits = jnp.broadcast_to(jnp.asarray(prior.log_probabilities, jnp.float32), (4, groups))
    masses = policy.masses(logits)
    table = scheme_table(resolve(scheme), size, "float32")
    exact = jnp.where(jnp.arange(4) < 2, 1 - success, -success) * masses[:, 0] / masses[:, 0].sum()

    seeds = range(seed, seed + 8)
    gradients = [_sampled(policy, logits, table, jnp.uint32(s)).mean(axis=1) for s in seeds]
    # Least squares through the exact gradient of ρ, π(r − ρ): one number per seed.
    return [float((gradient @ exact) / (exact @ exact)) for gradient in gradients]


@functools.partial(jax.jit, static_argnums=0)
def _sampled(policy: Bandit, logits: jax.Array, table: Table, seed: jax.Array) -> jax.Array:
    """Sampled policy gradient of every group, shape (answers, groups)."""
    masses = policy.masses(logits)
    size = table.positive.shape[0] - 1
    uniforms = draw("hash", seed, 0, size, logits.shape[1])
    group = table_group(policy, masses, uniforms, table)
    return policy.score(logits, masses, group.weights, group.total)


def update_length(scheme: str, success: float, groups: int, seed: int) -> np.ndarray:
    """Mean length of the sampled update at a success probability, one per seed."""
    policy = Bandit(8, 2)
    prior = make_prior(
        prompts=1, answers=8, correct_answers=2, start=success, prior_spread=1.0, seed=0
    )
    logits = jnp.broadcast_to(jnp.asarray(prior.log_probabilities, jnp.float32), (8, groups))
    table = scheme_table(resolve(scheme), 8, "float32")
    found = []
    for number in range(seed, seed + 8):
        gradient = _sampled(policy, logits, table, jnp.uint32(number))
        found.append(float(jnp.sqrt((gradient**2).sum(axis=0)).mean()))
    return np.array(found)


def own_movement(probability: float) -> float:
    """How far NSR moves the logit of a wrong answer that was drawn, per unit of weight."""
    policy = Bandit(2, 1)
    masses = jnp.array([[1 - probability], [probability]])
    weights = jnp.array([[0.0], [-1.0]])
    return abs(float(policy.score(jnp.log(masses), masses, weights)[1, 0]))
