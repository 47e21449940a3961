"""Exact measurements of a policy whose answers can be enumerated."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import xlogy

from sim._floats import tiny
from sim.learners import mirror_weight
from sim.policies.base import Policy
from sim.rates import kept_groups, mixed_share
from sim.tables import Table, expected_weight
from theory.schemes import Scheme

Array = jax.Array

QUINTILES = 5


def measure(
    policy: Policy,
    parameters: Array,
    group_size: int | None,
    pass_k: tuple[int, ...],
    table: Table | None,
    *,
    scheme: Scheme | None = None,
    attempts: int = 1,
) -> dict[str, Array]:
    """Means over prompts of what the training and its critics look at.

    ``success``; ``pass@k`` = 1 − (1−ρ)^k; ``entropy`` of the answers and ``entropy_correct``
    among the correct ones, in nats; ``all_wrong``, ``all_right`` and ``mixed``, the probabilities
    that a group is so; ``effective_weight`` = ω_M(ρ)ρ(1−ρ) that the scheme's groups realise, of
    schemes whose ω depends on ρ alone. ``success/q1`` to ``q5`` and ``pass@k/q1`` to ``q5`` are
    means over quintiles of initial difficulty, q1 the hardest.

    Args:
        policy: The policy, on prompts ordered from hardest to easiest.
        parameters: Its parameters.
        group_size: M, or none for the population limit.
        pass_k: The k of pass@k.
        table: Scheme table, if it is given as one.
        scheme: The scheme, if it is not.
        attempts: How often a group is sampled until it is mixed.

    Returns:
        Scalars by name.
    """
    masses = policy.masses(parameters)
    success, failure = policy.success_of(masses)
    probabilities = masses / masses.sum(axis=0)[None]
    surprise = -xlogy(probabilities, probabilities)
    # With shares π/ρ the entropy among correct answers is −Σ (π/ρ) ln π + ln ρ.
    rho = jnp.maximum(success, tiny(success))
    among_correct = policy.sum_correct(surprise) / rho + jnp.log(rho)
    values = {
        "entropy": surprise.sum(axis=0).mean(),
        "entropy_correct": jnp.maximum(among_correct, 0).mean(),
    }
    exponents = jnp.asarray(pass_k, success.dtype)[:, None]
    # ln(1−ρ) from whichever of ρ and 1 − ρ has the digits.
    likely = jnp.log(jnp.maximum(failure, tiny(failure)))
    log_failure = jnp.where(success < 0.5, jnp.log1p(-success), likely)
    solved = -jnp.expm1(exponents * log_failure[None])
    means = jnp.concatenate([success[None], solved]) @ _averages(success)
    for row, name in enumerate(("success", *(f"pass@{k}" for k in pass_k))):
        values[name] = means[row, 0]
        for part in range(1, means.shape[1]):
            values[f"{name}/q{part}"] = means[row, part]
    if group_size is not None:
        all_right = success**group_size
        all_wrong = failure**group_size
        values["all_right"] = all_right.mean()
        values["all_wrong"] = all_wrong.mean()
        values["mixed"] = mixed_share(success, failure, group_size).mean()
    weight = _weight(table, scheme, group_size, success, failure)
    if weight is not None:
        if group_size is not None and attempts > 1:
            weight = weight * kept_groups(success, failure, group_size, attempts)
        values["effective_weight"] = (weight * success * failure).mean()
    return values


def _weight(
    table: Table | None,
    scheme: Scheme | None,
    group_size: int | None,
    success: Array,
    failure: Array,
) -> Array | None:
    """ω of each prompt; none where confidences or a schedule have a say in it."""
    if table is not None:
        return expected_weight(table, success, failure)
    if scheme is not None and scheme.needs_baseline:
        return jnp.ones_like(success)  # the critic is exact: A = r − ρ
    if scheme is not None and group_size is None:
        return mirror_weight(None, scheme, (success, failure))
    return None


def _averages(like: Array) -> Array:
    """Weights of the mean and of the five contiguous fifths, shape (prompts, 6) or (prompts, 1).

    Sizes of the fifths differ by at most one; there are none of fewer than five prompts.
    """
    count = like.shape[0]
    weights = np.full((count, 1 + (QUINTILES if count >= QUINTILES else 0)), 1 / count)
    edges = [round(count * i / QUINTILES) for i in range(QUINTILES + 1)]
    for part in range(1, weights.shape[1]):
        weights[:, part] = 0
        weights[edges[part - 1] : edges[part], part] = 1 / (edges[part] - edges[part - 1])
    return jnp.asarray(weights, like.dtype)
