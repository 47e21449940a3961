"""Powers of ρ and 1 − ρ: the named weights among them, against formulas written here."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory.power_law import POWER
from theory.schemes import SCHEMES, resolve


@pytest.mark.parametrize(
    ("power", "named"),
    [
        ("power:a=0,b=0", "dr_grpo"),
        ("power:a=0.5,b=0.5", "grpo"),
        ("power:a=1,b=0", "linear_r:zero_success=drop"),
        ("power", "sqrt_r:zero_success=drop"),
        ("power:a=1,b=1", "uniform_r:zero_success=drop"),
    ],
)
def test_powers_of_the_pass_rates_hold_the_named_weights(power, named):
    np.testing.assert_allclose(resolve(power).table(8), resolve(named).table(8), rtol=1e-14)


@given(st.floats(-4, 4), st.floats(-4, 4), st.floats(0.01, 0.99))
@settings(max_examples=50, deadline=None)
def test_weight_of_a_power_is_its_formula(a, b, success):
    scheme = resolve("power", a=a, b=b)
    assert scheme.weight(success) == pytest.approx(success**-a * (1 - success) ** -b, rel=1e-12)
    positive, negative = scheme.table(6)
    assert negative[0] == positive[-1] == 0
    mean = np.arange(1, 6) / 6
    np.testing.assert_allclose(positive[1:-1] * mean, negative[1:-1] * (1 - mean), rtol=1e-12)


def test_surrogate_of_a_power_is_that_of_the_named_weight():
    grid = np.array([0.01, 0.3, 0.7, 0.99])
    for power, named in (("power", "sqrt_r"), ("power:a=0.5,b=0.5", "grpo")):
        own, known = resolve(power).surrogate(grid), resolve(named).surrogate(grid)
        np.testing.assert_allclose(np.diff(own), np.diff(known), rtol=1e-9)


@pytest.mark.parametrize(("a", "b"), [(0.0, 1.0), (0.5, 0.5), (1.5, 0.25), (-1.0, 2.0)])
def test_tables_are_the_power_of_the_share_of_right_responses(a, b):
    mean = np.arange(9) / 8
    with np.errstate(divide="ignore"):
        weight = np.where((mean > 0) & (mean < 1), mean**-a * (1 - mean) ** -b, 0)
    positive, negative = POWER.bind(a=a, b=b).table(8)
    np.testing.assert_allclose(positive, weight * (1 - mean), rtol=1e-12)
    np.testing.assert_allclose(negative, weight * mean, rtol=1e-12)


@pytest.mark.parametrize(
    ("name", "weight", "effective"),
    [
        ("power", (np.inf, np.inf), (1, 0)),
        ("power:a=0,b=0", (1, 1), (0, 0)),
        ("power:a=1.5,b=1.25", (np.inf, np.inf), (np.inf, np.inf)),
        ("power:a=-1,b=0.5", (0, np.inf), (0, 0)),
    ],
)
def test_limits_at_zero_and_one(name, weight, effective, backend):
    scheme, ends = resolve(name), backend.array([0.0, 1.0])
    np.testing.assert_allclose(backend.numpy(scheme.weight(ends)), weight, rtol=1e-12)
    np.testing.assert_allclose(backend.numpy(scheme.effective_weight(ends)), effective, rtol=1e-12)
    assert not np.any(np.isnan(backend.numpy(scheme.surrogate(ends))))


def test_a_list_of_all_schemes_does_not_name_a_weight_twice():
    assert "power" not in SCHEMES
    assert resolve("Power") == POWER
