"""Unbiased and best tables: exact identities, optimality conditions, reported errors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from theory.advantages import group_advantages
from theory.approximation import NORMS, SPLITS, best_table, unbiased_table
from theory.finite_group import expected_weight, moments
from theory.pass_rates import PassRates
from theory.schemes import SCHEMES
from theory.tables import table_scheme

GRID = np.linspace(0, 1, 41)


@given(
    powers=st.lists(st.floats(-2, 2), min_size=1, max_size=6),
    size=st.integers(6, 12),
    split=st.sampled_from(SPLITS),
)
@settings(max_examples=60, deadline=None)
def test_tables_of_polynomials_are_unbiased(powers, size, split):
    table = unbiased_table(powers, size, split=split)
    # The centred split amplifies coefficients by up to C(11, 5); the rest is summation.
    scale = np.abs([table.positive, table.negative]).max() + 1
    ours = expected_weight(table.scheme, size, GRID)
    exact = np.polynomial.Polynomial(powers)(GRID)
    assert np.allclose(ours, exact, rtol=0, atol=1e-13 * size * scale)
    assert np.allclose(table.weight(GRID), exact, rtol=0, atol=1e-12)


def test_known_schemes_are_the_centred_tables_of_their_polynomials():
    for size in (2, 5, 16):
        rloo = unbiased_table([1.0], size)
        assert np.allclose(rloo.positive, SCHEMES["rloo"].table(size)[0], rtol=1e-15)
        assert np.allclose(rloo.negative, SCHEMES["rloo"].table(size)[1], rtol=1e-15)
    # Σ (1−ρ)^{k−1}: Linear-R up to order M, MaxRL up to order M − 1.
    base = np.polynomial.Polynomial([1.0, -1.0])
    linear = unbiased_table(sum(base**k for k in range(8)), 8)
    assert np.allclose(linear.positive, SCHEMES["linear_r"].table(8)[0], rtol=1e-12)
    assert np.allclose(linear.negative, SCHEMES["linear_r"].table(8)[1], rtol=1e-12)
    lower = unbiased_table(sum(base**k for k in range(7)), 8)
    assert np.allclose(lower.negative, SCHEMES["maxrl"].table(8)[1], rtol=1e-12, atol=1e-12)


@given(powers=st.lists(st.integers(-5, 5), min_size=6, max_size=6))
@settings(max_examples=40, deadline=None)
def test_all_wrong_groups_are_penalised_by_the_leading_coefficient(powers):
    table = unbiased_table([float(p) for p in powers], 6)
    assert table.negative[0] == -powers[5]
    correct = np.arange(1, 6)
    balance = correct * table.positive[1:-1] - (6 - correct) * table.negative[1:-1]
    assert np.allclose(balance, 0, atol=1e-12 * (np.abs(table.positive).max() + 1))
    assert table.positive[-1] == 0


def test_advantages_of_a_table_sum_to_zero_in_mixed_groups():
    table = unbiased_table([3.0, -1.0, 0.5], 4)
    groups = np.array([[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0.0]])
    assert np.allclose(group_advantages(groups, table.scheme).sum(axis=-1), 0, atol=1e-13)
    with pytest.raises(ValueError, match="groups of 4"):
        group_advantages(np.ones(5), table.scheme)


def test_no_split_of_the_same_coefficients_has_less_noise():
    rates = PassRates.beta(0.7, 2.0)
    rng = np.random.default_rng(0)
    best = unbiased_table([2.0, -1.0], 6, split="minimum_variance", rates=rates)
    assert best.noise == pytest.approx(
        rates.mean(lambda r: moments(best.scheme, 6, r).second_moment), rel=1e-12
    )
    for split in SPLITS:
        assert unbiased_table([2.0, -1.0], 6, split=split, rates=rates).noise >= best.noise
    for _ in range(20):
        moved = rng.normal(size=6) * 0.1
        other = np.stack([best.positive, best.negative])
        other[0, 1:] += moved
        other[1, :-1] -= moved

        noise = rates.mean(lambda r, t=other: moments(table_scheme(*t), 6, r).second_moment)
        assert noise > best.noise


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("ridge", [0.0, 1e-2])
def test_least_squares_is_stationary_and_its_errors_are_what_it_says(split, ridge):
    rates = PassRates.uniform(0.05, 0.95, nodes=40)
    best = best_table("sqrt_r", 6, rates=rates, ridge=ridge, split=split)
    wanted = SCHEMES["sqrt_r"].weight(rates.success)
    error = expected_weight(best.scheme, 6, rates.success) - wanted
    assert best.rms_error == pytest.approx(np.sqrt(rates.share @ error**2), rel=1e-8)
    assert best.sup_error == pytest.approx(np.abs(error).max(), rel=1e-8)
    noise = rates.mean(lambda r: moments(best.scheme, 6, r).second_moment)
    assert best.noise == pytest.approx(noise, rel=1e-8)
    loss = best.rms_error**2 + ridge * best.noise
    # Any other member of the family is worse: the exact tables of low polynomials, added on.
    for powers in ([1.0], [0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 1.0, -1.0]):
        step = unbiased_table(powers, 6, split=split, rates=rates)
        for size in (1e-3, -1e-3):
            moved = table_scheme(
                best.positive + size * step.positive, best.negative + size * step.negative
            )
            gap = expected_weight(moved, 6, rates.success) - wanted
            noise = rates.mean(lambda r, s=moved: moments(s, 6, r).second_moment)
            assert rates.share @ gap**2 + ridge * noise > loss


def test_ridge_trades_error_for_noise():
    results = [best_table("linear_r", 16, ridge=ridge) for ridge in (0.0, 1e-4, 1e-2, 1.0)]
    assert np.all(np.diff([r.noise for r in results]) < 0)
    assert np.all(np.diff([r.rms_error for r in results]) > 0)
    assert np.all(np.diff([r.condition for r in results]) < 0)


@pytest.mark.parametrize("split", SPLITS)
@pytest.mark.parametrize("norm", NORMS)
def test_reachable_weights_are_reached(norm, split):
    polynomial = np.polynomial.Polynomial([2.0, -3.0, 1.5])
    best = best_table(polynomial, 6, norm=norm, split=split)
    assert best.converged
    assert best.sup_error < 1e-8


def test_minimax_errors_alternate_as_chebyshev_says():
    rates = PassRates.uniform(0.1, 0.9, nodes=200)
    best = best_table("linear_r", 5, norm="minimax", rates=rates)
    error = best.weight(rates.success) - SCHEMES["linear_r"].weight(rates.success)
    extremes = np.flatnonzero(np.abs(error) > best.sup_error * (1 - 1e-6))
    signs = np.sign(error[extremes])
    alternations = 1 + np.count_nonzero(np.diff(signs))
    # A best polynomial of degree below M touches its largest error M + 1 times in turn.
    assert alternations == 6
    assert best.sup_error < best_table("linear_r", 5, rates=rates).sup_error


def test_no_direction_improves_on_regularised_minimax():
    rates = PassRates.uniform(0.1, 0.9, nodes=40)
    best = best_table("sqrt_r", 3, norm="minimax", ridge=0.05, rates=rates, split="uncentred")
    wanted = SCHEMES["sqrt_r"].weight(rates.success)

    def loss(c):
        scheme = table_scheme(np.append(0, c), np.zeros(4))
        error = np.abs(expected_weight(scheme, 3, rates.success) - wanted).max()
        return error + 0.05 * rates.mean(lambda r: moments(scheme, 3, r).second_moment)

    assert best.converged
    least = loss(best.coefficients)
    # The loss is convex: a point that no direction improves on is its minimum.
    directions = np.random.default_rng(0).normal(size=(200, 3))
    assert min(loss(best.coefficients + 1e-3 * d) for d in directions) > least
    assert least < loss(best_table("sqrt_r", 3, ridge=0.05, rates=rates).coefficients)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="degree up to 2; got degree 3"):
        unbiased_table([0, 0, 0, 1.0], 3)
    with pytest.raises(ValueError, match="finite coefficients"):
        unbiased_table([np.nan], 3)
    with pytest.raises(ValueError, match="centred"):
        unbiased_table([1.0], 1)
    with pytest.raises(ValueError, match="split"):
        best_table("grpo", 4, split="even")
    with pytest.raises(ValueError, match="norm"):
        best_table("grpo", 4, norm="l1")
    with pytest.raises(ValueError, match="ridge"):
        best_table("grpo", 4, ridge=-1)
    with pytest.raises(ValueError, match="finite at every node"):
        best_table("linear_r", 4, rates=PassRates(np.array([0.0, 0.5]), np.ones(2)))


@pytest.mark.parametrize("split", ["minimum_variance", "uncentred"])
def test_minimax_errors_of_large_groups_are_the_least(split):
    """At M = 32 the best error for Sqrt-R on [0.01, 0.99] is 0.0936, by Chebyshev polynomials."""
    rates = PassRates.uniform(0.01, 0.99)
    best = best_table("sqrt_r", 32, norm="minimax", rates=rates, split=split)
    basis = np.polynomial.chebyshev.chebvander((rates.success - 0.5) / 0.49, 31)
    ones, wanted = np.ones((len(basis), 1)), SCHEMES["sqrt_r"].weight(rates.success)
    linear = optimize.linprog(
        np.eye(33)[-1],
        A_ub=np.block([[basis, -ones], [-basis, -ones]]),
        b_ub=np.concatenate([wanted, -wanted]),
        bounds=(None, None),
    )
    assert best.sup_error == pytest.approx(linear.fun, rel=1e-4)
    assert best.sup_error == pytest.approx(0.0936, abs=1e-4)
