"""Group sampling: exact distributions, no answer of mass 0, counts that always add up."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from sim.counter import draw
from sim.sampling import (
    count_below,
    cumulative_counts,
    in_triples,
    new_memory,
    sample_answers,
    sample_counts,
)

COUNTS = jax.jit(sample_counts)


@pytest.mark.parametrize("answers", [2, 3, 7, 16])
def test_counts_have_the_multinomial_distribution(answers):
    generator = np.random.default_rng(answers)
    probability = generator.dirichlet(np.ones(answers))
    prompts, group = 4000, 8
    masses = jnp.asarray(np.tile(3.0 * probability[:, None], prompts), jnp.float32)
    counts = np.asarray(COUNTS(masses, draw("hash", 0, 0, group, prompts)))
    assert np.all(counts.sum(axis=0) == group)
    totals = counts.sum(axis=1)
    assert stats.chisquare(totals, probability * group * prompts).pvalue > 1e-4
    # Within a group the counts of two answers have covariance −M p q.
    covariance = np.cov(counts[0], counts[1])[0, 1]
    expected = -group * probability[0] * probability[1]
    assert abs(covariance - expected) < 6 * group / np.sqrt(prompts)


def test_long_groups_are_counted_in_a_loop():
    masses = jnp.asarray(np.tile([[0.2], [0.5], [0.3]], 500), jnp.float32)
    counts = np.asarray(COUNTS(masses, draw("hash", 0, 0, 100, 500)))
    assert np.all(counts.sum(axis=0) == 100)
    assert stats.chisquare(counts.sum(axis=1), np.array([0.2, 0.5, 0.3]) * 50_000).pvalue > 1e-4


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.floats(0, 1, width=32), min_size=7, max_size=7).filter(lambda m: sum(m) > 1e-3),
    st.lists(st.integers(0, 2**24 - 1), min_size=3, max_size=3),
)
def test_extreme_masses_and_draws_lose_nothing(masses, integers):
    column = jnp.asarray(np.array(masses)[:, None], jnp.float32)
    uniforms = jnp.asarray(np.array(integers)[:, None] / 2**24, jnp.float32)
    counts = np.asarray(COUNTS(column, uniforms))[:, 0]
    assert counts.sum() == len(integers)
    assert np.all(counts >= 0)
    assert np.all(counts[np.asarray(column)[:, 0] == 0] == 0)


def test_answers_and_counts_agree_in_distribution():
    probability = np.array([0.1, 0.6, 0.3])
    masses = jnp.asarray(np.tile(probability[:, None], 3000), jnp.float32)
    answers = np.asarray(sample_answers(masses, draw("hash", 1, 0, 4, 3000)))
    counts = np.bincount(answers.ravel(), minlength=3)
    assert stats.chisquare(counts, probability * 12_000).pvalue > 1e-4


def by_searching(masses, uniforms):
    """Counts of answers in the order of the CDF that sample_counts walks, by sorting."""
    answers, prompts = masses.shape
    inner = int(np.ceil(np.sqrt(answers)))
    order = np.argsort(np.arange(answers) % inner, kind="stable")
    counts = np.zeros((answers, prompts))
    for x in range(prompts):
        cumulative = np.cumsum(masses[order, x].astype(float))
        drawn = np.searchsorted(cumulative, uniforms[:, x] * cumulative[-1], side="right")
        np.add.at(counts[:, x], order[np.minimum(drawn, answers - 1)], 1)
    return counts


@pytest.mark.parametrize("answers", [1, 2, 5, 64, 300])
@pytest.mark.parametrize("group", [1, 2, 3, 16, 31, 70])
def test_counts_are_those_of_a_search_in_the_cdf(answers, group):
    generator = np.random.default_rng(answers * group)
    masses = generator.exponential(size=(answers, 20))
    uniforms = generator.random((group, 20))
    counts = np.asarray(COUNTS(jnp.asarray(masses), jnp.asarray(uniforms)))
    np.testing.assert_array_equal(counts, by_searching(masses, uniforms))


@pytest.mark.parametrize(("answers", "group"), [(7, 5), (64, 16), (300, 16), (64, 31)])
def test_memory_of_other_groups_leaves_no_trace(answers, group):
    generator = np.random.default_rng(0)
    memory = new_memory(answers, group, 6, jnp.float64)
    for _ in range(3):
        masses = jnp.asarray(generator.exponential(size=(answers, 6)))
        uniforms = jnp.asarray(generator.random((group, 6)))
        alone = cumulative_counts(masses, uniforms)
        after = cumulative_counts(masses, uniforms, memory)
        np.testing.assert_array_equal(after, alone)
        memory = None if memory is None else after


@pytest.mark.parametrize("group", [1, 2, 3, 8, 30, 31, 35])
def test_of_three_in_order_two_comparisons_are_enough(group):
    # Few different numbers, so that every order and every tie of a triple occurs.
    generator = np.random.default_rng(group)
    thresholds = generator.integers(0, 4, (group, 500)).astype(np.float32)
    cumulative = generator.integers(0, 5, (6, 500)).astype(np.float32)
    found = jax.jit(lambda c, t: count_below(c, in_triples(t)))(cumulative, thresholds)
    expected = (thresholds[None] < cumulative[:, None]).sum(axis=1)
    np.testing.assert_array_equal(found, expected)
