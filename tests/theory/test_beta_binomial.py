"""Pass rates from counts: the likelihood is SciPy's, simulated rates are found again."""

import numpy as np
import pytest
from scipy import integrate, stats

from theory.beta_binomial import PassRateModel, _Counts, chance_of_none, fit_pass_rates


def simulated(a, b, never, prompts, tries, seed):
    generator = np.random.default_rng(seed)
    success = np.where(generator.random(prompts) < never, 0.0, generator.beta(a, b, prompts))
    return success, generator.binomial(tries, success)


@pytest.mark.parametrize(("a", "b", "never"), [(0.3, 2.0, 0.0), (5.0, 1.0, 0.4), (40.0, 60.0, 0.1)])
def test_the_likelihood_is_the_zero_inflated_beta_binomial(a, b, never):
    correct, tries = np.array([0, 0, 1, 5, 8, 8]), np.array([8, 3, 4, 9, 8, 20])
    exact = (1 - never) * stats.betabinom.pmf(correct, tries, a, b) + never * (correct == 0)
    found = PassRateModel(a, b, never).log_probability(correct, tries)
    np.testing.assert_allclose(found, np.log(exact), rtol=1e-12)


@pytest.mark.parametrize("never", [0.0, 0.3])
def test_the_fit_climbs_by_the_gradient_of_that_likelihood(never):
    correct, tries = np.array([0, 0, 1, 5, 8, 8]), np.array([8, 3, 4, 9, 8, 20])
    prompts = np.array([9.0, 2, 3, 4, 1, 1])
    counts = _Counts.of(correct.astype(float), tries.astype(float), prompts)

    def likelihood(a, b, z):
        return prompts @ PassRateModel(a, b, z).log_probability(correct, tries)

    point, step = (0.7, 1.9, never + 0.1), 1e-6
    value, gradient = counts.negative(*point)
    other, _ = counts.negative(1.1, 0.4, never)
    # But for the binomial coefficients, which do not depend on the parameters.
    assert other - value == pytest.approx(
        likelihood(*point) - likelihood(1.1, 0.4, never), rel=1e-10
    )
    for place in range(3):
        ends = [list(point), list(point)]
        ends[0][place] -= step
        ends[1][place] += step
        slope = (likelihood(*ends[1]) - likelihood(*ends[0])) / (2 * step)
        assert -gradient[place] == pytest.approx(slope, rel=1e-6)


@pytest.mark.parametrize(
    ("a", "b", "never"), [(0.5, 2.0, 0.3), (0.2, 1.0, 0.0), (2.0, 5.0, 0.5), (1.0, 1.0, 0.1)]
)
def test_parameters_are_found_again(a, b, never):
    _, correct = simulated(a, b, never, 20_000, np.full(20_000, 16), 1)
    fit = fit_pass_rates(correct, 16)
    # Four standard errors of 20,000 prompts are about 4 % of a and b, and 0.02 of the mass.
    assert fit.a == pytest.approx(a, rel=0.08)
    assert fit.b == pytest.approx(b, rel=0.08)
    assert fit.never == pytest.approx(never, abs=0.025)
    truth = PassRateModel(a, b, never)
    assert fit.log_likelihood >= np.sum(truth.log_probability(correct, 16))


def test_no_other_parameters_are_likelier():
    tries = np.random.default_rng(3).integers(1, 30, 400)
    _, correct = simulated(0.6, 1.5, 0.3, 400, tries, 4)
    fit = fit_pass_rates(correct, tries)
    assert not fit.message
    assert fit.never > 0
    for factors in ((1.05, 1, 1), (1, 1.05, 1), (1, 1, 1.05), (0.95, 1, 1), (1, 1, 0.95)):
        a, b, z = np.array([fit.a, fit.b, fit.never]) * factors
        other = np.sum(PassRateModel(a, b, z).log_probability(correct, tries))
        assert other < fit.log_likelihood


def test_counts_may_be_given_once_with_how_many_prompts_have_them():
    listed = fit_pass_rates([0, 0, 0, 1, 4], [4, 4, 4, 4, 8])
    counted = fit_pass_rates([0, 1, 4, 2], [4, 4, 8, 8], prompts=[3, 1, 1, 0])
    assert counted == listed


