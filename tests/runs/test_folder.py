"""Run folders: whole or not there, resumed where they were, never lost by accident."""

from __future__ import annotations

import json
import math
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runs import files
from runs import folder as run_folder
from runs.files import read_json, write_json
from runs.folder import METRIC_COLUMNS, Run, RunExistsError

CONFIG = {"scheme": ["grpo", "sqrt_r"], "steps": 3, "rate": 0.1}


def test_a_finished_run_holds_config_environment_and_tidy_metrics(tmp_path: Path) -> None:
    run = Run.open(tmp_path / "first", CONFIG, source="sim")
    run.log(scheme="grpo", seed=0, step=1, success=0.25, entropy=1)
    run.write_part("grpo")
    run.log(scheme="sqrt_r", seed=0, step=1, success=0.5)
    written = run.finish()
    read = run_folder.read_metrics(tmp_path / "first")
    pd.testing.assert_frame_equal(written, read)
    assert tuple(read) == METRIC_COLUMNS
    assert read["value"].tolist() == [0.25, 1.0, 0.5]
    assert set(read["run"]) == {"first"}
    assert set(read["source"]) == {"sim"}
    assert run_folder.read_config(tmp_path / "first") == CONFIG
    environment = json.loads((tmp_path / "first" / "environment.json").read_text())
    assert environment["packages"]["numpy"] == np.__version__
    assert sorted(item.name for item in (tmp_path / "first").iterdir()) == [
        "config.json",
        "environment.json",
        "metrics.parquet",
    ]


def test_rows_and_tables_keep_the_order_in_which_they_were_logged(tmp_path: Path) -> None:
    run = Run.open(tmp_path / "run", CONFIG, source="theory")
    run.log(scheme="grpo", seed=0, step=0, a=1)
    run.log_table(
        pd.DataFrame({"scheme": "grpo", "seed": 0, "step": [1, 2], "metric": "a", "value": [2, 3]})
    )
    run.log(scheme="grpo", seed=0, step=3, a=4)
    assert run.finish()["value"].tolist() == [1.0, 2.0, 3.0, 4.0]


def test_an_empty_run_has_the_columns(tmp_path: Path) -> None:
    Run.open(tmp_path / "run", {}, source="sim").finish()
    assert tuple(run_folder.read_metrics(tmp_path / "run")) == METRIC_COLUMNS


@settings(max_examples=25, deadline=None)
@given(value=st.floats(allow_nan=True, allow_infinity=True), seed=st.integers(0, 2**62))
def test_values_come_back_bit_for_bit(
    tmp_path_factory: pytest.TempPathFactory, value: float, seed: int
) -> None:
    folder = tmp_path_factory.mktemp("run")
    run = Run.open(folder, {}, source="sim")
    run.log(scheme="grpo", seed=seed, step=0, metric_of_any_name=value)
    run.finish()
    row = run_folder.read_metrics(folder).iloc[0]
    assert row["seed"] == seed
    assert row["value"] == value or (math.isnan(row["value"]) and math.isnan(value))


def test_an_unfinished_run_resumes_with_its_parts_and_checkpoints(tmp_path: Path) -> None:
    run = Run.open(tmp_path / "run", {**CONFIG, "limit": None}, source="sim")
    assert not run.resumed
    run.log(scheme="grpo", seed=0, step=1, success=0.25)
    run.write_part("grpo")
    run.save_checkpoint("state", {"logits": np.arange(6.0).reshape(2, 3)})
    run.log(scheme="grpo", seed=0, step=2, lost=1.0)
    run.close()

    again = Run.open(tmp_path / "run", {**CONFIG, "limit": None}, source="sim")
    assert again.resumed
    assert again.has_part("grpo")
    assert not again.has_part("sqrt_r")
    state = again.load_checkpoint("state")
    assert state is not None
    np.testing.assert_array_equal(state["logits"], np.arange(6.0).reshape(2, 3))
    assert again.load_checkpoint("absent") is None
    assert again.finish()["metric"].tolist() == ["success"]


