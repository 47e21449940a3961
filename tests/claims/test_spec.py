"""The ledger holds the claims it is meant to hold, each with a number that can be missed."""

from __future__ import annotations

import re

import pytest

from claims.records import theory_record
from claims.running import runnable
from claims.spec import SOURCES, claims
from claims.theory import CHECKS
from theory.citations import cite

# Which sources speak to which claim: t theory, s simulation, l language model.
WANTED = {
    "A1": "ts",
    "A2": "ts",
    "A3": "ts",
    "A4": "tsl",
    "A5": "tsl",
    "A6": "tsl",
    "L1": "t",
    "L2": "tl",
    "L3": "sl",
    "L4": "sl",
    "L5": "sl",
    "N1": "tl",
    "N2": "sl",
    "N3": "sl",
    "N4": "sl",
    "N5": "sl",
    "N6": "sl",
    "N7": "sl",
    "O1": "ts",
    "O2": "ts",
    "O3": "ts",
    "O4": "tsl",
    "O5": "ts",
    "O6": "ts",
    "O7": "tsl",
    "O8": "s",
    "O9": "ts",
    "O10": "tsl",
    "O11": "ts",
    "O12": "ts",
    "S1": "tsl",
    "S2": "tsl",
    "S3": "sl",
}


def test_the_claims_and_their_sources_are_those_of_the_specification():
    found = {
        id: "".join(source[0] for source in SOURCES if source in c.tests)
        for id, c in claims().items()
    }
    assert found == WANTED
    assert list(found) == list(WANTED)


@pytest.mark.parametrize("claim", claims().values(), ids=list(claims()))
def test_a_claim_is_one_short_sentence_with_a_source_and_predictions(claim):
    assert 20 < len(claim.sentence) <= 200
    assert claim.sentence.endswith(".")
    assert not re.search(r"\.\s", claim.sentence)
    assert len(claim.title) <= 60
    assert claim.papers or claim.ours
    assert re.search(r"arXiv \d{4}\.\d{5}|this project", claim.citation)
    for test in claim.tests.values():
        assert re.search(r"\d", test.prediction), f"no number in {test.prediction!r}"
        assert test.how
        assert not test.prediction.endswith(".")


def test_titles_and_sentences_are_not_repeated():
    for field in ("title", "sentence"):
        assert len({getattr(claim, field) for claim in claims().values()}) == len(claims())


def test_papers_are_the_cited_ones():
    entries = " ".join(re.sub(r"\{(RL|LLM)\}", r"\1", cite("sqrt_r", "lens", "nsr")).split())
    papers = {paper for claim in claims().values() for paper in claim.papers}
    assert len(papers) == 3
    for paper in papers:
        assert re.search(rf"title = \{{{re.escape(paper.title)}\}}.*{paper.arxiv}", entries)


def test_every_claim_of_the_theory_is_judged_against_the_number_in_the_ledger():
    assert [id for id, claim in claims().items() if "theory" in claim.tests] == list(CHECKS)
    for id in CHECKS:
        main = claims()[id].tests["theory"].main
        assert main is not None
        assert main.agrees(theory_record(id).finding.checks[0]), id


@pytest.mark.parametrize("source", ["sim", "llm"])
def test_what_is_said_to_have_a_run_has_one(source):
    built = [id for id, c in claims().items() if source in c.tests and c.tests[source].built]
    assert runnable(source) == built


def test_predictions_given_as_numbers_stand_in_the_words_too():
    """Numbers of the same prediction must not drift apart."""
    for id, claim in claims().items():
        for source, test in claim.tests.items():
            if test.main is None or not test.main.number or id == "A3":
                continue  # A3 says one tolerance for ninety numbers
            number = float(test.main.number)
            words = re.findall(r"[−-]?\d+(?:\.\d+)?(?:e-\d+)?", test.prediction)
            numbers = [float(word.replace("−", "-")) for word in words]
            close = [n for n in numbers if abs(n - number) <= 5e-3 * abs(number)]
            assert close, f"{id} {source}: {number} is not in {test.prediction!r}"
