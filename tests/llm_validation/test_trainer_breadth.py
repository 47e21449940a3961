"""What TRL's trainer can do beside plain GRPO, with a scheme's advantages."""

import math

import numpy as np
import pytest
import torch
from datasets import Dataset
from transformers import TrainerCallback
from transformers.integrations import integration_utils
from trl import GRPOConfig, GRPOTrainer

from llm_validation.tasks import load_task
from llm_validation.trainer import WeightedGRPOTrainer
from tests.llm_validation import test_trainer
from theory.advantages import group_advantages

GROUP, PROMPTS = 4, 4

pytestmark = pytest.mark.usefixtures("one_thread")


def first_digit(completions, gold, **_):
    return [float(c[:1] == g[0]) for c, g in zip(completions, gold, strict=True)]


def make(folder, tmp_path, scheme="sqrt_r", config=None, **arguments):
    settings = {
        "max_steps": 2,
        "per_device_train_batch_size": GROUP * PROMPTS,
        "num_generations": GROUP,
        "shuffle_dataset": True,
    } | (config or {})
    return test_trainer.make(
        folder,
        tmp_path,
        scheme=scheme,
        reward=first_digit,
        config=settings,
        examples=40,
        **arguments,
    )


def batches(trainer, monkeypatch):
    """Train; the batches of training as TRL's loss gets them, each with its rewards."""
    seen = []
    inner = WeightedGRPOTrainer._generate_and_score_completions

    def noted(self, inputs):
        output = inner(self, inputs)
        if self.model.training:
            seen.append(output | {"rewards": self._rewards[:, 0].view(-1, GROUP)})
        return output

    monkeypatch.setattr(WeightedGRPOTrainer, "_generate_and_score_completions", noted)
    trainer.train()
    return seen


def assert_the_schemes(seen, scheme):
    assert any(batch["advantages"].any() for batch in seen)
    for batch in seen:
        expected = group_advantages(batch["rewards"].numpy().astype(float), scheme)
        # Weights reach M = 4, in float32.
        np.testing.assert_allclose(batch["advantages"].view(-1, GROUP), expected, atol=1e-5)


def weights(trainer):
    return {name: p.detach().clone() for name, p in trainer.model.named_parameters()}


def changed(before, trainer):
    after = dict(trainer.model.named_parameters())
    assert all(p.isfinite().all() for p in after.values())
    return {name for name, p in before.items() if not torch.equal(p, after[name])}


LOSSES = ["grpo", "bnpo", "dr_grpo", "dapo", "cispo", "sapo", "luspo", "vespo"]


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_takes_the_schemes_advantages(tiny_folder, tmp_path, monkeypatch, loss):
    # TRL's own rule: LUSPO weighs sequences.
    config = {"loss_type": loss} | (
        {"importance_sampling_level": "sequence"} if loss == "luspo" else {}
    )
    trainer = make(tiny_folder, tmp_path, config=config | {"max_steps": 1})
    before = weights(trainer)
    assert_the_schemes(batches(trainer, monkeypatch), "sqrt_r")
    assert changed(before, trainer)


def test_every_loss_of_trl_is_among_those_tested():
    described = GRPOConfig.__dataclass_fields__["loss_type"].metadata["help"]
    named = {word.strip("'.,;:()") for word in described.split() if word.startswith("'")}
    assert named <= set(LOSSES)


@pytest.mark.parametrize("scheme", ["linear_r", "lens"])
def test_gspo_and_several_iterations(tiny_folder, tmp_path, monkeypatch, scheme):
    config = {
        "importance_sampling_level": "sequence",
        "loss_type": "grpo",
        "num_iterations": 2,
        "max_steps": 4,
        "beta": 0.01,
    }
    trainer = make(tiny_folder, tmp_path, scheme=scheme, config=config)
    seen = batches(trainer, monkeypatch)
    assert len(seen) == 2  # four updates on two generations
    if scheme == "linear_r":
        assert_the_schemes(seen, scheme)
    assert all(batch["old_per_token_logps"] is not None for batch in seen)
    responses = [value for _, name, value in trainer.record if name == "responses"]
    assert responses == [16, 16, 32, 32]


