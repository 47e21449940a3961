"""What updates are worth: the law by counting all draws, and estimates against exact numbers."""

import itertools

import numpy as np
import pytest

from llm_validation.probe.gains import (
    Rollouts,
    group_updates,
    law_effects,
    scheme_gains,
    success_gradients,
)
from llm_validation.probe.kernel import measure_kernel
from llm_validation.probe.resampling import Resamples
from theory.finite_group import expected_weight

GENERATOR = np.random.default_rng(3)
PROMPTS = 5
POLICIES = GENERATOR.dirichlet([1.5, 1.0, 1.0], size=PROMPTS)
VECTORS = GENERATOR.normal(size=(PROMPTS, 3, 4)) + np.array([1.0, 0, 0, 0]) * np.array(
    [[[1.0]], [[0.0]], [[0.0]]]
).reshape(1, 3, 1)
SCORES = VECTORS - np.einsum("ia,iad->id", POLICIES, VECTORS)[:, None]
SUCCESS = POLICIES[:, 0]
GRADIENTS = SUCCESS[:, None] * SCORES[:, 0]


def rollouts_of(draws):
    """Rollouts of answers 0 (right), 1 and 2; draws (prompts, groups, group size)."""
    logs = np.log(np.take_along_axis(POLICIES[:, None], draws, axis=-1))
    return Rollouts((draws == 0).astype(float), logs, np.ones(draws.shape))


def scores_of(draws):
    flat = draws.reshape(PROMPTS, -1)
    return np.take_along_axis(SCORES, flat[..., None], axis=1)


@pytest.mark.parametrize("scheme", ["grpo", "sqrt_r", "linear_r", "nsr", "maxrl"])
def test_the_law_holds_exactly_in_groups_of_four(scheme):
    """E[u] = ω_M(ρ) ∇ρ, over all 3⁴ groups of each prompt."""
    groups = np.array(list(itertools.product(range(3), repeat=4)))
    draws = np.broadcast_to(groups, (PROMPTS, *groups.shape))
    updates = group_updates(rollouts_of(draws), scores_of(draws), scheme)
    chance = POLICIES[:, groups].prod(axis=-1)
    mean = np.einsum("ig,gid->id", chance, updates)
    weight = np.asarray(expected_weight(scheme, 4, SUCCESS))
    np.testing.assert_allclose(mean, weight[:, None] * GRADIENTS, atol=1e-12)


def test_gradients_of_success_are_unbiased_by_counting():
    groups = np.array(list(itertools.product(range(3), repeat=4)))
    for i in range(PROMPTS):
        found = success_gradients(SCORES[i][groups], (groups == 0).astype(float))
        mean = POLICIES[i][groups].prod(axis=-1) @ found
        np.testing.assert_allclose(mean, GRADIENTS[i], atol=1e-12)


def test_gain_noise_and_signal_against_exact_numbers():
    """2,000 probes of two groups, each number's mean within four errors of the exact one."""
    scheme, size = "sqrt_r", 4
    groups = np.array(list(itertools.product(range(3), repeat=size)))
    draws = np.broadcast_to(groups, (PROMPTS, *groups.shape))
    updates = group_updates(rollouts_of(draws), scores_of(draws), scheme)
    chance = POLICIES[:, groups].prod(axis=-1)
    mean = np.einsum("ig,gid->id", chance, updates)
    square = np.einsum("ig,gid->i", chance, updates**2)
    noise = float((square - (mean**2).sum(axis=1)).sum()) / PROMPTS**2
    signal = float((mean.mean(axis=0) ** 2).sum())
    gain = float(GRADIENTS.mean(axis=0) @ mean.mean(axis=0))
    drawn = Resamples(np.ones((1, PROMPTS)))
    found = []
    generator = np.random.default_rng(0)
    for _ in range(2000):
        chosen = np.stack([generator.choice(3, size=(2, size), p=p) for p in POLICIES])
        updates = group_updates(rollouts_of(chosen), scores_of(chosen), scheme)
        rewards = (chosen == 0).astype(float)
        shaped = scores_of(chosen).reshape(PROMPTS, 2, size, -1)
        effects = [
            success_gradients(shaped[:, 1 - g], rewards[:, 1 - g]) @ updates[g].T for g in (0, 1)
        ]
        across = updates[0] @ updates[1].T
        found.append(
            (
                drawn.effect(np.mean(effects, axis=0))[0],
                updates.var(axis=0, ddof=1).sum() / PROMPTS**2,
                across.mean(),
            )
        )
    means, errors = np.mean(found, axis=0), np.std(found, axis=0) / np.sqrt(len(found))
    assert np.all(np.abs(means - [gain, noise, signal]) < 4 * errors)
    assert np.all(4 * errors < np.array([gain, noise, signal]))


