"""Tables behind the claims' figures, and the evidence that is published."""

import json

import numpy as np
import pandas as pd
import pytest

from claims.simulation.lab import Lab
from claims.simulation.publish import publish
from claims.simulation.registry import check_claim
from claims.simulation.tables import COLUMNS, claim_table
from claims.verdicts import Finding
from sim.config import SimulationConfig
from sim.sweep import SweepConfig

SMALL = SimulationConfig(
    schemes=("grpo", "sqrt_r"),
    seeds=3,
    prompts=8,
    answers=4,
    correct_answers=1,
    start=0.3,
    group_size=4,
    steps=40,
    measure_every=4,
    pass_k=(1, 4),
    target=0.8,
)


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    lab = Lab(tmp_path_factory.mktemp("claims"), "A4", True)
    lab.sweep(SweepConfig(SMALL, {"rule": {}}, (0.01, 2.0), 1, "updates", 0), "rule", shared="rule")
    return lab


def test_times_come_with_rates_and_ratios(lab):
    table = claim_table("A4", lab.used)
    assert tuple(table.columns) == COLUMNS
    assert set(table["run"]) == {"rule"}
    assert set(table["learning_rate"]) == {2.0}
    assert table["at_edge"].all()
    ratio = table[(table["metric"] == "time/grpo") & (table["scheme"] == "grpo")]
    assert (ratio["mean"] == 1).all()
    times = table[(table["metric"] == "time") & (table["clock"] == "updates")]
    written = pd.read_parquet(lab.used["rule"] / "times.parquet").query("clock == 'updates'")
    np.testing.assert_allclose(times["mean"], written["mean"])


def test_curves_are_means_of_the_metrics(lab):
    metrics = pd.read_parquet(lab.used["rule"] / "metrics.parquet").query("metric == 'success'")
    table = claim_table("L4", lab.used)
    assert set(table["metric"]) == {"success"}
    assert sorted(table["step"].unique()) == sorted(metrics["step"].unique())
    means = metrics.groupby(["scheme", "step"])["value"].mean()
    found = table.set_index(["scheme", "step"])["mean"].astype(float)
    np.testing.assert_allclose(found, means.loc[found.index])
    assert (table["low"] <= table["mean"]).all()
    assert (table["mean"] <= table["high"]).all()
    ends = claim_table("N2", lab.used)
    assert set(ends["step"]) == {0, 40}


def test_what_is_published_is_what_was_judged(tmp_path):
    found = check_claim("N5", tmp_path, quick=True)
    with pytest.raises(ValueError, match="quick version"):
        publish(tmp_path / "quick", tmp_path / "evidence")
    with pytest.raises(ValueError, match="holds no"):
        publish(tmp_path / "nowhere", tmp_path / "evidence")
    file = tmp_path / "quick" / "N5" / "verdict.json"
    values = {**json.loads(file.read_text()), "quick": False}
    file.write_text(json.dumps(values))
    assert publish(tmp_path / "quick", tmp_path / "evidence") == ["N5"]
    published = Finding.from_dict(json.loads((tmp_path / "evidence" / "N5.json").read_text()))
    assert published.checks == found.checks
    assert (tmp_path / "evidence" / "N5.csv").read_text().startswith("run,scheme")
    file.write_text(json.dumps({**values, "verdict": "refuted"}))
    with pytest.raises(ValueError, match="does not follow"):
        publish(tmp_path / "quick", tmp_path / "evidence")
