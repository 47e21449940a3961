"""Countdown: expressions are evaluated exactly and safely, and every problem has a solution."""

import itertools
import json
import re
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm_validation.tasks import load_task
from llm_validation.tasks.countdown import ExpressionMatch, evaluate

GOLD = json.dumps({"numbers": [3, 8, 8, 3], "target": 24})


def answer(expression: str) -> str:
    return f"<think>...</think> <answer>{expression}</answer>"


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        (answer("8 / (3 - 8 / 3)"), "correct"),  # exact fractions: floats give 23.999999999999996
        (answer(" 8 ÷ (3 − 8 ÷ 3)\n"), "correct"),
        (answer("1") + answer("8/(3-8/3)"), "correct"),
        (answer("8 + 8 + 8"), "wrong"),
        (answer("8 * 3"), "wrong"),  # right value, numbers left over
        (answer("(8 + 8) * 3 / (3 - 3 + 2)"), "wrong"),
        (answer("24"), "wrong"),
        (answer("8 / (3 - 3) * 8"), "wrong"),  # division by zero
        (answer("8 ** 3"), "unparsable"),
        (answer("8 // 3"), "unparsable"),
        (answer("3**3**8**8"), "unparsable"),
        (answer("__import__('os')"), "unparsable"),
        (answer("8 8"), "unparsable"),
        (answer("083"), "unparsable"),
        (answer("8 = 8"), "unparsable"),
        (answer("(" * 100 + "8" + ")" * 100), "unparsable"),
        (answer("-" * 199 + "8"), "wrong"),
        (answer("8" * 10**6), "unparsable"),
        (answer("\0"), "unparsable"),
        (answer(""), "unparsable"),
        ("8 / (3 - 8 / 3)", "unparsable"),  # no tags
        ("<answer>" * 10**5, "unparsable"),
        ("", "unparsable"),
    ],
)
def test_outcome(response, outcome):
    assert ExpressionMatch().score([GOLD], [response]) == [outcome]


@pytest.mark.parametrize("gold", ["", "{}", "[]", '{"numbers": 3, "target": 1}'])
def test_unreadable_gold_is_an_error(gold):
    assert ExpressionMatch().score([gold], [answer("1")]) == ["error"]


expressions = st.recursive(
    st.integers(0, 99).map(str),
    lambda inner: st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda t: f"({''.join(t)})"),
    max_leaves=8,
)


@given(expressions)
def test_value_agrees_with_python(expression):
    used, value = evaluate(expression)
    digits = "".join(c if c.isdigit() else " " for c in expression).split()
    assert sorted(used) == sorted(int(d) for d in digits)
    exact = "".join(f"Fraction({t})" if t.isdigit() else t for t in split(expression))
    try:
        assert value == eval(exact, {"Fraction": Fraction})
    except ZeroDivisionError:
        assert value is None


def split(expression: str) -> list[str]:
    return re.findall(r"\d+|\D", expression)


@given(st.text(alphabet="0123456789+-*/(). e_xj", max_size=250))
def test_anything_else_is_refused_or_a_number(text):
    try:
        used, value = evaluate(text)
    except ValueError:
        return
    assert value is None or isinstance(value, Fraction)
    assert set(text) <= set("0123456789+-*/() ")
    assert used


def solvable(numbers: list[Fraction], target: int) -> bool:
    if len(numbers) == 1:
        return numbers[0] == target
    for i, j in itertools.permutations(range(len(numbers)), 2):
        a, b = numbers[i], numbers[j]
        rest = [n for k, n in enumerate(numbers) if k not in (i, j)]
        results = [a + b, a - b, a * b] + ([a / b] if b else [])
        if any(solvable([*rest, result], target) for result in results):
            return True
    return False


# Small numbers divide by zero often.
@pytest.mark.parametrize(("seed", "largest"), [(1, 10), (3, 99)])
def test_every_made_problem_has_a_solution(seed, largest):
    task = load_task("countdown", train_size=60, test_size=20, seed=seed, largest=largest)
    assert (len(task.train), len(task.test)) == (60, 20)
    golds = [json.loads(example.gold) for example in (*task.train, *task.test)]
    for gold in golds:
        assert 3 <= len(gold["numbers"]) <= 4
        assert solvable([Fraction(n) for n in gold["numbers"]], gold["target"])
    keys = {(*sorted(gold["numbers"]), gold["target"]) for gold in golds}
    assert len(keys) == 80  # no problem twice, across the splits too
    assert {len(gold["numbers"]) for gold in golds} == {3, 4}


def test_rows_of_tinyzeros_file(tmp_path):
    file = tmp_path / "rows.jsonl"
    file.write_text('{"nums": [44, 19, 35], "target": 98}\n{"nums": "x", "target": 1}\n')
    with pytest.raises(ValueError, match="line 2: 'nums' must be a list of whole numbers"):
        load_task("countdown", train_path=file)
    task = load_task("countdown", train_path=file, strict=False)
    (example,) = task.train
    assert "44, 19, 35" in example.prompt[0]["content"]
    assert task.score([example.gold], [answer("44 + 19 + 35")]) == ["correct"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"numbers": [9]}, r"numbers must be counts from 2 to 6; got \[9\]"),
        ({"largest": 5}, "largest must be at least 10"),
        (
            {"numbers": [2], "largest": 10, "train_size": 300, "test_size": 100},
            "there are not 400 diff",
        ),
    ],
)
def test_bad_options(options, message, monkeypatch):
    with pytest.raises(ValueError, match=message):
        load_task("countdown", **options)
