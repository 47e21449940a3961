"""L1 to L5: the identities of LENS, and what LENS's use of confident mistakes is worth.

Prompts with decoys, wrong answers in which the policy is confident: *shared*, a log-linear policy
with small batches; *tree*, answers of several tokens, where confidence is per token; *bandit*.
Each scheme runs at its own best learning rate.

Rule: the primary regime is *shared*, since the paper trains one model on batches of prompts that
share its parameters. A claim is confirmed if the primary regime confirms every check, refuted if it
refutes one, else inconclusive; the others say how far the claim reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from claims.exact import Comparison, gradient, log_softmax
from claims.language_model.settings import LENS_PARTS
from claims.metrics import (
    SLACK,
    SettingTables,
    model_metrics,
)
from claims.simulation.common import Lab, final, series
from claims.spec import main
from claims.verdicts import (
    BASE,
    Check,
    Finding,
    above,
    below,
    compared,
    primary_regime,
)
from sim.config import SimulationConfig
from sim.sweep import SweepConfig
from theory import lens
from theory._arrays import Floats
from theory.advantages import group_advantages

MIXED, NEGATIVE = "lens:parts=mixed", "lens:parts=negative"
KS = (1, 2, 4, 8, 16)

REGIMES: Mapping[str, Mapping[str, Any]] = {
    "shared": {
        "policy": "log_linear",
        "features": 16,
        "rule": 1.0,
        "batch": 32,
        "target": 0.6,
    },
    "tree": {"policy": "tree", "symbols": 4, "length": 3, "prompts": 64, "target": 0.8},
    "bandit": {"target": 0.8},
}
"""The primary regime first; named before the full versions ran."""

RATES = {
    "shared": (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0),
    "tree": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
    "bandit": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
}
"""Grids of learning rates, wide enough that the fastest is inside or times no longer depend on it;
an average over prompts that share little takes large ones."""


def _lens_loss(logits: Any, policy: Floats, correctness: Floats, scale: float) -> Any:
    """Likelihood loss over answers drawn from a frozen policy."""
    log_policy = log_softmax(logits)
    wrong = np.log1p(-np.exp(log_policy) / scale)
    return -(policy * (correctness * log_policy + (1 - correctness) * wrong)).sum()


def _lens_objective(logits: Any, correctness: Floats, scale: float) -> Any:
    """J = E[r*] − E[w(π/D)(1−r*)]."""
    policy = np.exp(log_softmax(logits))
    penalty = -np.log1p(-policy / scale) * scale / policy - 1
    return (policy * (correctness - penalty * (1 - correctness))).sum()


def theory_l1() -> Comparison:
    """Largest |difference| of the gradients of Theorems 1 and 2, and |∇J| at π = D p*."""
    worst = 0.0
    for problem in range(1, 6):
        place = np.arange(6) + 1.0
        logits, right = np.sin(problem * place), 0.5 + 0.4 * np.cos(1 + problem * place)
        log_policy = log_softmax(logits)
        policy, scale = np.exp(log_policy), 1.3 * float(np.exp(log_policy).max())
        worth = policy * lens.gradient_coefficient(log_policy, right, scale)
        predicted = worth - policy * worth.sum()  # Σ π c ∇ln π of a softmax
        by_loss = -gradient(_lens_loss, logits, policy, right, scale)
        by_objective = gradient(_lens_objective, logits, right, scale)
        own = float(lens.exact_scale(right))
        at_rest = gradient(_lens_objective, np.log(own * right), right, own)
        for gap in (by_loss - predicted, by_objective - predicted, at_rest):
            worst = max(worst, float(np.abs(gap).max()))
    return 0.0, worst, main("L1", "theory").number


def theory_l2() -> Comparison:
    """Largest violation of the bounds, the zero sum and the equation of w(z)."""
    worst = 0.0
    for shift, rewards in product((0.0, -3.0, -400.0), product((0.0, 1.0), repeat=4)):
        logs, size = np.array([-0.05, -0.7, -2.5, -9.0]) + shift, 4
        penalty = np.array(rewards) - lens.calibrated_rewards(np.array(rewards), logs)
        worst = max(worst, -penalty.min(), penalty.max() - 1 / size)
        if not any(rewards):
            advantages = group_advantages(np.array(rewards), "lens", log_confidence=logs)
            worst = max(worst, abs(advantages.sum()))
    for z in np.linspace(0.01, 0.95, 40):
        slope = float(
            gradient(lambda x: (-np.log1p(-x) / x - 1)[0], np.array([z], dtype=np.float64))[0]
        )
        left = float(lens.penalty_weight(z)) + z * slope
        worst = max(worst, abs(left * (1 - z) / z - 1))
    return 0.0, worst, main("L2", "theory").number


def simulation_l3(lab: Lab) -> Finding:
    """LENS is at or above GRPO at every pass@k along training, most on hard prompts."""

    def checks(metrics: pd.DataFrame) -> list[Check]:
        found = [
            above(
                f"mean pass@{k} over training",
                0.0,
                _lead(metrics, "lens", f"pass@{k}"),
                **compared("lens", "grpo"),
            )
            for k in KS
        ]
        hard, easy = (np.array(_lead(metrics, "lens", f"pass@1/q{q}")) for q in (1, 5))
        name = "mean pass@1 on the hardest fifth less that on the easiest"
        found.append(above(name, 0.0, list(hard - easy), **compared("lens", "grpo")))
        return found

    return _judge("L3", simulation_l3.__doc__ or "", checks, lab)


def simulation_l4(lab: Lab) -> Finding:
    """Both halves help: mixed groups alone and negative groups alone each beat GRPO."""

    def checks(metrics: pd.DataFrame) -> list[Check]:
        return [
            above(
                "mean success over training",
                0.0,
                _lead(metrics, scheme, "success"),
                **compared(scheme, "grpo"),
            )
            for scheme in (MIXED, NEGATIVE)
        ]

    return _judge("L4", simulation_l4.__doc__ or "", checks, lab)


def simulation_l5(lab: Lab) -> Finding:
    """The share of all-wrong groups falls during training, and falls faster with LENS."""

    def checks(metrics: pd.DataFrame) -> list[Check]:
        start = series(metrics, "grpo", "all_wrong").iloc[:, 0].to_numpy()
        fall = list(start - final(metrics, "grpo", "all_wrong"))
        faster = [-value for value in _lead(metrics, "lens", "all_wrong")]
        return [
            above("fall of the share of all-wrong groups", 0.0, fall, scheme="grpo"),
            above(
                "mean share of all-wrong groups over training",
                0.0,
                faster,
                **compared("grpo", "lens"),
            ),
        ]

    return _judge("L5", simulation_l5.__doc__ or "", checks, lab)


def _judge(id: str, claim: str, checks: Callable[[pd.DataFrame], list[Check]], lab: Lab) -> Finding:
    names = list(REGIMES)[: 1 if lab.quick else None]
    outcomes = {r: checks(_trained(r, lab)) for r in names}
    return primary_regime(id, claim, outcomes, quick=lab.quick)


def _trained(regime: str, lab: Lab) -> pd.DataFrame:
    fields: dict[str, Any] = {
        "schemes": ("grpo", "lens", MIXED, NEGATIVE),
        "seeds": 5 if lab.quick else 30,
        "prompts": 128,
        "answers": 32,
        "correct_answers": 2,
        "decoys": 2,
        "decoy_mass": 0.6,
        "start": "loguniform:0.002,0.5",
        "group_size": 16,
        "steps": 100 if lab.quick else 200,
        "measure_every": 10 if lab.quick else 1,
        "checkpoint_every": 50,
        "pass_k": KS,
        "seed": lab.first_seed,
        **REGIMES[regime],
    }
    rates = (100.0, 300.0) if lab.quick else RATES[regime]
    config = SweepConfig(SimulationConfig(**fields), {regime: {}}, rates, 5 if lab.quick else 3)
    return lab.sweep(config, regime, shared="confidence")


def _lead(metrics: pd.DataFrame, scheme: str, metric: str) -> list[float]:
    """Mean over training of a metric, minus GRPO's, seed by seed."""
    return list((series(metrics, scheme, metric) - series(metrics, "grpo", metric)).mean(axis=1))


