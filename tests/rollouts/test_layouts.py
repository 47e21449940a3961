"""Files as TRL, verl, prime-rl and ``apw evaluate`` write them, and what is refused."""

from __future__ import annotations

import json
import math
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from rollouts.columns import FLAGS, Table, choose_columns
from rollouts.files import find_files
from rollouts.layouts import LAYOUTS, ROLES, TABLE, layout_of
from rollouts.query import Status
from rollouts.reader import Reading, open_rollouts
from rollouts.tally import Rollouts, Tally
from runs.folder import Run


def read(*paths: Path, **options: Any) -> tuple[Rollouts, Reading]:
    tally = Tally()
    with open_rollouts(paths, threads=1, **options) as reading:
        for groups in reading.groups():
            tally.add(groups)
    return tally.result(), reading


def lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def outcomes(rollouts: Rollouts) -> list[list[int]]:
    return rollouts.outcomes.values.tolist()


@pytest.mark.parametrize("conversational", [False, True])
def test_completions_as_trl_logs_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, conversational: bool
) -> None:
    trl = pytest.importorskip("trl")
    from transformers import Trainer

    monkeypatch.setattr(Trainer, "log", lambda *_: None)
    monkeypatch.setattr("trl.trainer.grpo_trainer.is_rich_available", lambda: False)

    def text(words: str, role: str) -> Any:
        return [{"role": role, "content": words}] if conversational else words

    # TRL's own GRPOTrainer.log, on the few attributes that it needs.
    trainer = object.__new__(trl.GRPOTrainer)
    trainer.model = SimpleNamespace(training=True)
    trainer.args = SimpleNamespace(output_dir=str(tmp_path), report_to=[])
    trainer.accelerator = SimpleNamespace(is_main_process=True)
    trainer.log_completions = True
    trainer._metrics = {"train": {}}
    (tmp_path / "completions").mkdir()
    for step in (9, 10):
        trainer.state = SimpleNamespace(global_step=step)
        trainer._logs = {
            "images": [],
            "prompt": [text(p, "user") for p in ("a", "a", "b", "b", "b")],
            "completion": [text(c, "assistant") for c in ("x", "x", "x", "y", "z")],
            "rewards": {"accuracy_reward": [1.0, 0.0, 0.0, 0.0, math.nan]},
            "extra": defaultdict(list),
            "advantages": [1.0, -1.0, 0.0, 0.0, 0.0],
        }
        trainer.log({})
    (tmp_path / "trainer_state.json").write_text("{}")
    rollouts, reading = read(tmp_path)
    assert reading.columns.layout.name == "TRL completions"
    assert reading.columns.described() == {
        "prompt": "prompt",
        "reward": "accuracy_reward",
        "step": "step",
        "response": "completion",
    }
    # What TRL could not score is NaN to it, and nothing in the file.
    assert reading.broken == {Status.NO_REWARD: 2}
    assert outcomes(rollouts) == [[9, 2, 0, 1], [9, 2, 1, 1], [10, 2, 0, 1], [10, 2, 1, 1]]
    assert rollouts.responses["repeated"].tolist() == [1.0, 1.0]


def test_several_reward_functions_of_trl_must_be_chosen_from(tmp_path: Path) -> None:
    columns = {
        "step": 1,
        "prompt": "p",
        "completion": "c",
        "style": [1.0],
        "format": [0.0],
        "note": "n",
        "advantage": 0.0,
    }
    path = tmp_path / "completions_00001.parquet"
    pd.DataFrame(columns).to_parquet(path)
    with pytest.raises(
        ValueError,
        match=r"several columns of rewards.*style, format.*--reward style or --reward format",
    ):
        read(path)
    rollouts, _ = read(path, given={"reward": ["format"]})
    assert outcomes(rollouts) == [[1, 1, 0, 1]]


