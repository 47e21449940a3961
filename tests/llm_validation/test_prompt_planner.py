"""Plans while training: what outcomes say of prompts, when, and the same after an interruption."""

import json

import numpy as np
import pytest

from llm_validation.prompt_counts import PromptCounts, prompt_key
from llm_validation.prompt_planner import PromptPlanner
from llm_validation.replan import Replan
from tests.llm_validation import test_trainer
from tests.llm_validation.test_trainer_breadth import GROUP, PROMPTS, first_digit
from theory.beta_binomial import fit_pass_rates
from theory.prompt_sets import measured_set, posterior_set
from theory.rollout_plan import plan_rollouts

pytestmark = pytest.mark.usefixtures("one_thread")

KEYS = [f"prompt {number}" for number in range(40)]
CORRECT = np.repeat([0.0, 1, 4, 8, 14, 16], [14, 6, 6, 5, 5, 4])


def planner(**how):
    return PromptPlanner(KEYS, batch=4, group_size=16, how=Replan(**how))


def test_known_counts_give_the_plan_of_apw_advise():
    ours = planner(correct=CORRECT, tries=np.full(40, 16.0), target=0.7)
    wanted = plan_rollouts(measured_set(CORRECT, 16, draws=0), "grpo", 16, target=0.7)
    np.testing.assert_allclose(ours.probability(0), wanted.probability, rtol=1e-9, atol=1e-9)
    assert ours.metrics() == {
        "prompts_tried": 40,
        "pool_low": pytest.approx(wanted.low),
        "pool_high": pytest.approx(wanted.high),
    }


def test_a_plan_takes_into_account_what_was_in_before_the_batch_was_drawn():
    """every = 3: the plan of batches 3, 4 and 5 is of the outcomes of batches 0 and 1."""
    ours = planner(every=3, memory=1e9)
    rng = np.random.default_rng(0)
    seen = []
    for batch in range(9):
        places = rng.choice(40, 4, replace=False)
        seen.append(places)
        before = [ours.probability(number).tolist() for number in range(batch + 2)]
        ours.add([KEYS[place] for place in places], CORRECT[places], [16.0] * 4)
        ours.end_batch()
        # What is or was being drawn does not change: batch + 1 is drawn ahead of this one's end.
        after = [ours.probability(number).tolist() for number in range(batch + 2)]
        assert before[max(0, batch - 3) :] == after[max(0, batch - 3) :]
    counts = np.zeros((40, 2))
    for places in seen[:5]:
        counts[places] += np.stack([CORRECT[places], np.full(4, 16.0)], axis=1)
    known = counts[:, 1] > 0
    last = np.minimum(counts[known], np.array([16, 16])[None])  # a prompt may come twice
    fit = fit_pass_rates(CORRECT[known], np.full(known.sum(), 16.0))
    assert np.all(last[:, 1] == 16)
    found = posterior_set(fit, counts[:, 0], counts[:, 1], whole=False)
    wanted = plan_rollouts(found, "grpo", 16).probability
    # Counts fade by exp(-1e-9) a batch, and are rounded to quarters.
    np.testing.assert_allclose(ours.probability(6), wanted, rtol=1e-6, atol=1e-9)


def test_prompts_out_of_sight_come_to_have_the_chance_of_any():
    ours = planner(every=2, memory=3.0)
    ours.add(KEYS, CORRECT, [16.0] * 40)
    ours.end_batch()
    first = ours.probability(2)
    assert first[0] < 0.7 * first.max()  # 0 of 16, a third of it forgotten
    for _ in range(40):
        ours.add(KEYS[-1:], [9.0], [16.0])
        ours.end_batch()
    later = ours.probability(40)
    np.testing.assert_allclose(later[:-1], later[0], rtol=1e-6)
    assert later.sum() == pytest.approx(1)


def test_nothing_solved_and_nothing_left_to_learn_leave_all_alike():
    for correct in (0.0, 16.0):
        ours = planner(every=1)
        for _ in range(3):
            ours.add(KEYS, [correct] * 40, [16.0] * 40)
            ours.end_batch()
        np.testing.assert_allclose(ours.probability(3), 1 / 40)


def test_no_prompt_is_ever_out_of_the_question():
    ours = planner(correct=np.array([16_000.0] * 20 + [4000.0] * 20), tries=[16_000.0] * 40)
    assert np.all(ours.probability(0) > 0)


def test_state_is_json_and_goes_on_as_it_was():
    ours = planner(every=2)
    rng = np.random.default_rng(1)
    for _ in range(5):
        places = rng.choice(40, 4, replace=False)
        ours.add([KEYS[place] for place in places], CORRECT[places], [16.0] * 4)
        ours.end_batch()
    again = planner(every=2)
    again.remember(json.loads(json.dumps(ours.state())))
    for one in (ours, again):
        for _ in range(3):
            one.add(KEYS[:4], CORRECT[:4], [16.0] * 4)
            one.end_batch()
    assert again.state() == ours.state()
    assert again.probability(8).tolist() == ours.probability(8).tolist()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"every": 0}, "every must be at least 1; got 0"),
        ({"target": 1.0}, r"target must lie in \(0, 1\); got 1.0"),
        ({"memory": 0.0}, "memory must be positive; got 0.0"),
        ({"correct": [1.0], "tries": []}, "got 1 and 0"),
        ({"correct": [1.0], "tries": [2.0]}, "counts are of 1 prompts, and there are 40"),
    ],
)
def test_what_cannot_be_planned_by_is_refused(how, message):
    with pytest.raises(ValueError, match=message):
        planner(**how)


