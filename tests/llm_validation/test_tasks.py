"""Tasks by name: what they hold, what they say about themselves, and what they refuse."""

import inspect
import json

import pytest

from llm_validation.tasks import TASKS, Task, check_options, load_task
from llm_validation.tasks._select import select
from llm_validation.tasks.task import Example


def file_of(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def files(tmp_path):
    math = {"problem": "1+1?", "answer": "2", "level": 1, "subject": "Algebra"}
    gsm8k = {"question": "1+1?", "answer": "#### 2"}
    return {
        "math": file_of(tmp_path / "math.jsonl", [math]),
        "gsm8k": file_of(tmp_path / "gsm8k.jsonl", [gsm8k]),
    }


@pytest.mark.parametrize("name", TASKS)
def test_every_task_loads_and_describes_itself(name, files):
    options = {"train_path": files[name]} if name in files else {}
    if name in ("countdown", "reasoning_gym"):
        options |= {"train_size": 20, "test_size": 5}
    with load_task(name, limit=3, seed=1, **options) as task:
        assert isinstance(task, Task)
        assert task.name.startswith(name)
        assert 1 <= len(task.train) <= 3
        assert all(isinstance(example, Example) for example in (*task.train, *task.test))
        assert len({example.id for example in task.train}) == len(task.train)
        assert task.licence
        assert task.size
        assert task.report.read["train"] >= len(task.train)
        with pytest.raises(ValueError, match="must be as many; got 1 and 0"):
            task.score(["1"], [])


@pytest.mark.parametrize("name", ["arithmetic", "countdown", "small_countdown"])
def test_generated_tasks_depend_on_the_seed_alone(name):
    sizes = {"largest": 5} if name == "small_countdown" else {"train_size": 30, "test_size": 10}
    first, again, other = (load_task(name, seed=seed, **sizes) for seed in (1, 1, 2))
    assert first.train == again.train
    assert first.test == again.test
    assert first.train != other.train


def test_unknown_task_lists_the_known_ones():
    with pytest.raises(ValueError, match="unknown task 'maths'; known tasks: math, gsm8k, count"):
        load_task("maths")


def test_unknown_option_lists_the_known_ones():
    with pytest.raises(ValueError, match="gsm8k has no option 'level'; its options are: style"):
        load_task("gsm8k", level=3)


def test_paths_for_a_generated_task_are_refused():
    with pytest.raises(ValueError, match="arithmetic generates its prompts and takes no test_path"):
        load_task("arithmetic", test_path="x.jsonl")


def test_variants_are_reasoning_gyms_alone():
    with pytest.raises(ValueError, match="math has no variants; got math:algebra"):
        load_task("math:algebra")


@pytest.mark.parametrize("limit", [0, -1, 1.5, True])
def test_limit_must_be_a_positive_whole_number(limit):
    with pytest.raises(ValueError, match="limit must be a whole number of at least 1"):
        load_task("arithmetic", limit=limit)


def test_a_limited_split_is_a_subset_in_order():
    examples = [Example(str(i), "", str(i)) for i in range(100)]
    drawn = select(examples, 10, seed=0)
    places = [examples.index(example) for example in drawn]
    assert len(set(places)) == 10
    assert places == sorted(places)
    assert drawn == select(examples, 10, seed=0)
    assert drawn != select(examples, 10, seed=1)
    assert select(examples, 200, seed=0) == tuple(examples)


WRONG = {
    "levels": [1, "1", [1.5], [True], {"a": 1}],
    "subjects": ["Algebra", [1], 0],
    "style": [0, True, [], None],
    "instruction": [1, ["x"]],
    "strict": ["no", 0, None],
    "download": [1, "true"],
    "workers": [True, 1.5, "2", [1]],
    "timeout": ["5", [5.0], None, float("nan"), float("inf")],
    "train_size": [1.5, "9", [9], True, {}],
    "test_size": [1.5, "9", None],
    "numbers": ["3", 3.5, [3.5], ["3"]],
    "held_out": ["0.2", [0.2], float("nan"), None],
    "largest": ["99", 9.5],
    "kind": [1, None],
    "config": [1, "x", [["min_terms", 2]], {"min_terms": float("nan")}],
    "threshold": ["1", True, float("inf")],
    "tags": ["yes", 1],
    "dataset": [1, None],
    "anywhere": [1],
    "keep_leaked": [0],
    "require_box": ["no"],
    "refuse_restated": ["no"],
    "balanced": ["yes", 1],
}


@pytest.mark.parametrize("name", TASKS)
def test_options_of_another_type_are_refused_with_their_name(name):
    options = set(inspect.signature(check_options(name, {})).parameters)
    options -= {"train_path", "test_path", "limit", "seed"}
    assert options <= WRONG.keys()
    for option in options:
        for value in WRONG[option]:
            with pytest.raises(ValueError, match=f"the task option {option}.* must be"):
                check_options(name, {option: value})
