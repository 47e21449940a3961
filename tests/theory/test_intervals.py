"""Intervals: against SciPy's, coverage, infinities, refusals."""

import numpy as np
import pytest
from scipy import stats

from theory import intervals
from theory.intervals import (
    bounded_interval,
    mean_interval,
    time_interval,
)
from theory.pass_at_k import pass_at_k

RUNS = 4000  # the standard error of a coverage of 95 % is 0.34 %


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_t_intervals_cover_what_they_say_on_normal_and_log_normal_values(seeds):
    generator = np.random.default_rng(seeds)
    normal = generator.standard_normal((RUNS, seeds))
    found = [mean_interval(3 + 2 * row) for row in normal]
    cover = np.mean([low <= 3 <= high for _, low, high in found])
    assert abs(cover - 0.95) < 0.015
    for spread in (0.3, 1.5):  # times that differ by a third, or by an order of magnitude
        found = [mean_interval(np.exp(1 + spread * row), log=True) for row in normal]
        cover = np.mean([low <= np.e <= high for _, low, high in found])
        assert cover >= 0.92
    # A true null is called above in one of forty.
    assert abs(np.mean([mean_interval(row).low > 0 for row in normal]) - 0.025) < 0.01


@pytest.mark.parametrize("seeds", [5, 10, 20])
def test_ratios_of_paired_times_cover_the_true_ratio(seeds):
    generator = np.random.default_rng(seeds)
    covered = 0
    for _ in range(RUNS):
        common = generator.standard_normal(seeds)  # what a seed does to both
        first = np.exp(common + 0.3 * generator.standard_normal(seeds))
        second = np.exp(common + 0.3 * generator.standard_normal(seeds)) / 1.5
        _, low, high = mean_interval(first / second, log=True)
        covered += low <= 1.5 <= high
    assert abs(covered / RUNS - 0.95) < 0.015


def test_t_intervals_are_scipys():
    values = np.random.default_rng(0).normal(size=7)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    assert mean_interval(values, level=0.9)[1:] == pytest.approx(tuple(expected), rel=1e-12)
    assert mean_interval([2.0] * 5) == (2, 2, 2)
    assert mean_interval([2.0]) == (2, -np.inf, np.inf)
    assert mean_interval([2.0], log=True)[1:] == (0, np.inf)


def test_times_that_have_no_logarithm_are_told_by_their_range():
    assert time_interval([2.0, 8.0]) == mean_interval([2.0, 8.0], log=True)
    assert time_interval([3.0, np.inf, 5.0]) == (np.inf, 3, np.inf)
    assert time_interval([0.0, 0.0]) == (0, 0, 0)
    assert time_interval([0.0, 4.0]) == (0, 0, 4)
    assert np.isnan(time_interval([0.0, np.inf]).estimate)
    assert np.isnan(time_interval([1.0, np.nan])).all()


def inside(values, low, high):
    found = mean_interval(values)
    return low <= found.low and found.high <= high


def test_an_interval_in_a_range_is_two_one_sided_tests():
    generator = np.random.default_rng(0)
    for _ in range(50):
        values = generator.normal(1, 0.2, 6)
        p = max(
            stats.ttest_1samp(values, 0.7, alternative="greater").pvalue,
            stats.ttest_1samp(values, 1.3, alternative="less").pvalue,
        )
        assert inside(values, 0.7, 1.3) == (p <= 0.025)
    # A mean on the edge of the range is called equal in at most one of forty.
    wrong = [inside(generator.normal(1.3, 0.1, 10), 0.7, 1.3) for _ in range(RUNS)]
    assert np.mean(wrong) < 0.025 + 0.01
    assert not inside([-50.0, 54.0, 2.0, 1.9, 2.2], 1.8, 2.2)


@pytest.mark.parametrize("problems", [10, 30, 100])
@pytest.mark.parametrize(("a", "b"), [(0.02, 1.0), (0.3, 2.0), (1.0, 1.0), (5.0, 0.2), (40, 40)])
@pytest.mark.parametrize("k", [1, 8])
def test_pass_at_k_intervals_cover_and_do_not_collapse(problems, a, b, k):
    """Problems with Beta(a, b) pass rates, eight responses each; rare success included."""
    generator = np.random.default_rng(7)
    success = generator.beta(a, b, size=(RUNS, problems))
    correct = generator.binomial(8, success)
    values = pass_at_k(8, np.arange(9), k)[correct]
    low, high = bounded_interval(values.T)
    assert np.all(high - low > 0)
    # E[1 − (1−ρ)^k] = 1 − Π (b + i)/(a + b + i)
    truth = 1 - np.prod([(b + i) / (a + b + i) for i in range(k)])
    assert np.mean((low <= truth) & (truth <= high)) >= 0.92


def test_intervals_of_shares_are_agresti_and_coulls():
    low, high = bounded_interval(np.repeat([0.0, 1.0], [17, 3]))
    z = stats.norm.ppf(0.975)
    share = (3 + z**2 / 2) / (20 + z**2)
    half = z * np.sqrt(share * (1 - share) / (20 + z**2))
    assert (low, high) == pytest.approx((share - half, share + half), rel=1e-12)
    same, other = bounded_interval(np.repeat([-1.0, 1.0], [17, 3]), low=-1.0)
    assert (same, other) == pytest.approx((2 * low - 1, 2 * high - 1), rel=1e-12)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: mean_interval([]), "at least one"),
        (lambda: mean_interval([1.0, np.inf]), "restrict times at a horizon"),
        (lambda: mean_interval([1.0, 0.0], log=True), "must be positive"),
        (lambda: mean_interval([1.0, 2.0], level=95), r"level must lie in \(0, 1\)"),
        (lambda: time_interval([]), "at least one"),
        (lambda: time_interval([1.0, -1.0]), "numbers of at least 0"),
        (lambda: bounded_interval([0.5, 1.5]), r"values must lie in \[0, 1\]"),
    ],
)
def test_what_has_no_interval_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("seeds", [5, 12])
def test_a_band_is_students_interval_at_every_point(seeds):
    values = np.random.default_rng(3).normal([0.0, 5.0], [1.0, 0.2], size=(seeds, 2))
    ends = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    np.testing.assert_allclose(intervals.band_over_seeds(values, level=0.9), ends, rtol=1e-12)


def test_a_band_of_few_seeds_is_their_range_and_of_equal_seeds_nothing():
    low, high = intervals.band_over_seeds([[1.0, 2.0], [3.0, 0.0], [2.0, 2.0]])
    assert (low.tolist(), high.tolist()) == ([1.0, 0.0], [3.0, 2.0])
    low, high = intervals.band_over_seeds(np.full((6, 2), 0.3))
    np.testing.assert_allclose([low, high], 0.3, rtol=1e-15)