def test_scheme_gains_are_these_numbers():
    chosen = np.stack([np.random.default_rng(1).choice(3, size=(3, 6), p=p) for p in POLICIES])
    rollouts, scores = rollouts_of(chosen), scores_of(chosen)
    drawn = Resamples.draw(PROMPTS, 200, seed=0)
    schemes = ["grpo", "sqrt_r", "lens"]
    grpo, sqrt_r, lens = scheme_gains(rollouts, scores, schemes, drawn, hard=0.5, reference="grpo")
    assert (grpo.cost.estimate, grpo.cost.low, grpo.cost.high) == (1, 1, 1)
    updates = group_updates(rollouts, scores, "sqrt_r")
    rewards = rollouts.rewards
    shaped = scores.reshape(PROMPTS, 3, 6, -1)
    gains, hard = [], []
    for g in range(3):
        rest = [k for k in range(3) if k != g]
        ascent = success_gradients(
            shaped[:, rest].reshape(PROMPTS, 12, -1), rewards[:, rest].reshape(PROMPTS, 12)
        )
        change = ascent @ updates[g].mean(axis=0)
        gains.append(change.mean())
        hard.append(change[rewards[:, g].mean(axis=1) <= 0.5].mean())
    assert sqrt_r.gain.estimate == pytest.approx(np.mean(gains))
    assert sqrt_r.hard.estimate == pytest.approx(np.mean(hard))
    noise = np.sqrt(updates.var(axis=0, ddof=1).sum()) / PROMPTS
    assert sqrt_r.noise.estimate == pytest.approx(noise)
    ratio = (sqrt_r.noise.estimate / sqrt_r.gain.estimate) ** 2
    base = (grpo.noise.estimate / grpo.gain.estimate) ** 2
    assert sqrt_r.cost.estimate == pytest.approx(ratio / base)
    assert sqrt_r.gain.low < sqrt_r.gain.estimate < sqrt_r.gain.high
    assert np.isfinite(lens.gain.estimate)


def test_the_law_of_many_responses_is_the_exact_one():
    """K̂ and ω_M from 4,000 responses of each prompt against exact gradients and success."""
    generator = np.random.default_rng(5)
    chosen = np.stack([generator.choice(3, size=(1, 4000), p=p) for p in POLICIES])
    kernel = measure_kernel(scores_of(chosen), (chosen[:, 0] == 0).astype(float))
    found = law_effects(kernel, "sqrt_r", 8)
    weight = np.asarray(expected_weight("sqrt_r", 8, SUCCESS))
    exact = GRADIENTS @ GRADIENTS.T * weight
    np.testing.assert_allclose(found, exact, atol=0.15 * np.abs(exact).max())
    total = Resamples(np.ones((1, PROMPTS))).effect(found)[0]
    assert total == pytest.approx(exact.mean(), rel=0.1)
    assert law_effects(kernel, "lens", 8) is None


def test_a_prompt_drawn_twice_is_not_one_of_its_others():
    values = np.array([[10.0, 1.0], [2.0, 20.0]])
    drawn = Resamples(np.array([[1.0, 1.0], [2.0, 0.0]]))
    assert drawn.pairs(values).tolist() == [3.0, 0.0]
    whole, twice = drawn.effect(values)
    assert whole == pytest.approx((10 + 1 + 2 + 20) / 4)
    assert twice == pytest.approx((10 + 0) / 2)  # of its others nothing was drawn
    assert drawn.total(np.array([1.0, np.nan])).tolist() == [1.0, 2.0]
