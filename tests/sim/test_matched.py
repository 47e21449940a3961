"""Schemes read where each has gained the same, on curves whose answer is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from sim.matched import BASE, at_place, check_place, matched_table, matched_text, parse_place

SEEDS = 6


def curves(speeds, *, steps=40, every=2, until=1.0):
    """Success climbs by ``speed`` per step and seed; entropy falls with success, scheme by scheme.

    In scheme s under seed i success is ρ₀ᵢ + speed·t, entropy 2 − c_s (success − ρ₀ᵢ) + 0.01 i and
    pass@4 the square of success: the answer at any gain is known whatever the speed.
    """
    rows = []
    for scheme, (speed, cost) in speeds.items():
        for seed in range(SEEDS):
            start = 0.2 + 0.01 * seed
            for step in range(0, steps + 1, every):
                success = min(start + speed * step, until)
                entropy = 2 - cost * (success - start) + 0.01 * seed
                values = {"success": success, "pass@4": success**2, "entropy": entropy}
                values |= {"updates": step, "noise_dose": cost * success, "entropy/q1": 0.0}
                rows += [(scheme, seed, step, m, float(v)) for m, v in values.items()]
    return pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])


def row(found, scheme, metric):
    return found[(found["scheme"] == scheme) & (found["metric"] == metric)].iloc[0]


def test_entropy_is_read_at_the_same_gain_however_fast_a_scheme_is():
    """A gain of 0.15 costs c_s · 0.15 of entropy; straight lines are interpolated exactly."""
    found = matched_table(curves({"grpo": (0.010, 1.0), "psr": (0.031, 4.0)}), "success=+0.15")
    starts = np.array([2 + 0.01 * seed for seed in range(SEEDS)])
    for scheme, cost, speed in (("grpo", 1.0, 0.010), ("psr", 4.0, 0.031)):
        here = row(found, scheme, "entropy")
        assert here["mean"] == pytest.approx(starts.mean() - cost * 0.15, abs=1e-12)
        half = stats.t.ppf(0.975, SEEDS - 1) * starts.std(ddof=1) / np.sqrt(SEEDS)
        assert here["mean_high"] - here["mean"] == pytest.approx(half, rel=1e-9)
        # Paired with its own start and with the reference nothing of the seeds' spread is left.
        assert here["change"] == pytest.approx(-cost * 0.15, abs=1e-12)
        assert here["change_low"] == pytest.approx(here["change_high"], abs=1e-12)
        assert here["updates"] == pytest.approx(0.15 / speed, rel=1e-9)
    lead = row(found, "psr", "entropy")
    assert lead["lead"] == pytest.approx(-0.45, abs=1e-12)
    assert lead["lead_high"] - lead["lead_low"] < 1e-12
    assert np.isnan(row(found, "grpo", "entropy")["lead"])
    base = row(found, BASE, "entropy")
    assert base["mean"] == pytest.approx(starts.mean())
    assert base["lead"] == pytest.approx(0.15, abs=1e-12)
    assert base["there"] == SEEDS
    assert "entropy/q1" not in set(found["metric"])


def test_a_level_is_the_same_for_all_seeds_and_a_curve_is_read_between_measurements():
    """At 0.5 pass@4 is 0.25, plus what a chord of the square lies above it: at most h²/8 · 2."""
    found = matched_table(curves({"grpo": (0.02, 1.0)}), "success=0.5")
    here = row(found, "grpo", "pass@4")
    assert 0.25 <= here["mean"] <= 0.25 + (0.02 * 2) ** 2 / 4
    assert row(found, "grpo", "entropy")["change"] == pytest.approx(-(0.5 - 0.225), abs=1e-12)


def test_noise_dose_is_that_of_the_way():
    """A dose c·ρ from ρ₀ to ρ₀ + g has the mean c (ρ₀ + g/2)."""
    found = matched_table(curves({"psr": (0.03, 4.0)}), "success=+0.15", reference="psr")
    dose = row(found, "psr", "noise_dose")["mean"]
    assert dose == pytest.approx(4.0 * (0.225 + 0.075), rel=1e-9)


def test_who_does_not_get_there_is_said_to_and_pairs_need_both():
    """PSR stops at a success of 0.4: it gains 0.17 with the first four of six seeds, 0.3 never."""
    metrics = curves({"grpo": (0.02, 1.0), "psr": (0.02, 2.0)}, until=0.9)
    stuck = metrics["scheme"] == "psr"
    metrics.loc[stuck & (metrics["metric"] == "success"), "value"] = metrics["value"].clip(
        upper=0.4
    )
    some = matched_table(metrics, "success=+0.17")
    assert row(some, "psr", "entropy")["there"] == 4
    assert row(some, "grpo", "entropy")["there"] == SEEDS
    values = at_place(metrics, "success=+0.17", "entropy")
    assert values["psr"].notna().tolist() == [True] * 4 + [False] * 2
    lead = (values["psr"] - values["grpo"]).dropna()
    assert row(some, "psr", "entropy")["lead"] == pytest.approx(lead.mean(), abs=1e-12)
    words = matched_text(some, "success=+0.17", "grpo")
    assert "PSR does not get there with 2 of 6 seeds." in words
    never = matched_table(metrics, "success=+0.3")
    assert row(never, "psr", "entropy")["there"] == 0
    assert np.isnan(row(never, "psr", "entropy")["mean"])
    words = matched_text(never, "success=+0.3", "grpo")
    assert "PSR does not get there with 6 of 6 seeds: it is not compared." in words
    assert "∞" not in words


def test_a_run_that_diverged_or_was_there_at_the_start_does_not_count():
    metrics = curves({"grpo": (0.02, 1.0)})
    lost = (metrics["seed"] == 0) & (metrics["step"] >= 4) & (metrics["metric"] != "updates")
    metrics.loc[lost, "value"] = np.nan
    assert at_place(metrics, "success=+0.3", "entropy")["grpo"].isna().tolist() == [True] + 5 * [
        False
    ]
    assert at_place(metrics, "success=0.215", "entropy")["grpo"].notna().sum() == 2


def test_places_of_few_updates_are_said_to_tell_little():
    words = matched_text(
        matched_table(curves({"grpo": (0.1, 1.0)}), "success=+0.2"), "success=+0.2", "grpo"
    )
    assert "GRPO gets there within 5 updates, a matter of one step's size" in words


def test_pass_at_1_is_success_where_it_was_not_measured():
    metrics = curves({"grpo": (0.02, 1.0)})
    told, same = (matched_table(metrics, f"{m}=+0.1") for m in ("pass@1", "success"))
    pd.testing.assert_frame_equal(told, same)
    check_place("pass@1=+0.1", ["success", "pass@4"])
    with pytest.raises(ValueError, match=r"held_out/pass@1 is not measured; measured are: success"):
        check_place("held_out/pass@1=+0.1", ["success", "pass@4"])
    with pytest.raises(ValueError, match=r"pass@8 was not measured"):
        matched_table(metrics, "pass@8=+0.1")


@pytest.mark.parametrize(
    "text", ["pass@1", "pass@1=", "pass@1=+2", "pass@1=-0.1", "pass@1=0", "=0.1", "pass@1=+1e"]
)
def test_what_is_no_place_is_refused(text):
    with pytest.raises(ValueError, match=r"pass@1=\+0\.1, or has reached, pass@1=0\.6"):
        parse_place(text)
