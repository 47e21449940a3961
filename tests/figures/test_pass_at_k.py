"""Pass@k: evaluations with intervals over problems, simulations against where they began."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from claims.pass_at_k import trained_pass_at_k_table
from figures.pass_at_k import pass_at_k_picture, trained_pass_at_k_picture


def simulated(ends: dict[str, float], *, ks: tuple[int, ...] = (1, 4)) -> pd.DataFrame:
    rows = []
    for scheme, end in ends.items():
        for seed in range(5):
            for step, success in ((0, 0.2), (10, (0.2 + end) / 2 + 0.01 * seed), (20, end)):
                for k in ks:
                    value = 1 - (1 - success) ** k
                    rows.append((scheme, seed, step, f"pass@{k}", value))
                rows.append((scheme, seed, step, f"pass@{ks[-1]}/q1", 0.0))
                rows.append((scheme, seed, step, f"held_out/pass@{ks[-1]}", 0.9 - step / 100))
    return pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])


def test_gains_are_over_the_start_seed_by_seed() -> None:
    table = trained_pass_at_k_table(simulated({"nsr": 0.8}))
    keys = ["split", "scheme", "k", "quantity"]
    means = table.set_index(keys)["mean"]
    assert means["training prompts", "base", 4, "pass"] == pytest.approx(1 - 0.8**4)
    assert means["training prompts", "nsr", 1, "gain"] == pytest.approx(0.6)
    assert means["held-out prompts", "nsr", 4, "gain"] == pytest.approx(-0.2)
    assert "base" not in set(table[table["quantity"] == "gain"]["scheme"])


def test_the_caption_tells_who_is_above_and_below_the_base() -> None:
    caption = trained_pass_at_k_picture(simulated({"psr": 0.5, "nsr": 0.8})).caption
    assert "at the end of training" in caption
    assert "at k = 4 PSR and NSR lie below it (bands that exclude 0)" in caption


def test_schemes_that_all_solve_everything_are_compared_on_the_way() -> None:
    picture = trained_pass_at_k_picture(simulated({"grpo": 1.0, "lens": 1.0}, ks=(1, 2)))
    assert "after 20 updates" in picture.caption
    metrics = simulated({"grpo": 1.0, "lens": 1.0}, ks=(1, 2))
    metrics.loc[(metrics["step"] == 10) & (metrics["metric"] == "pass@1"), "value"] = 0.85
    assert "after 10 updates" in trained_pass_at_k_picture(metrics).caption


def test_a_single_k_is_no_curve() -> None:
    with pytest.raises(ValueError, match="at one k only"):
        trained_pass_at_k_picture(simulated({"grpo": 0.5}, ks=(1,)).query("metric == 'pass@1'"))
    with pytest.raises(ValueError, match=r"pass@k was not measured"):
        trained_pass_at_k_table(simulated({"grpo": 0.5}).query("metric == 'pass@4/q1'"))


def test_evaluations_are_named_and_drawn() -> None:
    row = {"group": "all", "metric": "pass", "low": 0.1, "high": 0.9, "problems": 7}
    summary = pd.DataFrame([{**row, "k": k, "estimate": 0.2 * k} for k in (1, 2, 4)])
    picture = pass_at_k_picture({"base": summary, "w_reinforce": summary, "mine": summary})
    assert picture.render("svg")
    np.testing.assert_array_equal(picture.data["k"].unique(), [1, 2, 4])