def test_rollouts_as_verl_dumps_them(tmp_path: Path) -> None:
    for step in (2, 10):
        rows = [
            {
                "input": f"p{i // 2}",
                "output": "o",
                "gts": "1",
                "score": float(i == 1),
                "step": step,
                "acc": None,
                "request_id": str(i),
            }
            for i in range(4)
        ]
        lines(tmp_path / f"{step}.jsonl", rows)
    rollouts, reading = read(tmp_path)
    assert reading.columns.layout.name == "verl rollouts"
    assert [file.path.name for file in reading.files] == ["2.jsonl", "10.jsonl"]
    assert outcomes(rollouts) == [[2, 2, 0, 1], [2, 2, 1, 1], [10, 2, 0, 1], [10, 2, 1, 1]]


def test_rollouts_as_prime_rl_saved_them(tmp_path: Path) -> None:
    for step in (0, 12):
        rows = [
            {
                "example_id": 1,
                "task": task,
                "prompt": "q",
                "completion": "c",
                "reward": r,
                "completion_logprobs": [-0.5, -1.5],
            }
            for task, r in (("math", 1), ("math", 0), ("code", 0))
        ]
        lines(tmp_path / f"rollouts/step_{step}/train_rollouts.jsonl", rows)
        lines(tmp_path / f"rollouts/step_{step}/eval_rollouts.jsonl", rows)
    rollouts, reading = read(tmp_path)
    assert reading.columns.described()["step"] == "in the files' names"
    # Examples of different environments may share their numbers.
    assert outcomes(rollouts) == [[0, 1, 0, 1], [0, 2, 1, 1], [12, 1, 0, 1], [12, 2, 1, 1]]
    assert rollouts.responses["confidence"].iloc[0] == pytest.approx(3 * math.exp(-1))


def test_episodes_as_prime_rl_writes_them(tmp_path: Path) -> None:
    def episode(group: str, rewards: dict[str, Any] | None) -> dict[str, Any]:
        nodes = [
            {"message": {"content": "q"}, "logprobs": []},
            {"message": {"content": "a"}, "logprobs": [-0.25, -0.75]},
        ]
        trace = {"rewards": rewards, "nodes": nodes}
        return {
            "task": {"type": "T", "key": "k"},
            "group": {"id": group},
            "traces": [] if rewards is None else [trace],
        }

    right = {"math": {"score": 2.0, "weight": 0.5}, "format": None}
    rows = [episode("g", right), episode("g", {"math": {"score": 0.0}}), episode("h", None)]
    for part in ("all", "effective"):
        lines(tmp_path / f"rollouts/step_3/train/{part}/traces.jsonl", rows)
    rollouts, reading = read(tmp_path)
    assert reading.columns.layout.name == "prime-rl traces"
    assert len(reading.files) == 1
    assert outcomes(rollouts) == [[3, 2, 1, 1]]
    assert reading.broken == {Status.NO_REWARD: 1}
    assert rollouts.responses["surprise"].tolist() == [2.0]
    trace = {"task": {"hash": "x"}, **rows[0]["traces"][0]}
    rollouts, reading = read(lines(tmp_path / "step_4" / "traces.jsonl", [trace]))
    assert (reading.columns.layout.name, outcomes(rollouts)) == (
        "prime-rl traces",
        [[4, 1, 1, 1]],
    )


def test_samples_of_our_own_evaluations(tmp_path: Path) -> None:
    run = Run.open(tmp_path / "run", {}, source="llm")
    columns = {
        "problem": [0, 0, 0, 1],
        "sample": [0, 1, 2, 0],
        "gold": "1",
        "response": "r",
        "outcome": ["correct", "wrong", "error", "timeout"],
        "tokens": 4,
        "truncated": False,
        "entropy": 0.1,
        "log_probability": -0.5,
        "level": None,
        "metadata": "{}",
    }
    pd.DataFrame(columns).to_parquet(run.path / "samples.parquet")
    run.finish()
    rollouts, reading = read(tmp_path / "run")
    assert outcomes(rollouts) == [[0, 1, 0, 1], [0, 2, 1, 1]]
    assert reading.broken == {Status.NO_REWARD: 1}
    assert rollouts.responses["surprise"].tolist() == [6.0]


def test_fields_may_lie_inside_others(tmp_path: Path) -> None:
    rows = [{"id": "p", "info": {"score": r, "a/b": 1}} for r in (0, 1)]
    path = lines(tmp_path / "nested.jsonl", rows)
    rollouts, _ = read(
        path, given={"prompt": ["id"], "reward": ["info.score"], "step": ["info.a/b"]}
    )
    assert outcomes(rollouts) == [[1, 2, 1, 1]]


