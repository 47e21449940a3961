"""Figures of runs: intervals, predictions, and what is missing said in a sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from claims.curves import curves_table, readings, runs_beyond
from figures.catalogue import evaluations_picture, run_pictures
from figures.convergence import convergence_picture
from figures.pass_at_k import pass_at_k_picture
from figures.style import house_style
from figures.time_to_target import time_to_target_picture
from figures.training import training_picture
from runs.files import write_table
from runs.folder import Run
from sim.prediction import clocks_of, predicted_ratios, time_to_target_table
from theory.optimal import optimal_weight

Runs = Callable[..., pd.DataFrame]
CONFIG = {
    "schemes": ["grpo", "sqrt_r"],
    "start": 0.1,
    "target": 0.6,
    "group_size": 8,
    "learner": "natural",
    "comparison": "same_budget",
}


def test_curves_end_where_the_slowest_seed_does(runs: Runs) -> None:
    metrics = runs({"grpo": (0.1, 0.1)})
    metrics = metrics[(metrics["seed"] == 0) | (metrics["step"] <= 5)]
    table = curves_table(metrics, "success")
    assert table["reading"].max() == 5
    np.testing.assert_allclose(table["mean"], 0.1 + 0.1 * table["reading"])


def test_seeds_are_averaged_at_equal_readings_of_the_clock(runs: Runs) -> None:
    metrics = runs({"grpo": (0.1, 0.1)}, steps=9)
    fast = (metrics["seed"] == 1) & (metrics["metric"] == "clock/first_success")
    metrics.loc[fast, "value"] *= 2  # the second seed pays twice as much
    table = curves_table(metrics, "success", clock="clock/first_success")
    np.testing.assert_allclose(table["mean"], 0.1 + 0.1 * table["reading"] * (1 / 3 + 1 / 6) / 2)


def test_a_clock_that_begins_late_stood_at_zero(runs: Runs) -> None:
    metrics = runs({"grpo": (0.1,)})
    metrics = metrics[~((metrics["metric"] == "updates") & (metrics["step"] == 0))]
    assert readings(metrics, "success", clock="updates")["reading"].tolist()[0] == 0
    with pytest.raises(ValueError, match="entropy was not measured; measured: clock/first_success"):
        readings(metrics, "entropy")


def test_predictions_are_ratios_of_excess_times() -> None:
    best = optimal_weight(0.1, 0.6, clock="updates")
    expected = best.excess("sqrt_r", 8) / best.excess("grpo", 8)
    for clock in ("updates", "responses"):
        assert predicted_ratios(CONFIG, clock)["sqrt_r"] == pytest.approx(expected, rel=1e-9)
    # Groups that are used as they come have not waited; the population is one of a theorem.
    assert predicted_ratios(CONFIG, "first_success") == {}
    limit = optimal_weight(0.1, 0.6, clock="responses")
    found = predicted_ratios({**CONFIG, "group_size": None}, "first_success")["sqrt_r"]
    assert found == pytest.approx(limit.excess("sqrt_r") / limit.excess("grpo"), rel=1e-9)


@pytest.mark.parametrize(
    "change",
    [
        {"start": "beta:1,9"},
        {"learner": "softmax"},
        {"comparison": "same_rate"},
        {"sampling": "until_mixed"},
    ],
)
def test_there_is_no_prediction_where_the_theory_does_not_hold(change: dict[str, object]) -> None:
    assert predicted_ratios({**CONFIG, **change}, "updates") == {}


def test_drawn_groups_are_paid_for_by_the_responses_that_were_drawn() -> None:
    for learner, size, sampling, clocks in (
        ("softmax", 16, "fixed", ["responses"]),
        ("natural", 16, "until_any", ["responses", "updates"]),
        ("mirror", 16, "fixed", ["updates"]),
        ("mirror", None, "fixed", ["first_success", "updates"]),
    ):
        config = {"learner": learner, "group_size": size, "sampling": sampling}
        assert list(clocks_of(config)) == clocks


def test_measured_times_stand_beside_predictions(runs: Runs) -> None:
    metrics = runs({"grpo": (0.04, 0.04), "sqrt_r": (0.08, 0.08)}, steps=26)
    table = time_to_target_table(metrics, CONFIG).set_index(["scheme", "clock"])
    assert table.loc[("sqrt_r", "responses"), "ratio"] == pytest.approx(0.5)
    assert table.loc[("grpo", "responses"), "mean"] == pytest.approx(64 * 12.5)
    assert table["predicted"].notna().all()
    picture = time_to_target_picture(metrics, CONFIG)
    assert "diamonds" in picture.caption
    assert "all schemes at equal budgets" in picture.caption
    plain = time_to_target_picture(metrics, {**CONFIG, "comparison": "same_rate"})
    assert "as a multiple of GRPO's, all schemes at one common rate, on" in plain.caption
    assert picture.render("svg")
    with house_style():
        (panel,) = picture.draw("light").axes
    bars = {round(bar.get_x() + bar.get_width(), 9) for bar in panel.patches}
    assert bars == {1.0, 0.5}  # they begin at 1 and end at the ratio
    assert panel.get_xscale() == "log"
    silent = time_to_target_picture(metrics, {**CONFIG, "learner": "softmax"})
    assert "diamonds" not in silent.caption


def test_a_scheme_that_never_arrives_is_drawn_as_such(runs: Runs) -> None:
    metrics = runs({"grpo": (0.1, 0.1), "sqrt_r": (0.0, 0.2), "psr": (0.0, 0.0)})
    picture = time_to_target_picture(metrics, CONFIG)
    assert picture.render("svg")
    assert np.isinf(
        picture.data.set_index(["scheme", "clock"]).loc[("sqrt_r", "responses"), "mean"]
    )


def test_convergence_and_training_say_what_their_bands_are(runs: Runs) -> None:
    convergence = convergence_picture(runs({"grpo": (0.1,) * 6}), {**CONFIG, "target": 0.9})
    assert "95% intervals over 6 seeds" in convergence.caption
    assert "In updates the mean reaches 0.9: GRPO after 8." in convergence.caption
    slow = convergence_picture(runs({"grpo": (0.1,), "lens": (0.01,)}), {**CONFIG, "target": 0.9})
    assert "GRPO after 8, LENS not within 10 (success 0.2 at the end)." in slow.caption
    assert convergence.render("svg")
    training = training_picture(runs({"grpo": (0.1, 0.2), "lens": (0.1, 0.1)}, source="llm"))
    assert "range of 2 seeds" in training.caption
    assert "the highest first: GRPO 100.0%, LENS 100.0%." in training.caption
    assert training.render("svg")


def test_single_batches_are_smoothed_and_exact_success_is_not(runs: Runs) -> None:
    table = training_picture(runs({"grpo": (0.1,)}, source="llm", steps=9)).data
    last = table[table["reading"] == 8].set_index("metric")["mean"]
    assert last["success"] == pytest.approx(0.9)
    assert last["reward"] == pytest.approx(0.5)  # the mean of 0.1, ..., 0.9


def test_training_without_measures_is_refused(runs: Runs) -> None:
    metrics = runs({"grpo": (0.1,)})
    with pytest.raises(ValueError, match="none of the metrics success, reward"):
        training_picture(metrics[metrics["metric"] == "updates"])


def test_evaluations_are_drawn_together_under_their_folders_names(tmp_path: Path) -> None:
    row = {"group": "all", "metric": "pass", "low": 0.1, "high": 0.9, "problems": 7}
    summary = pd.DataFrame([{**row, "k": k, "estimate": 0.2 * k} for k in (1, 2, 4)])
    for name in ("before", "after"):
        run = Run.open(tmp_path / name, {"scheme": "base"}, source="llm")
        summary.to_parquet(tmp_path / name / "summary.parquet")
        run.log(scheme="base", seed=0, step=0, reward=0.5)
        run.finish()
    picture = evaluations_picture([tmp_path / "before", tmp_path / "after"])
    assert "7 problems" in picture.caption
    assert set(picture.data["evaluation"]) == {"before", "after"}
    assert picture.render("svg")
    assert run_pictures(tmp_path / "before")[0].data["evaluation"].unique().tolist() == ["base"]
    with pytest.raises(ValueError, match="two evaluations are named before"):
        evaluations_picture([tmp_path / "before", tmp_path / "before"])
    with pytest.raises(FileNotFoundError, match="holds no evaluation"):
        evaluations_picture([tmp_path])
    with pytest.raises(ValueError, match="no evaluation has pass@k for level 9"):
        pass_at_k_picture({"base": summary}, group="level 9")


def test_sweeps_are_drawn_regime_by_regime_without_predictions(runs: Runs, tmp_path: Path) -> None:
    regimes = {"easy": {}, "hard": {"start": 0.01}}
    sweep = Run.open(tmp_path / "sweep", {"base": CONFIG, "regimes": regimes}, source="sim")
    sweep.log_table(runs({"grpo": (0.1, 0.1), "sqrt_r": (0.2, 0.2)}))
    metrics = sweep.finish()
    parts = [metrics.assign(run=name) for name in regimes]
    write_table(tmp_path / "sweep" / "metrics.parquet", pd.concat(parts, ignore_index=True))
    pictures = {picture.name: picture for picture in run_pictures(tmp_path / "sweep")}
    assert {"convergence-easy", "time_to_target-hard"} <= set(pictures)
    assert pictures["time_to_target-hard"].data["predicted"].isna().all()


def test_published_curves_go_on_where_runs_stopped(runs: Runs, tmp_path: Path) -> None:
    rates = dict.fromkeys(("grpo", "sqrt_r", "psr", "lens"), (0.1, 0.1))
    curves = runs(rates, source="llm").replace(
        {"metric": {"reward": "entropy", "updates": "pass@4"}}
    )
    curves = curves[(curves["scheme"] != "grpo") | (curves["step"] <= 5)]
    curves[["scheme", "seed", "step", "metric", "value"]].to_parquet(tmp_path / "curves.parquet")
    pictures = {picture.name: picture for picture in run_pictures(tmp_path)}
    assert list(pictures) == ["training", "negative_groups", "entropy", "pass_at_k"]
    success = pictures["training"].data.query("metric == 'success' and scheme == 'grpo'")
    assert success.set_index("reading")["mean"][[5, 10]].tolist() == pytest.approx([0.6, 0.6])
    assert "averages over" not in pictures["training"].caption
    assert all("Runs stop when they arrive" in p.caption for p in pictures.values())
    assert set(pictures["pass_at_k"].data["split"]) == {"held-out prompts"}
    assert set(pictures["pass_at_k"].data["scheme"]) == {"base", "grpo", "psr", "lens"}


def test_run_folders_are_drawn_by_what_they_are(runs: Runs, tmp_path: Path) -> None:
    for source, names in (
        ("sim", ["convergence", "time_to_target"]),
        ("llm", ["training", "negative_groups"]),
    ):
        run = Run.open(tmp_path / source, CONFIG, source=source)
        run.log_table(runs({"grpo": (0.1, 0.1), "sqrt_r": (0.2, 0.2)}))
        run.finish()
        assert [picture.name for picture in run_pictures(tmp_path / source)] == names
    run = Run.open(tmp_path / "theory", CONFIG, source="theory")
    run.log(scheme="grpo", seed=0, step=0, excess=1.0)
    run.finish()
    with pytest.raises(ValueError, match="is a run of theory: no figures"):
        run_pictures(tmp_path / "theory")


def test_convergence_shows_runs_to_their_end_and_where_one_diverged(runs: Runs) -> None:
    metrics = runs({"grpo": (0.05, 0.08)}, steps=9)
    late = (metrics["seed"] == 1) & (metrics["step"] > 5)
    lost = (metrics["seed"] == 0) & (metrics["step"] > 4) & (metrics["metric"] == "success")
    metrics = metrics[~late].assign(value=metrics["value"].mask(lost, np.nan))
    table = runs_beyond(metrics, "success")
    assert table[table["seed"] == 1]["reading"].tolist() == [4.0, 5.0]
    assert table[table["diverged"]][["seed", "reading"]].values.tolist() == [[0, 4.0]]
    mixed = {**CONFIG, "sampling": "until_mixed"}
    picture = convergence_picture(metrics, mixed)
    assert picture.data["diverged"].sum() == 2  # on either clock
    assert picture.render("svg")
