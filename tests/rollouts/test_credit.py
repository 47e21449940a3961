"""The split of logged advantages against least squares written out, and against known makings."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rollouts.credit import advantage_sums, credit_table
from rollouts.groups import Groups, whole_groups
from rollouts.sentences import sentences
from rollouts.tally import Tally
from theory.advantages import group_advantages
from theory.rewards import shaping_advantages
from theory.schemes import resolve

SIZE = 8


def logged(outcome: np.ndarray, advantage: np.ndarray, *components: np.ndarray) -> Groups:
    """Some groups of one step, shape (groups, size) each."""
    groups, size = outcome.shape
    return whole_groups(
        np.ones(outcome.size, np.int64),
        np.repeat(np.arange(groups), size).astype(np.uint64),
        outcome.ravel() > 0,
        advantage=advantage.ravel(),
        components=np.stack([c.ravel() for c in components]) if components else None,
    )


def split(
    outcome: np.ndarray, advantage: np.ndarray, *components: np.ndarray
) -> dict[str, dict[str, float]]:
    """The table of some groups, shape (groups, size) each, by difficulty."""
    names = tuple(f"part {k}" for k in range(len(components)))
    table = credit_table(advantage_sums(logged(outcome, advantage, *components)), names)
    return {row["difficulty"]: row for row in table.to_dict("records")}


def draw(groups: int = 400, size: int = SIZE, seed: int = 0) -> tuple[np.ndarray, ...]:
    generator = np.random.default_rng(seed)
    rate = generator.beta(0.4, 0.8, groups)[:, None]
    outcome = (generator.random((groups, size)) < rate).astype(float)
    bonus = (generator.random((groups, size)) < 0.5).astype(float)
    penalty = generator.exponential(size=(groups, size))
    noise = generator.normal(size=(groups, size))
    return outcome, bonus, penalty, noise


def test_standardised_totals_are_outcome_and_shaping_without_noise() -> None:
    outcome, bonus, *_ = draw()
    total = outcome + 0.5 * bonus
    centred = total - total.mean(axis=1, keepdims=True)
    advantage = centred / (total.std(axis=1, ddof=1, keepdims=True) + 1e-4)
    table = split(outcome, advantage.astype(np.float32).astype(float), bonus)
    assert table["0"]["shaping"] == pytest.approx(1)
    assert table["1"]["shaping"] == pytest.approx(1)
    assert table["all"]["outcome"] + table["all"]["shaping"] == pytest.approx(1, abs=1e-5)
    assert abs(table["all"]["noise"]) < 1e-5
    # What standardising does, by hand: each part of a centred total, in units of its deviation.
    sign = np.sign(advantage)
    parts = (
        0.5
        * (bonus - bonus.mean(axis=1, keepdims=True))
        / total.std(axis=1, ddof=1, keepdims=True).clip(1e-4)
    )
    # Where outcome and bonus go together, all is the outcome's; there the two may differ.
    assert table["all"]["shaping"] == pytest.approx(
        (sign * parts).sum() / np.abs(advantage).sum(), abs=0.03
    )


@pytest.mark.parametrize("scheme", ["grpo", "rloo", "linear_r", "sqrt_r", "maxrl", "nsr"])
def test_advantages_of_a_scheme_are_the_outcomes_alone(scheme: str) -> None:
    outcome, bonus, penalty, _ = draw()
    table = split(outcome, np.asarray(group_advantages(outcome, scheme)), bonus, penalty)
    assert table["all"]["outcome"] == pytest.approx(1)
    assert abs(table["all"]["noise"]) + abs(table["all"]["shaping"]) < 1e-9


def test_gated_shaping_gives_all_wrong_groups_nothing() -> None:
    outcome, bonus, penalty, _ = draw()
    added = shaping_advantages(outcome, 0.3 * bonus - 0.1 * penalty)
    advantage = np.asarray(group_advantages(outcome, "grpo")) + np.asarray(added)
    table = split(outcome, advantage, bonus, penalty)
    assert table["0"]["mass"] == 0
    assert table["0"]["zero_advantage"] == 1
    assert table["1"]["part 0"] > table["1"]["part 1"] > 0
    assert abs(table["all"]["noise"]) < 1e-9


def test_noise_is_found_as_far_as_residuals_have_degrees_of_freedom() -> None:
    outcome, bonus, _, noise = draw(groups=4000)
    outcome[:] = np.arange(SIZE) < SIZE // 2
    table = split(outcome, noise, bonus)
    # Pure noise in 8 responses with 3 coefficients: the residual keeps 5/8 of its square.
    assert table["all"]["noise"] == pytest.approx(5 / 8, abs=0.01)


@given(seed=st.integers(0, 2**32 - 1), size=st.integers(3, 9), count=st.integers(0, 2))
@settings(max_examples=40)
def test_parts_are_those_of_least_squares_and_add_up(seed: int, size: int, count: int) -> None:
    outcome, bonus, penalty, noise = draw(3, size, seed)
    components = (bonus, penalty)[:count]
    sums = advantage_sums(
        whole_groups(
            np.arange(3).repeat(size),
            np.arange(3).repeat(size).astype(np.uint64),
            outcome.ravel() > 0,
            advantage=noise.ravel(),
            components=np.stack([c.ravel() for c in components]) if count else None,
        )
    ).set_index("step")
    for group in range(3):
        row = sums.loc[group]
        pulls = [row["outcome"], row["noise"], *(row[f"component_{k}"] for k in range(count))]
        assert sum(pulls) == pytest.approx(row["split"])
        columns = [np.ones(size), outcome[group], *(c[group] for c in components)]
        design = np.stack(columns, axis=1)
        rank = np.linalg.matrix_rank(design)
        if rank == size or not row["split"]:
            assert row["split"] == 0 or rank < size
            continue
        assert row["split"] == pytest.approx(np.abs(noise[group]).sum())
        fitted = design @ np.linalg.lstsq(design, noise[group], rcond=None)[0]
        left = noise[group] - fitted
        assert row["noise"] == pytest.approx((np.sign(noise[group]) * left).sum())


def test_what_pulls_against_the_advantages_is_said_to() -> None:
    outcome, bonus, *_ = draw()
    penalty = outcome + 0.5 * bonus
    advantage = 2 * (outcome - outcome.mean(axis=1, keepdims=True))
    advantage -= 0.3 * (penalty - penalty.mean(axis=1, keepdims=True))
    tally = Tally()
    tally.add(logged(outcome, advantage, penalty))
    said = " ".join(sentences(tally.result(), {"grpo": resolve("grpo")}, ("penalty",)))
    row = split(outcome, advantage, penalty)["all"]
    assert row["outcome"] > 1.05
    assert row["shaping"] < -0.05
    assert f"came {row['outcome']:.0%} from the outcome, −{-row['shaping']:.0%} from" in said
    assert f"(penalty −{-row['part 0']:.0%})" in said


def test_unknown_advantages_are_left_out() -> None:
    outcome, bonus, _, noise = draw(2)
    noise[0, 0] = np.nan
    table = split(outcome, noise, bonus)["all"]
    assert table["responses"] == 2 * SIZE - 1
    assert table["split"] == pytest.approx(np.abs(noise[1]).sum() / np.nansum(np.abs(noise)))


def test_a_component_that_was_not_given_adds_nothing() -> None:
    """TRL's own sum, with reward functions that return None for prompts or for responses."""
    torch = pytest.importorskip("torch")
    outcome, bonus, penalty, _ = draw(400)
    bonus[::3] = np.nan  # asked of two prompts in three
    penalty[np.random.default_rng(1).random(penalty.shape) < 0.2] = np.nan
    rewards = torch.tensor(np.stack([outcome, bonus, penalty], axis=-1))
    total = (rewards * torch.tensor([1.0, 0.5, -0.2])).nansum(dim=-1).numpy()
    advantage = total - total.mean(axis=1, keepdims=True)
    row = split(outcome, advantage, bonus, penalty)["all"]
    assert row["split"] == pytest.approx(1)
    assert row["noise"] == pytest.approx(0, abs=1e-9)
    filled = split(outcome, advantage, np.nan_to_num(bonus), np.nan_to_num(penalty))["all"]
    assert row == pytest.approx(filled)
