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
