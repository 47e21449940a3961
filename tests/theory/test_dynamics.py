"""Dynamics against autodiff of real policies, plain quadrature and step-by-step simulation."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate
from scipy.special import expit

from theory.clocks import CLOCKS, resolve_clock
from theory.dynamics import (
    DYNAMICS,
    resolve_dynamics,
    time_to_target,
    trajectory,
    weight_function,
)
from theory.optimal import optimal_weight
from theory.schemes import SCHEMES

RANGES = [(0.001, 0.9), (0.01, 0.5), (0.38, 0.95)]


@given(x=st.floats(-6, 6))
def test_softmax_gradient_velocity_is_the_flow_of_two_logits(x):
    """dρ/dt = ∇ρ·∇ρ along the gradient of the success probability in both logits."""
    logits = jnp.array([x, 0.0])
    gradient = jax.grad(lambda z: jax.nn.softmax(z)[0])(logits)
    success = float(jax.nn.softmax(logits)[0])
    expected = float(gradient @ gradient)
    assert float(DYNAMICS["softmax_gradient"].velocity(success)) == pytest.approx(
        expected, rel=1e-9
    )


@given(x=st.floats(-6, 6))
def test_mirror_velocity_is_the_derivative_of_the_logistic_function(x):
    expected = float(jax.grad(jax.nn.sigmoid)(x))
    assert float(DYNAMICS["mirror"].velocity(expit(x))) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("clock", CLOCKS)
@pytest.mark.parametrize("dynamics", DYNAMICS)
@pytest.mark.parametrize("scheme", ["rloo", "grpo", "sqrt_r", "uniform_r", "plateau_r"])
def test_time_agrees_with_plain_quadrature(scheme, dynamics, clock):
    for start, target in RANGES:

        def integrand(success, scheme=scheme):
            speed = SCHEMES[scheme].weight(success) * DYNAMICS[dynamics].velocity(success)
            return float(CLOCKS[clock].cost(success) / speed)

        expected, _ = integrate.quad(
            integrand,
            start,
            target,
            points=[0.5] if start < 0.5 < target else None,
            epsrel=1e-11,
            epsabs=0,
            limit=500,
        )
        result = time_to_target(scheme, start, target, clock=clock, dynamics=dynamics)
        assert result.converged
        assert result.value == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("scheme", ["rloo", "grpo", "linear_r", "sqrt_r", "uniform_r", "plateau_r"])
@pytest.mark.parametrize("clock", ["updates", "responses"])
def test_trajectory_reaches_the_target_at_the_time_to_target(scheme, clock):
    times = [time_to_target(scheme, 0.01, target, clock=clock).value for target in (0.02, 0.3, 0.9)]
    np.testing.assert_allclose(
        trajectory(scheme, 0.01, times, clock=clock), [0.02, 0.3, 0.9], rtol=1e-7
    )


@pytest.mark.parametrize(
    ("scheme", "start", "target", "clock"),
    [
        ("rloo", 0.0, 0.5, "updates"),  # ∫ dρ/ρ
        ("rloo", 0.5, 1.0, "updates"),
        ("sqrt_r", 0.0, 0.5, "responses"),
        ("linear_r", 0.5, 1.0, "updates"),
    ],
)
def test_divergent_times_are_reported_not_raised(scheme, start, target, clock):
    result = time_to_target(scheme, start, target, clock=clock)
    assert result.value == math.inf
    assert not result.converged
    assert "diverges at success" in result.message


def test_integrable_ends_are_resolved():
    """GRPO from 0 to 1 on the regular clock takes π: ∫ dρ/√(ρ(1−ρ))."""
    result = time_to_target("grpo", 0.0, 1.0)
    assert result.converged
    assert result.value == pytest.approx(math.pi, rel=1e-9)
    # e = 1: the time is the length of the interval.
    assert time_to_target("uniform_r", 0.0, 1.0).value == pytest.approx(1.0, rel=1e-9)


def test_a_weight_that_vanishes_never_arrives():
    result = time_to_target(lambda success: np.where(success < 0.5, 1.0, 0.0), 0.1, 0.9)
    assert result.value == math.inf
    assert not result.converged


def test_weight_function_of_a_finite_group_is_below_the_limit():
    limit = weight_function("sqrt_r")(np.array([0.01]))
    assert weight_function("sqrt_r", group_size=16)(np.array([0.01])) < limit


def test_flows_that_arrive_in_finite_time_stay_there():
    """GRPO on the regular clock is ρ = sin²(t/2 + arcsin √ρ₀), and arrives at t = π − ...."""
    times = np.linspace(0, 10, 41)
    angle = np.minimum(times / 2 + math.asin(1e-10), math.pi / 2)
    np.testing.assert_allclose(trajectory("grpo", 1e-20, times), np.sin(angle) ** 2, rtol=1e-7)
    # e = 1: ρ grows at unit speed, then stops at a corner.
    np.testing.assert_allclose(
        trajectory("uniform_r", 0.5, [0.4, 0.6, 9.0]), [0.9, 1, 1], rtol=1e-9
    )
    # A weight that vanishes at 0.7 lets the flow stand still, a negative one runs it down to 0.
    stalls = trajectory(lambda rho: np.where(rho < 0.7, 1.0, 0.0), 0.5, [0.1, 5.0])
    np.testing.assert_allclose(stalls, [expit(0.1), 0.7], rtol=1e-6)
    assert trajectory(lambda rho: -1 / rho, 0.5, [50.0]).tolist() == [0.0]


def test_starts_far_below_machine_precision_grow_like_any_other():
    for start in (1e-20, 1e-304, 1e-305, 3e-308):
        np.testing.assert_allclose(
            trajectory("rloo", start, [0.5, 1.0]) / start, [math.sqrt(math.e), math.e], rtol=1e-9
        )
    with pytest.raises(ValueError, match=r"start must be at least 2\.23e-308"):
        trajectory("rloo", 1e-310, [1.0])


def test_empty_and_zero_times():
    assert trajectory("grpo", 0.3, []).shape == (0,)
    assert trajectory("grpo", 0.3, [0.0]).tolist() == [0.3]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: time_to_target("grpo", 0.5, 0.5), "target must lie above start"),
        (lambda: time_to_target("grpo", -0.1, 0.5), r"start must lie in \[0, 1\]; got -0.1"),
        (lambda: time_to_target("grpo", 0.1, math.nan), r"target must lie in \[0, 1\]"),
        (lambda: time_to_target("grpo", "0.1", 0.5), r"start must lie in \[0, 1\]; got 0.1"),
        (lambda: resolve_dynamics(["mirror"]), "unknown dynamics"),
        (lambda: time_to_target("gppo", 0.1, 0.5), "unknown scheme 'gppo'; known schemes: rloo"),
        (lambda: time_to_target("lens", 0.1, 0.5), "depend on the responses' confidences"),
        (lambda: time_to_target("rloo", 0.1, 0.5, group_size=1), "group_size of at least 2"),
        (lambda: resolve_dynamics("adam"), "unknown dynamics 'adam'; known dynamics: mirror"),
        (lambda: trajectory("grpo", 0.0, [1.0]), r"start must lie in \(0, 1\)"),
        (lambda: trajectory("grpo", 0.5, [2.0, 1.0]), "start at 0 or later and increase"),
        (lambda: trajectory("grpo", 0.5, [math.inf]), "finite numbers"),
        (lambda: resolve_clock(3), "a clock is a Clock, a name or a function; got 3"),
    ],
)
def test_bad_input_says_what_is_allowed(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_weight_function_has_the_table_of_its_scheme():
    success = np.array([0.1, 0.6])
    own = weight_function(lambda p: 1 / p, group_size=4)(success)
    np.testing.assert_allclose(own, weight_function("linear_r", group_size=4)(success), rtol=1e-14)


@pytest.mark.parametrize("weight", [lambda rho: -1 + 0 * rho, lambda rho: rho - 0.3, -1.0])
def test_where_a_weight_is_negative_the_target_is_never_reached(weight):
    function = weight if callable(weight) else (lambda rho: weight)
    result = time_to_target(function, 0.1, 0.9)
    assert result.value == math.inf
    assert not result.converged
    assert result.message


@pytest.mark.parametrize("width", [1e-2, 1e-3, 1e-4])
def test_narrow_spikes_of_a_clock_are_seen(width):
    """A spike of area √π width·height at 0.3, on top of GRPO's known time."""
    result = time_to_target(
        "grpo", 0.01, 0.9, clock=lambda rho: 1 + np.exp(-(((rho - 0.3) / width) ** 2)) / width
    )
    spike, _ = integrate.quad(
        lambda x: math.exp(-(x**2)) / math.sqrt((0.3 + width * x) * (0.7 - width * x)), -9, 9
    )
    plain = 2 * (math.asin(math.sqrt(0.9)) - math.asin(math.sqrt(0.01)))
    assert result.converged
    assert result.value == pytest.approx(plain + spike, rel=1e-9)


