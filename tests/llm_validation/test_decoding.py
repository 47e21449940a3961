"""Decoding many rows at once gives the tokens of the plain way, and its log-probabilities."""

import numpy as np
import pytest
import torch
from transformers import (
    Gemma2Config,
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)

from llm_validation import decoding
from llm_validation.decoding import decode, supports
from llm_validation.sampling import seeded_generation
from llm_validation.warpers import DivergedError

SHAPE = {
    "vocab_size": 40,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 64,
}
MODELS = {
    "llama": (LlamaForCausalLM, LlamaConfig),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config),
}
PROMPTS = [[3, 5, 7, 9, 11], [4], [8, 6, 2, 1, 13, 17, 19, 21], [30, 31]]
ROWS = [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
ENDS = [1, 2]


def model_of(name: str) -> torch.nn.Module:
    torch.manual_seed(5)
    model_class, config_class = MODELS[name]
    model = model_class(config_class(**SHAPE)).eval()
    for parameter in model.parameters():  # far from uniform
        parameter.data.mul_(4)
    return model


def uniforms_of(longest: int, rows: int = len(ROWS)) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(9).random((rows, longest)))


@torch.no_grad()
def plainly(model, prompt, uniforms):
    """One row, its whole text run again for every token, one search in float64."""
    tokens, logs, entropies = [], [], []
    for number in uniforms:
        logits = model(torch.tensor([prompt + tokens]), use_cache=False).logits[0, -1].double()
        policy = logits.softmax(-1)
        token = int(torch.searchsorted(policy.cumsum(-1), number, right=True))
        tokens.append(token)
        logs.append(policy[token].log().item())
        entropies.append(-(policy * policy.log()).sum().item())
        if token in ENDS:
            break
    return tokens, logs, entropies


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("batch", [1, 5, 100])
def test_tokens_are_those_of_the_plain_way(name, batch):
    model, uniforms = model_of(name), uniforms_of(12)
    decoded = decode(model, PROMPTS, ROWS, uniforms, ends=ENDS, batch=batch)
    lengths = set()
    for place, numbers, one in zip(ROWS, uniforms, decoded, strict=True):
        tokens, logs, entropies = plainly(model, PROMPTS[place], numbers)
        assert one.tokens == tokens
        assert one.ended == (tokens[-1] in ENDS)
        # float32 logits of order 10 over a dozen tokens.
        np.testing.assert_allclose(one.log_probabilities, logs, atol=1e-4)
        np.testing.assert_allclose(one.entropies, entropies, atol=1e-4)
        lengths.add(len(tokens))
    assert len(lengths) > 3  # rows left the batch at different times
    assert any(one.ended for one in decoded)
    assert not all(one.ended for one in decoded)


def test_a_prompt_is_run_once_however_many_responses_it_gets():
    model, widths = model_of("llama"), []
    inner = model.forward

    def forward(**inputs):
        widths.append(inputs["input_ids"].shape[1])
        return inner(**inputs)

    model.forward = forward
    decode(model, PROMPTS, ROWS, uniforms_of(4), ends=[], batch=len(ROWS))
    assert widths == sorted(map(len, PROMPTS)) + [1] * 3


def test_rows_that_ended_leave_the_batch_and_others_take_over():
    model, sizes = model_of("llama"), []
    inner = model.forward

    def forward(**inputs):
        if inputs["input_ids"].shape[1] == 1 and "position_ids" in inputs:
            sizes.append(inputs["input_ids"].shape[0])
        return inner(**inputs)

    model.forward = forward
    decoded = decode(model, PROMPTS, ROWS, uniforms_of(12), ends=ENDS, batch=4)
    # Each token but a response's first is one row of one step; no row is run for nothing.
    assert sum(sizes) == sum(len(one.tokens) - 1 for one in decoded)
    assert max(sizes) <= 4


def test_a_long_prompt_makes_no_other_row_look_as_far_back(monkeypatch):
    model, seen = model_of("llama"), []
    inner = torch.nn.functional.scaled_dot_product_attention

    def attention(query, key, *more, **options):
        if query.shape[2] == 2:  # the heads of a group, of one new token
            seen.append((len(key), key.shape[2]))
        return inner(query, key, *more, **options)

    monkeypatch.setattr(torch.nn.functional, "scaled_dot_product_attention", attention)
    prompts = [[3 + i % 7 for i in range(40)], [4, 5, 6, 7], [8, 7, 3], [9, 10, 3]]
    rows, uniforms = [1] * 20 + [0] + [2] * 10 + [3] * 5, uniforms_of(4, 36)
    decoded = decode(model, prompts, rows, uniforms, ends=[], batch=36)
    layers = SHAPE["num_hidden_layers"]
    assert seen[: 3 * layers] == [(16, 41), (16, 5), (4, 4)] * layers
    monkeypatch.setattr(decoding, "_UNEVEN", float("inf"))
    assert [one.tokens for one in decode(model, prompts, rows, uniforms, ends=[], batch=36)] == [
        one.tokens for one in decoded
    ]
    assert seen[-layers:] == [(36, 43)] * layers