def test_evaluation_leaves_training_as_it_is(tiny_folder, tmp_path):
    rows = [{"prompt": e.prompt, "gold": e.gold} for e in load_task("arithmetic").train[40:44]]
    config = {"eval_strategy": "steps", "eval_steps": 1, "per_device_eval_batch_size": GROUP * 2}
    plain = make(tiny_folder, tmp_path / "plain")
    both = make(tiny_folder, tmp_path / "both", config=config, eval_dataset=Dataset.from_list(rows))
    for trainer in (plain, both):
        trainer.train()
    evaluated = [row for row in both.state.log_history if "eval_reward" in row]
    assert [row["step"] for row in evaluated] == [1, 2]
    assert all(0 <= row["eval_reward"] <= 1 for row in evaluated)
    # Seeded sampling: an evaluation in between moves no random number of training.
    kept = [{r[:2]: r[2] for r in t.record if r[1] != "step_time"} for t in (plain, both)]
    assert kept[0] == pytest.approx(kept[1], rel=1e-5, abs=1e-6)  # float32 rounding


def test_what_is_reported_holds_the_schemes_numbers(tiny_folder, tmp_path, monkeypatch):
    told = []

    class Reporter(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **_):
            told.append(dict(logs or {}))

    monkeypatch.setitem(integration_utils.INTEGRATION_TO_CALLBACK, "tensorboard", Reporter)
    monkeypatch.setattr(integration_utils, "is_tensorboard_available", lambda: True)
    trainer = make(tiny_folder, tmp_path, config={"report_to": "tensorboard", "max_steps": 1})
    (batch,) = batches(trainer, monkeypatch)
    (logs,) = [one for one in told if "advantage_mean" in one]
    assert logs["advantage_mean"] == pytest.approx(batch["advantages"].mean().item(), abs=1e-6)
    assert math.isfinite(logs["loss"])


@pytest.mark.parametrize(("scheme", "weighed"), [("linear_r", 1), ("lens", 0)])
def test_a_trl_that_asks_for_advantages_is_given_them(
    tiny_folder, tmp_path, monkeypatch, scheme, weighed
):
    asked = []
    inner = GRPOTrainer._generate_and_score_completions

    def asks(self, inputs):
        """TRL's own with the hook of its pull request 7298, before it logs."""
        output = inner(self, inputs)
        before = output["advantages"]
        output["advantages"] = self._transform_advantages(before)
        asked.append(not torch.equal(before, output["advantages"]))
        logged = self._logs["advantages"]
        for _ in range(len(before)):
            logged.pop()
        logged.extend(output["advantages"].tolist())
        return output

    def run(name):
        trainer = make(tiny_folder, tmp_path / name, scheme=scheme, config={"max_steps": 1})
        trainer.train()
        return trainer

    plain = run("plain")
    monkeypatch.setattr(GRPOTrainer, "_generate_and_score_completions", asks)
    hooked = run("hooked")
    assert asked == [bool(weighed)]  # LENS has to wait for the log-probabilities
    assert list(hooked._logs["advantages"]) == list(plain._logs["advantages"])
    kept = [[r for r in t.record if r[1] != "step_time"] for t in (plain, hooked)]
    assert kept[0] == kept[1]


@pytest.mark.parametrize("scheme", ["sqrt_r", "lens"])
def test_lora_trains_its_adapter_alone(tiny_folder, tmp_path, monkeypatch, scheme):
    peft = pytest.importorskip("peft")
    adapter = peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    config = {"save_strategy": "steps", "save_steps": 1}
    trainer = make(tiny_folder, tmp_path, scheme=scheme, config=config, peft_config=adapter)
    before = weights(trainer)
    seen = batches(trainer, monkeypatch)
    if scheme == "sqrt_r":
        assert_the_schemes(seen, scheme)
    moved = changed(before, trainer)
    assert moved
    assert all("lora_" in name for name in moved)
    again = make(tiny_folder, tmp_path, scheme=scheme, config=config, peft_config=adapter)
    again.train(str(tmp_path / "checkpoint-1"))
    kept = [[r for r in t.record if r[1] != "step_time"] for t in (trainer, again)]
    assert kept[0] == kept[1]  # a checkpoint of an adapter is whole, and training goes on from it
    again.save_trained(tmp_path / "trained")
    assert (tmp_path / "trained" / "adapter_model.safetensors").exists()
