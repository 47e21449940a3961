"""Only what is missing is run, and what cannot be run is refused."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest

from claims.running import run_missing, runnable
from claims.verdicts import above, finding


@pytest.fixture
def executors():
    """Who ran the simulator's sweeps, claim by claim."""
    return []


@pytest.fixture
def simulated(monkeypatch, executors):
    """A simulator that confirms at once, and what it was asked for."""
    asked = []

    def check_claim(id, folder, *, quick=False, executor="local", looks=()):
        asked.append((id, quick))
        executors.append(executor)
        found = finding(id, "", [above("x", 0.0, [1.0] * 5)], ["made up"], quick=quick)
        path = folder / ("quick" if quick else "full") / id / "verdict.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({**found.to_dict(), "source": "sim"}))

    monkeypatch.setattr("claims.simulation.registry.check_claim", check_claim)
    return asked


def test_what_is_missing_is_run_and_what_is_there_is_not(simulated, tmp_path):
    heard = []
    assert run_missing("sim", ["O1", "N5"], tmp_path, quick=True, say=heard.append) == ["O1", "N5"]
    assert [words.partition(":")[0] for words in heard] == ["[1/2] O1", "[2/2] N5"]
    rest = run_missing("sim", folder=tmp_path, quick=True)
    assert rest == [id for id in runnable("sim") if id not in ("O1", "N5")]
    assert run_missing("sim", folder=tmp_path, quick=True) == []
    # A quick verdict is no full one, but a full one serves where a quick one is asked for.
    assert run_missing("sim", ["A1"], tmp_path) == ["A1"]
    assert run_missing("sim", folder=tmp_path) == [id for id in runnable("sim") if id != "A1"]
    assert run_missing("sim", folder=tmp_path, quick=True) == []
    assert {quick for _, quick in simulated} == {True, False}


def test_sweeps_of_claims_go_to_ray_if_that_is_asked_for(simulated, executors, tmp_path):
    run_missing("sim", ["A1"], tmp_path)
    run_missing("sim", ["A4"], tmp_path, ray=True)
    assert executors == ["local", "ray"]
    with pytest.raises(ValueError, match="--ray is for --run sim; llm has no sweeps"):
        run_missing("llm", ["A4"], tmp_path, ray=True)


def test_language_models_are_trained_setting_by_setting_and_judged(monkeypatch, tmp_path):
    done = []
    monkeypatch.setattr(
        "claims.language_model.run.run",
        lambda out, settings: done.append(("run", out, [a.name for a in settings])),
    )
    monkeypatch.setattr(
        "claims.language_model.run.publish",
        lambda out, settings, folder: done.append(("publish", folder, [a.name for a in settings])),
    )
    monkeypatch.setattr(
        "claims.language_model.claims.write_findings",
        lambda folder: done.append(("judge", folder)) or [],
    )
    assert run_missing("llm", ["A5", "N2", "A4"], tmp_path) == ["A5", "N2", "A4"]
    out = tmp_path / "llm"
    names = ["rule-from-scratch", "rule-post-sft", "countdown-post-sft", "countdown-post-sft-nsr"]
    names += ["countdown-35-post-sft", "countdown-from-scratch"]
    assert done == [
        *(("run", out, [name]) for name in names),
        ("publish", out / "evidence", names),
        ("judge", out / "evidence"),
    ]


def test_looks_go_on_with_the_claims_that_countdown_leaves_open(monkeypatch, tmp_path):
    ran = []
    verdicts = iter([{"N2": "open", "N3": "open", "A5": "open"}, {"N2": "confirmed", "N3": "open"}])
    later = iter([{"N3": "refuted"}])
    monkeypatch.setattr(
        "claims.language_model.run.run",
        lambda out, settings: ran.extend((s.name, s.looks) for s in settings),
    )
    monkeypatch.setattr("claims.language_model.run.publish", lambda *_: [])

    def findings(folder):
        found = next(verdicts, None) or next(later)
        return [SimpleNamespace(id=id, verdict=verdict) for id, verdict in found.items()]

    monkeypatch.setattr("claims.language_model.claims.write_findings", findings)
    run_missing("llm", ["N2", "N3", "A5"], tmp_path, looks=True)
    first = ["rule-post-sft", "countdown-post-sft", "countdown-post-sft-nsr"]
    decides = "countdown-35-post-sft"
    assert ran == [*((name, 1) for name in (*first, decides)), (decides, 2), (decides, 3)]


def test_the_theory_runs_nothing(tmp_path):
    assert run_missing("theory", folder=tmp_path) == runnable("theory")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("source", "ids", "quick", "complaint"),
    [
        ("sim", ["L1"], False, "L1 has no sim run; claims that do: A1, A2"),
        ("llm", ["L2"], False, "L2 has no llm run"),
        ("theory", ["L3"], False, "L3 has no theory run"),
        ("llm", [], True, "--quick is for --run sim; llm has one version only"),
    ],
)
def test_what_cannot_be_run_is_refused(simulated, tmp_path, source, ids, quick, complaint):
    with pytest.raises(ValueError, match=complaint):
        run_missing(source, ids, tmp_path, quick=quick)
    assert simulated == []
