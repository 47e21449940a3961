"""N1, N5, O1 and O3: what the gradients of the reinforcement schemes are, and are not."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pandas as pd

from claims.exact import Comparison, gradient, log_softmax
from claims.metrics import (
    SettingTables,
)
from claims.simulation.common import Lab, series
from claims.spec import main
from claims.verdicts import (
    BASE,
    Check,
    Finding,
    above,
    below,
    compared,
    finding,
    near,
)
from sim.config import SimulationConfig
from theory.finite_group import expected_weight
from theory.logit_gradients import ESTIMATORS, nsr_logit_update, psr_logit_update

PSEUDO = ("psr", "nsr", "w_reinforce")


def theory_n1() -> Comparison:
    """Largest |difference| of PSR's and NSR's logit updates from derivatives of π and ln π."""
    worst = 0.0
    for problem, token in product(range(1, 4), range(5)):
        logits = 3 * np.sin(problem * (np.arange(5) + 1.0))
        for estimator in ESTIMATORS:
            logarithmic = estimator == "log_probability"

            def chosen(z: Any, y: int = token, logarithmic: bool = logarithmic) -> Any:
                log_probability = log_softmax(z)[y]
                return log_probability if logarithmic else np.exp(log_probability)

            exact = gradient(chosen, logits)
            raised = psr_logit_update(logits, token, estimator=estimator)
            lowered = nsr_logit_update(logits, token, estimator=estimator)
            worst = max(
                worst, float(np.abs(raised - exact).max()), float(np.abs(lowered + exact).max())
            )
    return 0.0, worst, main("N1", "theory").number


def theory_o1() -> Comparison:
    """Largest relative difference of ω_M of Linear-R from the truncated likelihood's."""
    worst = 0.0
    for size, rho in product((1, 2, 5, 16, 64), (1e-9, 0.01, 0.3, 0.9)):
        for order, word in ((size, "keep"), (size - 1, "drop")):
            exact = sum(((1 - Fraction(rho)) ** k for k in range(order)), Fraction(0))
            found = float(expected_weight("linear_r", size, rho, zero_success=word))
            worst = max(worst, abs(found - float(exact)) / max(float(exact), 1.0))
    return 0.0, worst, main("O1", "theory").number


def theory_o3() -> Comparison:
    """Largest |difference| of ρ under PSR, NSR and W-REINFORCE after equal ω·t."""
    """Exact proximal steps π′ ∝ π exp(ηA) on a policy over six answers, two of them correct."""
    correct = np.array([1.0, 1, 0, 0, 0, 0])
    paths = []
    for positive, negative in ((1.0, 0.0), (0.0, 1.0), (0.1, 1.0)):
        advantage = correct * positive - (1 - correct) * negative
        policy = np.array([0.01, 0.02, 0.5, 0.2, 0.17, 0.1])
        path = []
        for _ in range(200):
            policy = policy * np.exp(0.05 / (positive + negative) * advantage)
            policy = policy / policy.sum()
            path.append(policy @ correct)
        paths.append(path)
    return 0.0, float(np.ptp(np.array(paths), axis=0).max()), main("O3", "theory").number


def simulation_o1(lab: Lab) -> Finding:
    """Linear-R at group size M ascends MaxRL's order-M truncated log-likelihood."""
    from claims.sampled_updates import sampled_weights

    size, success = 8, 0.1
    checks: list[Check] = []
    for scheme, order in (("linear_r", size), ("linear_r:zero_success=drop", size - 1)):
        weights = sampled_weights(
            scheme, success, size, groups=20_000 if lab.quick else 400_000, seed=lab.first_seed
        )
        truncated = sum((1 - success) ** (k - 1) for k in range(1, order + 1))
        name = f"ω at M = {size} against MaxRL of order {order}"
        checks.append(near(name, truncated, weights, main("O1", "sim").tolerance, scheme=scheme))
    claim = "Linear-R at group size M ascends MaxRL's truncated objective of order M; dropping, M−1"
    return finding("O1", claim, checks, [f"ρ = {success}, sampled groups"], quick=lab.quick)


