"""A4, A5 and A6: who is sooner from scratch, who after fine-tuning, and what all-wrong groups add.

Theory: one prompt, groups of 16, responses × energy, in which neither the scale of a scheme nor a
learning rate counts; the regime that decides is fixed groups. Simulation: a log-linear policy that
has to find a rule shared by all prompts, fixed groups, each scheme at its own best learning rate,
responses counted; the regime with Adam, by which language models are trained, decides.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from claims.exact import DESIGN_WORDS, TARGET, design_costs
from claims.metrics import ASYMMETRIC, DROPPING, Metrics
from claims.simulation.lab import Lab
from claims.simulation.regimes import family, trained
from claims.spec import Source, bound
from claims.verdicts import Check, Finding, compared, primary_regime, said
from theory.advantages import group_advantages
from theory.optimal import optimal_weight

SIZE, SCRATCH, TUNED = 16, 0.01, 0.4


def theory_a4() -> list[Check]:
    """Responses × energy over GRPO's from 0.01, by design; and the population's clock 1/ρ."""
    best = optimal_weight(SCRATCH, TARGET, clock="responses")
    ratio = best.excess("sqrt_r") / best.excess("grpo")
    regime = "population, clock 1/ρ"
    population = bound("A4", "theory", "population").check(
        "time at equal budgets", [ratio], **compared("sqrt_r", "grpo", "ratio", regime, exact=True)
    )
    return [*_by_design("A4", SCRATCH), population]


def theory_a5() -> list[Check]:
    """Responses × energy over GRPO's from 0.4, by design."""
    return _by_design("A5", TUNED)


def theory_a6() -> list[Check]:
    """Responses × energy of Linear-R without all-wrong groups over its own with them."""
    rho = SCRATCH
    kept, dropped = (
        _weight_by_outcomes(f"linear_r:zero_success={word}", SIZE, rho) for word in ("keep", "drop")
    )
    return [
        bound("A6", "theory").check(
            "responses × energy in fixed groups",
            [_log_product(DROPPING, "linear_r", SCRATCH, "fixed")],
            **compared(DROPPING, "linear_r", "log ratio", exact=True),
        ),
        bound("A6", "theory", "share").check(
            "expected weight that all-wrong groups carry at ρ = 0.01",
            [kept - dropped],
            scheme="linear_r",
            exact=True,
        ),
    ]


def _by_design(id: str, start: float) -> list[Check]:
    return [
        bound(id, "theory").check(
            "responses × energy",
            [_log_product(scheme, "grpo", start, design)],
            **compared(scheme, "grpo", "log ratio", words, exact=True),
        )
        for design, words in DESIGN_WORDS.items()
        for scheme in ASYMMETRIC
    ]


def _log_product(scheme: str, reference: str, start: float, design: str) -> float:
    (ours, noise, _), (theirs, other, _) = (
        design_costs(name, SIZE, start, design) for name in (scheme, reference)
    )
    return math.log(ours * noise / (theirs * other))


def _weight_by_outcomes(scheme: str, size: int, rho: float) -> float:
    """Expected weight E[Σ_i A_i (r_i − ρ)]/(M ρ(1−ρ)), summed over the number of successes."""
    total = 0.0
    for correct in range(size + 1):
        rewards = np.array([1.0] * correct + [0.0] * (size - correct))
        chance = math.comb(size, correct) * rho**correct * (1 - rho) ** (size - correct)
        total += chance * float(group_advantages(rewards, scheme) @ (rewards - rho))
    return total / (size * rho * (1 - rho))


def simulation_a4(lab: Lab) -> Finding:
    """Asymmetric weights reach the target in fewer responses than GRPO from scratch."""
    return _by_optimizer("A4", simulation_a4, lab, lambda runs: _against_grpo("A4", "sim", runs))


def simulation_a5(lab: Lab) -> Finding:
    """After fine-tuning asymmetric weights do not."""
    return _by_optimizer("A5", simulation_a5, lab, lambda runs: _against_grpo("A5", "sim", runs))


def simulation_a6(lab: Lab) -> Finding:
    """Dropping all-wrong groups slows training from scratch."""
    return _by_optimizer("A6", simulation_a6, lab, lambda runs: _dropping("sim", runs))


def _by_optimizer(
    id: str, function: Callable[..., Finding], lab: Lab, checks: Callable[[Metrics], list[Check]]
) -> Finding:
    """Judge a claim by its regimes; the one with Adam decides."""
    stage = "after fine-tuning" if id == "A5" else "from scratch"
    regimes = [name for name in family("speed").fields if name.startswith(stage)]
    outcomes = {
        regime: checks(trained(lab, "speed", regime, clock="responses", shared="speed"))
        for regime in regimes[: 1 if lab.quick else None]
    }
    return primary_regime(id, said(function), outcomes, quick=lab.quick)


def model_a4(scratch: Metrics) -> list[Check]:
    """Asymmetric weights reach the target in fewer responses than GRPO from scratch."""
    return _against_grpo("A4", "llm", scratch)


def model_a5(fine_tuned: Metrics) -> list[Check]:
    """After fine-tuning they do not: no gain of a tenth."""
    return _against_grpo("A5", "llm", fine_tuned)


def model_a6(scratch: Metrics) -> list[Check]:
    """Dropping all-wrong groups slows training from scratch."""
    return _dropping("llm", scratch)


def _against_grpo(id: str, source: Source, metrics: Metrics) -> list[Check]:
    return [
        bound(id, source).check(
            "responses to the target in fixed groups",
            metrics.log_ratio(scheme, "grpo"),
            **metrics.times_of(scheme, "grpo"),
        )
        for scheme in ASYMMETRIC
    ]


def _dropping(source: Source, metrics: Metrics) -> list[Check]:
    return [
        bound("A6", source).check(
            "responses to the target in fixed groups",
            metrics.log_ratio(DROPPING, "linear_r"),
            **metrics.times_of(DROPPING, "linear_r"),
        )
    ]
