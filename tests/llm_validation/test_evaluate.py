"""An evaluation is the same whether or not it was killed, and can be summarised again."""

import dataclasses
import json
import signal
import subprocess
import sys
import time

import pandas as pd
import pytest
import torch

from apw.main import main
from llm_validation import generation
from llm_validation.evaluate import evaluate
from llm_validation.evaluate_config import EvaluateConfig
from llm_validation.tasks import load_task
from llm_validation.tiny_model import character_tokenizer, tiny_llama
from runs.folder import RunExistsError, read_metrics

TASK = {"kind": "rule", "train_size": 10, "test_size": 12}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = character_tokenizer()
    tiny_llama(tokenizer, hidden_size=32, layers=1, seed=3).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def config(model: str, **changes) -> EvaluateConfig:
    values = {
        "model": model,
        "task": "arithmetic",
        "task_options": TASK,
        "samples": 4,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_response_tokens": 4,
        "batch": 4,
        "cpu": True,
        "engine": "transformers",
        "scheme": "grpo",
        "step": 7,
    }
    return EvaluateConfig(**{**values, **changes})


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """An evaluation that nothing interrupted."""
    return evaluate(config(tiny), tmp_path_factory.mktemp("runs") / "whole", progress=False)


def test_run_folder_is_complete(whole):
    names = {item.name for item in whole.path.iterdir()}
    assert names == {
        "config.json",
        "environment.json",
        "metrics.parquet",
        "pass_rates.csv",
        "samples.parquet",
        "summary.parquet",
        "task.json",
    }
    assert len(whole.samples) == whole.generated == 12 * 4
    assert whole.samples.groupby("problem").size().tolist() == [4] * 12
    stored = EvaluateConfig(**json.loads((whole.path / "config.json").read_text()))
    assert stored.task_options == TASK
    metrics = read_metrics(whole.path)
    assert set(metrics["scheme"]) == {"grpo"}
    assert set(metrics["step"]) == {7}
    logged = metrics.set_index("metric")["value"]
    for k in (1, 2, 3, 4):
        assert (
            logged[f"all/pass@{k}"],
            logged[f"all/pass@{k}/low"],
            logged[f"all/pass@{k}/high"],
        ) == whole.pass_at(k)
    assert logged["all/problems"] == 12
    assert 0 < logged["all/entropy"] < 2.64  # below ln of the vocabulary's 14 tokens
    json.dumps(whole.to_dict(), allow_nan=False)


def test_outcomes_are_the_tasks(whole):
    task = load_task("arithmetic", **TASK)
    golds = {example.id: example.gold for example in task.test}
    assert whole.samples["gold"].tolist() == [golds[p] for p in whole.samples["problem"]]
    scored = task.score(whole.samples["gold"].tolist(), whole.samples["response"].tolist())
    assert whole.samples["outcome"].tolist() == scored


def test_interrupted_evaluation_goes_on_where_it_was(tiny, whole, tmp_path, monkeypatch):
    class Dying(generation.TransformersSampler):
        batches = 0

        def sample(self, prompts, first):
            type(self).batches += 1
            if self.batches > 2:
                raise KeyboardInterrupt
            return super().sample(prompts, first)

    folder = tmp_path / "whole"
    with monkeypatch.context() as patch:
        patch.setattr(generation, "TransformersSampler", Dying)
        with pytest.raises(KeyboardInterrupt):
            evaluate(config(tiny), folder, progress=False)
    assert len(list((folder / "samples").glob("part-*.parquet"))) == 2
    with pytest.raises(RunExistsError, match="another configuration"):
        evaluate(config(tiny, seed=9), folder, progress=False)
    resumed = evaluate(config(tiny), folder, progress=False)
    assert resumed.generated == whole.generated - 2 * 2 * 4
    pd.testing.assert_frame_equal(resumed.samples, whole.samples)
    pd.testing.assert_frame_equal(resumed.summary, whole.summary)
    answered = evaluate(config(tiny), folder, progress=False)
    assert answered.generated == 0
    assert answered.to_dict()["summary"] == whole.to_dict()["summary"]
    with pytest.raises(RunExistsError, match="finished run"):
        evaluate(config(tiny, seed=9), folder, progress=False)
    again = evaluate(config(tiny), folder, overwrite=True, progress=False)
    pd.testing.assert_frame_equal(again.summary, whole.summary)


