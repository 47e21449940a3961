"""Sampling with buffers of their final size: the tokens are those of ``generate``."""

import pytest
import torch
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM

from llm_validation import fast_llama, sampling
from llm_validation.sampling import seeded_generation, uniform_rows
from llm_validation.tiny_model import character_tokenizer, tiny_llama

TOKENIZER = character_tokenizer()


def model_of(heads, shared):
    if heads == shared == 2:
        return tiny_llama(TOKENIZER, seed=1, initial_scale=0.3).eval()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=14,
        hidden_size=48,
        intermediate_size=80,
        num_hidden_layers=3,
        num_attention_heads=heads,
        num_key_value_heads=shared,
        head_dim=16,
        initializer_range=0.3,
        rope_parameters={"rope_type": "default", "rope_theta": 500.0},
        tie_word_embeddings=True,
    )
    return LlamaForCausalLM(config).eval()


def asked(**options):
    end = TOKENIZER.eos_token_id
    values = {"do_sample": True, "max_new_tokens": 9, "eos_token_id": [end], "pad_token_id": end}
    return GenerationConfig(**{**values, **options})


def generated(model, prompts, config, monkeypatch, fast):
    numbers = torch.from_numpy(uniform_rows(0, 1, 0, len(prompts), config.max_new_tokens))
    with monkeypatch.context() as patch, seeded_generation(model, numbers):
        used = []
        whole = fast_llama.sample
        patch.setattr(sampling, "sample", lambda *a: used.append(1) or whole(*a))
        if not fast:
            patch.setattr(sampling, "can_sample", lambda *_: False)
        found = model.generate(
            input_ids=prompts, attention_mask=torch.ones_like(prompts), generation_config=config
        )
    assert bool(used) is fast
    return found


@pytest.mark.parametrize(("heads", "shared"), [(2, 2), (3, 3), (4, 2)])
@pytest.mark.parametrize("options", [{}, {"temperature": 0.5, "top_k": 3}, {"max_new_tokens": 1}])
def test_the_tokens_are_those_of_generate(heads, shared, options, monkeypatch):
    model = model_of(heads, shared)
    generator = torch.Generator().manual_seed(3)
    prompts = torch.randint(0, 11, (7, 6), generator=generator).repeat_interleave(5, 0)
    prompts[10] = prompts[0]  # a prompt that comes again later
    config = asked(**options)
    ours, theirs = (generated(model, prompts, config, monkeypatch, fast) for fast in (True, False))
    assert torch.equal(ours, theirs)
    lengths = (ours[:, 6:] != TOKENIZER.eos_token_id).sum(1)
    assert options or len(lengths.unique()) > 2  # responses end at different places


def test_responses_that_all_end_leave_no_room_behind_them(monkeypatch):
    model = model_of(2, 2)
    with torch.no_grad():
        model.lm_head.weight[TOKENIZER.eos_token_id] *= 40
    prompts = torch.tensor([TOKENIZER("12+34=")["input_ids"]] * 6)
    config = asked(max_new_tokens=30)
    ours, theirs = (generated(model, prompts, config, monkeypatch, fast) for fast in (True, False))
    assert torch.equal(ours, theirs)
    assert ours.shape[1] < 36


def test_a_model_without_numbers_is_refused_as_generate_refuses_it(monkeypatch):
    model = model_of(2, 2)
    with torch.no_grad():
        model.lm_head.weight.fill_(float("nan"))
    prompts = torch.tensor([TOKENIZER("12+34=")["input_ids"]] * 2)
    with pytest.raises(sampling.DivergedError, match="not finite at token 1"):
        generated(model, prompts, asked(), monkeypatch, True)


def test_whatever_it_would_do_otherwise_is_left_to_generate():
    model = model_of(2, 2)
    prompts = torch.tensor([[1, 2, 3]])
    options = {"input_ids": prompts, "generation_config": asked()}
    padded = torch.tensor([[0, 1, 1]])
    assert fast_llama.can_sample(model, options)
    assert not fast_llama.can_sample(model, {**options, "attention_mask": padded})
    assert not fast_llama.can_sample(model, {**options, "inputs_embeds": None})
    assert not fast_llama.can_sample(model, {"input_ids": prompts})
    for other in (
        {"repetition_penalty": 1.2},
        {"min_new_tokens": 2},
        {"no_repeat_ngram_size": 1},
        {"suppress_tokens": [1]},
        {"eos_token_id": None},
        {"output_scores": True},
        {"num_return_sequences": 2},
    ):
        assert not fast_llama.can_sample(model, {**options, "generation_config": asked(**other)})
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert not fast_llama.can_sample(model, options)
    model.config.rope_parameters = {"rope_type": "yarn", "factor": 2.0}
    assert not fast_llama.can_sample(model, options)
