"""Groups of responses under a sampling design, and what a scheme makes of them.

A group is the vector of counts N_a; the advantage of a response depends on its verdict and on K,
and for LENS on its probability. The policy gradient of a group is the score of the weights
W_a = N_a A_a / M, whatever the policy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from sim.cores import fence
from sim.policies.base import Policy
from sim.sampling import counts_between, cumulative_counts, sample_answers, sample_counts
from sim.tables import Table, look_up
from sim.verifier import Verifier
from theory.advantages import group_advantages, scale_factor
from theory.schemes import Scheme, finite_coefficients

Array = jax.Array

EXACT = Verifier()


class Drawn(NamedTuple):
    """Groups as they were sampled.

    Attributes:
        counts: Counts of the outcomes of :class:`sim.verifier.Verifier`.
        passed: K, shape (prompts,).
        size: Responses of a group, a number or one per prompt.
        accepted: Whether the design accepted it, shape (prompts,); none if it accepts all.
        responses: Responses drawn for it, discarded ones included.
        tokens: Their tokens, shape (prompts,); none where every answer is one token.
        memory: What the next groups may write over, see :func:`sim.sampling.cumulative_counts`.
    """

    counts: Array
    passed: Array
    size: Array | int
    accepted: Array | None
    responses: Array | float
    tokens: Array | None
    memory: Array | None = None


class Group(NamedTuple):
    """Sampled groups as weights.

    Attributes:
        weights: W_a = N_a A_a / M, shape (answers, prompts).
        total: Σ_a W_a, shape (prompts,).
        correct: K, shape (prompts,).
        memory: See :class:`Drawn`.
        negative: Negative part of the weights, where an answer may have passed and failed.
    """

    weights: Array
    total: Array
    correct: Array
    memory: Array | None = None
    negative: Array | None = None

    def scaled(self, factor: Array) -> Group:
        """The weights of each prompt times a factor, shape (prompts,)."""
        negative = None if self.negative is None else self.negative * factor[None]
        return self._replace(
            weights=self.weights * factor[None], total=self.total * factor, negative=negative
        )


def draw_fixed(
    policy: Policy,
    masses: Array,
    uniforms: Array,
    verifier: Verifier = EXACT,
    memory: Array | None = None,
) -> Drawn:
    """Groups of M responses, all of them used.

    Args:
        policy: The policy.
        masses: Its masses, shape (answers, prompts).
        uniforms: Draws, shape (group, prompts).
        verifier: Who says what is correct.
        memory: From earlier groups of this shape, if any.
    """
    outcomes = verifier.outcomes(policy, masses)
    below = cumulative_counts(outcomes, uniforms, memory)
    counts = counts_between(below, outcomes.shape[0])
    size = uniforms.shape[0]
    return Drawn(
        counts,
        verifier.passed(policy, counts),
        size,
        None,
        float(masses.shape[1]) * size,
        _tokens(policy, verifier, counts),
        None if memory is None else below,
    )


def draw_again(
    policy: Policy,
    masses: Array,
    uniforms: Callable[[Array], Array],
    attempts: int,
    verifier: Verifier = EXACT,
    *,
    mixed: bool = True,
) -> Drawn:
    """Groups of M responses, drawn again until one is correct, or until both verdicts occur.

    Args:
        policy: The policy.
        masses: Its masses.
        uniforms: Draws of attempt number n, shape (group, prompts).
        attempts: Largest number of attempts.
        verifier: Who says what is correct.
        mixed: Whether a group must have both verdicts (DAPO's dynamic sampling).
    """
    outcomes = verifier.outcomes(policy, masses)
    zero = jnp.zeros_like(masses[0])
    size = jax.eval_shape(uniforms, jnp.uint32(0)).shape[0]

    def rejected(counts: Array) -> Array:
        passed = verifier.passed(policy, counts)
        return (passed == 0) | (passed == size) if mixed else passed == 0

    def attempt(number: Array, state: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
        counts, taken, tokens = state
        again = rejected(counts)
        new = sample_counts(outcomes, uniforms(number.astype(jnp.uint32)))
        read = _tokens(policy, verifier, new)
        tokens = tokens if read is None else tokens + jnp.where(again, read, 0)
        return jnp.where(again[None], new, counts), taken + again, tokens

    # Counts of zero are an all-wrong group, so the first attempt samples every prompt.
    start = (jnp.zeros_like(outcomes), zero, zero)
    counts, taken, tokens = jax.lax.fori_loop(0, attempts, attempt, start)
    return Drawn(
        counts,
        verifier.passed(policy, counts),
        size,
        ~rejected(counts),
        taken.sum() * size,
        None if policy.lengths is None else tokens,
    )


def draw_first_success(
    policy: Policy,
    masses: Array,
    uniforms: Callable[[Array], Array],
    attempts: int,
    verifier: Verifier = EXACT,
) -> Drawn:
    """Responses one by one until the first correct one, N of them; at most attempts × M.

    Args:
        policy: The policy.
        masses: Its masses.
        uniforms: Draws of attempt number n, shape (M, prompts), a response each.
        attempts: Largest number of attempts.
        verifier: Who says what is correct.
    """
    above = jnp.cumsum(verifier.outcomes(policy, masses), axis=0)
    below = jnp.concatenate([jnp.zeros_like(above[:1]), above[:-1]])
    rows = jax.eval_shape(uniforms, jnp.uint32(0)).shape[0]

    def attempt(number: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
        thresholds = uniforms(number.astype(jnp.uint32)) * above[-1:]

        def respond(row: Array, state: tuple[Array, Array]) -> tuple[Array, Array]:
            counts, waiting = state
            place = thresholds[row][None]
            new = ((place >= below) & (place < above) & waiting[None]).astype(counts.dtype)
            return counts + new, waiting & (verifier.passed(policy, new) == 0)

        done: tuple[Array, Array] = jax.lax.fori_loop(0, rows, respond, state)
        return done

    start = jnp.zeros_like(above), jnp.ones_like(masses[0], bool)
    counts, waiting = jax.lax.fori_loop(0, attempts, attempt, start)
    size = counts.sum(axis=0)
    tokens = _tokens(policy, verifier, counts)
    passed = verifier.passed(policy, counts)
    return Drawn(counts, passed, size, ~waiting, size.sum(), tokens)


def _tokens(policy: Policy, verifier: Verifier, counts: Array) -> Array | None:
    if policy.lengths is None:
        return None
    lengths = policy.lengths.astype(counts.dtype)
    return (verifier.by_answer(counts) * lengths[:, None]).sum(axis=0)


def weigh(
    policy: Policy, drawn: Drawn, positive: Array, negative: Array, verifier: Verifier = EXACT
) -> Group:
    """Weights of groups whose responses have the advantages a⁺ if they passed, else −a⁻.

    Args:
        policy: The policy.
        drawn: The groups.
        positive: a⁺, shape (prompts,).
        negative: a⁻, same shape.
        verifier: Who said what is correct.
    """
    if drawn.accepted is not None:
        positive, negative = (jnp.where(drawn.accepted, part, 0) for part in (positive, negative))
    positive, negative = (fence(part / drawn.size) for part in (positive, negative))
    weights, opposed = verifier.weights(policy, drawn.counts, positive, negative)
    total = drawn.passed * positive - (drawn.size - drawn.passed) * negative
    return Group(weights, total, drawn.passed, drawn.memory, opposed)


def weigh_by_table(policy: Policy, drawn: Drawn, table: Table, verifier: Verifier = EXACT) -> Group:
    """Weights of groups under a scheme with a table, at the scale of another where it has one."""
    positive, negative = look_up(table, drawn.passed)
    if table.like is not None:
        wanted, given = (
            _sum_of_squares(drawn, *pair)
            for pair in (look_up(table.like, drawn.passed), (positive, negative))
        )
        factor = scale_factor(wanted, given)
        positive, negative = positive * factor, negative * factor
    return weigh(policy, drawn, positive, negative, verifier)


def _sum_of_squares(drawn: Drawn, positive: Array, negative: Array) -> Array:
    squares = drawn.passed * positive**2 + (drawn.size - drawn.passed) * negative**2
    if drawn.accepted is not None:
        squares = jnp.where(drawn.accepted, squares, 0)
    return squares.sum()


def table_group(
    policy: Policy, masses: Array, uniforms: Array, table: Table, verifier: Verifier = EXACT
) -> Group:
    """Fixed groups, sampled and weighed by a scheme with a table."""
    return weigh_by_table(policy, draw_fixed(policy, masses, uniforms, verifier), table, verifier)


def weigh_by_scheme(
    policy: Policy, drawn: Drawn, scheme: Scheme, verifier: Verifier = EXACT
) -> Group:
    """Weights of groups of any size under a scheme with coefficients, a traced one included."""
    passed = drawn.passed
    size = drawn.size + jnp.zeros_like(passed)
    some = jnp.maximum(size, 1)
    mean = passed / some
    pair = scheme.coefficients(mean, mean * (1 - mean), some)
    positive, negative = finite_coefficients(*pair)
    enough = size >= scheme.minimum_group
    positive = jnp.where(enough & (passed > 0), positive, 0).astype(mean.dtype)
    negative = jnp.where(enough & (passed < size), negative, 0).astype(mean.dtype)
    return weigh(policy, drawn._replace(size=some), positive, negative, verifier)


def weigh_by_confidence(
    policy: Policy,
    masses: Array,
    uniforms: Array,
    scheme: Scheme,
    verifier: Verifier = EXACT,
) -> tuple[Group, Drawn]:
    """Sample groups and weigh them by a scheme that looks at the responses' probabilities.

    The confidence of an answer is π^{1/length}, its probability per token.
    """
    group_size = uniforms.shape[0]
    outcomes = verifier.outcomes(policy, masses)
    sampled = sample_answers(outcomes, uniforms)
    confidence = jnp.log(masses / masses.sum(axis=0)[None])
    if policy.lengths is not None:
        confidence = confidence / policy.lengths.astype(masses.dtype)[:, None]
    if verifier.exact:
        one = jnp.ones_like(masses[0])
        answers = sampled
        rewards = jnp.take_along_axis(policy.by_verdict(one, 0 * one), answers, axis=0)
    else:
        answers = sampled % len(masses)
        rewards = (sampled < len(masses)).astype(masses.dtype)
    drawn = jnp.take_along_axis(confidence, answers, axis=0)
    advantages = group_advantages(rewards.T, scheme, log_confidence=drawn.T).T / group_size
    columns = jnp.broadcast_to(jnp.arange(answers.shape[1])[None], answers.shape)
    weights = jnp.zeros_like(masses).at[answers, columns].add(advantages)
    negative = None
    if not verifier.exact:
        negative = jnp.zeros_like(masses).at[answers, columns].add(jnp.minimum(advantages, 0))
    counts = jnp.zeros_like(outcomes).at[sampled, columns].add(1)
    passed = rewards.sum(axis=0)
    responses = float(masses.shape[1]) * group_size
    tokens = _tokens(policy, verifier, counts)
    made = Group(weights, advantages.sum(axis=0), passed, None, negative)
    return made, Drawn(counts, passed, group_size, None, responses, tokens)
