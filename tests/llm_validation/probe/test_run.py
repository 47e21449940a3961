"""A whole probe of a tiny model: what it writes, that it resumes, and that it reads evaluations."""

import dataclasses
import json
import math

import numpy as np
import pandas as pd
import pytest
import torch

from llm_validation.generation import load_weights
from llm_validation.probe import run as run_module
from llm_validation.probe.config import ProbeConfig, list_recipes, load_recipe
from llm_validation.probe.parameters import choose_parameters, coordinates
from llm_validation.probe.run import probe
from llm_validation.tiny_model import character_tokenizer, tiny_llama
from runs.folder import is_finished

SMALL = ProbeConfig(
    hidden_size=32,
    layers=1,
    warm_up_steps=120,
    prompts=6,
    groups=8,
    group_size=8,
    sizes=(0.02, 0.1),
    schemes=("grpo", "sqrt_r", "lens"),
    resamples=200,
    cpu=True,
    threads=1,
)


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    path = tmp_path_factory.mktemp("probe") / "whole"
    return probe(SMALL, path, progress=False)


def test_every_recipe_is_a_configuration():
    assert "tiny" in list_recipes()
    for name in list_recipes():
        assert load_recipe(name).description


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sizes": ()}, "at least one size"),
        ({"schemes": ()}, "at least one scheme"),
        ({"schemes": ("ppo",)}, "needs a critic"),
        ({"optimizers": ("sgd", "sgd")}, "differ from each other"),
        ({"parameters": "("}, "regular expression"),
        ({"parameters": "mlp", "lora_rank": 2}, "not both"),
        ({"task": "math"}, "arithmetic task alone"),
        ({"samples_path": "x"}, "needs the model"),
        ({"hidden_size": 33}, "multiple of 32"),
        ({"groups": 1}, "from 2"),
    ],
)
def test_what_is_not_allowed_is_said(changes, words):
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(SMALL, **changes)


def test_a_finished_probe_has_its_tables(done):
    assert is_finished(done.path)
    assert not (done.path / "checkpoints" / "sums.npz").exists()
    summary = json.loads((done.path / "probe.json").read_text())
    assert summary["prompts_probed"] == 6
    assert summary["responses"] == 6 * 64
    assert summary["sampler_gap"] < 1e-5  # sampled and differentiated by the same model
    assert summary["width"] == summary["parameters"]
    assert summary["ratio"]["low"] <= summary["ratio"]["estimate"] <= summary["ratio"]["high"]
    prompts = pd.read_csv(done.path / "prompts.csv")
    assert (prompts["n_samples"] == 64).all()
    assert prompts["n_correct"].sum() / (6 * 64) == pytest.approx(summary["pass_rate"])
    kernel = np.loadtxt(done.path / "kernel.csv", delimiter=",")
    assert kernel.shape == (6, 6)
    np.testing.assert_allclose(kernel, kernel.T)
    metrics = pd.read_parquet(done.path / "metrics.parquet")
    assert {"ratio/estimate", "gain/estimate", "sgd/0.02/all/exact"} <= set(metrics["metric"])
    json.dumps(done.to_dict(), allow_nan=False)


def test_small_steps_do_what_first_order_says_and_exact_success_agrees(done):
    steps = done.steps[done.steps["group"] == "all"].set_index(["optimizer", "scheme", "size"])
    assert len(steps) == 2 * 3 * 2
    for optimizer in ("sgd", "adam"):
        for scheme in SMALL.schemes:
            small, large = (steps.loc[(optimizer, scheme, size)] for size in SMALL.sizes)
            assert large["rate"] == pytest.approx(5 * small["rate"])
            assert large["predicted"] == pytest.approx(5 * small["predicted"])
            assert small["rms_log_ratio"] == pytest.approx(0.02, rel=0.1)
            # The remainder falls faster than the step: to the square of it, by a factor of 25.
            assert abs(small["difference"]) < abs(large["difference"]) / 10
            assert small["measured_low"] < small["exact"] < small["measured_high"]
            assert 0.9 < large["effective_share"] < small["effective_share"] < 1
    assert np.isfinite(steps.loc[("sgd", "grpo", 0.1), "law"])
    assert math.isnan(steps.loc[("sgd", "lens", 0.1), "law"])  # it has no table
    assert math.isnan(steps.loc[("adam", "grpo", 0.1), "law"])