def test_one_token_and_no_response_at_all():
    model = model_of("qwen2")
    decoded = decode(model, PROMPTS, ROWS, uniforms_of(1), ends=ENDS, batch=3)
    assert [len(one.tokens) for one in decoded] == [1] * len(ROWS)
    assert decode(model, PROMPTS, [], uniforms_of(3, 0), ends=ENDS, batch=3) == []


def test_the_models_attention_is_its_own_again():
    model = model_of("llama")
    before = model.config._attn_implementation
    decode(model, PROMPTS, ROWS, uniforms_of(2), ends=ENDS, batch=8)
    assert model.config._attn_implementation == before
    model.model.norm.weight.data[0] = float("nan")
    with pytest.raises(DivergedError, match="not finite at token 1 of a response"):
        decode(model, PROMPTS, ROWS, uniforms_of(2), ends=ENDS, batch=8)
    assert model.config._attn_implementation == before


def test_models_whose_attention_is_another_are_left_to_transformers():
    class Fake:
        _supports_attention_backend = True

        def __init__(self, config):
            self.config = config

    assert supports(model_of("qwen2"))
    assert supports(Fake(MistralConfig(sliding_window=None)))
    assert not supports(Fake(MistralConfig(sliding_window=16)))
    assert not supports(Fake(Gemma2Config()))
    windowed = Fake(LlamaConfig())
    windowed._supports_attention_backend = False
    assert not supports(windowed)


@pytest.mark.parametrize("options", [{}, {"top_p": 0.7}, {"temperature": 0.5, "top_k": 9}])
@pytest.mark.parametrize("training", [False, True])
def test_generate_within_training_gives_the_tokens_of_transformers(monkeypatch, options, training):
    model = model_of("llama").train(training)
    width = max(map(len, PROMPTS))
    padded = [[0] * (width - len(prompt)) + prompt for prompt in PROMPTS]
    ids = torch.tensor([padded[place] for place in ROWS])
    mask = torch.tensor([[0] * (width - len(PROMPTS[p])) + [1] * len(PROMPTS[p]) for p in ROWS])
    asked = GenerationConfig(
        do_sample=True, max_new_tokens=9, pad_token_id=0, eos_token_id=ENDS, **options
    )

    def generate():
        with seeded_generation(model, uniforms_of(9)), torch.no_grad():
            return model.generate(input_ids=ids, attention_mask=mask, generation_config=asked)

    with monkeypatch.context() as patch:  # so that it is the other way that is tested
        patch.setattr(type(model), "generate", None)
        mine = generate()
    with monkeypatch.context() as patch:
        patch.setattr(decoding, "continuations", lambda *_: None)
        theirs = generate()
    assert torch.equal(mine, theirs)
    assert "generate" not in vars(model)


@pytest.mark.parametrize(
    ("inputs", "options"),
    [
        ({}, {"repetition_penalty": 1.3}),
        ({}, {"min_new_tokens": 4}),
        ({"token_type_ids": torch.zeros(1, 2, dtype=torch.long)}, {}),
    ],
)
def test_what_is_not_understood_is_left_to_transformers(inputs, options):
    given = {"input_ids": torch.tensor([[3, 5]]), "attention_mask": torch.ones(1, 2), **inputs}
    model, uniforms = model_of("llama"), uniforms_of(3, 1)
    asked = GenerationConfig(do_sample=True, max_new_tokens=3, pad_token_id=0, **options)
    assert decoding.continuations(model, given, asked, uniforms) is None
    plain = GenerationConfig(do_sample=True, max_new_tokens=3, pad_token_id=0)
    if not inputs:
        assert decoding.continuations(model, given, plain, uniforms).shape == (1, 5)
        model.train().gradient_checkpointing_enable()
        assert decoding.continuations(model, given, plain, uniforms) is None


def test_prompts_of_one_length_are_run_together():
    model, shapes = model_of("llama"), []
    inner = model.forward

    def forward(**inputs):
        shapes.append(tuple(inputs["input_ids"].shape))
        return inner(**inputs)

    model.forward = forward
    prompts = [[3, 4], [5, 6, 7], [8, 9], [10, 11, 12]]
    decode(model, prompts, [0, 0, 1, 1, 2, 3], uniforms_of(1, 6), ends=[], batch=6)
    assert shapes == [(2, 2), (2, 3)]
