"""Outcome and shaping: what a scheme weighs, and what cannot make all-wrong groups teach."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.advantages import group_advantages
from theory.rewards import MODES, OutcomeRule, shaping_advantages, two_levels
from theory.schemes import SCHEMES

ALL = [name for name in SCHEMES if SCHEMES[name].has_table]
FREE = [name for name in ALL if SCHEMES[name].shift_invariant]
BITS = st.lists(st.integers(0, 1), min_size=4, max_size=12)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("levels", [(-1, 1), (0, 10), (-2.5, 0.5)])
def test_rewards_on_another_scale_give_the_advantages_of_their_outcomes(name, levels):
    low, high = levels
    outcomes = np.array([[1.0, 0, 0, 1, 0], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1]])
    plain = group_advantages(outcomes, name)
    told = group_advantages(low + (high - low) * outcomes, name, outcome=OutcomeRule(low, high))
    np.testing.assert_allclose(told, plain, rtol=1e-14, atol=1e-14)


@given(BITS, st.floats(-50, 50), st.floats(0.01, 50))
def test_shift_invariant_schemes_need_no_outcome(bits, shift, scale):
    rewards = np.array(bits, float)
    for name in FREE:
        plain = group_advantages(rewards, name)
        factor = 1 if name in ("grpo", "dapo") else scale
        moved = group_advantages(shift + scale * rewards, name)
        # Digits lost where a small difference sits on a large shift.
        room = 1e-13 * (1 + (abs(shift) / scale) * 10) * max(1.0, factor)
        np.testing.assert_allclose(moved, factor * plain, rtol=0, atol=10 * room)


def test_only_shift_invariant_schemes_take_any_scale():
    rewards = np.array([1.5, 0.0, 0.5, -2.0])
    for name, scheme in SCHEMES.items():
        if not scheme.has_table or name in FREE:
            continue
        with pytest.raises(ValueError, match=r"rewards must lie in \[0, 1\]"):
            group_advantages(rewards, name)
    standard = (rewards - rewards.mean()) / rewards.std()
    np.testing.assert_allclose(group_advantages(rewards, "grpo"), standard, rtol=1e-13)


@pytest.mark.parametrize("name", ["grpo", "sqrt_r", "nsr", "w_reinforce"])
@pytest.mark.parametrize("mode", MODES)
def test_a_constant_bonus_changes_nothing(name, mode):
    outcomes = np.array([[1.0, 0, 0, 1, 0], [0, 0, 0, 0, 0]])
    plain = group_advantages(outcomes, name)
    bonus = np.full((2, 5, 2), 0.1 + 0.2)
    shaped = group_advantages(outcomes, name, shaping=bonus, shaping_mode=mode)
    assert (shaped == plain).all()


@given(BITS, st.lists(st.floats(-3, 3), min_size=12, max_size=12))
def test_shaping_is_centred_and_the_gate_closes_on_groups_without_a_success(bits, bonus):
    outcomes, shaping = np.array(bits, float), np.array(bonus[: len(bits)])
    for mode in MODES:
        added = shaping_advantages(outcomes, shaping, mode)
        assert abs(added.sum()) <= 1e-12 * (1 + np.abs(shaping).sum()) * 1e4 ** (mode == "apart")
        if mode == "gate" and not outcomes.any():
            assert (added == 0).all()
        elif mode != "apart":
            np.testing.assert_allclose(added, shaping - shaping.mean(), atol=1e-14)


def test_standardised_totals_give_all_wrong_groups_advantages_of_full_size():
    outcomes, shaping = np.zeros(8), 0.01 * np.array([1.0, 0, 0, 0, 1, 0, 1, 0])
    phantom = np.abs(group_advantages(outcomes + shaping, "grpo")).max()
    assert phantom > 1
    beside = np.abs(group_advantages(outcomes, "grpo", shaping=shaping, shaping_mode="add")).max()
    assert beside < 0.01
    assert not group_advantages(outcomes, "grpo", shaping=shaping).any()


def test_components_are_standardised_apart_as_by_torch():
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    outcomes, parts = rng.integers(0, 2, (6, 8)).astype(float), rng.normal(size=(6, 8, 3))
    expected = torch.zeros(6, 8, dtype=torch.float64)
    for k in range(3):
        part = torch.from_numpy(parts[..., k])
        mean, deviation = part.mean(1, keepdim=True), part.std(1, keepdim=True)
        expected += (part - mean) / (deviation + 1e-4)
    found = shaping_advantages(outcomes, parts, "apart")
    np.testing.assert_allclose(found, expected, rtol=1e-12, atol=1e-12)


def test_a_threshold_leaves_the_rest_as_shaping():
    # verl's overlong penalty: −1 or 1, less up to 1 for length.
    outcomes = np.array([[1.0, 1, 0, 0], [0, 0, 0, 0]])
    penalty = np.array([[0.0, 0.5, 0.5, 0], [0.5, 0, 0, 0]])
    rule = OutcomeRule(-1, 1, threshold=0)
    told = group_advantages(2 * outcomes - 1 - penalty, "sqrt_r", outcome=rule)
    by_hand = group_advantages(outcomes, "sqrt_r", shaping=-penalty / 2)
    np.testing.assert_allclose(told, by_hand, atol=1e-14)
    both = group_advantages(2 * outcomes - 1 - penalty, "sqrt_r", outcome=rule, shaping=penalty / 2)
    np.testing.assert_allclose(both, group_advantages(outcomes, "sqrt_r"), atol=1e-14)


@pytest.mark.parametrize("mode", MODES)
def test_the_three_kinds_of_array_agree(mode):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(1)
    outcomes, parts = rng.integers(0, 2, (5, 6)).astype(float), rng.normal(size=(5, 6, 2))
    valid = rng.random((5, 6)) < 0.8

    def shaped(r, s, v):
        return group_advantages(r, "linear_r", shaping=s, shaping_mode=mode, valid=v)

    plain = shaped(outcomes, parts, valid)
    assert (plain[~valid] == 0).all()
    by_jax = jax.jit(shaped)(*map(jnp.asarray, (outcomes, parts, valid)))
    np.testing.assert_allclose(by_jax, plain, rtol=1e-12, atol=1e-12)
    by_torch = shaped(*map(torch.from_numpy, (outcomes, parts, valid)))
    np.testing.assert_allclose(by_torch, plain, rtol=1e-12, atol=1e-12)


def test_levels_are_recognised_where_two_whole_numbers_say_so():
    assert two_levels([1, -1, 1]) == (-1, 1)
    assert two_levels([-5, 5]) == (-5, 5)
    for strange in ([], [1], [-1], [0, 0.5], [0, 1, 2], [2, 3], [-3, 1]):
        assert two_levels(strange) is None


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: OutcomeRule(1, 1), "high must be above low"),
        (lambda: OutcomeRule(threshold=np.nan), "must be finite"),
        (lambda: shaping_advantages(np.zeros(3), np.zeros(2)), "shaping must have shape"),
        (lambda: shaping_advantages(np.zeros(3), np.full(3, np.nan)), "shaping must lie in"),
        (lambda: shaping_advantages(np.zeros(3), np.zeros(3), "total"), "gate, add, apart"),
        (
            lambda: shaping_advantages(np.zeros(3), np.zeros(3), valid=np.ones(2)),
            "valid must have shape",
        ),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
