"""Pictures of claims' tables: what is drawn is what the table beside the verdict says."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from claims.records import PUBLISHED, read_record
from claims.simulation.registry import CLAIMS
from claims.simulation.tables import CURVES, ENDS
from figures.catalogue import claim_records, run_pictures
from figures.claim_tables import claim_pictures, read_claim_table, table_pictures
from figures.style import house_style

EVIDENCE = PUBLISHED["sim"]
UNTRAINED = {"A3", "N5", "O1", "O2", "O5", "O6", "O10"}
"""Claims about single updates or groups that are drawn: their checks are all there is to draw."""


def picture(claim):
    (made,) = table_pictures(claim, read_claim_table(EVIDENCE / f"{claim}.csv"))
    with house_style():
        return made, made.draw("light")


@pytest.mark.parametrize("claim", CLAIMS)
def test_every_claim_has_its_checks_and_what_its_runs_looked_like(claim):
    names = [made.name for made in claim_pictures(read_record(EVIDENCE / f"{claim}.json"))]
    kind = "pass_at_k" if claim in ENDS else "curves" if claim in CURVES else "times"
    expected = [f"claim_{claim.lower()}"]
    assert names == expected + [f"{expected[0]}_{kind}"] * (claim not in UNTRAINED)


def test_ratios_stand_at_their_places_and_what_never_ended_at_the_edge():
    published = read_claim_table(EVIDENCE / "A4.csv")
    ratio = (published["metric"] == "time/grpo") & (published["scheme"] == "sqrt_r")
    for clock, (mean, low) in {"updates": (0.0, 0.0), "first_success": (np.inf, np.inf)}.items():
        lost = ratio & (published["clock"] == clock)
        assert lost.any()
        published.loc[lost, ["mean", "low", "high"]] = mean, low, np.inf
    (made,) = table_pictures("A4", published)
    with house_style():
        figure = made.draw("light")
    table, runs = made.data, list(dict.fromkeys(made.data["run"]))
    for number, axes in enumerate(figure.axes):
        run, clock = runs[number // 2], ("updates", "responses")[number % 2]
        part = table[(table["run"] == run) & (table["clock"] == clock)]
        low, high = axes.get_xlim()
        marks = [
            line.get_xdata()[0] for line in axes.lines if line.get_marker() not in ("", "None")
        ]
        np.testing.assert_allclose(sorted(marks), sorted(part["mean"].clip(low, high)), rtol=1e-12)
        assert (low, high) == figure.axes[number % 2].get_xlim()
    never = table[~np.isfinite(table["low"]) | (table["mean"] == 0)]
    assert len(never)


def test_pass_at_k_begins_at_the_policy_before_training():
    made, figure = picture("N3")
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title("left") for axes in shown][:2] == [
        "base-0.65-small-dose, training",
        "base-0.65-small-dose, held-out",
    ]
    held_out = made.data[
        (made.data["run"] == "base-0.65-small-dose") & (made.data["split"] == "held-out")
    ]
    base, *curves = shown[1].lines
    before = held_out[(held_out["step"] == 0) & (held_out["scheme"] == "psr")]
    np.testing.assert_array_equal(base.get_ydata(), before["mean"])
    after = held_out[(held_out["step"] > 0) & (held_out["scheme"] == "psr")]
    assert any(np.array_equal(curve.get_ydata(), after["mean"]) for curve in curves)
    assert len(curves) == held_out["scheme"].nunique()


def test_curves_are_drawn_over_updates_in_every_run():
    made, figure = picture("L5")
    runs = list(dict.fromkeys(made.data["run"]))
    assert [axes.get_title("left") for axes in figure.axes] == [
        f"{r}: all-wrong groups" for r in runs
    ]
    first = made.data[(made.data["run"] == runs[0]) & (made.data["scheme"] == "lens")]
    drawn = [line.get_xydata() for line in figure.axes[0].lines]
    wanted = first[["step", "mean"]].to_numpy(float)
    assert any(np.array_equal(points, wanted) for points in drawn)
    assert np.all(np.diff(wanted[:, 0]) > 0)


def test_a_folder_of_claims_is_drawn_claim_by_claim(tmp_path: Path):
    for claim in ("A1", "N5"):
        (tmp_path / claim).mkdir()
        shutil.copy(EVIDENCE / f"{claim}.json", tmp_path / claim / "verdict.json")
        shutil.copy(EVIDENCE / f"{claim}.csv", tmp_path / claim / "table.csv")
    assert [made.name for made in run_pictures(tmp_path)] == [
        "claim_a1",
        "claim_a1_times",
        "claim_n5",
    ]
    assert [made.name for made in run_pictures(tmp_path / "N5")] == ["claim_n5"]
    (tmp_path / "A1" / "table.csv").write_text("run,scheme\n")
    with pytest.raises(ValueError, match="lacks the column 'clock'"):
        run_pictures(tmp_path / "A1")
    assert claim_records(tmp_path / "nowhere") == []
