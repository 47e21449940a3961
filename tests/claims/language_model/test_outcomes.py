"""What came of runs, on made-up ones: arrival, collapse, pairing, curves."""

import dataclasses

import numpy as np
import pandas as pd
import pytest

from claims.language_model.arms import Arm
from claims.language_model.outcomes import curves, summarise
from runs.folder import Run

ARM = Arm("made-up", "tiny-from-scratch", "rule", ("A4",), ("grpo", "sqrt_r"), (0.1, 0.2))


def write(out, rate, curves, phase="judge"):
    """A finished run with success curves by (scheme, seed); 10 responses a step."""
    run = Run.open(out / ARM.name / phase / f"lr={rate:g}", {"rate": rate}, source="llm")
    for (scheme, seed), curve in curves.items():
        for step, success in enumerate(curve):
            run.log(scheme=scheme, seed=seed, step=step, success=success, responses=10 * step)
    run.finish()


FAST = (0.01, 0.5, 0.95, 0.95, 0.95)
SLOW = (0.01, 0.1, 0.2, 0.5, 0.95)
NEVER = (0.01, 0.02, 0.02, 0.02, 0.02)
COLLAPSES = (0.01, 0.95, 0.1, 0.0, 0.0)


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


def test_an_arm_without_the_reference_has_no_ratios(tmp_path):
    arm = dataclasses.replace(ARM, schemes=("sqrt_r",), learning_rates=(0.1,))
    write(tmp_path, 0.1, {("sqrt_r", s): FAST for s in (2, 3)})
    (row,) = summarise(tmp_path, [arm]).to_dict("records")
    assert row["responses"] == 20
    assert row["pairs"] == 0
    assert np.isnan([row["ratio"], row["ratio_low"], row["ratio_high"]]).all()


def test_an_arm_with_an_unfinished_run_is_left_out(tmp_path):
    write(tmp_path, 0.1, {("grpo", s): SLOW for s in range(3)})
    Run.open(tmp_path / ARM.name / "judge" / "lr=0.2", {}, source="llm").close()
    assert summarise(tmp_path, [ARM]).empty


def test_curves_average_batches_over_the_steps_since_the_last_measurement():
    rows = [("grpo", 0, 0, "success", 0.1)]
    rows += [("grpo", 0, t, "entropy", float(t)) for t in range(1, 5)]
    rows += [("grpo", 0, t, "success", 0.1 * t) for t in (2, 4)]
    table = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    found = curves(table).set_index(["metric", "step"])["value"]
    assert found["entropy"].to_dict() == {2: 1.5, 4: 3.5}
    assert list(found["success"].index) == [0, 2, 4]
