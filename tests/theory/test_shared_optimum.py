"""The best weights for a mean of prompts: the convex problem of one prompt, and neighbours."""

import numpy as np
import pytest
from scipy.special import logit

from theory.best_tables import best_table
from theory.power_law import POWER
from theory.shared_optimum import best_power, best_shared_table
from theory.sharing import path_costs, spread_odds


def test_the_best_table_of_one_prompt_is_that_of_the_convex_problem():
    """Newton's method on T + E of one path and L-BFGS on differences of a flow share no code."""
    odds, setting = np.array([logit(0.1)]), {"target": 0.9, "group_size": 4}
    found = best_shared_table(odds, kernel="mirror", **setting)
    best = best_table(start=0.1, **setting)
    grpo = path_costs(["grpo"], odds, kernel="mirror", **setting)[0, 0]
    assert found.converged
    assert found.cost == pytest.approx(best.product / grpo, rel=1e-4)
    exact = np.concatenate([best.positive[1:], best.negative[:-1]])
    np.testing.assert_allclose(found.parameters, exact / exact.max(), atol=2e-3)


def test_no_power_law_or_known_scheme_is_better_than_the_best():
    odds, setting = spread_odds(0.1, 2.0, 8), {"target": 0.9, "group_size": 8, "sharing": 0.5}
    found = best_power(odds, **setting)
    a, b = found.parameters
    near = [POWER.bind(a=a + da, b=b + db) for da, db in ((0.2, 0), (-0.2, 0), (0, 0.2), (0, -0.2))]
    table = best_shared_table(odds, **setting)
    costs = path_costs([found.scheme, table.scheme, "grpo", *near], odds, **setting)[:, 0]
    power, best, grpo, *others = costs / costs[2]
    assert found.converged
    assert power == pytest.approx(found.cost, rel=1e-9)
    assert best == pytest.approx(table.cost, rel=1e-9)
    assert best < power < min(*others, grpo)
