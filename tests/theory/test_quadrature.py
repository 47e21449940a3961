"""The quadrature against Beta functions, which have the endpoint powers this package meets."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special

from theory._quadrature import features, integrate_success


def power(a: float, b: float):
    return lambda p: (p ** (a - 1) * (1 - p) ** (b - 1))[None, :]


# Powers of the distance to an end from −0.9 (integrable, steep) to 3.
EXPONENTS = st.floats(0.1, 4.0)


@given(a=EXPONENTS, b=EXPONENTS)
def test_complete_beta_function(a, b):
    result = integrate_success(power(a, b), 0.0, 1.0)
    # At distance d = 1e-8 the power is fitted with error 1e-8, and the tail holds d^a of the
    # integral: 0.16 of it at a = 0.1. Steeper powers than 1/2 do not arise from named schemes.
    steep = min(a, b)
    assert result.values[0] == pytest.approx(special.beta(a, b), rel=1e-9 if steep >= 0.5 else 1e-7)


@given(a=EXPONENTS, b=EXPONENTS, low=st.floats(1e-6, 0.5), width=st.floats(1e-3, 0.49))
def test_incomplete_beta_function(a, b, low, width):
    result = integrate_success(power(a, b), low, low + width)
    ends = special.betainc(a, b, low + width) - special.betainc(a, b, low)
    assert result.converged
    # betainc's differences lose digits when the interval holds little of the whole.
    tolerance = 1e-10 + 1e-15 / ends
    assert result.values[0] == pytest.approx(special.beta(a, b) * ends, rel=tolerance)


@pytest.mark.parametrize(("a", "b", "end"), [(0.0, 1.0, 0), (-0.5, 1.0, 0), (1.0, 0.0, 1)])
def test_divergence_is_reported_with_its_place_and_power(a, b, end):
    result = integrate_success(power(a, b), 0.0, 1.0)
    assert not result.converged
    assert math.isinf(result.values[0])
    assert f"diverges at success = {end}" in result.message


def test_functions_are_integrated_side_by_side():
    rows = lambda p: np.stack([np.ones_like(p), p, p**2])  # noqa: E731
    np.testing.assert_allclose(
        integrate_success(rows, 0.0, 1.0).values, [1, 1 / 2, 1 / 3], rtol=1e-9
    )


@given(kink=st.floats(0.05, 0.85))
def test_kinks_named_or_not_are_integrated(kink):
    def roof(p):
        return np.minimum(p / kink, (1 - p) / (1 - kink))[None, :]

    exact = 0.5 - 0.01**2 / (2 * kink) - 0.1**2 / (2 * (1 - kink))
    # A kink the adaptive rule was not told of is found by bisection; chance agreement of two
    # estimates stops it early for some positions, which the derandomised search does find.
    for kinks, tolerance in (((kink,), 1e-12), ((), 1e-6)):
        result = integrate_success(roof, 0.01, 0.9, kinks)
        assert result.converged
        assert result.values[0] == pytest.approx(exact, rel=tolerance)


def test_an_infinite_integrand_is_reported():
    result = integrate_success(lambda p: np.full((1, p.size), np.inf), 0.2, 0.8)
    assert not result.converged
    assert "infinite inside the interval" in result.message


@pytest.mark.parametrize("power", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("places", [(0.5,), (0.3,), (0.2, 0.7)])
def test_integrable_singularities_inside_are_found(power, places):
    """∫ |ρ−x|^(−p) has a closed form; with two points, their sum has."""

    def integrand(rho):
        with np.errstate(divide="ignore"):
            return sum(np.abs(rho - place) ** -power for place in places)[None, :]

    result = integrate_success(integrand, 0.1, 0.9)
    left = 1 - power
    exact = sum(((x - 0.1) ** left + (0.9 - x) ** left) / left for x in places)
    assert result.converged
    # The distance to x is known to 1e-16, whose power 1 − p is what the result can lose.
    assert result.values[0] == pytest.approx(exact, rel=max(1e-9, 1e-10 ** (left / 0.5)))


def test_divergence_inside_is_reported_with_its_place():
    with np.errstate(divide="ignore"):
        result = integrate_success(lambda rho: (1 / np.abs(rho - 0.4))[None, :], 0.1, 0.9)
    assert result.values[0] == math.inf
    assert not result.converged
    assert "diverges at success = 0.4" in result.message


def test_features_are_where_a_function_is_not_smooth():
    smooth = lambda rho: (rho**-1.5 / np.sqrt(1 - rho))[None, :]  # noqa: E731
    assert features(smooth, 1e-6, 0.999) == ()
    spike = lambda rho: 1 + 1e3 * np.exp(-(((rho - 0.3) / 1e-4) ** 2))[None, :]  # noqa: E731
    found = features(spike, 0.01, 0.9)
    assert min(abs(point - 0.3) for point in found) < 1e-4
    step = features(lambda rho: np.where(rho < 0.6, 1.0, 2.0)[None, :], 0.01, 0.9)
    assert min(abs(point - 0.6) for point in step) < 1e-4
