"""Pass@k before and after one training: paired by problem, on the problems both have."""

import json

import numpy as np
import pandas as pd
import pytest

from apw.main import main
from claims.language_model.before_after import compare, literal
from runs.folder import Run
from theory.pass_at_k import pass_at_k


def samples(right, n=8):
    """n responses to each problem, so many of them right."""
    rows = [
        (
            problem,
            "correct" if i < count else "wrong",
            3,
            False,
            "12",
            "3 + 9" if i else "It is 12.",
        )
        for problem, count in right.items()
        for i in range(n)
    ]
    columns = ["problem", "outcome", "tokens", "truncated", "gold", "response"]
    return pd.DataFrame(rows, columns=columns)


BEFORE, AFTER = {"a": 1, "b": 0, "c": 4, "only here": 8}, {"a": 5, "b": 0, "c": 8, "only there": 0}


def test_only_problems_of_both_count_and_gains_are_paired():
    table = compare(samples(BEFORE), samples(AFTER)).set_index("k")
    assert table.index.tolist() == list(range(1, 9))
    assert set(table["problems"]) == {3}
    for k in (1, 4, 8):
        first = [float(pass_at_k(8, c, k)) for c in (1, 0, 4)]
        second = [float(pass_at_k(8, c, k)) for c in (5, 0, 8)]
        assert table.loc[k, "before"] == pytest.approx(np.mean(first))
        assert table.loc[k, "after"] == pytest.approx(np.mean(second))
        assert table.loc[k, "gain"] == pytest.approx(np.mean(second) - np.mean(first))
        assert table.loc[k, "gain_low"] <= table.loc[k, "gain"] <= table.loc[k, "gain_high"]


def test_problems_that_differ_altogether_are_refused():
    with pytest.raises(ValueError, match="no problem in common"):
        compare(samples({"a": 1}), samples({"b": 1}))


@pytest.mark.parametrize(
    ("gold", "response", "given"),
    [
        ("21y+14", r"So $7(3y+2) = 21y + 14$.", True),
        ("21y+14", "It is $7(3y+2)$.", False),
        (r"\frac{4}{5}", r"\dfrac{4}{5}", True),
        (r"\frac{4}{5}", r"\frac{16}{20}", False),
        (r"(-1, 2)", r"\left(-1,2\right)", True),
        ("26000", "26,000 of them", True),
        ("3", "x = 3.", True),
        ("3", "13, 3.5, 31 or 3^5", False),
    ],
)
def test_an_answer_is_told_from_an_expression_of_the_same_worth(gold, response, given):
    table = samples({"a": 1}, n=2).assign(gold=gold, response=response)
    assert literal(table) == {"responses": 2, "correct": 1, "correct_literal": int(given)}


def test_tables_are_published(tmp_path, capsys):
    run = Run.open(tmp_path / "train", {"scheme": "sqrt_r"}, source="llm")
    for step in (1, 2):
        run.log(scheme="sqrt_r", seed=0, step=step, reward=0.1 * step, step_time=9.0)
    run.finish()
    for name, right in (("before", BEFORE), ("after", AFTER)):
        Run.open(tmp_path / name, {"model": name}, source="llm").close()
        samples(right).to_parquet(tmp_path / name / "samples.parquet")
    runs = [str(tmp_path / name) for name in ("train", "before", "after")]
    assert main(["claims", "--gain", *runs, "--evidence", str(tmp_path / "out")]) == 0
    assert "gain_low" in capsys.readouterr().out
    curves = pd.read_csv(tmp_path / "out" / "curves.csv")
    assert curves.to_dict("list") == {
        "scheme": ["sqrt_r"] * 2,
        "seed": [0, 0],
        "step": [1, 2],
        "reward": [0.1, 0.2],
    }
    assert len(pd.read_csv(tmp_path / "out" / "pass_at_k.csv")) == 8
    assert pd.read_csv(tmp_path / "out" / "answers.csv").to_dict("list") == {
        "when": ["before", "after"],
        "responses": [32, 32],
        "correct": [13, 13],
        "correct_literal": [3, 2],
    }
    environment = json.loads((tmp_path / "out" / "environment.json").read_text())
    assert environment["after"] == {"model": "after"}
    words = ["claims", "--gain", str(tmp_path / "nothing"), *runs[1:], "--evidence", str(tmp_path)]
    assert main(words) == 2
    assert "no finished run" in capsys.readouterr().err
