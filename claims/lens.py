"""L1 to L5: the identities of LENS, and what LENS's use of confident mistakes is worth.

Prompts with decoys, wrong answers in which the policy is confident: *shared*, a log-linear policy
with small batches; *tree*, answers of several tokens, where confidence is per token; *bandit*.
Each scheme runs at its own best learning rate.

Rule: the primary regime is *shared*, since the paper trains one model on batches of prompts that
share its parameters. A claim is confirmed if the primary regime confirms every check, refuted if it
refutes one, else open; the others say how far the claim reaches.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from claims.exact import gradient, log_softmax
from claims.language_model.settings import LENS_PARTS
from claims.metrics import Metrics, model_metrics
from claims.simulation.lab import Lab
from claims.simulation.regimes import family, judged_by_regime, trained
from claims.spec import Source, bound
from claims.verdicts import BASE, Check, Finding, compared
from theory import lens
from theory._arrays import Floats
from theory.advantages import group_advantages

FAMILY = "confidence"


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


def theory_l1() -> float:
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
    return worst


def theory_l2() -> float:
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
    return worst


def simulation_l3(lab: Lab) -> Finding:
    """LENS is at or above GRPO at every pass@k along training, most on hard prompts."""

    def checks(metrics: Metrics) -> list[Check]:
        found = [
            bound("L3", "sim").check(
                f"mean pass@{k} over training",
                metrics.mean_lead("lens", "grpo", f"pass@{k}"),
                **compared("lens", "grpo"),
            )
            for k in family(FAMILY).base["pass_k"]
        ]
        hard, easy = (metrics.mean_lead("lens", "grpo", f"pass@1/q{q}") for q in (1, 5))
        name = "mean pass@1 on the hardest fifth less that on the easiest"
        return [
            *found,
            bound("L3", "sim", "hard").check(name, hard - easy, **compared("lens", "grpo")),
        ]

    return _judge("L3", simulation_l3.__doc__ or "", checks, lab)


def simulation_l4(lab: Lab) -> Finding:
    """Both halves help: mixed groups alone and negative groups alone each beat GRPO."""

    def checks(metrics: Metrics) -> list[Check]:
        return _halves("sim", metrics)

    return _judge("L4", simulation_l4.__doc__ or "", checks, lab)


def simulation_l5(lab: Lab) -> Finding:
    """The share of all-wrong groups falls during training, and falls faster with LENS."""

    def checks(metrics: Metrics) -> list[Check]:
        return [
            bound("L5", "sim").check(
                "fall of the share of all-wrong groups",
                -metrics.gain("grpo", "all_wrong"),
                scheme="grpo",
            ),
            bound("L5", "sim", "faster").check(
                "mean share of all-wrong groups over training",
                metrics.mean_lead("grpo", "lens", "all_wrong"),
                **compared("grpo", "lens"),
            ),
        ]

    return _judge("L5", simulation_l5.__doc__ or "", checks, lab)


def _judge(id: str, claim: str, checks: Callable[[Metrics], list[Check]], lab: Lab) -> Finding:
    def runs(regime: str) -> Metrics:
        return trained(lab, FAMILY, regime, regime, shared=FAMILY)

    return judged_by_regime(id, claim, lab, FAMILY, checks, runs)


def _halves(source: Source, metrics: Metrics) -> list[Check]:
    return [
        bound("L4", source).check(
            "mean success over training",
            metrics.mean_lead(scheme, "grpo", "success"),
            **compared(scheme, "grpo"),
        )
        for scheme in LENS_PARTS
    ]


def model_l3(fine_tuned: Metrics) -> list[Check]:
    """LENS is at or above GRPO at every pass@k."""
    return [
        bound("L3", "llm").check(
            metric,
            fine_tuned.lead("lens", "grpo", metric),
            **compared("lens", "grpo", void=fine_tuned.settled("grpo", metric)),
        )
        for metric in model_metrics()
    ]


def model_l4(one_in_ten: Metrics) -> list[Check]:
    """Both halves of LENS help: mixed groups alone and all-wrong groups alone each beat GRPO."""
    return _halves("llm", one_in_ten)


def model_l5(scratch: Metrics) -> list[Check]:
    """The share of all-wrong groups falls during training, and falls faster with LENS."""
    name, share = "groups_all_wrong", "share of all-wrong groups"
    falls = [
        bound("L5", "llm").check(
            f"final {share}", scratch.gain(scheme, name), **compared(scheme, BASE)
        )
        for scheme in ("lens", "grpo")
    ]
    lead = scratch.mean_lead("lens", "grpo", name)
    return [
        *falls,
        bound("L5", "llm", "faster").check(f"mean {share}", lead, **compared("lens", "grpo")),
    ]
