"""Prompts by a plan, in the real trainer of TRL."""

import numpy as np
import pytest

from llm_validation.planned_sampler import PlannedSampler, check_probability
from tests.llm_validation import test_trainer
from tests.llm_validation.test_trainer_breadth import GROUP, PROMPTS, first_digit

pytestmark = pytest.mark.usefixtures("one_thread")


class Repeated:
    """What TRL's sampler says of itself."""

    data_source = range(5)
    batch_size, mini_repeat_count, repeat_count, seed = 2, 3, 2, 7

    def __len__(self):
        return 2 * 2 * 2 * 3  # two batches of two prompts, repeated twice, three responses


def test_batches_are_drawn_by_the_chances_and_repeated_as_trl_does():
    chances = np.array([0.0, 0.1, 0.2, 0.3, 0.4])
    sampler = PlannedSampler(Repeated(), chances)
    epochs = []
    for epoch in range(6000):
        sampler.set_epoch(epoch)
        epochs.append(list(sampler))
    first = np.array(epochs)
    assert first.shape == (6000, len(sampler))
    batches = first.reshape(-1, 2, 2, 3)  # batch, repetition, prompt, response
    assert np.all(batches == batches[:, :1, :, :1])
    pairs = batches[:, 0, :, 0]
    assert np.all(pairs[:, 0] != pairs[:, 1])
    found = np.bincount(pairs[:, 0], minlength=5) / len(pairs)
    np.testing.assert_allclose(found, chances, atol=4 * np.sqrt(0.25 / len(pairs)))
    assert list(PlannedSampler(Repeated(), chances)) == first[0].tolist()


def trainer_of(folder, tmp_path, chances):
    return test_trainer.make(
        folder,
        tmp_path,
        scheme="grpo",
        reward=first_digit,
        examples=8,
        prompt_probability=chances,
        config={
            "max_steps": 2,
            "per_device_train_batch_size": GROUP * PROMPTS,
            "num_generations": GROUP,
        },
    )


def test_the_trainer_trains_on_the_prompts_of_the_plan(tiny_folder, tmp_path, monkeypatch):
    chances = [0, 0.25, 0, 0.25, 0.25, 0, 0.25, 0]
    trainer = trainer_of(tiny_folder, tmp_path, chances)
    seen = []
    inner = type(trainer)._generate_and_score_completions

    def noted(self, inputs):
        seen.extend(str(row["prompt"]) for row in inputs)
        return inner(self, inputs)

    monkeypatch.setattr(type(trainer), "_generate_and_score_completions", noted)
    trainer.train()
    wanted = {str(trainer.train_dataset[place]["prompt"]) for place in (1, 3, 4, 6)}
    assert set(seen) == wanted
    assert len(seen) == 2 * GROUP * PROMPTS


def test_chances_are_refused_before_the_first_step(tiny_folder, tmp_path):
    with pytest.raises(ValueError, match="a chance for each of the 8 prompts; got 3"):
        trainer_of(tiny_folder, tmp_path, [0.5, 0.2, 0.3])


@pytest.mark.parametrize(
    ("chances", "message"),
    [
        ([0.5, -0.1, 0.6], "finite numbers of at least 0"),
        ([0.5, float("nan"), 0.6], "finite numbers of at least 0"),
        ([1.0, 0.0, 0.0], "a batch holds 2 different prompts, and prompt_probability leaves 1"),
        (1.0, "got a number"),
    ],
)
def test_what_cannot_be_drawn_by_is_refused(chances, message):
    with pytest.raises(ValueError, match=message):
        check_probability(chances, 3, 2)
