"""L3, L4 and L5: what LENS's use of confident mistakes is worth.

Prompts with decoys, wrong answers in which the policy is confident: *shared*, a log-linear policy
with small batches; *tree*, answers of several tokens, where confidence is per token; *bandit*.
Each scheme runs at its own best learning rate.

Rule: the primary regime is *shared*, since the paper trains one model on batches of prompts that
share its parameters. A claim is confirmed if the primary regime confirms every check, refuted if it
refutes one, else inconclusive; the others say how far the claim reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from claims.simulation.common import Lab, final, series
from claims.verdicts import Check, Finding, above, compared, primary_regime
from sim.config import SimulationConfig
from sim.sweep import SweepConfig

MIXED, NEGATIVE = "lens:parts=mixed", "lens:parts=negative"
KS = (1, 2, 4, 8, 16)

REGIMES: Mapping[str, Mapping[str, Any]] = {
    "shared": {
        "policy": "log_linear", "features": 16, "rule": 1.0, "batch": 32, "target": 0.6,
    },
    "tree": {"policy": "tree", "symbols": 4, "length": 3, "prompts": 64, "target": 0.8},
    "bandit": {"target": 0.8},
}  # fmt: skip
"""The primary regime first; named before the full versions ran."""

RATES = {
    "shared": (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0),
    "tree": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
    "bandit": (1.0, 3.0, 10.0, 30.0, 100.0, 300.0),
}
"""Grids of learning rates, wide enough that the fastest is inside or times no longer depend on it;
an average over prompts that share little takes large ones."""


def l3(lab: Lab) -> Finding:
    """LENS is at or above GRPO at every pass@k along training, most on hard prompts."""

    def checks(metrics: pd.DataFrame) -> list[Check]:
        found = [
            above(f"mean pass@{k} over training", 0.0, _lead(metrics, "lens", f"pass@{k}"),
                  **compared("lens", "grpo"))
            for k in KS
        ]  # fmt: skip
        hard, easy = (np.array(_lead(metrics, "lens", f"pass@1/q{q}")) for q in (1, 5))
        name = "mean pass@1 on the hardest fifth less that on the easiest"
        found.append(above(name, 0.0, list(hard - easy), **compared("lens", "grpo")))
        return found

    return _judge("L3", l3.__doc__ or "", checks, lab)


def l4(lab: Lab) -> Finding:
    """Both halves help: mixed groups alone and negative groups alone each beat GRPO."""

    def checks(metrics: pd.DataFrame) -> list[Check]:
        return [
            above("mean success over training", 0.0, _lead(metrics, scheme, "success"),
                  **compared(scheme, "grpo"))
            for scheme in (MIXED, NEGATIVE)
        ]  # fmt: skip

    return _judge("L4", l4.__doc__ or "", checks, lab)


def l5(lab: Lab) -> Finding:
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

    return _judge("L5", l5.__doc__ or "", checks, lab)


def _judge(id: str, claim: str, checks: Callable[[pd.DataFrame], list[Check]], lab: Lab) -> Finding:
    names = list(REGIMES)[: 1 if lab.quick else None]
    outcomes = {r: checks(_trained(r, lab)) for r in names}
    return primary_regime(id, claim, outcomes, quick=lab.quick)


def _trained(regime: str, lab: Lab) -> pd.DataFrame:
    fields: dict[str, Any] = {
        "schemes": ("grpo", "lens", MIXED, NEGATIVE), "seeds": 5 if lab.quick else 30,
        "prompts": 128, "answers": 32, "correct_answers": 2, "decoys": 2, "decoy_mass": 0.6,
        "start": "loguniform:0.002,0.5", "group_size": 16, "steps": 100 if lab.quick else 200,
        "measure_every": 10 if lab.quick else 1, "checkpoint_every": 50, "pass_k": KS,
        "seed": lab.first_seed, **REGIMES[regime],
    }  # fmt: skip
    rates = (100.0, 300.0) if lab.quick else RATES[regime]
    config = SweepConfig(SimulationConfig(**fields), {regime: {}}, rates, 5 if lab.quick else 3)
    return lab.sweep(config, regime, shared="confidence")


def _lead(metrics: pd.DataFrame, scheme: str, metric: str) -> list[float]:
    """Mean over training of a metric, minus GRPO's, seed by seed."""
    return list((series(metrics, scheme, metric) - series(metrics, "grpo", metric)).mean(axis=1))
