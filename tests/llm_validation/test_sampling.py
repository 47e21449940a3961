"""Sampling by given numbers: it has the right distribution and belongs to the response."""

import numpy as np
import pytest
import torch
from scipy import stats
from transformers import TemperatureLogitsWarper, TopPLogitsWarper

from llm_validation.sampling import SeededChoice, seeded_generation, uniform_rows
from llm_validation.tiny_model import character_tokenizer, tiny_llama


def chosen(logits, uniforms, temperature=1.0, top_p=1.0):
    choice = SeededChoice(torch.as_tensor(uniforms), temperature, top_p)
    scores = choice(None, logits)
    assert (torch.isfinite(scores).sum(-1) == 1).all()
    return scores.argmax(-1)


@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 1.0), (1.0, 0.8)])
def test_frequencies_are_the_policys_probabilities(temperature, top_p):
    logits = torch.tensor([[1.5, 0.0, -1.0, 2.0, -torch.inf, 0.3]])
    rows = 20_000
    uniforms = uniform_rows(0, 0, 0, rows, 1)
    counts = np.bincount(chosen(logits.repeat(rows, 1), uniforms, temperature, top_p), minlength=6)
    warped = TopPLogitsWarper(top_p)(None, TemperatureLogitsWarper(temperature)(None, logits))
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
    for seed, step in ((8, 11), (7, 12)):
        assert not (uniform_rows(seed, step, 0, 6, 5) == whole).any()
    assert stats.kstest(uniform_rows(0, 0, 0, 500, 20).ravel(), "uniform").pvalue > 0.01


def test_a_response_does_not_depend_on_the_batch_it_is_generated_in():
    tokenizer = character_tokenizer()
    model = tiny_llama(tokenizer).eval()
    prompts = torch.tensor(tokenizer(["12+34=", "55+06=", "98+76=", "00+11="])["input_ids"])
    uniforms = uniform_rows(0, 0, 0, 4, 6)

    def generate(rows):
        with seeded_generation(model, torch.from_numpy(uniforms[rows]), temperature=1.0, top_p=1.0):
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
