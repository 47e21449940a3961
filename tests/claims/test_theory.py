"""Verdicts on the ledger's claims: they hold, and they would not if the claim were another."""

import math
import time

import pytest

from claims import gradients, optimal_weights
from claims.theory import NumericalCheck, check, claim_ids
from theory import lens


def test_the_claims_that_mathematics_can_decide_are_there():
    assert claim_ids() == [
        "A1",
        "A2",
        "A3",
        "A4",
        "A5",
        "A6",
        "L1",
        "L2",
        "N1",
        "O1",
        "O2",
        "O3",
        "O4",
    ]


@pytest.mark.parametrize("claim", claim_ids())
def test_every_claim_holds(claim):
    begin = time.process_time()
    verdict = check(claim)
    assert verdict.holds, verdict
    assert verdict.id == claim
    # A few seconds, with room for a busy machine.
    assert time.process_time() - begin < 15


def test_numbers_are_those_of_the_ledger():
    assert check("A4").measured == pytest.approx(1.555, abs=0.01)
    assert 1 < check("A5").measured < 1.05
    assert check("O2").measured == pytest.approx(2.29, abs=0.005)


def test_a_verdict_holds_within_its_tolerance_alone():
    assert NumericalCheck("A1", "", 1.0, 1.25, 0.25).holds
    assert not NumericalCheck("A1", "", 1.0, 1.26, 0.25).holds
    assert not NumericalCheck("A1", "", 1.0, math.nan, 0.25).holds


def test_false_claims_are_found_out(monkeypatch):
    """The same checks with another scheme, table, penalty or update in the claim's place."""
    for id, clock, wrong in (
        ("A1", "updates", "sqrt_r"),
        ("A2", "responses", "grpo"),
        ("A2", "responses", "linear_r"),
    ):
        _, gap, tolerance = optimal_weights._optimised(id, clock, wrong)
        assert gap > 100 * tolerance
    monkeypatch.setitem(
        optimal_weights.EXCESS_TIMES, (0.38, "updates"), (1.021, 1, 1.150, 1.014, 1.021)
    )
    assert not check("A3").holds
    monkeypatch.setattr(gradients, "nsr_logit_update", gradients.psr_logit_update)
    assert not check("N1").holds
    coefficient = lens.gradient_coefficient
    monkeypatch.setattr(lens, "gradient_coefficient", lambda *a: 1.001 * coefficient(*a))
    assert not check("L1").holds
    penalty = lens.penalty_weight
    monkeypatch.setattr(lens, "penalty_weight", lambda z: penalty(z) * (1 + 1e-9))
    assert not check("L2").holds
    weight = gradients.expected_weight
    monkeypatch.setattr(
        gradients,
        "expected_weight",
        lambda scheme, size, rho, **_: weight(scheme, size, rho, zero_success="keep"),
    )
    assert not check("O1").holds


def test_claims_without_a_check_are_refused():
    with pytest.raises(ValueError, match="'L3' has no numerical check; claims that do: A1, A2"):
        check("L3")
