"""Choosing without pass rates: indices against SciPy's Beta, shares where they are known."""

import numpy as np
import pytest
from scipy import stats

from sim.regret import INDICES, RegretSetting, drawn_worth, hoped_worth, mean_worth, shares

SMALL = RegretSetting(prior=(0.5, 1.0), prompts=60, batch=8, group_size=8, updates=30, seeds=8)
RIGHT, WRONG = np.array([0.2, 3.0, 40.0]), np.array([9.0, 3.0, 2.0])


def test_indices_are_mean_draw_and_upper_end_of_the_posterior():
    posterior, rng = stats.beta(RIGHT, WRONG), np.random.default_rng(0)
    points = (np.arange(20_000) + 0.5) / 20_000
    rho = stats.beta(RIGHT[:, None], WRONG[:, None]).ppf(points[None])
    worth = rho * (1 - rho)
    np.testing.assert_allclose(mean_worth(RIGHT, WRONG, rng), worth.mean(axis=1), rtol=2e-3)
    draws = np.stack([drawn_worth(RIGHT, WRONG, rng) for _ in range(4000)])
    np.testing.assert_allclose(draws.mean(axis=0), worth.mean(axis=1), atol=0.005)
    low, high = posterior.ppf(0.05), posterior.ppf(0.95)
    inside = [worth[row, (rho[row] >= low[row]) & (rho[row] <= high[row])] for row in range(3)]
    best = [part.max() for part in inside]
    np.testing.assert_allclose(hoped_worth(RIGHT, WRONG, rng), best, rtol=1e-3)


def test_chance_has_no_share_and_the_truth_all():
    """Ranks that say nothing; and ranks by worth itself, read off a posterior that knows."""
    nothing = shares(lambda right, wrong, rng: 0 * right, 0.0, 1.0, SMALL)
    assert abs(nothing.mean()) < 4 * nothing.std() / np.sqrt(8) + 0.02
    told = RegretSetting(**{**vars(SMALL), "group_size": 4000, "updates": 200})
    assert shares(drawn_worth, 0.0, 1.0, told).min() > 0.9


def test_a_batch_of_all_prompts_is_no_choice():
    with pytest.raises(ValueError, match=r"batch must lie in \[1, prompts\), with 60 prompts"):
        RegretSetting(prompts=60, batch=60)


@pytest.mark.parametrize("index", INDICES)
def test_a_longer_run_loses_less_where_rates_stay(index):
    longer = RegretSetting(**{**vars(SMALL), "updates": 120})
    assert (
        shares(INDICES[index], 0.0, 1.0, longer).mean()
        > shares(INDICES[index], 0.0, 1.0, SMALL).mean()
    )


def test_what_is_old_misleads_where_rates_move():
    still, moving = (shares(drawn_worth, drift, 1.0, SMALL) for drift in (0.0, 0.5))
    assert np.mean(still) > np.mean(moving) + 0.05
