"""One update of one cell: draw groups, weigh them, move the parameters, count the cost."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Literal, NamedTuple

import jax
import jax.numpy as jnp

from sim._floats import tiny
from sim._folds import sum_over_answers
from sim.choice import Choice, draw_batch, only
from sim.counter import Generator, draw
from sim.critic import fitted, initial_critic, value
from sim.groups import (
    EXACT,
    Drawn,
    Group,
    draw_again,
    draw_first_success,
    draw_fixed,
    weigh,
    weigh_by_confidence,
    weigh_by_scheme,
    weigh_by_table,
)
from sim.learners import (
    RatioOf,
    Regulariser,
    clipped_gradient,
    mirror_direction,
    mirror_weight,
    natural_direction,
)
from sim.optimizers import Moments, ascend, clip_norm, initial_moments, within_divergence
from sim.policies.base import Policy, SharedPolicy
from sim.problems import Problem
from sim.sampling import new_memory
from sim.tables import Table
from sim.verifier import Verifier
from theory.clocks import CLOCKS, Clock, resolve_clock
from theory.designs import DesignName
from theory.empirical_bayes import History, observed, prior_coefficients, scheme_prior
from theory.schedules import Schedule, parse_schedule, scheme_at
from theory.schemes import Scheme
from theory.spending import LARGEST_GROUP

Array = jax.Array
Costs = dict[str, Array]
Memory = Array | None


LengthNormalisation = Literal["none", "response", "batch"]


class State(NamedTuple):
    """What a cell has learned.

    Attributes:
        parameters: Of the policy.
        moments: Of the optimiser.
        critic: Parameters of a learned critic; none without one.
        sampler: Parameters of the policy that responses come from, where that is an older one.
        history: Correct responses and tries seen of each prompt, shape (2, prompts); none where the
            scheme keeps none.
        seen: The same, as prompts are chosen by them; none where they are not.
    """

    parameters: Array
    moments: Moments = ()
    critic: Array | None = None
    sampler: Array | None = None
    history: Array | None = None
    seen: Array | None = None


_BATCH_STREAM = 1 << 20
"""Stream of the draws that choose a batch, apart from those of any attempt at sampling."""

_CHOICE_STREAM, _SIZE_STREAM = _BATCH_STREAM + 1, _BATCH_STREAM + 2
"""Streams of the draws that choose single prompts, and their group sizes."""


@dataclasses.dataclass(frozen=True)
class Rules:
    """How a cell learns: everything the compiled program depends on except numbers.

    Attributes:
        learner: ``"mirror"``, ``"natural"``, ``"softmax"`` or ``"ppo"``.
        group_size: M, or none for the population limit.
        scheme: Scheme compiled in, where it has no table of its own or none for groups of every
            size, where its options are scheduled, and in population limits; none for schemes
            given as tables.
        schedules: (option, schedule as text) of the compiled-in scheme.
        optimizer: ``"sgd"`` or ``"adam"``.
        batch: Prompts per update, or none for all.
        epochs: Gradient steps per batch of responses.
        clip_low: ε of the lower clip.
        clip_high: ε of the upper clip.
        entropy_bonus: Coefficient of the entropy.
        kl_penalty: Coefficient of KL(π‖π₀).
        attempts: Times a group is sampled until its design accepts it.
        generator: Random bits, see :mod:`sim.counter`.
        sampling: Sampling design of :mod:`theory.designs`.
        verifier: Who says what is correct.
        ratio: What has a ratio of its own under ``"ppo"``.
        length_normalisation: What a response's gradient is divided by.
        gradient_clip: Largest norm of a gradient, or none.
        kl_limit: Largest KL(π_old‖π_new) of an update, or none.
        critic_rate: Step size of a learned critic; none for the exact value.
        sync_every: Updates from one copy of the policy to the sampler to the next.
        tokens: Whether answers have lengths, so that tokens are counted.
        rescaled: Whether a scheme has the scale of another, so that its table holds two.
        evaluation_temperature: Temperature at which success, pass@k and entropy are measured.
        choice: Which prompts an update takes; none for all alike.
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
    sampling: DesignName = "fixed"
    verifier: Verifier = EXACT
    ratio: RatioOf = "token"
    length_normalisation: LengthNormalisation = "none"
    gradient_clip: float | None = None
    kl_limit: float | None = None
    critic_rate: float | None = None
    sync_every: int = 1
    tokens: bool = False
    rescaled: bool = False
    evaluation_temperature: float = 1.0
    choice: Choice | None = None

    @property
    def rows(self) -> int:
        """Responses of the largest group of an update."""
        size = self.group_size or 1
        varies = self.choice is not None and self.choice.rule.varies
        return max(size, LARGEST_GROUP) if varies else size

    @property
    def summed(self) -> list[str]:
        """Metrics that add up along a run."""
        return [
            *clock_metrics(self.group_size),
            "responses",
            *(["tokens"] if self.tokens else []),
        ]


