"""Verdicts on the ledger's claims: they hold, and they would not if the claim were another."""

import numpy as np
import pytest

from claims import designs, gradients, optimal_weights
from claims.exact import GROUPS, design_costs, design_moments
from claims.records import theory_record
from claims.theory import CHECKS, theory_checks
from theory import lens
from theory.designs import drift, path, second_moment


def verdict(id):
    return theory_record.__wrapped__(id).finding.verdict


def test_the_claims_that_mathematics_can_decide_are_there():
    ours = [f"O{number}" for number in (*range(1, 8), *range(9, 13))]
    assert list(CHECKS) == [
        *(f"A{number}" for number in range(1, 7)),
        "L1",
        "L2",
        "N1",
        *ours,
        "S1",
        "S2",
    ]


NOT_CONFIRMED = {"A4": "refuted", "A6": "no effect"}
"""One prompt, fixed groups: nothing is won by asymmetric weights or by keeping all-wrong groups."""


@pytest.mark.parametrize("claim", CHECKS)
def test_every_claim_comes_out_as_the_mathematics_says(claim):
    assert verdict(claim) == NOT_CONFIRMED.get(claim, "confirmed")


def test_numbers_are_those_of_the_ledger():
    found = {id: {c.name: c.measurement for c in theory_checks(id)} for id in CHECKS}
    population = found["A4"]["time at equal budgets, Sqrt-R over GRPO, population, clock 1/ρ"]
    assert population == pytest.approx(1 / 1.5547, abs=1e-4)
    # Of the table of sampling designs: 1.618, 1.202 and 1.095 over 1.023.
    fixed = list(found["A4"].values())[:3]
    assert np.exp(fixed) == pytest.approx([1.618 / 1.023, 1.202 / 1.023, 1.095 / 1.023], abs=1e-3)
    assert next(iter(found["O2"].values())) == pytest.approx(1.035, abs=5e-4)
    assert list(found["O5"].values()) == pytest.approx([1.036, 1.023, 0.199], abs=5e-4)
    assert list(found["O6"].values()) == pytest.approx([-0.985, -0.985, -0.014], abs=1e-3)


@pytest.mark.parametrize("design", GROUPS)
def test_the_checks_own_sums_agree_with_the_module_of_designs(design):
    """Two codes: SciPy's binomial summed here, stable weights and adaptive quadrature there."""
    success = np.array([0.003, 0.2, 0.7])
    for scheme in ("grpo", "sqrt_r"):
        omega, second, _ = design_moments(scheme, 16, success, design)
        assert omega == pytest.approx(drift(scheme, success, design=design, group_size=16))
        assert second == pytest.approx(second_moment(scheme, success, design=design, group_size=16))
        way = path(scheme, start=0.01, target=0.9, design=design, group_size=16)
        costs = design_costs(scheme, 16, 0.01, design)
        assert costs == pytest.approx((way.responses, way.energy, way.weight), rel=1e-9)


def test_false_claims_are_found_out(monkeypatch):
    """The same checks with another scheme, table, penalty or update in the claim's place."""
    for clock, wrong in (("updates", "sqrt_r"), ("responses", "grpo"), ("responses", "linear_r")):
        assert optimal_weights._optimised(clock, wrong) > 100 * 1e-4
    monkeypatch.setitem(
        optimal_weights.EXCESS_TIMES, (0.38, "updates"), (1.021, 1, 1.150, 1.014, 1.021)
    )
    assert verdict("A3") == "refuted"
    monkeypatch.undo()
    monkeypatch.setitem(
        optimal_weights.GROUP_EXCESS_TIMES, (16, "fixed"), (1.145, 1.036, 1.426, 1.113, 1.015)
    )
    assert verdict("A3") == "refuted"
    monkeypatch.setattr(gradients, "nsr_logit_update", gradients.psr_logit_update)
    assert verdict("N1") == "refuted"
    coefficient = lens.gradient_coefficient
    monkeypatch.setattr(lens, "gradient_coefficient", lambda *a: 1.001 * coefficient(*a))
    assert verdict("L1") == "refuted"
    penalty = lens.penalty_weight
    monkeypatch.setattr(lens, "penalty_weight", lambda z: penalty(z) * (1 + 1e-9))
    assert verdict("L2") == "refuted"
    weight = gradients.expected_weight
    monkeypatch.setattr(
        gradients,
        "expected_weight",
        lambda scheme, size, rho, **_: weight(scheme, size, rho, zero_success="keep"),
    )
    assert verdict("O1") == "refuted"


def test_a_best_table_without_its_certificate_is_no_evidence(monkeypatch):
    import dataclasses

    found = designs.best_table(design="fixed", group_size=16, start=0.01, target=0.9)
    failed = dataclasses.replace(found, converged=False, message="the starts disagree")
    monkeypatch.setattr(designs, "best_table", lambda **_: failed)
    with pytest.raises(ArithmeticError, match="the starts disagree"):
        theory_checks("O5")


def test_claims_without_a_check_are_refused():
    with pytest.raises(ValueError, match="'L3' has no check in theory; claims that do: A1, A2"):
        theory_checks("L3")
