"""The kernel's estimate against exact gradients of exact success."""

import itertools

import numpy as np
import pytest

from llm_validation.probe.kernel import logit_gradients, measure_kernel

# Two prompts of three answers, the first right; scores average to zero under the policy.
POLICIES = (np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.2, 0.6]))
DIRECTIONS = np.random.default_rng(0).normal(size=(2, 3, 4))
SCORES = [d - p @ d for p, d in zip(POLICIES, DIRECTIONS, strict=True)]
RIGHT = np.array([1.0, 0.0, 0.0])


def exact_gradients():
    return np.array([p[0] * s[0] for p, s in zip(POLICIES, SCORES, strict=True)])


def test_every_estimate_is_unbiased_by_counting_all_draws():
    """All 3⁵ × 3⁵ draws of five responses, each with its probability: no sampling error."""
    n = 5
    products, variances, squares = np.zeros((2, 2)), np.zeros(2), np.zeros(2)
    draws = np.array(list(itertools.product(range(3), repeat=n)))
    chances = [p[draws].prod(axis=1) for p in POLICIES]
    for i, chance in enumerate(chances):
        for draw, weight in zip(draws, chance, strict=True):
            # The other prompt's draw is its mirror: only what is this prompt's own is summed.
            found = measure_kernel(
                np.stack([SCORES[i][draw], SCORES[i][draw]]), np.stack([RIGHT[draw]] * 2)
            )
            products[i, i] += weight * found.success_products[0, 0]
            variances[i] += weight * found.variance[0]
            squares[i] += weight * found.squared_variance[0]
    one, other = (
        sum(
            w * RIGHT[d].sum() * (n - RIGHT[d].sum()) / (n * (n - 1)) * g[0]
            for d, w, g in zip(
                draws, c, (logit_gradients(s[d][None], RIGHT[d][None]) for d in draws), strict=True
            )
        )
        for s, c in zip(SCORES, chances, strict=True)
    )
    exact = exact_gradients()
    success = np.array([p[0] for p in POLICIES])
    np.testing.assert_allclose(np.diag(products), (exact**2).sum(axis=1), rtol=1e-10)
    np.testing.assert_allclose(np.stack([one, other]), exact, rtol=1e-10)
    np.testing.assert_allclose(variances, success * (1 - success), rtol=1e-12)
    np.testing.assert_allclose(squares, (success * (1 - success)) ** 2, rtol=1e-12)


def test_given_the_counts_the_kernel_of_log_odds_is_unbiased():
    n = 4
    draws = np.array(list(itertools.product(range(3), repeat=n)))
    success = np.array([p[0] for p in POLICIES])
    exact = exact_gradients() / (success * (1 - success))[:, None]
    for count in (1, 2, 3):
        these = draws[RIGHT[draws].sum(axis=1) == count]
        means = []
        for p, s in zip(POLICIES, SCORES, strict=True):
            chance = p[these].prod(axis=1)
            gradient = logit_gradients(s[these], RIGHT[these])
            means.append(chance @ gradient / chance.sum())
        np.testing.assert_allclose(np.array(means), exact, rtol=1e-10)


def test_against_autodiff_of_exact_success_on_a_transformer(world, drawn):
    exact = world.success_gradients()
    np.testing.assert_allclose(drawn.more @ drawn.more.T, exact @ exact.T, rtol=1e-4)
    success = world.probability[world.right]
    logits = exact / (success * (1 - success))[:, None]
    products, entries = [], []
    for k in range(drawn.rewards.shape[1]):
        found = measure_kernel(drawn.scores[:, k], drawn.rewards[:, k])
        products.append(found.success_products)
        entries.append(found.matrix)
    for estimates, truth in ((products, exact @ exact.T), (entries, logits @ logits.T)):
        array = np.array(estimates)
        many = np.isfinite(array).sum(axis=0)
        assert many.min() > 200
        error = np.nanstd(array, axis=0) / np.sqrt(many)
        assert np.all(np.abs(np.nanmean(array, axis=0) - truth) < 4 * error)


def test_one_noisy_estimate_squared_is_not_unbiased(world, drawn):
    """What the pairs are for: the square of the estimated gradient is far too large."""
    exact = (world.success_gradients() ** 2).sum(axis=1)
    variance = drawn.rewards.mean(axis=2) * (1 - drawn.rewards.mean(axis=2)) * 8 / 7
    squares = np.array(
        [
            (
                (variance[:, k, None] * logit_gradients(drawn.scores[:, k], drawn.rewards[:, k]))
                ** 2
            ).sum(axis=1)
            for k in range(300)
        ]
    ).mean(axis=0)
    assert np.all(squares > 1.5 * exact)


def test_prompts_without_both_kinds_have_no_gradient():
    scores = np.random.default_rng(1).normal(size=(4, 4, 3))
    rewards = np.array([[1, 1, 0, 0], [0, 0, 0, 0], [1, 1, 1, 1], [1, 0, 0, 0]])
    found = measure_kernel(scores, rewards)
    assert np.isfinite(found.matrix[0, [0, 3]]).all()
    assert np.isnan(found.matrix[[1, 2]]).all()
    assert np.isnan(found.matrix[3, 3])  # one right response has no square
    assert found.success_products[1:3].any() == 0
    assert found.success_products[3, 3] == 0
    assert found.squared_variance[[1, 2, 3]].any() == 0
    np.testing.assert_array_equal(found.matrix, found.matrix.T)
    assert measure_kernel(scores[:, :2], rewards[:, :2]).squared_variance.any() == 0


@pytest.mark.parametrize(
    ("scores", "rewards", "words"),
    [
        (np.zeros((2, 1, 3)), np.zeros((2, 1)), "two responses at least"),
        (np.zeros((2, 4, 3)), np.zeros((2, 3)), "must have shape"),
        (np.zeros((2, 4, 3)), np.full((2, 4), 0.5), "0 or 1"),
    ],
)
def test_what_does_not_fit_is_refused(scores, rewards, words):
    with pytest.raises(ValueError, match=words):
        measure_kernel(scores, rewards)
