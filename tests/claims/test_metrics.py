"""The accessor to metrics, on courses whose answer is known."""

import pandas as pd
import pytest

from claims.metrics import Metrics


@pytest.mark.parametrize(("prefix", "expected"), [("", 1.5), ("held_out/", 3.0)])
def test_a_metric_at_a_level_is_that_of_the_prompts_that_are_looked_at(prefix, expected):
    """Entropy is read halfway: at a success of ½, or where held-out success is ¼."""
    courses = {
        "success": (0.0, 1.0),
        "entropy": (2.0, 1.0),
        "held_out/success": (0.0, 0.5),
        "held_out/entropy": (4.0, 2.0),
    }
    table = pd.DataFrame(
        [
            ("grpo", 0, step, metric, value)
            for metric, values in courses.items()
            for step, value in enumerate(values)
        ],
        columns=["scheme", "seed", "step", "metric", "value"],
    )
    level = 0.25 if prefix else 0.5
    found = Metrics("run", table, prefix=prefix).at_level("grpo", "entropy", level)
    assert found.tolist() == [expected]


def test_values_where_pass_at_1_has_risen_and_the_best_along_the_way():
    """Read halfway; a run that never rises as much has no value, one that diverged no peak."""
    courses = {
        ("grpo", 0): {"pass@1": (0.2, 0.6), "entropy": (2.0, 1.0)},
        ("grpo", 1): {"pass@1": (0.2, 0.3), "entropy": (2.0, 1.0)},
        ("psr", 0): {"pass@1": (0.5, float("nan")), "entropy": (2.0, 1.0)},
        ("psr", 1): {"pass@1": (0.5, 0.4), "entropy": (2.0, 1.0)},
    }
    table = pd.DataFrame(
        [
            (scheme, seed, step, metric, value)
            for (scheme, seed), metrics in courses.items()
            for metric, values in metrics.items()
            for step, value in enumerate(values)
        ],
        columns=["scheme", "seed", "step", "metric", "value"],
    )
    found = Metrics("run", table)
    there = found.at_gain("grpo", "entropy", 0.2)
    assert there[0] == pytest.approx(1.5)
    assert pd.isna(there[1])
    assert found.peak("grpo", "pass@1").tolist() == [0.6, 0.3]
    lost, kept = found.peak("psr", "pass@1")
    assert pd.isna(lost)
    assert kept == 0.5


def test_times_are_void_if_either_scheme_arrives_at_once():
    arrivals = pd.DataFrame(
        [("grpo", seed, 160.0 * n, n) for seed, n in enumerate((9, 10, 11))]
        + [("psr", seed, 160.0 * n, n) for seed, n in enumerate((3, 4, 4))],
        columns=["scheme", "seed", "time", "updates"],
    )
    metrics = Metrics("run", pd.DataFrame(), arrivals)
    assert "in 4 updates" in metrics.times_of("grpo", "psr")["void"]
    assert metrics.times_of("grpo", "grpo", regime="r") == {
        "scheme": "grpo",
        "reference": "grpo",
        "unit": "log ratio",
        "regime": "r",
        "exact": False,
        "void": "",
    }
