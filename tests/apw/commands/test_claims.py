"""``apw claims`` shows the ledger, judges runs, and fails where what is published is not so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from apw.main import main
from claims.spec import claims
from claims.verdicts import above, below, finding


def run(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    status = main(["claims", *words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    """A refuted full run of A6 and a quick one of O2."""
    for id, check, quick in (
        ("A6", above("ln of time dropped over kept", 0.0, [-0.1] * 5), False),
        ("O2", below("x", 0.0, [-0.5, -1.0, -1.5]), True),
    ):
        path = tmp_path / "sim" / id / "verdict.json"
        path.parent.mkdir(parents=True)
        found = finding(id, "", [check], ["rule: one update at a time"], quick=quick)
        path.write_text(json.dumps({**found.to_dict(), "source": "sim"}))
    return tmp_path


def test_the_table_has_a_row_per_claim(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    status, out, _ = run(capsys, "--evidence", str(runs))
    assert status == 0
    rows = {
        row.group(1): row.group()
        for row in re.finditer(r"^([ALNOS]\d+) +.*(?:\n {4}.*)*", out, re.MULTILINE)
    }
    assert list(rows)[:2] == ["A1", "A2"]
    assert list(rows) == list(claims())
    assert "✗ refuted" in rows["A6"]
    # The main number, with its interval, is all that the last column says, over as many lines as
    # the width of the terminal makes it.
    place = next(line.index("main number") for line in out.splitlines() if "main number" in line)
    numbers = {
        id: " ".join(line[place:].strip() for line in row.splitlines()).strip()
        for id, row in rows.items()
    }
    assert numbers["A6"] == "sim: > 0, got −0.1 [−0.1, −0.1]"
    assert numbers["O2"] == "sim: < 0, got −1 [−2.242, 0.2421]"
    assert numbers["O6"] == "theory: −1 ± 2.5 %, got −0.9853"
    assert numbers["L3"] == ""
    assert "~ open, quick run" in rows["O2"]
    verdicts = sum(len(claim.tests) for claim in claims().values())
    assert f"{len(claims())} claims ask for {verdicts} verdicts" in out


def test_one_claim_is_told_in_full(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    status, out, _ = run(capsys, "a6", "--evidence", str(runs))
    assert status == 0
    for words in (
        "All-wrong groups carry useful signal",
        "arXiv 2602.11128",
        "Theory: 0 no effect",
        "Simulation: ✗ refuted",
        "Language model: ○ not run",
        "ln of time dropped over kept: −0.1 [−0.1, −0.1], predicted > 0.",
        "- rule: one update at a time",
        "5 seeds",
        str(runs / "sim" / "A6" / "verdict.json"),
        "Run it again: apw claims A6 --run sim",
        "Run it: apw claims A6 --run llm",
    ):
        assert words in " ".join(out.split())
    assert "A5" not in out


def test_json_is_one_object(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    status, out, _ = run(capsys, "A6", "L1", "--evidence", str(runs), "--json")
    data = json.loads(out)
    assert (status, [claim["id"] for claim in data["claims"]]) == (0, ["A6", "L1"])
    assert data["claims"][0]["sources"]["sim"]["verdict"] == "refuted"
    assert data["claims"][0]["sources"]["sim"]["finding"]["checks"][0]["samples"] == [-0.1] * 5
    assert list(data["claims"][1]["sources"]) == ["theory"]


def test_check_fails_with_status_1(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("claims.audit.audit", lambda: [])
    assert run(capsys, "--check")[:2] == (0, "The published ledger follows from its evidence.\n")
    monkeypatch.setattr("claims.audit.audit", lambda: ["README.md, line 3, says 'x'"])
    status, out, _ = run(capsys, "--check")
    assert status == 1
    assert out.startswith("- README.md, line 3, says 'x'\n")
    status, out, _ = run(capsys, "--check", "--json")
    assert (status, json.loads(out)["follows"]) == (1, False)


def test_write_writes_both_places(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("claims.published.ROOT", tmp_path)
    (tmp_path / "README.md").write_text("<!-- ledger -->\n<!-- /ledger -->\n")
    status, out, _ = run(capsys, "--write")
    assert status == 0
    assert f"Wrote {tmp_path / 'README.md'} and {tmp_path / 'docs' / 'ledger.md'}." in out
    assert "Nothing has changed." in run(capsys, "--write")[1]


def test_missing_runs_are_run_where_it_is_said(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = []
    monkeypatch.setattr(
        "claims.running.run_missing",
        lambda *words, **more: asked.append((*words, more["quick"])),
    )
    monkeypatch.chdir(tmp_path)
    assert run(capsys, "o1", "--run", "sim", "--quick")[0] == 0
    assert run(capsys, "--run", "llm", "--evidence", "mine")[0] == 0
    assert asked == [
        ("sim", ["O1"], Path("results/claims"), True),
        ("llm", [], Path("mine"), False),
    ]


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["Z9"], "the ledger has no claim 'Z9'; its claims are A1"),
        (["--quick"], "--quick goes with --run sim"),
        (["--looks"], "--looks goes with --run sim"),
        (["--ray"], "--ray goes with --run sim"),
        (["--run", "llm", "--ray"], "--ray is for --run sim"),
        (["--run", "theory", "--looks"], "--looks is for full versions of --run sim"),
        (["--check", "--write"], "--check and --write exclude each other"),
        (["A4", "--check"], "--check is about the whole published ledger"),
        (["--write", "--evidence", "x"], "--write is about the whole published ledger"),
        (["--run", "gpu"], "--run"),
        (["--evidence", "nowhere"], "nowhere is not a folder"),
        (["L1", "--run", "sim"], "L1 has no sim run"),
    ],
)
def test_bad_input_is_a_sentence_with_status_2(
    capsys: pytest.CaptureFixture[str], words: list[str], sentence: str
) -> None:
    status, out, err = run(capsys, *words)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert sentence in err


def test_broken_evidence_names_its_file(capsys: pytest.CaptureFixture[str], runs: Path) -> None:
    path = runs / "sim" / "A6" / "verdict.json"
    path.write_text('{"id": "A6",')
    status, _, err = run(capsys, "--evidence", str(runs))
    assert status == 2
    assert f"{path} is not valid JSON" in err
