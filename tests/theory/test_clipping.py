"""Clipped batches: the surrogate's own gradient by automatic differentiation, and limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize
from scipy.special import expit, logit

from theory.clipping import (
    batch_move,
    batches_to_target,
    clip_high_move,
    clip_low_move,
    ratios,
)
from theory.dynamics import time_to_target
from theory.finite_group import expected_advantages, expected_weight

RIGHT = np.array([True, False, False, True, False])


def epochs(scheme, policy, group_size, step, low, high, count):
    """Natural-gradient steps on the clipped surrogate of one batch, from its gradient in logits."""
    rho = float(policy[RIGHT].sum())
    gain, loss = (float(x) for x in expected_advantages(scheme, group_size, rho))
    advantage = jnp.asarray(np.where(RIGHT, gain, loss))
    old = jnp.asarray(policy)

    def surrogate(logits):
        ratio = jax.nn.softmax(logits) / old
        clipped = jnp.clip(ratio, 1 - low, 1 + high)
        return jnp.sum(old * jnp.minimum(ratio * advantage, clipped * advantage))

    @jax.jit
    def one(logits):
        now = jax.nn.softmax(logits)
        fisher = jnp.diag(now) - jnp.outer(now, now)
        return logits + step / count * jnp.linalg.pinv(fisher) @ jax.grad(surrogate)(logits)

    logits = jnp.log(old)
    for _ in range(count):
        logits = one(logits)
    after = np.asarray(jax.nn.softmax(logits), dtype=float)
    return logit(after[RIGHT].sum()) - logit(rho)


@pytest.mark.parametrize(
    ("name", "step"),
    [("grpo", 0.03), ("grpo", 1.0), ("sqrt_r", 1.0), ("nsr", 5.0), ("psr", 2.0), ("linear_r", 6.0)],
)
def test_steps_on_the_surrogate_end_where_the_formula_says(name, step):
    count = 1000
    found = epochs(name, np.array([0.02, 0.4, 0.3, 0.03, 0.25]), 8, step, 0.2, 0.28, count)
    expected = float(batch_move(name, 0.05, step, group_size=8, clip_low=0.2, clip_high=0.28))
    # A clip is noticed one step late.
    late = step / count * float(expected_weight(name, 8, 0.05))
    assert found == pytest.approx(expected, abs=late + 1e-9)


def test_ratios_are_those_of_the_probabilities():
    rho, delta = np.array([1e-6, 0.01, 0.5, 0.99])[:, None], np.array([-3.0, 0.0, 0.2, 40.0, 800.0])
    after = expit(logit(rho) + delta)
    left = expit(-(logit(rho) + delta))
    right, wrong = ratios(rho, delta)
    np.testing.assert_allclose(right, after / rho, rtol=1e-9)
    np.testing.assert_allclose(wrong, left / (1 - rho), rtol=1e-9)


@pytest.mark.parametrize("rho", [1e-6, 0.001, 0.3, 0.8])
@pytest.mark.parametrize("epsilon", [0.1, 0.2, 0.28])
def test_limits_are_the_roots_of_the_ratios(rho, epsilon):
    low = optimize.brentq(lambda d: float(ratios(rho, d)[1]) - (1 - epsilon), 0, 60, xtol=1e-13)
    assert clip_low_move(rho, epsilon) == pytest.approx(low, rel=1e-9)
    if rho * (1 + epsilon) < 1:
        high = optimize.brentq(
            lambda d: float(ratios(rho, d)[0]) - (1 + epsilon), 0, 60, xtol=1e-13
        )
        assert clip_high_move(rho, epsilon) == pytest.approx(high, rel=1e-9)
    else:
        assert clip_high_move(rho, epsilon) == np.inf


def test_the_numbers_of_the_text():
    """ln 1.2 ≈ 0.18 on hard prompts, 5.5 downwards at ρ = .001: right is limited, wrong is not."""
    assert clip_high_move(1e-9, 0.2) == pytest.approx(np.log(1.2), rel=1e-8)
    assert round(float(clip_high_move(0.001, 0.2)), 2) == 0.18
    assert round(float(clip_low_move(0.001, 0.2)), 1) == 5.5


def test_ends_and_no_clip():
    assert clip_low_move(0.0, 0.2) == np.inf
    assert clip_low_move(0.3, 1.0) == np.inf
    assert clip_high_move(0.3, np.inf) == np.inf
    assert clip_high_move(1.0, 0.2) == np.inf
    free = {"clip_low": 1.0, "clip_high": np.inf}
    rho = np.array([0.01, 0.5])
    np.testing.assert_allclose(
        batch_move("grpo", rho, 0.5, group_size=8, **free), 0.5 * expected_weight("grpo", 8, rho)
    )
    # A scheme that teaches nothing at M = 1 does not move.
    assert batch_move("maxrl", 0.2, 1.0, group_size=1) == 0


def test_from_scratch_the_clip_binds_where_batches_move_far_and_spares_penalties():
    """At the step that takes about n batches without a clip, from .001 to .5, M = 16."""

    def batches(name, unclipped, high=0.2):
        step = time_to_target(name, 0.001, 0.5, group_size=16).value / unclipped
        return batches_to_target(name, 0.001, 0.5, step, group_size=16, clip_high=high)

    far = logit(0.5) - logit(0.001)
    # Right responses alone take at least as long as a batch moves at most, at the middle ln 1.8.
    assert far / np.log(1.8) < batches("grpo", 4) < far / np.log(1.2)
    assert batches("grpo", 4) > 1.2 * batches("grpo", 4, high=0.28)
    assert batches("grpo", 4) > 1.5 * batches("linear_r", 4)
    assert batches("linear_r:zero_success=drop", 4) > 1.5 * batches("linear_r", 4)
    assert batches("nsr", 4) == pytest.approx(batches("nsr", 4, high=0.28), rel=1e-12)
    assert batches("nsr", 4) < 6
    assert batches("grpo", 64) == pytest.approx(64, rel=0.01)
    small = batches_to_target("rloo", 0.001, 0.5, 1e-3)
    assert small == pytest.approx(far / 1e-3, rel=1e-9)


def test_what_makes_no_sense_is_refused_with_a_sentence():
    for call in (
        lambda: ratios(1.5, 0.1),
        lambda: clip_high_move(0.5, 0.0),
        lambda: clip_low_move(0.5, 1.5),
        lambda: batch_move("grpo", 0.0, 1.0),
        lambda: batch_move("grpo", 0.5, 0.0),
        lambda: batches_to_target("grpo", 0.0, 0.5, 1.0),
    ):
        with pytest.raises(ValueError, match="must"):
            call()
