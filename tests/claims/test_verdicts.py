"""Verdicts follow from samples, survive JSON, and are derived again from what was kept."""

import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from claims.verdicts import (
    BASE,
    Finding,
    above,
    any_regime,
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
    assert near("x", 1.0, [1.0, 1.01], 0.05).verdict == "confirmed"
    assert near("x", 1.0, [2.0, 2.01], 0.05).verdict == "refuted"
    assert near("x", 1.0, [0.5, 1.4, 1.4], 0.05).verdict == "inconclusive"
    assert above("x", 0.0, [-1.0, -2.0]).verdict == "refuted"
    assert above("x", 0.0, [-1.0, 2.0]).verdict == "inconclusive"
    assert below("x", 0.0, [math.nan, 1.0]).verdict == "inconclusive"
    good, bad = above("x", 0.0, [1.0]), above("x", 0.0, [-1.0])
    assert finding("Z1", "", [good, bad], [], quick=True).verdict == "refuted"
    joined = any_regime("Z1", "", {"a": [bad], "b": [good]}, quick=True)
    assert joined.verdict == "confirmed"
    assert regime_verdicts(joined) == {"b": "confirmed", "a": "refuted"}


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
        assert check.verdict == "inconclusive"
        assert math.isnan(check.measurement)


@pytest.mark.parametrize(
    "broken", [{}, {"checks": 3}, {"checks": [{}], "regimes": [], "verdict": "confirmed"}]
)
def test_what_is_no_finding_is_refused(broken):
    with pytest.raises(ValueError, match="not a finding"):
        Finding.from_dict(broken)


def test_few_seeds_decide_nothing_in_a_full_run():
    for seeds in range(1, 8):
        check = above("x", 0.0, [1.0] * seeds)
        enough = "confirmed" if seeds >= 5 else "inconclusive"
        assert finding("A4", "", [check], [], quick=False).verdict == enough
        assert finding("A4", "", [check], [], quick=True).verdict == "confirmed"
    exact = above("x", 0.0, [1.0], exact=True)
    assert finding("A4", "", [exact], [], quick=False).verdict == "confirmed"


def test_the_primary_regime_alone_decides():
    good, bad = above("x", 0.0, [1.0]), above("x", 0.0, [-1.0])
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
@given(OUTCOMES, st.sampled_from([any_regime, primary_regime]), st.booleans())
def test_the_rule_is_kept_and_gives_the_verdict_again(outcomes, rule, quick):
    found = rule("N3", "falls", outcomes, quick=quick)
    again = Finding.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert rejudged(again) == again == found
    for verdict in ("confirmed", "refuted", "inconclusive"):
        assert rejudged(dataclasses.replace(found, verdict=verdict)) == found
    for regime, verdict in regime_verdicts(found).items():
        checks = [check for check in found.checks if check.regime == regime]
        assert finding("", "", checks, [], quick=quick).verdict == verdict
