"""Advice for prompts that share, against the model of sharing and cases whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from theory.prompt_sets import known_set, measured_set
from theory.shared_advice import POWERS, READINGS, shared_advice, spread_of
from theory.sharing import block_kernel, path_costs, sharing_of, spread_odds

SETTING = {"target": 0.9, "group_size": 16}


def test_every_reading_is_the_cost_of_its_budget_and_its_noise() -> None:
    odds = spread_odds(0.1, 2.0, 24)
    found = shared_advice(known_set(expit(odds)), ["sqrt_r"], sharing=0.3, **SETTING)
    for reading, (budget, concentration) in READINGS.items():
        more = {"sharing": 0.3, "budget": budget, "concentration": concentration, **SETTING}
        law = "power:a={:g},b={:g}".format(*found.power[reading][:2])
        ours, best, theirs = path_costs(["sqrt_r", law, "grpo"], odds, **more)[:, 0]
        assert found.cost[reading]["sqrt_r"] == pytest.approx(ours / theirs, rel=1e-9)
        assert found.cost[reading]["grpo"] == 1
        assert found.power[reading][2] == pytest.approx(best / theirs, rel=1e-9)
        others = [f"power:a={a:g},b={b:g}" for a, b in POWERS]
        assert best == pytest.approx(path_costs(others, odds, **more)[:, 0].min(), rel=1e-9)


def test_what_one_reading_denies_is_not_recommended() -> None:
    """Hardly shared, Sqrt-R saves by every reading; shared, RLOO saves by some alone."""
    prompts = known_set(expit(spread_odds(0.1, 2.0)))
    apart = shared_advice(prompts, ["sqrt_r", "rloo"], sharing=0.0, **SETTING)
    assert apart.steady == "sqrt_r"
    assert apart.range("sqrt_r")[1] < 0.95
    among = shared_advice(prompts, ["sqrt_r"], sharing=0.5, **SETTING)
    assert among.steady == "grpo"


def test_a_kernel_of_one_block_says_what_its_sharing_says() -> None:
    prompts = known_set(expit(spread_odds(0.2, 1.5, 12)))
    kernel = block_kernel([12], 0.6)
    told = shared_advice(prompts, ["sqrt_r", "rloo"], kernel=kernel, **SETTING)
    dialled = shared_advice(prompts, ["sqrt_r", "rloo"], sharing=0.6, **SETTING)
    for reading in READINGS:
        assert told.cost[reading] == pytest.approx(dialled.cost[reading], rel=1e-6)
    assert sharing_of(3 * kernel) == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("kernel", "sharing"),
    [(np.eye(4), 0.0), (np.ones((4, 4)), 1.0), (np.eye(4) - 0.2, 0.0), (np.eye(1), 0.0)],
)
def test_sharing_of_kernels_at_the_ends(kernel: np.ndarray, sharing: float) -> None:
    assert sharing_of(kernel) == pytest.approx(sharing)


def test_the_spread_of_counts_is_that_of_the_prompts_behind_them_and_more_tries_narrow_it() -> None:
    """K/n would be spread more than ρ is; the posterior is not."""
    generator = np.random.default_rng(5)
    odds = generator.normal(-1.0, 1.5, size=400)
    ends = []
    for tries in (8, 64):
        found = spread_of(measured_set(generator.binomial(tries, expit(odds)), tries))
        assert found.low <= found.estimate <= found.high
        assert found.estimate == pytest.approx(1.5, rel=0.25)
        ends.append(found.high - found.low)
    assert ends[1] < ends[0]
