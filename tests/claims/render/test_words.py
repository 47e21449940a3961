"""Findings in words say what was predicted, what came out, and what decided."""

from __future__ import annotations

import pytest

from claims.entries import ledger
from claims.render.words import environment, main_number, reason, rule, tally
from claims.verdicts import above, below, finding, primary_regime

GOOD, BAD, OPEN, NONE, RISE = (
    above("good", 0.0, [1.0] * 5),
    below("bad", 0.0, [1.0] * 5),
    above("open", 0.0, [-1.0, 1.0] * 3),
    above("none", 0.0, [0.001] * 5, delta=0.01),
    above("rise", 0.0, [1.0] * 5, delta=0.01),
)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (finding("A4", "", [GOOD], [], quick=False), ""),
        (finding("A4", "", [GOOD, BAD, OPEN], [], quick=False), "bad: 1 [1, 1], predicted < 0."),
        (finding("A4", "", [GOOD, OPEN], [], quick=False), "open: 0 [−"),
        (finding("A4", "", [BAD, BAD], [], quick=False), "(1 more of 2 checks refuted)"),
        (primary_regime("A4", "", {"a": [BAD], "b": [GOOD]}, quick=False), "bad, a: 1 [1, 1]"),
        (
            finding("A4", "", [above("few", 0.0, [1.0] * 3)], [], quick=False),
            "few: 3 seeds of at least 5 have a measurement.",
        ),
        (
            finding(
                "A4", "", [above("pass@256", 0.0, [0.0] * 5, void="it was 1")], [], quick=False
            ),
            "pass@256 says nothing: it was 1.",
        ),
        (finding("A4", "", [NONE], [], quick=False), "none: 0.001 [0.001, 0.001], within ±0.01"),
        (finding("A4", "", [RISE, NONE], [], quick=False), "none: 0.001 [0.001, 0.001], within"),
    ],
)
def test_what_decided_is_told(found, words):
    assert words in reason(found)
    assert bool(words) == bool(reason(found))


def test_the_rule_and_the_tally_are_told():
    found = primary_regime("A4", "", {"a": [BAD], "b": [GOOD, OPEN]}, quick=False)
    assert rule(found).startswith("The regime named before the runs decides: a.")
    assert tally(found) == "3 checks: 1 confirmed, 1 refuted, 1 open"
    assert rule(finding("A4", "", [GOOD], [], quick=False)) == ""
    assert tally(finding("A4", "", [GOOD], [], quick=False)) == "1 check: 1 confirmed"


def test_the_most_telling_source_gives_the_main_number(tree):
    entry = ledger(tree.evidence, ids=["A4"])[0]
    assert main_number(entry) == "sim: < 0, got −0.41 [−0.5021, −0.3179]"
    assert main_number(entry, ["theory"]) == "theory: < 0, got 0.4585"
    assert main_number(ledger(tree.evidence, ids=["L3"])[0]) == ""


@pytest.mark.parametrize("broken", [{}, {"packages": 3}, {"packages": None, "commit": None}])
def test_an_environment_that_says_nothing_is_no_error(broken):
    assert environment(broken) == ""
    assert environment({**broken, "python": "3.11.7"}) == "Python 3.11.7."