def test_layouts_are_told_apart_by_columns_they_use() -> None:
    for layout in LAYOUTS:
        assert layout_of(sorted(layout.marks)) is layout
        assert set(layout.roles) | set(layout.formulas) <= {
            *ROLES,
            "rollout",
            "turn",
            "age",
        }
        assert layout.source
    assert layout_of(["prompt", "reward"]) is TABLE
    assert set(FLAGS) == set(ROLES)


@pytest.mark.parametrize(
    ("types", "given", "complaint"),
    [
        ({"a b": "VARCHAR", "c": "DOUBLE"}, {}, r"like a prompt; it has: 'a b', c; .*--prompt"),
        ({"prompt": "VARCHAR"}, {}, "looks like a reward; it has: prompt; name one with --reward"),
        ({"prompt": "VARCHAR", "reward": "DATE"}, {}, r"holds date, not numbers; .*--reward"),
        ({"prompt": "VARCHAR", "reward": "DOUBLE[]"}, {}, "not numbers"),
        ({"prompt": "VARCHAR", "reward": "INTEGER"}, {"step": ["x"]}, r"no column 'x' \(--step\)"),
        ({"prompt": "VARCHAR", "reward": "DOUBLE"}, {"step": ["a", "b"]}, "no column 'a'"),
        ({"prompt": "VARCHAR", "reward": "DOUBLE"}, {"reward": ["prompt", "reward"]}, "one column"),
        ({"prompt": "VARCHAR", "reward": "DOUBLE"}, {"step": ["a\0b"]}, "NUL"),
    ],
)
def test_wrong_columns_are_refused_in_a_sentence(
    types: dict[str, str], given: dict[str, list[str]], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        choose_columns(Table("parquet", types), given)


def test_wrong_files_are_refused_in_a_sentence(tmp_path: Path) -> None:
    def refused(complaint: str, *paths: Path) -> None:
        with pytest.raises((ValueError, FileNotFoundError), match=complaint):
            read(*paths)

    refused("neither a file nor a folder", tmp_path / "absent.csv")
    refused("holds no table of rollouts", tmp_path)
    (tmp_path / "notes.txt").write_text("hello")
    refused("is no table of rollouts: its name must end in", tmp_path / "notes.txt")
    for ending in ("csv", "jsonl"):
        (tmp_path / f"empty.{ending}").write_text("")
        refused("is empty", tmp_path / f"empty.{ending}")
    (tmp_path / "ours.csv").write_text("prompt,reward,__file\na,1,b\n")
    refused("has a column named __file", tmp_path / "ours.csv")
    for ending in ("parquet", "csv.gz"):
        (tmp_path / f"junk.{ending}").write_bytes(b"\x00\xff junk")
        refused(f"junk.{ending} is n", tmp_path / f"junk.{ending}")
    for name in ("a.csv", "b.jsonl"):
        kinds = tmp_path / "kinds" / name
        kinds.parent.mkdir(exist_ok=True)
        kinds.write_text(
            "prompt,reward\np,1\n" if name == "a.csv" else '{"prompt": "p", "reward": 1}\n'
        )
    refused("rollouts of several kinds, a table in a.csv and a table in b.jsonl", kinds.parent)
    run = Run.open(tmp_path / "run", {}, source="llm")
    run.log(scheme="grpo", seed=0, step=0, reward=0.5)
    run.finish()
    refused("run of apw that kept no rollouts", tmp_path / "run")


@pytest.mark.parametrize(
    ("path", "step"),
    [
        ("step_12/train_rollouts.jsonl", 12),
        ("completions_00007.parquet", 7),
        ("a/b.csv", None),
        ("step-3/step4.csv.gz", 4),
        ("footstep/1.csv", None),
    ],
)
def test_the_step_is_read_from_paths(tmp_path: Path, path: str, step: int | None) -> None:
    file = tmp_path / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("")
    assert [found.step for found in find_files(file)] == [step]
