"""Pass@k: unbiasedness by enumeration, exact binomials, variance, refusals."""

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.pass_at_k import pass_at_k, pass_at_k_table


def exact(n, c, k):
    return 1 - Fraction(math.comb(n - c, k), math.comb(n, k))


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_estimate_is_the_exact_fraction(data):
    n = data.draw(st.integers(1, 400))
    c, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    assert pass_at_k(n, c, k) == pytest.approx(float(exact(n, c, k)), rel=1e-13)


def test_estimate_is_unbiased_over_every_outcome():
    n, success = 6, 0.37
    for k in range(1, n + 1):
        mean = sum(
            success ** sum(outcome)
            * (1 - success) ** (n - sum(outcome))
            * float(pass_at_k(n, sum(outcome), k))
            for outcome in itertools.product((0, 1), repeat=n)
        )
        assert mean == pytest.approx(1 - (1 - success) ** k, rel=1e-12)


def test_estimate_is_the_share_of_subsets_that_hold_a_success():
    n, c, k = 7, 2, 3
    subsets = list(itertools.combinations(range(n), k))
    assert pass_at_k(n, c, k) == pytest.approx(np.mean([min(s) < c for s in subsets]), rel=1e-13)


def test_limits():
    assert pass_at_k(10, 0, 5) == 0
    assert pass_at_k(10, 10, 1) == 1
    assert pass_at_k(10, 3, 8) == 1  # fewer wrong responses than attempts
    np.testing.assert_allclose(pass_at_k(10, np.arange(11), 1), np.arange(11) / 10, rtol=1e-14)
    np.testing.assert_array_equal(pass_at_k(10, np.arange(11), 10), np.arange(11) > 0)


def test_a_million_samples_neither_overflow_nor_lose_digits():
    n = 1_000_000
    assert pass_at_k(n, 1, 1) == pytest.approx(1e-6, rel=1e-14)
    assert pass_at_k(n, 3, 7) == pytest.approx(float(exact(n, 3, 7)), rel=1e-13)
    # C(n−c,k)/C(n,k) with both large, from the exact product of rationals' logarithms.
    product = math.fsum(math.log1p(-2000 / (n - i)) for i in range(1000))
    assert pass_at_k(n, 1000, 2000) == pytest.approx(-math.expm1(product), rel=1e-12)
    assert pass_at_k(n, 500_000, 400_000) == 1


def test_arrays_broadcast_and_numbers_give_numbers():
    correct = np.array([[0], [3], [5]])
    k = np.array([1, 2, 4])
    values = pass_at_k(8, correct, k)
    assert values.shape == (3, 3)
    for i, j in itertools.product(range(3), range(3)):
        assert values[i, j] == pass_at_k(8, correct[i, 0], k[j])
    assert isinstance(pass_at_k(8, 3, 2), float)
    mixed = pass_at_k([4, 8], [1, 1], 2)
    np.testing.assert_allclose(mixed, [0.5, 0.25], rtol=1e-14)


def test_table_reports_means_over_problems_at_powers_of_two():
    correct = np.array([0, 1, 16, 3])
    table = pass_at_k_table(16, correct)
    assert table.k.tolist() == [1, 2, 4, 8, 16]
    assert table.problems == 4
    for k, estimate, low, high in table.rows():
        assert estimate == pytest.approx(np.mean(pass_at_k(16, correct, k)))
        assert low <= estimate <= high
    some = pass_at_k_table([16, 5], [3, 2])
    assert some.k.tolist() == [1, 2, 4]
    chosen = pass_at_k_table(16, correct, k=[3, 5])
    assert chosen.k.tolist() == [3, 5]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: pass_at_k(4, 2, 5), "k must be at most the number of samples; got k = 5 with 4"),
        (lambda: pass_at_k(4, 5, 2), r"correct must lie in \[0, samples\]; got 5 of 4"),
        (lambda: pass_at_k(4, -1, 2), "got -1 of 4"),
        (lambda: pass_at_k(0, 0, 1), "samples must be at least 1; got 0"),
        (lambda: pass_at_k(4, 1, 0), "k must be at least 1; got 0"),
        (lambda: pass_at_k(4, 1.5, 1), "correct must be whole numbers; got 1.5"),
        (lambda: pass_at_k(4, np.nan, 1), "correct must be whole numbers"),
        (lambda: pass_at_k("4", 1, 1), "samples must be whole numbers; got '4'"),
        (lambda: pass_at_k([4, 4], [1, 1, 1], 1), "must broadcast"),
        (lambda: pass_at_k_table(4, []), "correct must have shape"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
