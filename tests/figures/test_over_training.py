"""Measures along training: all-wrong groups and entropy, smoothed where batches are small."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

from claims.curves import training_table, with_difference
from figures.entropy import entropy_picture
from figures.negative_groups import negative_groups_picture

Runs = Callable[..., pd.DataFrame]


def simulated(runs: Runs) -> pd.DataFrame:
    metrics = runs({"grpo": (0.05,) * 5, "lens": (0.08,) * 5})
    metrics = metrics.replace({"metric": {"groups_all_wrong": "all_wrong", "reward": "entropy"}})
    flat = metrics[metrics["metric"] == "entropy"].assign(metric="entropy_correct", value=1e-8)
    return pd.concat([metrics, flat], ignore_index=True)


def test_differences_are_paired_by_seed_and_step(runs: Runs) -> None:
    metrics, name = with_difference(simulated(runs), "all_wrong")
    assert name == "all_wrong − grpo"
    wide = metrics.pivot(index=["scheme", "seed", "step"], columns="metric", values="value")
    expected = wide["all_wrong"]["lens"] - wide["all_wrong"]["grpo"]
    np.testing.assert_allclose(wide[name]["lens"], expected, atol=1e-15)
    assert with_difference(runs({"grpo": (0.1,)}), "reward")[1] is None
    assert with_difference(runs({"lens": (0.1,), "psr": (0.1,)}), "reward")[1] is None


def test_the_share_of_all_wrong_groups_names_start_and_ends(runs: Runs) -> None:
    picture = negative_groups_picture(simulated(runs))
    # (1 − 0.1)⁴ at the start; (1 − 0.6)⁴ and (1 − 0.9)⁴ at the end.
    assert "at the start 66%, at the end GRPO 3%, LENS 0%" in picture.caption
    assert "95% intervals over 5 seeds" in picture.caption
    assert set(picture.data["metric"]) == {"all_wrong", "all_wrong − grpo"}
    assert picture.render("svg")


def test_entropy_leaves_out_what_is_only_rounding(runs: Runs) -> None:
    picture = entropy_picture(simulated(runs))
    assert set(picture.data["metric"]) == {"entropy"}
    assert "LENS 0.90, GRPO 0.60 (all answers)" in picture.caption
    assert picture.render("svg")


def test_batches_of_language_models_are_smoothed(runs: Runs) -> None:
    metrics = runs({"grpo": (0.1,)}, source="llm", steps=9)
    picture = negative_groups_picture(metrics)
    assert "averages over the last 10 batches" in picture.caption
    table = training_table(metrics, ["reward"])
    assert table["mean"].iloc[-1] == pytest.approx(0.5)  # the mean of 0.1, ..., 0.9


def test_what_was_not_measured_is_refused(runs: Runs) -> None:
    metrics = runs({"grpo": (0.1,)})
    with pytest.raises(ValueError, match="none of the metrics entropy"):
        entropy_picture(metrics[metrics["metric"] == "reward"])
