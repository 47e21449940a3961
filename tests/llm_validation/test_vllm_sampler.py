"""Evaluation with the real vLLM: samples of the model, and the log-probabilities it gives them."""

import numpy as np
import pytest
import torch
from scipy import stats

pytest.importorskip("vllm")

from llm_validation.config import TrainConfig
from llm_validation.evaluate import evaluate
from llm_validation.evaluate_config import EvaluateConfig
from llm_validation.exact_success import success_probability
from llm_validation.generation import VllmSampler, make_sampler, prompt_tokens
from llm_validation.initial_model import load
from llm_validation.tasks import load_task
from llm_validation.vllm_cpu import TOLERANCE

PROMPTS = ["12+34=", "90+01=", "1+2="]
pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def config(model, **changes):
    values = {
        "model": str(model),
        "task": "arithmetic",
        "samples": 4,
        "temperature": 1.0,
        "top_p": 1.0,
        "max_response_tokens": 4,
        "engine": "auto",
        "cpu": True,
        "dtype": "float32",
    }
    return EvaluateConfig(**{**values, **changes})


@pytest.fixture(scope="module")
def sampler(tiny_folder):
    """vLLM on the tiny model; an engine that is asked for by ``auto`` where vLLM is installed."""
    made = make_sampler(config(tiny_folder))
    assert isinstance(made, VllmSampler)
    return made


@pytest.fixture(scope="module")
def model(tiny_folder):
    return load(str(tiny_folder), TrainConfig())[0].eval()


def test_log_probabilities_are_the_models(sampler, model):
    for prompt, responses in zip(PROMPTS, sampler.sample(PROMPTS, 0), strict=True):
        assert len(responses) == 4
        for response in responses:
            start = prompt_tokens(sampler.tokenizer, prompt)
            # Back from text to tokens: "?" is unknown too, and one character.
            tokens = sampler.tokenizer(response.text.replace("<unknown>", "?"))["input_ids"]
            tokens += [] if response.truncated else [sampler.tokenizer.eos_token_id]
            assert len(tokens) == response.tokens
            with torch.no_grad():
                logits = model(torch.tensor([start + tokens])).logits[0, len(start) - 1 : -1]
            expected = logits.double().log_softmax(-1).gather(-1, torch.tensor(tokens)[:, None])
            assert response.log_probability == pytest.approx(expected.mean().item(), abs=TOLERANCE)


def test_responses_belong_to_the_seed_and_the_problem(sampler):
    texts = [[r.text for r in responses] for responses in sampler.sample(PROMPTS, 0)]
    assert texts == [[r.text for r in responses] for responses in sampler.sample(PROMPTS, 0)]
    assert texts[1:] == [
        [r.text for r in responses] for responses in sampler.sample(PROMPTS[1:], 1)
    ]
    assert texts != [[r.text for r in responses] for responses in sampler.sample(PROMPTS, 7)]


def test_first_tokens_follow_the_models_distribution(sampler, model, monkeypatch):
    draws = 2000
    changed = config(
        sampler.config.model, samples=draws, max_response_tokens=1, temperature=0.5, seed=3
    )
    monkeypatch.setattr(sampler, "config", changed)
    (responses,) = sampler.sample(["12+34="], 0)
    start = prompt_tokens(sampler.tokenizer, "12+34=")
    with torch.no_grad():
        logits = model(torch.tensor([start])).logits[0, -1].double()
    expected = (logits / 0.5).softmax(-1).numpy()
    texts = [sampler.tokenizer.decode([i], skip_special_tokens=True) for i in range(len(expected))]
    observed = np.array([sum(response.text == text for response in responses) for text in texts])
    assert observed.sum() == draws
    # Tokens too rare for the chi-square approximation stand together.
    common = expected * draws >= 5
    pooled = [np.append(v[common], v[~common].sum()) for v in (observed, expected * draws)]
    assert stats.chisquare(*pooled).pvalue > 1e-3


def test_more_prompts_than_a_scheduler_step_holds(sampler):
    budget = sampler.llm.llm_engine.vllm_config.scheduler_config.max_num_batched_tokens
    # An odd length, so that the budget ends within a prompt; all different, so none is in a cache.
    prompts = [f"{number:06d}+" + "1+" * 23 for number in range(2 * budget // 53 + 1)]
    responses = sampler.sample(prompts, 0)
    assert [len(group) for group in responses] == [4] * len(prompts)


def test_pass_at_1_is_the_models_success_probability(tiny_folder, tmp_path):
    # The last test: a second engine in the process is the end of the first.
    problems, samples = 50, 16
    evaluation = evaluate(
        config(tiny_folder, limit=problems, samples=samples, max_response_tokens=3),
        tmp_path / "run",
        progress=False,
    )
    model, tokenizer = load(str(tiny_folder), TrainConfig())
    exact = success_probability(
        model, tokenizer, load_task("arithmetic", limit=problems).test
    ).numpy()
    deviation = np.sqrt((exact * (1 - exact)).sum() / samples) / problems
    assert exact.mean() > 10 * deviation  # it would be seen if nothing were right
    assert abs(evaluation.pass_at(1)[0] - exact.mean()) < 4 * deviation
