"""Group-size advice against closed forms."""

import math

import numpy as np
import pytest

from theory.finite_group import expected_weight
from theory.group_size import group_size_advice


def test_drift_per_cost_is_the_expected_drift_over_the_price_of_an_update():
    advice = group_size_advice(
        "grpo", 0.02, group_sizes=[4, 16], update_cost=3.0, response_cost=0.5
    )
    for place, size in enumerate((4, 16)):
        drift = float(expected_weight("grpo", size, 0.02)) * 0.02 * 0.98
        assert advice.drift[place] == pytest.approx(drift, rel=1e-13)
        assert advice.drift_per_cost[place] == pytest.approx(drift / (3 + size / 2), rel=1e-13)


def test_without_update_costs_small_groups_drift_most_and_large_ones_inform_most():
    for scheme in ("rloo", "grpo", "linear_r"):
        advice = group_size_advice(scheme, 0.05)
        assert advice.best_drift == 2
        assert advice.best_information > 8


def test_linear_r_with_an_update_cost_has_the_best_size_of_its_closed_form():
    rho, cost = 0.01, 30.0
    advice = group_size_advice("linear_r", rho, group_sizes=range(1, 200), update_cost=cost)
    sizes = np.arange(1, 200)
    closed = -np.expm1(sizes * math.log1p(-rho)) / (sizes + cost)
    assert advice.best_drift == sizes[np.argmax(closed)]
    assert 1 < advice.best_drift < 199


def test_leave_one_out_baselines_keep_all_but_one_response():
    advice = group_size_advice("rloo", 0.3, group_sizes=[2, 8, 32])
    assert np.allclose(advice.efficiency, [1 / 2, 7 / 8, 31 / 32], rtol=1e-12)


def test_other_dynamics_change_the_drift_by_their_velocity():
    mirror = group_size_advice("rloo", 0.3, group_sizes=[4])
    softmax = group_size_advice("rloo", 0.3, group_sizes=[4], dynamics="softmax_gradient")
    assert softmax.drift[0] / mirror.drift[0] == pytest.approx(2 * 0.3 * 0.7, rel=1e-13)


@pytest.mark.parametrize(
    ("keywords", "message"),
    [
        ({"success": 0.0}, "success"),
        ({"group_sizes": []}, "at least one"),
        ({"update_cost": -1.0}, "at least 0"),
        ({"response_cost": 0.0}, "must be positive"),
        ({"group_sizes": [1]}, "at least 2"),
        ({"group_sizes": [2.5]}, "whole number of at least 1; got 2.5"),
        ({"success": [0.1, 0.2]}, "one number"),
    ],
)
def test_bad_input_is_named(keywords, message):
    with pytest.raises(ValueError, match=message):
        group_size_advice(**{"scheme": "grpo", "success": 0.1, **keywords})