def test_a_posterior_is_prior_times_likelihood():
    model = PassRateModel(0.4, 3.0, 0.25)
    correct, tries = np.array([0, 0, 2, 5]), np.array([0, 8, 8, 5])
    found = model.posterior(correct, tries)
    prior = stats.beta(model.a, model.b)
    for place, (k, n) in enumerate(zip(correct, tries, strict=True)):

        def seen(x, k=k, n=n):
            return stats.binom.pmf(k, n, x) * prior.pdf(x)

        def averaged(value, low=0.0):
            return (1 - model.never) * integrate.quad(
                lambda x: value(x) * seen(x), low, 1, epsabs=1e-13, limit=200
            )[0]

        zero = model.never * (k == 0)
        total = averaged(lambda x: 1.0) + zero
        assert found.never[place] == pytest.approx(zero / total, rel=1e-7)
        assert found.mean()[place] == pytest.approx(averaged(lambda x: x) / total, rel=1e-7)
        wrong = (averaged(lambda x: (1 - x) ** 5) + zero) / total
        assert found.all_wrong(5)[place] == pytest.approx(wrong, rel=1e-7)
        above = averaged(lambda x: 1.0, low=0.1) / total
        assert 1 - found.below([0.1])[place, 0] == pytest.approx(above, rel=1e-7)
    draws = np.array([found.sample(np.random.default_rng(seed)) for seed in range(4000)])
    error = 5 * draws.std(axis=0) / np.sqrt(len(draws)) + 1e-12
    assert np.all(np.abs(draws.mean(axis=0) - found.mean()) < error)
    assert np.mean(draws[:, 1] == 0) == pytest.approx(found.never[1], abs=0.04)


def test_the_fit_agrees_with_the_file_it_was_made_from():
    """Measured with 16 tries, 44 of 60 prompts were never solved."""
    correct = [0] * 44 + [1] * 6 + [2] * 3 + [4] * 2 + [9] * 2 + [13, 15, 16]
    found = fit_pass_rates(correct, 16).posterior(correct, 16)
    # A further 16 tries of the same prompts: a binomial standard error of 60 prompts is 0.057.
    assert np.mean(found.all_wrong(16)) == pytest.approx(44 / 60, abs=0.03)
    assert np.mean(found.mean()) == pytest.approx(np.mean(correct) / 16, rel=0.02)


@pytest.mark.parametrize("never", [0.0, 0.4])
def test_the_posterior_predicts_the_next_tries_of_the_same_prompts(never):
    success, correct = simulated(0.5, 2.0, never, 5000, np.full(5000, 8), 5)
    found = fit_pass_rates(correct, 8).posterior(correct, 8)
    assert np.mean(found.all_wrong(8)) == pytest.approx(np.mean((1 - success) ** 8), abs=0.012)
    unsolved = correct == 0
    assert np.mean(found.mean()[unsolved]) == pytest.approx(np.mean(success[unsolved]), abs=0.004)


def test_what_counts_leave_open_is_said():
    none, every = fit_pass_rates([0, 0], [8, 16]), fit_pass_rates([8, 8], 8)
    assert (none.a, none.b, none.never, none.message) == (0.5, 24.5, 0, "no response was correct")
    assert (every.a, every.b, every.message) == (16.5, 0.5, "no response was wrong")
    once = fit_pass_rates([0, 1, 1, 1], 1)
    assert (once.a, once.b) == (0.75, 0.25)
    assert "no spread" in once.message
    # One rate for all: less spread than chance alone makes is read as none.
    equal = fit_pass_rates([4, 4, 4, 4], 8)
    assert equal.a / (equal.a + equal.b) == pytest.approx(0.5)
    assert equal.a > 1e4


def test_rare_successes_of_many_prompts_stay_rare():
    fit = fit_pass_rates([0, 8], 8, prompts=[999, 1])
    assert float(fit.posterior([0], 8).mean()[0]) < 0.002  # and not 0.5/9 = 0.056


@pytest.mark.parametrize(
    ("correct", "tries"),
    [([3], 2), ([-1], 2), ([0.5], 2), ([1], 0), ([1, 2], [4, 4, 4]), ([], 4)],
)
def test_what_are_no_counts_is_refused(correct, tries):
    with pytest.raises(ValueError, match="correct"):
        fit_pass_rates(correct, tries)


def test_shares_that_are_none_are_refused():
    with pytest.raises(ValueError, match="prompts must hold"):
        fit_pass_rates([0, 1], 4, prompts=[0, 0])


@pytest.mark.parametrize("a", [1e-16, 0.1, 3.0, 1e5])
@pytest.mark.parametrize("b", [1e-3, 0.7, 40.0, 9e5])
def test_the_chance_of_none_is_a_product_of_chances(backend, a, b):
    """Γ's own logarithms would lose every digit at b = 9e5, above all in 32 bits."""
    tries = np.array([0.0, 1.0, 2.0, 7.0, 64.0, 1e4])
    exact = [np.exp(-np.log1p(a / (b + np.arange(n))).sum()) for n in tries]
    np.testing.assert_allclose(chance_of_none(a, b, tries), exact, rtol=1e-8)
    found = backend.numpy(chance_of_none(a, b, backend.array(tries)))
    single = str(backend.array(tries).dtype).endswith("32")
    np.testing.assert_allclose(found, exact, rtol=1e-3 if single else 1e-8)


def test_tries_that_are_not_whole_have_the_chance_of_the_integral():
    for a, b, n in [(0.1, 5.0, 2.7), (3.0, 0.7, 0.4), (2.0, 2.0, 33.3)]:
        density = stats.beta(a, b).pdf
        exact = integrate.quad(lambda p, n=n, f=density: (1 - p) ** n * f(p), 0, 1)[0]
        assert chance_of_none(a, b, np.array(n)) == pytest.approx(exact, rel=1e-6)
