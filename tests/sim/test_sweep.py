"""Sweeps: the rule that picks learning rates, pairing, resume, and the same table through Ray."""

import dataclasses
import importlib.util
import json
import os
import signal
import subprocess
import sys
import time

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from runs.folder import read_metrics
from sim.config import SimulationConfig
from sim.run import simulate
from sim.summary import with_tuning
from sim.sweep import SweepConfig, _tuning_error, read_sweep, sweep

BASE = SimulationConfig(
    schemes=("grpo", "linear_r"),
    seeds=2,
    prompts=8,
    answers=4,
    correct_answers=1,
    start=0.2,
    group_size=4,
    steps=40,
    measure_every=4,
    checkpoint_every=2,
    pass_k=(1,),
    target=0.8,
)
SMALL = SweepConfig(
    base=BASE,
    regimes={"easy": {"start": 0.4}, "hard": {}},
    learning_rates=(0.01, 2.0),
    tuning_seeds=2,
    widen=0,
)


def test_rates_are_chosen_by_time_and_measured_on_fresh_seeds(tmp_path):
    metrics = sweep(SMALL, tmp_path / "sweep", progress=False)
    rates = json.loads((tmp_path / "sweep" / "rates.json").read_text())
    # At 0.01 nothing reaches 0.8 in 40 steps.
    assert rates == {r: {"grpo": 2.0, "linear_r": 2.0} for r in ("easy", "hard")}
    tuning = pd.read_parquet(tmp_path / "sweep" / "tuning.parquet")
    assert len(tuning) == 2 * 2 * 2
    assert tuning["at_edge"].sum() == 4
    assert set(metrics["seed"]) == {0, 1}
    assert set(metrics["run"]) == {"easy", "hard"}
    # Other processes may open it: nothing is locked any more.
    assert not list((tmp_path / "sweep").rglob(".lock"))
    times = pd.read_parquet(tmp_path / "sweep" / "times.parquet")
    assert set(times["regime"]) == {"easy", "hard"}
    # Both picks are ends of the grid, beyond which better ones may lie.
    assert times["ratio"].isna().all()


def test_a_grid_is_widened_for_all_schemes_while_a_pick_lies_at_its_end(tmp_path):
    config = dataclasses.replace(SMALL, regimes={"hard": {}}, learning_rates=(0.01, 0.02), widen=1)
    sweep(config, tmp_path / "sweep", progress=False)
    tuning = pd.read_parquet(tmp_path / "sweep" / "tuning.parquet")
    # Nothing arrives at such rates, and the higher one has learned more: one doubling is allowed.
    tried = tuning.groupby("scheme")["learning_rate"].agg(sorted)
    assert tried.tolist() == [[0.01, 0.02, 0.04]] * 2
    assert tuning.query("chosen")["learning_rate"].tolist() == [0.04, 0.04]
    assert tuning.query("chosen")["at_edge"].all()
    assert (tuning["arrived"] == 0).all()


