"""The empirical-Bayes baseline: enumeration, least noise, drawn prompts, every array library."""

import itertools

import jax
import numpy as np
import pytest
from scipy import integrate, stats

from theory.advantages import group_advantages
from theory.beta_binomial import PassRateModel
from theory.designs import excess
from theory.empirical_bayes import (
    History,
    Prior,
    empirical_bayes,
    no_history,
    noise,
    observed,
    prior_from,
    with_prior,
)
from theory.finite_group import expected_weight, moments
from theory.pass_rates import PassRates
from theory.schemes import IMPORTS, SCHEMES, resolve

RHO = np.array([0.0, 1e-6, 0.01, 0.3, 0.9, 1.0])


@pytest.mark.parametrize("prior", [(0.1, 5.0), (3.0, 1.0)], ids=str)
@pytest.mark.parametrize("size", [1, 2, 4, 16, 100])
def test_weight_is_one_and_noise_is_the_closed_form(prior, size):
    scheme = empirical_bayes(*prior)
    np.testing.assert_allclose(expected_weight(scheme, size, RHO), 1, rtol=1e-13)
    np.testing.assert_allclose(
        moments(scheme, size, RHO).second_moment, noise(*prior, size, RHO), rtol=1e-12, atol=1e-16
    )


def test_noise_and_weight_by_enumeration_of_every_group():
    """Over all 2⁴ groups, and the numbers of the text: .0104 against RLOO's .0132."""
    a, b, rho = 0.1, 5.0, 0.01
    second = gain = 0.0
    for group in itertools.product([0, 1], repeat=4):
        chance = np.prod([rho if r else 1 - rho for r in group])
        baseline = [(a + sum(group) - r) / (a + b + 3) for r in group]
        advantages = np.subtract(group, baseline)
        np.testing.assert_allclose(with_prior(np.array(group), a, b), advantages, rtol=1e-14)
        second += chance * np.mean(advantages**2)
        gain += chance * np.mean(advantages * (np.array(group) - rho))
    assert gain == pytest.approx(rho * (1 - rho), rel=1e-13)  # ω = 1
    assert second == pytest.approx(float(noise(a, b, 4, rho)), rel=1e-13)
    assert round(second, 4) == 0.0104
    assert round(float(moments("rloo", 4, rho).second_moment), 4) == 0.0132


def test_an_all_wrong_group_is_penalised_by_what_was_expected_of_it():
    assert with_prior(np.zeros(4), 0.1, 5.0).tolist() == pytest.approx([-0.1 / 8.1] * 4)
    assert empirical_bayes(0.1, 5.0).table(4)[1][0] == pytest.approx(0.1 / 8.1)


def test_no_other_baseline_of_the_other_responses_has_less_noise_on_average():
    """The noise of 100 other baselines b(K₋ᵢ), averaged over the prior by quadrature."""
    a, b, size = 0.4, 2.0, 5
    others = np.arange(size)

    def average(baseline):
        def at(rho):
            chances = stats.binom.pmf(others, size - 1, rho)
            return chances @ (rho * (1 - baseline) ** 2 + (1 - rho) * baseline**2)

        return PassRates.beta(a, b, 32).mean(
            lambda points: np.array([at(point) for point in points])
        )

    best = (a + others) / (a + b + size - 1)
    least = average(best)
    density = stats.beta(a, b)
    assert least == pytest.approx(
        integrate.quad(lambda p: float(noise(a, b, size, p)) * density.pdf(p), 0, 1)[0], rel=1e-6
    )
    generator = np.random.default_rng(0)
    for _ in range(100):
        assert average(best + 0.1 * generator.normal(size=size)) > least