def model_l3(fine_tuned: SettingTables) -> list[Check]:
    """LENS is at or above GRPO at every pass@k."""
    return [
        above(
            metric,
            -SLACK,
            list(fine_tuned.last("lens", metric) - fine_tuned.last("grpo", metric)),
            **compared("lens", "grpo"),
        )
        for metric in model_metrics()
    ]


def model_l4(one_in_ten: SettingTables) -> list[Check]:
    """Both halves of LENS help: mixed groups alone and all-wrong groups alone each beat GRPO."""
    grpo = one_in_ten.course("grpo", "success").mean(axis=1)
    return [
        above(
            "mean success over training",
            0.0,
            list(one_in_ten.course(scheme, "success").mean(axis=1) - grpo),
            **compared(scheme, "grpo"),
        )
        for scheme in LENS_PARTS
    ]


def model_l5(scratch: SettingTables) -> list[Check]:
    """The share of all-wrong groups falls during training, and falls faster with LENS."""
    name = "groups_all_wrong"
    ours, grpo = scratch.course("lens", name), scratch.course("grpo", name)
    # Runs stop when they arrive; thereafter their share counts as it was last.
    steps = ours.columns.union(grpo.columns)
    areas = [c.reindex(columns=steps).ffill(axis=1).mean(axis=1) for c in (ours, grpo)]
    share = "share of all-wrong groups"
    return [
        below(f"final {share}", 0.0, scratch.gain("lens", name), **compared("lens", BASE)),
        below(f"final {share}", 0.0, scratch.gain("grpo", name), **compared("grpo", BASE)),
        below(f"mean {share}", 0.0, list(areas[0] - areas[1]), **compared("lens", "grpo")),
    ]
