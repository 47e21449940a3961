"""``apw advise`` against plain quadrature over every prompt, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from apw.main import main


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main(["advise", "--json", *words]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def rates_file(folder: Path, *rates: float) -> str:
    file = folder / "rates.txt"
    file.write_text("\n".join(map(str, rates)))
    return str(file)


def test_one_start_is_judged_by_its_design(capsys: pytest.CaptureFixture[str]) -> None:
    answer: Any = ask(capsys, "--start", "0.01", "--schemes", "grpo", "reinforce", "psr", "nsr")
    found = [answer["excess_finite"][name] for name in ("grpo", "reinforce", "psr", "nsr")]
    assert found == pytest.approx([1.023, 1.977, 2.669, 5.239], abs=6e-4)
    assert (answer["recommended"], answer["keep"]) == ("grpo", True)
    assert answer["saving"] == {"value": 0, "low": 0, "high": 0}
    assert answer["plan"] == []


def test_responses_one_by_one_are_not_said_to_be_groups(
    capsys: pytest.CaptureFixture[str],
) -> None:
    words = ["advise", "--schemes", "grpo", "linear_r", "--sampling"]
    assert main([*words, "first_success"]) == 0
    said = capsys.readouterr().out.split("In TRL")[0]
    assert "roups of" not in said
    assert "M = 16" not in said
    assert "Group size" not in said
    assert main([*words, "until_any"]) == 0
    assert "best table, M = 16" in capsys.readouterr().out


COUNTS = [0] * 44 + [1] * 6 + [2] * 3 + [4] * 2 + [9] * 2 + [13, 15, 16]


@pytest.fixture(scope="module")
def counts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Measured with 16 tries, 44 of 60 prompts were never solved."""
    file = tmp_path_factory.mktemp("counts") / "counts.csv"
    rows = [f"q{n},{correct},16" for n, correct in enumerate(COUNTS)]
    file.write_text("\n".join(["id,n_correct,n_samples", *rows]))
    return file


def test_what_is_said_of_a_file_agrees_with_it(
    capsys: pytest.CaptureFixture[str], counts: Path
) -> None:
    answer: Any = ask(capsys, str(counts), "--schemes", "grpo", "maxrl", "sqrt_r")
    assert (answer["prompts"], answer["never_solved"]) == (60, 44)
    assert answer["all_wrong"] == pytest.approx(44 / 60, abs=0.03)
    assert 0.4 < answer["out_of_reach"] < 44 / 60
    saving = answer["saving"]
    assert saving["low"] <= saving["value"] <= saving["high"]
    assert answer["keep"] == (answer["margin"] < answer["threshold"])
    plan = answer["plan"]
    assert [row["id"] for row in plan] == [f"q{n}" for n in range(60)]
    assert sum(row["probability"] for row in plan) == pytest.approx(1)
    assert min(row["probability"] for row in plan) > 0
    assert {row["group_size"] for row in plan} == {16}
    assert 0 < answer["pool"]["low"] < answer["pool"]["high"] < 1
    # By the plan or by the scheme alone, whichever saves more.
    assert saving["value"] == max(answer[f"{kind}_saving"]["value"] for kind in ("plan", "scheme"))


def test_words_say_what_became_of_zeros_and_what_would_change_the_advice(
    capsys: pytest.CaptureFixture[str], counts: Path
) -> None:
    assert main(["advise", str(counts), "--schemes", "grpo", "maxrl"]) == 0
    out = capsys.readouterr().out
    assert "60 prompts, measured with 16 tries each: 44 (73%) never solved." in out
    assert "out of reach" in out
    assert "Use MaxRL instead of GRPO: it saves" in out
    assert "What would change this:" in out
    assert "A plan for the next updates" in out
    assert "the simulator saved 20% to 38% (claim S1)" in out


