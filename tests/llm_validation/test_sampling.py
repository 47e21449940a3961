"""Sampling by given numbers: it has the right distribution and belongs to the response."""

import numpy as np
import pytest
import torch
from scipy import stats
from transformers import (
    GenerationConfig,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from llm_validation.sampling import SeededChoice, check_sampling, seeded_generation, uniform_rows
from llm_validation.tiny_model import character_tokenizer, tiny_llama
from llm_validation.warpers import DivergedError


def chosen(logits, uniforms, **options):
    choice = SeededChoice(torch.as_tensor(uniforms), GenerationConfig(do_sample=True, **options))
    scores = choice(None, logits)
    assert (torch.isfinite(scores).sum(-1) == 1).all()
    return scores.argmax(-1)


@pytest.mark.parametrize(
    ("options", "warpers"),
    [
        ({}, []),
        ({"temperature": 0.6}, [TemperatureLogitsWarper(0.6)]),
        ({"top_p": 0.8}, [TopPLogitsWarper(0.8)]),
        ({"top_k": 2}, [TopKLogitsWarper(2)]),
        ({"min_p": 0.2}, [MinPLogitsWarper(0.2)]),
        # Temperature comes first: a hot distribution has more tokens above a tenth of the largest.
        ({"temperature": 3.0, "min_p": 0.3}, [TemperatureLogitsWarper(3.0), MinPLogitsWarper(0.3)]),
    ],
)
def test_frequencies_are_the_policys_probabilities(options, warpers):
    logits = torch.tensor([[1.5, 0.0, -1.0, 2.0, -torch.inf, 0.3]])
    rows = 20_000
    uniforms = uniform_rows(0, 0, 0, rows, 1)
    counts = np.bincount(chosen(logits.repeat(rows, 1), uniforms, **options), minlength=6)
    warped = logits
    for warper in warpers:
        warped = warper(None, warped)
    expected = warped.softmax(-1)[0].double().numpy()
    possible = expected > 0
    assert (counts[~possible] == 0).all()
    # The numbers are fixed by the seed, so this either always holds or never does.
    test = stats.chisquare(counts[possible], rows * expected[possible] / expected.sum())
    assert test.pvalue > 0.01


def test_the_ends_of_the_interval_find_a_possible_token():
    logits = torch.tensor([[-torch.inf, 0.0, 1.0, -torch.inf]])
    assert chosen(logits, [[0.0]]).item() == 1
    assert chosen(logits, [[np.nextafter(1.0, 0.0)]]).item() == 2


def test_numbers_belong_to_seed_step_and_row():
    whole = uniform_rows(7, 11, 0, 6, 5)
    parts = [uniform_rows(7, 11, first, 2, 5) for first in (0, 2, 4)]
    np.testing.assert_array_equal(np.vstack(parts), whole)
    for seed, step, batch, turn in ((8, 11, 0, 0), (7, 12, 0, 0), (7, 11, 1, 0), (7, 11, 0, 1)):
        assert not (uniform_rows(seed, step, 0, 6, 5, batch=batch, turn=turn) == whole).any()
    assert stats.kstest(uniform_rows(0, 0, 0, 500, 20).ravel(), "uniform").pvalue > 0.01


def test_a_response_does_not_depend_on_the_batch_it_is_generated_in():
    tokenizer = character_tokenizer()
    model = tiny_llama(tokenizer).eval()
    prompts = torch.tensor(tokenizer(["12+34=", "55+06=", "98+76=", "00+11="])["input_ids"])
    uniforms = uniform_rows(0, 0, 0, 4, 6)

    def generate(rows):
        with seeded_generation(model, torch.from_numpy(uniforms[rows])):
            return model.generate(
                input_ids=prompts[rows],
                attention_mask=torch.ones_like(prompts[rows]),
                do_sample=True,
                max_new_tokens=6,
                min_new_tokens=6,
            )

    whole = generate([0, 1, 2, 3])
    assert torch.equal(torch.cat([generate([0, 1]), generate([2, 3])]), whole)
    assert "generate" not in vars(model)


@pytest.mark.parametrize("logit", [float("nan"), float("inf")])
def test_logits_that_are_not_finite_end_with_a_sentence(logit):
    choice = SeededChoice(torch.full((2, 3), 0.5), GenerationConfig(do_sample=True))
    choice(None, torch.zeros(2, 4))
    choice.check()
    choice(None, torch.tensor([[0.0, 1.0, 2.0, 3.0], [0.0, logit, 0.0, 0.0]]))
    with pytest.raises(DivergedError, match="not finite at token 2"):
        choice.check()


@pytest.mark.parametrize(("name", "value"), [("num_beams", 2), ("penalty_alpha", 0.6)])
def test_other_ways_of_choosing_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        check_sampling(GenerationConfig(do_sample=True, **{name: value}))
    check_sampling(GenerationConfig(do_sample=True, top_k=5, repetition_penalty=1.2))