def initial_state(rules: Rules, problem: Problem) -> State:
    """State before the first update."""
    policy, parameters = problem.policy, problem.parameters
    prompts = policy.prompts(parameters)
    critic = None
    if rules.critic_rate is not None:
        critic = initial_critic(policy, prompts, parameters.dtype)
    sampler = parameters if rules.sync_every > 1 else None
    history = None
    if rules.scheme is not None and rules.scheme.keeps_history:
        history = jnp.zeros((2, prompts), parameters.dtype)
    moments = initial_moments(rules.optimizer, parameters)
    seen = None
    if rules.choice is not None and not rules.choice.known:
        seen = jnp.zeros((2, prompts), parameters.dtype)
    return State(parameters, moments, critic, sampler, history, seen)


def clock_metrics(group_size: int | None) -> dict[str, Clock]:
    """Metric → clock whose cost it sums along the run."""
    clocks = [CLOCKS["responses"]]
    if group_size is not None and group_size >= 2:
        of_groups = ("any_success", "mixed_group")
        clocks += [resolve_clock(name, group_size=group_size) for name in of_groups]
    return {clock.metric: clock for clock in clocks}


def memory_of(rules: Rules, problem: Problem) -> Memory:
    """Memory that the updates of one problem hand on, if they need any."""
    if rules.group_size is None or rules.scheme is not None or rules.sampling != "fixed":
        return None
    if rules.choice is not None and rules.choice.rule.refills:
        return None
    masses = jax.eval_shape(problem.policy.masses, problem.parameters)
    answers, prompts = masses.shape
    answers *= 1 if rules.verifier.exact else 2
    return new_memory(answers, rules.rows, rules.batch or prompts, masses.dtype)


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
    parameters, moments, critic, sampler, history, seen = state
    policy = problem.policy
    if sampler is not None:
        sampler = jnp.where(number % jnp.uint32(rules.sync_every) == 0, parameters, sampler)
    behind = parameters if sampler is None else sampler
    chosen: Array | slice = slice(None)
    filled: Drawn | None = None
    if rules.batch is not None:
        assert isinstance(policy, SharedPolicy)  # the configuration sees to it
        if rules.choice is not None and rules.choice.rule.refills:
            chosen, filled = _filled(rules, policy, behind, seed, number)
        else:
            chosen = _batch(rules, policy, behind, seen, seed, number)
        policy = policy.take(chosen)
    masses = policy.masses(behind)
    # One sum over the answers serves success, sampling thresholds and scores alike.
    sum_of_masses = sum_over_answers(masses)
    success = policy.sum_correct(masses) / sum_of_masses
    # Rounding may take ρ above 1, where less than none of the groups would be mixed.
    at_most_one = jnp.minimum(success, 1)
    rarer = jnp.minimum(at_most_one, policy.sum_wrong(masses) / sum_of_masses)
    costs = {
        metric: clock.cost(rarer if clock.symmetric else at_most_one)
        for metric, clock in clock_metrics(rules.group_size).items()
    }
    costs["responses"] = jnp.zeros_like(success[0])
    if rules.learner == "mirror":
        rho = policy.success_of(masses)
        direction = mirror_direction(policy, mirror_weight(table, rules.scheme, rho))
        moved = policy.moved(parameters, rate * direction)
        return State(moved, moments), costs, memory
    assert rules.group_size is not None  # the configuration sees to it
    prompts = masses.shape[1]

    def uniforms(stream: Array | int, rows: int | None = None) -> Array:
        return draw(
            rules.generator,
            seed,
            number,
            rules.rows if rows is None else rows,
            prompts,
            stream=stream,
            first=first,
            stride=stride,
            dtype=masses.dtype,
        )

    scheme = None if rules.scheme is None else _scheme_now(rules, rules.scheme, masses, number)
    if scheme is not None and scheme.needs_confidence:
        group, drawn = weigh_by_confidence(policy, masses, uniforms(0), scheme, rules.verifier)
    else:
        sizes: Array | None = None
        if rules.choice is not None:
            known = None if seen is None else seen[:, chosen]
            taken, sizes = _chosen(rules, success, known, uniforms)
            costs = {name: cost * taken if cost.ndim else cost for name, cost in costs.items()}
        drawn = filled or _draw(rules, policy, masses, uniforms, memory, sizes)
        if rules.choice is not None and filled is None:
            drawn = only(drawn, taken)
            seen = None if seen is None else rules.choice.remember(seen, chosen, drawn)
        if rules.choice is not None and rules.choice.rule.weigh is not None:
            table = rules.choice.table(success, drawn, rules.group_size)
        if table is not None:
            group = weigh_by_table(policy, drawn, table, rules.verifier)
        elif scheme is not None and scheme.needs_baseline:
            exact = rules.verifier.observed(success, 1 - success)[0]
            baseline = exact if critic is None else value(policy, critic)
            group = weigh(policy, drawn, 1 - baseline, baseline, rules.verifier)
        elif scheme is not None and history is not None:
            prior = scheme_prior(scheme, History(*history[:, chosen]))
            mean = drawn.passed / drawn.size
            positive, negative = prior_coefficients(mean, drawn.size, prior)
            group = weigh(policy, drawn, positive, negative, rules.verifier)
            history = _remembered(scheme, history, chosen, drawn)
        else:
            assert scheme is not None
            group = weigh_by_scheme(policy, drawn, scheme, rules.verifier)
        if sizes is not None:  # every response counts alike
            group = group.scaled(sizes / rules.group_size)
    if critic is not None:
        assert rules.critic_rate is not None
        critic = fitted(policy, critic, drawn.passed / drawn.size, rules.critic_rate)
    memory = drawn.memory
    costs["responses"] = costs["responses"] + drawn.responses
    if rules.tokens:
        assert drawn.tokens is not None
        costs["tokens"] = drawn.tokens.sum() + jnp.zeros_like(success[0])
    if rules.learner == "natural":
        direction = natural_direction(masses, group.weights)
        moved = policy.moved(parameters, rate * direction)
        return State(moved, moments, critic, sampler, history, seen), costs, memory
    if rules.length_normalisation != "none":
        group = _normalised(rules, policy, group, drawn)
    before = parameters
    initial = policy.logits(problem.parameters) if rules.kl_penalty else masses
    extra = Regulariser(rules.entropy_bonus, rules.kl_penalty)
    regular = bool(rules.entropy_bonus or rules.kl_penalty)
    fresh = masses if sampler is None else policy.masses(parameters)
    if rules.learner == "softmax":
        weights = group.weights
        total: Array | None = group.total
        if regular:
            weights, total = weights + extra.weights(fresh, initial), None
        sums = sum_of_masses if sampler is None else None
        gradient = policy.score(parameters, fresh, weights, total, sums)
        gradient = clip_norm(gradient, rules.gradient_clip)
        parameters, moments = ascend(parameters, gradient, moments, number, rate)
    clips = rules.clip_low, rules.clip_high
    for epoch in range(rules.epochs if rules.learner == "ppo" else 0):
        now = fresh if epoch == 0 else policy.masses(parameters)
        gradient = clipped_gradient(
            policy, parameters, now, (behind, masses), group, clips, rules.ratio
        )
        if regular:
            gradient = gradient + policy.score(parameters, now, extra.weights(now, initial))
        gradient = clip_norm(gradient, rules.gradient_clip)
        count = number * jnp.uint32(rules.epochs) + jnp.uint32(epoch)
        parameters, moments = ascend(parameters, gradient, moments, count, rate)
    if rules.kl_limit is not None:
        parameters = within_divergence(policy, before, parameters, rules.kl_limit)
    return State(parameters, moments, critic, sampler, history, seen), costs, memory


