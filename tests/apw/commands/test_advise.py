"""``apw advise`` against plain quadrature over every prompt, and its refusals."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, stats

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
        capsys,
        "--rates",
        rates_file(tmp_path, *starts),
        "--group-size",
        str(size),
        "--sampling",
        "until_any",
        "--update-cost",
        "3",
        "--response-cost",
        "0.5",
        "--schemes",
        "grpo",
        "linear_r",
    )

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
        capsys,
        "--start",
        "0.001",
        "--target",
        "0.2",
        "--sampling",
        "until_any",
        "--group-size",
        "2",
        "--update-cost",
        "0",
    )
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


def test_times_and_weights_of_fixed_groups_are_those_of_the_regular_clock(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Every update costs α + βM: ω* ∝ 1/√(ρ(1−ρ)) and T* = (α + βM)(2[arcsin √ρ])².
    answer: Any = ask(
        capsys,
        "--start",
        "0.05",
        "--target",
        "0.8",
        "--group-size",
        "4",
        "--update-cost",
        "2",
        "--response-cost",
        "0.5",
    )
    angle = 2 * (math.asin(math.sqrt(0.8)) - math.asin(math.sqrt(0.05)))
    assert answer["time_optimal"] == pytest.approx((2 + 4 * 0.5) * angle**2, rel=1e-9)
    success = np.array(answer["success"])
    assert (success[0], success[-1]) == (0.05, 0.8)
    shape = 1 / np.sqrt(success * (1 - success))
    assert answer["weight"] == pytest.approx(shape / angle, rel=1e-9)
    for name, time in answer["time"].items():
        ratio = answer["excess_finite"][name]
        assert time == pytest.approx(ratio * answer["time_optimal"], rel=1e-12)


def test_tokens_cost_what_their_responses_do(capsys: pytest.CaptureFixture[str]) -> None:
    base = ("--start", "0.02", "--sampling", "until_any")
    tokens = ask(capsys, *base, "--token-cost", "0.001", "--tokens", "250")
    assert tokens["response_cost"] == 0.25
    assert tokens["time"] == ask(capsys, *base, "--response-cost", "0.25")["time"]


def test_a_histogram_is_its_prompts_one_by_one(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    words = ("--tries", "8", "--group-size", "4", "--schemes", "grpo", "sqrt_r")
    inline = ask(capsys, "--histogram", "0:3", "0.25:2", "1:1", *words)
    listed = ask(capsys, "--rates", rates_file(tmp_path, 0, 0, 0, 0.25, 0.25, 1), *words)
    table = tmp_path / "histogram.csv"
    table.write_text("pass_rate,prompts\n0,3\n0.25,2\n1,1\n")
    counted = ask(capsys, "--rates", str(table), "--count", "prompts", *words)
    assert inline == listed == counted
    assert inline["prompts"] == 6


def test_the_recommended_group_size_gets_nearly_all_for_its_cost(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # Under RLOO a group's share of the information is (M − 1)/M whatever ρ, so per cost it gets
    # (M − 1)/(α + βM), which grows with M.
    words = ("--start", "0.3", "--schemes", "rloo", "--update-cost", "0", "--response-cost", "1")
    answer = ask(capsys, *words)
    assert answer["group_size_information"] == 128
    assert answer["recommended_group_size"] == 16  # 15/16 ≥ 0.9 × 127/128 > 7/8
    assert answer["group_size_drift"] == 2
    # Drawn until one is correct, small groups of rare successes cost 1/ρ responses, whatever M:
    # an update's drift is the same for all of them, its information M − 1 times one's.
    rare = ask(capsys, "--start", "1e-6", *words[2:], "--sampling", "until_any")
    assert rare["recommended_group_size"] == 128


@pytest.mark.parametrize("sampling", ["fixed", "until_any", "until_mixed"])
def test_group_sizes_are_the_best_of_those_compared(
    capsys: pytest.CaptureFixture[str], sampling: str
) -> None:
    rho, alpha, beta = 0.15, 3.0, 0.2
    answer = ask(
        capsys,
        "--start",
        str(rho),
        "--schemes",
        "linear_r",
        "--sampling",
        sampling,
        "--update-cost",
        str(alpha),
        "--response-cost",
        str(beta),
    )
    drift, information = {}, {}
    for size in (2, 4, 8, 16, 32, 64, 128):
        correct = np.arange(size + 1)
        chance = stats.binom.pmf(correct, size, rho)
        # Linear-R: a correct response of K gets (M − K)/K, a wrong one −1, all-right groups 0.
        right = (size - correct) / np.maximum(correct, 1)
        wrong = np.where(correct < size, 1.0, 0.0)
        second = chance @ (correct * right**2 + (size - correct) * wrong**2) / size
        weight = float(expected_weight("linear_r", size, np.asarray(rho)))
        kept = {
            "fixed": 1.0,
            "until_any": 1 - (1 - rho) ** size,
            "until_mixed": 1 - (1 - rho) ** size - rho**size,
        }[sampling]
        cost = alpha + beta * size / kept
        drift[size] = weight / cost
        information[size] = size * weight**2 * rho * (1 - rho) / second / cost
    assert answer["group_size_drift"] == max(drift, key=drift.__getitem__)
    most = max(information.values())
    assert information[answer["group_size_information"]] == most  # type: ignore[index]
    assert answer["recommended_group_size"] == next(
        size for size, value in information.items() if value >= 0.9 * most
    )


def test_the_figure_is_written_with_its_data(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    figure = tmp_path / "advice.svg"
    answer: Any = ask(capsys, "--start", "0.01", "--figure", str(figure))
    assert answer["figure"] == str(figure)
    assert figure.read_text().startswith("<?xml")
    data = pd.read_csv(tmp_path / "advice.csv")
    costs = data[data["panel"] == "costs"].set_index("scheme")["excess"]
    assert costs.to_dict() == pytest.approx(answer["excess_finite"])
    assert main(["advise", "--figure", str(tmp_path / "advice.doc")]) == 2
    assert ".png or .svg" in capsys.readouterr().err


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
    assert "algorithm.adv_estimator=apw_grpo actor_rollout_ref.rollout.n=16" in out
    assert "From a success probability of 0.4 to 0.9." in out
    assumptions = out.split("This assumes\n")[1].splitlines()
    assert len(assumptions) == 5
    assert all(line.startswith("- ") for line in assumptions)
    assert sum("It fails" in line for line in assumptions) == 4
    assert "only roughly" in out  # the fifth's way of saying so


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
        (["--start", "0.95"], "has reached the target"),
        (["--response-cost", "-1"], "costs must be at least 0"),
        (["--update-cost", "0", "--response-cost", "0"], "one of them positive"),
        (["--tries", "0"], "tries must be at least 1"),
        (["--group-size", "1"], "at least 2; got 1"),
        (["--schemes", "lens"], "lens"),
        (["--tokens", "100"], "--token-cost and --tokens"),
        (["--token-cost", "1"], "--token-cost and --tokens"),
        (["--token-cost", "1", "--tokens", "0"], "tokens must be positive"),
        (["--token-cost", "-1", "--tokens", "9"], "costs must be at least 0"),
        (["--token-cost", "1", "--tokens", "9", "--response-cost", "1"], "not both"),
        (["--response-cost", "nan"], "--response-cost must be a finite number or none"),
        (["--histogram", "0.5"], "RATE:PROMPTS, such as 0.25:40, with a rate in [0, 1]; got '0.5'"),
        (["--histogram", "1.5:2"], "got '1.5:2'"),
        (["--histogram", "0.5:2.5"], "a number of prompts must be whole"),
        (["--histogram", "0.5:0"], "counts no prompts"),
        (["--histogram", "0.5:1", "--rates", "x.txt"], "not by both"),
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
