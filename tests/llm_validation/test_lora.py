"""Adapters: they alone are trained, a killed run goes on with them, and evaluation finds them."""

import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file, save_file

from llm_validation import callbacks, lora
from llm_validation.config import TrainConfig
from llm_validation.dry_run import estimate_memory
from llm_validation.evaluate_config import EvaluateConfig
from llm_validation.generation import check_weights, load_weights, make_sampler
from llm_validation.model_source import check_model
from llm_validation.shapes import model_shape
from llm_validation.tiny_model import character_tokenizer, tiny_llama
from llm_validation.train import run_key, train
from runs.folder import read_metrics

pytest.importorskip("peft")
pytestmark = pytest.mark.usefixtures("one_thread")


def small(**changes):
    values = {
        "schemes": ("sqrt_r",),
        "seeds": 1,
        "steps": 4,
        "warm_up_steps": 30,
        "initial_success": 0.3,
        "prompts_per_step": 4,
        "group_size": 4,
        "measure_every": 2,
        "checkpoint_every": 1,
        "threads": 1,
        "cpu": True,
        "save_models": True,
        "learning_rate": 1e-2,
        "lora_rank": 3,
    }
    return TrainConfig(**{**values, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A whole run, its folder relative to nothing."""
    path = tmp_path_factory.mktemp("lora") / "run"
    train(small(), path, progress=False)
    return path


def adapter_of(path):
    return path / "models" / run_key("sqrt_r", 0)


def logits_of(model):
    with torch.no_grad():
        return model(torch.tensor([[3, 4, 5, 6]])).logits


def test_fresh_adapters_change_nothing_and_belong_to_the_seed():
    config = small()
    plain = tiny_llama(character_tokenizer())
    wrapped = [lora.wrap(tiny_llama(character_tokenizer()), config, seed) for seed in (0, 0, 1)]
    for model in wrapped:
        assert torch.equal(logits_of(model), logits_of(plain))
    one, same, other = (
        {n: p for n, p in model.named_parameters() if p.requires_grad} for model in wrapped
    )
    assert all("lora_" in name for name in one)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)
    shape = model_shape("tiny", hidden_size=64, layers=2)
    assert sum(p.numel() for p in one.values()) == shape.adapter_parameters(3, ())
    some = lora.wrap(
        tiny_llama(character_tokenizer()), small(lora_targets=("q_proj", "up_proj")), 0
    )
    count = sum(p.numel() for p in some.parameters() if p.requires_grad)
    assert count == shape.adapter_parameters(3, ("q_proj", "up_proj"))


def test_training_moves_the_adapter_and_success(trained):
    tensors = load_file(adapter_of(trained) / lora.WEIGHTS)
    assert all("lora_" in name for name in tensors)
    assert all(t.abs().sum() > 0 for name, t in tensors.items() if "lora_B" in name)
    metrics = read_metrics(trained)
    success = metrics[metrics["metric"] == "success"].sort_values("step")["value"].to_numpy()
    assert success[0] != success[-1]


def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(trained, tmp_path, monkeypatch):
    inner = callbacks.ShowProgress.on_step_begin

    def dying(self, args, state, control, **more):
        if state.global_step == 2:
            raise KeyboardInterrupt
        return inner(self, args, state, control, **more)

    # In the same place: the adapter names the folder of its model.
    path = tmp_path / "run"
    shutil.copytree(trained / "initial", path / "initial")
    shutil.rmtree(path)
    with monkeypatch.context() as patch:
        patch.setattr(callbacks.ShowProgress, "on_step_begin", dying)
        with pytest.raises(KeyboardInterrupt):
            train(small(), path, progress=False)
    left = sorted(p.name for p in (path / "checkpoints" / run_key("sqrt_r", 0)).iterdir())
    assert left == ["checkpoint-1", "checkpoint-2"]
    train(small(), path, progress=False)
    tables = []
    for run in (trained, path):
        metrics = read_metrics(run)
        kept = metrics[metrics["metric"] != "step_time"].drop(columns="run")
        tables.append(kept.sort_values(["step", "metric"]).reset_index(drop=True))
    pd.testing.assert_frame_equal(*tables)
    one, two = (load_file(adapter_of(run) / lora.WEIGHTS) for run in (trained, path))
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)


def test_evaluation_loads_what_was_trained(trained):
    folder = adapter_of(trained)
    check_model(str(folder))
    check_weights(str(folder))
    loaded = load_weights(str(folder), torch.float32)
    base = load_weights(lora.base_of(str(folder)), torch.float32)
    difference = (logits_of(loaded) - logits_of(base)).abs().max()
    assert difference > 1e-3
    # By hand: W + (α / r) B A.
    tensors = load_file(folder / lora.WEIGHTS)
    with torch.no_grad():
        for name, a in tensors.items():
            if "lora_A" in name:
                b = tensors[name.replace("lora_A", "lora_B")]
                inner = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
                base.get_submodule(inner).weight += (6 / 3) * (b @ a)
    torch.testing.assert_close(logits_of(loaded), logits_of(base), atol=1e-5, rtol=1e-5)
    config = EvaluateConfig(
        model=str(folder),
        task="arithmetic",
        samples=2,
        max_response_tokens=3,
        top_p=1.0,
        cpu=True,
        engine="transformers",
    )
    ((first, second),) = make_sampler(config).sample(["12+34="], 0)
    assert first.tokens >= 1
    assert second.tokens >= 1


def changed(folder, to, **changes):
    shutil.copytree(folder, to)
    given = json.loads((to / lora.CONFIG).read_text())
    (to / lora.CONFIG).write_text(json.dumps({**given, **changes}))
    return str(to)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"use_dora": True}, "use_dora must be False"),
        ({"peft_type": "IA3"}, "peft_type must be 'LORA'"),
        ({"target_modules": "(a+)+$"}, "target_modules must be a list of names"),
        ({"target_modules": ["lm_head"]}, "lora_targets must be linear layers of the model"),
        ({"r": 0}, "r must be a whole number from 1 to 4096"),
        ({"r": 5}, "has another shape of"),
        ({"lora_alpha": "x"}, "lora_alpha must be a positive number"),
        ({"base_model_name_or_path": None}, "does not name the model"),
        ({"rank_pattern": {"q": 2}}, "rank_pattern must be"),
    ],
)
def test_other_adapters_are_refused(trained, tmp_path, changes, said):
    folder = changed(adapter_of(trained), tmp_path / "other", **changes)
    with pytest.raises(ValueError, match=said):
        check_weights(folder)


def test_nothing_an_adapter_names_is_imported(trained, tmp_path):
    (tmp_path / "evil_module.py").write_text("raise SystemExit('imported')")
    folder = changed(
        adapter_of(trained),
        tmp_path / "other",
        megatron_config={"x": 1},
        megatron_core="evil_module",
        auto_mapping={"base_model_class": "Evil", "parent_library": "evil_module"},
    )
    assert torch.equal(
        logits_of(load_weights(folder, torch.float32)),
        logits_of(load_weights(str(adapter_of(trained)), torch.float32)),
    )


def test_an_adapter_that_is_not_whole_is_refused(trained, tmp_path):
    folder = tmp_path / "other"
    shutil.copytree(adapter_of(trained), folder)
    tensors = load_file(folder / lora.WEIGHTS)
    first, *_ = sorted(tensors)
    save_file({n: t for n, t in tensors.items() if n != first}, folder / lora.WEIGHTS)
    with pytest.raises(ValueError, match=f"lacks {first}"):
        check_weights(str(folder))
    (folder / lora.WEIGHTS).write_bytes(b"xx")
    with pytest.raises(ValueError, match="cannot be read"):
        load_weights(str(folder), torch.float32)
    with pytest.raises(FileNotFoundError, match=r"weights/gone does not exist"):
        check_model(
            changed(adapter_of(trained), tmp_path / "gone", base_model_name_or_path="weights/gone")
        )


def test_what_adapters_cannot_do_is_refused_before_a_run_exists(trained, tmp_path):
    with pytest.raises(ValueError, match="need a lora_rank"):
        TrainConfig(lora_targets=("q_proj",))
    with pytest.raises(ValueError, match=r"lora_targets must be .*, q_proj, .*; got nothing"):
        train(small(lora_targets=("nothing",)), tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match="training begins with a whole model"):
        train(small(model=str(adapter_of(trained))), tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match="engine = 'transformers'"):
        train(small(engine="vllm"), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_memory_counts_adapters_instead_of_weights():
    shape = model_shape("tiny", hidden_size=64, layers=2)
    whole, low = (estimate_memory(small(lora_rank=rank), shape) for rank in (0, 3))
    share = shape.adapter_parameters(3, ()) / shape.parameters
    assert low["gradients"] == pytest.approx(share * whole["gradients"])
    assert low["optimizer"] == pytest.approx(share * whole["optimizer"])
    assert low["weights"] == pytest.approx((1 + share) * whole["weights"])
    assert "reference model" not in estimate_memory(small(kl=0.1), shape)
