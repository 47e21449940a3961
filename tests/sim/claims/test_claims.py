"""Quick versions of the claims: those with a numerical prediction must come out."""

import json
import math

import pytest

from sim.claims.common import Lab
from sim.claims.registry import CLAIMS, check_claim
from sim.config import SimulationConfig


@pytest.mark.parametrize("claim", ["A1", "A2", "A3", "O1", "O2", "N5"])
def test_predictions_come_out(claim, tmp_path):
    found = check_claim(claim, tmp_path, quick=True)
    assert found.verdict == "confirmed", [c for c in found.checks if c.verdict != "confirmed"]
    written = json.loads((tmp_path / "quick" / claim / "verdict.json").read_text())
    assert written["arm"] == "sim"
    assert all(math.isfinite(check["measurement"]) for check in written["checks"])


def test_every_claim_of_the_ledger_has_a_simulation():
    wanted = {*(f"A{i}" for i in range(1, 7)), *(f"L{i}" for i in range(3, 6))}
    wanted |= {*(f"N{i}" for i in range(2, 8)), *(f"O{i}" for i in range(1, 5))}
    assert set(CLAIMS) == wanted
    with pytest.raises(ValueError, match="no simulation for claim 'Z9'"):
        check_claim("Z9", "nowhere")


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
    lab = Lab(tmp_path, "A1", True, anew=set())
    replaced = again(lab)
    assert replaced > written
    assert again(lab) == replaced
