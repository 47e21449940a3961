"""Verdicts follow from samples, survive JSON, and are derived anew from what was kept."""

import dataclasses
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.verdicts import Finding, above, any_regime, below, finding, judged, near

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
    assert joined.regimes == ("b: confirmed", "a: refuted")


@given(SAMPLES, NUMBERS)
def test_a_bound_cannot_be_both_exceeded_and_kept(samples, bound):
    up, down = above("x", bound, samples), below("x", bound, samples)
    assert (up.verdict, down.verdict) != ("confirmed", "confirmed")
    assert up.low <= up.measurement <= up.high or math.isinf(up.measurement)


@given(SAMPLES, NUMBERS, st.sampled_from([above, below, lambda n, p, s: near(n, p, s, 0.1)]))
def test_findings_survive_json_and_are_derived_anew(samples, prediction, relation):
    check = relation("x", prediction, samples)
    found = finding("A4", "sooner", [check], ["rule"], quick=False)
    again = Finding.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False)))
    assert again == found
    forged = dataclasses.replace(check, verdict="confirmed", measurement=0.0, low=0.0, high=0.0)
    assert judged(forged) == check


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
