"""Time to target by all sources: exact predictions, paired ratios, schemes that never arrive."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from claims.across_sources import LANGUAGE_MODEL, foretold, read_outcomes, sources_table
from claims.exact import design_costs
from claims.metrics import CEILING
from claims.records import PUBLISHED, read_records
from claims.verdicts import Finding, below, compared, finding
from figures.sources import sources_picture


def simulated(ratio: float) -> Finding:
    checks = [
        below(
            "time to target",
            0.0,
            [math.log(ratio / 2)] * 5,
            **compared("sqrt_r", "grpo", "log ratio", "from scratch, Adam"),
        ),
        below(
            "time to target",
            0.0,
            [0.0] * 5,
            **compared("linear_r:zero_success=drop", "linear_r", "log ratio", "from scratch, Adam"),
        ),
    ]
    return finding("A4", "c", checks, [], quick=False)


def reached(**times: list[float]) -> pd.DataFrame:
    rows = [(s, seed, t) for s, all in times.items() for seed, t in enumerate(all)]
    return pd.DataFrame(rows, columns=["scheme", "seed", "reached"])


def test_the_theory_is_the_cost_of_a_sampling_design() -> None:
    """Against the binomial sums of SciPy that claim A4 is judged by."""
    table = sources_table().set_index(["setting", "series", "scheme"])["ratio"]
    for start, setting in ((0.01, "from scratch"), (0.4, "after fine-tuning")):
        for series, design in (("fixed groups", "fixed"), ("groups until mixed", "until_mixed")):
            (ours, noise, _), (theirs, other, _) = (
                design_costs(name, 16, start, design) for name in ("linear_r", "grpo")
            )
            assert table[setting, f"theory, {series}", "linear_r"] == pytest.approx(
                ours * noise / (theirs * other), rel=1e-9
            )


def test_simulations_enter_by_the_fields_of_their_checks() -> None:
    table = sources_table({"A4": simulated(0.6)}).query("seeds > 0").set_index("series")
    assert table["ratio"].to_dict() == pytest.approx({"simulation, Adam": 0.3})
    assert set(table["scheme"]) == {"sqrt_r"}
    assert set(table["setting"]) == {"from scratch"}


def test_every_published_regime_of_the_simulation_has_a_series() -> None:
    records = read_records(PUBLISHED["sim"])
    findings = {id: record.finding for (_, id), record in records.items()}
    table = sources_table(findings).query("seeds > 0")
    for claim, setting in (("A4", "from scratch"), ("A5", "after fine-tuning")):
        regimes = {check.regime for check in findings[claim].checks if check.reference == "grpo"}
        assert table[table["setting"] == setting]["series"].nunique() == len(regimes) >= 3


def test_language_models_are_paired_by_seed_and_failures_count_up_to_a_ceiling() -> None:
    outcomes = reached(grpo=[100, 200, math.inf, math.inf], sqrt_r=[50, 100, math.inf, 10])
    table = sources_table(outcomes={"rule-from-scratch": outcomes})
    row = table[table["series"] == LANGUAGE_MODEL].iloc[0]
    assert row["seeds"] == 3  # where neither arrives, nothing is said
    assert row["ratio"] == pytest.approx(math.exp((2 * math.log(0.5) - CEILING) / 3))
    assert row["low"] <= row["ratio"] <= row["high"]


def test_the_picture_says_what_is_missing_and_what_is_there() -> None:
    assert "No simulation or language model has been run" in sources_picture().caption
    outcomes = reached(grpo=[1.0] * 5, sqrt_r=[2.0] * 5)
    picture = sources_picture({"A4": simulated(0.6)}, {"rule-post-sft": outcomes})
    assert "over paired seeds (5 or more)" in picture.caption
    assert picture.render("svg").count(b"<path") > 10


def test_the_caption_says_how_well_simulations_foretell_the_language_model() -> None:
    rows = [
        ("from scratch", series, scheme, ratio, ratio, ratio, 5)
        for series, ratios in {
            "simulation, Adam": (0.5, 1.0, 2.0),
            LANGUAGE_MODEL: (3.0, 1.0, 0.5),
        }.items()
        for scheme, ratio in zip(("sqrt_r", "linear_r", "uniform_r"), ratios, strict=True)
    ]
    columns = ["setting", "series", "scheme", "ratio", "low", "high", "seeds"]
    [row] = foretold(pd.DataFrame(rows, columns=columns))
    assert tuple(row) == (
        "simulation, Adam",
        3,
        pytest.approx(-1),
        pytest.approx(6),
        "sqrt_r",
        "from scratch",
    )
    records = read_records(PUBLISHED["sim"])
    found = {id: record.finding for (_, id), record in records.items()}
    outcomes = read_outcomes(PUBLISHED["llm"].parent)
    said = sources_picture(found, outcomes).caption
    for row in foretold(sources_table(found, outcomes)):
        assert f"{abs(row.correlation):.2g} for {row.series.split(', ', 1)[1]}" in said
    assert "rank correlation" not in sources_picture(found).caption


def test_outcomes_are_read_where_they_are(tmp_path: Path) -> None:
    assert read_outcomes(tmp_path) == {}
    folder = tmp_path / "rule-from-scratch"
    folder.mkdir()
    reached(grpo=[1.0]).to_csv(folder / "outcomes.csv", index=False)
    assert np.isfinite(read_outcomes(tmp_path)["rule-from-scratch"]["reached"]).all()
    (folder / "outcomes.csv").write_text("scheme,seed\n")
    with pytest.raises(ValueError, match="lacks the column 'reached'"):
        read_outcomes(tmp_path)
