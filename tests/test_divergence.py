"""A run whose numbers are no longer finite is said to have diverged, wherever it is told."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from apw.main import main
from claims.metrics import Metrics
from claims.run_findings import simulation_findings
from claims.simulation.lab import Lab
from claims.verdicts import above, below, near
from figures.convergence import convergence_picture
from sim.config import SimulationConfig
from sim.divergence import divergences
from sim.run import simulate
from sim.summary import time_to_target
from sim.sweep import SweepConfig, sweep
from theory.schemes import resolve

LOST = "w_reinforce:lam=1e35"  # float32 ends at 3.4e38
TOO_LARGE = {
    "schemes": [LOST, "grpo"],
    "learning_rate": 1e6,
    "prompts": 6,
    "answers": 6,
    "seeds": 2,
    "start": 0.05,
    "steps": 20,
    "measure_every": 2,
    "pass_k": [1],
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, pd.DataFrame]:
    folder = tmp_path_factory.mktemp("diverged") / "run"
    return folder, simulate(SimulationConfig.from_dict(TOO_LARGE), folder, progress=False)


def test_the_run_folder_says_which_runs_diverged_and_when(run: tuple[Path, pd.DataFrame]) -> None:
    metrics = run[1]
    lost = divergences(metrics).set_index(["scheme", "seed"])["step"]
    assert set(lost.index) == {(LOST, 0), (LOST, 1)}
    marked = metrics[metrics["metric"] == "diverged"]
    for (scheme, seed), step in lost.items():
        own = metrics[(metrics["scheme"] == scheme) & (metrics["seed"] == seed)]
        success = own[own["metric"] == "success"].set_index("step")["value"]
        assert np.isfinite(success[success.index < step]).all()
        steps = marked[(marked["scheme"] == scheme) & (marked["seed"] == seed)]["step"]
        assert steps.tolist() == [s for s in success.index if s >= step]  # at every one since
    sane = metrics[~metrics.set_index(["scheme", "seed"]).index.isin(lost.index)]
    assert "diverged" not in set(sane["metric"])


def test_times_tables_and_json_say_diverged(
    run: tuple[Path, pd.DataFrame], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "large.json"
    file.write_text(json.dumps(TOO_LARGE))
    words = ["simulate", "--file", str(file), "--out", str(run[0])]
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert "never" not in shown
    assert f"{resolve(LOST).label}: diverged with 2 of 2 seeds, by step 2" in shown
    assert "a smaller learning rate" in shown
    assert main([*words, "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["times"]
    row = next(row for row in rows if (row["scheme"], row["clock"]) == (LOST, "updates"))
    assert (row["diverged"], row["diverged_step"], row["mean"]) == (2, 2, None)


def test_figures_say_diverged(run: tuple[Path, pd.DataFrame]) -> None:
    config = SimulationConfig.from_dict(TOO_LARGE).to_dict()
    picture = convergence_picture(run[1], config)
    assert "diverged by step 2" in picture.caption
    assert "never" not in picture.caption
    assert picture.render("svg")
    text = " ".join(simulation_findings(run[1], config))
    assert "is not compared, as a run diverged" in text


COUNTS = ["reached", "late", "diverged", "diverged_step"]


def table(courses: dict[tuple[str, int], list[float]]) -> pd.DataFrame:
    rows = [
        (scheme, seed, step, metric, float(value))
        for (scheme, seed), course in courses.items()
        for step, success in enumerate(course)
        for metric, value in (("success", success), ("updates", step))
    ]
    return pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])


def test_a_diverged_seed_is_neither_slow_nor_left_out() -> None:
    nan = math.nan
    metrics = table(
        {
            ("grpo", 0): [0, 0.5, 1],
            ("grpo", 1): [0, 0.5, 1],
            ("psr", 0): [0, nan, nan],  # diverged before it arrived
            ("psr", 1): [0, 0.1, 0.3],
            ("nsr", 0): [0, 1, nan],  # and after
            ("nsr", 1): [0, 1, 1],
        }
    )
    rows = time_to_target(metrics, 0.8).set_index("scheme")
    assert math.isnan(rows.loc["psr", "mean"])
    assert math.isnan(rows.loc["psr", "ratio"])
    assert math.isnan(rows.loc["psr", "low"])
    assert rows.loc["psr", ["reached", "late", "diverged", "diverged_step"]].tolist() == [
        0,
        1,
        1,
        1,
    ]
    assert rows.loc["psr", "end"] == 0.3
    assert rows.loc["nsr", COUNTS].tolist() == [2, 0, 1, 2]
    assert rows.loc["nsr", "mean"] == 0.8
    # What a claim reads is not a number, and confirms and refutes nothing.
    read = Metrics.simulated("regime", metrics, 0.8, "updates")
    last = read.last("psr", "success")
    assert math.isnan(last[0])
    assert last[1] == 0.3
    assert math.isnan(read.mean_lead("psr", "grpo", "success")[0])
    assert math.isnan(read.fall("nsr", "success")[0])
    late = list(read.arrivals[read.arrivals["scheme"] == "psr"]["time"])
    for check in (near("time", 2.0, late, 0.1), above("time", 0, late), below("time", 9, late)):
        assert check.verdict == "open"


def test_a_learning_rate_that_diverges_is_not_chosen(tmp_path: Path) -> None:
    base = {name: value for name, value in TOO_LARGE.items() if name != "learning_rate"}
    config = SweepConfig.from_dict(
        {
            "base": {**base, "schemes": [LOST], "seeds": 1},
            "learning_rates": [0.001, 1e6],
            "tuning_seeds": 1,
            "widen": 0,
        }
    )
    sweep(config, tmp_path / "sweep", progress=False)
    picks = json.loads((tmp_path / "sweep" / "rates.json").read_text())
    assert picks == {"base": {LOST: 0.001}}


def test_a_claim_keeps_what_diverged_beside_its_verdict(tmp_path: Path) -> None:
    lab = Lab(tmp_path, "A4", quick=True)
    lab.run(SimulationConfig.from_dict(TOO_LARGE), "large")
    assert {"scheme": LOST, "seed": 0, "step": 2, "run": "large"} in lab.diverged
