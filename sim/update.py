"""One update of one cell: draw groups, weigh them, move the parameters, count the cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from sim._floats import tiny
from sim._folds import sum_over_answers
from sim.counter import Generator, draw
from sim.learners import (
    Group,
    Regulariser,
    clipped_weights,
    confidence_group,
    mirror_direction,
    mirror_weight,
    mixed_groups,
    natural_direction,
    table_group,
    weigh,
)
from sim.optimizers import Moments, ascend
from sim.policies.base import Policy
from sim.policies.log_linear import LogLinear
from sim.policies.tree import Tree
from sim.problems import Problem
from sim.sampling import new_memory, sample_counts
from sim.tables import Table
from theory.clocks import CLOCKS, Clock, resolve_clock
from theory.schedules import Schedule, parse_schedule, scheme_at
from theory.schemes import Scheme

Array = jax.Array
State = tuple[Array, Moments]
Costs = dict[str, Array]
Memory = Array | None

_BATCH_STREAM = 1 << 20
"""Stream of the draws that choose a batch, apart from those of any attempt at sampling."""


@dataclasses.dataclass(frozen=True)
class Rules:
    """How a cell learns: everything the compiled program depends on except numbers.

    Attributes:
        learner: ``"mirror"``, ``"natural"``, ``"softmax"`` or ``"ppo"``.
        group_size: M, or none for the population limit.
        scheme: Scheme compiled in (LENS, PPO's critic, schedules, population limits); none for
            schemes given as tables.
        schedules: (option, schedule as text) of the compiled-in scheme.
        optimizer: ``"sgd"`` or ``"adam"``.
        batch: Prompts per update, or none for all.
        epochs: Gradient steps per batch of responses.
        clip_low: ε of the lower clip.
        clip_high: ε of the upper clip.
        entropy_bonus: Coefficient of the entropy.
        kl_penalty: Coefficient of KL(π‖π₀).
        attempts: Times a group is sampled until it is mixed.
        generator: Random bits, see :mod:`sim.counter`.
    """

    learner: str
    group_size: int | None
    scheme: Scheme | None = None
    schedules: tuple[tuple[str, str], ...] = ()
    optimizer: str = "sgd"
    batch: int | None = None
    epochs: int = 1
    clip_low: float = 0.2
    clip_high: float = 0.2
    entropy_bonus: float = 0.0
    kl_penalty: float = 0.0
    attempts: int = 1
    generator: Generator = "hash"


def clock_metrics(group_size: int | None) -> dict[str, Clock]:
    """Metric → clock whose cost it sums along the run."""
    clocks = [CLOCKS["responses"]]
    if group_size is not None and group_size >= 2:
        of_groups = ("any_success", "mixed_group")
        clocks += [resolve_clock(name, group_size=group_size) for name in of_groups]
    return {clock.metric: clock for clock in clocks}


def memory_of(rules: Rules, problem: Problem) -> Memory:
    """Memory that the updates of one problem hand on, if they need any."""
    if rules.group_size is None or rules.scheme is not None or rules.attempts > 1:
        return None
    masses = jax.eval_shape(problem.policy.masses, problem.parameters)
    answers, prompts = masses.shape
    if rules.batch is not None and isinstance(problem.policy, LogLinear):
        prompts = rules.batch
    return new_memory(answers, rules.group_size, prompts, masses.dtype)


def update(
    rules: Rules,
    problem: Problem,
    table: Table | None,
    rate: Array,
    seed: Array,
    state: State,
    number: Array,
    *,
    first: Array | int = 0,
    stride: int | None = None,
    memory: Memory = None,
) -> tuple[State, Costs, Memory]:
    """One update.

    Args:
        rules: How to learn.
        problem: What is learned; its parameters are those of π₀.
        table: The scheme, unless compiled in.
        rate: Step size.
        seed: Run seed.
        state: Parameters and optimiser state.
        number: Number of this update, from 0.
        first: Place of the first prompt among all, where the prompts are a block of them.
        stride: Number of all prompts, then.
        memory: What the update before has returned as such, or :func:`memory_of`.

    Returns:
        The new state; what it cost: each clock's cost per prompt, shape (prompts,), and the
        ``responses`` drawn for all of them; memory for the next update to write over.
    """
    parameters, moments = state
    policy = problem.policy
    if rules.batch is not None and isinstance(policy, LogLinear):
        policy = _batch(rules, policy, seed, number)
    masses = policy.masses(parameters)
    # One sum over the answers serves success, sampling thresholds and scores alike.
    sum_of_masses = sum_over_answers(masses)
    success = policy.sum_correct(masses) / sum_of_masses
    costs = {
        metric: clock.cost(success) for metric, clock in clock_metrics(rules.group_size).items()
    }
    costs["responses"] = jnp.zeros_like(success[0])
    if rules.learner == "mirror":
        rho = policy.success_of(masses)
        direction = mirror_direction(policy, mirror_weight(table, rules.scheme, rho))
        return (policy.moved(parameters, rate * direction), moments), costs, memory
    assert rules.group_size is not None  # the configuration sees to it
    prompts = masses.shape[1]

    def uniforms(stream: Array | int) -> Array:
        return draw(
            rules.generator,
            seed,
            number,
            rules.group_size or 1,
            prompts,
            stream=stream,
            first=first,
            stride=stride,
            dtype=masses.dtype,
        )

    groups = float(prompts)
    drawn: Array | float = groups * rules.group_size
    if rules.attempts > 1:
        assert table is not None
        group, taken = mixed_groups(policy, masses, uniforms, rules.attempts, table)
        drawn = taken.sum() * rules.group_size
    elif table is not None:
        group = table_group(policy, masses, uniforms(0), table, memory)
        memory = group.memory
    else:
        group = _compiled_in(rules, policy, masses, success, uniforms(0), number)
    costs["responses"] = costs["responses"] + drawn
    if rules.learner == "natural":
        direction = natural_direction(masses, group.weights)
        return (policy.moved(parameters, rate * direction), moments), costs, memory
    initial = policy.logits(problem.parameters) if rules.kl_penalty else masses
    extra = Regulariser(rules.entropy_bonus, rules.kl_penalty)
    regular = bool(rules.entropy_bonus or rules.kl_penalty)
    if rules.learner == "softmax":
        weights = group.weights
        total: Array | None = group.total
        if regular:
            weights, total = weights + extra.weights(masses, initial), None
        gradient = policy.score(parameters, masses, weights, total, sum_of_masses)
        return ascend(parameters, gradient, moments, number, rate), costs, memory
    sampled, clips = parameters, (rules.clip_low, rules.clip_high)
    for epoch in range(rules.epochs):
        now = masses if epoch == 0 else policy.masses(parameters)
        also = extra.weights(now, initial) if regular else None
        if isinstance(policy, Tree):
            gradient = policy.clipped_score(parameters, sampled, group.weights, *clips)
            if also is not None:
                gradient = gradient + policy.score(parameters, now, also)
        else:
            weights = clipped_weights(group, now, masses, *clips)
            gradient = policy.score(parameters, now, weights if also is None else weights + also)
        count = number * jnp.uint32(rules.epochs) + jnp.uint32(epoch)
        parameters, moments = ascend(parameters, gradient, moments, count, rate)
    return (parameters, moments), costs, memory


def _compiled_in(
    rules: Rules,
    policy: Policy,
    masses: Array,
    success: Array,
    uniforms: Array,
    number: Array,
) -> Group:
    """Groups under a scheme that has no fixed table."""
    scheme = rules.scheme
    assert scheme is not None
    schedules: Mapping[str, Schedule] = {o: parse_schedule(text) for o, text in rules.schedules}
    if schedules:
        probabilities = masses / masses.sum(axis=0)[None]
        least = tiny(masses)
        entropy = -(probabilities * jnp.log(jnp.maximum(probabilities, least))).sum(axis=0).mean()
        step = number.astype(masses.dtype)
        scheme = scheme_at(scheme, schedules, step, entropy=entropy)
    if scheme.needs_confidence:
        return confidence_group(policy, masses, uniforms, scheme)
    size = uniforms.shape[0]
    counts = sample_counts(masses, uniforms)
    if scheme.needs_baseline:
        # The critic is exact: V(x) = ρ(x), so A = r − ρ.
        hits = policy.sum_correct(counts)
        weights = counts * policy.by_verdict(1 - success, -success) / size
        return Group(weights, (hits - size * success) / size, hits)
    mean = jnp.arange(size + 1, dtype=masses.dtype) / size
    positive, negative = scheme.coefficients(mean, mean * (1 - mean), size)
    positive = jnp.where(mean > 0, positive, 0).astype(masses.dtype)
    negative = jnp.where(mean < 1, negative, 0).astype(masses.dtype)
    return weigh(policy, counts, Table(positive, negative), size)


def _batch(rules: Rules, policy: LogLinear, seed: Array, number: Array) -> LogLinear:
    """The policy on a random subset of the prompts, drawn without replacement."""
    prompts = policy.prior.shape[1]
    keys = draw(rules.generator, seed, number, 1, prompts, stream=_BATCH_STREAM)[0]
    _, chosen = jax.lax.top_k(keys, rules.batch or prompts)
    return policy.take(chosen)
