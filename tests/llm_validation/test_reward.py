"""Rewards of a task's outcomes, and what is logged beside them."""

import pytest

from llm_validation.outcomes import Outcome
from llm_validation.reward import RESTARTS, LengthPenalty, TaskReward
from llm_validation.tasks import Report, Task
from llm_validation.tasks.tagged import TaggedAnswer
from llm_validation.verifier import Verifier


class Told:
    """Scores as it was told to."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)

    def score(self, golds, responses, problems=None):
        return self.outcomes

    def close(self):
        pass


def logged(scorer, count):
    """Rewards of ``count`` responses, and the metrics."""
    task = Task("made-up", [], [], "none", "none", scorer, Report())
    metrics = {}
    rewards = TaskReward(task)(
        ["p"] * count,
        [[{"role": "assistant", "content": "a"}]] * count,
        ["g"] * count,
        log_metric=metrics.__setitem__,
    )
    return rewards, metrics


def test_every_outcome_is_counted_and_an_error_has_no_reward():
    rewards, metrics = logged(Told(*Outcome, Outcome.WRONG), 6)
    assert rewards == [1.0, 0.0, 0.0, 0.0, None, 0.0]
    shares = {f"outcome_{outcome}": 1 / 6 for outcome in Outcome} | {"outcome_wrong": 2 / 6}
    assert metrics == pytest.approx(shares)


@pytest.mark.parametrize("wrap", [lambda scorer: scorer, TaggedAnswer])
def test_workers_that_had_to_be_replaced_are_logged(wrap):
    with Verifier(workers=1) as verifier:
        verifier.restarts = 3
        verifier.score = Told(Outcome.TIMEOUT).score
        rewards, metrics = logged(wrap(verifier), 1)
    assert rewards == [0.0]
    assert metrics[RESTARTS] == 3
    assert metrics["outcome_timeout"] == 1


def test_a_penalty_for_length_is_a_share_of_the_longest():
    penalty = LengthPenalty(0.5, 4)
    assert penalty(completion_ids=[[1, 2], [1, 2, 3, 4], []], prompts=["p"] * 3) == [-0.25, -0.5, 0]
