"""O4: asymmetric weights pay where drift dominates noise, and not where noise dominates.

Prediction: ``theory.crossover.predicted_speedup`` along ρ₀, at the sharing, batch and group size
of the run. Measurement: times to target in updates at each scheme's own best learning rate, from a
grid wide enough that the optimum is inside it, or that the time no longer depends on the rate.

Rule: where the predicted speed-up exceeds the claim's bound in logarithm, the measured one must be
positive; elsewhere it must stay below that bound. Every start of both regimes has to come out.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import integrate, optimize, stats
from scipy.special import expit, logit

from claims.exact import TARGET, moment_tables
from claims.language_model.settings import TARGET as MODEL_TARGET
from claims.metrics import Metrics
from claims.simulation.lab import Lab
from claims.simulation.regimes import family, trained
from claims.spec import Source, bound
from claims.verdicts import Check, Finding, finding
from runs.text import number
from theory.crossover import crossover, predicted_speedup

SCHEME, REFERENCE = "sqrt_r", "grpo"

_QUICK = ("rule, start 0.3", "memory, start 0.003")
"""Regimes of the short version, the soonest."""


def theory_o4() -> float:
    """Speed-up of Sqrt-R over GRPO at the score variance where it is predicted to be 1."""
    start, size = 0.003, 16
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
        return math.nan
    slow, fast = (_least_time(s, start, size, found.value) for s in ("grpo", "sqrt_r"))
    return slow / fast


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
    for regime in _QUICK if lab.quick else family("crossover").fields:
        config = family("crossover").config(regime, lab)
        rule = config.policy == "log_linear"
        metrics = trained(lab, "crossover", regime)
        predicted = _predicted(float(config.start), config.target, rule, config.batch or 1)
        checks.append(_check("sim", metrics, predicted, regime))
        words.append(
            f"{regime}, fixed groups of 16, each scheme at its own rate; predicted ln of "
            f"speed-up {number(predicted, decimals=2)}"
        )
    return finding("O4", simulation_o4.__doc__ or "", checks, words, quick=lab.quick)


def model_o4(*settings: Metrics) -> list[Check]:
    """Asymmetric weights pay where drift dominates noise and not where noise dominates."""
    checks = []
    for setting in settings:
        start = float(setting.arrivals["start"].mean())
        predicted = _predicted(start, MODEL_TARGET, setting.name.startswith("rule"), 16)
        checks.append(_check("llm", setting, predicted, setting.name))
    return checks


def _predicted(start: float, target: float, rule: bool, prompts: int) -> float:
    """Predicted ln of the speed-up, updates counted."""
    # The rule is shared by all prompts; a memory belongs to one, and its noise to it alone.
    found = predicted_speedup(
        SCHEME,
        REFERENCE,
        start=start,
        target=target,
        group_size=16,
        prompts=prompts if rule else 1,
        sharing=1.0 if rule else 0.0,
        score_variance=1.0 if rule else 8.0,
        clock="updates",
        dynamics="softmax_gradient",
    )
    return float(np.log(found))


def _check(source: Source, metrics: Metrics, predicted: float, regime: str) -> Check:
    elsewhere = bound("O4", source, "elsewhere")
    judged = bound("O4", source) if predicted > elsewhere.number else elsewhere
    about = metrics.times_of(SCHEME, REFERENCE, regime=regime)
    return judged.check("speed-up in fixed groups", -metrics.log_ratio(SCHEME, REFERENCE), **about)