def test_tuning_error_is_what_wrong_picks_cost_as_often_as_they_are_made():
    """Two rates that differ by d with spread s: the worse is picked with probability Φ(−d√n/s)."""
    seeds, d, s = 40, 0.1, 0.5
    half = np.sqrt((seeds - 1) / seeds) * s * np.repeat([1.0, -1.0], seeds // 2)
    logs = np.stack([np.zeros(seeds), d + half], axis=1)  # standard deviation s, mean d
    wrong = stats.norm.cdf(-d * np.sqrt(seeds) / half.std())
    # A thousand resamplings give the share of wrong picks, 0.1, to ± 0.03 at three errors.
    assert _tuning_error(logs) == pytest.approx(d * np.sqrt(wrong), rel=0.2)
    assert _tuning_error(logs + np.array([0.0, 5.0])) == 0
    assert _tuning_error(np.full((3, 2), np.inf)) == 0


def test_tuning_error_of_both_schemes_widens_the_ratio():
    times = pd.DataFrame(
        {"scheme": ["grpo", "psr"], "ratio": [1.0, 0.8], "ratio_low": [1.0, 0.7]}
        | {"ratio_high": [1.0, 0.8**2 / 0.7]}
    )
    none = with_tuning(times.copy(), {"grpo": 0.0, "psr": 0.0}, "grpo", set())
    pd.testing.assert_frame_equal(none, times)
    row = with_tuning(times.copy(), {"grpo": 0.03, "psr": 0.04}, "grpo", set()).iloc[1]
    half = np.hypot(np.log(0.8 / 0.7), 1.959964 * 0.05)
    assert row["ratio_low"] == pytest.approx(0.8 * np.exp(-half), rel=1e-6)
    assert row["ratio_high"] == pytest.approx(0.8 * np.exp(half), rel=1e-6)
    assert with_tuning(times.copy(), {}, "grpo", {"psr"})["ratio"].isna().tolist() == [0, 1]
    assert with_tuning(times.copy(), {}, "grpo", {"grpo"})["ratio"].isna().all()


def test_rates_tried_together_are_those_tried_one_by_one(tmp_path):
    config = SMALL.tuned("hard")
    together = simulate(config, tmp_path / "grid", rates=(0.5, 2.0), progress=False)
    assert sorted(together["run"].unique()) == ["0.5", "2"]
    for rate in (0.5, 2.0):
        alone = dataclasses.replace(config, learning_rate=rate)
        expected = simulate(alone, tmp_path / f"{rate}", progress=False)
        got = together[together["run"] == f"{rate:g}"]
        order = ["scheme", "seed", "step", "metric"]
        pd.testing.assert_frame_equal(
            got.sort_values(order).drop(columns="run").reset_index(drop=True),
            expected.sort_values(order).drop(columns="run").reset_index(drop=True),
            rtol=1e-6,
        )


def test_sweep_killed_in_a_cell_ends_with_the_same_table(tmp_path):
    whole = sweep(SMALL, tmp_path / "whole", progress=False)
    code = (
        "import sys; from sim.sweep import *\n"
        "import tests.sim.test_sweep as t\n"
        "sweep(t.SMALL, sys.argv[1], progress=False)"
    )
    folder = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], env={**os.environ, "JAX_ENABLE_X64": "1"}
    )
    started = time.monotonic()
    while not list(folder.glob("cells/*/checkpoints/*.npz")) and process.poll() is None:
        assert time.monotonic() - started < 120
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (folder / "metrics.parquet").exists()
    resumed = sweep(SMALL, folder, progress=False)
    pd.testing.assert_frame_equal(whole, resumed, check_exact=True)


def test_sweep_is_read_from_toml(tmp_path):
    file = tmp_path / "sweep.toml"
    file.write_text(
        'clock = "responses"\nlearning_rates = [0.1, 1]\n'
        '[base]\nschemes = ["grpo", "sqrt_r"]\n[regimes.scratch]\nstart = 0.001\n'
    )
    config = read_sweep(file)
    assert config.regime("scratch").start == 0.001
    assert config.learning_rates == (0.1, 1.0)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"grid": [1]}, "unknown field 'grid'"),
        ({"regimes": {}}, "at least one regime"),
        ({"regimes": {"a/b": {}}}, "named by letters"),
        ({"regimes": {"x": {"start": 2}}}, "start must be"),
        (
            {"learning_rates": [0.0]},
            r"learning_rates must be .* in \(0, 1,000,000\]; got 0.0",
        ),
        ({"clock": "wall"}, "clock must be one of updates"),
        ({"tuning_seeds": -1}, "tuning_seeds must be a whole number from 0 to 10,000; got -1"),
        ({"tuning_seeds": 1.5}, "a whole number from 0 to 10,000; got 1.5"),
        ({"tuning_seeds": "3"}, "a whole number from 0 to 10,000; got '3'"),
        ({"learning_rates": 3}, "learning_rates must be a list, each item a number .*; got 3"),
        (
            {"learning_rates": ["a"]},
            "learning_rates must be a list, .*; got 'a'",
        ),
        ({"learning_rates": [1, 1.0]}, "must differ"),
        ({"regimes": 3}, "regimes must be a table, each value a table; got 3"),
        ({"regimes": {"x": 3}}, "regimes must be a table, each value a table; got 3"),
        ({"base": 3}, "base must be a table; got 3"),
        ({"regimes": {"x": {"learning_rate": 3}}}, "regime x sets learning_rate, which is chosen"),
        (
            {"clock": "mixed_group", "base": {"schemes": ["psr"], "group_size": 1}},
            "it has: updates, responses, first_success$",
        ),
        ({"clock": "responses", "base": {"learner": "mirror"}}, "has no clock responses"),
        ({"base": {"seed": 2**32 - 1_000_001}}, "seeds must be below 2³²"),
    ],
)
def test_bad_sweeps_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        SweepConfig.from_dict(values)


