"""vLLM on a CPU follows the trainer's weights; runs where vLLM is installed (`make test-vllm`)."""

import dataclasses
import types

import pytest
import torch

pytest.importorskip("vllm")

from llm_validation import vllm_cpu
from llm_validation.config import TrainConfig
from llm_validation.train import train

CONFIG = TrainConfig(
    schemes=("lens",), seeds=1, steps=4, warm_up_steps=60, initial_success=0.3,
    prompts_per_step=4, group_size=4, measure_every=2, checkpoint_every=0, threads=1, cpu=True,
    engine="vllm", learning_rate=1e-2,
)  # fmt: skip


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
def test_a_stale_head_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(vllm_cpu, "sync_weights", lambda generation: None)
    config = dataclasses.replace(CONFIG, steps=1)
    with pytest.raises(vllm_cpu.StaleWeightsError, match="stale weights"):
        train(config, tmp_path / "run", progress=False)


@pytest.mark.slow
def test_a_tied_head_is_packed_anew_and_would_be_stale_otherwise(tmp_path, monkeypatch):
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
            num_attention_heads=2, max_position_embeddings=64, tie_word_embeddings=True,
        )
    )  # fmt: skip
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
    assert vllm_cpu.check_weights(generation, prompts) <= vllm_cpu.TOLERANCE
    monkeypatch.setattr(vllm_cpu, "_pack_head", lambda model: None)
    with pytest.raises(vllm_cpu.StaleWeightsError):
        vllm_cpu.check_weights(generation, prompts)
