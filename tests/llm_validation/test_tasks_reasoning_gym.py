"""Reasoning-gym datasets: scored by their own functions, in a process that may be killed."""

import json

import pytest
from reasoning_gym import create_dataset
from reasoning_gym.factory import DATASETS

from llm_validation._verifier_judges import ReasoningGymJudge, untagged
from llm_validation.tasks import load_task
from llm_validation.tasks.reasoning_gym import _BROKEN, _tagged


def answers_of(task):
    return [json.loads(example.gold, object_hook=untagged)["answer"] for example in task.train]


# Arithmetic, algebra (an evaluating scorer), code-like, logic; one whose entries need a hash seed.
@pytest.mark.parametrize(
    "name", ["chain_sum", "polynomial_multiplication", "base_conversion", "knights_knaves"]
)
def test_right_answers_score_and_wrong_ones_do_not(name):
    options = {"train_size": 4, "test_size": 0, "workers": 1, "timeout": 20.0}
    with load_task(f"reasoning_gym:{name}", seed=1, **options) as task:
        golds = [example.gold for example in task.train]
        right = [f"I think <answer>{answer}</answer>" for answer in answers_of(task)]
        assert task.score(golds, right) == ["correct"] * 4
        assert "correct" not in task.score(golds, ["<answer>a guess</answer>"] * 4)
        untaged = [text.replace("answer>", "reply>") for text in right]
        assert task.score(golds, untaged) == ["unparsable"] * 4


def test_without_tags_the_whole_response_is_the_answer():
    options = {"train_size": 1, "test_size": 0, "workers": 1, "tags": False, "style": "plain"}
    with load_task("reasoning_gym:chain_sum", **options) as task:
        assert "<answer>" not in str(task.train[0].prompt)
        (answer,) = answers_of(task)
        responses = [f" {answer}\n", answer, f"It is {answer}", f"<answer>{answer}</answer>", " "]
        outcomes = task.score([task.train[0].gold] * 5, responses)
    assert outcomes == ["correct", "correct", "wrong", "wrong", "unparsable"]


def test_references_that_only_say_the_problem_again_are_left_out():
    """SymPy leaves some integrals as they are, and then saying the problem again is right."""
    options = {"train_size": 120, "test_size": 30, "workers": 1, "timeout": 20.0}
    with load_task("reasoning_gym:intermediate_integration", seed=0, **options) as task:
        left = task.report.dropped["reference not evaluated"]
        assert left > 5
        assert len(task.train) + len(task.test) == 150 - sum(task.report.dropped.values())
        assert not any("Integral(" in answer for answer in answers_of(task))


def test_answers_evaluated_as_python_do_no_harm(tmp_path):
    trap = tmp_path / "pwned"
    payloads = [
        f"open('{trap}', 'w')",
        f"eval(chr(111) + 'pen')('{trap}', 'w')",
        f"__import__('os').system('touch {trap}')",
        f"exec('import os; os.mkdir(\"{trap}\")')",
        "exec('import os; os.kill(os.getppid(), 9)')",
        "exec('while True: pass')",
        "9**9**9**9",
        "(" * 5000,
        "\0",
        "\ud800",
        "x" * 10**6,
    ]
    options = {"train_size": 1, "test_size": 0, "workers": 1, "timeout": 1.0}
    with load_task("reasoning_gym:polynomial_multiplication", **options) as task:
        golds = [task.train[0].gold] * len(payloads)
        outcomes = task.score(golds, [f"<answer>{payload}</answer>" for payload in payloads])
        assert set(outcomes) <= {"wrong", "unparsable", "timeout"}
    assert not trap.exists()


def test_splits_share_no_question():
    options = {"train_size": 50, "test_size": 200, "workers": 1}
    with load_task("reasoning_gym:prime_factorization", **options) as task:
        asked = {example.prompt[0]["content"] for example in task.train}
        assert not asked & {example.prompt[0]["content"] for example in task.test}
        repeated = task.report.dropped["test: leaked"]
        assert repeated > 0
        assert len(task.test) + repeated == 200


def test_entries_survive_json():
    entry = {"answer": None, "metadata": {"t": (1, [2.5, ("a",)]), "d": {1: "x", (2, 3): []}}}
    assert json.loads(json.dumps(_tagged(entry)), object_hook=untagged) == entry


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "chain_sun"}, "unknown reasoning-gym dataset 'chain_sun'.*chain_sum"),
        ({"config": {"min_terms": -3}}, "refuses the options of chain_sum"),
        ({"config": {"magic": 1}}, "refuses the options of chain_sum"),
        ({"threshold": 0.0}, r"threshold must lie in \(0, 1\]"),
        ({"train_size": 0}, "train_size must be at least 1"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        load_task("reasoning_gym", **options)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("game_of_life_halting", "takes every answer"), ("coin_flip", "takes 0 for correct")],
)
def test_a_dataset_whose_scorer_can_be_cheated_is_refused_for_a_reason_that_holds(name, reason):
    with pytest.raises(ValueError, match=f"{name} cannot be used: its scorer {reason}"):
        load_task(f"reasoning_gym:{name}", train_size=1, test_size=0)
    dataset = create_dataset(name, size=10, seed=0)
    others = [entry for entry in dataset if entry["answer"] != "1"]
    assert others
    assert all(dataset.score_answer("0", entry) == 1 for entry in others)


NAMES = sorted(set(DATASETS) - set(_BROKEN) - {"composite"})
# Their entries name no answer, since several are right.
SEVERAL = {"boxnet", "graph_color", "propositional_logic", "rubiks_cube", "rush_hour"}
CHEATS = ("nan", "NaN", "nan+nanj", "-nani", "a guess", "[]", "{}", "inf", "1e999")


@pytest.mark.filterwarnings("ignore")  # some of them leave files open
def test_every_dataset_scores_its_own_answers_and_no_cheap_ones():
    assert len(NAMES) > 100
    for name in NAMES:
        with load_task(f"reasoning_gym:{name}", train_size=2, test_size=0) as task:
            judge = ReasoningGymJudge(name, {"size": 2, "seed": 0}, 1.0)
            for example in task.train:
                gold = judge.read_gold(example.gold)
                if name not in SEVERAL:
                    assert judge.judge(gold, str(gold["answer"]))[0] == "correct", name
                for cheat in CHEATS:
                    assert judge.judge(gold, cheat)[0] != "correct", (name, cheat)


def test_answers_with_nan_in_a_word_are_looked_at():
    judge = ReasoningGymJudge("letter_counting", {"size": 1, "seed": 0}, 1.0)
    gold = {"answer": "3", "metadata": {}}
    assert judge.judge(gold, "nan")[0] == "unparsable"
    assert judge.judge(gold, "Nancy has a banana")[0] == "wrong"
