"""O11's prediction from a measured kernel: where the kernel is constant it is the model's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import logit

from claims.spread_and_sharing import predicted_logs
from sim.config import SimulationConfig
from sim.problems import build
from theory.sharing import path_costs


@pytest.mark.parametrize("sharing", [0.1, 1.0])
def test_two_answers_have_the_constant_kernel(sharing: float) -> None:
    """One right and one wrong answer: ⟨q⁺ − q⁻, q⁺ − q⁻⟩ = 2 for every pair, Σq² = 1."""
    config = SimulationConfig(
        schemes=("grpo", "sqrt_r"),
        seeds=1,
        policy="log_linear",
        sharing=sharing,
        prompts=8,
        answers=2,
        correct_answers=1,
        start="beta:1,2",
        target=0.8,
        precision="float64",
    )
    success = np.asarray(build(config, 0).policy.success(build(config, 0).parameters)[0], float)
    costs = path_costs(
        ["sqrt_r", "grpo"],
        logit(success),
        sharing=sharing,
        target=0.8,
        group_size=16,
        budget="steps",
        concentration=(1.0, 1.0),
    )[:, 0]
    [found] = predicted_logs(config, ["sqrt_r"])
    assert found == pytest.approx(np.log(costs[0] / costs[1]), abs=1e-5)
