"""Expected weights of all schemes on 1,000 pass rates at M = 64, against SciPy in a double loop.

Bound: schemes differ only in their M coefficients, so one (points × M) matrix of probabilities,
one exponential per entry, and a product with the coefficients serve them all. The peer calls
``scipy.stats.binom.pmf`` for every scheme and pass rate, already vectorised over J.
"""

from __future__ import annotations

import json
import time
import tracemalloc
from collections.abc import Callable

import numpy as np
from scipy.stats import binom

from runs.environment import describe_environment
from theory.finite_group import expected_weights, weight_coefficients
from theory.schemes import SCHEMES

POINTS, GROUP_SIZE, ROUNDS = 1000, 64, 3


def run() -> list[dict[str, object]]:
    """Time both in turns, check that they agree, and return the benchmark's rows."""
    success = np.geomspace(1e-4, 0.999, POINTS)
    names = [name for name in SCHEMES if _has_table(name)]

    def ours() -> np.ndarray:
        return np.stack(list(expected_weights(names, GROUP_SIZE, success).values()))

    def peer() -> np.ndarray:
        weights = np.empty((len(names), POINTS))
        others = np.arange(GROUP_SIZE)
        for row, name in enumerate(names):
            coefficients = weight_coefficients(name, GROUP_SIZE)
            for column, rho in enumerate(success):
                weights[row, column] = binom.pmf(others, GROUP_SIZE - 1, rho) @ coefficients
        return weights

    mine, other, gap = [], [], 0.0
    for _ in range(ROUNDS):
        seconds, expected = _timed(peer)
        other.append(seconds)
        # Ours is short, so many runs beside each run of the peer give a steady median.
        runs = [_timed(ours) for _ in range(20)]
        mine.append(float(np.median([taken for taken, _ in runs])))
        gap = max(gap, float(np.abs(runs[0][1] / expected - 1).max()))
    if gap > 1e-11:
        raise AssertionError(f"the two computations differ by a relative {gap:.1e}")
    environment = describe_environment()
    seconds, theirs = float(np.median(mine)), float(np.median(other))
    return [
        {
            "name": "expected_weights",
            "ours": seconds,
            "peer": theirs,
            "ratio": theirs / seconds,
            "unit": f"s for {len(names)} schemes, {POINTS:,} pass rates, M={GROUP_SIZE}, against "
            "scipy.stats.binom.pmf in a double loop; ratio = peer / ours, higher is better",
            "environment": environment,
        },
        {
            "name": "expected_weights_memory",
            "ours": _peak_bytes(names, success),
            "peer": 8.0 * POINTS * GROUP_SIZE,
            "ratio": _peak_bytes(names, success) / (8.0 * POINTS * GROUP_SIZE),
            "unit": "peak bytes, against one float64 matrix of points × M; ratio = ours / peer, "
            "lower is better",
            "environment": environment,
        },
    ]


def _has_table(name: str) -> bool:
    try:
        SCHEMES[name].table(GROUP_SIZE)
    except ValueError:
        return False
    return True


def _timed(function: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    begin = time.perf_counter()
    result = function()
    return time.perf_counter() - begin, result


def _peak_bytes(names: list[str], success: np.ndarray) -> float:
    tracemalloc.start()
    expected_weights(names, GROUP_SIZE, success)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return float(peak)


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
