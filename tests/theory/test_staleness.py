"""Staleness: policies that learn from a queue, the characteristic equation, steps of SciPy."""

import numpy as np
import pytest
from scipy import integrate
from scipy.special import expit, lambertw, logit

from theory.dynamics import trajectory
from theory.finite_group import expected_advantages, expected_weight
from theory.kl_anchor import resting_points
from theory.staleness import critical_lag, delayed_trajectory, stale_drift

RIGHT = np.array([True, False, True, False])


@pytest.mark.parametrize("weights", [True, False])
@pytest.mark.parametrize("name", ["grpo", "linear_r", "nsr"])
def test_a_policy_that_learns_from_a_queue_follows_the_flow(name, weights):
    """Natural-gradient steps Σ_y π_old (π/π_old or 1) A ∇ln π, the old policy 200 steps behind."""
    policy = np.array([0.05, 0.55, 0.1, 0.3])
    rate, lag, queue = 1e-3, 200, []
    for _ in range(600):
        queue.append(policy)
        old = queue[max(len(queue) - 1 - lag, 0)]
        right, wrong = expected_advantages(name, 8, old[RIGHT].sum())
        advantage = np.where(RIGHT, right, wrong)
        # F⁻¹ of the softmax turns Σ_y q_y A_y ∇ln π into q A/π, but for a constant.
        counted = policy if weights else old
        policy = policy * np.exp(rate * counted * advantage / policy)
        policy /= policy.sum()
    _, success = delayed_trajectory(
        name, 0.15, lag=0.2, duration=0.6, group_size=8, importance_weights=weights
    )
    # Euler's steps of 1e-3 err by about that.
    assert logit(policy[RIGHT].sum()) == pytest.approx(logit(success[-1]), abs=5e-3)


@pytest.mark.parametrize("name", ["grpo", "linear_r", "sqrt_r"])
def test_without_weights_centred_schemes_move_by_the_old_effective_weight(name):
    rho, old = 0.4, 0.1
    found = stale_drift(name, rho, old, importance_weights=False) * rho * (1 - rho)
    weight = {"grpo": old**-0.5 * 0.9**-0.5, "linear_r": 1 / old, "sqrt_r": 1 / old / 0.9**0.5}
    assert found == pytest.approx(weight[name] * old * 0.9, rel=1e-12)
    assert stale_drift(name, rho, old) == pytest.approx(weight[name], rel=1e-12)
    fresh = [stale_drift(name, rho, rho, group_size=8, importance_weights=w) for w in (True, False)]
    np.testing.assert_allclose(fresh, expected_weight(name, 8, rho), rtol=1e-12)


def test_a_lag_of_almost_nothing_is_the_flow_without_one():
    times, success = delayed_trajectory("grpo", 0.01, lag=1e-3, duration=1.0, steps_per_lag=1)
    np.testing.assert_allclose(
        logit(success[::100]), logit(trajectory("grpo", 0.01, times[::100])), atol=0.02
    )


@pytest.mark.parametrize("weights", [True, False])
def test_the_solver_agrees_with_scipy_lag_by_lag(weights):
    """The method of steps: within a lag the past is known, and SciPy solves what is left."""
    lag, beta, pieces = 0.7, 0.3, [lambda t: logit(0.05)]
    for number in range(4):
        last = pieces[-1]

        def slope(t, x, last=last):
            old, now = expit(last(t - lag)), expit(x[0])
            right, wrong = expected_advantages("linear_r", 8, float(old))
            scale = (1, 1) if weights else (old / now, (1 - old) / (1 - now))
            drift = right * scale[0] - wrong * scale[1]
            return [float(drift) - beta * (x[0] - logit(0.05))]

        begin, end = number * lag, (number + 1) * lag
        solved = integrate.solve_ivp(
            slope, (begin, end), [float(last(begin))], rtol=1e-10, atol=1e-12, dense_output=True
        )
        pieces.append(lambda t, s=solved: float(s.sol(t)[0]))
    times, success = delayed_trajectory(
        "linear_r",
        0.05,
        lag=lag,
        duration=4 * lag,
        coefficient=beta,
        group_size=8,
        importance_weights=weights,
    )
    assert times[-1] == pytest.approx(4 * lag)
    assert logit(success[-1]) == pytest.approx(pieces[-1](4 * lag), abs=2e-6)