@pytest.mark.parametrize("zero", [0.0, 0.3])
def test_a_mass_at_zero_lowers_the_baseline_of_all_wrong_groups_alone(zero):
    scheme = empirical_bayes(0.5, 2.0, never=zero)
    positive, negative = scheme.table(8)
    np.testing.assert_allclose(positive[1:] + negative[:-1], 1)
    plain = empirical_bayes(0.5, 2.0).table(8)
    np.testing.assert_allclose(negative[1:], plain[1][1:], rtol=1e-14)
    assert (negative[0] < plain[1][0]) == (zero > 0)
    # Bayes' rule at K₋ᵢ = 0 by quadrature over the Beta part.
    rates = PassRates.beta(0.5, 2.0)
    none, success = (rates.mean(lambda p, k=k: p**k * (1 - p) ** 7) for k in (0, 1))
    expected = (1 - zero) * success / (zero + (1 - zero) * none)
    assert negative[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("size", [1, 3, 7])
def test_with_a_mass_at_zero_and_a_history_the_baseline_is_the_fits_posterior_mean(backend, size):
    """Every group of M, after 0 of 6, 2 of 6 and nothing: theory.beta_binomial's posterior."""
    name = "empirical_bayes:a=0.4,b=3,never=0.35,keep=0.9"
    seen = np.array([0.0, 2.0, 0.0]), np.array([6.0, 6.0, 0.0])
    model = PassRateModel(0.4, 3.0, 0.35)
    for group in itertools.product([0.0, 1.0], repeat=size):
        rewards = np.array([group] * 3)
        others = rewards.sum(1, keepdims=True) - rewards
        baseline = np.stack(
            [
                model.posterior(seen[0] + others[:, i], seen[1] + size - 1).mean()
                for i in range(size)
            ],
            axis=1,
        )
        history = tuple(backend.array(part) for part in seen)
        found = group_advantages(backend.array(rewards), name, history=history)
        np.testing.assert_allclose(backend.numpy(found), rewards - baseline, atol=2e-6, rtol=1e-9)
        prior = prior_from(Prior(0.4, 3.0, 0.35), History(*history))
        same = with_prior(backend.array(rewards), *prior)
        np.testing.assert_allclose(backend.numpy(same), rewards - baseline, atol=2e-6, rtol=1e-9)


def test_counts_alone_tell_of_a_mass_at_zero_and_grades_are_no_counts():
    with pytest.raises(ValueError, match="binary rewards"):
        group_advantages(np.array([[0.5, 0.0]]), "empirical_bayes:never=0.2")
    with pytest.raises(ValueError, match="binary rewards"):
        group_advantages(np.array([[0.5, 0.0]]), "empirical_bayes:refit=2")
    assert resolve("empirical_bayes:keep=0.5").graded
    with pytest.raises(ValueError, match="never of empirical_bayes must be"):
        resolve("empirical_bayes:never=1")


def test_scheme_and_function_agree_on_graded_rewards_and_in_every_library(backend):
    rewards = np.array([[0.0, 1.0, 0.25, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]])
    expected = with_prior(rewards, 0.3, 1.2)
    scheme = empirical_bayes(0.3, 1.2)
    np.testing.assert_allclose(group_advantages(rewards, scheme), expected, rtol=1e-12)
    mean = rewards.mean(-1)
    found = scheme.coefficients(backend.array(mean), backend.array(mean * (1 - mean)), 4)
    for table, ours in zip(scheme.coefficients(mean, mean * (1 - mean), 4), found, strict=True):
        np.testing.assert_allclose(backend.numpy(ours), table, rtol=1e-6)
    parameters = (backend.array(np.full(3, value)) for value in (0.3, 1.2))
    each = with_prior(backend.array(rewards), *parameters)
    np.testing.assert_allclose(backend.numpy(each), expected, rtol=1e-6)


def test_with_a_history_noise_falls_to_that_of_a_perfect_critic():
    """Monte Carlo with prompts visited many times: E[A²] → ρ(1−ρ), under jit as well."""
    a, b, size, prompts = 0.5, 2.0, 4, 4000
    generator = np.random.default_rng(1)
    rho = generator.beta(a, b, prompts)

    @jax.jit
    def step(history, rewards):
        advantages = with_prior(rewards, *prior_from(Prior(a, b), history))
        return observed(history, rewards.sum(-1), size, keep=1.0), advantages

    history = no_history(prompts)
    scatter = []
    for _ in range(40):
        rewards = (generator.random((prompts, size)) < rho[:, None]).astype(float)
        history, advantages = step(history, rewards)
        scatter.append(float(np.mean(np.square(advantages))))
    floor = np.mean(rho * (1 - rho))
    # 16,000 squares of deviation about 0.2: 1 % is three standard errors.
    assert scatter[0] == pytest.approx(np.mean(noise(a, b, size, rho)), rel=0.04)
    assert np.mean(scatter[-5:]) == pytest.approx(floor, rel=0.03)
    np.testing.assert_allclose(history.tries, 160)


def test_the_scheme_has_a_name_with_the_table_of_its_prior():
    named = resolve("empirical_bayes:a=0.1,b=5")
    assert named == empirical_bayes(0.1, 5.0)
    assert "empirical_bayes" not in SCHEMES  # made for prompts, it is compared where it is named
    rewards = np.array([[0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0]])
    found = group_advantages(rewards, "empirical_bayes:a=0.1,b=5")
    np.testing.assert_allclose(found, with_prior(rewards, 0.1, 5.0), rtol=1e-12)
    assert found[1].tolist() == pytest.approx([-0.1 / 8.1] * 4)
    assert excess("empirical_bayes:a=0.1,b=5", group_size=4, start=0.01, target=0.9) > 1
    with pytest.raises(ValueError, match="a of empirical_bayes must be"):
        resolve("empirical_bayes:a=0")


def test_a_history_makes_the_prior_of_each_prompt_and_weights_stay_one():
    """By enumeration of every group of a prompt that was seen 3 of 8 times."""
    scheme, rho, gain = "empirical_bayes:a=0.5,b=4.5,keep=0.9", 0.3, 0.0
    history = np.array([3.0]), np.array([8.0])
    for group in itertools.product([0.0, 1.0], repeat=4):
        chance = np.prod([rho if r else 1 - rho for r in group])
        found = group_advantages(np.array([group]), scheme, history=history)[0]
        baseline = [(3.5 + sum(group) - r) / (13 + 3) for r in group]
        np.testing.assert_allclose(found, np.subtract(group, baseline), rtol=1e-12)
        gain += chance * np.mean(found * (np.array(group) - rho))
    assert gain == pytest.approx(rho * (1 - rho), rel=1e-12)
    new = group_advantages(np.zeros((1, 4)), scheme)
    assert new[0].tolist() == pytest.approx([-0.5 / 8] * 4)
    masked = group_advantages(
        np.array([[1.0, 0.0, 0.0, 1.0]]),
        scheme,
        history=history,
        valid=np.array([[True, True, True, False]]),
    )
    np.testing.assert_allclose(masked[0], [1 - 3.5 / 15, -4.5 / 15, -4.5 / 15, 0], rtol=1e-12)
    with pytest.raises(ValueError, match="keeps no history"):
        group_advantages(np.zeros((1, 4)), "grpo", history=history)
    with pytest.raises(ValueError, match="history must have the shape"):
        group_advantages(np.zeros((2, 4)), scheme, history=history)


def test_a_history_forgets_at_the_rate_it_is_told():
    history = History(np.array([4.0, 0.0]), np.array([8.0, 0.0]))
    later = observed(history, np.array([0.0, 1.0]), np.array([0.0, 4.0]), keep=0.75)
    assert later.correct.tolist() == [3.0, 1.0]
    assert later.tries.tolist() == [6.0, 4.0]
    a, b, _ = prior_from(Prior(0.5, 1.5), later)
    assert (a.tolist(), b.tolist()) == ([3.5, 1.5], [4.5, 4.5])


def test_what_makes_no_sense_is_refused_with_a_sentence():
    with pytest.raises(ValueError, match="keep must lie"):
        observed(no_history(1), 0, 4, keep=1.5)
    with pytest.raises(ValueError, match="a must lie"):
        with_prior([0.0, 1.0], 0.0, 1.0)
    with pytest.raises(ValueError, match="rewards must lie"):
        with_prior([0.0, 2.0], 1.0, 1.0)
    with pytest.raises(ValueError, match="never must lie"):
        with_prior([0.0, 1.0], 1.0, 1.0, 1.5)
    with pytest.raises(ValueError, match="a and b"):
        noise(0.0, 1.0, 4, 0.5)


def test_kept_in_a_module_the_scheme_has_a_name_that_configurations_can_hold(tmp_path, monkeypatch):
    (tmp_path / "own_prior.py").write_text(
        "from theory.empirical_bayes import empirical_bayes\nbaseline = empirical_bayes(0.1, 5.0)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv(IMPORTS, "own_prior:baseline")
    rewards = np.array([[0.0, 0.0, 0.0, 1.0]])
    found = group_advantages(rewards, "own_prior:baseline")
    np.testing.assert_allclose(found, with_prior(rewards, 0.1, 5.0), rtol=1e-12)
