"""The regimes of what choosing prompts saves: their pass rates are those that were measured."""

import numpy as np
import pytest

from claims.records import PUBLISHED
from claims.simulation.regimes import family
from claims.spending import STARTS
from runs.pass_rates import read_measured
from sim.starts import initial_success
from theory.beta_binomial import fit_pass_rates


def test_the_regime_that_decides_has_the_rates_measured_on_math():
    read = read_measured(PUBLISHED["llm"].parent / "qwen-math-map" / "pass_rates.csv")
    fit = fit_pass_rates(read.correct, read.tries)
    first = next(iter(STARTS))
    assert (fit.a, fit.b) == pytest.approx(STARTS[first].args, rel=5e-3)
    assert fit.never == 0


@pytest.mark.parametrize("regime", STARTS)
def test_theory_and_simulation_start_alike(regime):
    """The same distribution, written once for SciPy and once for the simulator."""
    drawn = initial_success(
        family("spending").fields[regime]["start"], 4001, np.random.default_rng(0)
    )
    np.testing.assert_allclose(np.median(drawn), STARTS[regime].median(), rtol=0.02)
    assert list(STARTS) == list(family("spending").fields)
