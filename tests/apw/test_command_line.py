"""Options, answers and tables that the commands share."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import sys
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from apw.command_line import Answer, parse, read_toml, split_option, table
from runs.text import listed


@dataclasses.dataclass(frozen=True)
class Options:
    """Options for the tests."""

    steps: int = 3
    """Number of steps."""
    kind: Literal["a", "b"] = "a"
    names: tuple[str, ...] = ()
    json: bool = False

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise ValueError(f"steps must be at least 1; got {self.steps}")


def test_options_are_read_and_defaults_kept() -> None:
    words = ["--steps", "5", "--names", "x", "y", "--json"]
    assert parse(Options, words, command="t") == Options(5, "a", ("x", "y"), True)
    assert parse(Options, [], command="t", default=Options(steps=7)).steps == 7


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--steps", "x"], "--steps"),
        (["--stepz", "4"], "perhaps you meant --steps"),
        (["--steps"], "--steps"),
        (["--kind", "c"], "invalid choice 'c'"),
        (["--steps", "0"], "steps must be at least 1; got 0"),
    ],
)
def test_complaints_are_one_sentence_that_names_the_option(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    with pytest.raises(ValueError, match="see apw t --help") as raised:
        parse(Options, words, command="t")
    assert sentence in str(raised.value)
    assert "\n" not in str(raised.value)
    assert "│" not in str(raised.value)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_boxes_are_read_in_both_alphabets(monkeypatch: pytest.MonkeyPatch, encoding: str) -> None:
    output = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    monkeypatch.setattr(sys, "stdout", output)
    with pytest.raises(ValueError, match="unrecognized") as raised:
        parse(Options, ["--stepz", "4"], command="t")
    assert str(raised.value) == (
        "unrecognized options: --stepz, 4; perhaps you meant --steps (see apw t --help)"
    )


def test_answers_are_strict_json() -> None:
    data = {"a": np.array([1.0, math.inf]), "b": (np.float64(0.5), np.int64(2)), "c": math.nan,
            "d": {"ρ": True}}  # fmt: skip
    text = Answer(data, "").as_json()
    assert json.loads(text) == {"a": [1.0, None], "b": [0.5, 2], "c": None, "d": {"ρ": True}}
    assert "\n" not in text


def test_tables_align_combining_characters() -> None:
    text = table(["ρ̂", "n"], [["a", "1"], ["bcd", "10"]], right="lr")
    assert text.splitlines() == ["ρ̂     n", "---  --", "a     1", "bcd  10"]


def test_lists_in_sentences() -> None:
    assert [listed(["a", "b", "c"][:n], "or") for n in range(4)] == ["", "a", "a or b", "a, b or c"]


@pytest.mark.parametrize(
    ("words", "value"),
    [(["--x", "1"], "1"), (["--x=2"], "2"), (["--y", "--x"], None), ([], None)],
)
def test_an_option_can_be_read_ahead(words: list[str], value: str | None) -> None:
    assert split_option(words, "--x") == value


def test_broken_toml_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="is not a file"):
        read_toml(tmp_path / "absent.toml")
    (tmp_path / "broken.toml").write_text("a = [")
    with pytest.raises(ValueError, match=r"broken\.toml is not valid TOML"):
        read_toml(tmp_path / "broken.toml")
    (tmp_path / "good.toml").write_text("steps = 3")
    assert read_toml(tmp_path / "good.toml") == {"steps": 3}
