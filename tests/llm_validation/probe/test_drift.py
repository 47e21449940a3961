"""What is read off a kernel, on prompts whose gradients are known."""

import numpy as np
import pytest

from llm_validation.probe.drift import (
    EDGES,
    by_difficulty,
    measure_sharing,
    norm_exponent,
    smooth_kernel,
    spread_of_odds,
)
from llm_validation.probe.kernel import Kernel, measure_kernel
from llm_validation.probe.resampling import Resamples
from theory.sharing import block_kernel, sharing_of, sharing_of_ratio


def prompts(count, responses, seed, *, exponent=1.0, common=0.5, noise=0.5, width=24):
    """Scores with ∇ℓ of norm v^(q−1), a part of it common to all prompts."""
    generator = np.random.default_rng(seed)
    success = generator.uniform(0.08, 0.92, size=count)
    v = success * (1 - success)
    own = np.eye(count, width) if count <= width else generator.normal(size=(count, width))
    own = own / np.linalg.norm(own, axis=1, keepdims=True)
    shared = np.zeros(width)
    shared[-1] = 1
    own[:, -1] = 0
    gradient = np.sqrt(1 - common) * own + np.sqrt(common) * shared
    gradient = gradient * (v ** (exponent - 1))[:, None]
    rewards = (generator.random((count, responses)) < success[:, None]).astype(float)
    scores = (rewards - success[:, None])[..., None] * gradient[:, None]
    scores = scores + noise * generator.normal(size=(count, responses, width))
    return scores, rewards, gradient


def test_sharing_is_that_of_the_known_kernel():
    scores, rewards, gradient = prompts(20, 400, seed=0, common=0.3)
    kernel = measure_kernel(scores, rewards)
    found = measure_sharing(kernel, Resamples.draw(20, 400, seed=0), training_prompts=1000)
    exact = gradient @ gradient.T
    apart = (exact.sum() - np.trace(exact)) / (20 * 19)
    assert found.own.estimate == pytest.approx(1.0, rel=0.05)
    assert found.others.estimate == pytest.approx(apart, rel=0.05)
    assert found.ratio.low < 0.3 < found.ratio.high
    assert found.sharing.estimate == pytest.approx(sharing_of(exact), abs=0.02)
    assert found.in_training.estimate == pytest.approx(
        float(sharing_of_ratio(found.ratio.estimate, 1000))
    )
    assert found.in_training.estimate > found.sharing.estimate


def test_the_ratio_of_a_constant_kernel_gives_its_sharing_back():
    for sharing in (0.0, 0.2, 1.0):
        matrix = block_kernel([12], sharing)
        ratio = matrix[0, 1] / matrix[0, 0]
        assert float(sharing_of_ratio(ratio, 12)) == pytest.approx(sharing)
        assert sharing_of(matrix) == pytest.approx(sharing)
    assert float(sharing_of_ratio(-0.3, 12)) == 0  # prompts that lose by the others


def test_intervals_over_prompts_hold_the_truth_about_as_often_as_they_say():
    inside = 0
    for seed in range(60):
        scores, rewards, _ = prompts(20, 16, seed=seed, common=0.3)
        found = measure_sharing(
            measure_kernel(scores, rewards), Resamples.draw(20, 300, seed=seed)
        ).ratio
        inside += found.low < 0.3 < found.high
    assert inside >= 50  # percentile intervals of 20 prompts run a little short of 95 %


@pytest.mark.parametrize("exponent", [0.5, 1.0, 1.5])
def test_the_exponent_of_the_norm_is_recovered(exponent):
    scores, rewards, _ = prompts(120, 32, seed=1, exponent=exponent, noise=0.05, width=130)
    found = norm_exponent(measure_kernel(scores, rewards), Resamples.draw(120, 300, seed=0))
    assert found.estimate == pytest.approx(exponent, abs=0.12)
    assert found.low < exponent < found.high
    assert found.high - found.low < 0.5


def test_difficulties_cover_all_pairs_and_the_smooth_kernel_is_made_of_them():
    scores, rewards, gradient = prompts(40, 64, seed=2, common=0.4, width=41)
    kernel = measure_kernel(scores, rewards)
    drawn = Resamples.draw(40, 200, seed=0)
    rows = by_difficulty(kernel, drawn)
    bins = len(EDGES) - 1
    assert len(rows) == bins * (bins + 1) / 2 + bins
    for row in rows:
        truth = 1.0 if row["kind"] == "own" else 0.4
        assert row["low_end"] <= row["estimate"] <= row["high_end"]
        assert row["estimate"] == pytest.approx(truth, abs=0.25)
        # A prompt drawn again and again leaves the interval of a mean of few pairs a point.
        assert row["prompts"] > 0
    smooth = smooth_kernel(kernel, drawn)
    np.testing.assert_array_equal(smooth, smooth.T)
    assert np.all(np.diag(smooth) > 0)
    assert sharing_of(smooth) == pytest.approx(sharing_of(gradient @ gradient.T), abs=0.02)


def test_what_was_not_measured_is_not_a_number():
    nothing = Kernel(np.full((3, 3), np.nan), np.array([0.0, 8.0, 8.0]), 8)
    drawn = Resamples.draw(3, 100, seed=0)
    found = measure_sharing(nothing, drawn)
    assert np.isnan(found.ratio.estimate)
    assert np.isnan(found.sharing.low)
    assert np.isnan(norm_exponent(nothing, drawn).estimate)
    assert np.isnan(smooth_kernel(nothing, drawn)).all()
    never = Kernel(np.full((3, 3), np.nan), np.zeros(3), 8)
    assert np.isnan(spread_of_odds(never).estimate)


def test_the_spread_is_the_one_that_advice_takes():
    kernel = Kernel(np.full((4, 4), np.nan), np.array([1.0, 4.0, 8.0, 15.0]), 16)
    found = spread_of_odds(kernel)
    assert 0.8 < found.estimate < 2.5
    assert found.low <= found.estimate <= found.high