def _draw(
    rules: Rules,
    policy: Policy,
    masses: Array,
    uniforms: Callable[[Array | int], Array],
    memory: Memory,
    sizes: Array | None = None,
) -> Drawn:
    """Groups under the sampling design; of sizes of their own, if there are any."""
    if sizes is not None:
        draws = uniforms(0)
        # What lies above the last threshold is no answer.
        draws = jnp.where(jnp.arange(len(draws))[:, None] < sizes[None], draws, 2)
        return draw_fixed(policy, masses, draws, rules.verifier)._replace(size=sizes)
    if rules.sampling == "fixed":
        return draw_fixed(policy, masses, uniforms(0), rules.verifier, memory)
    if rules.sampling == "first_success":
        return draw_first_success(policy, masses, uniforms, rules.attempts, rules.verifier)
    mixed = rules.sampling == "until_mixed"
    return draw_again(policy, masses, uniforms, rules.attempts, rules.verifier, mixed=mixed)


def _scheme_now(rules: Rules, scheme: Scheme, masses: Array, number: Array) -> Scheme:
    """The compiled-in scheme with the options it has at this update."""
    schedules: Mapping[str, Schedule] = {o: parse_schedule(text) for o, text in rules.schedules}
    if not schedules:
        return scheme
    probabilities = masses / masses.sum(axis=0)[None]
    least = tiny(masses)
    entropy = -(probabilities * jnp.log(jnp.maximum(probabilities, least))).sum(axis=0).mean()
    return scheme_at(scheme, schedules, number.astype(masses.dtype), entropy=entropy)


