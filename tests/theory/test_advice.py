"""Prompts that start anywhere: one problem, whatever their number and order."""

from __future__ import annotations

import math

import numpy as np
import pytest

from theory.advice import MOST_KNOTS, SAMPLINGS, Costs, solve


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("success", [0.01, 0.5, 0.9])
def test_an_update_costs_the_groups_that_are_drawn_for_it(sampling: str, success: float) -> None:
    size = 4
    wrong, right = (1 - success) ** size, success**size
    kept = {"fixed": 1, "until_correct": 1 - wrong, "until_mixed": 1 - wrong - right}[sampling]
    cost = float(Costs(2.0, 0.25, sampling).of_update(size, success))
    assert cost == pytest.approx(2 + 0.25 * size / kept, rel=1e-12)


def test_where_updates_cost_the_same_the_time_is_known_in_closed_form() -> None:
    starts, target = np.array([0.3, 0.05, 0.3]), 0.8
    # Cost and budget density are both the share of prompts that pass, so √(c b/v) is the share
    # over √(ρ(1−ρ)), and its integral the mean of [2 arcsin √ρ] from each start to the target.
    angle = np.mean([2 * (math.asin(math.sqrt(target)) - math.asin(math.sqrt(s))) for s in starts])
    best = solve(starts, target, Costs(3.0, 0.5), 2)
    assert best.time == pytest.approx((3 + 2 * 0.5) * angle**2, rel=1e-9)


def test_many_starts_are_moved_by_too_little_to_matter() -> None:
    starts = np.random.default_rng(0).beta(0.8, 3, 5000)
    starts = starts[(starts > 1e-4) & (starts < 0.9)]
    assert np.unique(starts).size > MOST_KNOTS
    angles = 2 * (np.arcsin(np.sqrt(0.9)) - np.arcsin(np.sqrt(starts)))
    time = solve(starts, 0.9, Costs(1.0, 0.0), 2).time
    # A start moves by half a cell of the log-odds at most, up as often as down.
    assert time == pytest.approx(np.mean(angles) ** 2, rel=1e-3)
