"""The optimal curve with everything a user looks at, against one plain SciPy quadrature.

Bound: the curve needs one integral; the excess times of n schemes need 2n more. The peer computes
one, of the same integrand, with Python floats. Most of our time goes to evaluating the weights of
all schemes on one set of nodes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable

import numpy as np
from scipy import integrate

from runs.environment import describe_environment
from theory.optimal import optimal_weight, weighted_schemes

START, TARGET = 0.01, 0.9


def run() -> list[dict[str, object]]:
    """Time both in turns and return the benchmark's row."""
    grid = np.linspace(START, TARGET, 1000)

    def ours() -> None:
        best = optimal_weight(START, TARGET, clock="responses")
        best.weight(grid)
        best.excess_of_all()

    def peer() -> None:
        integrate.quad(lambda p: 1 / (p * math.sqrt(1 - p)), START, TARGET)

    seconds = _in_turns(ours, peer, repeats=200)
    return [
        {
            "name": "optimal_curve",
            "ours": seconds[0],
            "peer": seconds[1],
            "ratio": seconds[0] / seconds[1],
            "unit": f"s for 1,000 points and {len(weighted_schemes())} excess times, against one "
            "scipy.integrate.quad; ratio = ours / peer, lower is better",
            "environment": describe_environment(),
        }
    ]


def _in_turns(*functions: Callable[[], None], repeats: int) -> list[float]:
    """Fastest seconds of each function, run in turns: what a busy machine adds is left out.

    A quadrature of 30 microseconds is seldom interrupted, a curve of half a millisecond often is,
    so that medians under load would compare the machine and not the two.
    """
    seconds: list[list[float]] = [[] for _ in functions]
    for _ in range(repeats):
        for function, taken in zip(functions, seconds, strict=True):
            begin = time.perf_counter()
            function()
            taken.append(time.perf_counter() - begin)
    return [min(taken) for taken in seconds]
