"""Exact measurements of a policy whose answers can be enumerated."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from sim._floats import tiny
from sim.learners import mirror_weight
from sim.policies.base import Policy
from sim.rates import kept_groups, mixed_share
from sim.tables import Table, expected_weight, second_moment
from sim.update import Rules

Array = jax.Array

QUINTILES = 5

BY_DIFFICULTY = "by_difficulty"
"""Name of the one array that holds many means: each as an output of its own takes its part of the
compiler's time, which would exceed that of the updates in a short run."""


def measure(
    policy: Policy,
    parameters: Array,
    rules: Rules,
    pass_k: tuple[int, ...],
    table: Table | None = None,
    rate: Array | None = None,
) -> dict[str, Array]:
    """Means over prompts of what the training and its critics look at.

    ``success``; ``pass@k`` = 1 − (1−ρ)^k; ``entropy`` of the answers and ``entropy_correct``
    among the correct ones, in nats, all at the evaluation temperature; ``odds_spread``, the
    standard deviation of logit ρ, by which prompts have become unequal; ``all_wrong``,
    ``all_right`` and ``mixed``, the probabilities that a group of the training is so, as its
    verifier sees it; ``effective_weight`` = ω_M(ρ̃)Jρ(1−ρ), the drift of ρ that the scheme's groups
    realise, of schemes whose ω depends on the pass rate ρ̃ alone; ``noise_dose``, see
    :func:`theory.noise.noise_dose`, of schemes with a table whose groups are all used.
    ``success/q1`` to ``q5`` and ``pass@k/q1`` to ``q5`` are means over quintiles of initial
    difficulty, q1 the hardest. These and ``pass@k`` are found by :func:`by_name`.

    Args:
        policy: The policy, on prompts ordered from hardest to easiest.
        parameters: Its parameters.
        rules: How it learns.
        pass_k: The k of pass@k.
        table: Scheme table, if it is given as one.
        rate: Step size; none where nothing is learned on these prompts.

    Returns:
        Scalars by name, and ``by_difficulty``: means of ρ and of pass@k, one row each, over all
        prompts and over the quintiles, one column each.
    """
    masses = policy.masses(parameters)
    success, failure = policy.success_of(masses)
    values = _of_groups(rules, success, failure)
    if rate is not None:
        values.update(_of_scheme(rules, policy, table, rate, success, failure))
    if rules.evaluation_temperature != 1:
        policy, parameters = policy.at_temperature(parameters, rules.evaluation_temperature)
        masses = policy.masses(parameters)
        success, failure = policy.success_of(masses)
    zero = jnp.zeros_like(success)
    right = jnp.where(policy.by_verdict(zero + 1, zero) > 0, masses, 0)
    values["entropy"] = entropy_of(masses).mean()
    values["entropy_correct"] = entropy_of(right).mean()
    exponents = jnp.asarray(pass_k, success.dtype)[:, None]
    # ln(1−ρ) from whichever of ρ and 1 − ρ has the digits.
    likely = jnp.log(jnp.maximum(failure, tiny(failure)))
    log_failure = jnp.where(success < 0.5, jnp.log1p(-success), likely)
    rho = jnp.maximum(success, tiny(success))
    values["odds_spread"] = (jnp.log(rho) - likely).std()
    solved = -jnp.expm1(exponents * log_failure[None])
    means = jnp.concatenate([success[None], solved]) @ _averages(success)
    return {**values, "success": means[0, 0], BY_DIFFICULTY: means}


def by_name(values: Mapping[str, np.ndarray], pass_k: tuple[int, ...]) -> dict[str, np.ndarray]:
    """Measurements of several cells with a name for each.

    Args:
        values: What :func:`measure` gives, with a leading axis of cells; names may have a prefix
            that ends with a slash.
        pass_k: The k of pass@k.

    >>> means = np.array([[[0.5, 0.25, 0.75], [0.75, 0.4375, 0.9375]]])
    >>> found = by_name({"held_out/by_difficulty": means}, (2,))
    >>> {name: value.tolist() for name, value in found.items() if "pass" in name}
    {'held_out/pass@2': [0.75], 'held_out/pass@2/q1': [0.4375], 'held_out/pass@2/q2': [0.9375]}
    """
    rows = ("success", *(f"pass@{k}" for k in pass_k))
    found: dict[str, np.ndarray] = {}
    for name, value in values.items():
        if not name.endswith(BY_DIFFICULTY):
            found[name] = value
            continue
        prefix = name.removesuffix(BY_DIFFICULTY)
        for row, mean in enumerate(rows):
            for part in range(value.shape[2]):
                found[f"{prefix}{mean}" + (f"/q{part}" if part else "")] = value[:, row, part]
    return found


def entropy_of(masses: Array) -> Array:
    """Entropy of unnormalised probabilities, shape (answers, prompts); 0 where all of them are 0.

    That of the likeliest answer may round to 1: its logarithm is that of 1 plus the rest.
    """
    top = masses.argmax(axis=0, keepdims=True)
    first = jnp.arange(len(masses))[:, None] == top
    most = jnp.maximum(masses.max(axis=0, keepdims=True), tiny(masses))
    rest = jnp.where(first, 0, masses).sum(axis=0, keepdims=True)
    shares = masses / (most + rest)
    logarithms = jnp.where(
        first, -jnp.log1p(rest / most), jnp.log(jnp.maximum(shares, tiny(shares)))
    )
    return -(shares * logarithms).sum(axis=0)


def _of_groups(rules: Rules, success: Array, failure: Array) -> dict[str, Array]:
    """How often groups are all wrong, all right and mixed."""
    if rules.group_size is None:
        return {}
    passing, failing = rules.verifier.observed(success, failure)
    return {
        "all_right": (passing**rules.group_size).mean(),
        "all_wrong": (failing**rules.group_size).mean(),
        "mixed": mixed_share(passing, failing, rules.group_size).mean(),
    }


def _of_scheme(
    rules: Rules,
    policy: Policy,
    table: Table | None,
    rate: Array,
    success: Array,
    failure: Array,
) -> dict[str, Array]:
    """What the scheme does to these prompts: its drift, and its noise over its drift."""
    passing, failing = rules.verifier.observed(success, failure)
    size, scheme = rules.group_size, None if rules.schedules else rules.scheme
    if rules.sampling == "first_success" or rules.rescaled:
        return {}  # groups of many sizes have no table, and a batch has a say in a rescaled one
    if table is not None:
        weight = expected_weight(table, passing, failing)
    elif scheme is not None and (scheme.needs_baseline or scheme.keeps_history):
        weight = jnp.ones_like(success)  # whatever is expected of the prompt
    elif scheme is not None and size is None:
        weight = mirror_weight(None, scheme, (passing, failing))
    else:
        return {}
    if rules.attempts > 1 and size is not None:
        share = mixed_share(passing, failing, size)
        if rules.sampling == "until_any":
            share = 1 - failing**size
        weight = weight * kept_groups(share, rules.attempts)
    drift = (weight * rules.verifier.informedness * success * failure).mean()
    values = {"effective_weight": drift}
    if table is not None and rules.learner != "mirror" and rules.sampling == "fixed":
        prompts = (rules.batch or success.shape[0]) if policy.shared else 1
        noise = second_moment(table, passing, failing).mean()
        values["noise_dose"] = rate / prompts * noise / jnp.maximum(drift, tiny(drift))
    return values


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
