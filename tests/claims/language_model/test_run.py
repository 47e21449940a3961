"""Runs of a setting: which learning rates are picked, going on, and what is published."""

import dataclasses
import json

import pandas as pd
import pytest

from claims.language_model.run import pick_rates, publish, run
from claims.language_model.settings import SETTINGS, Setting
from runs.folder import Run

SETTING = Setting("made-up", "tiny-from-scratch", "rule", ("A4",), ("grpo", "sqrt_r"), (0.1, 0.2))


def write(out, rate, curves, phase="judge"):
    """A finished run with success curves by (scheme, seed); 10 responses a step."""
    run = Run.open(out / SETTING.name / phase / f"lr={rate:g}", {"rate": rate}, source="llm")
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
    assert pick_rates(tmp_path, SETTING) == {"grpo": 0.1, "sqrt_r": 0.2}
    only = dataclasses.replace(SETTING, learning_rates=(0.3,))
    assert pick_rates(tmp_path, only) == {"grpo": 0.3, "sqrt_r": 0.3}


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_small_comparison_runs_goes_on_and_is_published(tmp_path):
    setting = dataclasses.replace(
        SETTINGS[0], schemes=("grpo", "nsr"), learning_rates=(1e-3,), steps=2, stop_at=None
    )
    options = {"seeds": 1, "warm_up_steps": 5, "prompts_per_step": 2, "group_size": 4}
    run(tmp_path, [setting], progress=False, **options)
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("metrics.parquet")}
    run(tmp_path, [setting], progress=False, **options)
    assert files == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("metrics.parquet")}
    publish(tmp_path, [setting], tmp_path / "published")
    place = tmp_path / "published" / setting.name
    assert len(pd.read_csv(place / "outcomes.csv")) == 2
    kept = pd.read_csv(place / "curves.csv")
    assert {"success", "pass@64", "entropy", "groups_all_wrong"} <= set(kept["metric"])
    environment = json.loads((place / "environment.json").read_text())
    assert environment["picked"] == {"grpo": 1e-3, "nsr": 1e-3}


def test_publishing_leaves_out_what_is_not_finished(tmp_path):
    assert publish(tmp_path, SETTINGS, tmp_path / "published") == []
