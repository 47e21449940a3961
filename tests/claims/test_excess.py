"""Excess by design is the theory's, and the sentences say so."""

from __future__ import annotations

import pytest

from claims.excess import DRAWN, excess_findings, excess_table
from theory.designs import excess
from theory.optimal import optimal_weight


def test_the_table_is_the_theorys() -> None:
    table = excess_table(["grpo", "rloo"], starts=[0.01, 0.2], group_size=4)
    assert list(dict.fromkeys(table["design"])) == list(DRAWN)
    for row in table.to_dict("records"):
        size = None if row["design"] == "population" else 4
        expected = excess(
            row["scheme"], design=row["design"], group_size=size, start=row["start"], target=0.9
        )
        assert row["excess"] == pytest.approx(expected, rel=1e-12)
    # As arXiv 2602.11128 has it for the limit of large groups.
    found = table.set_index(["design", "start", "scheme"])["excess"]["population"][0.01]["grpo"]
    assert found == pytest.approx(optimal_weight(0.01, 0.9).excess("grpo"), rel=1e-9)


def test_sentences_name_the_design_and_do_not_promise_what_none_has() -> None:
    groups, mixed, limit = excess_findings()
    assert "1.023 times the best table's with GRPO" in groups
    assert "win a single prompt next to nothing" in groups
    assert "until a group is mixed" in mixed
    assert "Sqrt-R, and GRPO takes 1.55 times the optimal time from 1%" in limit
    assert "No way of sampling has this limit" in limit
