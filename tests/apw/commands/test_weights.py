"""``apw weights`` against the published table, and its refusals."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from apw.main import main
from theory.schemes import SCHEMES


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main(["weights", "--json", *words]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def test_json_has_the_agreed_keys_and_the_published_ratios(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = ask(capsys, "--start", "0.01", "--target", "0.9")
    assert set(answer) == {
        "start",
        "target",
        "clock",
        "dynamics",
        "time",
        "excess",
        "success",
        "weight",
    }
    excess = answer["excess"]
    assert isinstance(excess, dict)
    published = {"rloo": 3.309, "grpo": 1.555, "linear_r": 1.075, "sqrt_r": 1, "uniform_r": 1.075}
    assert {name: excess[name] for name in published} == pytest.approx(published, abs=5e-4)
    success, weight = np.array(answer["success"]), np.array(answer["weight"])
    ratio = weight / SCHEMES["sqrt_r"].weight(success)
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-12)
    assert (success[0], success[-1]) == (0.01, 0.9)


def test_finite_groups_come_with_a_group_size(capsys: pytest.CaptureFixture[str]) -> None:
    answer = ask(capsys, "--group-size", "16", "--schemes", "grpo", "linear_r")
    finite = answer["excess_finite"]
    assert isinstance(finite, dict)
    assert finite["grpo"] == pytest.approx(2.29, abs=5e-3)  # theory.md, section 4
    assert list(finite) == ["grpo", "linear_r"]
    small = ask(capsys, "--group-size", "2")["excess_finite"]
    assert isinstance(small, dict)
    assert "pass_at_k" not in small  # k = 4 of 2 responses
    assert "maxrl" in small


def test_infinite_numbers_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    answer = ask(capsys, "--start", "0", "--target", "1", "--clock", "regular", "--points", "3")
    excess = answer["excess"]
    assert isinstance(excess, dict)
    assert excess["grpo"] == pytest.approx(1)
    assert excess["rloo"] is None
    assert answer["weight"][0] is None  # type: ignore[index]
    assert answer["time"] == pytest.approx(np.pi**2)


def test_words_name_the_optimum_and_rank_the_schemes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "--group-size", "16"]) == 0
    out = capsys.readouterr().out
    assert "It is the weight of Sqrt-R." in out
    rows = [line for line in out.splitlines() if "  " in line and line[0].isupper()]
    names = [
        row.split("  ")[0]
        for row in rows
        if row.split("  ")[0] in {"Sqrt-R", "GRPO", "RLOO", "Linear-R"}
    ]
    assert names == ["Linear-R", "Sqrt-R", "GRPO", "RLOO"]
    assert re.search(r"GRPO .* 2\.29\d? ", out) or re.search(r"GRPO .* 2\.28[5-9] ", out)


def test_the_figure_is_written_with_its_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = tmp_path / "weights.png"
    assert ask(capsys, "--figure", str(file), "--group-size", "8")["figure"] == str(file)
    assert file.read_bytes().startswith(b"\x89PNG")
    assert "optimum" in (tmp_path / "weights.csv").read_text()


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--schemes", "gpro"], "unknown scheme 'gpro'; known schemes: rloo, reinforce, grpo"),
        (["--start", "1.2"], "start must lie in [0, 1]; got 1.2"),
        (["--target", "-0.1"], "target must lie in [0, 1]; got -0.1"),
        (["--start", "nan"], "--start must be a finite number; got 'nan'"),
        (["--start", "0.9", "--target", "0.5"], "target must lie above start"),
        (["--group-size", "1"], "at least 2; got 1"),
        (["--clock", "wall"], "unknown clock 'wall'; known clocks: regular, effective"),
        (["--dynamics", "x"], "unknown dynamics 'x'; known dynamics: mirror"),
        (["--schemes", "lens"], "lens has no table"),
        (["--start", "0"], "no weight reaches the target in finite time"),
        (["--points", "1"], "--points must be a whole number from 2 to 100,000; got '1'"),
        (["--figure", "out.pdf"], "must end in .png or .svg"),
    ],
)
def test_bad_input_is_one_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert main(["weights", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert sentence in err
