"""The comparison of schemes on the tiny model: what it picks, pairs and counts, on made-up runs."""

import numpy as np
import pandas as pd
import pytest

from apw.runs import Run
from llm_validation import evidence
from llm_validation.evidence import ARMS, LEARNING_RATES, SCHEMES, Arm, configurations, summarise

ARM = Arm("made-up", "tiny-from-scratch", "rule", ("A4",))


def write(out, rate, curves):
    """A finished run with success curves by (scheme, seed); 10 responses a step."""
    run = Run.open(out / ARM.name / f"lr={rate:g}", {"rate": rate}, arm="llm")
    for (scheme, seed), curve in curves.items():
        for step, success in enumerate(curve):
            run.log(scheme=scheme, seed=seed, step=step, success=success, responses=10 * step)
    run.finish()


FAST = (0.01, 0.5, 0.95, 0.95, 0.95)
SLOW = (0.01, 0.1, 0.2, 0.5, 0.95)
NEVER = (0.01, 0.02, 0.02, 0.02, 0.02)
COLLAPSES = (0.01, 0.95, 0.1, 0.0, 0.0)


def test_rates_are_picked_on_other_seeds_and_ratios_are_paired(tmp_path):
    # GRPO's first two seeds prefer 0.1; on the judging seeds it then is slow, whatever 0.2 does.
    low = {("grpo", s): SLOW for s in range(5)} | {("sqrt_r", s): NEVER for s in range(5)}
    high = {("grpo", s): NEVER if s < 2 else FAST for s in range(5)}
    high |= {("sqrt_r", s): FAST for s in range(5)}
    write(tmp_path, 0.1, low)
    write(tmp_path, 0.2, high)
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
    curves = {("grpo", s): (NEVER, NEVER, NEVER, SLOW, COLLAPSES)[s] for s in range(5)}
    curves |= {("nsr", s): (NEVER, NEVER, NEVER, NEVER, SLOW)[s] for s in range(5)}
    write(tmp_path, 0.1, curves)
    table = summarise(tmp_path, [ARM]).set_index("scheme")
    assert table.loc["grpo", "collapsed"] == pytest.approx(1 / 3)
    assert table.loc["grpo", "arrived"] == pytest.approx(2 / 3)
    # Seed 2: neither arrives; seed 3: GRPO alone; seed 4: both, at 40 and 10 responses.
    assert table.loc["nsr", "pairs"] == 2
    assert table.loc["nsr", "ratio"] == 4
    assert table.loc["nsr", "ratio_high"] == np.inf
    assert np.isinf(table.loc["nsr", "responses"])


def test_an_arm_with_an_unfinished_run_is_left_out(tmp_path):
    write(tmp_path, 0.1, {("grpo", s): SLOW for s in range(3)})
    Run.open(tmp_path / ARM.name / "lr=0.2", {}, arm="llm").close()
    assert summarise(tmp_path, [ARM]).empty


def test_every_arm_has_every_scheme_at_every_rate():
    for arm in ARMS:
        runs = dict(configurations(arm, seeds=5))
        assert [config.learning_rate for config in runs.values()] == list(LEARNING_RATES)
        for config in runs.values():
            assert config.schemes == SCHEMES
            assert config.seeds == evidence.PICKING_SEEDS + 5
            assert config.task_options == {"kind": arm.kind}
            assert (config.initial_success < 0.05) == arm.name.endswith("from-scratch")


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
def test_a_small_comparison_runs_and_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(evidence, "SCHEMES", ("grpo", "nsr"))
    options = {"seeds": 1, "learning_rates": (1e-3,), "steps": 2, "warm_up_steps": 5,
               "prompts_per_step": 2, "group_size": 4}  # fmt: skip
    evidence.run(tmp_path, ARMS[:1], progress=False, **options)
    table = summarise(tmp_path, ARMS[:1])
    assert set(table["scheme"]) == {"grpo", "nsr"}
    files = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("metrics.parquet")}
    evidence.run(tmp_path, ARMS[:1], progress=False, **options)
    assert files == {p: p.stat().st_mtime_ns for p in tmp_path.rglob("metrics.parquet")}
    assert evidence.main(["--out", str(tmp_path), "--summary", "--arms", ARMS[0].name]) == 0
    saved = pd.read_csv(tmp_path / "summary.csv")
    assert len(saved) == 2
    assert "nsr" in capsys.readouterr().out