@pytest.mark.slow
def test_killed_evaluation_goes_on_where_it_was(tiny, whole, tmp_path):
    folder = tmp_path / "whole"
    script = tmp_path / "evaluate.py"
    script.write_text(
        "import sys, json\n"
        "from llm_validation.evaluate import evaluate\n"
        "from llm_validation.evaluate_config import EvaluateConfig\n"
        "from llm_validation import generation\n"
        "import time\n"
        "sample = generation.TransformersSampler.sample\n"
        "def slowly(self, prompts, first):\n"
        "    time.sleep(0.5)\n"
        "    return sample(self, prompts, first)\n"
        "generation.TransformersSampler.sample = slowly\n"
        "evaluate(EvaluateConfig(**json.loads(sys.argv[1])), sys.argv[2])\n"
    )
    words = [sys.executable, str(script), json.dumps(config(tiny).to_dict()), str(folder)]
    with subprocess.Popen(words, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120
        while not list(folder.glob("samples/part-*.parquet")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    resumed = evaluate(config(tiny), folder, progress=False)
    assert 0 < resumed.generated < whole.generated
    pd.testing.assert_frame_equal(resumed.samples, whole.samples)
    pd.testing.assert_frame_equal(resumed.summary, whole.summary)


def test_samples_are_summarised_again_without_a_model(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(generation, "make_sampler", None)  # calling it would fail
    again = EvaluateConfig(samples_path=str(whole.path / "samples.parquet"), attempts=(1, 4))
    summarised = evaluate(again, tmp_path / "again", progress=False)
    assert summarised.generated == 0
    for k in (1, 4):
        assert summarised.pass_at(k)[0] == whole.pass_at(k)[0]
    with pytest.raises(KeyError, match="no pass@2 for all"):
        summarised.pass_at(2)


def test_samples_are_scored_again_on_request(whole, tmp_path):
    file = tmp_path / "samples.parquet"
    whole.samples.assign(response=whole.samples["gold"]).to_parquet(file)
    kept = EvaluateConfig(samples_path=str(file))
    same = evaluate(kept, tmp_path / "kept", progress=False)
    assert same.pass_at(1)[0] == whole.pass_at(1)[0]
    rescore = dataclasses.replace(kept, task="arithmetic", task_options=TASK, rescore=True)
    assert evaluate(rescore, tmp_path / "again", progress=False).pass_at(1)[0] == 1.0
    whole.samples.drop(columns="gold").to_parquet(file)
    with pytest.raises(ValueError, match="lacks the column 'gold': cannot rescore"):
        evaluate(rescore, tmp_path / "broken", progress=False)


def test_split_without_problems_is_named(tiny, tmp_path):
    empty = config(tiny, task_options={**TASK, "test_size": 0})
    with pytest.raises(ValueError, match="arithmetic has no test problems; give test_path"):
        evaluate(empty, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": ""}, "give a model to sample from or samples_path to read, and not both"),
        ({"samples_path": "x"}, "and not both"),
        ({"engine": "magic"}, "engine must be one of auto, transformers, vllm; got 'magic'"),
        ({"samples": 0}, "samples must be a whole number from 1 to 1,000,000; got 0"),
        ({"batch": 2.5}, "batch must be a whole number from 1 to"),
        ({"limit": 0}, "limit must be a whole number from 1 to"),
        ({"top_p": 0.0}, r"top_p must be a number in \(0, 1\]; got 0.0"),
        ({"temperature": 0.0}, "at temperature 0 all samples are equal; set samples to 1"),
        ({"level": 1.0}, r"level must be a number in \(0, 1\); got 1.0"),
        ({"attempts": (0,)}, "attempts must be a list, each item a whole number from 1"),
        ({"attempts": (1, 8)}, "attempts must be at most samples = 4"),
    ],
)
def test_bad_configuration_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        config(**{"model": "model", **changes})


def test_configuration_needs_no_torch():
    code = (
        "import sys, llm_validation.evaluate_config, llm_validation.evaluate\n"
        "assert not {'torch', 'transformers', 'jax'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_memory_that_does_not_suffice_is_said_and_loses_nothing(
    tiny, whole, tmp_path, monkeypatch, capsys
):
    command = ["evaluate", "--model", tiny, "--task", "arithmetic", "--samples", "4", "--cpu"]
    command += ["--task-options", *(f"{key}={value}" for key, value in TASK.items())]
    command += ["--max-response-tokens", "4", "--batch", "4", "--engine", "transformers"]
    command += ["--temperature", "1", "--top-p", "1", "--scheme", "grpo", "--step", "7"]
    inner = generation.TransformersSampler.sample

    def full(self, prompts, first):
        if first >= 4:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB.")
        return inner(self, prompts, first)

    monkeypatch.setattr(generation.TransformersSampler, "sample", full)
    assert main([*command, "--out", str(tmp_path / "run")]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == (
        "apw evaluate: out of memory at problems 5 to 6, which asked for 2.50 GiB more, with 4 "
        "responses of up to 4 tokens at once; less is taken with --batch 2, --dtype bfloat16 or a "
        "smaller --max-response-tokens"
    )
    monkeypatch.undo()
    again = evaluate(config(tiny), tmp_path / "run", progress=False)
    pd.testing.assert_frame_equal(again.samples, whole.samples)
    assert again.generated < whole.generated


def test_samples_can_be_added_later(tiny, whole, tmp_path):
    later = evaluate(config(tiny, samples=2, first_sample=2), tmp_path / "later", progress=False)
    expected = whole.samples[whole.samples["sample"] >= 2].reset_index(drop=True)
    columns = ["problem", "sample", "response", "outcome"]
    pd.testing.assert_frame_equal(later.samples[columns], expected[columns])
