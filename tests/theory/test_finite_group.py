"""Finite groups: enumeration, exact rational arithmetic, limits, backends."""

import itertools
import math
from fractions import Fraction

import jax
import numpy as np
import pytest
import scipy.integrate
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binom

from theory._binomial import _log_choose, binomial_expectation, binomial_probabilities
from theory.advantages import group_advantages
from theory.finite_group import (
    expected_weight,
    expected_weights,
    moments,
    surrogate,
    weight_coefficients,
)
from theory.optimal import optimal_weight
from theory.schemes import SCHEMES

TABLES = [name for name, scheme in SCHEMES.items() if scheme.has_table]
WITH_OPTIONS = [
    *TABLES,
    *(f"{name}:zero_success=drop" for name in TABLES if "zero_success" in SCHEMES[name].options),
    "grpo:ddof=1,eps=1e-6",
    "plateau_r:threshold=0.2",
]
EXTREMES = (1e-9, 1e-3, 0.3, 0.9, 1 - 1e-9)


def exact_sum(values, success):
    """Σ_k C(n, k) ρ^k (1−ρ)^{n−k} f(k) of the given floats, in integer arithmetic."""
    trials = len(values) - 1
    top, bottom = success.as_integer_ratio()
    scale = 2**1100  # every float of the tables times this is a whole number
    total, hit, misses = 0, 1, [1]
    for _ in range(trials):
        misses.append(misses[-1] * (bottom - top))
    for k, value in enumerate(values):
        numerator, denominator = float(value).as_integer_ratio()
        whole = numerator * (scale // denominator)
        total += math.comb(trials, k) * hit * misses[trials - k] * whole
        hit *= top
    return Fraction(total, scale * bottom**trials)


def relative_error(value, exact):
    return abs(float((Fraction(float(value)) - exact) / exact)) if exact else abs(float(value))


@pytest.mark.parametrize("scheme", WITH_OPTIONS)
def test_every_moment_equals_its_enumeration_over_all_groups(scheme):
    size, rho = 5, 0.37
    first = second = given_right = given_wrong = mean_g = square_g = 0.0
    for group in itertools.product((0.0, 1.0), repeat=size):
        rewards = np.array(group)
        chance = math.prod(rho if r else 1 - rho for r in group)
        advantages = group_advantages(rewards, scheme)
        coefficient = np.mean(advantages * (rewards - rho))
        first += chance * advantages[0]
        second += chance * advantages[0] ** 2
        given_right += chance * advantages[0] * rewards[0] / rho
        given_wrong += chance * advantages[0] * (1 - rewards[0]) / (1 - rho)
        mean_g += chance * coefficient
        square_g += chance * coefficient**2
    exact = moments(scheme, size, rho)
    # 32 terms of order one: a few units in the last place each.
    near = {"rel": 1e-12, "abs": 1e-13}
    assert float(expected_weight(scheme, size, rho)) == pytest.approx(
        given_right - given_wrong, **near
    )
    assert exact.weight == pytest.approx(given_right - given_wrong, **near)
    assert exact.mean == pytest.approx(first, **near)
    assert exact.second_moment == pytest.approx(second, **near)
    assert exact.variance == pytest.approx(second - first**2, **near)
    assert exact.coefficient == pytest.approx(mean_g, **near)
    assert exact.coefficient_variance == pytest.approx(square_g - mean_g**2, **near)


# Linear-R has a closed form at any M, tested below; GRPO has none.
@pytest.mark.parametrize(("scheme", "size"), [("grpo", 64), ("linear_r", 64), ("grpo", 1024)])
def test_large_groups_and_extreme_pass_rates_agree_with_exact_arithmetic(scheme, size):
    positive, negative = SCHEMES[scheme].table(size)
    correct = np.arange(size + 1) / size
    squares = correct * positive**2 + (1 - correct) * negative**2
    for rho in EXTREMES if size == 64 else (1e-9, 0.3, 1 - 1e-9):
        omega = exact_sum(positive[1:] + negative[:-1], rho)
        # ln C(n, k) reaches 700 at n = 1,024, so that its rounding alone is 1e-13 of a term.
        assert relative_error(expected_weight(scheme, size, rho), omega) < 1e-12
        if size == 64:
            second = exact_sum(squares, rho)
            assert relative_error(moments(scheme, size, rho).second_moment, second) < 1e-12


@pytest.mark.parametrize("rho", EXTREMES)
def test_variances_keep_their_digits_where_advantages_are_almost_constant(rho):
    size = 16
    for scheme in ("nsr", "reinforce", "sqrt_r"):
        positive, negative = SCHEMES[scheme].table(size)
        share = [Fraction(k, size) for k in range(size + 1)]
        a, b = ([Fraction(float(v)) for v in t] for t in (positive, negative))
        r = Fraction(rho)
        chances = [math.comb(size, k) * r**k * (1 - r) ** (size - k) for k in range(size + 1)]
        columns = list(zip(chances, share, a, b, strict=True))
        mean = sum(p * (s * x - (1 - s) * y) for p, s, x, y in columns)
        second = sum(p * (s * x**2 + (1 - s) * y**2) for p, s, x, y in columns)
        g = [s * x * (1 - r) + (1 - s) * y * r for _, s, x, y in columns]
        mean_g = sum(p * v for p, v in zip(chances, g, strict=True))
        var_g = sum(p * (v - mean_g) ** 2 for p, v in zip(chances, g, strict=True))
        exact = moments(scheme, size, rho)
        assert relative_error(exact.variance, second - mean**2) < 1e-7
        # 1 − ρ at ρ = 1 − 1e-9 is exact in float64; the centre E[G] loses 1e-16 of it at most.
        assert relative_error(exact.coefficient_variance, var_g) < 1e-7


def test_published_numbers_of_finite_groups():
    # theory.md, section 4; rounded there to the digits compared here.
    assert float(expected_weight("grpo", 16, 0.001)) == pytest.approx(3.859, abs=5e-4)
    assert float(expected_weight("grpo", 16, 0.01)) == pytest.approx(3.733, abs=5e-4)
    best = optimal_weight(0.01, 0.9, clock="responses")
    assert best.excess("grpo") == pytest.approx(1.555, abs=5e-4)


@pytest.mark.parametrize("size", [1, 2, 5, 16, 64, 1024])
def test_linear_r_ascends_the_truncated_log_likelihood_of_maxrl(size):
    rho = np.array([1e-9, 1e-4, 0.01, 0.3, 0.7, 0.999])
    order = -np.expm1(size * np.log1p(-rho)) / rho
    assert np.allclose(expected_weight("linear_r", size, rho), order, rtol=1e-12, atol=0)
    terms = sum((1 - rho) ** (k - 1) for k in range(1, size + 1))
    assert np.allclose(expected_weight("linear_r", size, rho), terms, rtol=1e-12, atol=0)
    likelihood = sum(-((1 - rho) ** k) / k for k in range(1, size + 1))
    start = sum(-1 / k for k in range(1, size + 1))
    assert np.allclose(surrogate("linear_r", size, rho), likelihood - start, rtol=1e-11, atol=2e-12)


@pytest.mark.parametrize("size", [2, 16, 64])
def test_dropping_all_wrong_groups_lowers_the_order_by_one(size):
    rho = np.array([1e-6, 0.01, 0.3, 0.9])
    lower = -np.expm1((size - 1) * np.log1p(-rho)) / rho
    dropped = expected_weight("linear_r", size, rho, zero_success="drop")
    assert np.allclose(dropped, lower, rtol=1e-12, atol=0)
    assert np.allclose(expected_weight("maxrl", size, rho), lower, rtol=1e-12, atol=0)
    # All-wrong groups are worth exactly (1 − ρ)^{M−1} of expected weight.
    kept = expected_weight("linear_r", size, rho)
    assert np.allclose(kept - dropped, (1 - rho) ** (size - 1), rtol=1e-9, atol=1e-13)


@pytest.mark.parametrize("size", [2, 3, 16, 64])
def test_leave_one_out_baselines_are_unbiased(size):
    rho = np.linspace(0, 1, 21)
    assert np.allclose(expected_weight("rloo", size, rho), 1, rtol=1e-13)
    assert np.allclose(expected_weight("dr_grpo", size, rho), 1 - 1 / size, rtol=1e-13)
    noise = size / (size - 1) * rho * (1 - rho)
    assert np.allclose(moments("rloo", size, rho).second_moment, noise, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("scheme", WITH_OPTIONS)
def test_the_surrogate_is_the_integral_of_the_expected_weight(scheme):
    for low, high in ((0.0, 0.3), (0.3, 1.0)):
        area = scipy.integrate.quad(
            lambda r: float(expected_weight(scheme, 12, r)), low, high, epsabs=1e-13
        )[0]
        ends = surrogate(scheme, 12, np.array([low, high]))
        assert ends[1] - ends[0] == pytest.approx(area, rel=1e-11)
    assert float(surrogate(scheme, 12, 0.0)) == 0.0


@pytest.mark.parametrize("scheme", ["grpo", "linear_r", "sqrt_r", "plateau_r", "uniform_r", "rloo"])
def test_large_groups_approach_the_population_weight_at_order_one_over_m(scheme):
    rho = np.array([0.3, 0.6])
    errors = [
        np.abs(expected_weight(scheme, size, rho) / SCHEMES[scheme].weight(rho) - 1).max()
        for size in (128, 512)
    ]
    # Rounding of about 1e-14 is all that is left of RLOO's and Linear-R's error.
    assert errors[1] < max(errors[0] / 3.5, 1e-12)
    assert errors[1] < 0.01


@pytest.mark.parametrize("scheme", WITH_OPTIONS)
@pytest.mark.parametrize("size", [4, 7, 64])
def test_certain_prompts_have_the_weight_of_the_table_ends(scheme, size):
    coefficients = weight_coefficients(scheme, size)
    ends = expected_weight(scheme, size, [0.0, 1.0])
    assert ends.tolist() == [coefficients[0], coefficients[-1]]
    exact = moments(scheme, size, [0.0, 1.0])
    for field in (exact.coefficient, exact.coefficient_variance, exact.signal_to_noise):
        assert np.all(field == 0)


def test_groups_of_one_are_defined():
    assert float(expected_weight("linear_r", 1, 0.2)) == 1.0
    assert float(moments("psr", 1, 0.25).second_moment) == 0.25


@given(
    rho=st.floats(0, 1),
    size=st.integers(2, 40),
    scheme=st.sampled_from([name for name in TABLES if name != "pass_at_k"]),
)
@settings(max_examples=100, deadline=None)
def test_no_scheme_beats_the_advantage_that_knows_the_pass_rate(rho, size, scheme):
    exact = moments(scheme, size, rho)
    # Cauchy-Schwarz: (ω ρ(1−ρ))² = E[A(r−ρ)]² ≤ E[A²] ρ(1−ρ).
    assert exact.weight**2 * rho * (1 - rho) <= exact.second_moment * (1 + 1e-9)
    assert exact.variance >= 0
    assert exact.second_moment >= exact.mean**2 * (1 - 1e-12)
    assert exact.second_moment == pytest.approx(
        exact.variance + exact.mean**2, rel=1e-9, abs=1e-300
    )


# SciPy overflows for denormal ρ.
@given(rho=st.just(0.0) | st.floats(1e-290, 1), trials=st.integers(0, 300))
@settings(max_examples=60, deadline=None)
def test_binomial_probabilities_are_scipys(rho, trials):
    ours = binomial_probabilities(trials, rho)
    assert ours.sum() == pytest.approx(1, rel=1e-12)
    # Far tails underflow in both; relative accuracy is asked for above 1e-290.
    expected = binom.pmf(np.arange(trials + 1), trials, rho)
    assert np.allclose(ours, expected, rtol=1e-10, atol=1e-290)


def test_many_points_are_summed_in_pieces_without_a_seam(monkeypatch):
    rho = np.linspace(0, 1, 1001).reshape(7, 143)
    whole = expected_weight("sqrt_r", 16, rho)
    monkeypatch.setattr("theory._binomial._CHUNK", 160)
    assert np.allclose(expected_weight("sqrt_r", 16, rho), whole, rtol=1e-14)
    pieces = moments("sqrt_r", 16, rho)
    monkeypatch.undo()
    assert np.allclose(pieces.variance, moments("sqrt_r", 16, rho).variance, rtol=1e-13)
    assert whole.shape == rho.shape


def test_no_points_give_no_points():
    assert expected_weight("grpo", 4, np.empty((0, 3))).shape == (0, 3)
    assert moments("grpo", 4, np.empty(0)).variance.shape == (0,)


def test_the_backends_agree(backend):
    rho = np.linspace(0, 1, 23)
    for scheme in WITH_OPTIONS:
        ours = expected_weight(scheme, 8, backend.array(rho))
        assert np.allclose(backend.numpy(ours), expected_weight(scheme, 8, rho), rtol=1e-12)
    score = backend.numpy(surrogate("sqrt_r", 8, backend.array(rho)))
    assert np.allclose(score, surrogate("sqrt_r", 8, rho), rtol=1e-12)


def test_expected_weight_traces_and_differentiates_under_jit():
    rho = np.array([0.05, 0.4, 0.8])
    jitted = jax.jit(lambda r: expected_weight("sqrt_r", 16, r))(rho)
    assert np.allclose(jitted, expected_weight("sqrt_r", 16, rho), rtol=1e-12)
    slope = jax.vmap(jax.grad(lambda r: surrogate("sqrt_r", 16, r)))(rho)
    assert np.allclose(slope, expected_weight("sqrt_r", 16, rho), rtol=1e-12)
    # At ρ = 0 a Bernstein polynomial has the slope (M−1)(c_1 − c_0), and its mirror image at 1.
    c = weight_coefficients("sqrt_r", 16)
    ends = jax.vmap(jax.grad(lambda r: expected_weight("sqrt_r", 16, r)))(np.array([0.0, 1.0]))
    assert np.allclose(ends, [15 * (c[1] - c[0]), 15 * (c[-1] - c[-2])], rtol=1e-12)


def test_schemes_share_one_matrix_and_keep_their_names():
    rho = np.array([0.1, 0.5])
    weights = expected_weights([*WITH_OPTIONS, SCHEMES["grpo"]], 8, rho)
    assert list(weights) == [*WITH_OPTIONS, "GRPO"]
    for scheme in WITH_OPTIONS:
        assert np.allclose(weights[scheme], expected_weight(scheme, 8, rho), rtol=1e-13)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"success must lie in \[0, 1\]; got 1.2 at index 1"):
        expected_weight("grpo", 4, [0.5, 1.2])
    with pytest.raises(ValueError, match="lens"):
        expected_weight("lens", 4, 0.5)
    for size in (0, 2.5, np.nan, np.inf, "4", None):
        with pytest.raises(ValueError, match="whole number"):
            moments("linear_r", size, 0.5)
    with pytest.raises(ValueError, match="whole number"):
        binomial_probabilities(-1, 0.5)
    with pytest.raises(ValueError, match="no option"):
        expected_weight("grpo", 4, 0.5, threshold=0.2)
    assert binomial_expectation(np.ones((1, 2)), 0.5).tolist() == [1.0, 1.0]


@pytest.mark.parametrize("kind", [np.int16, np.int32, np.int64, np.uint8, float, np.float64])
@pytest.mark.parametrize("scheme", ["grpo", "maxrl", "pass_at_k", "rloo"])
def test_group_sizes_of_any_kind_of_number_are_taken(kind, scheme):
    for size in (4, 62, 100):
        assert expected_weight(scheme, kind(size), 0.3) == expected_weight(scheme, size, 0.3)
        assert moments(scheme, kind(size), 0.3) == moments(scheme, size, 0.3)
        assert surrogate(scheme, kind(size), 0.3) == surrogate(scheme, size, 0.3)


@pytest.mark.parametrize("size", [True, np.True_, False])
def test_truth_values_are_no_group_sizes(size):
    with pytest.raises(ValueError, match="group_size must be a whole number of at least 1"):
        expected_weight("linear_r", size, 0.5)


def test_groups_of_a_hundred_thousand_are_quick_and_right():
    size, rho = 100_000, np.array([1e-5, 0.1, 0.5])
    expected = -np.expm1(size * np.log1p(-rho)) / rho
    # ln C(n, k) is of the order of n ln 2, whose rounding is 1e-11 of a term.
    assert np.allclose(expected_weight("linear_r", size, rho), expected, rtol=1e-10)
    logs = _log_choose(3000)
    for k in (1, 700, 1500, 2999):
        assert logs[k] == pytest.approx(math.log(math.comb(3000, k)), rel=1e-14)


def test_expected_weights_pass_through_torchs_vmap():
    torch = pytest.importorskip("torch")
    rho = torch.tensor([0.1, 0.4], dtype=torch.float64)
    mapped = torch.func.vmap(lambda r: expected_weight("grpo", 8, r))(rho)
    torch.testing.assert_close(mapped, expected_weight("grpo", 8, rho))
