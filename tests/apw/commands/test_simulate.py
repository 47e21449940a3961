"""``apw simulate``: presets that are the claims, sweeps from a file, and what is refused."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pandas as pd
import pytest

from apw.main import main
from sim.claims.registry import CLAIMS
from theory.verdicts import Finding, rejudged

SWEEP = """
learning_rates = [0.01, 2]
tuning_seeds = 2
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


def test_presets_are_the_claims(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["simulate", "--preset", "list", "--json"]) == 0
    presets = json.loads(capsys.readouterr().out)["presets"]
    assert [preset["id"] for preset in presets] == list(CLAIMS)
    assert all(preset["claim"].endswith(".") for preset in presets)


def test_a_preset_judges_and_keeps_what_its_verdict_follows_from(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["simulate", "--preset", "n5", "--quick", "--out", str(tmp_path / "claims")]
    assert main([*words, "--json"]) == 0
    captured = capsys.readouterr()
    data = json.loads(captured.out)
    assert "N5: confirmed" in captured.err
    (values,) = data["findings"]
    found = Finding.from_dict(values)
    assert (found.id, found.verdict, found.quick) == ("N5", "confirmed", True)
    assert rejudged(found) == found
    written = json.loads((Path(data["folder"]) / "N5" / "verdict.json").read_text())
    assert Finding.from_dict(written) == found
    assert main(words) == 0
    shown = capsys.readouterr().out
    assert all(check.name in shown and check.verdict in shown for check in found.checks)


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
    assert (times[times["scheme"] == "rloo"]["ratio"] == 1).all()
    cells = len(times.groupby(["regime", "scheme", "clock"]))
    assert cells == len(times) == 2 * 2 * times["clock"].nunique()
    assert main([*words, "--out", str(tmp_path / "sweep")]) == 2
    assert "holds a finished run" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--preset", "Z9"], "no preset 'z9'; there are A1, A2"),
        (["--preset", "A4", "--prompts", "3"], "--preset brings its own configuration"),
        (["--preset", "A4", "--sweep", "x.toml"], "exclude each other"),
        (["--sweep", "nowhere.toml"], "nowhere.toml does not exist"),
        (["--sweep", "x.toml", "--prompts", "3"], "--sweep brings its own configuration"),
        (["--quick"], "--quick shortens presets"),
        (["--ray"], "it needs --sweep or --preset"),
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
