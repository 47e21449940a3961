"""The warm-up reaches the success probability it is asked for."""

import pytest
import torch

from llm_validation.exact_success import success_probability
from llm_validation.tasks import load_task
from llm_validation.tiny_model import character_tokenizer, tiny_llama
from llm_validation.warm_up import right_fraction, warm_up


def warmed(initial_success, steps, seed=0):
    tokenizer = character_tokenizer()
    task = load_task("arithmetic")
    model = tiny_llama(tokenizer, seed=seed)
    warm_up(model, tokenizer, task.train, initial_success=initial_success, steps=steps, seed=seed)
    return success_probability(model, tokenizer, task.test)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_guessing_succeeds_once_in_a_hundred_on_every_prompt():
    success = warmed(0.01, steps=120)
    assert success.mean().item() == pytest.approx(0.01, rel=0.1)
    assert success.std().item() < 0.004  # nothing of the rule is known: no prompt is easier


def test_post_sft_success_is_the_one_asked_for():
    assert warmed(0.4, steps=200).mean().item() == pytest.approx(0.4, rel=0.2)


def test_the_same_seed_gives_the_same_model():
    first, again, other = warmed(0.4, 6), warmed(0.4, 6), warmed(0.4, 6, seed=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.parametrize("success", [0.01, 0.05, 0.4, 0.99])
def test_the_fraction_of_right_digits_solves_its_equation(success):
    share = right_fraction(success)
    assert (share + (1 - share) / 10) ** 2 == pytest.approx(success, rel=1e-9)


@pytest.mark.parametrize("success", [0.0, 0.009, 1.0, float("nan")])
def test_a_success_below_chance_or_certain_is_refused(success):
    with pytest.raises(ValueError, match=r"initial_success must lie in \[0.01, 1\)"):
        right_fraction(success)
