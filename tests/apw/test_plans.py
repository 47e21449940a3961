"""Plans as files: the table by prompt, and prime-rl's pools against the plan they stand for."""

import tomllib

import numpy as np
import pandas as pd
import pytest

from apw.advice.plans import refuse_plan, write_plan
from theory.prompt_sets import measured_set
from theory.rollout_plan import plan_rollouts

CORRECT = np.repeat([0, 1, 2, 4, 6, 8], [30, 8, 6, 6, 4, 6])
MEASURED = measured_set(CORRECT, 8, draws=0)
PLAN = plan_rollouts(MEASURED, "grpo", 8, target=0.7)
NAMES = [f"math/{number}" for number in range(60)]
ROWS = [
    {"id": name, "probability": float(chance), "group_size": 8}
    for name, chance in zip(NAMES, PLAN.probability, strict=True)
]


def test_a_table_has_every_prompt_and_its_chance(tmp_path):
    write_plan(tmp_path / "plan.csv", ROWS, PLAN, MEASURED.fit)
    table = pd.read_csv(tmp_path / "plan.csv")
    assert table["id"].tolist() == NAMES
    np.testing.assert_allclose(table["probability"], PLAN.probability, rtol=1e-12)
    assert set(table["group_size"]) == {8}


def weight(pools, reward):
    """prime-rl's rule: pools by rising threshold, inclusive, and the last one takes the rest."""
    if reward is None:
        return 1.0
    ordered = sorted(pools.values(), key=lambda pool: pool["threshold"])
    return next((p["weight"] for p in ordered if reward <= p["threshold"]), ordered[-1]["weight"])


def test_prime_rls_pools_draw_tasks_as_the_plan_does(tmp_path):
    write_plan(tmp_path / "plan.toml", ROWS, PLAN, MEASURED.fit)
    read = tomllib.loads((tmp_path / "plan.toml").read_text())
    sampler = read["orchestrator"]["train"]["source"]["curriculum"]["sampler"]
    assert sampler["type"] == "difficulty_pool"
    pools = sampler["pools"]
    assert len(pools) == 9
    assert len({pool["threshold"] for pool in pools.values()}) == 9
    means = [float(np.mean([1.0] * k + [0.0] * (8 - k))) for k in CORRECT]
    weights = np.array([weight(pools, mean) for mean in means])
    np.testing.assert_allclose(weights / weights.sum(), PLAN.probability, rtol=1e-6)
    # A task that was not tried weighs 1: the chance of any, in the same units.
    prior = MEASURED.fit.posterior([0], [0]).below([PLAN.low, PLAN.high])[0]
    tried = MEASURED.fit.posterior([4], [8]).below([PLAN.low, PLAN.high])[0]
    assert weight(pools, 0.5) / weight(pools, None) == pytest.approx(
        np.diff(tried)[0] / np.diff(prior)[0]
    )


def test_a_plan_replaces_a_plan_and_nothing_else(tmp_path):
    for name in ("plan.csv", "plan.toml"):
        write_plan(tmp_path / name, ROWS, PLAN, MEASURED.fit)
        refuse_plan(tmp_path / name)
        (tmp_path / name).write_text("mine\n")
        with pytest.raises(ValueError, match="was not written by apw advise"):
            refuse_plan(tmp_path / name)
    with pytest.raises(ValueError, match=r"ends in \.csv, or one for prime-rl that ends in \.toml"):
        refuse_plan(tmp_path / "plan.txt")
