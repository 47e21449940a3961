"""Curves go where they were asked to go, one run per training, and to nowhere else unasked."""

import os
import sys
import types

import pytest

from llm_validation import reporting as reporting_module
from llm_validation.config import load_recipe
from llm_validation.reporting import PACKAGES, check_reporter, reporting
from llm_validation.train import run_key, train


def test_unasked_nothing_is_reported(tmp_path, monkeypatch):
    monkeypatch.delenv("TENSORBOARD_LOGGING_DIR", raising=False)
    with reporting(None, tmp_path, "grpo.seed=0") as fields:
        assert fields == {"report_to": "none"}
        assert "TENSORBOARD_LOGGING_DIR" not in os.environ


@pytest.mark.parametrize("reporter", PACKAGES)
def test_a_missing_package_is_named_before_a_run_begins(reporter, tmp_path, monkeypatch):
    monkeypatch.setattr(reporting_module, "_installed", lambda name: False)
    with pytest.raises(ModuleNotFoundError, match=f"--report-to {reporter} needs pip install"):
        train(load_recipe("demo"), tmp_path / "run", progress=False, report_to=reporter)
    assert not (tmp_path / "run").exists()
    check_reporter(None)


def test_variables_are_given_back_and_each_training_is_a_run_of_its_own(tmp_path, monkeypatch):
    finished = []
    wandb = types.ModuleType("wandb")
    wandb.finish = lambda: finished.append(os.environ.get("WANDB_PROJECT"))
    monkeypatch.setitem(sys.modules, "wandb", wandb)
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "theirs")
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    with reporting("wandb", tmp_path, "grpo.seed=0") as fields:
        assert fields["run_name"] == f"{tmp_path.name}/grpo.seed=0"
        assert os.environ["WANDB_PROJECT"] == "apw"
    assert finished == [None]
    assert os.environ["TENSORBOARD_LOGGING_DIR"] == "theirs"


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # of TensorBoard's writer
def test_tensorboard_gets_the_metrics_of_every_training(tmp_path):
    pytest.importorskip("tensorboardX")
    changes = {"steps": 2, "seeds": 1, "measure_every": 0, "prompts_per_step": 2, "group_size": 4}
    config = load_recipe("demo", warm_up_steps=5, checkpoint_every=1, **changes)
    before = dict(os.environ)
    metrics = train(config, tmp_path / "run", progress=False, report_to="tensorboard")
    assert dict(os.environ) == before
    assert set(metrics["scheme"]) == {"grpo", "sqrt_r"}
    for scheme in config.schemes:
        folder = tmp_path / "run" / "tensorboard" / run_key(scheme, 0)
        written = b"".join(path.read_bytes() for path in folder.rglob("events.*"))
        assert b"train/zero_advantage" in written
        assert b"train/reward" in written