def test_zeros_are_rare_by_the_counts_and_out_of_reach_without(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("--schemes", "grpo", "rloo")
    exact = ask(capsys, rates_file(tmp_path, 0, 0, 0.3, 0.1), *words)
    assert exact["out_of_reach"] == 0.5
    assert "taken as exact" in " ".join(exact["notes"])  # type: ignore[arg-type]
    tried = ask(capsys, rates_file(tmp_path, 0, 0, 0.3, 0.1), "--tries", "10", *words)
    assert tried["out_of_reach"] < 0.5  # type: ignore[operator]
    guessed = ask(capsys, rates_file(tmp_path, 0, 0, 0.25, 0.5), *words)
    assert "taken as 4 tries" in " ".join(guessed["notes"])  # type: ignore[arg-type]
    assert main(["advise", rates_file(tmp_path, 0, 0)]) == 2
    assert "no prompt was ever solved" in capsys.readouterr().err


def test_tokens_cost_what_their_responses_do(capsys: pytest.CaptureFixture[str]) -> None:
    base = ("--start", "0.02", "--sampling", "until_any")
    tokens = ask(capsys, *base, "--token-cost", "0.001", "--tokens", "250")
    assert tokens["response_cost"] == 0.25
    assert tokens["cost"] == ask(capsys, *base, "--response-cost", "0.25")["cost"]


def test_what_training_adds_is_in_words_and_lines(
    capsys: pytest.CaptureFixture[str], counts: Path
) -> None:
    words = ["--schemes", "grpo", "rloo", "maxrl", "--false-positive", "0.02", "--kl-coefficient"]
    words += ["0.05", "--token-cost", "0.01", "--correct-tokens", "100", "--wrong-tokens", "300"]
    assert main(["advise", str(counts), *words]) == 0
    out = capsys.readouterr().out
    assert "passes 2% of the wrong responses and fails 0% of the correct ones" in out
    assert "there is no plan by prompt" in out
    assert "and 1 for each of 16 responses, a wrong one 3 times as much" in out
    assert "a KL coefficient of 0.05" in out
    assert "GRPOConfig(beta=0.05," in out
    assert "actor.use_kl_loss=True actor_rollout_ref.actor.kl_loss_coef=0.05" in out
    answer: Any = ask(capsys, str(counts), *words)
    assert answer["plan"] == []
    assert answer["length_ratio"] == 3


def test_a_scheme_that_an_anchor_stops_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--scheme", "rloo", "--schemes", "grpo", "rloo", "--kl-coefficient", "0.3"]
    assert main(["advise", *words]) == 0
    out = capsys.readouterr().out
    assert "per unit of advantage, these stop short of 0.9: RLOO." in out
    assert "Use GRPO instead of RLOO, which does not reach the target." in out
    answer = ask(capsys, *words)
    assert answer["stopped"] == ["rloo"]
    assert answer["saving"] == {"value": 1, "low": 1, "high": 1}


def test_a_histogram_is_its_prompts_one_by_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("--tries", "8", "--group-size", "4", "--schemes", "grpo", "sqrt_r")
    inline = ask(capsys, "--histogram", "0:3", "0.25:2", "1:1", *words)
    table = tmp_path / "histogram.csv"
    table.write_text("pass_rate,prompts\n0,3\n0.25,2\n1,1\n")
    counted = ask(capsys, "--rates", str(table), "--count", "prompts", *words)
    assert inline["cost"] == counted["cost"]
    assert inline["prompts"] == 6
    assert inline["plan"] == []  # nobody is named


def test_the_figure_is_written_with_its_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    figure = tmp_path / "advice.svg"
    answer: Any = ask(capsys, "--start", "0.01", "--figure", str(figure))
    assert answer["figure"] == str(figure)
    assert figure.read_text().startswith("<?xml")
    data = pd.read_csv(tmp_path / "advice.csv")
    costs = data[data["panel"] == "costs"].set_index("scheme")["cost"]
    assert costs.to_dict() == pytest.approx(answer["cost"])
    assert main(["advise", "--figure", str(tmp_path / "advice.doc")]) == 2
    assert ".png or .svg" in capsys.readouterr().err


def test_words_end_in_a_line_to_use_and_the_assumptions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["advise", "--start", "0.4", "--schemes", "grpo", "rloo"]) == 0
    out = capsys.readouterr().out
    assert "Keep GRPO: nothing that was compared costs less." in out
    assert 'WeightedGRPOTrainer(scheme="grpo"' in out
    assert "algorithm.adv_estimator=apw_grpo actor_rollout_ref.rollout.n=16" in out
    assert "From a success probability of 0.4 to 0.9." in out
    assumptions = out.split("This assumes\n")[1].splitlines()
    assert len(assumptions) == 5
    assert all(line.startswith("- ") and "It fails" in line for line in assumptions)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_tables_are_read_by_column(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, kind: str
) -> None:
    file = tmp_path / f"rates.{kind}"
    table = pd.DataFrame({"prompt": ["a", "b"], "accuracy": [0.1, 0.3]})
    if kind == "csv":
        table.to_csv(file, index=False)
    elif kind == "jsonl":
        table.to_json(file, orient="records", lines=True)
    else:
        table.to_parquet(file)
    words = ("--column", "accuracy", "--schemes", "grpo")
    assert ask(capsys, str(file), *words)["median"] == pytest.approx(0.2)
    assert main(["advise", "--rates", str(file)]) == 2
    assert "'pass_rate'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        ("a.txt", "0.1\n1.5\n", "a.txt, line 2: a pass rate must lie in [0, 1]; got '1.5'"),
        ("a.txt", "0.1\nmany\n", "line 2: a pass rate must lie in [0, 1]; got 'many'"),
        ("a.txt", "nan\n", "line 1"),
        ("a.txt", "", "holds no pass rates"),
        ("a.jsonl", '{"pass_rate": 0.1}\n{"pass', "a.jsonl, line 2: not valid JSON"),
        ("a.jsonl", '{"rate": 0.1}\n', "line 1: no field 'pass_rate'"),
        ("a.parquet", "PAR", "not a readable Parquet table"),
    ],
)
def test_broken_files_are_named(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, name: str, content: str, sentence: str
) -> None:
    (tmp_path / name).write_text(content)
    assert main(["advise", "--rates", str(tmp_path / name)]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["--start", "0"], "start must lie in (0, 1)"),
        (["--target", "1"], "target must lie in (0, 1)"),
        (["--start", "0.95"], "have reached the target"),
        (["--response-cost", "-1"], "costs must be at least 0"),
        (["--response-cost", "0"], "one of them positive"),
        (["--tries", "0"], "tries must be at least 1"),
        (["--group-size", "1"], "at least 2; got 1"),
        (["--schemes", "lens"], "lens"),
        (["--tokens", "100"], "--tokens, the tokens of a response, need a --token-cost"),
        (["--token-cost", "1"], "--token-cost needs --tokens"),
        (["--correct-tokens", "100"], "--correct-tokens and --wrong-tokens go together"),
        (["--correct-tokens", "1", "--wrong-tokens", "0"], "tokens must be positive"),
        (["--token-cost", "1", "--tokens", "9", "--correct-tokens", "9"], "not both"),
        (["--false-positive", "0.6", "--false-negative", "0.5"], "every scheme unlearns"),
        (["--false-positive", "0.5", "--false-negative", "0.5"], "every scheme learns nothing"),
        (["--false-positive", "1.5"], "--false-positive must be"),
        (["--kl-coefficient", "50"], "GRPO does below 0.384"),
        (["--kl-coefficient", "1", "--sampling", "population"], "another sampling design"),
        (["--token-cost", "1", "--tokens", "0"], "tokens must be positive"),
        (["--token-cost", "-1", "--tokens", "9"], "costs must be at least 0"),
        (["--token-cost", "1", "--tokens", "9", "--response-cost", "1"], "not both"),
        (["--response-cost", "nan"], "--response-cost must be a finite number or none"),
        (["--histogram", "0.5"], "RATE:PROMPTS, such as 0.25:40, with a rate in [0, 1]; got '0.5'"),
        (["--histogram", "1.5:2"], "got '1.5:2'"),
        (["--histogram", "0.5:2.5"], "a number of prompts must be whole"),
        (["--histogram", "0.5:0"], "counts no prompts"),
        (["--histogram", "0.5:1", "--rates", "x.txt"], "not by both"),
        (["--rates", "x.txt", "y.txt"], "one file of pass rates is read; got 2"),
        (["--rates", "absent.txt"], "absent.txt is not a file"),
    ],
)
def test_bad_input_is_one_sentence(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    assert main(["advise", *words]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert sentence in err
