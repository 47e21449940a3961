"""Prompts too long to train on are left out, by the model's own tokens, and counted."""

import json

import pytest

from llm_validation.config import TrainConfig
from llm_validation.prompt_length import without_long_prompts
from llm_validation.tasks import load_task
from llm_validation.tiny_model import character_tokenizer
from llm_validation.train import train


@pytest.fixture
def task(tmp_path):
    file = tmp_path / "gsm8k.jsonl"
    questions = ["1+1=", "1+1+1+1+1+1=", "2+2="]
    rows = [{"question": q, "answer": f"#### {i}"} for i, q in enumerate(questions)]
    file.write_text("\n".join(map(json.dumps, rows)))
    with load_task("gsm8k", train_path=file, test_path=file, style="plain", instruction="") as task:
        yield task


def test_prompts_up_to_the_limit_stay_in_order(task):
    tokenizer = character_tokenizer()
    short, long, _ = (len(tokenizer(example.prompt)["input_ids"]) for example in task.train)
    assert without_long_prompts(task, tokenizer, long) is task
    kept = without_long_prompts(task, tokenizer, long - 1)
    assert kept.train == [task.train[0], task.train[2]]
    assert kept.test == task.test
    reason = f"of the 3 to train on, longer than {long - 1} tokens"
    assert kept.report.dropped_ids == {reason: (task.train[1].id,)}
    assert f"left out: 1 ({reason})" in kept.describe()
    assert without_long_prompts(task, tokenizer, short).train == kept.train


def test_none_left_is_refused(task):
    with pytest.raises(ValueError, match="longer than max_prompt_tokens = 3; the shortest has"):
        without_long_prompts(task, character_tokenizer(), 3)


def test_a_training_without_prompts_that_fit_leaves_no_folder(tmp_path):
    config = TrainConfig(model="tiny", task="arithmetic", max_prompt_tokens=5, cpu=True)
    with pytest.raises(ValueError, match="max_prompt_tokens = 5; the shortest has 6 tokens"):
        train(config, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()
