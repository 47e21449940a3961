"""The anchored flow: closed forms, a tabular policy in small steps, and weights that do not win."""

import numpy as np
import pytest
from scipy import integrate
from scipy.special import expit, logit

from theory.dynamics import time_to_target
from theory.finite_group import expected_weight
from theory.kl_anchor import (
    anchored_optimum,
    anchored_time,
    least_budget,
    pull,
    resting_points,
)
from theory.optimal import optimal_weight
from theory.schemes import SCHEMES


def step(policy, reference, advantage, rate, beta):
    """π′ ∝ π exp(η(A − β ln(π/π_ref))), the step that maximises E[A] − β KL(π‖π_ref) − KL/η."""
    moved = policy * np.exp(rate * (advantage - beta * np.log(policy / reference)))
    return moved / moved.sum()


@pytest.mark.parametrize("name", ["rloo", "grpo", "linear_r"])
def test_a_tabular_policy_takes_the_time_of_the_integral(name):
    right = np.array([True, False, False, True, False, False])
    reference = np.array([0.03, 0.3, 0.2, 0.07, 0.25, 0.15])
    beta, rate, scheme = 0.2, 1e-3, SCHEMES[name]
    policy, steps = reference, 0
    while policy[right].sum() < 0.5:
        rho = policy[right].sum()
        advantage = float(scheme.weight(rho)) * (right - rho)
        policy, steps = step(policy, reference, advantage, rate, beta), steps + 1
    # Euler's steps err by the order of the rate, and count the last one whole.
    assert steps * rate == pytest.approx(
        anchored_time(name, 0.1, 0.5, coefficient=beta).value, rel=3e-3
    )


def test_rloo_rests_at_the_reference_moved_by_one_over_beta():
    for beta in (0.05, 0.3, 2.0):
        [point] = resting_points("rloo", coefficient=beta, reference=0.02)
        assert point.stable
        assert point.success == pytest.approx(expit(logit(0.02) + 1 / beta), rel=1e-12)


def test_groups_rest_at_their_last_coefficient_far_from_the_reference():
    """ω_M(1) = √(M−1) for GRPO, however near to 1: the population's weight has no end there."""
    [point] = resting_points("grpo", coefficient=0.05, reference=0.01, group_size=16)
    assert point.log_odds == pytest.approx(logit(0.01) + np.sqrt(15) / 0.05, rel=1e-12)
    assert resting_points("grpo", coefficient=0.05, reference=0.01) == []


def test_every_resting_point_is_found_with_its_stability():
    """Between strong anchors and weak ones GRPO's population weight has two, the lower stable."""
    points = resting_points("grpo", coefficient=2.0, reference=0.3)
    assert [point.stable for point in points] == [True, False]
    for point in points:
        odds = point.log_odds
        assert 2 * np.cosh(odds / 2) == pytest.approx(2.0 * (odds - logit(0.3)), rel=1e-10)
    flow = integrate.solve_ivp(
        lambda _, x: 2 * np.cosh(x / 2) - 2.0 * (x - logit(0.3)), (0, 50), [logit(0.3)], rtol=1e-9
    )
    assert flow.y[0, -1] == pytest.approx(points[0].log_odds, abs=1e-6)


def test_a_target_is_reached_iff_it_lies_below_the_first_resting_point():
    first = resting_points("linear_r", coefficient=1.0, reference=0.01, group_size=8)[0].success
    setting = {"coefficient": 1.0, "reference": 0.01, "group_size": 8}
    assert np.isfinite(anchored_time("linear_r", 0.01, first - 1e-4, **setting).value)
    stopped = anchored_time("linear_r", 0.01, first + 1e-4, **setting)
    assert stopped.value == np.inf
    assert "anchor stops" in stopped.message


def test_the_time_is_a_plain_quadrature_and_without_an_anchor_the_old_one():
    def slowness(odds):
        rho = expit(odds)
        return (2 - rho) / (float(expected_weight("grpo", 8, rho)) - 0.1 * (odds - logit(0.02)))

    expected = integrate.quad(slowness, logit(0.05), logit(0.8), epsrel=1e-11)[0]
    setting = {"clock": lambda rho: 2 - rho, "group_size": 8}
    found = anchored_time("grpo", 0.05, 0.8, coefficient=0.1, reference=0.02, **setting)
    assert found.value == pytest.approx(expected, rel=1e-9)
    free = time_to_target("grpo", 0.05, 0.8, **setting).value
    assert anchored_time("grpo", 0.05, 0.8, coefficient=0.0, **setting).value == pytest.approx(free)
    slightly = anchored_time("grpo", 0.05, 0.8, coefficient=1e-7, **setting).value
    assert slightly == pytest.approx(free, rel=1e-5)


