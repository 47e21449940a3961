"""The comparison of schemes on the tiny model: what it picks, pairs and counts, on made-up runs."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

from apw.runs import Run
from llm_validation import evidence
from llm_validation.evidence import (
    ARMS,
    Arm,
    curves,
    judging,
    pick_rates,
    publish,
    summarise,
    tuning,
)

ARM = Arm("made-up", "tiny-from-scratch", "rule", ("A4",), ("grpo", "sqrt_r"), (0.1, 0.2))


def write(out, rate, curves, phase="judge"):
    """A finished run with success curves by (scheme, seed); 10 responses a step."""
    run = Run.open(out / ARM.name / phase / f"lr={rate:g}", {"rate": rate}, arm="llm")
    for (scheme, seed), curve in curves.items():
        for step, success in enumerate(curve):
            run.log(scheme=scheme, seed=seed, step=step, success=success, responses=10 * step)
    run.finish()


FAST = (0.01, 0.5, 0.95, 0.95, 0.95)
SLOW = (0.01, 0.1, 0.2, 0.5, 0.95)
NEVER = (0.01, 0.02, 0.02, 0.02, 0.02)
COLLAPSES = (0.01, 0.95, 0.1, 0.0, 0.0)


def test_rates_are_picked_by_the_time_to_the_target_then_by_success(tmp_path):
    low = {("grpo", s): SLOW for s in range(2)} | {("sqrt_r", s): NEVER for s in range(2)}
    high = {("grpo", 0): FAST, ("grpo", 1): NEVER}
    high |= {("sqrt_r", s): (0.01, 0.1, 0.1, 0.1, 0.1) for s in range(2)}
    write(tmp_path, 0.1, low, "tune")
    write(tmp_path, 0.2, high, "tune")
    # GRPO: 40 responses against (20 + the whole budget) / 2; Sqrt-R: no arrival, so more success.
    assert pick_rates(tmp_path, ARM) == {"grpo": 0.1, "sqrt_r": 0.2}


def test_ratios_are_paired_over_folders(tmp_path):
    write(tmp_path, 0.1, {("grpo", s): SLOW for s in (2, 3, 4)})
    write(tmp_path, 0.2, {("sqrt_r", s): FAST for s in (4, 3, 2)})
    table = summarise(tmp_path, [ARM]).set_index("scheme")
    assert table.loc["grpo", "learning_rate"] == 0.1
    assert table.loc["sqrt_r", "learning_rate"] == 0.2
    assert table.loc["grpo", "responses"] == 40
    assert table.loc["sqrt_r", "ratio"] == pytest.approx(20 / 40)
    assert table.loc["grpo", "ratio"] == 1
    assert (table["seeds"] == 3).all()
    assert (table["pairs"] == 3).all()
    assert (table["claims"] == "A4").all()


def test_collapse_and_never_arriving_are_outcomes(tmp_path):
    runs = {("grpo", s): (NEVER, SLOW, COLLAPSES)[s] for s in range(3)}
    runs |= {("sqrt_r", s): (NEVER, NEVER, SLOW)[s] for s in range(3)}
    write(tmp_path, 0.1, runs)
    table = summarise(tmp_path, [ARM]).set_index("scheme")
    assert table.loc["grpo", "collapsed"] == pytest.approx(1 / 3)
    assert table.loc["grpo", "arrived"] == pytest.approx(2 / 3)
    # Seed 0: neither arrives; seed 1: GRPO alone; seed 2: both, at 10 and 40 responses.
    assert table.loc["sqrt_r", "pairs"] == 2
    assert table.loc["sqrt_r", "ratio"] == 4
    assert table.loc["sqrt_r", "ratio_high"] == np.inf
    assert np.isinf(table.loc["sqrt_r", "responses"])


def test_an_arm_with_an_unfinished_run_is_left_out(tmp_path):
    write(tmp_path, 0.1, {("grpo", s): SLOW for s in range(3)})
    Run.open(tmp_path / ARM.name / "judge" / "lr=0.2", {}, arm="llm").close()
    assert summarise(tmp_path, [ARM]).empty


def test_no_seed_both_picks_and_judges():
    for arm in ARMS:
        picking = [config for _, config in tuning(arm)]
        assert [config.learning_rate for config in picking] == list(arm.learning_rates)
        rates = dict(zip(arm.schemes, arm.learning_rates * len(arm.schemes), strict=False))
        judges = [config for _, config in judging(arm, rates)]
        assert {s: c.learning_rate for c in judges for s in c.schemes} == rates
        for config in picking:
            assert config.schemes == arm.schemes
        for config in (*picking, *judges):
            assert config.task_options == {"kind": arm.kind}
            assert (config.initial_success < 0.05) == arm.name.endswith("from-scratch")
        seen = {seed for config in picking for seed in config.seed_range()}
        assert seen.isdisjoint(seed for config in judges for seed in config.seed_range())


def test_curves_average_batches_over_the_steps_since_the_last_measurement():
    rows = [("grpo", 0, 0, "success", 0.1)]
    rows += [("grpo", 0, t, "entropy", float(t)) for t in range(1, 5)]
    rows += [("grpo", 0, t, "success", 0.1 * t) for t in (2, 4)]
    table = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    found = curves(table).set_index(["metric", "step"])["value"]
    assert found["entropy"].to_dict() == {2: 1.5, 4: 3.5}
    assert list(found["success"].index) == [0, 2, 4]


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_small_comparison_runs_goes_on_and_is_published(tmp_path, monkeypatch, capsys):
    arm = dataclasses.replace(
        ARMS[0], schemes=("grpo", "nsr"), learning_rates=(1e-3,), steps=2, stop_at=None
    )
    monkeypatch.setattr(evidence, "ARMS", (arm,))
    options = {"seeds": 1, "warm_up_steps": 5, "prompts_per_step": 2, "group_size": 4}
    evidence.run(tmp_path, [arm], progress=False, **options)
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("metrics.parquet")}
    evidence.run(tmp_path, [arm], progress=False, **options)
    assert files == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("metrics.parquet")}
    words = ["--out", str(tmp_path), "--summary", "--publish", str(tmp_path / "published")]
    assert evidence.main(words) == 0
    assert set(pd.read_csv(tmp_path / "summary.csv")["scheme"]) == {"grpo", "nsr"}
    assert "nsr" in capsys.readouterr().out
    place = tmp_path / "published" / arm.name
    assert len(pd.read_csv(place / "outcomes.csv")) == 2
    kept = pd.read_parquet(place / "curves.parquet")
    assert {"success", "pass@64", "entropy", "groups_all_wrong"} <= set(kept["metric"])
    environment = json.loads((place / "environment.json").read_text())
    assert environment["picked"] == {"grpo": 1e-3, "nsr": 1e-3}


def test_publishing_leaves_out_what_is_not_finished(tmp_path):
    assert publish(tmp_path, ARMS, tmp_path / "published") == []
