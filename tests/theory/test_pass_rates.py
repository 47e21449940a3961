"""Distributions of pass rates: exact moments and named refusals."""

import numpy as np
import pytest

from theory.pass_rates import PassRates, as_pass_rates


@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (0.3, 3.0), (2.5, 0.4)])
def test_beta_nodes_have_the_moments_of_the_beta_distribution(a, b):
    rates = PassRates.beta(a, b, nodes=16)
    exact = 1.0
    for power in range(1, 31):
        exact *= (a + power - 1) / (a + b + power - 1)
        assert rates.mean(lambda rho, n=power: rho**n) == pytest.approx(exact, rel=1e-10)


def test_uniform_nodes_integrate_polynomials():
    rates = PassRates.uniform(0.2, 0.9, nodes=8)
    for power in range(15):
        exact = (0.9 ** (power + 1) - 0.2 ** (power + 1)) / ((power + 1) * 0.7)
        assert rates.mean(lambda rho, n=power: rho**n) == pytest.approx(exact, rel=1e-13)


def test_numbers_lists_and_pass_rates_are_taken():
    assert as_pass_rates(0.3).success.tolist() == [0.3]
    rates = PassRates(np.array([0.1, 0.4]), np.array([2.0, 6.0]))
    assert as_pass_rates(rates) is rates
    assert rates.share.tolist() == [0.25, 0.75]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: as_pass_rates([0.1, 1.5]), r"success must lie in \[0, 1\]"),
        (lambda: PassRates(np.array([0.1]), np.array([0.5, 0.5])), "one length"),
        (lambda: PassRates(np.array([0.1]), np.array([-1.0])), "at least 0"),
        (lambda: PassRates.beta(0.0, 1.0), "must be positive"),
        (lambda: PassRates.beta(1.0, 1.0, nodes=0), "at least 1"),
        (lambda: PassRates.uniform(0.5, 0.5), "low < high"),
    ],
)
def test_what_is_no_distribution_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(("a", "b"), [(1e5, 1e6), (1e-3, 1e-3), (3e4, 2.0), (1e8, 1e8)])
def test_beta_nodes_hold_where_the_beta_function_overflows(a, b):
    rates = PassRates.beta(a, b)
    assert rates.mean() == pytest.approx(a / (a + b), rel=1e-12)
    variance = a * b / ((a + b) ** 2 * (a + b + 1))
    assert rates.mean(lambda rho: (rho - a / (a + b)) ** 2) == pytest.approx(variance, rel=1e-6)


def test_numbers_of_nodes_are_whole_numbers_of_any_kind():
    for nodes in (np.int16(8), 8.0):
        assert PassRates.beta(1, 2, nodes).success.size == 8
        assert PassRates.uniform(nodes=nodes).success.size == 8
    for nodes in (True, 0, 8.5):
        for make in (lambda n: PassRates.beta(1, 2, n), lambda n: PassRates.uniform(nodes=n)):
            with pytest.raises(ValueError, match="nodes must be a whole number"):
                make(nodes)
