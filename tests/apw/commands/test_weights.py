"""``apw weights`` against the published table, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from apw.main import main
from theory.finite_group import expected_weight
from theory.schemes import SCHEMES
from theory.tables import table_scheme


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main(["weights", "--json", *words]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def test_json_has_the_agreed_keys_and_the_published_ratios(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = ask(capsys, "--start", "0.01", "--target", "0.9", "--sampling", "population")
    assert set(answer) == {
        "start",
        "target",
        "design",
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


def test_sampled_groups_are_what_is_asked_about_by_default(
    capsys: pytest.CaptureFixture[str],
) -> None:
    answer = ask(capsys, "--schemes", "grpo", "linear_r")
    assert answer["design"] == "fixed"
    assert answer["group_size"] == 16
    assert answer["excess"] == pytest.approx({"grpo": 1.023, "linear_r": 1.618}, abs=5e-4)
    assert answer["excess_weight"] == pytest.approx({"grpo": 1.035, "linear_r": 1.426}, abs=5e-4)
    table = table_scheme(np.array(answer["positive"]), np.array(answer["negative"]))
    realised = expected_weight(table, 16, np.array(answer["success"]))
    np.testing.assert_allclose(answer["weight"], realised, rtol=1e-9)
    small = ask(capsys, "--group-size", "2")["excess"]
    assert isinstance(small, dict)
    assert "pass_at_k" not in small  # k = 4 of 2 responses
    assert "maxrl" in small


@pytest.mark.parametrize("sampling", ["until_any", "until_mixed", "first_success"])
def test_every_design_can_be_asked_for(capsys: pytest.CaptureFixture[str], sampling: str) -> None:
    answer = ask(capsys, "--sampling", sampling, "--schemes", "grpo", "--update-cost", "3")
    excess = answer["excess"]
    assert isinstance(excess, dict)
    assert 1 <= excess["grpo"] < 2
    assert (answer["design"], answer["update_cost"]) == (sampling, 3)


def test_infinite_numbers_are_null(capsys: pytest.CaptureFixture[str]) -> None:
    answer = ask(
        capsys,
        "--sampling",
        "population",
        "--start",
        "0",
        "--target",
        "1",
        "--clock",
        "updates",
        "--points",
        "3",
    )
    excess = answer["excess"]
    assert isinstance(excess, dict)
    assert excess["grpo"] == pytest.approx(1)
    assert excess["rloo"] is None
    assert answer["weight"][0] is None  # type: ignore[index]
    assert answer["time"] == pytest.approx(np.pi**2)


def test_words_name_the_optimum_and_rank_the_schemes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["weights", "--sampling", "population"]) == 0
    assert "It is the weight of Sqrt-R." in capsys.readouterr().out
    assert main(["weights"]) == 0
    out = capsys.readouterr().out
    assert "an advantage of −0.2 for all-wrong groups" in out
    shown = {"Sqrt-R", "GRPO", "RLOO", "Linear-R"}
    names = [name for line in out.splitlines() if (name := line.split("  ")[0]) in shown]
    assert names == ["GRPO", "RLOO", "Sqrt-R", "Linear-R"]


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
        (["--sampling", "population", "--clock", "wall"], "unknown clock 'wall'; known clocks:"),
        (["--clock", "updates"], "a clock is for --sampling population"),
        (["--sampling", "population", "--group-size", "4"], "the population has no groups"),
        (["--sampling", "first_success", "--group-size", "4"], "leave out --group-size"),
        (["--sampling", "sometimes"], "fixed"),
        (["--response-cost", "-1"], "at least 0"),
        (["--dynamics", "x"], "unknown dynamics 'x'; known dynamics: mirror"),
        (["--schemes", "lens"], "lens has no table"),
        (["--start", "0"], "a path starts above 0"),
        (
            ["--start", "0", "--sampling", "population"],
            "no weight reaches the target in finite time",
        ),
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
