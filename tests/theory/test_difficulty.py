"""Difficulty weights against transcriptions of what their authors' code does, row by row."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from theory.advantages import group_advantages
from theory.finite_group import expected_weight
from theory.schemes import SCHEMES, resolve

SIZE = 8


def groups(seed=0, prompts=40):
    generator = np.random.default_rng(seed)
    chance = generator.choice([0.0, 0.1, 0.3, 0.6, 0.9, 1.0], size=(prompts, 1))
    return (generator.random((prompts, SIZE)) < chance).astype(float)


def grpo(rewards):
    spread = rewards.std()
    return (rewards - rewards.mean()) / spread if spread else np.zeros_like(rewards)


def mgpo(rewards, strength, goal):
    right = rewards.mean()
    divergence = stats.entropy([right, 1 - right], [goal, 1 - goal])
    return math.exp(-strength * divergence) * grpo(rewards)


def dgpo(rewards, temperature):
    centred = rewards - rewards.mean()
    extent = np.abs(centred).sum()
    if not extent:
        return np.zeros_like(rewards)
    return len(rewards) * centred / extent * math.exp(-rewards.mean() / temperature)


def ha_dw(rewards, history, scale):
    found = np.zeros_like(rewards)
    away = rewards.mean() - history
    for i, advantage in enumerate(grpo(rewards)):
        found[i] = scale * math.exp(-np.sign(away) * np.sign(advantage) * abs(away)) * advantage
    return found


@pytest.mark.parametrize(
    ("name", "transcribed"),
    [
        ("mgpo", lambda r: mgpo(r, 1.0, 0.5)),
        ("mgpo:strength=3,goal=0.3", lambda r: mgpo(r, 3.0, 0.3)),
        ("dgpo", lambda r: dgpo(r, 2.0)),
        ("dgpo:temperature=0.5", lambda r: dgpo(r, 0.5)),
        ("ha_dw", lambda r: ha_dw(r, 0.5, 1.5)),
        ("ha_dw:anchor=0.25,scale=1.3", lambda r: ha_dw(r, 0.25, 1.3)),
    ],
)
def test_advantages_are_those_of_the_authors_code(name, transcribed):
    rewards = groups()
    expected = np.stack([transcribed(row) for row in rewards])
    np.testing.assert_allclose(group_advantages(rewards, name), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ["mgpo", "dgpo", "ha_dw:anchor=0.2"])
def test_the_exact_drift_is_the_sum_over_all_outcomes(name):
    for rho in (0.01, 0.3, 0.9):
        total = 0.0
        for correct in range(SIZE + 1):
            rewards = np.array([1.0] * correct + [0.0] * (SIZE - correct))
            chance = stats.binom.pmf(correct, SIZE, rho)
            total += chance * float(group_advantages(rewards, name) @ (rewards - rho))
        found = float(expected_weight(name, SIZE, rho))
        assert found == pytest.approx(total / (SIZE * rho * (1 - rho)), rel=1e-12)


def test_every_mixed_group_has_the_same_total_under_mean_absolute_deviation():
    advantages = group_advantages(groups(), "dgpo:temperature=none")
    totals = np.abs(advantages).sum(axis=1)
    assert set(totals.round(9)) == {0.0, float(SIZE)}


def test_the_batchs_softmax_differs_from_the_weights_by_one_factor():
    """DGPO's own question weights: n·softmax(−ρ̂/T) over the mixed groups of a batch."""
    rewards = groups()
    right = rewards.mean(axis=1)
    mixed = (right > 0) & (right < 1)
    scores = np.exp(-right[mixed] / 2)
    theirs = mixed.sum() * scores / scores.sum()
    plain = group_advantages(rewards[mixed], "dgpo:temperature=none")
    ratio = theirs[:, None] * plain / group_advantages(rewards[mixed], "dgpo")
    assert np.ptp(ratio) < 1e-12


def test_raising_the_anchor_raises_correct_responses_and_lowers_wrong_ones():
    rewards = np.array([1.0, 0, 0, 0])
    low, high = (group_advantages(rewards, f"ha_dw:anchor={anchor}") for anchor in (0.1, 0.6))
    assert high[0] > low[0]
    assert (np.abs(high[1:]) < np.abs(low[1:])).all()


def test_opo_counts_responses_by_their_tokens():
    rewards, length = groups(), np.random.default_rng(1).integers(1, 900, (40, SIZE))
    expected = np.stack([r - (r * n).sum() / n.sum() for r, n in zip(rewards, length, strict=True)])
    found = group_advantages(rewards, "opo", length=length)
    np.testing.assert_allclose(found, expected, atol=1e-12)
    np.testing.assert_allclose((found * length).sum(axis=1), 0, atol=1e-9)
    alike = group_advantages(rewards, "opo", length=np.full(rewards.shape, 7))
    np.testing.assert_allclose(alike, group_advantages(rewards, "dr_grpo"), atol=1e-12)
    moved = group_advantages(rewards * 11 - 1, "opo", length=length)
    np.testing.assert_allclose(moved, 11 * found, atol=1e-9)


def test_opo_leaves_out_what_could_not_be_scored_and_asks_for_lengths():
    rewards, length = np.array([1.0, 0, 1]), np.array([10, 30, 99])
    valid = np.array([True, True, False])
    found = group_advantages(rewards, "opo", length=length, valid=valid)
    np.testing.assert_allclose(found, [0.75, -0.25, 0.0])
    with pytest.raises(ValueError, match="opo needs length"):
        group_advantages(rewards, "opo")
    with pytest.raises(ValueError, match="length must have the shape"):
        group_advantages(rewards, "opo", length=np.ones(2))
    with pytest.raises(ValueError, match="length must lie in"):
        group_advantages(rewards, "opo", length=-length)
    with pytest.raises(ValueError, match="opo has no table"):
        SCHEMES["opo"].table(4)


def test_curverl_weighs_by_the_reverse_hazard_rate_of_the_batch(backend):
    rewards = groups(2)
    counts = [int(row.sum()) for row in rewards]
    among = Counter(count for count in counts if 0 < count < SIZE)
    expected = np.zeros_like(rewards)
    for row, count in enumerate(counts):
        if count in among:
            below = sum(number for k, number in among.items() if k <= count)
            expected[row] = among[count] / below * (rewards[row] - count / SIZE)
    found = backend.numpy(group_advantages(backend.array(rewards), "curverl"))
    np.testing.assert_allclose(found, expected, atol=1e-12)
    batches = group_advantages(backend.array(rewards.reshape(4, 10, SIZE)), "curverl")
    np.testing.assert_allclose(backend.numpy(batches).reshape(-1, SIZE), expected, atol=1e-12)


def test_curverl_has_neither_table_nor_weight_and_says_why():
    scheme = resolve("curverl")
    assert not scheme.has_table
    assert not scheme.has_weight
    for ask in (lambda: scheme.table(4), lambda: scheme.weight(0.5)):
        with pytest.raises(ValueError, match="pass rates of all prompts"):
            ask()
    with pytest.raises(ValueError, match="no surrogate"):
        scheme.surrogate(0.5)
