"""Verdicts follow from samples, survive JSON, and are derived again from what was kept."""

import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claims.verdicts import (
    BASE,
    Finding,
    above,
    below,
    compared,
    finding,
    judged,
    near,
    primary_regime,
    regime_verdicts,
    rejudged,
)

NUMBERS = st.floats(-10, 10, allow_nan=False)
SAMPLES = st.lists(st.one_of(NUMBERS, st.just(math.inf)), min_size=1, max_size=8)


def test_verdicts_follow_from_intervals():
    assert near("x", 1.0, [1.0, 1.01, 1.0], 0.05).verdict == "confirmed"
    assert near("x", 1.0, [2.0, 2.01, 2.0], 0.05).verdict == "refuted"
    assert near("x", 1.0, [0.5, 1.4, 1.4], 0.05).verdict == "open"
    assert near("x", 2.0, [-50.0, 54.0, 2.0, 1.9, 2.2], 0.1).verdict == "open"  # mean 2.02
    assert above("x", 0.0, [-1.0, -1.2, -1.1]).verdict == "refuted"
    assert above("x", 0.0, [-1.0, 2.0]).verdict == "open"
    assert above("x", 0.0, [1.0]).verdict == "open"  # one value says nothing of its spread
    assert above("x", 0.0, [1.0], exact=True).verdict == "confirmed"
    assert below("x", 0.0, [math.nan, 1.0]).verdict == "open"
    good, bad = above("x", 0.0, [1.0] * 2), above("x", 0.0, [-1.0] * 2)
    assert finding("Z1", "", [good, bad], [], quick=True).verdict == "refuted"


def test_an_effect_that_nobody_would_act_on_is_none_whatever_its_sign():
    small = [0.004, 0.006, 0.005, 0.005, 0.004]
    assert above("x", 0.0, small).verdict == "confirmed"
    assert above("x", 0.0, small, delta=0.01).verdict == "no effect"
    assert below("x", 0.0, small, delta=0.01).verdict == "no effect"
    assert above("x", 0.0, small, delta=0.004).verdict == "confirmed"
    wide = [-0.03, 0.03, 0.0, 0.01, -0.01]
    assert above("x", 0.0, wide, delta=0.01).verdict == "open"
    assert above("x", 0.0, [0.05, 0.06, 0.07], delta=0.01).verdict == "confirmed"


def test_no_effect_holds_where_none_was_predicted_and_decides_where_one_was():
    none, there = [0.001] * 5, [0.1] * 5
    kept = above("kept", -0.01, none, delta=0.01)
    rises, not_there = (above("rises", 0.0, v, delta=0.01) for v in (there, none))
    number = near("number", 0.1, there, 0.1)
    for checks, verdict in (
        ([rises, kept], "confirmed"),
        ([kept, kept], "no effect"),
        ([not_there, kept], "no effect"),
        ([not_there, number], "no effect"),
        ([rises, not_there], "refuted"),
        ([not_there, above("wide", 0.0, [-1.0, 1.0] * 3, delta=0.01)], "open"),
        ([not_there, above("fell", 0.0, [-0.1] * 5, delta=0.01)], "refuted"),
    ):
        assert finding("Z1", "", checks, [], quick=False).verdict == verdict


def test_what_stood_before_the_run_decides_nothing():
    check = above("pass@256", -0.01, [0.0] * 5, delta=0.01, void="pass@256 was 1 before training")
    assert check.verdict == "open"
    assert judged(check) == check


def test_ratios_are_judged_by_their_logarithms():
    check = above("x", 1.0, [0.5, 2.0, 4.0], unit="ratio")
    assert check.measurement == pytest.approx(4 ** (1 / 3))
    assert math.log(check.high / check.measurement) == pytest.approx(
        math.log(check.measurement / check.low)
    )


def test_verdicts_err_as_rarely_as_they_say():
    """True means on the bounds: each of these verdicts is wrong then, in one run of forty."""
    generator, runs = np.random.default_rng(0), 2000
    for seeds in (5, 20):
        samples = generator.normal(0.0, 0.1, (runs, seeds))
        wrong = {
            "above": [above("x", 0.0, row).verdict == "confirmed" for row in samples],
            "near": [near("x", 1.0, 1.1 + row, 0.1).verdict == "confirmed" for row in samples],
            "none": [
                below("x", 0.0, 0.1 + row, delta=0.1).verdict == "no effect" for row in samples
            ],
        }
        for name, errors in wrong.items():
            assert np.mean(errors) < 0.025 + 0.0105, name  # three standard errors


