"""Best tables: their shape, their certificate, and optimisers that know nothing of convexity."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import optimize
from scipy.special import expit, logit

from theory.best_tables import best_table
from theory.designs import DESIGNS, excess, outcomes_of, path
from theory.tables import table_scheme

NAMES = ("grpo", "rloo", "linear_r", "sqrt_r", "uniform_r", "reinforce", "psr", "nsr")


def test_the_best_table_penalises_an_all_wrong_group_by_a_fifth():
    for size, start, correct, share in (
        (16, 0.01, 8, 0.20),
        (4, 0.01, 2, 0.27),
        (16, 0.1, 8, 0.395),
    ):
        best = best_table(start=start, target=0.9, group_size=size)
        assert best.converged, best.message
        digits = 3 if share == 0.395 else 2
        assert round(best.negative[0] / best.positive[correct], digits) == share


@pytest.mark.parametrize("design", ["fixed", "until_any", "until_mixed"])
def test_no_change_of_the_best_table_helps(design):
    best = best_table(start=0.02, target=0.8, design=design, group_size=8)
    assert best.converged, best.message
    assert best.gradient < 1e-8
    assert best.spread < 1e-9
    rng = np.random.default_rng(3)
    setting = {"start": 0.02, "target": 0.8, "design": design, "group_size": 8}
    least = path(best.scheme(), **setting).product("energy")
    assert least == pytest.approx(best.product, rel=1e-9)
    for size in (1e-3, 0.05, 0.3):
        for _ in range(5):
            moved = best.scheme()
            tables = [t * np.exp(size * rng.normal(size=t.shape)) for t in moved.table(8)]
            other = path(table_scheme(*tables), **setting).product("energy")
            assert other > least * (1 - 1e-12)


def test_an_optimiser_that_knows_nothing_of_convexity_finds_the_same_table():
    success, weights = np.polynomial.legendre.leggauss(60)
    odds = logit(0.01) + (success + 1) / 2 * (logit(0.9) - logit(0.01))
    share = weights / 2 * (logit(0.9) - logit(0.01))
    outcomes = outcomes_of(DESIGNS["fixed"], 4, expit(odds))

    def objective(entries):
        positive, negative = np.append(0.0, entries[:4]), np.append(entries[4:], 0.0)
        omega = outcomes.drift(positive, negative)
        if omega.min() <= 0:
            return 1e6
        second = outcomes.second_moment(positive, negative)
        return math.log(share @ (1 / omega)) + math.log(share @ (second / omega))

    found = optimize.minimize(
        objective,
        np.ones(8),
        method="Nelder-Mead",
        options={
            "maxiter": 40_000,
            "maxfev": 40_000,
            "xatol": 1e-10,
            "fatol": 1e-14,
            "adaptive": True,
        },
    )
    best = best_table(start=0.01, target=0.9, group_size=4)
    # the objective has no response cost (4 per update)
    assert 4 * math.exp(found.fun) == pytest.approx(best.product, rel=1e-6)


@given(
    st.sampled_from(["fixed", "until_any", "until_mixed"]),
    st.integers(2, 12),
    st.floats(-9, -0.5),
    st.floats(0.0, 3.0),
)
def test_no_scheme_beats_the_best_table(design, size, exponent, update_cost):
    setting = {
        "design": design,
        "group_size": size,
        "start": 10**exponent,
        "target": 0.9,
        "update_cost": update_cost,
    }
    for name in NAMES:
        assert excess(name, **setting) >= 1 - 1e-9
        assert excess(name, budget="weight", **setting) >= 1 - 1e-9
