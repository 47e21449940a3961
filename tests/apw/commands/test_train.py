"""apw train: a finished run answers the same command again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from apw.main import main
from llm_validation.config import load_recipe
from runs.folder import Run


def finished(path: Path) -> None:
    run = Run.open(path, load_recipe("demo").to_dict(), source="llm")
    for scheme in ("grpo", "sqrt_r"):
        for step in (1, 2):
            run.log(scheme=scheme, seed=0, step=step, reward=0.25 * step)
    run.finish()


def test_a_finished_run_is_answered_and_another_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("torch")
    import llm_validation.train

    def never(*_: object, **__: object) -> None:
        raise AssertionError("a finished run was trained")

    monkeypatch.setattr(llm_validation.train, "train", never)
    finished(tmp_path / "run")
    words = ["train", "--recipe", "demo", "--out", str(tmp_path / "run"), "--json"]
    assert main(words) == 0
    rewards = [
        row["last"] for row in json.loads(capsys.readouterr().out)["summary"] if row["scheme"]
    ]
    assert rewards == [0.5, 0.5]
    assert main([*words, "--steps", "7"]) == 2
    assert (
        "holds a finished run with other options (steps is 60 there and 7 here); "
        "choose another name or pass --overwrite"
    ) in capsys.readouterr().err


def test_a_reporter_that_is_not_there_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("llm_validation.reporting._installed", lambda package: False)
    words = ["train", "--recipe", "demo", "--out", str(tmp_path / "run"), "--report-to", "trackio"]
    assert main(words) == 2
    assert "--report-to trackio needs pip install trackio" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()
