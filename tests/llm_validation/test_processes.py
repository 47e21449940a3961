"""The same numbers with one process and with two (gloo), as a launcher starts them."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from safetensors.torch import load_file

from apw.runs import read_metrics
from llm_validation.config import TrainConfig
from llm_validation.train import run_key, train

CODE = """
import json, sys
from accelerate import PartialState
from llm_validation.config import TrainConfig
from llm_validation.train import train
assert PartialState(cpu=True).num_processes == 2
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
def test_two_processes_train_as_one_does(tmp_path, scheme):
    # LENS needs everything gathered: rewards, confidences, lengths. Each process makes half of
    # every group's neighbours, in two micro-batches.
    config = TrainConfig(
        schemes=(scheme,), seeds=1, steps=3, warm_up_steps=10, initial_success=0.3,
        prompts_per_step=4, group_size=4, micro_batch=4, measure_every=1, checkpoint_every=2,
        threads=1, cpu=True, save_models=True,
    )  # fmt: skip
    script = tmp_path / "script.py"
    script.write_text(CODE)
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone",
                "--nproc_per_node", "2"]  # fmt: skip
    subprocess.run(
        [*launcher, str(script), json.dumps(config.to_dict()), str(tmp_path / "two")],
        check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
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
