"""The same numbers with one process and with two (gloo), as a launcher starts them."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load_file

from llm_validation.checkpoints import last_checkpoint
from llm_validation.config import TrainConfig
from llm_validation.train import run_key, train
from runs.folder import read_metrics

CODE = """
import json, os, signal, sys, time
from accelerate import PartialState
from transformers import Trainer
from llm_validation import callbacks
from llm_validation.config import TrainConfig
from llm_validation.train import train
state = PartialState(cpu=True)
assert state.num_processes == 2
def delay(name, before, after):
    inner = getattr(Trainer, name)
    def slow(self, *arguments, **options):
        time.sleep(before)
        inner(self, *arguments, **options)
        time.sleep(after)
    setattr(Trainer, name, slow)
if state.process_index == 0:
    delay("save_model", 0, 1)
else:
    delay("_finalize_training", 0, 0.5)
    save = Trainer._save_rng_state
    def deadly(self, folder):
        if self.state.global_step == 4 and sys.argv[3] == "die":
            time.sleep(2)
            os.kill(os.getpid(), signal.SIGKILL)
        save(self, folder)
    Trainer._save_rng_state = deadly
train(TrainConfig.from_dict(json.loads(sys.argv[1])), sys.argv[2], progress=False)
"""


def numbers(path):
    """Metrics of a run by step and name.

    Without those that read the clock on the wall, and without TRL's mean entropy, which is a mean
    over micro-batches of means over tokens and so depends on which rows share a micro-batch.
    """
    metrics = read_metrics(path)
    kept = metrics[~metrics["metric"].isin(["step_time", "entropy"])]
    return kept.set_index(["step", "metric"])["value"].sort_index()


def launched(script, *arguments, timeout):
    """Two processes of a script, as torch starts them, when they have ended."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    return subprocess.run(
        [sys.executable, *launch, str(script), *map(str, arguments)],
        check=False,
        capture_output=True,
        text=True,
        timeout=timeout,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.slow
@pytest.mark.usefixtures("one_thread")
@pytest.mark.parametrize("scheme", ["lens"])
def test_two_processes_of_which_one_is_killed_train_as_one_does(tmp_path, scheme):
    # LENS needs everything gathered: rewards, confidences, lengths. Each process makes half of
    # every group's neighbours, in two micro-batches. One process is killed where only its part of
    # the second checkpoint is missing, and all is started again; each is slow where files are
    # written, so that one which does not wait for the other trips over it.
    config = TrainConfig(
        schemes=(scheme,),
        seeds=1,
        steps=4,
        warm_up_steps=10,
        initial_success=0.3,
        prompts_per_step=4,
        group_size=4,
        micro_batch=4,
        measure_every=1,
        checkpoint_every=2,
        threads=1,
        cpu=True,
        save_models=True,
    )
    script = tmp_path / "script.py"
    script.write_text(CODE)
    for fate, status in (("die", 1), ("live", 0)):
        told = json.dumps(config.to_dict()), tmp_path / "two", fate
        done = launched(script, *told, timeout=900)
        assert done.returncode == status, done.stderr
        assert ("SIGKILL" in done.stderr) == (fate == "die"), done.stderr
        if fate == "die":
            left = last_checkpoint(tmp_path / "two" / "checkpoints" / run_key(scheme, 0))
            assert left is not None
            assert left.name == "checkpoint-2"
    train(config, tmp_path / "one", progress=False)
    one, two = (numbers(tmp_path / name) for name in ("one", "two"))
    assert one.index.equals(two.index)
    # Sums over rows are taken in another order, in float32, and Adam divides by their roots.
    np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-5)
    weights = [
        load_file(tmp_path / name / "models" / run_key(scheme, 0) / "model.safetensors")
        for name in ("one", "two")
    ]
    for name, value in weights[0].items():
        # A hundredth of a step of the learning rate, 4.5e-4.
        np.testing.assert_allclose(value, weights[1][name], rtol=0, atol=4.5e-6)


