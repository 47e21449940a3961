"""N1, N5, O1 and O3: what the gradients of the reinforcement schemes are, and are not."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np

from claims.exact import gradient, log_softmax
from claims.metrics import DROPPING, Metrics
from claims.simulation.lab import Lab
from claims.spec import bound
from claims.verdicts import BASE, Check, Finding, compared, finding
from sim.config import SimulationConfig
from theory.finite_group import expected_weight
from theory.logit_gradients import ESTIMATORS, nsr_logit_update, psr_logit_update

PSEUDO = ("psr", "nsr", "w_reinforce")


def theory_n1() -> float:
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
    return worst


def theory_o1() -> float:
    """Largest relative difference of ω_M of Linear-R from the truncated likelihood's."""
    worst = 0.0
    for size, rho in product((1, 2, 5, 16, 64), (1e-9, 0.01, 0.3, 0.9)):
        for order, word in ((size, "keep"), (size - 1, "drop")):
            exact = sum(((1 - Fraction(rho)) ** k for k in range(order)), Fraction(0))
            found = float(expected_weight("linear_r", size, rho, zero_success=word))
            worst = max(worst, abs(found - float(exact)) / max(float(exact), 1.0))
    return worst


def theory_o3() -> float:
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
    return float(np.ptp(np.array(paths), axis=0).max())


def simulation_o1(lab: Lab) -> Finding:
    """Linear-R at group size M ascends MaxRL's order-M truncated log-likelihood."""
    from claims.sampled_updates import sampled_weights

    size, success = 8, 0.1
    checks: list[Check] = []
    for scheme, order in (("linear_r", size), (DROPPING, size - 1)):
        weights = sampled_weights(
            scheme, success, size, groups=20_000 if lab.quick else 400_000, seed=lab.first_seed
        )
        truncated = sum((1 - success) ** (k - 1) for k in range(1, order + 1))
        name = f"ω at M = {size} against MaxRL of order {order}"
        checks.append(bound("O1", "sim").check(name, weights, number=truncated, scheme=scheme))
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
    exact_table = lab.run(
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
    exact, checks = Metrics("mirror steps", exact_table), []
    for scheme in PSEUDO[1:]:
        for metric in ("success", "entropy"):
            gap = exact.course(scheme, metric) - exact.course("psr", metric)
            about = compared(scheme, "psr", regime=exact.name, exact=True)
            words = f"largest |difference| of {metric}"
            checks.append(bound("O3", "sim").check(words, [gap.abs().to_numpy().max()], **about))
    seeds = 5 if lab.quick else lab.seeds or 20
    table = lab.run(
        SimulationConfig(**common, seeds=seeds, steps=400, learning_rate=1.0),
        "sampled",
    )
    sampled = Metrics("sampled softmax", table)
    reached = {s: sampled.at_level(s, "entropy_correct", common["target"]) for s in PSEUDO}
    for scheme in PSEUDO[1:]:
        about = compared(scheme, "psr", regime=sampled.name)
        words, gaps = "entropy of correct answers at success 0.8", reached[scheme] - reached["psr"]
        checks.append(bound("O3", "sim", "apart").check(words, gaps, **about))
    claim = "PSR, NSR, W-REINFORCE share ρ(t) under the mirror flow and differ under sampling"
    return finding("O3", claim, checks, ["bandit, 16 answers, 4 correct, M = 8"], quick=lab.quick)


def simulation_n5(lab: Lab) -> Finding:
    """NSR's update vanishes as errors stop, and confident tokens barely move."""
    from claims.sampled_updates import own_movement, update_length

    groups = 5_000 if lab.quick else 50_000
    failures = np.array([0.3, 0.1, 0.03, 0.01])
    lengths = np.array([update_length("nsr", 1 - f, groups, lab.first_seed) for f in failures])
    slopes = np.log(lengths[:-1] / lengths[1:]) / np.log(failures[:-1] / failures[1:])[:, None]
    # A wrong answer of probability p that was drawn moves by 1 − p per unit of its weight.
    confident, unsure = (own_movement(p) for p in (0.99, 0.5))
    checks = [
        bound("N5", "sim").check(
            "slope of ln |update| in ln(1 − ρ)", slopes.mean(axis=0), scheme="nsr"
        ),
        bound("N5", "sim", "confident").check(
            "movement of a token of probability 0.99 over one of 0.5",
            [confident / unsure],
            scheme="nsr",
            exact=True,
        ),
    ]
    claim = "NSR's update vanishes as errors stop; confident tokens barely move"
    return finding("N5", claim, checks, ["bandit, 8 answers, sampled groups of 8"], quick=lab.quick)


def model_n5(fine_tuned: Metrics) -> list[Check]:
    """NSR's update vanishes as errors stop."""
    ratios = fine_tuned.last("nsr", "grad_norm") / fine_tuned.first("nsr", "grad_norm")
    about = compared("nsr", BASE, "ratio")
    return [bound("N5", "llm").check("gradient norm", ratios, **about)]
