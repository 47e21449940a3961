"""The supervised start of Countdown learns what it is shown, the same way each time."""

import pytest
import torch

from llm_validation.exact_success import success_probability
from llm_validation.imitation import imitate
from llm_validation.tasks import load_task
from llm_validation.tasks.small_countdown import characters
from llm_validation.tiny_model import character_tokenizer, tiny_llama

TASK = load_task("small_countdown", largest=4)


def success_of(shown, steps, seed=0):
    tokenizer = character_tokenizer(characters())
    model = tiny_llama(tokenizer, seed=seed, initial_scale=0.125)
    examples = TASK.train[:40]
    imitate(model, tokenizer, examples, shown_success=shown, steps=steps, seed=seed)
    return success_probability(model, tokenizer, examples, TASK.answers)


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_prompts_that_are_shown_for_long_are_answered_as_they_are_shown():
    assert success_of(0.95, 250).mean() > 0.7
    assert 0.2 < success_of(0.4, 250).mean() < 0.6


def test_the_same_seed_gives_the_same_model():
    first, again, other = success_of(0.9, 5), success_of(0.9, 5), success_of(0.9, 5, seed=1)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
