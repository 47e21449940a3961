"""O4: asymmetric weights pay where drift dominates noise, and not where noise dominates.

Prediction: ``theory.crossover.predicted_speedup`` along ρ₀, at the sharing, batch and group size
of the run. Measurement: times to target at each scheme's own best learning rate, from a grid fine
enough that the optimum is inside.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from sim.claims.common import log_ratio, run_sweep, times
from sim.config import SimulationConfig
from sim.sweep import SweepConfig
from theory.crossover import predicted_speedup
from theory.verdicts import Check, Finding, above, below, finding

SCHEME, REFERENCE = "sqrt_r", "grpo"
CEILING = float(np.log(20))

REGIMES: dict[str, dict[str, Any]] = {
    "rule": {"policy": "log_linear", "rule": 1.0, "features": 8, "batch": 64},
    "memory": {},
}
"""A rule to be found, which all prompts teach alike, against answers that can only be memorised."""

MARGIN = 0.1
"""A speed-up that is predicted to be less than this in logarithm must not be larger."""


def o4(folder: Path, *, quick: bool) -> Finding:
    """Asymmetric weights pay where drift dominates noise and not where noise dominates."""
    starts = (0.01, 0.3) if quick else (0.01, 0.03, 0.1, 0.3)
    checks: list[Check] = []
    words: list[str] = []
    for name, fields in REGIMES.items():
        for start in starts:
            measured = _measured(folder, name, fields, start, quick)
            # The rule is shared by all; a memory belongs to one prompt, and its noise to it alone.
            sharing, noise = (1.0, 1.0) if name == "rule" else (0.0, 8.0)
            predicted = predicted_speedup(
                SCHEME, REFERENCE, start=start, target=0.6, group_size=16,
                prompts=64 if name == "rule" else 1, sharing=sharing, score_variance=noise,
                clock="regular", dynamics="softmax_gradient",
            )  # fmt: skip
            gain = -np.asarray(measured)
            label = (
                f"ln speed-up of Sqrt-R over GRPO, {name}, start {start:g} "
                f"(predicted {np.log(predicted):.2f})"
            )
            if np.log(predicted) > MARGIN:
                checks.append(above(label, 0.0, list(gain)))
            else:
                checks.append(below(label, MARGIN, list(gain)))
            words.append(f"{name}, start {start:g}, M = 16, each scheme at its own rate")
    return finding("O4", o4.__doc__ or "", checks, words, quick=quick)


def _measured(
    folder: Path, name: str, fields: dict[str, Any], start: float, quick: bool
) -> list[float]:
    base = SimulationConfig(
        schemes=(REFERENCE, SCHEME), seeds=5 if quick else 20, prompts=256, answers=8,
        correct_answers=1, start=start, target=0.6, group_size=16,
        steps=400 if quick else 1500, measure_every=5, checkpoint_every=40, pass_k=(1,), **fields,
    )  # fmt: skip
    full = (3.0, 10.0, 30.0, 100.0, 300.0) if name == "rule" else (1.0, 3.0, 10.0, 30.0, 100.0)
    rates = full[1:4] if quick else full
    metrics = run_sweep(
        SweepConfig(base, {name: {}}, rates, 2 if quick else 5), folder, f"{name}-{start:g}"
    )
    reached = times(metrics, 0.6, "updates")
    ratios = log_ratio(reached[SCHEME], reached[REFERENCE])
    return list(np.clip(ratios, -CEILING, CEILING)) if ratios else [float("nan")]
