"""N2, N3, N4, N6 and N7: accuracy and diversity under positive and negative reinforcement.

On-policy, PSR, NSR and REINFORCE have the same expected gradient, so their differences come from
sampling noise and from steps off the policy that sampled. The regimes therefore are: *off-policy*,
several clipped epochs on small batches of prompts that share features; *tree*, independent prompts
with answers of several tokens and large steps; *bandit*, the same with single tokens. Each scheme
runs at its own best learning rate, the one that is soonest at the target; *off-policy, one rate* is
the first regime with small steps, the same for all, as the paper trains (N7: one rate everywhere).

Rule: the primary regime is off-policy, measured on held-out prompts, since the paper trains with
clipped mini-batch steps on MATH's training problems and evaluates on others. A claim is confirmed
if the primary regime confirms every check, refuted if it refutes one, else inconclusive; the
training prompts of the same runs, the tree and the bandit say how far the claim reaches.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import pandas as pd

from claims.metrics import (
    KS as MODEL_KS,
)
from claims.metrics import (
    SLACK,
    SettingTables,
    model_metrics,
)
from claims.simulation.common import Lab, final, first, series
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

SCHEMES = ("psr", "nsr", "w_reinforce", "grpo", "ppo")
KS = (1, 4, 16, 64, 256)

PRIMARY = "off-policy, held-out prompts"
"""Named before the full versions ran."""

OFF_POLICY: Mapping[str, Any] = {
    "policy": "log_linear",
    "features": 16,
    "rule": 0.7,
    "batch": 32,
    "learner": "ppo",
    "epochs": 8,
    "held_out_prompts": 128,
    "target": 0.6,
}
ONE_RATE = "off-policy, one rate"

REGIMES: Mapping[str, Mapping[str, Any]] = {
    "off-policy": OFF_POLICY,
    ONE_RATE: {**OFF_POLICY, "learning_rate": 1.0},
    "tree": {
        "policy": "tree",
        "symbols": 4,
        "length": 3,
        "correct_answers": 6,
        "target": 0.8,
        "prompts": 64,
    },
    "bandit": {"target": 0.8},
}


RATES = {
    "off-policy": (10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0),
    "tree": (1.0, 3.0, 10.0, 30.0, 100.0),
    "bandit": (1.0, 3.0, 10.0, 30.0, 100.0),
}
"""Grids of learning rates, wide enough that the fastest is inside or times no longer depend on it;
an average over prompts that share little takes large ones."""


def simulation_n2(lab: Lab) -> Finding:
    """NSR alone raises pass@1 and keeps pass@k at or above base for every k."""

    def checks(metrics: pd.DataFrame, prefix: str) -> list[Check]:
        return [
            above(
                f"pass@{k}",
                0.0 if k == 1 else -SLACK,
                _gain(metrics, "nsr", prefix, k),
                **compared("nsr", BASE),
            )
            for k in KS
        ]

    return _judge("N2", simulation_n2.__doc__ or "", checks, _trained(lab), lab)


def simulation_n3(lab: Lab) -> Finding:
    """PSR raises pass@1 and falls below base at large k."""

    def checks(metrics: pd.DataFrame, prefix: str) -> list[Check]:
        return [
            above("pass@1", 0.0, _gain(metrics, "psr", prefix, 1), **compared("psr", BASE)),
            below(
                f"pass@{KS[-1]}",
                0.0,
                _gain(metrics, "psr", prefix, KS[-1]),
                **compared("psr", BASE),
            ),
        ]

    return _judge("N3", simulation_n3.__doc__ or "", checks, _trained(lab), lab)


def simulation_n4(lab: Lab) -> Finding:
    """Entropy at the end: NSR near base and above PPO and GRPO, PSR below them."""

    def checks(metrics: pd.DataFrame, prefix: str) -> list[Check]:
        entropy = {s: final(metrics, s, f"{prefix}entropy") for s in SCHEMES}
        base = first(metrics, "nsr", f"{prefix}entropy")
        kept = list(entropy["nsr"] / base)
        found = [above("entropy", main("N4", "sim").number, kept, **compared("nsr", BASE, "ratio"))]
        for other in ("ppo", "grpo"):
            for more, less in (("nsr", other), (other, "psr")):
                gap = list(entropy[more] - entropy[less])
                found.append(above("entropy", 0.0, gap, **compared(more, less)))
        return found

    return _judge("N4", simulation_n4.__doc__ or "", checks, _trained(lab), lab)


def simulation_n6(lab: Lab) -> Finding:
    """W-REINFORCE has the pass@1 of PPO and GRPO with NSR's pass@k at large k."""

    def checks(metrics: pd.DataFrame, prefix: str) -> list[Check]:
        def gap(other: str, k: int) -> list[float]:
            mine, theirs = (final(metrics, s, f"{prefix}pass@{k}") for s in ("w_reinforce", other))
            return list(mine - theirs)

        return [
            above(f"pass@{k}", -SLACK, gap(other, k), **compared("w_reinforce", other))
            for other, k in (("ppo", 1), ("grpo", 1), ("nsr", KS[-1]))
        ]

    return _judge("N6", simulation_n6.__doc__ or "", checks, _trained(lab), lab)