def _normalised(rules: Rules, policy: Policy, group: Group, drawn: Drawn) -> Group:
    """Weights divided by the tokens of the response, or by the mean over the batch."""
    assert policy.lengths is not None  # the configuration sees to it
    lengths = policy.lengths.astype(group.weights.dtype)[:, None]
    if rules.length_normalisation == "batch":
        counts = rules.verifier.by_answer(drawn.counts)
        lengths = (counts * lengths).sum() / counts.sum()
    weights = group.weights / lengths
    negative = None if group.negative is None else group.negative / lengths
    return group._replace(weights=weights, total=weights.sum(axis=0), negative=negative)


def _batch(
    rules: Rules,
    policy: SharedPolicy,
    parameters: Array,
    seen: Array | None,
    seed: Array,
    number: Array,
) -> Array:
    """A subset of the prompts, drawn without replacement: at random, or by their chances."""
    count = policy.prompts(parameters)
    draws = draw(rules.generator, seed, number, 1, count, stream=_BATCH_STREAM)[0]
    if rules.choice is None:
        return jax.lax.top_k(draws, rules.batch or count)[1]
    masses = policy.masses(parameters) if seen is None else None
    success = draws if masses is None else policy.sum_correct(masses) / sum_over_answers(masses)
    chance = rules.choice.chance(success, seen, rules.group_size or 1)
    return draw_batch(chance, draws, rules.batch or count)


def _filled(
    rules: Rules, policy: SharedPolicy, parameters: Array, seed: Array, number: Array
) -> tuple[Array, Drawn]:
    """Prompts of a batch of mixed groups, and these; other prompts take the place of dead ones.

    A group is drawn for every prompt, and those are paid for that come, in random order, before the
    batch is full.
    """
    assert rules.batch is not None
    assert rules.group_size is not None
    count = policy.prompts(parameters)
    keys = draw(rules.generator, seed, number, 1, count, stream=_BATCH_STREAM)[0]
    masses = policy.masses(parameters)
    draws = draw(rules.generator, seed, number, rules.rows, count, dtype=masses.dtype)
    drawn = draw_fixed(policy, masses, draws, rules.verifier)
    mixed = (drawn.passed > 0) & (drawn.passed < rules.group_size)
    last, chosen = jax.lax.top_k(jnp.where(mixed, keys, keys - 1), rules.batch)
    paid = (keys >= last[-1]) | ~jnp.all(mixed[chosen])  # all, where too few are mixed
    return chosen, Drawn(
        drawn.counts[:, chosen],
        drawn.passed[chosen],
        rules.group_size,
        mixed[chosen],
        paid.sum() * rules.group_size,
        None if drawn.tokens is None else drawn.tokens * paid,
    )


def _chosen(
    rules: Rules,
    success: Array,
    seen: Array | None,
    uniforms: Callable[[Array | int, int], Array],
) -> tuple[Array, Array | None]:
    """Which prompts are taken, as 1 or 0, and the sizes of their groups if they differ."""
    assert rules.choice is not None
    assert rules.group_size is not None
    chance = rules.choice.chance(success, seen, rules.group_size)
    least = jnp.zeros_like(chance) if rules.batch else uniforms(_CHOICE_STREAM, 1)[0]
    taken = (least < chance).astype(success.dtype)
    if not rules.choice.rule.varies:
        return taken, None
    part = uniforms(_SIZE_STREAM, 1)[0]
    return taken, rules.choice.sizes(success, seen, rules.group_size, part)


def _remembered(scheme: Scheme, history: Array, chosen: Array | slice, drawn: Drawn) -> Array:
    """The history with the groups of this update; prompts that were not sampled fade alone."""
    tried = jnp.stack([drawn.passed, jnp.zeros_like(drawn.passed) + drawn.size])
    new = jnp.zeros_like(history).at[:, chosen].set(tried)
    keep = float(scheme.options["keep"] or 0)
    return jnp.stack(observed(History(*history), new[0], new[1], keep=keep))