def test_seeds_a_regime_measures_are_not_those_it_tunes_with():
    config = dataclasses.replace(SMALL, regimes={"later": {"seed": 1_000_000}, "first": {}})
    for name in config.regimes:
        tuned, measured = config.tuned(name), config.regime(name)
        seeds = [set(range(c.seed, c.seed + c.seeds)) for c in (tuned, measured)]
        assert not seeds[0] & seeds[1]
        assert tuned.start == measured.start


def test_rates_that_print_alike_are_tuned_apart(tmp_path):
    close = dataclasses.replace(SMALL, regimes={"x": {}}, learning_rates=(2.0, 2.0000001))
    sweep(close, tmp_path / "sweep", progress=False)
    tuning = pd.read_parquet(tmp_path / "sweep" / "tuning.parquet")
    tried = read_metrics(tmp_path / "sweep" / "cells" / "tune-x")
    assert tried["run"].nunique() == 2
    assert set(tuning["learning_rate"]) == {2.0, 2.0000001}


def test_missing_or_broken_file(tmp_path):
    with pytest.raises(FileNotFoundError, match="is not a file"):
        read_sweep(tmp_path / "none.toml")
    (tmp_path / "odd.toml").write_bytes(b"\xff")
    with pytest.raises(ValueError, match="not valid TOML"):
        read_sweep(tmp_path / "odd.toml")
    (tmp_path / "bad.toml").write_text("= 1")
    with pytest.raises(ValueError, match="not valid TOML"):
        read_sweep(tmp_path / "bad.toml")


def test_without_ray_the_message_names_the_extra(tmp_path):
    if importlib.util.find_spec("ray") is not None:
        pytest.skip("Ray is installed")
    with pytest.raises(ModuleNotFoundError, match=r"\.\[cluster\]"):
        sweep(SMALL, tmp_path / "sweep", progress=False, executor="ray")


SLOW = dataclasses.replace(
    SMALL, base=dataclasses.replace(BASE, steps=1200, measure_every=12), tuning_seeds=1
)
"""Long enough to be killed on the way."""


@pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="needs the extra cluster")
def test_ray_with_a_killed_worker_gives_the_same_table(tmp_path):
    whole = sweep(SLOW, tmp_path / "whole", progress=False)
    # Workers inherit the mark, so that only this test's own are killed.
    # Ray makes them nice, and a busy machine would leave them nothing.
    environment = {
        **os.environ,
        "APW_TEST_MARK": str(tmp_path),
        "JAX_ENABLE_X64": "1",
        "RAY_worker_niceness": "0",
    }
    killer = subprocess.Popen(
        [sys.executable, "-c", KILLER, str(tmp_path / "ray")], env=environment
    )
    try:
        command = [sys.executable, "-c", ON_RAY, str(tmp_path / "ray")]
        subprocess.run(command, env=environment, check=True, timeout=300)
    finally:
        killer.terminate()
        killer.wait()
    assert (tmp_path / "ray" / "killed").exists()
    by_ray = read_metrics(tmp_path / "ray")
    pd.testing.assert_frame_equal(whole, by_ray, check_exact=True)
    times = [pd.read_parquet(tmp_path / name / "times.parquet") for name in ("whole", "ray")]
    pd.testing.assert_frame_equal(*times, check_exact=True)


ON_RAY = """
import sys
import ray
import tests.sim.test_sweep as t
from sim.summary import with_tuning
from sim.sweep import sweep
ray.init(
    num_cpus=2, object_store_memory=100_000_000, include_dashboard=False, log_to_driver=False
)
sweep(t.SLOW, sys.argv[1], progress=False, executor="ray")
ray.shutdown()
"""

KILLER = """
import os, pathlib, signal, sys, time
folder = pathlib.Path(sys.argv[1])
while True:
    cells = [c for c in folder.glob("cells/*/checkpoints/*.npz")]
    open_cells = [c for c in cells if not (c.parents[1] / "metrics.parquet").exists()]
    workers = []
    for entry in pathlib.Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes().replace(b"\\0", b" ").decode()
                ours = os.environ["APW_TEST_MARK"].encode() in (entry / "environ").read_bytes()
            except OSError:
                continue
            if ours and line.startswith("ray::_run_cell"):
                workers.append(int(entry.name))
    if open_cells and workers:
        (folder / "killed").write_text(str(workers[0]))
        os.kill(workers[0], signal.SIGKILL)
        break
    time.sleep(0.05)
"""
