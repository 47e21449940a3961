"""Options and answers that the commands share."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Literal

import numpy as np
import pytest

from apw.command_line import Answer, parse


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
        (["--steps", "x"], "--steps must be a whole number; got 'x'"),
        (["--stepz", "4"], "perhaps you meant --steps"),
        (["--steps"], "--steps needs a value: a whole number"),
        (["--steps", "--json"], "--steps needs a value: a whole number"),
        (["--json=yes"], "unexpected word 'yes'"),
        (["stray"], "unexpected word 'stray'"),
        (["--kind", "c"], "--kind must be one of a, b; got 'c'"),
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


def test_one_sentence_for_what_is_not_known() -> None:
    with pytest.raises(ValueError, match="unrecognized") as raised:
        parse(Options, ["--stepz", "4"], command="t")
    assert str(raised.value) == (
        "unrecognized option --stepz; perhaps you meant --steps (see apw t --help)"
    )


def test_answers_are_strict_json() -> None:
    data = {
        "a": np.array([1.0, math.inf]),
        "b": (np.float64(0.5), np.int64(2)),
        "c": math.nan,
        "d": {"ρ": True},
    }
    text = Answer(data, "").as_json()
    assert json.loads(text) == {"a": [1.0, None], "b": [0.5, 2], "c": None, "d": {"ρ": True}}
    assert "\n" not in text
