"""MATH is read without its leaked rows, by level and subject, on the real files where present."""

import json
from collections import Counter
from pathlib import Path

import pytest

from llm_validation.tasks import load_task

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"
TRAIN, TEST, MATH_500 = DATA / "math/train.jsonl", DATA / "math/test.jsonl", DATA / "math500.jsonl"
needs_data = pytest.mark.skipif(not MATH_500.exists(), reason="MATH is not at hand")


def row(**changes):
    values = {
        "problem": "What is $1+1$?",
        "solution": r"It is $\boxed{2}$.",
        "level": "Level 1",
        "type": "Prealgebra",
    }
    return {**values, **changes}


def write(path, *rows):
    path.write_text("".join(json.dumps(one) + "\n" for one in rows))
    return path


@pytest.fixture(scope="module")
def math():
    with load_task("math", train_path=TRAIN, test_path=TEST) as task:
        yield task


@needs_data
def test_leaked_and_empty_rows_are_left_out_of_training(math):
    assert math.report.read == {"train": 7500, "test": 5000}
    assert math.report.dropped_ids == {
        "train: leaked": ("train/1414", "train/2948"),
        "train: empty answer": ("train/5341", "train/5343"),
    }
    assert (len(math.train), len(math.test)) == (7496, 5000)
    asked = {"".join(e.prompt[0]["content"].split()) for e in math.test}
    assert not any("".join(e.prompt[0]["content"].split()) in asked for e in math.train)


@needs_data
def test_leaks_are_known_without_the_test_split(math):
    with load_task("math", train_path=TRAIN, test_path=MATH_500) as task:
        assert task.report.dropped == math.report.dropped
        assert task.train == math.train
        assert len(task.test) == 500
    with load_task("math", train_path=TRAIN, keep_leaked=True) as task:
        assert task.report.dropped == {"train: empty answer": 2}


@needs_data
def test_levels_and_subjects_are_the_published_counts(math):
    levels = Counter(example.metadata["level"] for example in math.test)
    assert levels == {1: 437, 2: 894, 3: 1131, 4: 1214, 5: 1324}
    options = {"levels": [4, 5], "subjects": ["Geometry"]}
    with load_task("math", test_path=TEST, **options) as task:
        assert len(task.test) == 125 + 132
        assert task.report.dropped == {"test: other level": 2462, "test: other subject": 2281}
        assert task.to_dict()["dropped_ids"] == {}
    assert sum(example.metadata["level"] is None for example in math.train) == 2


@needs_data
def test_gold_answers_score(math):
    sample = math.test[::100]
    golds = [example.gold for example in sample]
    assert math.score(golds, [f"so $\\boxed{{{gold}}}$" for gold in golds]) == ["correct"] * 50
    assert "correct" not in math.score(golds, ["I do not know."] * 50)


def test_answer_comes_from_the_last_box(tmp_path):
    nested = row(solution=r"first \boxed{1}, then \boxed{\frac{1}{2}}", level=3)
    with load_task("math", train_path=write(tmp_path / "a.jsonl", row(), nested)) as task:
        assert [example.gold for example in task.train] == ["2", r"\frac{1}{2}"]
        assert [example.metadata["level"] for example in task.train] == [1, 3]
        assert task.train[0].metadata["subject"] == "Prealgebra"
        assert task.train[0].prompt[0]["content"].startswith("What is $1+1$?\n\nPlease reason")


def test_level_and_subject_are_needed_only_by_the_options_that_use_them(tmp_path):
    bare = {"problem": "What is $1+1$?", "solution": r"It is $\boxed{2}$."}
    file = write(tmp_path / "a.jsonl", bare)
    with load_task("math", train_path=file) as task:
        assert [example.gold for example in task.train] == ["2"]
        assert task.train[0].metadata == {"level": None, "subject": None}
    with pytest.raises(ValueError, match="line 1: the option levels needs the column 'level'"):
        load_task("math", train_path=file, levels=[3])
    with pytest.raises(ValueError, match="line 1: the row lacks 'subject' or 'type'"):
        load_task("math", train_path=file, subjects=["Algebra"])


def test_rows_equal_to_a_test_row_up_to_white_space_leak(tmp_path):
    train = write(tmp_path / "a.jsonl", row(problem="What  is\n$1+1$?"), row(problem="And $2+2$?"))
    test = write(tmp_path / "b.jsonl", row())
    with load_task("math", train_path=train, test_path=test) as task:
        assert [example.id for example in task.train] == ["row/1"]
        assert task.report.dropped_ids == {"train: leaked": ("row/0",)}
        assert task.to_dict()["dropped"] == {"train: leaked": 1}
        assert task.to_dict()["dropped_ids"] == {"train: leaked": ["row/0"]}
        assert "left out: 1 (train: leaked)" in task.describe()


def test_plain_style_is_text(tmp_path):
    file = write(tmp_path / "a.jsonl", row())
    with load_task("math", test_path=file, style="plain", instruction="") as task:
        assert task.test[0].prompt == "Question: What is $1+1$?\n\nAnswer:"
    with pytest.raises(ValueError, match="style must be one of chat, plain; got 'fancy'"):
        load_task("math", test_path=file, style="fancy")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"levels": [6]}, "levels of MATH are 1, 2, 3, 4, 5; got 6"),
        ({"levels": []}, "levels of MATH are 1, 2, 3, 4, 5; got none"),
        ({"subjects": ["Magic"]}, "subjects of MATH are Algebra, .*; got 'Magic'"),
        ({"levels": [2]}, "no test problem of MATH has such a level and subject"),
    ],
)
def test_bad_filters(tmp_path, options, message):
    file = write(tmp_path / "a.jsonl", row())
    with pytest.raises(ValueError, match=message):
        load_task("math", test_path=file, **options)


def test_solution_without_a_box_and_no_path(tmp_path):
    file = write(tmp_path / "a.jsonl", row(solution="It is 2."))
    with pytest.raises(ValueError, match=r"line 1: the solution ends in no \\boxed\{\}"):
        load_task("math", test_path=file)
    with pytest.raises(ValueError, match="math reads its problems from files: give train_path"):
        load_task("math")


def test_a_balanced_draw_takes_levels_in_turns(tmp_path):
    rows = [
        {"problem": f"p{i}", "answer": "1", "level": level, "unique_id": f"id{i}"}
        for i, level in enumerate([1] * 9 + [2] * 3 + ["Level ?"] + [3] * 2 + [5] * 9)
    ]
    path = tmp_path / "rows.jsonl"
    path.write_text("\n".join(map(json.dumps, rows)))

    def draw(limit, seed=0):
        task = load_task("math", train_path=path, limit=limit, seed=seed, balanced=True)
        return [(example.id, example.metadata["level"]) for example in task.train]

    whole = draw(None)
    assert [level for _, level in whole] == [1, 2, 3, 5] * 2 + [1, 2, 5] + [1, 5] * 6
    assert len(dict(whole)) == 23
    assert draw(7) == whole[:7]
    assert draw(None, seed=1) != whole
    assert whole != sorted(whole, key=lambda row: row[1])
