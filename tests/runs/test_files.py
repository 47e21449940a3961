"""What is read back is whole, finite and a file: no pipe is waited for."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_validation.config import TrainConfig
from llm_validation.launch.files import write_files
from llm_validation.shapes import model_shape
from llm_validation.tasks.rows import BadRowError, Reader
from runs.configuration import check
from runs.files import read_json, read_table, write_text
from runs.folder import Run, read_metrics
from sim.sweep import SweepConfig

READERS: dict[str, Callable[[Path], Any]] = {
    "a.json": read_json,
    "a.csv": read_table,
    "metrics.parquet": lambda path: read_metrics(path.parent),
    "checkpoints/all.npz": lambda path: resumed(path.parents[1]).load_checkpoint("all"),
    "parts/one.parquet": lambda path: resumed(path.parents[1]),
    "train.sh": lambda path: write_files({"train.sh": "true\n"}, path.parent),
}


def resumed(folder: Path) -> Run:
    run = Run.open(folder, {}, source="sim")
    run.close()
    return run


@pytest.mark.parametrize("name", READERS)
def test_a_pipe_in_the_place_of_a_file_is_no_wait(name: str, tmp_path: Path) -> None:
    run = resumed(tmp_path / "run")
    pipe = run.path / name
    pipe.parent.mkdir(exist_ok=True)
    os.mkfifo(pipe)
    with pytest.raises(ValueError, match="is a named pipe"):
        READERS[name](pipe)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_options_whose_values_may_be_anything_are_finite_to_their_depths(value: float) -> None:
    with pytest.raises(ValueError, match=r"task_options\.levels\.1 must be a finite number; got"):
        TrainConfig(task_options={"levels": [1.0, value]})
    with pytest.raises(ValueError, match=r"regimes\.hard\.start must be a finite number"):
        SweepConfig(regimes={"hard": {"start": value}})
    with pytest.raises(ValueError, match=r"x\.a\.b must be a finite number"):
        check("x", dict[str, Any], {"a": {"b": value}})


def test_rows_of_a_task_are_json_which_has_no_nan(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"question": "1+1?", "answer": NaN}\n')
    with pytest.raises(BadRowError, match=r"line 1: not valid JSON .JSON has no NaN"):
        Reader().examples(tmp_path / "a.jsonl", "train", lambda row: row)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "is not the configuration of a model"),
        ("{", "is not valid JSON"),
        ('{"num_attention_heads": NaN}', "JSON has no NaN"),
        (
            '{"num_attention_heads": 0, "num_hidden_layers": 1, "hidden_size": 1, '
            '"intermediate_size": 1, "vocab_size": 1}',
            "is not the configuration of a model",
        ),
        (
            '{"num_attention_heads": 1, "num_hidden_layers": "many", "hidden_size": 1, '
            '"intermediate_size": 1, "vocab_size": 1}',
            "sizes that are whole numbers",
        ),
    ],
)
def test_a_model_whose_sizes_cannot_be_read_is_named(
    text: str, sentence: str, tmp_path: Path
) -> None:
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(ValueError, match=f"config.json.*{sentence}"):
        model_shape(str(tmp_path), hidden_size=1, layers=1)


def test_what_a_killed_writer_left_is_removed_and_a_live_one_is_let_be(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib, runs.files as f\n"
        "f.Replacing(pathlib.Path(sys.argv[1])).__enter__()\n"
        "print(flush=True)\n"
        "sys.stdin.read()\n"
    )
    path = tmp_path / "table"
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for writer in writers:
        assert writer.stdout is not None
        writer.stdout.readline()
    assert len(list(tmp_path.iterdir())) == 2
    (tmp_path / ".table.settings").touch()
    try:
        writers[0].kill()
        writers[0].communicate()
        write_text(path, "whole")
        assert len(list(tmp_path.iterdir())) == 3  # table, settings and the live writer's
    finally:
        writers[1].kill()
        writers[1].communicate()
    write_text(path, "whole")
    assert {file.name for file in tmp_path.iterdir()} == {"table", ".table.settings"}
