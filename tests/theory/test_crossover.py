"""Speed-ups and where they pass 1: the shape of claim O4, and every way not to find it."""

import math

import numpy as np
import pytest

from theory.crossover import crossover, predicted_speedup
from theory.tables import table_scheme


def test_asymmetry_pays_a_little_from_scratch_not_with_noise_and_not_after_fine_tuning():
    """Fixed groups: what the clock 1/ρ promises, 1.25 and more, no such group has waited for."""
    scratch = [
        predicted_speedup("sqrt_r", "grpo", start=0.001, target=0.9, score_variance=d)
        for d in (0.0, 10.0, 1e4)
    ]
    assert 1.05 < scratch[0] < 1.15
    assert np.all(np.diff(scratch) < 0)
    assert scratch[-1] < 1
    for noise in (0.0, 1e4):
        tuned = predicted_speedup("sqrt_r", "grpo", start=0.4, target=0.9, score_variance=noise)
        assert tuned < 1


def test_a_crossover_is_where_the_speed_up_is_one():
    common = {"target": 0.9, "group_size": 16, "clock": "updates"}
    found = crossover(
        "sqrt_r", "grpo", over="score_variance", low=1e-2, high=1e5, start=0.003, **common
    )
    assert found.converged
    assert found.speedup_low > 1 > found.speedup_high
    at = predicted_speedup("sqrt_r", "grpo", start=0.003, score_variance=found.value, **common)
    assert at == pytest.approx(1, abs=2e-3)
    # More prompts whose noise is shared move the crossover to proportionally more noise.
    shared = crossover(
        "sqrt_r",
        "grpo",
        over="score_variance",
        low=1e-2,
        high=1e6,
        start=0.003,
        prompts=10,
        sharing=1.0,
        **common,
    )
    assert shared.value == pytest.approx(10 * found.value, rel=0.02)


def test_crossovers_in_group_size_and_sharing_bracket_one():
    common = {"start": 0.003, "target": 0.9, "clock": "updates", "score_variance": 100.0}
    found = crossover("sqrt_r", "grpo", over="group_size", low=2, high=64, **common)
    assert found.converged
    below, above = (
        predicted_speedup("sqrt_r", "grpo", group_size=int(m), **common)
        for m in (found.value - 1, found.value)
    )
    assert (below - 1) * (above - 1) <= 0
    shared = crossover("sqrt_r", "grpo", over="sharing", low=0, high=1, prompts=64, **common)
    assert shared.converged
    assert 0 < shared.value < 1


def test_a_range_without_a_crossover_is_reported():
    found = crossover("sqrt_r", "rloo", over="start", low=1e-3, high=2e-3)
    assert not found.converged
    assert math.isnan(found.value)
    assert "sooner" in found.message
    same = crossover("grpo", "grpo", over="start", low=0.01, high=0.3)
    assert not same.converged
    assert "same time" in same.message


def test_speed_ups_over_schemes_that_never_arrive_are_defined():
    backwards = table_scheme([0, -1.0, -1.0], [0.0, 0.0, 0.0])
    keywords = {"start": 0.1, "target": 0.9, "group_size": 2}
    assert predicted_speedup(backwards, "grpo", **keywords) == 0
    assert predicted_speedup("grpo", backwards, **keywords) == math.inf
    assert math.isnan(predicted_speedup(backwards, backwards, **keywords))


def test_bad_ranges_are_named():
    with pytest.raises(ValueError, match="over must be one of start, prompts"):
        crossover("grpo", "rloo", over="beta", low=0, high=1)
    with pytest.raises(ValueError, match="low must lie below high"):
        crossover("grpo", "rloo", over="sharing", low=1, high=0)
