"""Responses are samples of the model, whatever the batch, and their statistics are the model's."""

import sys
import types

import numpy as np
import pytest
import torch
from scipy import stats

from llm_validation.evaluate_config import EvaluateConfig
from llm_validation.generation import (
    TransformersSampler,
    VllmSampler,
    make_sampler,
    prompt_tokens,
)
from llm_validation.tiny_model import character_tokenizer, tiny_llama
from llm_validation.warpers import DivergedError

PROMPTS = ["12+34=", "90+01=", "1+2="]  # of unequal length: padding must not matter


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """Folder of a random two-layer Llama."""
    folder = tmp_path_factory.mktemp("tiny")
    tokenizer = character_tokenizer()
    tiny_llama(tokenizer, hidden_size=32, layers=1, seed=3).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


def config(model: str, **changes) -> EvaluateConfig:
    values = {
        "model": model,
        "task": "arithmetic",
        "samples": 4,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_response_tokens": 5,
        "engine": "transformers",
        "cpu": True,
    }
    return EvaluateConfig(**{**values, **changes})


def test_entropy_and_log_probability_are_the_models(tiny):
    sampler = TransformersSampler(config(tiny, temperature=0.7, top_p=0.9))
    tokenizer, model = sampler.tokenizer, sampler.model
    for prompt, responses in zip(PROMPTS, sampler.sample(PROMPTS, 0), strict=True):
        for response in responses:
            start = prompt_tokens(tokenizer, prompt)
            # Back from text to tokens: "?" is unknown too, and one character.
            tokens = tokenizer(response.text.replace("<unknown>", "?"))["input_ids"]
            tokens += [] if response.truncated else [tokenizer.eos_token_id]
            assert list(response.ids) == tokens
            assert len(tokens) == response.tokens
            with torch.no_grad():
                logits = model(torch.tensor([start + tokens])).logits[0, len(start) - 1 : -1]
            logs = logits.double().log_softmax(-1)
            expected = logs.gather(-1, torch.tensor(tokens)[:, None]).mean().item()
            entropy = -(logs.exp() * logs).sum(-1).mean().item()
            # float32 logits of order 1 over a dozen tokens.
            assert response.log_probability == pytest.approx(expected, abs=2e-5)
            assert response.entropy == pytest.approx(entropy, abs=2e-5)


def test_responses_do_not_depend_on_the_batch(tiny):
    together = TransformersSampler(config(tiny, batch=64)).sample(PROMPTS, 0)
    apart = TransformersSampler(config(tiny, batch=3)).sample(PROMPTS, 0)
    later = TransformersSampler(config(tiny)).sample(PROMPTS[1:], 1)
    texts = [[response.text for response in responses] for responses in together]
    assert texts == [[response.text for response in responses] for responses in apart]
    assert texts[1:] == [[response.text for response in responses] for responses in later]
    other = TransformersSampler(config(tiny, seed=1)).sample(PROMPTS, 0)
    assert texts != [[response.text for response in responses] for responses in other]


def test_first_tokens_follow_the_models_distribution(tiny):
    draws = 2000
    sampler = TransformersSampler(
        config(tiny, samples=draws, batch=draws, max_response_tokens=1, temperature=0.5)
    )
    (responses,) = sampler.sample(["12+34="], 0)
    start = prompt_tokens(sampler.tokenizer, "12+34=")
    with torch.no_grad():
        logits = sampler.model(torch.tensor([start])).logits[0, -1].double()
    expected = (logits / 0.5).softmax(-1).numpy()
    texts = [sampler.tokenizer.decode([i], skip_special_tokens=True) for i in range(len(expected))]
    observed = np.array([sum(response.text == text for response in responses) for text in texts])
    assert observed.sum() == draws
    # A fixed seed: this either holds for good or never.
    assert stats.chisquare(observed, expected * draws).pvalue > 1e-3


def test_temperature_zero_takes_the_likeliest_token(tiny):
    sampler = TransformersSampler(config(tiny, samples=1, temperature=0.0, max_response_tokens=1))
    (responses,) = sampler.sample(["12+34="], 0)
    start = prompt_tokens(sampler.tokenizer, "12+34=")
    with torch.no_grad():
        best = sampler.model(torch.tensor([start])).logits[0, -1].argmax().item()
    assert responses[0].text == sampler.tokenizer.decode([best], skip_special_tokens=True)


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_a_model_without_finite_logits_is_not_evaluated(tiny, temperature):
    sampler = TransformersSampler(config(tiny, samples=1, temperature=temperature))
    with torch.no_grad():
        sampler.model.model.norm.weight[0] = float("nan")
    with pytest.raises(DivergedError, match="not finite at token 1 of a response"):
        sampler.sample(PROMPTS, 0)


def test_chat_messages_need_a_template(tiny):
    tokenizer = character_tokenizer()
    messages = [{"role": "user", "content": "12"}]
    with pytest.raises(ValueError, match=r"no chat template: .*style='plain'"):
        prompt_tokens(tokenizer, messages)
    tokenizer.chat_template = "{% for m in messages %}{{ m.content }}{% endfor %}="
    assert tokenizer.decode(prompt_tokens(tokenizer, messages)) == "12="


def test_vllm_where_it_is_not_installed_is_refused(tiny, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"pip install '.\[vllm\]'"):
        make_sampler(config(tiny, engine="vllm"))
    assert isinstance(make_sampler(config(tiny, engine="auto")), TransformersSampler)


@pytest.mark.parametrize("cuda", [False, True])
def test_vllm_outputs_are_read(tiny, monkeypatch, cuda):
    """The contract with vLLM's offline engine: what is asked for, and what is made of it."""
    asked = {"workers": []}
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)

    class FakeLLM:
        def __init__(self, **options):
            asked["options"] = options

        def collective_rpc(self, method):
            asked["workers"].append(method)

        def generate(self, inputs, parameters, use_tqdm):
            asked["inputs"], asked["parameters"] = inputs, parameters
            return [
                types.SimpleNamespace(
                    outputs=[
                        types.SimpleNamespace(
                            text="12",
                            token_ids=[1, 2, 12],
                            finish_reason="stop",
                            logprobs=[
                                {token: types.SimpleNamespace(logprob=-0.5)} for token in (1, 2, 12)
                            ],
                        )
                    ]
                )
                for _ in inputs
            ]

    module = types.ModuleType("vllm")
    module.LLM, module.SamplingParams = FakeLLM, lambda **options: options
    monkeypatch.setitem(sys.modules, "vllm", module)
    sampler = VllmSampler(config(tiny, cpu=False))
    # On CUDA vLLM is left as it comes.
    assert asked["workers"] == ([] if cuda else ["sample_by_inversion"])
    assert ("worker_extension_cls" in asked["options"]) is not cuda
    responses = sampler.sample(PROMPTS, 5)
    assert [len(one) for one in responses] == [1, 1, 1]
    response = responses[0][0]
    assert (response.text, response.tokens, response.truncated) == ("12", 3, False)
    assert response.log_probability == -0.5
    assert np.isnan(response.entropy)
    assert asked["options"]["trust_remote_code"] is False
    assert asked["inputs"][2]["prompt_token_ids"] == [1, 10, 2, 11]
    seeds = [parameters["seed"] for parameters in asked["parameters"]]
    assert len(set(seeds)) == 3
    sampler.sample(PROMPTS[1:], 6)
    assert [parameters["seed"] for parameters in asked["parameters"]] == seeds[1:]
