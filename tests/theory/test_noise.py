"""Drift against noise: enumeration, theorems on the frontier, and an optimiser that knows none."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize

from theory.finite_group import moments
from theory.noise import frontier_scheme, noise_dose, tradeoff
from theory.pass_rates import PassRates
from theory.schemes import SCHEMES, resolve
from theory.tables import table_scheme

SPREAD = PassRates(np.array([0.02, 0.3, 0.8]), np.array([0.5, 0.3, 0.2]))
CENTRED = ("rloo", "grpo", "dr_grpo", "linear_r", "sqrt_r", "uniform_r", "plateau_r", "maxrl")


@pytest.mark.parametrize("scheme", ["grpo", "sqrt_r", "nsr", "w_reinforce"])
@pytest.mark.parametrize("dynamics", ["mirror", "softmax_gradient"])
@pytest.mark.parametrize("sharing", [0.0, 0.4, 1.0])
def test_drifts_and_noise_are_averages_of_exact_moments(scheme, dynamics, sharing):
    rho, share = SPREAD.success, SPREAD.share
    variance = rho * (1 - rho)
    v = variance if dynamics == "mirror" else 2 * variance**2
    exact = moments(scheme, 8, rho)
    length = exact.weight * np.sqrt(v)
    # dℓ of each prompt, from its own gradient and from the average one.
    odds = np.sqrt(v) / variance * ((1 - sharing) * length + sharing * (share @ length))
    result = tradeoff(scheme, SPREAD, 8, dynamics=dynamics, sharing=sharing)
    assert result.odds_drift == pytest.approx(share @ odds, rel=1e-12)
    assert result.success_drift == pytest.approx(share @ (variance * odds), rel=1e-12)
    assert result.noise == pytest.approx(share @ exact.second_moment, rel=1e-12)
    signal = result.signal_to_noise(prompts=32, score_variance=4)
    assert signal == pytest.approx(
        result.success_drift / np.sqrt(result.noise * 4 / (32 * 8)), rel=1e-12
    )


def test_an_optimiser_that_knows_no_posterior_finds_the_frontier():
    size = 4

    def badness(x, odds):
        scheme = table_scheme(np.append(0, x[:size]), np.append(x[size:], 0))
        result = tradeoff(scheme, SPREAD, size)
        drift = result.odds_drift if odds else result.success_drift
        return -drift / np.sqrt(result.noise)

    for odds in (False, True):
        found = optimize.minimize(
            badness, np.ones(2 * size), args=(odds,), method="BFGS", options={"gtol": 1e-8}
        )
        best = frontier_scheme(SPREAD, size, odds_share=float(odds))
        positive, negative = best.table(size)
        exact = badness(np.concatenate([positive[1:], negative[:-1]]), odds)
        assert exact == pytest.approx(found.fun, rel=1e-7)
        assert exact <= found.fun + 1e-12


@pytest.mark.parametrize("odds_share", [0.0, 0.3, 0.7, 1.0])
@pytest.mark.parametrize("sharing", [0.0, 0.5])
def test_mixtures_lie_on_the_frontier(odds_share, sharing):
    scheme = frontier_scheme(SPREAD, 8, odds_share=odds_share, sharing=sharing)
    result = tradeoff(scheme, SPREAD, 8, sharing=sharing)
    assert result.frontier == pytest.approx(1, rel=1e-9)
    assert result.noise == pytest.approx(1, rel=1e-9)
    ends = result.success_efficiency, result.odds_efficiency
    assert ends[int(odds_share)] == pytest.approx(1, rel=1e-9) or 0 < odds_share < 1


@given(
    values=st.lists(st.floats(-3, 3), min_size=8, max_size=8),
    a=st.floats(0.2, 5),
    b=st.floats(0.2, 5),
)
@settings(max_examples=60, deadline=None)
def test_no_table_lies_beyond_the_frontier(values, a, b):
    rates = PassRates.beta(a, b, nodes=8)
    scheme = table_scheme(np.append(0, values[:4]), np.append(values[4:], 0))
    result = tradeoff(scheme, rates, 4)
    assert result.frontier <= 1 + 1e-9
    assert max(result.success_efficiency, result.odds_efficiency) <= result.frontier + 1e-6


@pytest.mark.parametrize("rho", [0.02, 0.3, 0.7])
def test_at_one_pass_rate_centring_on_it_is_best_and_large_centred_groups_reach_it(rho):
    size = 8
    best = tradeoff(frontier_scheme(rho, size), rho, size)
    bound = 1 / (rho * (1 - rho))
    assert best.odds_drift**2 / best.noise == pytest.approx(bound, rel=1e-10)
    table = frontier_scheme(rho, size).table(size)
    assert np.allclose(table[0][1:] / table[1][:-1], (1 - rho) / rho, rtol=1e-9)
    for scheme in CENTRED:
        lost = [1 - tradeoff(scheme, rho, m).success_efficiency for m in (64, 1024)]
        assert 0 < lost[1] < lost[0]
        # Sampling the baseline costs a share of 1/M.
        assert lost[1] < 0.15


def test_across_prompts_a_constant_weight_has_the_largest_signal_to_noise():
    rates = PassRates.beta(1.0, 1.0)
    efficiency = {s: tradeoff(s, rates, 256).success_efficiency for s in CENTRED}
    assert max(efficiency, key=efficiency.get) in ("rloo", "dr_grpo")
    # With a uniform prior the best baseline is (K+1)/(M+2), and RLOO keeps this much.
    assert efficiency["rloo"] == pytest.approx(255 * 258 / (256 * 257), rel=1e-10)
    odds = {s: tradeoff(s, rates, 256).odds_efficiency for s in CENTRED}
    assert max(odds, key=odds.get) == "uniform_r"
    # With one shared direction and mirror geometry it is GRPO, with softmax geometry RLOO.
    for dynamics, winner in (("mirror", "grpo"), ("softmax_gradient", "rloo")):
        shared = {
            s: tradeoff(s, rates, 256, dynamics=dynamics, sharing=1.0).success_efficiency
            for s in CENTRED
            if s != "dr_grpo"
        }
        assert max(shared, key=shared.get) == winner


@pytest.mark.parametrize("size", [4, 16])
def test_all_wrong_groups_are_most_of_the_noise_and_little_of_the_drift_where_success_is_rare(size):
    rho = 0.01
    result = tradeoff("linear_r", rho, size)
    exact = moments("linear_r", size, rho)
    assert result.all_wrong_noise == pytest.approx(
        (1 - rho) ** size / float(exact.second_moment), rel=1e-12
    )
    assert result.all_wrong_odds == pytest.approx(
        (1 - rho) ** (size - 1) / float(exact.weight), rel=1e-12
    )
    assert result.all_wrong_noise > 3 * result.all_wrong_odds
    assert tradeoff("linear_r", rho, size, zero_success="drop").all_wrong_noise == 0


def test_pass_rates_of_zero_and_one_and_underflow_are_defined():
    rates = PassRates(np.array([0.0, 1e-12, 1.0]), np.ones(3))
    for odds_share in (0.0, 1.0):
        table = np.stack(frontier_scheme(rates, 64, odds_share=odds_share).table(64))
        assert np.all(np.isfinite(table))
    result = tradeoff("grpo", PassRates(np.array([0.0, 1.0]), np.ones(2)), 8)
    assert (result.noise, result.success_drift, result.signal_to_noise()) == (0, 0, 0)


@pytest.mark.parametrize("scale", [1e-3, 50.0])
def test_efficiencies_do_not_depend_on_the_scale_of_the_weight(scale):
    table = SCHEMES["sqrt_r"].table(8)
    one = tradeoff("sqrt_r", SPREAD, 8)
    other = tradeoff(table_scheme(scale * table[0], scale * table[1]), SPREAD, 8)
    for field in ("success_efficiency", "odds_efficiency", "frontier", "all_wrong_noise"):
        assert getattr(other, field) == pytest.approx(getattr(one, field), rel=1e-12)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="sharing"):
        tradeoff("grpo", 0.1, 4, sharing=1.5)
    with pytest.raises(ValueError, match="odds_share"):
        frontier_scheme(0.1, 4, odds_share=-1)
    with pytest.raises(ValueError, match="inside"):
        frontier_scheme([0.0, 1.0], 4)
    with pytest.raises(ValueError, match="group_size"):
        frontier_scheme(0.1, 0)
    with pytest.raises(ValueError, match="positive"):
        tradeoff("grpo", 0.1, 4).signal_to_noise(0)


def test_noise_dose_is_noise_over_drift_by_enumeration():
    rates, size = np.array([0.1, 0.6]), 3
    positive, negative = resolve("sqrt_r").table(size)
    noise = drift = 0.0
    for rho in rates:
        for verdicts in itertools.product((0, 1), repeat=size):
            hits = sum(verdicts)
            chance = rho**hits * (1 - rho) ** (size - hits) / len(rates)
            told = np.where(verdicts, positive[hits], -negative[hits])
            noise += chance * (told**2).mean()
            drift += chance * (told * (np.array(verdicts) - rho)).mean()
    got = noise_dose("sqrt_r", rates, size, learning_rate=0.3, batch=8)
    assert got == pytest.approx(0.3 / 8 * noise / drift, rel=1e-12)
    assert noise_dose("grpo", 0.0, size) == np.inf
    with pytest.raises(ValueError, match="batch at least 1"):
        noise_dose("grpo", 0.5, size, batch=0)
