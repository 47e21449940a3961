"""Evaluation with the real vLLM: samples of the model, and the log-probabilities it gives them."""

import types

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
from llm_validation.vllm_cpu import TOLERANCE, OtherSamplerError, SamplesByInversion

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


def generated(sampler, requests):
    """First tokens of requests (prompt, options of sampling), all of them in one batch."""
    from vllm import SamplingParams

    inputs = [{"prompt_token_ids": prompt_tokens(sampler.tokenizer, p)} for p, _ in requests]
    asked = [
        SamplingParams(**{"max_tokens": 1, "ignore_eos": True, **options})
        for _, options in requests
    ]
    outputs = sampler.llm.generate(inputs, asked, use_tqdm=False)
    return [one.outputs[0].token_ids[0] for one in outputs]


def probabilities(sampler, model, prompt):
    """Of the first token, exactly."""
    with torch.no_grad():
        logits = model(torch.tensor([prompt_tokens(sampler.tokenizer, prompt)])).logits[0, -1]
    return logits.double().softmax(-1)


def uniform(seed):
    """The first number of a seeded request."""
    generator = torch.Generator().manual_seed(seed)
    return torch.rand((), dtype=torch.float64, generator=generator).item()


def test_each_token_is_the_one_at_the_requests_number(sampler, model):
    """Of vLLM's own noise, drawn for every token of the vocabulary, none of this would hold."""
    cumulative = probabilities(sampler, model, PROMPTS[0]).cumsum(-1)
    seeds = range(300)
    tokens = generated(sampler, [(PROMPTS[0], {"seed": seed}) for seed in seeds])
    numbers = torch.tensor([uniform(seed) for seed in seeds], dtype=torch.float64)
    # No number lies so near a border that float32 would decide.
    assert tokens == torch.searchsorted(cumulative, numbers, right=True).tolist()
    assert len(set(tokens)) > 3


def test_seeded_tokens_do_not_depend_on_the_others_of_the_batch(sampler):
    seeded = [(PROMPTS[0], {"seed": seed, "max_tokens": 4}) for seed in range(5)]
    others = [
        (PROMPTS[1], {}),
        (PROMPTS[1], {"temperature": 0}),
        (PROMPTS[2], {"temperature": 0.5, "top_k": 2}),
        (PROMPTS[2], {"top_p": 0.6}),
    ]
    alone = [generated(sampler, [one])[0] for one in seeded]
    assert generated(sampler, seeded + others)[:5] == alone
    assert generated(sampler, others + seeded)[4:] == alone


def test_greedy_top_k_and_top_p_keep_what_they_keep(sampler, model):
    exact = probabilities(sampler, model, PROMPTS[0])
    order = exact.argsort(descending=True)
    kept = order[: int((exact[order].cumsum(-1) < 0.6).sum()) + 1].tolist()
    draws = 1500
    asked = {
        "greedy": ({"temperature": 0}, order[:1].tolist()),
        "top_k": ({"top_k": 3}, order[:3].tolist()),
        "top_p": ({"top_p": 0.6}, kept),
        "both": ({"top_k": 2, "top_p": 0.99}, order[:2].tolist()),
    }
    # All kinds side by side in one batch, unseeded.
    tokens = np.array(
        generated(sampler, [(PROMPTS[0], options) for options, _ in asked.values()] * draws)
    ).reshape(draws, len(asked))
    for column, (name, (_, allowed)) in zip(tokens.T, asked.items(), strict=True):
        assert set(column) == set(allowed), name
        if len(allowed) > 1:
            wanted = exact[allowed].numpy()
            counts = [(column == token).sum() for token in allowed]
            assert stats.chisquare(counts, wanted / wanted.sum() * draws).pvalue > 1e-3, name


def test_a_sampler_that_is_elsewhere_is_named():
    for sampler in (
        types.SimpleNamespace(),
        types.SimpleNamespace(topk_topp_sampler=types.SimpleNamespace()),
        types.SimpleNamespace(
            topk_topp_sampler=types.SimpleNamespace(forward_native=lambda logits, seeds: None)
        ),
    ):
        worker = SamplesByInversion()
        worker.model_runner = types.SimpleNamespace(sampler=sampler)
        with pytest.raises(OtherSamplerError, match=r"another place than 0\.32"):
            worker.sample_by_inversion()


def test_the_prompt_of_a_group_is_run_once(sampler):
    from vllm import SamplingParams

    prompt = {"prompt_token_ids": prompt_tokens(sampler.tokenizer, "7+" * 25)}
    outputs = sampler.llm.generate([prompt] * 3, SamplingParams(max_tokens=1), use_tqdm=False)
    assert [one.num_cached_tokens for one in outputs] == [0, 32, 32]  # whole blocks of it


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