def test_a_part_written_twice_counts_once(tmp_path: Path) -> None:
    run = Run.open(tmp_path / "run", CONFIG, source="sim")
    for value in (1.0, 2.0):
        run.log(scheme="grpo", seed=0, step=0, a=value)
        run.write_part("grpo")
    assert run.finish()["value"].tolist() == [2.0]


def test_a_finished_run_is_refused_and_overwrite_replaces_it(tmp_path: Path) -> None:
    first = Run.open(tmp_path / "run", CONFIG, source="sim")
    first.save_checkpoint("old", {"a": np.zeros(1)})
    first.finish()
    with pytest.raises(RunExistsError, match="holds a finished run"):
        Run.open(tmp_path / "run", CONFIG, source="sim")
    run = Run.open(tmp_path / "run", CONFIG, source="sim", overwrite=True)
    assert not run.resumed
    assert run.load_checkpoint("old") is None
    assert not run_folder.is_finished(tmp_path / "run")


@pytest.mark.parametrize("by", ["reading", "refusing"])
def test_what_a_kill_left_of_a_finished_run_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, by: str
) -> None:
    run = Run.open(tmp_path / "run", CONFIG, source="sim")
    run.log(scheme="grpo", seed=0, step=0, a=1.0)
    run.write_part("grpo")
    monkeypatch.setattr(run_folder.shutil, "rmtree", lambda *a, **k: None)
    written = run.finish()  # as if it had been killed between the table and its parts
    monkeypatch.undo()
    assert (tmp_path / "run" / "parts" / "grpo.parquet").exists()
    if by == "refusing":
        with pytest.raises(RunExistsError, match="holds a finished run with other options"):
            run_folder.read_finished(tmp_path / "run", {**CONFIG, "steps": 4})
    read = run_folder.read_metrics(tmp_path / "run")
    if by == "reading":
        read = run_folder.read_finished(tmp_path / "run", CONFIG)
    pd.testing.assert_frame_equal(read, written)
    assert {p.name for p in (tmp_path / "run").iterdir()} == {
        "config.json",
        "environment.json",
        "metrics.parquet",
    }


def test_an_unfinished_run_of_another_configuration_is_refused(tmp_path: Path) -> None:
    Run.open(tmp_path / "run", CONFIG, source="sim").close()
    with pytest.raises(RunExistsError, match="another configuration"):
        Run.open(tmp_path / "run", {**CONFIG, "steps": 4}, source="sim")


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("name", ["notes.txt", "config.json", "model.safetensors"])
def test_a_folder_of_other_files_is_never_touched(
    tmp_path: Path, name: str, overwrite: bool
) -> None:
    (tmp_path / name).write_text("{}")
    with pytest.raises(RunExistsError, match="files that are no run"):
        Run.open(tmp_path, CONFIG, source="sim", overwrite=overwrite)
    assert [item.name for item in tmp_path.iterdir()] == [name]


def test_a_file_in_the_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").write_text("")
    with pytest.raises(RunExistsError, match="is a file"):
        Run.open(tmp_path / "run", CONFIG, source="sim")


def test_a_run_killed_before_it_began_begins(tmp_path: Path) -> None:
    (tmp_path / "environment.json").write_text("{}")
    (tmp_path / ".config.json.abc").write_text("half a fi")
    run = Run.open(tmp_path, CONFIG, source="sim")
    assert not run.resumed
    run.finish()
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b"])
def test_names_of_parts_stay_inside_the_folder(tmp_path: Path, name: str) -> None:
    run = Run.open(tmp_path, CONFIG, source="sim")
    with pytest.raises(ValueError, match="is named by letters"):
        run.write_part(name)


def test_an_interrupted_write_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "value.json"
    files.write_json(file, {"a": 1})
    with pytest.raises(TypeError):
        files.write_json(file, {"a": object()})
    with pytest.raises(AttributeError):
        files.write_table(file, None)  # type: ignore[arg-type]
    assert json.loads(file.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(b"{", "is not valid JSON"), (b"\xff\xfe", "is not valid JSON"), (b"[1]", "JSON object")],
)
def test_broken_configurations_are_named(tmp_path: Path, content: bytes, sentence: str) -> None:
    (tmp_path / "config.json").write_bytes(content)
    with pytest.raises(ValueError, match=sentence) as raised:
        run_folder.read_config(tmp_path)
    assert "config.json" in str(raised.value)


