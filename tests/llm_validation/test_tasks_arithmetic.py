"""The tiny tasks: a rule that holds on every prompt, and sums that no rule explains."""

import pytest

from llm_validation.tasks import load_task


def test_the_rule_is_the_second_digit_of_each_number():
    task = load_task("arithmetic", seed=0)
    assert (len(task.train), len(task.test)) == (2000, 500)
    for example in (*task.train, *task.test):
        a, b, plus, c, d, equals = example.prompt
        assert (plus, equals) == ("+", "=")
        assert (a + c).isdigit()
        assert example.gold == b + d
    prompts = [example.prompt for example in (*task.train, *task.test)]
    assert len(set(prompts)) == len(prompts)  # nothing held out is trained on


def test_what_is_memorised_is_unrelated_to_the_prompt():
    task = load_task("arithmetic", kind="memorise", train_size=4000, seed=0)
    assert task.test == task.train
    assert len(load_task("arithmetic", kind="memorise").train) == 64
    answers = [example.gold for example in task.train]
    assert all(len(answer) == 2 and answer.isdigit() for answer in answers)
    # Any rule is right one time in a hundred: 40 ± 6.3 of 4,000.
    rules = {
        "second digits": lambda p: p[1] + p[4],
        "first digits": lambda p: p[0] + p[3],
        "sum": lambda p: f"{(int(p[:2]) + int(p[3:5])) % 100:02d}",
    }
    for name, rule in rules.items():
        right = sum(rule(e.prompt) == e.gold for e in task.train)
        assert right < 40 + 5 * 6.3, name


def test_outcomes():
    task = load_task("arithmetic")
    responses = ["12", " 12\n", "21", "", "  ", "123", "12\0", "\ud800"]
    expected = ["correct", "correct", "wrong", "unparsable", "unparsable", *["wrong"] * 3]
    assert task.score(["12"] * len(responses), responses) == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "magic"}, "kind must be one of rule, memorise; got 'magic'"),
        ({"train_size": 9_800}, "at most 10000 together; got 9800 and 500"),
        ({"train_size": 0}, "must be positive"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        load_task("arithmetic", **options)
