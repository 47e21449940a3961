"""Every recipe can be planned on a machine without a GPU, a model or a network."""

import dataclasses
import inspect
import json

import pytest

from llm_validation.config import TrainConfig, list_recipes, load_recipe
from llm_validation.dry_run import GIB, estimate_memory, plan
from llm_validation.shapes import KNOWN, model_shape
from llm_validation.tasks import check_options


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_is_planned_and_says_what_is_missing(name):
    config = load_recipe(name)
    if config.task.startswith(("countdown", "reasoning_gym")):  # thousands take seconds to make
        options = {**config.task_options, "train_size": 20, "test_size": 20}
        config = dataclasses.replace(config, task_options=options)
    result = plan(config)
    assert result.responses >= config.steps * config.responses_per_step
    assert result.total_tokens == (
        len(config.schemes) * config.seeds * result.responses * config.max_response_tokens
    )
    assert json.loads(json.dumps(result.to_dict()))["responses"] == result.responses
    assert result.parameters is not None or "weights/" in config.model
    text = result.describe()
    assert all(sentence in text for sentence in result.missing)
    if config.engine == "vllm":
        assert any("is on the hub" in sentence for sentence in result.missing)


@pytest.mark.parametrize("name", list_recipes())
def test_every_recipe_names_options_its_task_has(name):
    config = load_recipe(name)
    known = inspect.signature(check_options(config.task, config.task_options)).parameters
    assert config.train_path is None or "train_path" in known


def test_the_papers_hyper_parameters_are_the_recipes():
    lens = load_recipe("lens-llama-3.1-8b-instruct")
    assert (lens.group_size, lens.prompts_per_step, lens.updates_per_generation) == (16, 32, 4)
    assert (lens.learning_rate, lens.max_response_tokens, lens.kl) == (3e-7, 4096, 0)
    assert load_recipe("lens-qwen2.5-3b") == dataclasses.replace(
        lens,
        learning_rate=1e-6,
        model="Qwen/Qwen2.5-3B",
        description=load_recipe("lens-qwen2.5-3b").description,
    )
    nsr = load_recipe("nsr-qwen2.5-math-7b")
    assert nsr.prompts_per_step * nsr.updates_per_generation == 1024
    assert (nsr.prompts_per_step, nsr.group_size) == (256, 8)
    assert nsr.steps * nsr.prompts_per_step == pytest.approx(20 * 7500, rel=1e-3)
    for name, scheme in (("grpo", "grpo"), ("ppo", "ppo")):
        other = load_recipe(f"nsr-qwen2.5-math-7b-{name}")
        same = {"schemes": (scheme,), "kl": 1e-3, "description": other.description}
        assert other == dataclasses.replace(nsr, **same)
    gsm8k = load_recipe("apw-gsm8k-llama-3.1-8b")
    assert gsm8k.schedules_of(gsm8k.bound["sqrt_r"])["zero_success"].steps == 50


def test_parameters_are_those_of_a_real_model():
    from llm_validation.tiny_model import character_tokenizer, tiny_llama

    model = tiny_llama(character_tokenizer(), hidden_size=96, layers=3)
    shape = model_shape("tiny", hidden_size=96, layers=3)
    assert shape.parameters == sum(p.numel() for p in model.parameters())
    # Published sizes.
    assert KNOWN["meta-llama/Llama-3.1-8B"].parameters == 8_030_261_248
    assert KNOWN["Qwen/Qwen2.5-3B"].parameters == pytest.approx(3_085_938_688, rel=1e-4)
    assert KNOWN["Qwen/Qwen2.5-Math-7B"].parameters == pytest.approx(7_615_616_512, rel=1e-4)


def test_the_shape_of_a_folder_is_read_from_it(tmp_path):
    from llm_validation.tiny_model import character_tokenizer, tiny_llama

    tiny_llama(character_tokenizer()).save_pretrained(tmp_path)
    assert model_shape(str(tmp_path), hidden_size=1, layers=1) == model_shape(
        "tiny", hidden_size=64, layers=2
    )
    (tmp_path / "config.json").write_text('{"hidden_size": 3}')
    with pytest.raises(ValueError, match="lacks 'num_attention_heads'"):
        model_shape(str(tmp_path), hidden_size=1, layers=1)


def test_memory_counts_what_training_holds():
    shape = KNOWN["meta-llama/Llama-3.1-8B"]
    config = load_recipe("apw-math-post-sft")
    memory = estimate_memory(config, shape)
    weights = 8_030_261_248 * 2 / GIB
    # float32 weights, gradients and moments; products and vLLM's copy in 16 bit.
    assert memory["weights"] == memory["gradients"] == pytest.approx(2 * weights)
    assert memory["optimizer"] == pytest.approx(4 * weights)
    assert memory["vLLM weights"] == pytest.approx(weights)
    pure = estimate_memory(dataclasses.replace(config, dtype="bfloat16"), shape)
    assert pure["optimizer"] == pytest.approx(2 * weights)
    assert pure["activations"] == memory["activations"]
    assert "reference model" not in memory
    assert "reference model" in estimate_memory(dataclasses.replace(config, kl=0.1), shape)
    more = dataclasses.replace(config, gradient_checkpointing=False)
    assert estimate_memory(more, shape)["activations"] > 10 * memory["activations"]
    generating = dataclasses.replace(config, engine="transformers")
    # Bytes of a token in the cache of Llama-3.1-8B in 16 bit: 128 KiB.
    rows = config.responses_per_step
    expected = rows * (256 + 2048) * 128 * 1024 / GIB
    assert estimate_memory(generating, shape)["key-value cache"] == pytest.approx(expected)


def test_what_is_worth_knowing_is_said():
    config = load_recipe("apw-math-post-sft")
    assert plan(config).notes == ()
    (note,) = plan(dataclasses.replace(config, dtype="bfloat16")).notes
    assert "AdamW's steps of 1e-06 are rounded away in weights above 0.0005" in note
    (note,) = plan(dataclasses.replace(config, vllm_mode="server", vllm_port=8123)).notes
    assert "must listen at 127.0.0.1:8123" in note
    (note,) = plan(load_recipe("nsr-qwen2.5-math-7b-ppo")).notes
    assert "ppo needs a critic" in note
    with pytest.raises(ValueError, match="has no option 'kid'"):
        plan(TrainConfig(task_options={"kid": "rule"}))


def test_what_is_here_is_not_missing(tmp_path):
    assert plan(TrainConfig(cpu=True)).missing == ()
    rows = tmp_path / "rows.jsonl"
    config = TrainConfig(cpu=True, task="math", train_path=str(rows), model="weights/none")
    missing = plan(config).missing
    assert any(f"train_path {rows} is not a file" in sentence for sentence in missing)
    assert "model folder weights/none" in missing
    assert any("shape" in sentence for sentence in missing)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"levels": [4]}, "option levels needs the column 'level'"),
        ({"subjects": ["Algebra"]}, "line 1: the row lacks 'subject'"),
        ({"style": "loud"}, "style"),
    ],
)
def test_what_the_run_would_refuse_of_its_data_is_refused(options, match, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps({"problem": "1 + 1?", "solution": r"\boxed{2}"}) + "\n")
    config = TrainConfig(cpu=True, task="math", train_path=str(rows))
    assert plan(config).missing == ()
    with pytest.raises(ValueError, match=match):
        plan(dataclasses.replace(config, task_options=options))


def test_a_task_without_its_data_is_refused():
    with pytest.raises(ValueError, match="reads its problems from files"):
        plan(TrainConfig(cpu=True, task="math"))
