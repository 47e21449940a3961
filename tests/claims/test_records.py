"""Evidence is judged again; what is broken is refused in a sentence that names the file."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from claims import records
from claims.records import contradictions, read_record, read_records, theory_record
from claims.spec import bound
from claims.theory import CHECKS
from claims.verdicts import above, finding


def test_a_record_is_read_and_judged_again(tree):
    path = tree.evidence["sim"] / "N3.json"
    record = read_record(path)
    assert (record.source, record.finding.verdict, record.path) == ("sim", "refuted", path)
    assert record.finding == record.stored
    assert record.environment["commit"] == "0123abc"
    assert contradictions(record) == []


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("{", "is not valid JSON"),
        ("\udcff", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ("[1]", "is not a finding: it must hold one JSON object"),
        ("{}", "is not a finding: KeyError 'checks'"),
        ('{"checks": [{}], "regimes": []}', "is not a finding: KeyError 'relation'"),
        ('{"checks": "abc", "regimes": []}', "is not a finding: TypeError"),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path, text, complaint):
    path = tmp_path / "A4.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(ValueError, match=f"^{path} {complaint}"):
        read_record(path)
    with pytest.raises(ValueError, match=f"^{path} {complaint}"):
        read_records(tmp_path)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"id": "Z9"}, "the ledger has no claim 'Z9'"),
        ({"source": "gpu"}, "source must be theory, sim or llm; got 'gpu'"),
        ({"source": ["sim"]}, "source must be theory, sim or llm"),
        ({"id": "L1"}, "claim L1 is not tested by sim"),
        ({"checks": []}, "it has no checks"),
        ({"verdict": "true"}, "not a finding"),
        ({"rule": "vote"}, "not a finding: ValueError no rule 'vote'"),
    ],
)
def test_findings_that_the_ledger_has_no_place_for_are_refused(tree, changes, complaint):
    path = tree.evidence["sim"] / "A4.json"
    tree.edit(path, lambda values: values.update(changes))
    with pytest.raises(ValueError, match=complaint) as refused:
        read_record(path)
    assert str(path) in str(refused.value)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"nothing\.json is not a file"):
        read_record(tmp_path / "nothing.json")


def test_run_folders_are_found_and_full_runs_win(tmp_path):
    def store(version, sample):
        found = finding("A6", "", [above("x", 0.0, [sample] * 5)], [], quick=version == "quick")
        path = tmp_path / "sim" / version / "A6" / "verdict.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({**found.to_dict(), "source": "sim"}))
        (path.parent / "config.json").write_text("not even JSON")

    assert read_records(tmp_path / "absent") == {}
    store("quick", 1.0)
    assert read_records(tmp_path)["sim", "A6"].finding.quick
    store("full", -1.0)
    found = read_records(tmp_path)["sim", "A6"].finding
    assert (found.quick, found.verdict) == (False, "refuted")
    store("again", 1.0)
    with pytest.raises(ValueError, match="both hold the sim finding of A6; keep one"):
        read_records(tmp_path)


def test_findings_beside_tables_take_their_environment(tree):
    path = tree.store(
        finding("A6", "", [above("x", 0.0, [1.0] * 5)], ["rule"], quick=False),
        source="llm",
        environment=None,
        evidence=["rule-from-scratch/outcomes.csv"],
    )
    assert read_record(path).environment == {}
    place = tree.root / "llm" / "rule-from-scratch" / "environment.json"
    place.parent.mkdir()
    place.write_text('{"commit": "abc", "packages": {}}')
    assert read_record(path).environment["commit"] == "abc"
    tree.edit(path, lambda values: values.update(evidence=["../../etc/outcomes.csv"]))
    assert read_record(path).environment == {}
    place.write_text("{")
    tree.edit(path, lambda values: values.update(evidence=["rule-from-scratch/outcomes.csv"]))
    with pytest.raises(ValueError, match=f"{place} is not valid JSON"):
        read_record(path)


SAMPLES = st.lists(st.floats(-5, 5), min_size=1, max_size=7)


@given(SAMPLES, st.sampled_from(["confirmed", "refuted", "no effect", "open"]), st.floats(-5, 5))
def test_no_forged_verdict_or_number_gets_through(tmp_path_factory, samples, verdict, number):
    """Whatever a file says, the ledger says what the samples say, and a forgery is told."""
    honest = finding("A6", "", [above("ratio", 0.0, samples)], [], quick=False)
    values = {**honest.to_dict(), "source": "sim", "verdict": verdict}
    values["checks"][0]["verdict"] = verdict
    values["checks"][0]["measurement"] = number
    path = tmp_path_factory.mktemp("forged") / "A6.json"
    path.write_text(json.dumps(values))
    record = read_record(path)
    assert record.finding == honest
    check = honest.checks[0]
    told = contradictions(record)
    assert any("the verdict says" in words for words in told) == (verdict != honest.verdict)
    wrong = verdict != check.verdict or not math.isclose(
        number, check.measurement, rel_tol=1e-6, abs_tol=1e-12
    )
    assert any("but its samples say" in words for words in told) == wrong
    assert all(str(path) in words for words in told)


def test_what_the_theory_says_is_what_its_checks_say():
    for id in CHECKS:
        record = theory_record(id)
        assert all(check.exact for check in record.finding.checks)
        assert record.source == "theory"


@pytest.mark.parametrize(
    ("id", "number", "verdict"),
    [
        ("A1", 2e-4, "refuted"),
        ("A1", 0.5e-4, "confirmed"),
        ("A1", math.nan, "open"),
        ("O4", 1.0015, "confirmed"),
        ("O4", 1.0025, "refuted"),
    ],
)
def test_a_theory_claim_that_fails_is_refuted(monkeypatch, id, number, verdict):
    check = bound(id, "theory").check("made up", [number], exact=True)
    monkeypatch.setattr(records, "theory_checks", lambda id: [check])
    assert theory_record.__wrapped__(id).finding.verdict == verdict
