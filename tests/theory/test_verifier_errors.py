"""Wrong verifiers: enumeration and drawn groups, the table of numbers, and tabular policies."""

import itertools

import numpy as np
import pytest
from scipy import stats

from theory.advantages import group_advantages
from theory.finite_group import expected_weight, moments
from theory.optimal import optimal_weight
from theory.schemes import SCHEMES
from theory.verifier_errors import VerifierErrors, sticking_success

ERRORS = VerifierErrors(0.02, 0.1)


@pytest.mark.parametrize("name", ["grpo", "rloo", "linear_r", "nsr", "maxrl"])
@pytest.mark.parametrize("errors", [ERRORS, VerifierErrors(0.4, 0.7)], ids=str)
def test_drift_by_enumeration_of_truths_and_verdicts(name, errors):
    """Every true group of three and every set of verdicts on it, weighed by the true outcomes."""
    rho, size = 0.2, 3
    drift = second = 0.0
    for truth in itertools.product([0, 1], repeat=size):
        chance = np.prod([rho if r else 1 - rho for r in truth])
        for told in itertools.product([0, 1], repeat=size):
            passes = [1 - errors.false_negative if r else errors.false_positive for r in truth]
            verdict = np.prod([p if t else 1 - p for p, t in zip(passes, told, strict=True)])
            advantages = group_advantages(np.array(told, float), name)
            drift += chance * verdict * np.mean(advantages * (np.array(truth) - rho))
            second += chance * verdict * np.mean(advantages**2)
    real = errors.weight(name, size)(rho)
    assert real * rho * (1 - rho) == pytest.approx(drift, rel=1e-12)
    told_rate = errors.observed(rho)
    assert moments(name, size, told_rate).second_moment == pytest.approx(second, rel=1e-12)


def test_the_excess_of_the_text():
    """f₀ = .02, f₁ = .1, population, clock 1/ρ, .01 → .9: to the printed digits."""
    best = optimal_weight(0.01, 0.9, clock="responses")
    clean = {name: best.excess(name) for name in ("grpo", "linear_r", "sqrt_r")}
    noisy = {name: best.excess(ERRORS.weight(name)) for name in clean}
    assert {k: round(v, 3) for k, v in clean.items()} == {
        "grpo": 1.555,
        "linear_r": 1.075,
        "sqrt_r": 1.0,
    }
    assert {k: round(v, 3) for k, v in noisy.items()} == {
        "grpo": 1.813,
        "linear_r": 1.08,
        "sqrt_r": 1.092,
    }


@pytest.mark.parametrize("name", ["grpo", "linear_r", "sqrt_r", "uniform_r"])
def test_weights_flatten_below_f0_over_j(name):
    real = ERRORS.weight(name)
    edge = ERRORS.false_positive / ERRORS.informedness
    assert real(edge / 100) == pytest.approx(real(0.0), rel=0.011)
    assert SCHEMES[name].weight(edge / 100) > 5 * SCHEMES[name].weight(edge)


def test_below_informedness_zero_every_scheme_unlearns():
    for name in ("grpo", "rloo", "linear_r", "psr", "nsr"):
        assert VerifierErrors(0.6, 0.6).weight(name, 8)(0.3) < 0
        assert VerifierErrors(0.5, 0.5).weight(name, 8)(0.3) == 0


def test_rates_and_corrected_rewards():
    rho = np.linspace(0, 1, 7)
    np.testing.assert_allclose(ERRORS.success(ERRORS.observed(rho)), rho, atol=1e-15)
    # Of a million verdicts the corrected rewards have the true mean, within three errors.
    generator = np.random.default_rng(0)
    truth = generator.random(10**6) < 0.3
    told = np.where(truth, generator.random(10**6) >= 0.1, generator.random(10**6) < 0.02)
    corrected = ERRORS.corrected(told)
    assert corrected.mean() == pytest.approx(0.3, abs=3 * corrected.std() / 1000)
    # A constant weight: E[A²] times 1/J². A standardised one: the same advantages.
    groups = told.reshape(-1, 8).astype(float)
    scaled = ERRORS.corrected(groups)
    ours = group_advantages(groups, "dr_grpo")
    centred = scaled - scaled.mean(-1, keepdims=True)
    assert np.mean(centred**2) == pytest.approx(np.mean(ours**2) / ERRORS.informedness**2)
    spread = scaled.std(-1, keepdims=True)
    standard = np.divide(centred, spread, out=np.zeros_like(centred), where=spread > 1e-9)
    np.testing.assert_allclose(standard, group_advantages(groups, "grpo"), atol=1e-9)


@pytest.mark.parametrize(
    ("errors", "rises"), [(ERRORS, True), (VerifierErrors(0.5, 0.7), False)], ids=str
)
def test_errors_that_stick_leave_the_shares_of_a_tabular_policy_alone(errors, rises):
    """Four answers, right or wrong times passing or failing, in steps of the mirror flow."""
    rho = 0.1
    f0, f1 = errors.false_positive, errors.false_negative
    policy = np.array([rho * (1 - f1), rho * f1, (1 - rho) * f0, (1 - rho) * (1 - f0)])
    right, passing = np.array([1, 1, 0, 0]), np.array([1, 0, 1, 0])
    told, true = [], []
    for _ in range(300):
        told.append(policy @ passing)
        true.append(policy @ right)
        policy = policy * np.exp(0.02 * float(SCHEMES["rloo"].weight(told[-1])) * passing)
        policy /= policy.sum()
    np.testing.assert_allclose(sticking_success(rho, errors, told), true, rtol=1e-10)
    assert np.all(np.diff(true) > 0) == rises
    assert np.all(np.diff(told) > 0)


def test_sticking_errors_end_below_what_passes_says():
    end = float(sticking_success(0.01, ERRORS, 1.0))
    assert end == pytest.approx(0.01 * 0.9 / (0.01 * 0.9 + 0.99 * 0.02))
    assert float(sticking_success(0.01, VerifierErrors(0.0, 0.4), 1.0)) == 1.0


def test_sampled_weights_are_of_the_told_rate():
    """ω_M at ρ̃ by SciPy's binomials, for a scheme whose table is short."""
    rho = 0.3
    told = 0.02 + 0.88 * rho
    table = [4.0, 2.0, 4 / 3, 1.0]  # c_J of Linear-R at M = 4
    expected = 0.88 * (stats.binom.pmf(range(4), 3, told) @ table)
    assert ERRORS.weight("linear_r", 4)(rho) == pytest.approx(expected, rel=1e-12)
    assert expected_weight("linear_r", 4, told) == pytest.approx(expected / 0.88, rel=1e-12)


def test_what_makes_no_sense_is_refused_with_a_sentence():
    for call in (
        lambda: VerifierErrors(-0.1, 0.0),
        lambda: VerifierErrors(0.1, 1.1),
        lambda: VerifierErrors(0.5, 0.5).success(0.5),
        lambda: VerifierErrors(0.5, 0.5).corrected(0.5),
        lambda: ERRORS.success(0.01),
        lambda: ERRORS.observed(1.5),
        lambda: sticking_success(0.0, ERRORS, 0.5),
        lambda: sticking_success(0.5, VerifierErrors(0.0, 1.0), 0.5),
    ):
        with pytest.raises(ValueError, match=r"must|nothing"):
            call()
