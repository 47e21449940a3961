"""Learning times: limits with closed forms, an independent integrator, and the crossover."""

import math

import numpy as np
import pytest
from scipy import integrate, optimize
from scipy.special import expit, logit

from theory.clocks import resolve_clock
from theory.finite_group import moments
from theory.learning_time import Setting, learning_time
from theory.pass_rates import PassRates
from theory.tables import table_scheme


def rates_of(scheme, odds, share, setting):
    """Drift and harm per prompt under the mirror flow, from the equations of the module."""
    rho = expit(odds)
    exact = moments(scheme, setting.group_size, rho)
    variance = rho * (1 - rho)
    length = exact.weight * np.sqrt(variance)
    s, noise = setting.sharing, setting.score_variance / setting.group_size
    drift = ((1 - s) * length + s * share @ length) / np.sqrt(variance)
    own = length**2 + noise * exact.second_moment
    shared = (share @ length) ** 2 + noise * (share @ exact.second_moment) / setting.prompts
    return drift, setting.curvature * ((1 - s) * own + s * shared)


@pytest.mark.parametrize("scheme", ["rloo", "grpo", "sqrt_r"])
@pytest.mark.parametrize("score_variance", [0.0, 30.0])
def test_one_prompt_takes_the_least_of_a_quadrature_over_learning_rates(scheme, score_variance):
    clock = resolve_clock(lambda rho: 2 - rho)
    setting = Setting(group_size=8, score_variance=score_variance, clock=clock)
    share = np.ones(1)

    def time(log_rate):
        eta = math.exp(log_rate)

        def pace(odds):
            drift, harm = rates_of(scheme, np.array([odds]), share, setting)
            speed = eta * drift[0] - eta**2 / 2 * harm[0]
            return (2 - expit(odds)) / speed if speed > 0 else 1e12

        return integrate.quad(pace, logit(0.05), logit(0.8), limit=200, epsrel=1e-9)[0]

    ours = learning_time(scheme, 0.05, 0.8, setting)
    centre = math.log(ours.learning_rate)
    found = optimize.minimize_scalar(time, bounds=(centre - 1, centre + 1), method="bounded")
    # Linear interpolation of the moments errs by 4e-6, and the minimum is flat.
    assert ours.time == pytest.approx(found.fun, rel=2e-5)
    assert ours.converged


@pytest.mark.parametrize("sharing", [0.0, 0.5, 1.0])
def test_spread_prompts_follow_an_independent_integrator(sharing):
    rates = PassRates(np.array([0.03, 0.3, 0.6]), np.array([0.5, 0.3, 0.2]))
    setting = Setting(group_size=8, prompts=16, sharing=sharing, score_variance=20.0)
    ours = learning_time("sqrt_r", rates, 0.45, setting)
    eta = ours.learning_rate

    def slope(_, odds):
        drift, harm = rates_of("sqrt_r", odds, rates.share, setting)
        return eta * drift - eta**2 / 2 * harm

    def arrives(_, odds):
        return rates.share @ expit(odds) - 0.45

    arrives.terminal = True
    path = integrate.solve_ivp(
        slope, (0, 1.1 * ours.updates), logit(rates.success), events=arrives, rtol=1e-10, atol=1e-10
    )
    assert path.t_events[0][0] == pytest.approx(ours.updates, rel=3e-5)


def test_equal_prompts_are_one_prompt_and_the_two_integrators_agree():
    setting = Setting(score_variance=50.0)
    one = learning_time("sqrt_r", 0.01, 0.9, setting)
    many = learning_time("sqrt_r", [0.01, 0.01, 0.01], 0.9, setting)
    nearly = learning_time("sqrt_r", [0.01, 0.01 * (1 + 1e-6)], 0.9, setting)
    assert many.time == pytest.approx(one.time, rel=1e-12)
    assert nearly.time == pytest.approx(one.time, rel=1e-5)


