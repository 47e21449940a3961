"""Run folders of the simulator: resume to the bit, same seed same bits, tidy metrics."""

import dataclasses
import json

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

from runs.folder import METRIC_COLUMNS, Run, RunExistsError
from sim.config import SimulationConfig
from sim.rates import learning_rates
from sim.run import plan, simulate
from theory.finite_group import expected_weight

SMALL = SimulationConfig(
    schemes=("grpo", "sqrt_r"),
    seeds=2,
    prompts=8,
    answers=4,
    correct_answers=1,
    start=0.1,
    group_size=4,
    learning_rate=1.0,
    steps=24,
    measure_every=4,
    checkpoint_every=2,
    pass_k=(1, 4),
)


class Killed(BaseException):
    """Stands for a signal no handler sees."""


def kill_after(monkeypatch, checkpoints):
    """Die in the middle of writing checkpoint number ``checkpoints``, as kill -9 may."""
    original, count = Run.save_checkpoint, 0

    def save(self, key, arrays):
        nonlocal count
        count += 1
        if count == checkpoints:
            raise Killed
        original(self, key, arrays)

    monkeypatch.setattr(Run, "save_checkpoint", save)


HISTORY = dataclasses.replace(
    SMALL,
    schemes=("empirical_bayes:a=0.3,b=1.2,keep=0.8",),
    policy="log_linear",
    features=3,
    batch=4,
)


@pytest.mark.parametrize(
    ("config", "checkpoints"), [(SMALL, 1), (SMALL, 2), (SMALL, 3), (HISTORY, 2)]
)
def test_killed_run_resumes_to_the_same_bits(tmp_path, monkeypatch, config, checkpoints):
    whole = simulate(config, tmp_path / "whole", progress=False)
    with monkeypatch.context() as patched:
        kill_after(patched, checkpoints)
        with pytest.raises(Killed):
            simulate(config, tmp_path / "killed", progress=False)
    resumed = simulate(config, tmp_path / "killed", progress=False)
    pd.testing.assert_frame_equal(
        whole.drop(columns="run"), resumed.drop(columns="run"), check_exact=True
    )


def test_same_seed_same_bits_other_seed_other_draws(tmp_path):
    first = simulate(SMALL, tmp_path / "a", progress=False)
    again = simulate(SMALL, tmp_path / "b", progress=False)
    np.testing.assert_array_equal(first["value"], again["value"])
    final = first[(first["metric"] == "success") & (first["step"] == SMALL.steps)]
    assert final["value"].nunique() == len(final)


