"""O4: asymmetric weights pay where drift dominates noise, and not where noise dominates.

Prediction: ``theory.crossover.predicted_speedup`` along ρ₀, at the sharing, batch and group size
of the run. Measurement: times to target in updates at each scheme's own best learning rate, from a
grid wide enough that the optimum is inside it, or that the time no longer depends on the rate.

Rule: where the predicted speed-up exceeds MARGIN in logarithm, the measured one must be positive;
elsewhere it must stay below MARGIN. Every start of both regimes has to come out. Starts from which
one update can reach the target are left out: there no scheme could lose.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from scipy import integrate, optimize, stats
from scipy.special import expit, logit

from claims.exact import TARGET, Comparison, moment_tables
from claims.language_model.settings import TARGET as MODEL_TARGET
from claims.metrics import (
    CEILING,
    MARGIN,
    SettingTables,
)
from claims.simulation.common import Lab, log_ratio, times
from claims.spec import main
from claims.verdicts import (
    Check,
    Finding,
    above,
    below,
    compared,
    finding,
)
from runs.text import number
from sim.config import SimulationConfig
from sim.sweep import SweepConfig
from theory.crossover import crossover, predicted_speedup

SCHEME, REFERENCE = "sqrt_r", "grpo"

REGIMES: dict[str, dict[str, Any]] = {
    "rule": {"policy": "log_linear", "rule": 1.0, "features": 8, "batch": 64},
    "memory": {},
}
"""A rule to be found, which all prompts teach alike, against answers that can only be memorised."""

STARTS = {"rule": (0.01, 0.03, 0.1, 0.3), "memory": (0.003, 0.01, 0.03)}
"""In memory, a group of 16 with a success may bring a prompt home at once: 1 − (1 − ρ₀)^16 is below
the target, 0.6, for ρ₀ < 0.055 only."""


def theory_o4() -> Comparison:
    """Speed-up of Sqrt-R over GRPO at the score variance where it is predicted to be 1."""
    start, size, goal = 0.003, 16, main("O4", "theory")
    found = crossover(
        "sqrt_r",
        "grpo",
        over="score_variance",
        low=0.1,
        high=1e4,
        start=start,
        target=TARGET,
        group_size=size,
        clock="updates",
    )
    if not (found.converged and found.speedup_low > 1 > found.speedup_high):
        return goal.number, math.nan, goal.tolerance
    slow, fast = (_least_time(s, start, size, found.value) for s in ("grpo", "sqrt_r"))
    return goal.number, slow / fast, goal.tolerance


def _least_time(scheme: str, start: float, size: int, score_variance: float) -> float:
    """Updates of one prompt at the best constant learning rate, by the trapezoidal rule."""
    odds = np.linspace(logit(start), logit(TARGET), 2001)
    success = expit(odds)
    coefficients, squares = moment_tables(scheme, size)
    weight = stats.binom.pmf(np.arange(size), size - 1, success[:, None]) @ coefficients
    second = stats.binom.pmf(np.arange(size + 1), size, success[:, None]) @ squares
    harm = weight**2 * success * (1 - success) + score_variance * second / size

    def time(log_rate: float) -> float:
        rate = math.exp(log_rate)
        speed = rate * weight - rate**2 / 2 * harm
        if np.any(speed <= 0):
            return math.inf
        return float(integrate.trapezoid(1 / speed, odds))

    limit = math.log(float((2 * weight / harm).min()))
    rates = np.linspace(limit - 6, limit - 1e-3, 200)
    best = float(rates[int(np.argmin([time(rate) for rate in rates]))])
    return float(
        optimize.minimize_scalar(
            time, bounds=(best - 0.1, min(best + 0.1, limit)), method="bounded"
        ).fun
    )


def simulation_o4(lab: Lab) -> Finding:
    """Asymmetric weights pay where drift dominates noise and not where noise dominates."""
    checks: list[Check] = []
    words: list[str] = []
    for name, fields in REGIMES.items():
        for start in STARTS[name][:2] if lab.quick else STARTS[name]:
            measured = _measured(lab, name, fields, start)
            # The rule is shared by all; a memory belongs to one prompt, and its noise to it alone.
            sharing, noise = (1.0, 1.0) if name == "rule" else (0.0, 8.0)
            predicted = predicted_speedup(
                SCHEME,
                REFERENCE,
                start=start,
                target=0.6,
                group_size=16,
                prompts=64 if name == "rule" else 1,
                sharing=sharing,
                score_variance=noise,
                clock="updates",
                dynamics="softmax_gradient",
            )
            gain = -np.asarray(measured)
            about = compared(SCHEME, REFERENCE, "log ratio", f"{name}, start {start:g}")
            if np.log(predicted) > MARGIN:
                checks.append(above("speed-up", 0.0, list(gain), **about))
            else:
                checks.append(below("speed-up", MARGIN, list(gain), **about))
            words.append(
                f"{name}, start {start:g}, M = 16, each scheme at its own rate; predicted ln of "
                f"speed-up {number(float(np.log(predicted)), decimals=2)}"
            )
    return finding("O4", simulation_o4.__doc__ or "", checks, words, quick=lab.quick)


def _measured(lab: Lab, name: str, fields: dict[str, Any], start: float) -> list[float]:
    base = SimulationConfig(
        schemes=(REFERENCE, SCHEME),
        seeds=5 if lab.quick else 60,
        seed=lab.first_seed,
        prompts=256,
        answers=8,
        correct_answers=1,
        start=start,
        target=0.6,
        group_size=16,
        steps=400,
        measure_every=5 if lab.quick else 1,
        checkpoint_every=100,
        pass_k=(1,),
        **fields,
    )
    least = 10.0 if name == "rule" else 1.0
    factors = (1, 3, 10) if lab.quick else (1, 3, 10, 30, 100, 300)
    rates = tuple(least * factor for factor in factors)
    config = SweepConfig(base, {name: {}}, rates, 5)
    metrics = lab.sweep(config, f"{name}-{start:g}")
    reached = times(metrics, 0.6, "updates")
    ratios = log_ratio(reached[SCHEME], reached[REFERENCE])
    return list(np.clip(ratios, -CEILING, CEILING)) if ratios else [float("nan")]


def model_o4(*settings: SettingTables) -> list[Check]:
    """Asymmetric weights pay where drift dominates noise and not where noise dominates."""
    checks = []
    for setting in settings:
        # The rule is shared by all prompts; a memory belongs to one, and its noise to it alone.
        rule = setting.name.startswith("rule")
        predicted = predicted_speedup(
            "sqrt_r",
            "grpo",
            start=float(setting.outcomes["start"].mean()),
            target=MODEL_TARGET,
            group_size=16,
            prompts=16 if rule else 1,
            sharing=1.0 if rule else 0.0,
            score_variance=1.0 if rule else 8.0,
            clock="updates",
            dynamics="softmax_gradient",
        )
        gain = [-value for value in setting.log_ratio("sqrt_r", "grpo")]
        about = compared("sqrt_r", "grpo", "log ratio", setting.name)
        if np.log(predicted) > MARGIN:
            checks.append(above("speed-up", 0.0, gain, **about))
        else:
            checks.append(below("speed-up", MARGIN, gain, **about))
    return checks