def simulation_n7(lab: Lab) -> Finding:
    """Many steps of pure NSR degrade; W-REINFORCE does not."""
    long: dict[str, Any] = {"schemes": ("nsr", "w_reinforce"), "learning_rate": 3.0}

    def checks(metrics: pd.DataFrame, prefix: str) -> list[Check]:
        fall = {}
        for scheme in long["schemes"]:
            curve = series(metrics, scheme, f"{prefix}success")
            fall[scheme] = list(curve.max(axis=1) - curve.iloc[:, -1])
        return [
            above("fall of success from its peak to the end", SLACK, fall["nsr"], scheme="nsr"),
            below(
                "fall of success from its peak to the end",
                SLACK,
                fall["w_reinforce"],
                scheme="w_reinforce",
            ),
        ]

    def trained_long(regime: str) -> pd.DataFrame:
        config = _config(regime, lab)
        config = dataclasses.replace(config, **long, steps=5 * config.steps, measure_every=20)
        return lab.run(config, f"long-{regime}")

    return _judge("N7", simulation_n7.__doc__ or "", checks, trained_long, lab, without=ONE_RATE)


def _judge(
    id: str,
    claim: str,
    checks: Callable[[pd.DataFrame, str], list[Check]],
    runs: Callable[[str], pd.DataFrame],
    lab: Lab,
    *,
    without: str = "",
) -> Finding:
    outcomes: dict[str, list[Check]] = {}
    regimes = ["off-policy"] if lab.quick else [regime for regime in REGIMES if regime != without]
    for regime in regimes:
        metrics = runs(regime)
        outcomes[regime] = checks(metrics, "")
        if "held_out_prompts" in REGIMES[regime]:
            outcomes[f"{regime}, held-out prompts"] = checks(metrics, "held_out/")
    outcomes = {PRIMARY: outcomes.pop(PRIMARY), **outcomes}
    return primary_regime(id, claim, outcomes, quick=lab.quick)


def _trained(lab: Lab) -> Callable[[str], pd.DataFrame]:
    """Metrics by regime, shared by all claims that look at it."""

    def trained(regime: str) -> pd.DataFrame:
        rates = (100.0, 300.0) if lab.quick else RATES.get(regime, ())
        seeds = 0 if regime == ONE_RATE else 5 if lab.quick else 3
        config = SweepConfig(_config(regime, lab), {"base": {}}, rates, seeds)
        return lab.sweep(
            config, regime.replace(", ", "-").replace(" ", "-"), shared="reinforcement"
        )

    return trained


def _config(regime: str, lab: Lab) -> SimulationConfig:
    fields: dict[str, Any] = {
        "schemes": SCHEMES,
        "seeds": 5 if lab.quick else 20,
        "prompts": 128,
        "answers": 32,
        "correct_answers": 4,
        "prior_spread": 2.0,
        "start": "beta:0.6,1.4",
        "group_size": 8,
        "steps": 100 if lab.quick else 400,
        "measure_every": 20 if lab.quick else 1,
        "checkpoint_every": 50,
        "pass_k": KS,
        "seed": lab.first_seed,
        **REGIMES[regime],
    }
    return SimulationConfig(**fields)


def _gain(metrics: pd.DataFrame, scheme: str, prefix: str, k: int) -> list[float]:
    metric = f"{prefix}pass@{k}"
    return list(final(metrics, scheme, metric) - first(metrics, scheme, metric))


def model_n2(fine_tuned: SettingTables) -> list[Check]:
    """NSR alone raises pass@1 and keeps pass@k at or above base for every k."""
    return [
        above(
            metric,
            0.0 if metric == "success" else -SLACK,
            fine_tuned.gain("nsr", metric),
            **compared("nsr", BASE),
        )
        for metric in model_metrics()
    ]


def model_n3(fine_tuned: SettingTables) -> list[Check]:
    """PSR raises pass@1 and falls below base at large k."""
    metric = f"pass@{MODEL_KS[-1]}"
    return [
        above("success", 0.0, fine_tuned.gain("psr", "success"), **compared("psr", BASE)),
        below(metric, 0.0, fine_tuned.gain("psr", metric), **compared("psr", BASE)),
    ]


def model_n4(fine_tuned: SettingTables) -> list[Check]:
    """Entropy at the end: NSR near base and above GRPO, PSR below GRPO."""
    ends = {s: fine_tuned.last(s, "entropy") for s in ("nsr", "grpo", "psr")}
    base, kept = fine_tuned.first("nsr", "entropy"), main("N4", "llm").number
    return [
        above("entropy", kept, list(ends["nsr"] / base), **compared("nsr", BASE, "ratio")),
        above("entropy", 0.0, list(ends["nsr"] - ends["grpo"]), **compared("nsr", "grpo")),
        above("entropy", 0.0, list(ends["grpo"] - ends["psr"]), **compared("grpo", "psr")),
    ]


def model_n6(fine_tuned: SettingTables) -> list[Check]:
    """W-REINFORCE has the pass@1 of GRPO with NSR's pass@k at large k."""
    large = f"pass@{MODEL_KS[-1]}"
    return [
        above(
            metric,
            -SLACK,
            list(fine_tuned.last("w_reinforce", metric) - fine_tuned.last(other, metric)),
            **compared("w_reinforce", other),
        )
        for metric, other in (("success", "grpo"), (large, "nsr"))
    ]


def model_n7(long: SettingTables) -> list[Check]:
    """Many steps of pure NSR degrade; W-REINFORCE does not."""
    fall = {}
    for scheme in ("nsr", "w_reinforce"):
        course = long.course(scheme, "success")
        fall[scheme] = list(course.max(axis=1) - course.iloc[:, -1])
    return [
        above("fall of success from its peak to the end", SLACK, fall["nsr"], scheme="nsr"),
        below(
            "fall of success from its peak to the end",
            SLACK,
            fall["w_reinforce"],
            scheme="w_reinforce",
        ),
    ]
