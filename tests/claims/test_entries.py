"""What the ledger says of every source, and how it counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claims.entries import MARKS, Entry, counting_sentence, counts, ledger
from claims.records import Record
from claims.spec import SOURCES, claims
from claims.verdicts import Finding, above


def test_without_evidence_only_the_theory_speaks(tmp_path):
    for entry in ledger({"sim": tmp_path, "llm": tmp_path / "absent"}):
        for source in SOURCES:
            if source not in entry.claim.tests:
                assert (entry.state(source), entry.label(source)) == ("–", "–")
                assert entry.verdicts[source] is None
            else:
                told = {"confirmed", "refuted", "no effect", "identity"}
                assert entry.state(source) in (told if source == "theory" else {"not run"})


def test_evidence_of_each_source_is_found_in_one_folder_or_two(tree):
    path = tree.store(tree.a4(), source="llm")
    found = {entry.claim.id: entry for entry in ledger(tree.evidence)}
    assert found["A4"].verdicts["llm"] == tree.a4()
    assert found["N3"].label("sim") == "✗ refuted"
    assert found["N3"].state("llm") == "not run"
    together = {e.claim.id: e for e in ledger({"sim": tree.root, "llm": tree.root})}
    assert {id: e.verdicts for id, e in together.items()} == {
        id: e.verdicts for id, e in found.items()
    }
    path.unlink()
    assert ledger(tree.evidence, ids=["a4"])[0].state("llm") == "not run"


def test_quick_findings_are_shown_as_such_and_count_as_nothing_else(tree):
    tree.store(tree.a4(quick=True))
    entry = ledger(tree.evidence, ids=["A4"])[0]
    assert (entry.state("sim"), entry.label("sim")) == ("quick", "~ confirmed, quick run")
    assert counting_sentence([entry]) == (
        "1 claim asks for 3 verdicts: 0 confirmed, 1 refuted, 0 no effect, 0 open, 1 from quick "
        "runs only, 1 not run (theory: 1 refuted; simulation: 1 from quick runs only; language "
        "model: 1 not run)."
    )


def test_an_unknown_claim_lists_the_known_ones():
    with pytest.raises(ValueError, match="no claim 'Z9'; its claims are A1, A2"):
        ledger({}, ids=["Z9"])


def made(id: str, verdicts: dict[str, str | None]) -> Entry:
    def record(verdict: str | None) -> Record | None:
        if verdict is None:
            return None
        found = Finding(id, "", verdict, (above("x", 0.0, [1.0]),), (), False)  # type: ignore[arg-type]
        return Record("sim", found, found, {})

    return Entry(claims()[id], {source: record(verdicts.get(source)) for source in SOURCES})


STATES = st.sampled_from(["confirmed", "refuted", "no effect", "open", None])


@given(st.lists(st.tuples(st.sampled_from(list(claims())), STATES, STATES, STATES), min_size=1))
def test_every_verdict_that_applies_is_counted_once(drawn):
    entries = [
        made(
            id,
            {
                source: v if source in claims()[id].tests else None
                for source, v in zip(SOURCES, verdicts, strict=True)
            },
        )
        for id, *verdicts in drawn
    ]
    told = [
        "identity"
        if verdict == "confirmed" and claims()[id].tests[source].identity
        else verdict or "not run"
        for id, *verdicts in drawn
        for source, verdict in zip(SOURCES, verdicts, strict=True)
        if source in claims()[id].tests
    ]
    found = counts(entries)
    assert sum(c.total() for c in found.values()) == len(told)
    for state in ("confirmed", "refuted", "no effect", "open", "not run"):
        assert sum(c[state] for c in found.values()) == told.count(state)
        assert f"{told.count(state)} {state}" in counting_sentence(entries)


def test_identities_are_called_so_and_a_broken_one_is_refuted(tmp_path):
    states = {e.claim.id: e.state("theory") for e in ledger({"sim": tmp_path, "llm": tmp_path})}
    same = {id for id, state in states.items() if state == "identity"}
    assert same == {"L1", "L2", "N1", "O1", "O3", "O4", "O9"}
    assert made("O1", {"theory": "refuted"}).state("theory") == "refuted"


def test_no_two_states_share_a_symbol():
    assert len(set(MARKS.values())) == len(MARKS)
