"""``apw simulate``: sweeps from a file, and what is refused."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pandas as pd
import pytest

import apw
from apw.main import main
from sim.config import SimulationConfig

SWEEP = """
learning_rates = [0.01, 2]
tuning_seeds = 2
widen = 0
[base]
schemes = ["rloo", "sqrt_r"]
seeds = 2
prompts = 8
answers = 4
correct_answers = 1
group_size = 4
steps = 40
measure_every = 4
pass_k = [1]
target = 0.8
[regimes.easy]
start = 0.4
[regimes.hard]
start = 0.2
"""


@pytest.fixture
def sweep_file(tmp_path: Path) -> Path:
    file = tmp_path / "sweep.toml"
    file.write_text(SWEEP)
    return file


def test_schemes_are_compared_where_they_have_gained_the_same(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", "--schemes", "grpo", "rloo", "--seeds", "2", "--prompts", "8"]
    words += ["--answers", "4", "--correct-answers", "1", "--start", "0.2", "--steps", "40"]
    words += ["--measure-every", "2", "--pass-k", "4", "8", "--out", str(tmp_path / "run")]
    words += ["--learning-rate", "1"]
    assert main([*words, "--at", "pass@1=+0.2", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    table = pd.DataFrame(found["matched"]).query("metric == 'entropy'").set_index("scheme")
    assert found["at"] == "pass@1=+0.2"
    assert list(table.index) == ["base", "grpo", "rloo"]
    assert (table["there"] == 2).all()
    lead = table["mean"]["rloo"] - table["mean"]["grpo"]
    assert table["lead"]["rloo"] == pytest.approx(lead, abs=1e-12)
    assert main([*words, "--at", "success=0.5"]) == 0
    text = capsys.readouterr().out
    assert "Where success is 0.5, training prompts, mean over seeds:" in text
    assert "Minus GRPO, paired by seed, ± 95% interval:" in text
    assert main([*words, "--at", "held_out/success=+0.2"]) == 2
    assert "held_out/success is not measured; measured are: success" in capsys.readouterr().err


def test_a_sweep_answers_with_a_table_of_every_regime(
    tmp_path: Path, sweep_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", "--sweep", str(sweep_file), "--reference", "rloo"]
    assert main([*words, "--out", str(tmp_path / "sweep"), "--json"]) == 0
    times = pd.DataFrame(json.loads(capsys.readouterr().out)["times"])
    assert set(times["regime"]) == {"easy", "hard"}
    # At 0.01 nothing reaches 0.8 in 40 steps: the pick is the other end of the grid.
    assert set(times["learning_rate"]) == {2.0}
    assert times["at_edge"].all()
    assert times["ratio"].isna().all()  # so there is nothing to compare
    cells = len(times.groupby(["regime", "scheme", "clock"]))
    assert cells == len(times) == 2 * 2 * times["clock"].nunique()
    # Finished, it answers again, here by another part and on every clock that is shown.
    words = [*words, "--out", str(tmp_path / "sweep"), "--target-metric", "success/q1"]
    assert main(words) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "mean success/q1 is at the target" in captured.out
    shown = captured.out.partition("\n\nClocks: ")[0]
    assert "first_success" not in shown  # no update of these groups has waited
    for clock in ("updates", "responses"):
        assert shown.count(f" {clock} ") == 4
    sweep_file.write_text(SWEEP.replace("0.8", "0.7"))
    assert main(words) == 2
    assert "holds a finished run" in capsys.readouterr().err


SMALL = [
    "--prompts",
    "5",
    "--steps",
    "4",
    "--measure-every",
    "1",
    "--seeds",
    "2",
    "--answers",
    "4",
    "--pass-k",
    "1",
    "--group-size",
    "4",
    "--target",
    "0.3",
]


def test_dapo_pays_for_every_response_and_another_scheme_may_be_the_reference(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", *SMALL, "--schemes", "rloo", "dapo", "--out", str(tmp_path / "run")]
    words += ["--start", "0.2", "--learning-rate", "9"]
    assert main([*words, "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["reference"] == "rloo"
    times = pd.DataFrame(data["times"]).set_index(["scheme", "clock"])
    per_update = times["mean"].unstack()["responses"] / times["mean"].unstack()["updates"]
    assert per_update["rloo"] == 5 * 4
    assert per_update["dapo"] > 1.2 * 5 * 4  # (1 − 0.8⁴ − 0.2⁴)⁻¹ groups, 1.7, at the start
    assert main([*words, "--reference", "dapo", "--target-metric", "success/q5"]) == 0
    shown = capsys.readouterr().out
    assert "relative to DAPO" in shown
    assert "mean success/q5 of 5 prompts" in shown
    assert "responses, all that were drawn" in shown


def test_a_run_is_repeated_from_its_configuration(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first, again = tmp_path / "first", tmp_path / "again"
    words = ["simulate", *SMALL, "--learner", "mirror", "--group-size", "None", "--seeds", "1"]
    assert main([*words, "--schemes", "sqrt_r", "--out", str(first)]) == 0
    toml = tmp_path / "mine.toml"
    toml.write_text('group_size = "none"\nlearner = "mirror"\nschemes = ["sqrt_r"]\n')
    assert json.loads((first / "config.json").read_text())["group_size"] is None
    assert main(["simulate", "--file", str(first / "config.json"), "--out", str(again)]) == 0
    tables = [pd.read_parquet(folder / "metrics.parquet") for folder in (first, again)]
    pd.testing.assert_series_equal(tables[0]["value"], tables[1]["value"], check_exact=True)
    capsys.readouterr()
    # The file alone sets the population limit, which the command line takes back.
    other = ["--file", str(toml), *SMALL, "--seeds", "1", "--out", str(tmp_path / "other")]
    assert main(["simulate", *other, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["config"]["group_size"] == 4
    for text, message in (("{", "not valid JSON"), ("[]", "options of a simulation")):
        (tmp_path / "bad.json").write_text(text)
        assert main(["simulate", "--file", str(tmp_path / "bad.json")]) == 2
        assert message in capsys.readouterr().err


def test_a_start_from_a_file_says_what_became_of_zeros_and_why_nothing_arrives(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = tmp_path / "rates.csv"
    rates.write_text("solved\n" + "0\n" * 12 + "0.125\n" * 3 + "0.75\n")
    small = ["--schemes", "grpo", "--prompts", "16", "--seeds", "2", "--steps", "2"]
    small += ["--measure-every", "1", "--start", f"file:{rates}", "--column", "solved"]
    small += ["--learning-rate", "1"]
    words = ["simulate", *small, "--tries", "8", "--out", str(tmp_path / "run")]
    assert main(words) == 0
    text = capsys.readouterr().out
    assert "measured with 8 tries each: 12 (75%) never solved" in text
    assert "cannot have a mean of 0.9" in text
    assert "GRPO: not within 2 steps with 2 of 2 seeds" in text
    assert main([*words, "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert text.startswith("\n".join(notes))
    config = SimulationConfig.from_dict(json.loads((tmp_path / "run/config.json").read_text()))
    assert str(apw.simulate(config, tmp_path / "run")).startswith("\n".join(notes))


def test_schemes_are_compared_at_their_own_rates_by_default(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", *SMALL, "--schemes", "rloo", "grpo", "--policy", "log_linear"]
    words += ["--tuning-seeds", "3", "--steps", "40", "--target", "0.6"]
    assert main([*words, "--out", str(tmp_path / "own")]) == 0
    text = capsys.readouterr().out
    assert text.splitlines()[0].endswith(
        "is 0.6, all schemes at own best rates, found on 3 other seeds."
    )
    assert text.splitlines()[2].startswith("rate")
    assert "relative to GRPO, own best rates" in text
    assert main([*words, "--out", str(tmp_path / "own"), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["compared_at"] == "own best rates"
    assert {row["scheme"]: row["learning_rate"] for row in found["times"]} == json.loads(
        (tmp_path / "own" / "rates.json").read_text()
    )
    # One rate for all where one is given, and where no rate is the best; either says so.
    assert main([*words, "--learning-rate", "2", "--out", str(tmp_path / "one")]) == 0
    assert "one common rate, which suits some better than others" in capsys.readouterr().out
    exact = ["simulate", *SMALL, "--learner", "mirror", "--out", str(tmp_path / "exact")]
    assert main(exact) == 0
    assert "one common rate, as of mirror's exact steps" in capsys.readouterr().out
    assert main([*words, "--comparison", "own_rates", "--learning-rate", "2"]) == 2
    assert "leave out learning_rate" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--schemes", "lens", "--comparison", "same_budget"],
        ["--schemes", "psr", "--reference", "grpo"],
        ["--target-metric", "held_out/success"],
        ["--target-metric", "success/q1", "--prompts", "4"],
        ["--policy", "tree", "--symbols", "4", "--length", "9"],
        ["--seed", "5000000000"],
        ["--start", "file:nowhere.csv"],
        ["--sweep", "broken.toml"],
    ],
)
def test_what_is_refused_leaves_no_folder(
    words: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "broken.toml").write_text("tuning_seeds = true")
    assert main(["simulate", *words, "--out", "run"]) == 2
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1
    assert captured.out == ""
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sweep", "nowhere.toml"], "nowhere.toml is not a file"),
        (["--sweep", "x.toml", "--prompts", "3"], "--sweep brings its own configuration"),
        (["--ray"], "it needs --sweep"),
    ],
)
def test_what_cannot_be_is_refused_in_one_sentence(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *words]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.skipif(importlib.util.find_spec("ray") is not None, reason="Ray is installed")
def test_without_ray_the_extra_is_named(
    tmp_path: Path, sweep_file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", "--ray", "--sweep", str(sweep_file), "--out", str(tmp_path / "sweep")]
    assert main(words) == 2
    assert "pip install '.[cluster]'" in capsys.readouterr().err
