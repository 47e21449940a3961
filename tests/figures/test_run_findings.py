"""Sentences on runs say what the numbers say: sooner, later, undecided, collapsed."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest

from claims.run_findings import simulation_findings, simulation_headline, training_findings

Runs = Callable[..., pd.DataFrame]
CONFIG = {
    "prompts": 64,
    "schemes": ["grpo", "sqrt_r"],
    "start": 0.1,
    "target": 0.6,
    "group_size": 8,
    "learner": "natural",
    "comparison": "same_budget",
}


def test_clear_differences_are_named_and_unclear_ones_are_not(runs: Runs) -> None:
    rates = {"grpo": (0.04,) * 5, "sqrt_r": (0.08,) * 5, "linear_r": (0.02,) * 5}
    config = {**CONFIG, "schemes": [*rates]}
    text = " ".join(simulation_findings(runs(rates, steps=41), config))
    assert "Counted in responses drawn, all schemes at equal budgets, with GRPO's time as 1" in text
    assert "Sqrt-R sooner, 0.50 (0.50 to 0.50)" in text
    assert "Linear-R later, 2.00 (2.00 to 2.00)" in text
    unclear = {"grpo": (0.04, 0.08, 0.04, 0.08, 0.04), "sqrt_r": (0.08, 0.04, 0.04, 0.04, 0.08)}
    text = " ".join(simulation_findings(runs(unclear, steps=21), CONFIG))
    assert "Sqrt-R cannot be told apart" in text
    assert "predicted" in text


def test_a_headline_has_the_number_and_its_interval(runs: Runs) -> None:
    def headline(**rates: tuple[float, ...]) -> str:
        return simulation_headline(runs(rates, steps=41), {**CONFIG, "schemes": [*rates]})

    same, twice, half = (0.04,) * 5, (0.08,) * 5, (0.02,) * 5
    assert headline(grpo=same, linear_r=half, sqrt_r=twice) == (
        "Sqrt-R brings 64 simulated prompts to 0.6 soonest, with 0.50 times as many responses "
        "drawn as GRPO (95% interval 0.50 to 0.50)."
    )
    assert headline(grpo=same, linear_r=half).startswith(
        "No scheme brings 64 simulated prompts to 0.6 sooner than GRPO; the next, Linear-R, takes "
        "2.00 times its responses drawn (95% interval 2.00 to 2.00)."
    )
    unclear = {"grpo": (0.04, 0.08, 0.04, 0.08, 0.04), "sqrt_r": (0.08, 0.04, 0.04, 0.04, 0.08)}
    assert headline(**unclear).startswith("No scheme surely brings")
    assert headline(grpo=same, sqrt_r=(0.0,) * 5).startswith("No simulated scheme can be")


def test_schemes_that_do_not_arrive_are_counted(runs: Runs) -> None:
    rates = {"grpo": (0.04, 0.04), "sqrt_r": (0, 0)}
    text = " ".join(simulation_findings(runs(rates, steps=21), CONFIG))
    assert "did not reach the target in every seed" in text
    assert "Sqrt-R reached the target in 0 of 2 seeds only: not within 20 steps" in text


def test_arrivals_in_fewer_than_five_updates_are_not_compared(runs: Runs) -> None:
    text = " ".join(simulation_findings(runs({"grpo": (0.1,) * 5, "sqrt_r": (0.2,) * 5}), CONFIG))
    assert "Sqrt-R was there within 5 updates, too soon to be compared" in text


def test_a_collapse_is_an_outcome(runs: Runs) -> None:
    text = " ".join(training_findings(runs({"grpo": (0.05, 0.05), "sqrt_r": (-0.02, 0.08)})))
    assert "Sqrt-R: success probability on held-out prompts from 10.0% to" in text
    assert "in 1 of 2 it collapsed" in text
    assert "GRPO in 2 of 2 and Sqrt-R in 1 of 2" in text
    assert "does not tell them apart" in text


def test_two_seeds_of_one_sign_do_not_tell_schemes_apart(runs: Runs) -> None:
    text = " ".join(training_findings(runs({"grpo": (0.05, 0.05), "sqrt_r": (0.06, 0.07)})))
    # 15 ± 12.706 × 5: Student's t of two seeds.
    assert "+15.00 points (95% interval over 2 paired seeds: −48.53 to +78.53)" in text
    assert "does not tell them apart" in text


def test_enough_seeds_may_differ(runs: Runs) -> None:
    text = " ".join(training_findings(runs({"grpo": (0.05,) * 5, "sqrt_r": (0.07,) * 5})))
    assert "95% interval over 5 paired seeds: +20.00 to +20.00), which does not include 0" in text
    assert "GRPO 8, Sqrt-R 6; with GRPO's as 1, Sqrt-R sooner, 0.71" in text


def test_one_seed_is_no_comparison_and_rewards_do_without_success(runs: Runs) -> None:
    metrics = runs({"grpo": (0.05,), "sqrt_r": (0.07,)}, source="llm")
    metrics = metrics[metrics["metric"] != "success"]
    text = " ".join(training_findings(metrics))
    assert "mean reward" in text
    assert "too few seeds to be compared" in text
    with pytest.raises(ValueError, match="neither success nor reward"):
        training_findings(metrics[metrics["metric"] == "updates"])


def test_all_wrong_groups_are_reported(runs: Runs) -> None:
    text = " ".join(training_findings(runs({"grpo": (0.09,)}, source="llm")))
    assert "At the start 66% of the groups had no correct response" in text  # 0.9⁴
    assert "at the end 0% with GRPO" in text
