"""What an update costs, and group sizes against closed forms."""

from __future__ import annotations

import math

import numpy as np
import pytest

from theory.advice import GROUP_SIZES, SAMPLINGS, Costs, group_sizes


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("success", [0.01, 0.5, 0.9])
def test_an_update_costs_the_groups_that_are_drawn_for_it(sampling: str, success: float) -> None:
    size = 4
    wrong, right = (1 - success) ** size, success**size
    kept = {"fixed": 1, "until_any": 1 - wrong, "until_mixed": 1 - wrong - right}[sampling]
    cost = float(Costs(2.0, 0.25, sampling).clock(size)(success))
    assert cost == pytest.approx(2 + 0.25 * size / kept, rel=1e-12)


@pytest.mark.parametrize("scheme", ["rloo", "grpo", "linear_r"])
def test_without_update_costs_small_groups_drift_most_and_large_ones_inform_most(
    scheme: str,
) -> None:
    found = group_sizes(scheme, 0.05, Costs(0.0, 1.0))
    assert found.drift == 2
    assert found.information > 8


def test_linear_r_with_an_update_cost_has_the_best_size_of_its_closed_form() -> None:
    rho, cost = 0.01, 30.0
    sizes = np.array(GROUP_SIZES)
    closed = -np.expm1(sizes * math.log1p(-rho)) / (sizes + cost)
    best = group_sizes("linear_r", rho, Costs(cost, 1.0)).drift
    assert best == sizes[np.argmax(closed)]
    assert 2 < best < 128