@given(SAMPLES, NUMBERS)
def test_a_bound_cannot_be_both_exceeded_and_kept(samples, bound):
    up, down = above("x", bound, samples), below("x", bound, samples)
    assert (up.verdict, down.verdict) != ("confirmed", "confirmed")
    assert up.low <= up.measurement <= up.high or math.isinf(up.measurement)


@given(SAMPLES, NUMBERS, st.sampled_from([above, below, lambda n, p, s: near(n, p, s, 0.1)]))
def test_findings_survive_json_and_are_derived_again(samples, prediction, relation):
    check = relation("x", prediction, samples)
    found = finding("A4", "sooner", [check], ["rule"], quick=False)
    again = Finding.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again == found
    forged = dataclasses.replace(check, verdict="confirmed", measurement=0.0, low=0.0, high=0.0)
    assert judged(forged) == check


@pytest.mark.parametrize(
    ("about", "name"),
    [
        ({}, "entropy"),
        ({"scheme": "nsr"}, "entropy, NSR"),
        (compared("nsr", BASE), "entropy, NSR minus base"),
        (compared("w_reinforce", "grpo", "ratio", "tree"), "entropy, W-REINFORCE over GRPO, tree"),
        (
            compared("linear_r:zero_success=drop", "linear_r", "log ratio"),
            "ln of entropy, Linear-R (zero_success=drop) over Linear-R",
        ),
    ],
)
def test_the_name_of_a_check_is_derived_from_its_fields(about, name):
    check = above("entropy", 0.0, [1.0], **about)
    assert check.name == name
    assert judged(check) == check
    found = finding("N4", "", [check], [], quick=True)
    assert Finding.from_dict(json.loads(json.dumps(found.to_dict()))).checks[0].name == name


def test_no_samples_say_nothing():
    for check in (near("x", 1.0, [], 0.1), above("x", 0.0, []), below("x", 0.0, [])):
        assert check.verdict == "open"
        assert math.isnan(check.measurement)


@pytest.mark.parametrize(
    "broken", [{}, {"checks": 3}, {"checks": [{}], "regimes": [], "verdict": "confirmed"}]
)
def test_what_is_no_finding_is_refused(broken):
    with pytest.raises(ValueError, match="not a finding"):
        Finding.from_dict(broken)


def test_few_seeds_decide_nothing_in_a_full_run():
    for seeds in range(2, 8):
        check = above("x", 0.0, [1.0] * seeds)
        enough = "confirmed" if seeds >= 5 else "open"
        assert finding("A4", "", [check], [], quick=False).verdict == enough
        assert finding("A4", "", [check], [], quick=True).verdict == "confirmed"
    exact = above("x", 0.0, [1.0], exact=True)
    assert finding("A4", "", [exact], [], quick=False).verdict == "confirmed"


def test_the_primary_regime_alone_decides():
    good, bad = above("x", 0.0, [1.0] * 2), above("x", 0.0, [-1.0] * 2)
    assert primary_regime("A4", "", {"a": [good], "b": [bad]}, quick=True).verdict == "confirmed"
    found = primary_regime("A4", "", {"b": [bad], "a": [good]}, quick=True)
    assert found.verdict == "refuted"
    assert regime_verdicts(found) == {"b": "refuted", "a": "confirmed"}
    with pytest.raises(ValueError, match="at least one check"):
        primary_regime("A4", "", {"a": [], "b": [good]}, quick=True)


OUTCOMES = st.lists(
    st.lists(st.sampled_from([[1.0] * 5, [-1.0] * 5, [1.0, -1.0] * 3, [1.0]]), min_size=1),
    min_size=1,
    max_size=3,
).map(lambda regimes: {f"r{i}": [above("x", 0.0, s) for s in r] for i, r in enumerate(regimes)})


@settings(max_examples=30)
@given(OUTCOMES, st.booleans())
def test_the_rule_is_kept_and_gives_the_verdict_again(outcomes, quick):
    found = primary_regime("N3", "falls", outcomes, quick=quick)
    again = Finding.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert rejudged(again) == again == found
    for verdict in ("confirmed", "refuted", "no effect", "open"):
        assert rejudged(dataclasses.replace(found, verdict=verdict)) == found
    for regime, verdict in regime_verdicts(found).items():
        checks = [check for check in found.checks if check.regime == regime]
        assert finding("", "", checks, [], quick=quick).verdict == verdict
