"""Sampling by inversion takes the token that the distribution function says, at its ends too."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from transformers import GenerationConfig, TemperatureLogitsWarper, TopPLogitsWarper

from llm_validation.inversion import Distribution, chooser, likeliest
from llm_validation.warpers import sampling_warpers

LAST = np.nextafter(1.0, 0.0)
LOGITS = st.one_of(st.floats(-90, 90, width=32), st.just(float("-inf")))


def plainly(logits: torch.Tensor, uniforms: torch.Tensor) -> torch.Tensor:
    """One search in the distribution function, all of it in float64."""
    cumulative = logits.double().softmax(-1).cumsum(-1)
    targets = uniforms.unsqueeze(-1) * cumulative[:, -1:]
    return torch.searchsorted(cumulative, targets, right=True).squeeze(-1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("vocabulary", [1, 16, 127, 128, 129, 5000, 300_001])
def test_the_token_is_the_one_of_a_plain_search(vocabulary, dtype):
    generator = torch.Generator().manual_seed(vocabulary)
    rows = 9 if vocabulary > 10_000 else 400
    logits = (3 * torch.randn(rows, vocabulary, generator=generator)).to(dtype)
    uniforms = torch.rand(rows, generator=generator, dtype=torch.float64)
    mine, theirs = Distribution(logits).invert(uniforms), plainly(logits, uniforms)
    # Apart only where the number lies at a border, up to float32: never with these seeds.
    assert torch.equal(mine, theirs)


@pytest.mark.parametrize("vocabulary", [5, 1000])
@pytest.mark.parametrize(("temperature", "top_p"), [(1.0, 1.0), (0.6, 1.0), (1.0, 0.8), (0.7, 0.9)])
def test_frequencies_are_the_probabilities(vocabulary, temperature, top_p):
    logits = 1.5 * torch.randn(1, vocabulary, generator=torch.Generator().manual_seed(3))
    logits[0, 1] = -torch.inf
    draws = 50_000
    uniforms = torch.from_numpy(np.random.default_rng(4).random(draws))
    policy = Distribution(logits)
    choose = chooser(sampling_warpers(GenerationConfig(temperature=temperature, top_p=top_p)))
    tokens = np.concatenate(
        [
            choose(Distribution(logits.expand(len(part), -1)), part).numpy()
            for part in uniforms.split(20_000)
        ]
    )
    warped = TopPLogitsWarper(top_p)(None, TemperatureLogitsWarper(temperature)(None, logits))
    expected = warped.double().softmax(-1)[0].numpy()
    counts = np.bincount(tokens, minlength=vocabulary)
    assert (counts[expected == 0] == 0).all()
    likely = expected * draws > 5
    observed = np.append(counts[likely], counts[~likely].sum())
    wanted = np.append(expected[likely], expected[~likely].sum()) * draws
    # A fixed seed: this either holds for good or never.
    kept = wanted > 0
    assert stats.chisquare(observed[kept], wanted[kept]).pvalue > 0.01
    # Whatever is sampled, entropy and log-probabilities are the policy's own.
    logs = logits.double().log_softmax(-1)[0]
    entropy = -(logs.exp() * logs).nan_to_num().sum().item()
    assert policy.entropies.item() == pytest.approx(entropy, abs=1e-6)
    assert policy.log_probabilities(torch.tensor([2])).item() == pytest.approx(
        logs[2].item(), abs=1e-6
    )


@settings(max_examples=300, deadline=None, derandomize=True)
@given(
    logits=st.lists(LOGITS, min_size=1, max_size=300).filter(lambda x: max(x) > -np.inf),
    uniform=st.one_of(st.floats(0, 1, exclude_max=True), st.sampled_from([0.0, LAST, 5e-324])),
)
def test_the_number_lies_on_the_tokens_step(logits, uniform):
    row = torch.tensor([logits])
    token = Distribution(row).invert(torch.tensor([uniform], dtype=torch.float64)).item()
    probabilities = row.double().softmax(-1)[0]
    assert probabilities[token] > 0
    before, after = probabilities[:token].sum().item(), probabilities[: token + 1].sum().item()
    assert before - 1e-6 <= uniform <= after + 1e-6  # float32


@pytest.mark.parametrize("places", [(0,), (127, 128), (200,), (5, 299)])
def test_the_ends_find_the_first_and_last_possible_token(places):
    logits = torch.full((2, 300), -torch.inf)
    logits[:, list(places)] = torch.linspace(0, -20, len(places))
    ends = Distribution(logits).invert(torch.tensor([0.0, LAST], dtype=torch.float64))
    assert ends.tolist() == [places[0], places[-1]]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.lists(st.floats(0, LAST), min_size=2, max_size=40), st.integers(1, 400))
def test_greater_numbers_find_later_tokens(uniforms, vocabulary):
    logits = torch.randn(1, vocabulary, generator=torch.Generator().manual_seed(vocabulary))
    numbers = torch.tensor(sorted(uniforms), dtype=torch.float64)
    tokens = Distribution(logits.expand(len(numbers), -1)).invert(numbers)
    assert (tokens.diff() >= 0).all()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_distribution_says_so_and_leaves_other_rows_alone(value):
    logits = torch.zeros(3, 200)
    logits[1, 7] = value
    logits[2] = -torch.inf
    policy = Distribution(logits)
    tokens = policy.invert(torch.full((3,), 0.5, dtype=torch.float64))
    assert tokens[0] == 100
    assert ((tokens >= 0) & (tokens < 200)).all()
    assert policy.entropies.isnan().tolist() == [False, True, True]
    assert policy.log_probabilities(tokens).isnan().tolist() == [False, True, True]


def test_the_likeliest_token_is_taken_whatever_the_number():
    policy = Distribution(torch.tensor([[0.0, 2.0, 1.0]]))
    assert likeliest(policy, torch.tensor([0.99], dtype=torch.float64)).tolist() == [1]