def simulation_o3(lab: Lab) -> Finding:
    """PSR, NSR and W-REINFORCE are one flow under exact mirror steps, three under sampling."""
    common: dict[str, Any] = {
        "schemes": PSEUDO,
        "prompts": 128,
        "answers": 16,
        "correct_answers": 4,
        "start": 0.1,
        "group_size": 8,
        "target": 0.8,
        "measure_every": 5,
        "pass_k": (1, 16),
        "seed": lab.first_seed,
    }
    exact = lab.run(
        SimulationConfig(
            **common,
            learner="mirror",
            seeds=1,
            steps=200,
            learning_rate=0.11,
            learning_rates={"w_reinforce": 0.1},
        ),
        "mirror",
    )
    checks: list[Check] = []
    bound = main("O3", "sim").number
    for scheme in PSEUDO[1:]:
        for metric in ("success", "entropy"):
            gap = series(exact, scheme, metric) - series(exact, "psr", metric)
            largest = float(gap.abs().to_numpy().max())
            about = compared(scheme, "psr", regime="mirror steps", exact=True)
            checks.append(below(f"largest |difference| of {metric}", bound, [largest], **about))
    sampled = lab.run(
        SimulationConfig(**common, seeds=5 if lab.quick else 20, steps=400, learning_rate=1.0),
        "sampled",
    )
    reached = {s: at_level(sampled, s, "entropy_correct", 0.8) for s in PSEUDO}
    for scheme in PSEUDO[1:]:
        gaps = list(reached[scheme] - reached["psr"])
        about = compared(scheme, "psr", regime="sampled softmax")
        checks.append(above("entropy of correct answers at success 0.8", 0.0, gaps, **about))
    claim = "PSR, NSR, W-REINFORCE share ρ(t) under the mirror flow and differ under sampling"
    return finding("O3", claim, checks, ["bandit, 16 answers, 4 correct, M = 8"], quick=lab.quick)


def at_level(metrics: pd.DataFrame, scheme: str, metric: str, level: float) -> np.ndarray:
    """Value of a metric when the success first reaches a level, interpolated; NaN if never."""
    success, values = series(metrics, scheme, "success"), series(metrics, scheme, metric)
    found = []
    for seed in success.index:
        curve, other = success.loc[seed].to_numpy(), values.loc[seed].to_numpy()
        above_level = np.flatnonzero(curve >= level)
        if above_level.size == 0 or above_level[0] == 0:
            found.append(np.nan)
            continue
        i = int(above_level[0])
        share = (level - curve[i - 1]) / (curve[i] - curve[i - 1])
        found.append(other[i - 1] + share * (other[i] - other[i - 1]))
    return np.asarray(found)


def simulation_n5(lab: Lab) -> Finding:
    """NSR's update vanishes as errors stop, and confident tokens barely move."""
    from claims.sampled_updates import own_movement, update_length

    groups = 5_000 if lab.quick else 50_000
    failures = np.array([0.3, 0.1, 0.03, 0.01])
    lengths = np.array([update_length("nsr", 1 - f, groups, lab.first_seed) for f in failures])
    slopes = np.log(lengths[:-1] / lengths[1:]) / np.log(failures[:-1] / failures[1:])[:, None]
    least = main("N5", "sim").number
    checks = [
        above("slope of ln |update| in ln(1 − ρ)", least, list(slopes.mean(axis=0)), scheme="nsr")
    ]
    # A wrong answer of probability p that was drawn moves by 1 − p per unit of its weight.
    confident, unsure = (own_movement(p) for p in (0.99, 0.5))
    name, ratio = "movement of a token of probability 0.99 over one of 0.5", confident / unsure
    checks.append(near(name, 0.01 / 0.5, [ratio], 0.01, exact=True, scheme="nsr"))
    claim = "NSR's update vanishes as errors stop; confident tokens barely move"
    return finding("N5", claim, checks, ["bandit, 8 answers, sampled groups of 8"], quick=lab.quick)


def model_n5(fine_tuned: SettingTables) -> list[Check]:
    """NSR's update vanishes as errors stop."""
    ends, starts = (pick("nsr", "grad_norm") for pick in (fine_tuned.last, fine_tuned.first))
    ratios = list(ends / starts)
    most = main("N5", "llm").number
    return [below("gradient norm", most, ratios, **compared("nsr", BASE, "ratio"))]
