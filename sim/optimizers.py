"""Ascent steps: plain gradient ascent and Adam, and what bounds a step."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from sim.policies.base import Policy

Array = jax.Array
Moments = tuple[Array, ...]

_BETA = (0.9, 0.999)
_EPS = 1e-8


def initial_moments(optimizer: str, parameters: Array) -> Moments:
    """State of the optimiser before the first step: nothing for SGD, two moments for Adam.

    >>> len(initial_moments("adam", jnp.zeros(3)))
    2
    """
    if optimizer == "sgd":
        return ()
    return (jnp.zeros_like(parameters), jnp.zeros_like(parameters))


def ascend(
    parameters: Array, gradient: Array, moments: Moments, count: Array, rate: Array
) -> tuple[Array, Moments]:
    """One step up the gradient.

    Args:
        parameters: θ.
        gradient: Same shape.
        moments: State; empty for SGD.
        count: Number of steps taken before this one.
        rate: Learning rate.

    Returns:
        New parameters and state.

    Source: Kingma and Ba (2015), algorithm 1, β = (0.9, 0.999), ε = 1e-8.
    """
    if not moments:
        return parameters + rate * gradient, moments
    first, second = moments
    first = _BETA[0] * first + (1 - _BETA[0]) * gradient
    second = _BETA[1] * second + (1 - _BETA[1]) * gradient**2
    taken = count.astype(parameters.dtype) + 1
    unbiased = first / (1 - _BETA[0] ** taken)
    scale = jnp.sqrt(second / (1 - _BETA[1] ** taken)) + _EPS
    return parameters + rate * unbiased / scale, (first, second)


def clip_norm(gradient: Array, largest: float | None) -> Array:
    """The gradient, shortened to a norm of at most ``largest``: g min(1, c/‖g‖).

    >>> [round(float(part), 6) for part in clip_norm(jnp.array([3.0, 4.0]), 1.0)]
    [0.6, 0.8]
    """
    if largest is None:
        return gradient
    norm = jnp.sqrt((gradient**2).sum())
    return gradient * (largest / jnp.maximum(norm, largest))


_SLACK = 1.01
"""Divergence over its limit at which a step is short enough."""

_TRIALS = 30


def within_divergence(policy: Policy, old: Array, new: Array, largest: float) -> Array:
    """Parameters on the way from old to new, no further than a mean KL(π_old‖π_new) allows.

    The step is shortened by √(limit/KL), which is exact for small steps, until it obeys: the mean
    is over the prompts where they share parameters, else each prompt has its own limit.

    Args:
        policy: The policy, on the prompts of the update.
        old: Parameters before the update.
        new: Parameters after it.
        largest: The limit in nats.

    Source: Schulman et al. (2015), the constraint of trust-region policy optimisation.
    """
    before = policy.log_probabilities(old)

    def divergence(share: Array) -> Array:
        after = policy.log_probabilities(old + share * (new - old))
        each = (jnp.exp(before) * (before - after)).sum(axis=0)
        return each.mean() if policy.shared else each[None]

    def too_far(state: tuple[Array, Array, Array]) -> Array:
        _, found, trial = state
        return (found > _SLACK * largest).any() & (trial < _TRIALS)

    def shorter(state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        share, found, trial = state
        share = share * jnp.minimum(1, jnp.sqrt(largest / jnp.maximum(found, largest)))
        return share, divergence(share), trial + 1

    one = jnp.ones_like(before[0, 0] if policy.shared else before[:1])
    start = one, divergence(one), jnp.zeros((), jnp.int32)
    share, _, _ = jax.lax.while_loop(too_far, shorter, start)
    return old + share * (new - old)
