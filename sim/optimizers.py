"""Ascent steps: plain gradient ascent and Adam."""

from __future__ import annotations

import jax
import jax.numpy as jnp

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
