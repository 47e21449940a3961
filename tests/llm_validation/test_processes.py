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
        done = subprocess.run(
            [
                sys.executable,
                "-m",
                "torch.distributed.run",
                "--standalone",
                "--nproc_per_node",
                "2",
                str(script),
                json.dumps(config.to_dict()),
                str(tmp_path / "two"),
                fate,
            ],
            check=False,
            capture_output=True,
            text=True,
            timeout=900,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
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
