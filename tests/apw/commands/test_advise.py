"""``apw advise`` against plain quadrature over every prompt, and its refusals."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import integrate

from apw.main import main
from theory.finite_group import expected_weight


def ask(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, object]:
    assert main(["advise", "--json", *words]) == 0
    answer: dict[str, object] = json.loads(capsys.readouterr().out)
    return answer


def rates_file(folder: Path, *rates: float) -> str:
    file = folder / "rates.txt"
    file.write_text("\n".join(map(str, rates)))
    return str(file)


def test_a_population_is_the_sum_over_its_prompts(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    starts, size, target = (0.02, 0.1, 0.1, 0.4, 0.95), 8, 0.9
    answer = ask(
        capsys, "--rates", rates_file(tmp_path, *starts), "--group-size", str(size), "--sampling",
        "until_correct", "--update-cost", "3", "--response-cost", "0.5", "--schemes", "grpo",
        "linear_r",
    )  # fmt: skip

    def spent(scheme: str) -> float:
        """Cost times budget of a scheme, prompt by prompt, with SciPy's plain quadrature."""

        def weight(p: float) -> float:
            return float(expected_weight(scheme, size, np.asarray(p)))

        def cost(p: float) -> float:
            return 3 + 0.5 * size / (1 - (1 - p) ** size)

        def summed(integrand: object) -> float:
            return sum(integrate.quad(integrand, s, target)[0] for s in starts if s < target)

        time = summed(lambda p: cost(p) / (weight(p) * p * (1 - p)))
        return time * summed(weight)

    excess = answer["excess_finite"]
    assert isinstance(excess, dict)
    ratio = spent("grpo") / spent("linear_r")
    assert excess["grpo"] / excess["linear_r"] == pytest.approx(ratio, rel=1e-8)
    assert min(excess.values()) >= 1


def test_the_optimum_for_expensive_responses_is_sqrt_r(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Groups of 2 drawn until one is correct cost close to 1/ρ: the effective clock.
    answer = ask(
        capsys, "--start", "0.001", "--target", "0.2", "--sampling", "until_correct",
        "--group-size", "2", "--update-cost", "0",
    )  # fmt: skip
    assert answer["nearest"] == "sqrt_r"
    fixed = ask(capsys, "--start", "0.001", "--target", "0.2")
    assert fixed["nearest"] == "grpo"


def test_zeros_are_left_out_or_taken_as_rare(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    file = rates_file(tmp_path, 0, 0, 0.25, 0.5)
    answer = ask(capsys, "--rates", file)
    assert (answer["prompts"], answer["unsolved"]) == (2, 2)
    answer = ask(capsys, "--rates", file, "--tries", "4")
    assert (answer["prompts"], answer["unsolved"]) == (4, 0)
    assert answer["median"] == pytest.approx((0.1 + 0.3) / 2)  # (0 + ½)/5 and (1 + ½)/5
    assert main(["advise", "--rates", rates_file(tmp_path, 0, 0)]) == 2
    assert "--tries" in capsys.readouterr().err


def test_many_prompts_are_summarised(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rates = np.random.default_rng(0).beta(1, 4, size=2000)
    answer = ask(capsys, "--rates", rates_file(tmp_path, *rates), "--schemes", "grpo", "sqrt_r")
    assert answer["prompts"] == 2000
    assert "grpo" in answer["equally_good"]  # type: ignore[operator]


def test_words_end_in_a_line_to_use_and_the_assumptions(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["advise", "--start", "0.4", "--schemes", "grpo", "rloo"]) == 0
    out = capsys.readouterr().out
    assert "Use GRPO or RLOO: they are equally good." in out
    assert 'WeightedGRPOTrainer(scheme="grpo"' in out
    assert "This assumes" in out


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
    assert ask(capsys, "--rates", str(file), "--column", "accuracy")["median"] == pytest.approx(0.2)
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
        ("a.jsonl", "[0.1]\n", "line 1: no field 'pass_rate'"),
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
        (["--start", "0.95"], "has reached the target"),
        (["--response-cost", "-1"], "costs must be at least 0"),
        (["--update-cost", "0", "--response-cost", "0"], "one of them positive"),
        (["--tries", "0"], "tries must be at least 1"),
        (["--group-size", "1"], "at least 2; got 1"),
        (["--schemes", "lens"], "lens"),
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