def test_metrics_are_tidy_and_complete(tmp_path):
    metrics = simulate(SMALL, tmp_path / "run", progress=False)
    assert tuple(metrics.columns) == METRIC_COLUMNS
    counts = metrics.groupby(["scheme", "seed", "metric"]).size()
    per_step = counts.drop(index="learning_rate", level="metric")
    assert (per_step == SMALL.steps // SMALL.measure_every + 1).all()
    assert not metrics.duplicated(["scheme", "seed", "step", "metric"]).any()
    responses = metrics.query("metric == 'responses' and step == 24")["value"]
    assert (responses == 24 * 4 * 8).all()


def test_finished_run_is_read_and_another_one_refused(tmp_path):
    first = simulate(SMALL, tmp_path / "run", progress=False)
    stamp = (tmp_path / "run" / "metrics.parquet").stat().st_mtime_ns
    second = simulate(SMALL, tmp_path / "run", progress=False)
    assert (tmp_path / "run" / "metrics.parquet").stat().st_mtime_ns == stamp
    pd.testing.assert_frame_equal(first, second)
    other = dataclasses.replace(SMALL, seeds=1)
    with pytest.raises(RunExistsError, match="finished run"):
        simulate(other, tmp_path / "run", progress=False)
    assert len(simulate(other, tmp_path / "run", overwrite=True, progress=False)) < len(first)


def test_batches_hold_every_cell_once_and_split_large_ones():
    config = dataclasses.replace(SMALL, schemes=("grpo", "lens", "psr"), prompts=100_000, seeds=3)
    batches = plan(config)
    cells = [cell for batch in batches for cell in batch.cells]
    drawn = sorted((cell.scheme, cell.seed) for cell in cells)
    assert drawn == sorted((s, n) for s in config.schemes for n in range(3))
    assert max(len(batch.cells) for batch in batches) == 2
    alone = [batch for batch in batches if batch.rules.scheme is not None]
    assert {cell.scheme for batch in alone for cell in batch.cells} == {"lens"}


def test_splitting_into_batches_does_not_change_a_number(tmp_path, monkeypatch):
    whole = simulate(SMALL, tmp_path / "whole", progress=False)
    monkeypatch.setattr("sim.run._CELL_ELEMENTS", 1)
    split = simulate(SMALL, tmp_path / "split", progress=False)
    keys = ["scheme", "seed", "step", "metric"]
    # Reductions may be ordered differently for another batch size: a few float32 roundings.
    np.testing.assert_allclose(
        split.sort_values(keys)["value"], whole.sort_values(keys)["value"], rtol=2e-4, atol=1e-5
    )


def test_precisions_and_generators_run(tmp_path):
    for field, value in (("precision", "float64"), ("generator", "threefry")):
        config = dataclasses.replace(SMALL, schemes=("grpo",), seeds=1, **{field: value})
        metrics = simulate(config, tmp_path / value, progress=False)
        success = metrics.query("metric == 'success'")["value"]
        assert success.iloc[-1] > success.iloc[0]
        recorded = json.loads((tmp_path / value / "config.json").read_text())
        assert recorded[field] == value


def test_a_run_that_fails_lets_go_of_its_folder(tmp_path, monkeypatch):
    with monkeypatch.context() as patched:
        kill_after(patched, 1)
        with pytest.raises(Killed):
            simulate(SMALL, tmp_path / "run", progress=False)
    assert not (tmp_path / "run" / ".lock").exists()


def test_a_run_keeps_the_rates_it_began_from_and_does_not_go_on_from_others(tmp_path, monkeypatch):
    rates = tmp_path / "rates.csv"
    rates.write_text("pass_rate\n0.1\n0.3\n")
    config = dataclasses.replace(SMALL, prompts=2, seeds=1, start=f"file:{rates}")
    with monkeypatch.context() as patched:
        kill_after(patched, 2)
        with pytest.raises(Killed):
            simulate(config, tmp_path / "run", progress=False)
    rates.write_text("pass_rate\n0.1\n0.5\n")
    with pytest.raises(RunExistsError, match="began from other pass rates"):
        simulate(config, tmp_path / "run", progress=False)
    rates.write_text("0.1\n0.30\n")  # the same rates, otherwise written
    metrics = simulate(config, tmp_path / "run", progress=False)
    kept = tmp_path / "run" / "pass_rates.csv"
    again = simulate(
        dataclasses.replace(config, start=f"file:{kept}"), tmp_path / "again", progress=False
    )
    np.testing.assert_array_equal(metrics["value"], again["value"])
    rates.write_text("0.9\n")
    with pytest.raises(RunExistsError, match="began from other pass rates"):
        simulate(config, tmp_path / "run", progress=False)


def test_budgets_are_those_of_the_groups_dapo_keeps():
    """η ∫ω dρ is the same for all: DAPO's ω is GRPO's over the share of mixed groups."""
    config = SimulationConfig(
        schemes=("grpo", "dapo"),
        start=0.05,
        target=0.8,
        group_size=4,
        dynamic_attempts=10_000,
        comparison="same_budget",
    )
    rates = learning_rates(config)

    def budget(kept):
        def weight(rho):
            mixed = 1 - rho**4 - (1 - rho) ** 4
            return expected_weight("grpo", 4, np.array([rho]))[0] / (mixed if kept else 1)

        return integrate.quad(weight, 0.05, 0.8)[0]

    assert rates["dapo"] / rates["grpo"] == pytest.approx(budget(False) / budget(True), rel=1e-5)
    once = dataclasses.replace(config, dynamic_attempts=1)
    assert learning_rates(once)["dapo"] == learning_rates(once)["grpo"]


def test_steps_far_too_large_end_in_numbers(tmp_path):
    """Policies become certain, and their Fisher matrices vanish; clocks may stand at ∞."""
    config = SimulationConfig(
        schemes=("grpo", "nsr"),
        seeds=3,
        policy="log_linear",
        learner="natural",
        prompts=8,
        answers=6,
        features=4,
        learning_rate=300.0,
        start=0.2,
        steps=12,
        measure_every=4,
        pass_k=(1, 8),
    )
    metrics = simulate(config, tmp_path / "run", progress=False)
    assert not metrics["value"].isna().any()
    measured = metrics[~metrics["metric"].str.startswith("clock/")]
    assert np.isfinite(measured["value"]).all()
