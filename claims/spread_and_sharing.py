"""O11: the spread of pass rates and how much prompts share decide between weights, not the start.

Theory: prompts side by side under constant kernels. Simulation: a policy in which the share of an
update that acts on all prompts is dialled, every update limited to a small mean KL, as something
limits the steps of language models: without it a prompt is learnt at its first success by every
scheme. The policy's own kernel, measured at the start, predicts the order of schemes.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import stats
from scipy.special import logit

from claims.metrics import Metrics
from claims.simulation.lab import Lab
from claims.simulation.regimes import family, trained
from claims.spec import bound
from claims.verdicts import Check, Finding, compared, finding, said
from runs.text import number
from sim.config import SimulationConfig
from theory._arrays import Floats
from theory.sharing import path_costs, relative_cost

_SCHEMES = ("sqrt_r", "sqrt_r:zero_success=drop")
_UNEQUAL = ((0.01, 1.0), (0.4, 2.0))
"""Mean success at the start, and spread of the log-odds."""

_MEASURED = 5
"""Seeds whose kernels are measured."""


def theory_o11() -> list[Check]:
    """Cost of Sqrt-R over GRPO's on unequal prompts that do not share, and that share all."""
    return [
        bound("O11", "theory", name).check(
            "time × energy",
            [math.log(relative_cost(scheme, start=start, spread=spread, sharing=sharing))],
            **compared(
                scheme, "grpo", "log ratio", f"sharing {sharing:g}, from {start:g}", exact=True
            ),
        )
        for name, sharing in (("main", 0.0), ("strong", 1.0))
        for start, spread in _UNEQUAL
        for scheme in _SCHEMES
    ]


def simulation_o11(lab: Lab) -> Finding:
    """Unequal prompts that hardly share gain by Sqrt-R, those that share all lose, at any start."""
    regimes = list(family("sharing").fields)
    checks: list[Check] = []
    measured, expected, words = [], [], []
    for regime in regimes[: 2 if lab.quick else None]:
        metrics = trained(lab, "sharing", regime, clock="responses")
        config = family("sharing").config(regime, lab)
        others = [scheme for scheme in metrics.schemes() if scheme != "grpo"]
        logs = np.stack([metrics.log_ratio(scheme, "grpo") for scheme in others])
        predicted = predicted_logs(config, others)
        measured.append(logs)
        expected.append(predicted)
        told = ", ".join(number(float(value), decimals=2) for value in predicted)
        words.append(f"{regime}: ln predicted for {', '.join(others)} {told}")
        name = {0.05: "main", 1.0: "strong"}.get(config.sharing or 0.0)
        if name is not None:
            checks += [_check(name, metrics, scheme) for scheme in _SCHEMES]
    checks.append(_order(np.concatenate(expected), np.concatenate(measured)))
    return finding("O11", said(simulation_o11), checks, words, quick=lab.quick)


def predicted_logs(config: SimulationConfig, schemes: list[str]) -> Floats:
    """Predicted ln of responses over GRPO's, by the kernels that the first seeds start with.

    Args:
        config: A simulation of prompts that share parameters.
        schemes: Schemes with a table.
    """
    from sim.kernel import collisions, log_odds_kernel
    from sim.problems import build

    found = []
    for seed in range(config.seed, config.seed + min(_MEASURED, config.seeds)):
        problem = build(config, seed)
        success = np.asarray(problem.policy.success(problem.parameters)[0], np.float64)
        costs = path_costs(
            [*schemes, "grpo"],
            logit(success),
            target=config.target,
            group_size=config.group_size or 0,
            kernel=log_odds_kernel(problem.policy, problem.parameters),
            budget="steps",
            concentration=collisions(problem.policy, problem.parameters),
        )[:, 0]
        found.append(np.log(costs[:-1] / costs[-1]))
    mean: Floats = np.mean(found, axis=0)
    return mean


def _check(name: str, metrics: Metrics, scheme: str) -> Check:
    return bound("O11", "sim", name).check(
        "responses to the target in fixed groups",
        metrics.log_ratio(scheme, "grpo"),
        **metrics.times_of(scheme, "grpo", regime=metrics.name),
    )


def _order(expected: Floats, measured: Floats) -> Check:
    """Rank correlation over schemes and regimes, one per seed."""
    found = [float(stats.spearmanr(expected, one)[0]) for one in measured.T]
    quantity = "rank correlation of ln of responses, measured and predicted from the kernel"
    return bound("O11", "sim", "order").check(quantity, found)
