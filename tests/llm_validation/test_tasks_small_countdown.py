"""Countdown for a tiny model: nothing leaks, and what is scored right is what is listed."""

import itertools

import pytest

from llm_validation.tasks import load_task
from llm_validation.tasks.expressions import legal_expressions
from llm_validation.tasks.small_countdown import (
    characters,
    level,
    parse_problem,
    problems,
    right_expressions,
)

SMALL = {"largest": 7}


def test_no_numbers_and_no_target_of_a_training_prompt_are_held_out():
    with load_task("small_countdown", **SMALL) as task:
        train = [parse_problem(example.gold) for example in task.train]
        test = [parse_problem(example.gold) for example in task.test]
    assert len(train) > 300
    assert len(test) > 10
    for part in (0, 1):
        assert not {problem[part] for problem in train} & {problem[part] for problem in test}
    assert len(set(train)) == len(train)


def test_the_same_seed_gives_the_same_prompts_and_another_gives_others():
    first, again, other = (load_task("small_countdown", seed=s, **SMALL) for s in (0, 0, 1))
    assert first.train == again.train
    assert first.test == again.test
    assert {e.id for e in first.test} != {e.id for e in other.test}


def test_of_all_expressions_those_listed_are_right_and_no_others():
    task = load_task("small_countdown", **SMALL)
    for example in task.test:
        numbers, target = parse_problem(example.gold)
        listed = set(right_expressions(example.gold))
        assert (
            len(listed) == example.metadata["right_expressions"] == problems(3, 7)[numbers, target]
        )
        assert example.metadata["level"] == level(len(listed))
        every = [e.text for e in legal_expressions(numbers)]
        outcomes = task.score([example.gold] * len(every), every)
        assert {text for text, o in zip(every, outcomes, strict=True) if o == "correct"} == listed


@pytest.mark.parametrize(
    ("response", "outcome"),
    [
        ("2+5*b", "correct"),
        ("5*b+2", "wrong"),  # another spelling
        ("(2+5*b)", "wrong"),
        ("2+5*b ", "unparsable"),
        ("2+5*11", "wrong"),  # thirty-seven, to the base 36
        ("2*5+b", "wrong"),
        ("39", "wrong"),  # 57, but of no given number
        ("2+5*b+5-5", "wrong"),
        ("", "unparsable"),
        ("2+5*(b/(5-5))", "unparsable"),
        ("<end>", "unparsable"),
        ("exec('2+5*b')", "unparsable"),
    ],
)
def test_an_answer_is_a_right_expression_in_its_one_spelling(response, outcome):
    task = load_task("small_countdown", largest=4)
    assert [str(o) for o in task.score(["25b:57"], [response])] == [outcome]


def test_a_fifth_of_numbers_and_targets_is_held_out_of_every_problem():
    every = problems(3, 7)
    task = load_task("small_countdown", **SMALL)
    sets = len(list(itertools.combinations_with_replacement(range(1, 8), 3)))
    held = {parse_problem(e.gold)[0] for e in task.test}
    assert len(held) <= round(sets / 5)
    assert len(task.train) + len(task.test) < len(every)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"numbers": 5}, "numbers must be 3 or 4"),
        ({"largest": 36}, "largest 4 to 35"),
        ({"held_out": 1.0}, r"held_out must lie in \(0, 1\)"),
        ({"held_out": 0.999, "largest": 4}, "leaves a split without problems"),
    ],
)
def test_what_cannot_be_made_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        load_task("small_countdown", **options)


@pytest.mark.parametrize(
    "gold", ["", "25b", "25b:0", "25b:00", "25b:5", "20b:57", "25G:57", "2:57", "２5b:57"]
)
def test_what_is_no_problem_is_refused(gold):
    with pytest.raises(ValueError, match="a problem is three or four digits or letters"):
        parse_problem(gold)


def test_numbers_up_to_35_are_one_character_each():
    assert parse_problem("2bz:99") == ((2, 11, 35), 99)
    assert right_expressions("2bz:57") == ["2*b+z"]
    assert set("2bz:57=" + "2*b+z") <= set(characters(35))
    assert set(characters()) < set(characters(35))
