"""Findings in words say what was predicted, what came out, and what decided."""

from __future__ import annotations

import pytest

from claims.entries import ledger
from claims.render.words import environment, main_number, reason, rule, tally
from claims.verdicts import above, any_regime, below, finding, primary_regime

GOOD, BAD, OPEN = (
    above("good", 0.0, [1.0] * 5),
    below("bad", 0.0, [1.0] * 5),
    above("open", 0.0, [-1.0, 1.0] * 3),
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
        (any_regime("A4", "", {"a": [BAD], "b": [OPEN]}, quick=False), "open, b: 0"),
    ],
)
def test_what_decided_is_told(found, words):
    assert words in reason(found)
    assert bool(words) == bool(reason(found))


def test_the_rule_and_the_tally_are_told():
    found = primary_regime("A4", "", {"a": [BAD], "b": [GOOD, OPEN]}, quick=False)
    assert rule(found).startswith("The regime named before the runs decides: a.")
    assert tally(found) == "3 checks: 1 confirmed, 1 refuted, 1 inconclusive"
    assert "One regime" in rule(any_regime("A4", "", {"a": [GOOD]}, quick=False))
    assert rule(finding("A4", "", [GOOD], [], quick=False)) == ""
    assert tally(finding("A4", "", [GOOD], [], quick=False)) == "1 check: 1 confirmed"


def test_the_most_telling_source_gives_the_main_number(tree):
    entry = ledger(tree.evidence, ids=["A4"])[0]
    assert main_number(entry) == "sim: 0.5525 ± 10 %, got 0.552 [0.546, 0.558]"
    assert main_number(entry, ["theory"]).startswith("theory: 1.555 ± 0.01, got 1.55")
    assert main_number(ledger(tree.evidence, ids=["L3"])[0]) == ""


@pytest.mark.parametrize("broken", [{}, {"packages": 3}, {"packages": None, "commit": None}])
def test_an_environment_that_says_nothing_is_no_error(broken):
    assert environment(broken) == ""
    assert environment({**broken, "python": "3.11.7"}) == "Python 3.11.7."
