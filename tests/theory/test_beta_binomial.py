"""Fitted pass rates against SciPy's beta-binomial, quadrature, another optimiser and drawn data."""

import numpy as np
import pytest
from scipy import integrate, optimize, stats

from theory.beta_binomial import BetaPrior, fit, log_likelihood

PRIORS = [BetaPrior(0.1, 5.0), BetaPrior(2.0, 3.0, 0.3), BetaPrior(40.0, 0.5, 0.01)]


def drawn(prior: BetaPrior, prompts: int, tries: np.ndarray | int, seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    rho = generator.beta(prior.a, prior.b, prompts) * (generator.random(prompts) >= prior.zero)
    return generator.binomial(tries, rho)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
@pytest.mark.parametrize("tries", [1, 8, 64])
def test_predicted_counts_are_scipys_with_a_mass_at_zero(prior, tries):
    counts = np.arange(tries + 1)
    expected = (1 - prior.zero) * stats.betabinom.pmf(counts, tries, prior.a, prior.b)
    expected[0] += prior.zero
    np.testing.assert_allclose(prior.predicted(tries), expected, rtol=1e-10)
    chances = [log_likelihood(prior, [k], tries) for k in counts]
    binomials = np.array([stats.binom.pmf(k, tries, 0.5) * 2.0**tries for k in counts])
    np.testing.assert_allclose(binomials * np.exp(chances), expected, rtol=1e-9)


@pytest.mark.parametrize("prior", PRIORS, ids=str)
@pytest.mark.parametrize(("correct", "tries"), [(0, 4), (1, 4), (4, 4), (0, 200)])
def test_posterior_means_are_quadratures_of_bayes_rule(prior, correct, tries):
    total = integrate.quad(lambda p: 1.0, 0, 1, weight="alg", wvar=(prior.a - 1, prior.b - 1))[0]

    def weighted(power):
        value = integrate.quad(
            lambda p: p ** (power + correct) * (1 - p) ** (tries - correct),
            0,
            1,
            weight="alg",
            wvar=(prior.a - 1, prior.b - 1),
            limit=200,
            epsabs=0,
            epsrel=1e-10,
        )[0]
        return (1 - prior.zero) * value / total

    never = prior.zero * (correct == 0)
    assert prior.posterior_mean(correct, tries) == pytest.approx(
        weighted(1) / (weighted(0) + never), rel=1e-8
    )
    assert prior.zero_given(correct, tries) == pytest.approx(
        never / (weighted(0) + never), rel=1e-8
    )


def test_posterior_rates_average_the_posteriors_of_the_prompts():
    prior, correct = BetaPrior(0.4, 2.0, 0.2), np.array([0, 0, 3, 8])
    rates = prior.posterior_rates(correct, 8)
    assert rates.mean() == pytest.approx(prior.posterior_mean(correct, 8).mean(), rel=1e-12)
    none = prior.zero_given(0, 8)
    expected = [
        (1 - none * (k == 0)) * stats.betabinom.pmf(0, 16, 0.4 + k, 10 - k) + none * (k == 0)
        for k in correct
    ]
    assert rates.mean(lambda p: (1 - p) ** 16) == pytest.approx(np.mean(expected), rel=1e-9)
    assert prior.rates().mean(lambda p: (1 - p) ** 16) == pytest.approx(
        prior.predicted(16)[0], rel=1e-10
    )


@pytest.mark.parametrize("prior", [PRIORS[0], PRIORS[1]], ids=str)
def test_a_fit_finds_the_distribution_that_data_were_drawn_from(prior):
    tries = np.random.default_rng(0).integers(8, 33, 20_000)
    found = fit(drawn(prior, 20_000, tries, seed=1), tries)
    assert found.converged
    assert not found.message
    # Three standard errors of 20,000 prompts, which are some per cent for a small a.
    assert found.prior.mean == pytest.approx(prior.mean, rel=0.05)
    assert found.prior.zero == pytest.approx(prior.zero, abs=0.02)
    assert found.prior.a == pytest.approx(prior.a, rel=0.1)


@pytest.mark.parametrize("mass", ["never", "always"])
def test_no_other_optimiser_finds_a_higher_likelihood(mass):
    prior = BetaPrior(0.5, 2.0, 0.25)
    correct = drawn(prior, 300, 8, seed=2)
    found = fit(correct, 8, zero_mass=mass)
    assert found.converged
    assert found.log_likelihood == pytest.approx(log_likelihood(found.prior, correct, 8), rel=1e-12)

    def loss(x):
        share = 0.0 if mass == "never" else 1 / (1 + np.exp(-x[2]))
        return -log_likelihood(BetaPrior(np.exp(x[0]), np.exp(x[1]), share), correct, 8)

    other = optimize.minimize(
        loss, [0.0, 0.0, -1.0], method="Nelder-Mead", options={"xatol": 1e-7, "fatol": 1e-10}
    )
    assert found.log_likelihood == pytest.approx(-other.fun, abs=1e-6)


def test_a_mass_at_zero_is_fitted_only_where_the_counts_ask_for_it():
    without = fit(drawn(BetaPrior(2.0, 6.0), 500, 16, seed=3), 16)
    assert without.prior.zero == 0
    with_it = fit(drawn(BetaPrior(6.0, 6.0, 0.4), 500, 16, seed=4), 16)
    assert with_it.prior.zero == pytest.approx(0.4, abs=0.07)  # three standard errors


def test_the_share_of_unsolved_prompts_is_reproduced_and_zero_of_sixteen_is_small():
    """44 of 60 prompts without a correct response in 16 tries, as in a file people have."""
    correct = np.array([0] * 44 + [1] * 6 + [2] * 3 + [3] * 2 + [5] * 2 + [8, 11, 15])
    prior = fit(correct, 16).prior
    assert prior.predicted(16)[0] == pytest.approx(44 / 60, abs=0.02)
    assert prior.posterior_mean(0, 16) < 0.01


def test_equal_counts_end_at_a_narrow_distribution_and_say_so():
    found = fit([4] * 50, 8)
    assert found.converged
    assert "no more than chance" in found.message
    assert found.prior.mean == pytest.approx(0.5, abs=1e-6)


def test_what_cannot_be_fitted_is_refused_with_a_sentence():
    for counts in ([0, 0, 0], [8, 8]):
        with pytest.raises(ValueError, match="does not tell how pass rates are spread"):
            fit(counts, 8)
    for correct, tries in (([9], 8), ([-1], 8), ([0.5], 8), ([0], 0), ([np.nan], 8)):
        with pytest.raises(ValueError, match="whole numbers"):
            fit(correct, tries)
    with pytest.raises(ValueError, match="no counts"):
        fit([], 8)
    with pytest.raises(ValueError, match="zero_mass"):
        fit([1, 2], 8, zero_mass="maybe")
    with pytest.raises(ValueError, match="zero must lie"):
        BetaPrior(1.0, 1.0, 1.0)
    with pytest.raises(ValueError, match="a and b"):
        BetaPrior(0.0, 1.0)