def test_counts_fade_and_a_group_without_scores_is_none():
    counts = PromptCounts(0.5)
    counts.add(["a"], [2.0], [4.0], step=0)
    counts.add(["a"], [0.0], [0.0], step=1)
    assert counts.at(["a"], step=1).tolist() == [[1.0, 2.0]]
    assert counts.last_groups().tolist() == [[2.0, 4.0]]


def trainer_of(folder, tmp_path, how, **config):
    settings = {
        "max_steps": 9,
        "per_device_train_batch_size": GROUP * PROMPTS,
        "num_generations": GROUP,
        "save_strategy": "steps",
        "save_steps": 4,
        "learning_rate": 1e-3,
        "seed": 1,  # some response of the first batches is right
    }
    return test_trainer.make(
        folder,
        tmp_path,
        scheme="grpo",
        reward=first_digit,
        examples=13,  # three batches an epoch: plans go on over the ends of epochs
        prompt_probability=how,
        config=settings | config,
    )


def trained(trainer, monkeypatch, **arguments):
    seen = []
    inner = type(trainer)._generate_and_score_completions

    def noted(self, inputs):
        keys = [prompt_key(row["prompt"]) for row in inputs[:: self.num_generations]]
        output = inner(self, inputs)
        seen.append((keys, self._rewards.nansum().item()))
        return output

    with monkeypatch.context() as patch:
        patch.setattr(type(trainer), "_generate_and_score_completions", noted)
        trainer.train(**arguments)
    return seen


def test_the_trainer_replans_and_resumes_to_the_same_prompts(tiny_folder, tmp_path, monkeypatch):
    how = Replan(every=2)
    trainer = trainer_of(tiny_folder, tmp_path / "whole", how)
    whole = trained(trainer, monkeypatch)
    planner = trainer._history.planner
    assert len(whole) == 9
    assert planner.state()["batch"] == 9
    counts = planner.state()["counts"]
    drawn = {key for keys, _ in whole for key in keys}
    assert set(counts) == drawn
    plans = [chances for _, chances in planner.state()["plans"] if chances is not None]
    assert any(np.ptp(chances) > 1e-3 / 13 for chances in plans)
    recorded = {metric for _, metric, _ in trainer.record}
    assert {"prompts_tried", "pool_low", "pool_high"} <= recorded
    again = trainer_of(tiny_folder, tmp_path / "resumed", how)
    rest = trained(
        again, monkeypatch, resume_from_checkpoint=str(tmp_path / "whole" / "checkpoint-4")
    )
    assert rest == whole[4:]
    assert again._history.planner.state() == planner.state()


def test_prompts_known_to_be_impossible_are_left_alone(tiny_folder, tmp_path, monkeypatch):
    correct, tries = np.array([0.0] * 8 + [30.0] * 5), np.full(13, 64.0)
    how = Replan(every=100, target=0.7, correct=correct, tries=tries)
    trainer = trainer_of(tiny_folder, tmp_path, how, max_steps=6)
    able = [prompt_key(prompt) for prompt in trainer.train_dataset["prompt"][8:]]
    keys = [key for keys, _ in trained(trainer, monkeypatch) for key in keys]
    # Batches of PROMPTS different prompts: nearly all of those that are worth it, all the time.
    assert np.mean([key in able for key in keys]) > 0.95


@pytest.mark.parametrize(
    ("config", "examples", "message"),
    [
        ({"dataloader_num_workers": 1}, 13, "dataloader_num_workers must be 0"),
        ({}, 1, "a batch holds [0-9]+ different prompts, and there are 1"),
    ],
)
def test_data_that_cannot_be_planned_is_refused(tiny_folder, tmp_path, config, examples, message):
    with pytest.raises(ValueError, match=message):
        test_trainer.make(
            tiny_folder,
            tmp_path,
            scheme="grpo",
            examples=examples,
            prompt_probability=Replan(),
            config=config,
        )


def shaped(completions, gold, **_):
    return [0.01 * len(completion) for completion in completions]


def signed(completions, gold, **_):
    return [2 * reward - 1 for reward in map(float, first_digit_only(completions, gold))]


def first_digit_only(completions, gold):
    return [text[:1] == answer[0] for text, answer in zip(completions, gold, strict=True)]


def test_plans_count_correct_responses_whatever_the_scheme_is_given(
    tiny_folder, tmp_path, monkeypatch
):
    """GRPO takes totals, here of an outcome of −1 and 1 and of shaping."""

    def of(folder, **arguments):
        return test_trainer.make(
            tiny_folder,
            folder,
            scheme="grpo",
            examples=13,
            config={
                "max_steps": 2,
                "per_device_train_batch_size": GROUP * PROMPTS,
                "num_generations": GROUP,
            },
            prompt_probability=Replan(every=2, memory=1e12),
            **arguments,
        )

    with pytest.raises(ValueError, match="say which reward function tells them, outcome='signed'"):
        of(tmp_path, reward=[signed, shaped])
    trainer = of(tmp_path, reward=[signed, shaped], outcome="signed")
    seen = []
    inner = type(trainer)._weigh

    def noted(self, output):
        seen.append((self._rewards[:, 0].nanmean().item() + 1) / 2)
        return inner(self, output)

    monkeypatch.setattr(type(trainer), "_weigh", noted)
    trainer.train()
    counts = np.array([row[3:] for row in trainer._history.planner.state()["counts"].values()])
    assert np.all(counts[:, 1] == GROUP)
    assert np.all((counts[:, 0] >= 0) & (counts[:, 0] <= GROUP))
    totals = np.array([row[:2] for row in trainer._history.planner.state()["counts"].values()])
    assert totals.sum(axis=0).tolist() == pytest.approx(
        [sum(seen) * GROUP * PROMPTS, 2 * GROUP * PROMPTS]
    )
