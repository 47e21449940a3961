"""The picture of an advice draws what was computed."""

from __future__ import annotations

import numpy as np
import pytest

from figures.advice import advice_picture
from theory.advice import advise
from theory.finite_group import expected_weight


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_prompts_weights_and_costs_are_the_numbers_given(theme: str) -> None:
    schemes = ["grpo", "linear_r", "psr"]
    advice = advise([0.0, 0.02, 0.02, 0.3, 0.88, 0.95], schemes=schemes, group_size=8)
    picture = advice_picture(advice)
    data = picture.data
    prompts = data[data["panel"] == "prompts"].set_index("low")["share"]
    assert prompts.iloc[0] == 0.5  # of the four below the target, and in reach
    assert prompts.sum() == 1
    costs = data[data["panel"] == "costs"].set_index("scheme")["cost"]
    assert costs.to_dict() == dict(advice.cost)
    weights = data[data["panel"] == "weights"].set_index(["scheme", "success"])["weight"]
    exact = [float(expected_weight("grpo", 8, np.asarray(p))) for p in (0.02, 0.9)]
    assert weights["grpo", 0.02] == pytest.approx(exact[0] / exact[1], rel=1e-12)
    assert picture.render("svg", theme).startswith(b"<?xml")  # type: ignore[arg-type]
    assert "GRPO is in use" in picture.caption