def test_a_result_says_that_a_narrower_spike_is_missed_unless_it_is_named():
    """A spike of area √π·1e-6·1e6 between the nodes: 1.77/√(0.3·0.7) of time that nobody sees."""

    def clock(rho):
        return 1 + 1e6 * np.exp(-(((rho - 0.3000123) / 1e-6) ** 2))

    unseen = time_to_target("grpo", 0.01, 0.9, clock=clock)
    assert "1/10,000 of the range of log-odds" in unseen.message
    assert "1/10,000" in optimal_weight(0.01, 0.9, clock=clock).message
    named = time_to_target("grpo", 0.01, 0.9, clock=clock, kinks=[0.3000123])
    assert named.message == ""
    assert named.value - unseen.value == pytest.approx(math.sqrt(math.pi / 0.21), rel=1e-4)
    assert time_to_target("grpo", 0.01, 0.9).message == ""


@pytest.mark.parametrize(
    ("one_by_one", "vectorised"),
    [
        (lambda rho: 1.0 if rho < 0.5 else 2.0, lambda rho: np.where(rho < 0.5, 1.0, 2.0)),
        (math.sqrt, np.sqrt),
        (lambda rho: max(rho, 0.1), lambda rho: np.maximum(rho, 0.1)),
        (lambda rho: 3, lambda rho: 3 + 0 * rho),
    ],
)
def test_functions_of_one_number_are_taken_everywhere(one_by_one, vectorised):
    for place in ("scheme", "clock", "dynamics"):
        keywords = {"scheme": "grpo", "start": 0.01, "target": 0.9, "kinks": [0.1, 0.5]}
        ours = time_to_target(**{**keywords, place: one_by_one})
        expected = time_to_target(**{**keywords, place: vectorised})
        assert ours.converged
        assert ours.value == pytest.approx(expected.value, rel=1e-9)


@pytest.mark.parametrize("width", [1e-3, 1e-7])
def test_a_peak_that_is_named_is_integrated_however_narrow(width):
    """Height 1/width, so that its area, √π over 0.3·0.7, is the same for every width."""
    height = 1 / width
    result = time_to_target(
        lambda success: 1.0,
        0.1,
        0.9,
        clock=lambda success: 1 + height * np.exp(-(((success - 0.3) / width) ** 2)),
        kinks=(0.3,),
    )
    assert result.converged
    # 1/v changes over the peak: its second derivative times a quarter of the width squared.
    expected = 2 * np.log(9) + np.sqrt(np.pi) / 0.21
    assert result.value == pytest.approx(expected, rel=40 * width**2 + 1e-8)