DEAD = """
import json, sys
import torch
from accelerate import PartialState
from datasets import Dataset
from trl import GRPOConfig
from llm_validation.config import TrainConfig
from llm_validation.initial_model import load
from llm_validation.trainer import WeightedGRPOTrainer

folder, out = sys.argv[1:]
state = PartialState(cpu=True)
assert state.num_processes == 2
torch.set_num_threads(1)
# The first four prompts can never be answered right: those of process 0. The others often are.
rows = [
    {"prompt": f"{i}{i + 1}+{i}4=", "gold": "none" if i < 4 else str(i + 1)} for i in range(8)
] + [{"prompt": f"{i}2+3{i}=", "gold": "2"} for i in range(8)]

def first_digit(completions, gold, **_):
    return [float(c[:1] == g) for c, g in zip(completions, gold, strict=True)]

told = {}
for choice in ("keep", "drop", "resample", "refill"):
    model, tokenizer = load(folder, TrainConfig())
    trainer = WeightedGRPOTrainer(
        scheme="grpo", dead_groups=choice, tries=2, model=model, processing_class=tokenizer,
        reward_funcs=first_digit, train_dataset=Dataset.from_list(rows),
        args=GRPOConfig(
            output_dir=out, max_steps=1, per_device_train_batch_size=32, num_generations=8,
            max_completion_length=3, use_cpu=True, bf16=False, gradient_checkpointing=False,
            report_to="none", disable_tqdm=True, save_strategy="no", logging_steps=1,
            shuffle_dataset=False, dataloader_pin_memory=False,
        ),
    )
    seen = []
    inner = trainer._generate_and_score_completions
    trainer._generate_and_score_completions = lambda inputs: seen.append(inner(inputs)) or seen[-1]
    trainer.train()
    (output,) = seen
    record = {name: value for _, name, value in trainer.record}
    told[choice] = {
        "advantages": output["advantages"].view(4, 8).tolist(),
        "tokens": int(output["completion_mask"].sum()),
        "tokens_by_group": output["completion_mask"].view(4, -1).sum(dim=1).tolist(),
        "items": float(output["num_items_in_batch"]),
        "responses": record["responses"],
        "left_out": record.get("groups_left_out"),
        "weights": sum(float(p.double().abs().sum()) for p in trainer.model.parameters()),
    }
with open(f"{out}/{state.process_index}.json", "w") as file:
    json.dump(told, file)
"""


def test_dead_groups_with_two_processes(tmp_path, tiny_folder):
    """One process has dead groups only, the other few: they must sample again together."""
    script = tmp_path / "script.py"
    script.write_text(DEAD)
    done = launched(script, tiny_folder, tmp_path, timeout=300)
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text()) for rank in (0, 1))
    for choice, mine in first.items():
        other = second[choice]
        both = mine, other
        # What is a number of the whole batch is the same on both, and so are the weights after it.
        for name in ("items", "responses", "left_out", "weights"):
            assert mine[name] == other[name], (choice, name)
        assert mine["items"] == mine["tokens"] + other["tokens"]
        for process in both:
            alive = [any(group) for group in process["advantages"]]
            if choice != "keep":
                assert [tokens > 0 for tokens in process["tokens_by_group"]] == alive
        dead = sum(not any(group) for process in both for group in process["advantages"])
        if choice != "keep":
            assert mine["left_out"] == pytest.approx(dead / 8)
        if choice in ("keep", "drop"):
            assert mine["responses"] == 64
        # Of process 0's own prompts nothing can come; other prompts do better.
        assert any(map(any, mine["advantages"])) == (choice == "refill")
        assert any(map(any, other["advantages"]))
    # Two tries of four groups on both processes, although process 1 had fewer dead ones.
    assert first["resample"]["responses"] == 64 + 2 * 64
    kept = [group for group in second["drop"]["advantages"] if any(group)]
    assert [group for group in second["keep"]["advantages"] if any(group)] == kept
    for group in kept:
        assert group in second["resample"]["advantages"]
