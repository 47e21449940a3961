"""What came of runs, on made-up ones: arrival, collapse, curves."""

import numpy as np
import pandas as pd

from claims.language_model.outcomes import curves, outcomes


def test_arriving_never_arriving_and_collapsing_are_told_apart():
    courses = {
        0: (0.01, 0.1, 0.2, 0.5, 0.95),
        1: (0.01, 0.02, 0.02, 0.02, 0.02),
        2: (0.01, 0.95, 0.1, 0.0, 0.0),
    }
    rows = [
        ("grpo", seed, step, metric, value)
        for seed, course in courses.items()
        for step, success in enumerate(course)
        for metric, value in (("success", success), ("responses", 10.0 * step))
    ]
    table = outcomes(pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"]))
    assert table["reached"].tolist() == [40, np.inf, 10]
    assert table["collapsed"].tolist() == [False, False, True]


def test_arrival_may_be_that_of_the_training_prompts():
    rows = [("grpo", 0, t, "success", 0.1) for t in range(4)]
    rows += [("grpo", 0, t, "success_train", 0.1 * t) for t in range(4)]
    rows += [("grpo", 0, t, "responses", 10.0 * t) for t in range(4)]
    table = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    assert outcomes(table, 0.15, "success_train")["reached"].tolist() == [20]
    assert outcomes(table, 0.15)["reached"].tolist() == [np.inf]


def test_curves_average_batches_over_the_steps_since_the_last_measurement():
    rows = [("grpo", 0, 0, "success", 0.1)]
    rows += [("grpo", 0, t, "entropy", float(t)) for t in range(1, 5)]
    rows += [("grpo", 0, t, "success", 0.1 * t) for t in (2, 4)]
    table = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    found = curves(table).set_index(["metric", "step"])["value"]
    assert found["entropy"].to_dict() == {2: 1.5, 4: 3.5}
    assert list(found["success"].index) == [0, 2, 4]
