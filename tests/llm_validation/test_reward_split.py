"""Several rewards of any scale: one outcome for the scheme, the rest beside it."""

import warnings

import numpy as np
import pytest

from llm_validation.reward_split import RewardSplit
from theory.rewards import OutcomeRule
from theory.schemes import SCHEMES

NAN = float("nan")


def split(scheme="sqrt_r", names=("exact", "format"), weights=None, **options):
    weights = [1.0] * len(names) if weights is None else weights
    return RewardSplit(SCHEMES[scheme], names, weights, **options)


def column(*rewards):
    return np.array(rewards, np.float32)[:, None]


@pytest.mark.parametrize("scheme", ["sqrt_r", "linear_r", "nsr", "lens"])
def test_a_scheme_that_weighs_an_outcome_asks_which_before_the_first_step(scheme):
    with pytest.raises(ValueError, match="say which one it is, outcome='exact' or 'format'"):
        split(scheme)
    with pytest.raises(ValueError, match="must name one of the reward functions, exact or format"):
        split(scheme, outcome="acc")
    split(scheme, outcome="exact")


def test_shift_invariant_schemes_take_the_weighted_total_as_trl_does():
    total, beside, valid = split("grpo", weights=[2.0, 0.5])(
        np.array([[1, 1], [0, NAN], [NAN] * 2])
    )
    assert total.tolist() == [2.5, 0, 0]
    assert beside is None
    assert valid.tolist() == [True, True, False]


def test_the_others_are_shaping_in_units_of_the_outcome():
    rewards = np.array([[1, 1], [0, NAN], [NAN, 1]])
    outcomes, beside, valid = split(outcome="exact", weights=[2.0, 0.5])(rewards)
    assert outcomes.tolist() == [1, 0, 0]
    assert beside.tolist() == [[0.25], [0], [0.25]]
    assert valid.tolist() == [True, True, False]


def test_scales_are_recognised_as_they_come_and_stay():
    read = split(names=["score"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert read(column(0, 0))[0].tolist() == [0, 0]
        assert read(column(0, 10))[0].tolist() == [0, 1]
        assert read(column(10, 10))[0].tolist() == [1, 1]
        assert split(names=["score"])(column(-1, -1))[0].tolist() == [0, 0]
        graded, _, _ = split(names=["score"])(column(0.25, 1))
    assert graded.tolist() == [0.25, 1]
    resumed = split(names=["score"])
    resumed.remember(read.seen)
    assert resumed(column(10, 10))[0].tolist() == [1, 1]


def test_a_recognised_scale_is_said_once(caplog):
    read = split(names=["score"])
    read(column(0, 0))
    assert not caplog.records
    for _ in range(3):
        read(column(0, 10))
    (record,) = caplog.records
    assert record.getMessage().startswith(
        "rewards of 0 and 10: sqrt_r takes 10 as correct and 0 as wrong"
    )
    caplog.clear()
    split(names=["score"])(column(-1, 1))
    assert "sqrt_r takes 1 as correct and -1 as wrong" in caplog.text


def test_a_first_success_on_an_unknown_scale_stops_nothing_and_is_said():
    read = split(names=["score"])
    assert read(column(0, 0.5))[0].tolist() == [0, 0.5]
    with pytest.warns(UserWarning, match="those of at least 1 count as correct for sqrt_r"):
        outcomes, beside, _ = read(column(0, 1.5))
    assert outcomes.tolist() == [0, 1]
    assert beside.tolist() == [[0], [0.5]]


def test_a_rule_that_is_given_is_kept():
    outcomes, beside, _ = split(names=["s"], rule=OutcomeRule(-1, 1, threshold=0))(
        column(-1.5, 0.5)
    )
    assert outcomes.tolist() == [0, 1]
    assert beside.ravel().tolist() == [-0.25, -0.25]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "sum"}, "shaping must be gate, add, apart or total"),
        ({"mode": "total", "outcome": "exact"}, "'total' has no outcome"),
        ({"outcome": "exact", "weights": [0.0, 1.0]}, "weight must be above 0"),
        ({"scheme": "grpo", "mode": "gate"}, "needs outcome"),
        ({"mode": "total"}, "weighs an outcome"),
    ],
)
def test_options_that_exclude_each_other_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        split(**options)
