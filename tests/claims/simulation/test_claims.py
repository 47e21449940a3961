"""Quick versions of the claims: each runs, judges, and what is certain in it comes out."""

import json
import math

import pytest

from claims.exact import DESIGN_WORDS
from claims.simulation.lab import Lab
from claims.simulation.registry import CLAIMS, check_claim
from claims.verdicts import Finding, rejudged
from sim.config import SimulationConfig

FAMILIES = [
    ("A1",),
    ("A2",),
    ("A3", "O2", "O5", "O6"),
    ("A4", "A5", "A6"),
    ("L3", "L4", "L5"),
    ("N2", "N3", "N4", "N6"),
    ("N5", "O1"),
    ("N7",),
    ("O3",),
    ("O4",),
    ("O10",),
    ("O7", "O12"),
    ("O8",),
    ("O9",),
    ("O11",),
    ("S1", "S2", "S3"),
]
"""Claims that share runs, tried in one folder."""

CONFIRMED = {"A1", "A2", "A3", "N5", "O1", "O5", "O6"}
"""Claims with a numerical prediction, which the quick version can tell as well."""

CERTAIN = {
    "O2": [f"excess time in {words}, Sqrt-R over GRPO" for words in DESIGN_WORDS.values()],
    "L5": ["fall of the share of all-wrong groups, GRPO, shared"],
    "N2": ["pass@1, NSR minus base, base 0.65, small dose, held-out prompts"],
    "N3": ["pass@1, PSR minus base, base 0.65, small dose, held-out prompts"],
    "O3": [
        f"largest |difference| of {metric}, {scheme} minus PSR, mirror steps"
        for scheme in ("NSR", "W-REINFORCE")
        for metric in ("success", "entropy")
    ],
}
"""Checks of other claims that are far from their bounds."""


@pytest.mark.parametrize("family", FAMILIES, ids="-".join)
def test_quick_versions_judge_and_what_is_certain_comes_out(family, tmp_path):
    for claim in family:
        found = check_claim(claim, tmp_path, quick=True)
        written = json.loads((tmp_path / "quick" / claim / "verdict.json").read_text())
        assert written["source"] == "sim"
        assert Finding.from_dict(written) == found == rejudged(found)
        assert (found.id, found.quick) == (claim, True)
        assert (tmp_path / "quick" / claim / "table.csv").exists()
        for check in found.checks:
            # A regime in which nothing arrives has nothing to measure: none of these is one.
            assert math.isfinite(check.measurement), check.name
            assert check.low <= check.measurement <= check.high
        if claim in CONFIRMED:
            verdicts = {check.name: check.verdict for check in found.checks}
            assert set(verdicts.values()) == {found.verdict} == {"confirmed"}, verdicts
        certain = [check for check in found.checks if check.name in CERTAIN.get(claim, ())]
        assert [check.name for check in certain] == CERTAIN.get(claim, [])
        assert all(check.verdict == "confirmed" for check in certain), certain


def test_every_claim_of_the_ledger_has_a_simulation_and_a_quick_test():
    wanted = {*(f"A{i}" for i in range(1, 7)), *(f"L{i}" for i in range(3, 6))}
    wanted |= {*(f"N{i}" for i in range(2, 8)), *(f"O{i}" for i in range(1, 13))}
    wanted |= {"S1", "S2", "S3"}
    assert set(CLAIMS) == wanted
    assert sorted(claim for family in FAMILIES for claim in family) == sorted(wanted)
    with pytest.raises(ValueError, match="no simulation for claim 'Z9'"):
        check_claim("Z9", "nowhere")


def test_a_claim_whose_folder_cannot_be_written_is_not_begun(tmp_path, monkeypatch):
    monkeypatch.setitem(CLAIMS, "A1", lambda lab: pytest.fail("was begun"))
    (tmp_path / "file").write_text("")
    with pytest.raises(NotADirectoryError):
        check_claim("A1", tmp_path / "file", quick=True)
    monkeypatch.setattr("os.access", lambda *_: False)
    with pytest.raises(PermissionError, match="cannot be written to"):
        check_claim("A1", tmp_path, quick=True)


def test_runs_are_replaced_once_and_only_where_that_is_asked_for(tmp_path):
    config = SimulationConfig(
        schemes=("grpo",), seeds=1, prompts=2, steps=1, measure_every=1, pass_k=(1,)
    )
    Lab(tmp_path, "A1", True).run(config, "run")
    written = (tmp_path / "A1" / "run" / "metrics.parquet").stat().st_mtime_ns

    def again(lab):
        lab.run(config, "run")
        return (tmp_path / "A1" / "run" / "metrics.parquet").stat().st_mtime_ns

    assert again(Lab(tmp_path, "A1", True)) == written
    lab = Lab(tmp_path, "A1", True, replaced=set())
    replaced = again(lab)
    assert replaced > written
    assert again(lab) == replaced
