"""Nothing can be changed in evidence or published text without the audit telling it."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from claims import entries
from claims.audit import _agree, audit
from claims.entries import ledger
from claims.language_model.claims import write_findings
from claims.published import CLOSE, OPEN, README, write
from claims.render.markdown import PAGE
from claims.spec import claims
from claims.verdicts import above, finding


def test_the_published_ledger_follows_from_its_evidence():
    """The guard: what README and docs say about every claim is what the evidence says."""
    assert audit(Path(__file__).parents[2]) == []  # also where what is imported is a wheel


def forge(field, value, place=None):
    def change(values):
        (values if place is None else values["checks"][place])[field] = value

    return change


@pytest.mark.parametrize(
    ("claim", "change", "sentence"),
    [
        (
            "N3",
            forge("verdict", "confirmed"),
            "N3.json: the verdict says confirmed, but its checks say refuted",
        ),
        (
            "A4",
            forge("verdict", "refuted", 1),
            "A4.json: the check 'time to target, Linear-R over GRPO, same budget' says "
            "0.5519 [0.5416, 0.5625], refuted, but its samples say 0.5519",
        ),
        ("A4", forge("measurement", 0.3, 0), "says 0.3 [-0.5021, -0.3179], confirmed, but"),
        ("A4", forge("high", -0.3, 0), "says -0.41 [-0.5021, -0.3], confirmed, but its samples"),
        ("A4", forge("samples", [0.9] * 5, 1), "but its samples say 0.9 [0.9, 0.9], refuted"),
        (
            "A4",
            forge("prediction", 0.6, 0),
            "the ledger predicts below 0, tolerance 0, δ 0.10536; the evidence was judged by below "
            "0.6",
        ),
        ("A4", forge("delta", 0.5, 0), "was judged by below 0, tolerance 0, δ 0.5"),
        ("A4", forge("level", 0.5, 0), "but its samples say -0.41 [-0.4346"),
        ("A4", forge("void", "a pretext", 0), "but its checks say open"),
        (
            "A4",
            forge("samples", [0.55] * 4, 1),
            "the verdict says confirmed, but its checks say open",
        ),
        (
            "N3",
            lambda values: values["checks"].reverse(),
            "the verdict says refuted, but its checks say confirmed",
        ),
        ("A4", forge("quick", True), "A4.json is from a quick run; publish full runs only"),
        ("A4", forge("environment", {}), "does not say which commit and packages"),
        ("A4", forge("id", "A5"), "A4.json holds claim A5"),
        ("A4", forge("source", "llm"), "A4.json is from the source llm, not sim"),
        ("A4", forge("checks", None), "A4.json is not a finding"),
    ],
)
def test_tampered_evidence_is_told(tree, claim, change, sentence):
    path = tree.evidence["sim"] / f"{claim}.json"
    tree.edit(path, change)
    assert any(sentence in fault and str(path) in fault for fault in tree.faults()), tree.faults()


def test_evidence_that_says_something_else_no_longer_matches_the_text(tree):
    """Consistent in itself, but not what was published."""
    tree.store(tree.a4(0.5))
    faults = tree.faults()
    assert all(
        "follows from the evidence" in fault or "more differences" in fault for fault in faults
    )
    row = next(fault for fault in faults if "[A4]" in fault)
    assert "✓ confirmed" in row.split("but")[0]
    assert "✗ refuted" in row.split("but")[1]


def test_missing_evidence_is_told(tree):
    (tree.evidence["sim"] / "N3.json").unlink()
    faults = tree.faults()
    assert any(
        "ledger.md" in f and "[N3]" in f and "✗ refuted" in f and "○ not run" in f for f in faults
    )


def test_new_evidence_must_be_published(tree):
    kept = above("x", 0.0, [1.0] * 5, delta=0.10536)
    tree.store(finding("A6", "", [kept], ["rule"], quick=False))
    assert any("[A6]" in fault and "✓ confirmed" in fault for fault in tree.faults())
    tree.publish()
    assert tree.faults() == []


def test_findings_of_the_language_model_must_follow_from_its_tables(tree):
    place = tree.root / "llm" / "rule-from-scratch"
    place.mkdir(parents=True)
    schemes = ("grpo", "linear_r", "linear_r:zero_success=drop", "sqrt_r", "uniform_r", "lens")
    rows = [
        (s, seed, 0.01, 100.0 + 10 * n + seed) for n, s in enumerate(schemes) for seed in range(5)
    ]
    outcomes = pd.DataFrame(rows, columns=["scheme", "seed", "start", "reached"])
    outcomes.to_csv(place / "outcomes.csv", index=False)
    metrics = ("groups_all_wrong", "success", "entropy", *(f"pass@{k}" for k in (4, 16, 64, 256)))
    curves = pd.DataFrame(
        [
            (scheme, seed, step, metric, 0.9 - 0.1 * step)
            for scheme in schemes
            for seed in range(5)
            for step in (0, 1)
            for metric in metrics
        ],
        columns=["scheme", "seed", "step", "metric", "value"],
    )
    curves.to_parquet(place / "curves.parquet")
    (place / "environment.json").write_text('{"commit": "abc", "packages": {}}')
    assert {f.id for f in write_findings(tree.root / "llm")} == {"A4", "A6", "L5"}
    tree.publish()
    assert tree.faults() == []
    outcomes.assign(reached=outcomes["reached"][::-1].to_numpy()).to_csv(
        place / "outcomes.csv", index=False
    )
    assert [f.partition(" does not follow")[0].rpartition("/")[2] for f in tree.faults()] == [
        "A4.json",
        "A6.json",
    ]
    (tree.evidence["llm"] / "L5.json").unlink()
    assert any("L5.json is not there, but its tables are" in fault for fault in tree.faults())


def test_files_that_are_no_evidence_are_told(tree):
    (tree.evidence["sim"] / "notes.json").write_text("{}")
    assert any("notes.json is no evidence of a claim" in fault for fault in tree.faults())


def test_a_theory_claim_that_changes_its_verdict_is_told(tree, monkeypatch):
    record = entries.theory_record

    def refuted(id):
        if id != "O2":
            return record(id)
        wrong = [above("excess", 2.0, [1.0], exact=True)]
        return entries.Record("theory", *[finding(id, "", wrong, [], quick=False)] * 2, {})

    monkeypatch.setattr(entries, "theory_record", refuted)
    assert any("[O2]" in fault and "✗ refuted" in fault for fault in tree.faults())


@pytest.mark.parametrize("name", [README, PAGE])
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)
@given(data=st.data())
def test_no_character_of_the_published_text_can_change(tree, name, data):
    path = tree.root / name
    text = path.read_text(encoding="utf-8")
    low, high = 0, len(text)
    if name == README:
        low, high = text.index(OPEN) + len(OPEN) + 1, text.index(CLOSE)
    place = data.draw(st.integers(low, high - 1))
    letter = data.draw(st.sampled_from([c for c in "✓✗x |" if c != text[place]]))
    try:
        path.write_text(text[:place] + letter + text[place + 1 :], encoding="utf-8")
        assert any(str(path) in fault for fault in tree.faults())
    finally:
        path.write_text(text, encoding="utf-8")


def test_a_sample_may_differ_in_its_last_digits_alone():
    def check(*samples):
        return above("excess", 0.0, list(samples))

    assert _agree(check(-0.0477273762, 1.0), check(-0.0477273222, 1.0))  # pandas 3.1 and 2.2
    assert not _agree(check(-0.04772, 1.0), check(-0.04773, 1.0))
    assert not _agree(check(-0.04773, 1.0), check(-0.04773))


@pytest.mark.parametrize(
    ("name", "text", "sentence"),
    [
        (README, "# no section\n", "must have one section between <!-- ledger -->"),
        (README, None, "README.md is not there; this needs a source tree"),
        (PAGE, None, "ledger.md is not there; run apw claims --write"),
    ],
)
def test_missing_places_are_told(tree, name, text, sentence):
    path = tree.root / name
    path.unlink() if text is None else path.write_text(text)
    assert any(sentence in fault for fault in tree.faults())


def test_writing_keeps_the_rest_of_the_readme_and_changes_nothing_twice(tree):
    text = (tree.root / README).read_text(encoding="utf-8")
    assert text.startswith("# apw\n\n<!-- ledger -->\n")
    assert text.endswith("<!-- /ledger -->\n\nMore.\n")
    assert f"{len(claims())} claims ask for" in text
    page = (tree.root / PAGE).read_text(encoding="utf-8")
    assert all(f"\n| [{id}](#{id.lower()}) | " in page for id in claims())
    assert write(ledger(tree.evidence), tree.root) == []