@pytest.mark.parametrize("reference", [0.01, 0.002])
def test_the_anchor_takes_a_budget_of_divergences(reference):
    expected = integrate.quad(lambda p: 0.3 * (logit(p) - logit(reference)), 0.01, 0.9)[0]
    found = least_budget(0.01, 0.9, coefficient=0.3, reference=reference)
    assert found == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("clock", ["updates", "responses"])
def test_no_perturbation_of_equal_budget_is_faster(clock):
    """Fifty random perturbations of ω*, by Gauss-Legendre sums of this test's own."""
    best = anchored_optimum(0.01, 0.9, coefficient=0.2, reference=0.005, budget=3.0, clock=clock)
    nodes, weights = np.polynomial.legendre.leggauss(200)
    low, high = logit(0.01), logit(0.9)
    odds = (low + high) / 2 + (high - low) / 2 * nodes
    rho = expit(odds)
    width = (high - low) / 2 * weights * rho * (1 - rho)  # dρ
    cost = (1 / rho if clock == "responses" else 1.0) / (rho * (1 - rho))
    kappa = 0.2 * (odds - logit(0.005))

    def time(omega):
        return width @ (cost / (omega - kappa)) if np.all(omega > kappa) else np.inf

    optimum = best.weight(rho)
    assert width @ optimum == pytest.approx(3.0, rel=1e-10)
    assert time(optimum) == pytest.approx(best.time, rel=1e-10)
    generator, tried = np.random.default_rng(0), 0
    for _ in range(50):
        waves = generator.normal(size=4) @ np.cos(np.outer(np.arange(4), odds))
        change = optimum * 0.1 * waves
        change -= optimum * (width @ change) / 3.0
        tried += np.isfinite(time(optimum + change))
        assert time(optimum + change) > best.time
    assert tried > 25


def test_a_scheme_at_equal_budget_loses_what_its_excess_says():
    best = anchored_optimum(0.01, 0.9, coefficient=0.1, budget=2.0, clock="updates")
    scale = 2.0 / (2 * (np.arcsin(np.sqrt(0.9)) - np.arcsin(np.sqrt(0.01))))

    def slowness(odds):
        return 1 / (scale * 2 * np.cosh(odds / 2) - 0.1 * (odds - logit(0.01)))

    time = integrate.quad(slowness, logit(0.01), logit(0.9), epsrel=1e-11)[0]
    assert best.excess("grpo") == pytest.approx(time / best.time, rel=1e-8)
    free = anchored_optimum(0.01, 0.9, coefficient=0.0, budget=2.0)
    plain = optimal_weight(0.01, 0.9)
    assert free.time == pytest.approx(plain.time / 2)
    for name in ("grpo", "linear_r", "plateau_r:threshold=0.3"):
        assert free.excess(name) == pytest.approx(plain.excess(name), rel=1e-9)


def test_what_is_out_of_reach_or_range_is_said():
    poor = anchored_optimum(0.01, 0.9, coefficient=1.0, budget=2.0)
    assert poor.time == np.inf
    with pytest.raises(ValueError, match="takes the whole budget"):
        poor.weight(0.5)
    assert pull([0.0, 0.2, 1.0], 0.1, 0.2).tolist() == [-np.inf, 0.0, np.inf]
    assert pull([0.0, 1.0], 0.0, 0.2).tolist() == [0.0, 0.0]
    for call in (
        lambda: pull(0.5, -1.0, 0.1),
        lambda: resting_points("rloo", coefficient=0.0, reference=0.1),
        lambda: anchored_time("rloo", 0.1, 0.9, coefficient=0.1, reference=0.0),
        lambda: anchored_time("rloo", 0.0, 0.9, coefficient=0.1),
        lambda: anchored_optimum(0.1, 0.9, coefficient=0.1, budget=0.0),
        lambda: anchored_optimum(0.1, 0.9, coefficient=0.1, budget=1.0, reference=0.2),
    ):
        with pytest.raises(ValueError, match=r"must|nothing rests"):
            call()
