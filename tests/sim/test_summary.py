"""Time to target: crossings, pairing, intervals, and seeds that never arrive."""

import numpy as np
import pandas as pd
import pytest

from sim.config import SimulationConfig
from sim.run import simulate
from sim.summary import crossing, paired_ratio, reachable, time_to_target


def table(paths):
    rows = []
    for (scheme, seed), values in paths.items():
        for step, value in enumerate(values):
            rows += [
                (scheme, seed, step, "success", value),
                (scheme, seed, step, "updates", float(step)),
                (scheme, seed, step, "responses", 32.0 * step),
            ]
    return pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])


def test_crossing_at_the_start_between_points_and_never():
    clock = np.array([0.0, 2.0, 4.0])
    assert crossing(clock, np.array([0.9, 0.1, 0.2]), 0.5) == 0.0
    assert crossing(clock, np.array([0.0, 1.0, 1.0]), 0.5) == 1.0
    assert crossing(clock, np.array([0.0, 0.1, 0.2]), 0.5) == np.inf


def test_ratios_are_paired_by_seed():
    # Seeds differ by a factor of two in both schemes; the paired ratio does not see it.
    paths = {
        ("grpo", 0): [0, 0.25, 0.5, 0.75, 1],
        ("grpo", 1): [0, 0.125, 0.25, 0.375, 0.5],
        ("sqrt_r", 0): [0, 0.5, 1, 1, 1],
        ("sqrt_r", 1): [0, 0.25, 0.5, 0.75, 1],
    }
    result = time_to_target(table(paths), 0.5).set_index(["scheme", "clock"])
    row = result.loc[("sqrt_r", "updates")]
    assert (row["ratio"], row["ratio_low"], row["ratio_high"]) == (0.5, 0.5, 0.5)
    assert row["mean"] == pytest.approx(np.sqrt(2))  # of 1 and 2
    # t of one degree of freedom at 97.5 % is 12.706; the logarithms are ln √2 either way.
    assert row["high"] == pytest.approx(np.sqrt(2) * np.exp(12.7062 * np.log(2) / 2), rel=1e-4)
    assert row["low"] * row["high"] == pytest.approx(2)
    assert result.loc[("grpo", "responses"), "mean"] == pytest.approx(32 * np.sqrt(8))


def test_a_seed_that_never_arrives_makes_the_mean_infinite():
    paths = {("grpo", 0): [0, 1.0], ("grpo", 1): [0, 0.1]}
    row = time_to_target(table(paths), 0.5).iloc[0]
    assert row["mean"] == np.inf
    assert (row["reached"], row["seeds"]) == (1, 2)
    assert row["low"] == 0.5
    assert np.isnan(time_to_target(table(paths), 0.5, reference="rloo").iloc[0]["ratio"])


def test_ratio_with_one_side_missing_is_infinite_or_zero_not_nan():
    assert paired_ratio(np.array([np.inf, np.inf]), np.array([1.0, 2.0]))[0] == np.inf
    assert paired_ratio(np.array([1.0]), np.array([np.inf]))[0] == 0.0
    assert np.isnan(paired_ratio(np.array([np.inf]), np.array([np.inf]))[0])


def test_schemes_that_were_there_at_the_start_took_the_same_time():
    paths = {(scheme, seed): [1.0, 1.0] for scheme in ("grpo", "psr") for seed in (0, 1)}
    row = time_to_target(table(paths), 0.5).set_index(["scheme", "clock"]).loc[("psr", "updates")]
    assert (row["mean"], row["ratio"], row["ratio_low"], row["ratio_high"]) == (0, 1, 1, 1)


def test_what_can_be_reached_is_measured(tmp_path):
    config = SimulationConfig(
        schemes=("grpo",),
        seeds=1,
        prompts=6,
        held_out_prompts=5,
        policy="log_linear",
        answers=4,
        steps=1,
        measure_every=1,
        pass_k=(1, 8),
        start=0.5,
        target=0.1,
    )
    metrics = simulate(config, tmp_path / "run", progress=False)
    assert set(reachable(config)) <= set(metrics["metric"])
    assert len(reachable(config)) == 2 * 3 * 6
    # All prompts start at 0.5, beyond the target.
    times = time_to_target(metrics, config.target, metric="held_out/success/q1")
    assert (times["mean"] == 0).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"target": 1.0}, r"target must lie in \(0, 1\)"),
        ({"target": 0.5, "level": 95.0}, "level must lie"),
        ({"target": 0.5, "metric": "reward"}, "'reward' was not measured; measured are: responses"),
    ],
)
def test_bad_input(options, message):
    with pytest.raises(ValueError, match=message):
        time_to_target(table({("grpo", 0): [0, 1.0]}), **options)
