"""GSM8K: numbers are compared as numbers, exactly."""

from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_validation.tasks import load_task
from llm_validation.tasks.gsm8k import NumberMatch, read_number

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "gsm8k"


@pytest.mark.parametrize(
    ("gold", "response", "outcome"),
    [
        ("72", r"\boxed{72}", "correct"),
        ("72", r"\boxed{72.00}", "correct"),
        ("1200", r"\boxed{\$1{,}200}", "correct"),
        ("1200", r"\boxed{1,200 \text{ dollars}}", "correct"),
        ("0.5", r"\boxed{.5}", "correct"),
        ("-3", "it is #### -3\nDone.", "correct"),
        ("18", "She makes $18 a day.", "correct"),
        ("18", "She makes 18.5 a day.", "wrong"),
        ("18", r"\boxed{19}, not 18", "wrong"),
        ("18", r"\boxed{eighteen}", "unparsable"),
        ("18", r"\boxed{9^9^9^9}", "unparsable"),
        ("18", r"\boxed{" + "9" * 5000 + "}", "unparsable"),
        ("18", "no number", "unparsable"),
        ("18", "", "unparsable"),
        ("18", "9" * 10**5, "unparsable"),
        ("18", "18\0\ud800", "correct"),
        ("18", r"\boxed{١٨}", "unparsable"),
        ("many", r"\boxed{18}", "error"),
    ],
)
def test_outcome(gold, response, outcome):
    assert NumberMatch().score([gold], [response]) == [outcome]


def test_a_number_anywhere_counts_only_if_allowed():
    assert NumberMatch(anywhere=False).score(["18"] * 2, ["It is 18.", "#### 18"]) == [
        "unparsable",
        "correct",
    ]


@given(st.decimals(-(10**9), 10**9, places=3), st.text("{}\\$#boxed 0123456789.,", max_size=50))
def test_a_boxed_number_is_read_whatever_stands_before_it(number, before):
    response = f"{before} \\boxed{{{number:,}}}"
    assert NumberMatch().score([str(number)], [response]) == ["correct"]
    assert NumberMatch().score([str(number + 1)], [response]) == ["wrong"]


@given(st.text("{}\\$,.%+-textdols 0123456789٣", max_size=120))
def test_whatever_is_read_is_a_finite_number(text):
    number = read_number(text)
    assert number is None or number.is_finite()


@pytest.mark.skipif(not DATA.exists(), reason="GSM8K is not at hand")
def test_real_files():
    task = load_task("gsm8k", train_path=DATA / "train.jsonl", test_path=DATA / "test.jsonl")
    assert (len(task.train), len(task.test)) == (7473, 1319)
    golds = [example.gold for example in task.test]
    assert set(task.score(golds, [f"\\boxed{{{gold}}}" for gold in golds])) == {"correct"}
    wrong = [f"\\boxed{{{Decimal(gold) + 1}}}" for gold in golds]
    assert set(task.score(golds, wrong)) == {"wrong"}
    # The reference solutions end in "#### number".
    import json

    lines = (DATA / "test.jsonl").read_text().splitlines()
    assert set(task.score(golds, [json.loads(line)["solution"] for line in lines])) == {"correct"}


def test_answer_that_is_no_number_is_a_bad_row(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"question": "How many?", "answer": "many"}\n')
    with pytest.raises(ValueError, match="line 1: 'answer' must be a number or end in '#### num"):
        load_task("gsm8k", train_path=file)
    with pytest.raises(ValueError, match="gsm8k reads its problems from files"):
        load_task("gsm8k")