def test_broken_metrics_and_checkpoints_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no finished run"):
        run_folder.read_metrics(tmp_path)
    with pytest.raises(FileNotFoundError, match="holds no run"):
        run_folder.read_config(tmp_path)
    (tmp_path / "metrics.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(ValueError, match="not a readable Parquet table"):
        run_folder.read_metrics(tmp_path)
    pd.DataFrame({"run": ["a"]}).to_parquet(tmp_path / "metrics.parquet")
    with pytest.raises(ValueError, match="lacks the column 'source'"):
        run_folder.read_metrics(tmp_path)

    run = Run.open(tmp_path / "run", CONFIG, source="sim")
    run.save_checkpoint("state", {"a": np.arange(1000)})
    whole = (run.path / "checkpoints" / "state.npz").read_bytes()
    for cut in (0, 10, len(whole) // 2):
        (run.path / "checkpoints" / "state.npz").write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="not a whole checkpoint"):
            run.load_checkpoint("state")


def test_tables_of_an_earlier_version_are_refused_with_a_sentence(tmp_path):
    run = Run.open(tmp_path / "run", CONFIG, source="sim")
    run.log(scheme="grpo", seed=0, step=0, reward=0.5)
    run.write_part("first")
    run.close()
    part = run.path / "parts" / "first.parquet"
    pd.read_parquet(part).rename(columns={"source": "arm"}).to_parquet(part)
    with pytest.raises(ValueError, match="written by an earlier version"):
        Run.open(tmp_path / "run", CONFIG, source="sim")
    part.rename(tmp_path / "run" / "metrics.parquet")
    with pytest.raises(ValueError, match="written by an earlier version"):
        run_folder.read_metrics(tmp_path / "run")
    Run.open(tmp_path / "run", CONFIG, source="sim", overwrite=True).finish()


WRITER = """
import sys, numpy as np
from runs.folder import Run
run = Run.open(sys.argv[1], {"a": 1}, source="sim")
print("open", flush=True)
for step in range(10**9):
    run.log(scheme="grpo", seed=0, step=step, a=step)
    run.write_part("grpo")
    run.save_checkpoint("state", {"step": np.full(10_000, step)})
"""


def test_one_process_at_a_time_and_what_a_killed_one_left_is_whole(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = [sys.executable, "-c", WRITER, str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        try:
            with pytest.raises(RunExistsError, match="open in another process"):
                Run.open(folder, {"a": 1}, source="sim", overwrite=True)
            while not (folder / "checkpoints" / "state.npz").exists():
                assert writer.poll() is None
        finally:
            os.kill(writer.pid, signal.SIGKILL)
    run = Run.open(folder, {"a": 1}, source="sim")
    assert run.resumed
    state = run.load_checkpoint("state")
    assert state is not None
    assert len(set(state["step"].tolist())) == 1
    assert len(run.finish()) == 1
    assert not [item for item in folder.rglob("*") if item.name.startswith(".")]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_json_has_finite_numbers_alone(tmp_path: Path, value: float) -> None:
    with pytest.raises(ValueError, match="must be finite"):
        Run.open(tmp_path / "run", {**CONFIG, "limit": value}, source="sim")
    with pytest.raises(ValueError, match=r"a\.json cannot be written"):
        write_json(tmp_path / "a.json", [value])
    assert not any(tmp_path.iterdir())
    (tmp_path / "b.json").write_text(json.dumps([1.0, value]))
    with pytest.raises(ValueError, match=r"b\.json is not valid JSON: JSON has no -?(NaN|Inf)"):
        read_json(tmp_path / "b.json")


def test_a_file_and_its_name_are_sent_to_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent, inner = [], os.fsync

    def noted(descriptor: int) -> None:
        sent.append(stat.S_ISDIR(os.fstat(descriptor).st_mode))
        inner(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    write_json(tmp_path / "a.json", {})
    assert sent == [False, True]
