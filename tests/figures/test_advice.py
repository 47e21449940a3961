"""The picture of an advice draws what was computed."""

from __future__ import annotations

import numpy as np
import pytest

from figures.advice import advice_picture
from theory.finite_group import expected_weight
from theory.optimal import optimal_weight


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_prompts_weights_and_costs_are_the_numbers_given(theme: str) -> None:
    best = optimal_weight(0.02, 0.9, clock="responses")
    starts = np.array([0.02, 0.02, 0.3, 0.88])
    excess = {"grpo": 2.3, "linear_r": 1.3, "psr": np.inf, "pass_at_k": 40.0}
    picture = advice_picture(best, starts, excess, 8)
    data = picture.data
    prompts = data[data["panel"] == "prompts"].set_index("low")["share"]
    assert prompts.iloc[0] == 0.5
    assert prompts.sum() == 1
    costs = data[data["panel"] == "costs"].set_index("scheme")["excess"]
    assert costs.to_dict() == {"linear_r": 1.3, "grpo": 2.3, "pass_at_k": 40.0}
    weights = data[data["panel"] == "weights"].set_index(["scheme", "success"])["weight"]
    exact = [float(expected_weight("linear_r", 8, np.asarray(p))) for p in (0.02, 0.9)]
    assert weights["linear_r", 0.02] == pytest.approx(exact[0] / exact[1], rel=1e-12)
    # On the effective clock the optimum is Sqrt-R's 1/(ρ√(1−ρ)).
    ratio = 0.9 * np.sqrt(0.1) / (0.02 * np.sqrt(0.98))
    assert weights["optimum", 0.02] == pytest.approx(ratio, rel=1e-9)
    assert picture.render("svg", theme).startswith(b"<?xml")  # type: ignore[arg-type]
    assert "Linear-R is the least" in picture.caption


def test_nothing_that_arrives_is_said() -> None:
    picture = advice_picture(optimal_weight(0.02, 0.9), np.array([0.02]), {"psr": np.inf}, 8)
    assert picture.caption == "No scheme that was compared reaches the target."
    assert picture.render("png")
