"""Comparisons at own rates: found on other seeds, bracketed, resumed, and the default."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest

import apw
from runs.folder import Run
from sim import own_rates
from sim.config import SimulationConfig
from sim.own_rates import compare
from sim.rates import compared_at
from sim.run import simulate
from sim.summary import time_to_target
from sim.sweep import TUNING_SEED, SweepConfig, sweep, sweep_times

SMALL = SimulationConfig(
    schemes=("grpo", "linear_r"),
    policy="log_linear",
    features=4,
    seeds=3,
    prompts=16,
    batch=8,
    answers=4,
    correct_answers=1,
    start=0.2,
    group_size=4,
    steps=60,
    measure_every=2,
    checkpoint_every=5,
    pass_k=(1,),
    target=0.6,
    tuning_seeds=6,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("own") / "run"
    compare(SMALL, path, progress=False)
    return path


def test_rates_are_those_of_the_sweep_and_seeds_are_others(folder, tmp_path):
    tuning = pd.read_parquet(folder / "tuning.parquet")
    rates = tuple(sorted(tuning["learning_rate"].unique()))
    assert np.allclose(np.diff(np.log2(rates)), 1)
    config = SweepConfig(SMALL, {"x": {}}, rates, 6, "responses")
    metrics = sweep(config, tmp_path / "sweep", progress=False)
    picked = json.loads((folder / "rates.json").read_text())
    assert json.loads((tmp_path / "sweep" / "rates.json").read_text())["x"] == picked
    own = pd.read_parquet(folder / "metrics.parquet")
    mine = own[~own["metric"].isin(["tuning_error", "at_edge"])].drop(columns="run")
    order = ["scheme", "seed", "step", "metric"]
    pd.testing.assert_frame_equal(
        mine.sort_values(order).reset_index(drop=True),
        metrics.drop(columns="run").sort_values(order).reset_index(drop=True),
    )
    tried = json.loads((folder / "cells" / "tune-rates" / "config.json").read_text())
    assert (tried["seed"], tried["seeds"]) == (TUNING_SEED, 6)
    # Edges are refused and intervals contain the choice, as the sweep's do.
    table = pd.read_parquet(tmp_path / "sweep" / "tuning.parquet")
    theirs = sweep_times(config, metrics, table).drop(columns="regime")
    pd.testing.assert_frame_equal(time_to_target(own, SMALL.target), theirs, check_dtype=False)


def test_a_killed_comparison_ends_with_the_same_table(folder, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def killed(self, key, arrays):
        nonlocal left
        left -= 1
        if not left:
            raise Killed
        save(self, key, arrays)

    save, left = Run.save_checkpoint, 5
    monkeypatch.setattr(Run, "save_checkpoint", killed)
    with pytest.raises(Killed):
        compare(SMALL, tmp_path / "run", progress=False)
    monkeypatch.setattr(Run, "save_checkpoint", save)
    again = compare(SMALL, tmp_path / "run", progress=False)
    pd.testing.assert_frame_equal(pd.read_parquet(folder / "metrics.parquet"), again)
    assert not list((tmp_path / "run").rglob("checkpoints"))


def test_a_finished_comparison_answers_at_once_and_its_config_repeats_it(folder, monkeypatch):
    read = SimulationConfig.from_dict(json.loads((folder / "config.json").read_text()))
    assert read == SMALL
    monkeypatch.setattr(own_rates, "tune", None)
    found = apw.simulate(read, folder, progress=False)
    pd.testing.assert_frame_equal(found.metrics, pd.read_parquet(folder / "metrics.parquet"))
    assert "own best rates" in str(found)
    assert set(found.times()["learning_rate"]) == set(
        json.loads((folder / "rates.json").read_text()).values()
    )


def test_given_rates_are_taken_as_they_are(tmp_path):
    given = {
        "one common rate": {"learning_rate": 3.0},
        "given rates": {"learning_rates": {"grpo": 3.0}},
        "equal budgets": {"comparison": "same_budget", "batch": None, "policy": "bandit"},
    }
    for words, fields in given.items():
        config = dataclasses.replace(SMALL, steps=2, **fields)
        assert not config.finds_rates
        assert compared_at(config.to_dict()) == words
        compare(config, tmp_path / words, progress=False)
        assert not (tmp_path / words / "rates.json").exists()
    assert compared_at(SMALL.to_dict()) == "own best rates"
    assert not SimulationConfig(learner="mirror").finds_rates
    with pytest.raises(ValueError, match="finds the step sizes: leave out learning_rate"):
        dataclasses.replace(SMALL, comparison="own_rates", learning_rate=2.0)
    with pytest.raises(ValueError, match="of mirror's exact steps the largest is the best"):
        SimulationConfig(comparison="own_rates", learner="mirror")


def test_a_plain_run_without_a_rate_says_which_it_took(tmp_path):
    simulate(dataclasses.replace(SMALL, steps=2), tmp_path / "run", progress=False)
    kept = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (kept["learning_rate"], kept["comparison"]) == (1.0, "same_rate")