def test_the_critical_lag_is_where_the_rightmost_root_crosses():
    """s + b + a e^{−sτ} = 0 has the rightmost root W(−aτ e^{bτ})/τ − b, on the principal branch."""
    beta = 0.4
    [point] = resting_points("linear_r", coefficient=beta, reference=0.05)
    rho = point.success
    a, b = (1 - rho) / rho, beta  # −ω′ρ(1−ρ) of 1/ρ
    lag = critical_lag("linear_r", rho, coefficient=beta)
    root = lambertw(-a * lag * np.exp(b * lag)) / lag - b
    assert root.real == pytest.approx(0, abs=1e-9)
    # Without weights a = −e′ and b = β + ω(1−2ρ), with e = 1 − ρ.
    stale = critical_lag("linear_r", rho, coefficient=beta, importance_weights=False)
    a, b = 1.0, beta + (1 - 2 * rho) / rho
    assert a > abs(b)
    root = lambertw(-a * stale * np.exp(b * stale)) / stale - b
    assert root.real == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(("name", "slope"), [("linear_r", 4.0), ("grpo", None)])
def test_small_anchors_allow_a_quarter_turn(name, slope):
    """η|ω′|ρ(1−ρ)τ → π/2, for weights that fall; a weight that rises has no stable point."""
    rho, rate = 0.2, 3.0
    if slope is not None:
        lag = critical_lag(name, rho, coefficient=1e-8, rate=rate)
        assert lag * rate * slope == pytest.approx(np.pi / 2, rel=1e-6)
        assert slope == pytest.approx((1 / rho**2) * rho * (1 - rho))
    # GRPO's weight falls below ½ and rises above.
    assert np.isfinite(critical_lag("grpo", 0.2, coefficient=1e-8))
    assert critical_lag("grpo", 0.8, coefficient=1e-8) == 0


@pytest.mark.parametrize(("factor", "grows"), [(0.8, False), (1.2, True)])
def test_waves_die_out_below_the_critical_lag_and_grow_above(factor, grows):
    beta, reference = 0.3, 0.02
    [point] = resting_points("linear_r", coefficient=beta, reference=reference)
    lag = factor * critical_lag("linear_r", point.success, coefficient=beta)
    times, success = delayed_trajectory(
        "linear_r",
        float(expit(point.log_odds + 1e-3)),
        lag=lag,
        duration=40 * lag,
        coefficient=beta,
        reference=reference,
    )
    distance = np.abs(logit(success) - point.log_odds)
    early, late = distance[: times.size // 4].max(), distance[-times.size // 4 :].max()
    assert (late > early) == grows


def test_equal_lags_are_harmless_where_the_anchor_is_strong_or_the_weight_constant():
    assert critical_lag("rloo", 0.3, coefficient=0.1) == np.inf
    assert critical_lag("linear_r", 0.9, coefficient=1.0) == np.inf  # |ω′|ρ(1−ρ) = 1/9 < β


def test_what_makes_no_sense_is_refused_with_a_sentence():
    # Linear-R on stale responses without weights: dρ/dt = 1 − ρ_τ is not 0 when ρ comes to 1.
    with pytest.raises(ValueError, match="leaves the numbers"):
        delayed_trajectory("linear_r", 0.5, lag=2.0, duration=3.0, importance_weights=False)
    for call in (
        lambda: stale_drift("grpo", 0.0, 0.5),
        lambda: critical_lag("grpo", 0.5, coefficient=0.0),
        lambda: delayed_trajectory("grpo", 0.5, lag=0.0, duration=1.0),
        lambda: delayed_trajectory("grpo", 0.5, lag=1.0, duration=1.0, steps_per_lag=0),
        lambda: delayed_trajectory("grpo", 0.5, lag=1.0, duration=1.0, reference=1.0),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
