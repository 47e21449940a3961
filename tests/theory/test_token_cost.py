"""Token costs: elliptic integrals, drawn responses, and the limit √k of asymmetry."""

import numpy as np
import pytest
from scipy import integrate
from scipy.special import ellipeinc

from theory.optimal import optimal_weight
from theory.schemes import SCHEMES
from theory.token_cost import mean_length, token_clock, token_scheme, tokens_per_update


@pytest.mark.parametrize("ratio", [1.5, 4.0, 50.0])
@pytest.mark.parametrize("start", [0.001, 0.1])
def test_the_least_time_is_an_elliptic_integral(ratio, start):
    """With ρ = sin²θ, ∫√((ρ + k(1−ρ))/(ρ(1−ρ))) dρ = 2√k E(θ | 1 − 1/k)."""
    ends = np.arcsin(np.sqrt([start, 0.9]))
    length = 2 * np.sqrt(ratio) * np.diff(ellipeinc(ends, 1 - 1 / ratio))[0]
    best = optimal_weight(start, 0.9, clock=token_clock(ratio))
    assert best.time == pytest.approx(length**2, rel=1e-9)
    scheme = token_scheme(ratio)
    rho = np.linspace(start, 0.9, 9)
    np.testing.assert_allclose(best.weight(rho) * length, scheme.weight(rho), rtol=1e-9)
    assert best.excess(scheme) == pytest.approx(1, rel=1e-9)


@pytest.mark.parametrize("ratio", [0.25, 1.0, 9.0])
def test_the_optimum_is_at_most_root_k_more_asymmetric_than_grpo(ratio):
    rho = np.geomspace(1e-9, 1 - 1e-9, 50)
    tilt = token_scheme(ratio).weight(rho) / SCHEMES["grpo"].weight(rho)
    assert np.all((tilt <= max(ratio, 1) ** 0.5 + 1e-12) & (tilt >= min(ratio, 1) ** 0.5 - 1e-12))
    assert tilt[0] / tilt[-1] == pytest.approx(ratio**0.5, rel=1e-6)


def test_grpo_loses_little_however_long_wrong_responses_are():
    """The worst k, by plain quadrature: c → 1 − ρ, GRPO's excess ends below 1.1 from 1 %."""
    excess = [optimal_weight(0.01, 0.9, clock=token_clock(k)).excess("grpo") for k in (2, 8, 1e6)]
    assert np.all(np.diff(excess) > 0)
    limit = 1.0
    for integrand in (
        lambda p: (1 - p) / np.sqrt(p * (1 - p)),
        lambda p: 1 / np.sqrt(p * (1 - p)),
    ):
        limit *= integrate.quad(integrand, 0.01, 0.9, epsrel=1e-10)[0]
    limit /= integrate.quad(lambda p: p**-0.5, 0.01, 0.9, epsrel=1e-10)[0] ** 2
    assert excess[-1] == pytest.approx(limit, rel=1e-5)
    assert limit < 1.1


@pytest.mark.parametrize("design", ["fixed", "until_any", "until_mixed", "first_success"])
def test_tokens_of_an_update_by_drawing_until_one_is_accepted(design):
    rho, size, ratio, updates = 0.15, 4, 2.5, 20_000
    generator = np.random.default_rng(5)
    if design == "first_success":
        wrong = generator.geometric(rho, updates) - 1
        tokens = 1 + ratio * wrong
    else:
        correct = generator.binomial(size, rho, 30 * updates)
        used = {
            "fixed": np.ones(correct.size, bool),
            "until_any": correct > 0,
            "until_mixed": (correct > 0) & (correct < size),
        }[design]
        spent = np.cumsum(correct + ratio * (size - correct))
        tokens = np.diff(spent[used], prepend=0.0)
    expected = float(tokens_per_update(rho, ratio, design=design, group_size=size))
    assert tokens.mean() == pytest.approx(expected, abs=4 * tokens.std() / np.sqrt(tokens.size))


def test_costs_of_updates_and_of_lengths_add():
    clock = token_clock(3.0, update_cost=2.0, response_cost=0.5)
    rho = np.array([0.0, 0.5, 1.0])
    np.testing.assert_allclose(clock(rho), 2.0 + 0.5 * mean_length(rho, 3.0))
    # Updates alone: GRPO, whatever the lengths.
    only = optimal_weight(0.01, 0.9, clock=token_clock(3.0, update_cost=1.0, response_cost=0.0))
    assert only.excess("grpo") == pytest.approx(1, rel=1e-9)


def test_what_makes_no_sense_is_refused_with_a_sentence():
    for call in (
        lambda: mean_length(0.5, 0.0),
        lambda: mean_length(1.5, 2.0),
        lambda: token_scheme(-1.0),
        lambda: token_clock(2.0, update_cost=0.0, response_cost=0.0),
        lambda: token_clock(np.inf),
        lambda: tokens_per_update(0.5, 2.0),
    ):
        with pytest.raises(ValueError, match=r"must|needs"):
            call()
