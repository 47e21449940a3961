"""Small results to draw."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest

Rates = dict[str, tuple[float, ...]]


@pytest.fixture
def runs() -> Callable[..., pd.DataFrame]:
    """Metrics of made-up runs: success rises at a given rate per step, one rate per seed."""

    def make(
        rates: Rates, *, source: str = "sim", steps: int = 11, start: float = 0.1
    ) -> pd.DataFrame:
        rows = []
        for scheme, seeds in rates.items():
            for seed, rate in enumerate(seeds):
                for step in range(steps):
                    success = float(np.clip(start + rate * step, 0, 1))
                    values = {
                        "success": success,
                        "reward": success,
                        "updates": step,
                        "responses": 64.0 * step,
                        "clock/first_success": 3.0 * step,
                        "groups_all_wrong": (1 - success) ** 4,
                    }
                    rows += [
                        ("r", source, scheme, seed, step, m, float(v)) for m, v in values.items()
                    ]
        columns = ["run", "source", "scheme", "seed", "step", "metric", "value"]
        return pd.DataFrame(rows, columns=columns)

    return make