def test_noise_of_equal_prompts_depends_on_d_over_b_m_alone():
    # The shared part averages over B prompts, so s = 1, B = 8 is D/8 without sharing.
    shared = learning_time("grpo", 0.05, 0.8, Setting(sharing=1, prompts=8, score_variance=80.0))
    alone = learning_time("grpo", 0.05, 0.8, Setting(score_variance=10.0))
    assert shared.time == pytest.approx(alone.time, rel=1e-10)


def test_curvature_and_the_scale_of_a_weight_cancel():
    reference = learning_time("psr", 0.05, 0.8, Setting(score_variance=3.0))
    doubled = learning_time("reinforce", 0.05, 0.8, Setting(score_variance=0.0))
    single = learning_time("psr", 0.05, 0.8, Setting(score_variance=0.0))
    assert doubled.time == pytest.approx(single.time, rel=1e-9)
    assert doubled.learning_rate == pytest.approx(single.learning_rate / 2, rel=1e-2)
    curved = learning_time("psr", 0.05, 0.8, Setting(score_variance=3.0, curvature=5.0))
    assert curved.time == pytest.approx(5 * reference.time, rel=1e-9)
    assert curved.noise_share == pytest.approx(reference.noise_share, rel=1e-6)


def test_noise_share_runs_from_none_to_all():
    shares = [
        learning_time("grpo", 0.05, 0.8, Setting(score_variance=d)).noise_share
        for d in (0.0, 1.0, 100.0, 1e6)
    ]
    assert shares[0] == 0
    assert np.all(np.diff(shares) > 0)
    assert shares[-1] == pytest.approx(1, abs=1e-3)


def test_time_grows_with_noise_and_falls_with_prompts():
    times = [
        learning_time("linear_r", 0.05, 0.8, Setting(score_variance=d)).time for d in (0, 1, 10)
    ]
    assert np.all(np.diff(times) > 0)
    batch = [
        learning_time("linear_r", 0.05, 0.8, Setting(prompts=b, sharing=0.5)).time
        for b in (1, 4, 64)
    ]
    assert np.all(np.diff(batch) < 0)


def test_a_scheme_whose_drift_has_the_wrong_sign_never_arrives():
    backwards = table_scheme([0, -1.0, -1.0], [0.0, 0.0, 0.0])
    setting = Setting(group_size=2)
    result = learning_time(backwards, 0.1, 0.9, setting)
    assert not result.converged
    assert math.isinf(result.time)
    assert "falls" in result.message


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Setting(sharing=2), "sharing"),
        (lambda: Setting(prompts=0), "prompts"),
        (lambda: Setting(score_variance=-1), "score_variance"),
        (lambda: Setting(curvature=0), "curvature"),
        (lambda: learning_time("grpo", [0.0, 0.5], 0.9), "start"),
        (lambda: learning_time("grpo", 0.5, 0.4), "target"),
        (lambda: learning_time("grpo", 1e-14, 0.4), "1e-13"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("start", [1e-3, 1e-7, 1e-10])
def test_hard_starts_have_the_time_of_plain_quadrature_at_its_own_best_rate(start):
    """The start allows learning rates like 1/ρ₀, which the way to the target does not."""

    def pace(odds, rate):
        success = expit(odds)
        exact = moments("grpo", 16, success)
        root = np.sqrt(success * expit(-odds))
        harm = (exact.weight * root) ** 2 + exact.second_moment / 16
        return float(1 / (rate * exact.weight - rate**2 / 2 * harm))

    def time(rate):
        return integrate.quad(pace, logit(start), logit(0.9), args=(rate,), limit=400)[0]

    exact = optimize.minimize_scalar(time, bounds=(1, 4), method="bounded").fun
    ours = learning_time("grpo", start, 0.9)
    assert ours.converged
    # Weights and noise are interpolated linearly, within 4e-6 of themselves.
    assert ours.time == pytest.approx(exact, rel=1e-5)
