"""vLLM on a CPU follows the trainer's weights; runs where vLLM is installed (`make test-vllm`)."""

import dataclasses
import json
import os
import signal
import subprocess
import sys
import textwrap
import types

import pytest
import torch

pytest.importorskip("vllm")

from llm_validation import vllm_cpu
from llm_validation.config import TrainConfig
from llm_validation.train import train

# As it was before TRL's colocated vLLM wrote its rank and port into it.
ENVIRONMENT = dict(os.environ)
CONFIG = TrainConfig(
    schemes=("lens",),
    seeds=1,
    steps=4,
    warm_up_steps=60,
    initial_success=0.3,
    prompts_per_step=4,
    group_size=4,
    measure_every=2,
    checkpoint_every=0,
    threads=1,
    cpu=True,
    engine="vllm",
    learning_rate=1e-2,
)


@pytest.mark.slow
def test_vllm_samples_from_the_policy_being_trained(tmp_path):
    metrics = train(CONFIG, tmp_path / "run", progress=False)
    gaps = metrics[metrics["metric"] == "sampler_gap_max"]["value"]
    assert len(gaps) == 4
    # float32 against float32, after updates a hundred times larger than this.
    assert gaps.max() <= vllm_cpu.TOLERANCE
    success = metrics[metrics["metric"] == "success"].set_index("step")["value"]
    assert abs(success[4] - success[0]) > 1e-3


@pytest.mark.slow
def test_a_killed_run_goes_on_with_the_prompts_that_are_left(tmp_path):
    config = dataclasses.replace(CONFIG, checkpoint_every=2, save_models=True)
    code = """
        import json, os, signal, sys
        from llm_validation import callbacks
        from llm_validation.config import TrainConfig
        from llm_validation.train import train
        def deadly(self, args, state, control, **more):
            if state.global_step == 3:
                os.kill(os.getpid(), signal.SIGKILL)
        callbacks.ShowProgress.on_step_end = deadly
        train(TrainConfig.from_dict(json.loads(sys.argv[1])), sys.argv[2], progress=False)
    """
    command = [
        sys.executable,
        "-c",
        textwrap.dedent(code),
        json.dumps(config.to_dict()),
        str(tmp_path / "run"),
    ]
    killed = subprocess.run(command, capture_output=True, text=True, check=False, env=ENVIRONMENT)
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (checkpoint,) = (tmp_path / "run" / "checkpoints").glob("*/checkpoint-*")
    assert checkpoint.name == "checkpoint-2"
    metrics = train(config, tmp_path / "run", progress=False)
    table = metrics.pivot(index="step", columns="metric", values="value")
    # No step is lost or counted twice. The engine draws other numbers than it would have drawn:
    # vLLM's random state cannot be saved, so the responses are others of the same policy.
    assert table.index.tolist() == [0, 1, 2, 3, 4]
    assert table["responses"].tolist() == [0, 16, 32, 48, 64]
    assert table["sampler_gap_max"].max() <= vllm_cpu.TOLERANCE


@pytest.mark.slow
def test_a_stale_head_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(vllm_cpu, "sync_weights", lambda generation: None)
    config = dataclasses.replace(CONFIG, steps=1)
    with pytest.raises(vllm_cpu.StaleWeightsError, match="stale weights"):
        train(config, tmp_path / "run", progress=False)


SEEDS = range(50)


def first_tokens(llm, prompt):
    from vllm import SamplingParams

    asked = [SamplingParams(seed=seed, max_tokens=1, ignore_eos=True) for seed in SEEDS]
    outputs = llm.generate([{"prompt_token_ids": prompt}] * len(asked), asked, use_tqdm=False)
    return [one.outputs[0].token_ids[0] for one in outputs]


@torch.no_grad()
def inverted(model, prompt):
    """The tokens at the first numbers of the seeds' generators."""
    cumulative = model(torch.tensor([prompt])).logits[0, -1].double().softmax(-1).cumsum(-1)
    generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
    numbers = [torch.rand((), dtype=torch.float64, generator=one) for one in generators]
    return torch.searchsorted(cumulative, torch.stack(numbers), right=True).tolist()


@pytest.mark.slow
def test_a_tied_head_is_packed_again_and_would_be_stale_otherwise(tmp_path, monkeypatch):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64,
            hidden_size=64,
            intermediate_size=128,
            num_hidden_layers=2,
            num_attention_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=True,
        )
    )
    model.save_pretrained(tmp_path / "model")
    vllm_cpu.enable()
    from trl.generation import vllm_generation

    llm = vllm_generation.LLM(
        model=str(tmp_path / "model"), skip_tokenizer_init=True, max_model_len=32, max_num_seqs=4
    )
    generation = types.SimpleNamespace(
        llm=llm,
        model=model,
        sync_weights=lambda: vllm_cpu.reload_weights(llm, model.named_parameters()),
    )
    prompts = [[1, 2, 3], [4, 5, 6, 7]]
    assert first_tokens(llm, prompts[0]) == inverted(model, prompts[0])
    assert vllm_cpu.check_weights(generation, prompts) <= vllm_cpu.TOLERANCE
    monkeypatch.setattr(vllm_cpu, "_pack_head", lambda model: None)
    with pytest.raises(vllm_cpu.StaleWeightsError):
        vllm_cpu.check_weights(generation, prompts)