def test_a_response_that_comes_again_is_worked_out_once(done, monkeypatch):
    inner, asked = run_module.log_probabilities, []

    def noted(model, prompt, responses, rows):
        asked.append(responses)
        return inner(model, prompt, responses, rows)

    monkeypatch.setattr(run_module, "log_probabilities", noted)
    folder = next((done.path / "initial").iterdir())
    model, prompt = load_weights(str(folder), torch.float32).eval(), [3, 4, 5]
    responses = [[6, 7], [6], [6, 7], [8, 9, 6], [6]]
    found = run_module._log_probabilities(model, prompt, responses, 64)
    assert [len(each) for each in asked] == [3]
    expected = [inner(model, prompt, [response]).item() for response in responses]
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("where", ["log_probabilities", "response_score"])
def test_a_killed_probe_resumes_to_the_same_numbers(done, tmp_path, monkeypatch, where):
    inner, calls = getattr(run_module, where), []

    def dies(*arguments):
        calls.append(0)
        if len(calls) == 70:  # after some prompts' scores, or some measurements
            raise KeyboardInterrupt
        return inner(*arguments)

    path = tmp_path / "whole"
    monkeypatch.setattr(run_module, where, dies)
    with pytest.raises(KeyboardInterrupt):
        probe(SMALL, path, progress=False)
    monkeypatch.setattr(run_module, where, inner)
    again = probe(SMALL, path, progress=False)
    for name in ("prompts", "difficulty", "schemes", "steps"):
        pd.testing.assert_frame_equal(getattr(again, name), getattr(done, name))
    assert again.summary == done.summary


def test_responses_of_an_evaluation_are_read(tmp_path):
    # Of few responses some prompts have none with an unknown token.
    few = dataclasses.replace(SMALL, groups=2, optimizers=())
    done = probe(few, tmp_path / "few", progress=False)
    parts = sorted((done.path / "rollouts").glob("*.parquet"))
    table = pd.concat([pd.read_parquet(part) for part in parts]).drop(columns="ids")
    table.to_parquet(tmp_path / "samples.parquet")
    model = str(next((done.path / "initial").iterdir()))
    given = {"model": model, "samples_path": str(tmp_path / "samples.parquet"), "prompts": 5}
    config = dataclasses.replace(few, **given)
    found = probe(config, tmp_path / "read", progress=False)
    assert found.steps.empty
    assert pd.read_csv(tmp_path / "read" / "steps.csv").empty
    assert found.summary["prompts_probed"] == 5
    assert found.summary["retokenised"] < 0.1  # an <unknown> is several characters
    pd.testing.assert_series_equal(found.prompts["id"], done.prompts["id"][:5])
    # The same scores but where a token is unknown, which no text gives back.
    strange = table["response"].str.contains("<unknown>").groupby(table["problem"]).any()
    same = ~found.prompts["id"].map(strange).to_numpy() & found.prompts["kernel"].notna()
    assert same.sum() >= 2
    np.testing.assert_allclose(
        found.prompts["kernel"][same], done.prompts["kernel"][:5][same], rtol=1e-4
    )
    other = dataclasses.replace(config, task_options={"kind": "memorise"})
    with pytest.raises(ValueError, match="has no prompt"):
        probe(other, tmp_path / "other", progress=False)
    with pytest.raises(ValueError, match="two prompts at least with"):
        probe(dataclasses.replace(config, groups=9), tmp_path / "other", progress=False)
    assert not (tmp_path / "other").exists()


def test_adapters_and_named_weights_are_chosen():
    pytest.importorskip("peft")
    config = dataclasses.replace(SMALL, lora_rank=2)
    model = tiny_llama(character_tokenizer(), hidden_size=32, layers=1)
    before = model(torch.tensor([[1, 2, 3]])).logits
    wrapped, chosen = choose_parameters(model, config)
    assert all("lora_B" in name for name in chosen)
    assert all(not p.any() for p in chosen.values())  # adapters begin as nothing
    torch.testing.assert_close(wrapped(torch.tensor([[1, 2, 3]])).logits, before)
    rows = {"q": 32, "k": 32, "v": 32, "o": 32, "gate": 64, "up": 64, "down": 32}
    assert coordinates(list(chosen.values())) == 2 * sum(rows.values())
    plain = tiny_llama(character_tokenizer(), hidden_size=32, layers=1)
    _, some = choose_parameters(plain, dataclasses.replace(SMALL, parameters=r"mlp\.down"))
    assert list(some) == ["model.layers.0.mlp.down_proj.weight"]
    assert sum(p.requires_grad for p in plain.parameters()) == 1


def test_a_name_that_no_parameter_has_is_refused_before_anything_is_written(tmp_path):
    config = dataclasses.replace(SMALL, parameters="experts")
    with pytest.raises(ValueError, match="no parameter has a name like 'experts'; one of them is"):
        probe(config, tmp_path / "run", progress=False)
    with pytest.raises(ValueError, match="initial_success must lie in"):
        probe(dataclasses.replace(SMALL, initial_success=1e-4), tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_a_projected_probe_of_adapters_runs(tmp_path):
    pytest.importorskip("peft")
    config = dataclasses.replace(
        SMALL,
        prompts=3,
        group_size=4,
        lora_rank=2,
        projection=256,
        sizes=(0.05,),
        optimizers=("adam",),
        dtype="bfloat16",
    )
    found = probe(config, tmp_path / "run", progress=False)
    assert found.summary["parameters"] == 576
    assert found.summary["width"] == 256
    assert found.summary["projection_error"] == pytest.approx(1 / 16)
    assert len(found.steps)
