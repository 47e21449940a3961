"""The hash generator: uniform, independent across every coordinate, and blind to blocking."""

import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sim.counter import draw, key, uniforms

ROWS, COLUMNS = 64, 4096


def steps(count, seed=7, generator="hash"):
    return np.stack([np.asarray(draw(generator, seed, t, ROWS, COLUMNS)) for t in range(count)])


@pytest.fixture(scope="module")
def values():
    return steps(8)


def test_range_and_resolution(values):
    assert values.min() >= 0
    assert values.max() < 1
    assert np.all(values * 2**24 == np.round(values * 2**24))


def test_uniform_by_chi_square_and_kolmogorov(values):
    counts = np.bincount((values.ravel() * 1024).astype(int), minlength=1024)
    assert 1e-4 < stats.chisquare(counts).pvalue < 1 - 1e-4
    assert stats.kstest(values[0].ravel(), "uniform").pvalue > 1e-4


def test_every_bit_is_fair_and_pairs_of_bits_are_independent(values):
    integers = (values.ravel() * 2**24).astype(np.int64)
    bits = (integers[:, None] >> np.arange(24)) & 1
    n = len(bits)
    assert np.abs(bits.mean(axis=0) - 0.5).max() < 5 * 0.5 / np.sqrt(n)
    correlation = np.corrcoef(bits.T) - np.eye(24)
    assert np.abs(correlation).max() < 5 / np.sqrt(n)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("lag", [1, 2, 3])
def test_neighbours_in_step_sample_and_prompt_are_uncorrelated(values, axis, lag):
    x = np.moveaxis(values, axis, 0)
    a, b = x[:-lag].ravel() - 0.5, x[lag:].ravel() - 0.5
    assert abs(np.mean(a * b) * 12) < 5 / np.sqrt(a.size)


def test_pairs_fill_the_square(values):
    a, b = values[:-1].ravel(), values[1:].ravel()
    cells = np.bincount((a * 64).astype(int) * 64 + (b * 64).astype(int), minlength=4096)
    assert 1e-4 < stats.chisquare(cells).pvalue < 1 - 1e-4


def test_seeds_steps_and_streams_differ_and_are_uncorrelated():
    base = np.asarray(draw("hash", 0, 0, ROWS, COLUMNS)).ravel()
    for seed, step, stream in [(1, 0, 0), (0, 1, 0), (0, 0, 1), (2**31, 0, 0), (0, 2**31, 0)]:
        other = np.asarray(draw("hash", seed, step, ROWS, COLUMNS, stream=stream)).ravel()
        assert abs(np.corrcoef(base, other)[0, 1]) < 5 / np.sqrt(base.size)
    keys = {tuple(int(w) for w in key(s, t, r)) for s in range(8) for t in range(8) for r in (0, 1)}
    assert len(keys) == 128


def test_gaps_between_rare_events_are_geometric(values):
    hits = np.flatnonzero(values.ravel() < 0.01)
    gaps = np.diff(hits)
    # Gaps of a 1 % event have mean 100 and standard deviation 99.5.
    assert abs(gaps.mean() - 100) < 5 * 99.5 / np.sqrt(gaps.size)
    assert abs(np.corrcoef(gaps[:-1], gaps[1:])[0, 1]) < 5 / np.sqrt(gaps.size)


def test_a_block_of_prompts_gets_the_draws_it_has_in_the_whole():
    words = key(3, 5)
    whole = uniforms(words, 4, 12)
    block = uniforms(words, 4, 5, first=6, stride=12)
    np.testing.assert_array_equal(whole[:, 6:11], block)


def test_same_coordinates_same_bits_and_float64_is_finer():
    np.testing.assert_array_equal(steps(1), steps(1))
    fine = uniforms(key(0, 0), 4, 8, dtype=jnp.float64)
    assert fine.dtype == jnp.float64
    np.testing.assert_allclose(fine, uniforms(key(0, 0), 4, 8), atol=2**-24)


def test_threefry_is_the_reference_and_agrees_in_distribution(values):
    reference = steps(1, generator="threefry")
    assert stats.ks_2samp(reference.ravel(), values[0].ravel()).pvalue > 1e-4


def test_too_many_draws_are_refused():
    with pytest.raises(ValueError, match="fewer than 2\\*\\*32"):
        uniforms(key(0, 0), 2**16, 2**16)


def test_a_stride_that_gives_two_prompts_one_draw_is_refused():
    assert np.unique(uniforms(key(0, 0), 8, 40, stride=40)).size == 8 * 40
    with pytest.raises(ValueError, match="at least the columns, 40; got 16"):
        uniforms(key(0, 0), 8, 40, stride=16)
