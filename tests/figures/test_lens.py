"""LENS's figure: penalties, rewards and advantages are those of the paper's formulas."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from figures.lens import SURE_CORRECT, lens_picture, lens_table

GROUP = 16


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    return lens_table(group_size=GROUP, points=999)


def test_the_penalty_obeys_its_differential_equation(table: pd.DataFrame) -> None:
    part = table[table["panel"] == "penalty"]
    z, w = part["confidence"].to_numpy(), part["value"].to_numpy()
    slope = np.gradient(w, z)
    inside = slice(1, 900)  # up to z = 0.9, where central differences of 1e-3 are good to 1e-3
    np.testing.assert_allclose((w + z * slope)[inside], (z / (1 - z))[inside], rtol=2e-3)


def test_rewards_of_wrong_responses_are_minus_odds_against_the_scale(table: pd.DataFrame) -> None:
    rewards = table[table["panel"] == "reward"]
    assert rewards["value"].between(-1, 0).all()
    scales = {"all wrong": 0.6, **{f"one correct, π̄ = {s:g}": GROUP * s for s in SURE_CORRECT}}
    assert set(rewards["curve"]) == set(scales)
    for name, part in rewards.groupby("curve"):
        pi = part["confidence"]
        np.testing.assert_allclose(part["value"], -pi / (scales[str(name)] - pi), rtol=1e-12)


def test_all_wrong_groups_teach_lens_and_not_grpo(table: pd.DataFrame) -> None:
    advantages = table[table["panel"] == "advantage"].pivot(
        index="confidence", columns="curve", values="value"
    )
    assert (advantages["grpo"] == 0).all()
    assert advantages["lens"].sum() == pytest.approx(0, abs=1e-15)
    assert advantages["lens"].is_monotonic_decreasing


def test_a_group_of_one_is_refused() -> None:
    with pytest.raises(ValueError, match="group_size must be at least 2; got 1"):
        lens_table(group_size=1)


def test_it_can_be_drawn() -> None:
    picture = lens_picture()
    assert picture.render("svg").count(b"<path") > 10
    assert "between −1/G and 0" in picture.caption
