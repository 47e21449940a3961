"""Time to target: crossings, pairing, intervals, and seeds that never arrive."""

import numpy as np
import pandas as pd
import pytest

from sim.config import SimulationConfig
from sim.run import simulate
from sim.simulation import simulate as simulation
from sim.summary import crossing, paired_ratio, reachable, time_to_target
from sim.times_text import times_text


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
    rises = {("grpo", 0): 0.05, ("grpo", 1): 0.025, ("sqrt_r", 0): 0.1, ("sqrt_r", 1): 0.05}
    paths = {cell: [rise * step for step in range(21)] for cell, rise in rises.items()}
    result = time_to_target(table(paths), 0.5).set_index(["scheme", "clock"])
    row = result.loc[("sqrt_r", "updates")]
    ends = (row["ratio"], row["ratio_low"], row["ratio_high"])
    assert ends == pytest.approx((0.5, 0.5, 0.5), rel=1e-12)
    assert row["mean"] == pytest.approx(np.sqrt(50))  # of 5 and 10
    # t of one degree of freedom at 97.5 % is 12.706; the logarithms are ln √2 either way.
    assert row["high"] == pytest.approx(np.sqrt(50) * np.exp(12.7062 * np.log(2) / 2), rel=1e-4)
    assert row["low"] * row["high"] == pytest.approx(50)
    assert result.loc[("grpo", "responses"), "mean"] == pytest.approx(32 * np.sqrt(200))


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


def climbing(rises, steps=21):
    return table({cell: [rise * step for step in range(steps)] for cell, rise in rises.items()})


def test_in_ratios_a_run_that_never_arrives_counts_as_if_it_did_at_its_end():
    """Times 10, 10 against 20 (arrived) and 20 (the end): ½, not 0 and not left out."""
    rises = {("psr", 0): 0.05, ("psr", 1): 0.05, ("grpo", 0): 0.025, ("grpo", 1): 0.001}
    result = time_to_target(climbing(rises), 0.5).set_index(["scheme", "clock"])
    row = result.loc[("psr", "updates")]
    assert (row["ratio"], row["ratio_low"]) == pytest.approx((0.5, 0.5), rel=1e-12)
    assert result.loc[("grpo", "updates"), "late"] == 1


def test_with_a_reference_that_never_arrives_there_is_nothing_to_compare():
    rises = {("psr", 0): 0.05, ("psr", 1): 0.05, ("grpo", 0): 0.001, ("grpo", 1): 0.001}
    times = time_to_target(climbing(rises), 0.5)
    assert times["ratio"].isna().all()
    text = times_text(times, "grpo", "one common rate")
    assert "GRPO never arrives: there is nothing to compare with." in text
    assert "relative to GRPO, one common rate" in text
    assert "0 (" not in text


@pytest.mark.parametrize("rises", [(0.2, 0.02), (0.02, 0.2)])
def test_times_below_five_updates_are_refused_whoever_has_them(rises):
    times = time_to_target(climbing({("psr", 0): rises[0], ("grpo", 0): rises[1]}, 41), 0.5)
    assert times.loc[times["scheme"] == "psr", "ratio"].isna().all()
    soon = "PSR" if rises[0] > rises[1] else "GRPO"
    assert f"not compared: {soon}." in times_text(times, "grpo")


def test_schemes_that_were_there_at_the_start_are_not_compared():
    paths = {(scheme, seed): [1.0, 1.0] for scheme in ("grpo", "psr") for seed in (0, 1)}
    row = time_to_target(table(paths), 0.5).set_index(["scheme", "clock"]).loc[("psr", "updates")]
    assert row["mean"] == 0
    assert np.isnan(row["ratio"])
    assert row["too_soon"]


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


@pytest.mark.parametrize(
    ("size", "clocks"), [(4, {"updates"}), (None, {"updates", "first_success"})]
)
def test_the_clock_that_waits_is_shown_for_the_population_alone(size, clocks):
    small = {"schemes": ["grpo"], "seeds": 2, "prompts": 3, "steps": 200, "measure_every": 5}
    found = simulation(**small, learner="mirror", group_size=size, start=0.1, progress=False)
    shown = {line.split()[1] for line in str(found).splitlines() if line.startswith("GRPO")}
    assert shown == clocks
    assert "first_success" in set(found.times()["clock"])
