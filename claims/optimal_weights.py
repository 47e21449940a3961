"""A1, A2 and A3: the optimal weights, and how much slower the others are.

Theory: an optimiser that knows no closed form, and plain quadrature in ρ. Simulation: excess times
under mirror dynamics, exact in the population limit, and of groups that are drawn and counted.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import integrate, optimize
from scipy.special import expit, logit

from claims.designs import excess_time, least_product, sampled
from claims.exact import DESIGN_WORDS, TARGET
from claims.simulation.lab import Lab
from claims.spec import bound
from claims.verdicts import Check, Finding, compared, finding
from sim.config import SimulationConfig
from sim.rates import learning_rates, weight_budget
from sim.summary import seed_times
from theory._arrays import Floats
from theory.clocks import CLOCKS
from theory.optimal import optimal_weight
from theory.schemes import SCHEMES

EXCESS_TIMES = {
    (0.001, "responses"): (15.53, 2.610, 1.061, 1, 1.061),
    (0.01, "responses"): (3.309, 1.555, 1.075, 1, 1.075),
    (0.1, "responses"): (1.195, 1.112, 1.086, 1, 1.086),
    (0.38, "responses"): (1.007, 1.016, 1.066, 1, 1.066),
    (0.01, "updates"): (1.145, 1, 1.954, 1.371, 1.145),
    (0.38, "updates"): (1.021, 1, 1.150, 1.015, 1.021),
}
"""Excess times of the population by ρ₀ and clock, one per entry of WEIGHTS."""

GROUP_EXCESS_TIMES = {
    (16, "fixed"): (1.145, 1.035, 1.426, 1.113, 1.015),
    (16, "until_any"): (1.050, 1.000, 1.635, 1.219, 1.049),
    (16, "until_mixed"): (1.049, 1.000, 1.621, 1.211, 1.049),
    (4, "fixed"): (1.145, 1.129, 1.138, 1.080, 1.081),
    (4, "until_any"): (1.013, 1.014, 1.182, 1.076, 1.015),
    (4, "until_mixed"): (1.000, 1.000, 1.109, 1.031, 1.000),
}
"""Excess times from 0.01 by M and sampling design, responses counted, one per entry of WEIGHTS."""

WEIGHTS: dict[str, Callable[[Any], Any]] = {
    "rloo": lambda p: 1.0 + 0 * p,
    "grpo": lambda p: 1 / np.sqrt(p * (1 - p)),
    "linear_r": lambda p: 1 / p,
    "sqrt_r": lambda p: 1 / (p * np.sqrt(1 - p)),
    "uniform_r": lambda p: 1 / (p * (1 - p)),
}
WEIGHTED = tuple(WEIGHTS)
"""Schemes of the tables above, in the order of their columns."""

COSTS: dict[str, Callable[[Any], Any]] = {
    "updates": lambda p: 1.0 + 0 * p,
    "responses": lambda p: 1 / p,
}


def _optimised(clock: str, scheme: str) -> float:
    """Distance of the best of all piecewise constant weights from the named one, in log ω.

    log T + log B does not depend on the scale of ω, and has one minimum in log ω.
    """
    edges = np.linspace(logit(0.01), logit(TARGET), 41)
    success = expit((edges[1:] + edges[:-1]) / 2)
    width = np.diff(expit(edges))
    slowness = COSTS[clock](success) * width / (success * (1 - success))

    def objective(log_weight: Floats) -> tuple[float, Floats]:
        time, spent = slowness * np.exp(-log_weight), width * np.exp(log_weight)
        value = math.log(time.sum()) + math.log(spent.sum())
        return value, spent / spent.sum() - time / time.sum()

    minimise: Any = optimize.minimize
    found = minimise(
        objective, np.zeros(40), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 2000}
    )
    named = np.log(WEIGHTS[scheme](success))
    gap = (found.x - found.x.mean()) - (named - named.mean())
    # A gradient of 1e-9 per weight over a curvature of 1/40 of its share bounds log ω to 1e-5.
    return float(np.abs(gap).max())


def theory_a1() -> float:
    """Largest |ln ω − ln ω_GRPO| of the best weight where updates are counted, from 0.01."""
    return _optimised("updates", "grpo")


def theory_a2() -> float:
    """Largest |ln ω − ln ω_Sqrt-R| of the best weight on the clock 1/ρ, from 0.01."""
    return _optimised("responses", "sqrt_r")


def _quad(function: Callable[[float], float], start: float) -> float:
    return float(integrate.quad(function, start, TARGET, epsrel=1e-10, epsabs=0, limit=500)[0])


def _excess(weight: Callable[[float], float], start: float, clock: str) -> float:
    """Excess time of a weight, T·B/(T*B), by plain quadrature in ρ."""
    cost = COSTS[clock]
    time = _quad(lambda p: cost(p) / (weight(p) * p * (1 - p)), start)
    least = _quad(lambda p: math.sqrt(cost(p) / (p * (1 - p))), start)
    return time * _quad(weight, start) / least**2


def theory_a3() -> float:
    """Largest relative difference of a tabulated excess time from its quadrature."""
    gaps = [
        abs(_excess(weight, start, clock) / tabulated - 1)
        for (start, clock), row in EXCESS_TIMES.items()
        for weight, tabulated in zip(WEIGHTS.values(), row, strict=True)
    ]
    gaps += [
        abs(excess_time(scheme, size, 0.01, design) / tabulated - 1)
        for (size, design), row in GROUP_EXCESS_TIMES.items()
        for scheme, tabulated in zip(WEIGHTS, row, strict=True)
    ]
    return max(gaps)


def excess_times(lab: Lab, start: float, clock: str) -> dict[str, float]:
    """T·B / T*B* of every weighted scheme under exact mirror steps in the population limit.

    Time is the clock's cost times η, the budget ∫ω dρ that of the weights realised; both learning
    rates and budgets cancel but for their product, which ``same_budget`` makes equal.

    Args:
        lab: Where to run.
        start: ρ₀ of every prompt.
        clock: ``"updates"``, or ``"responses"`` for the abstract clock 1/ρ.
    """
    rate = 0.01 if lab.quick else 0.002  # small: the comparison is of flows
    best = optimal_weight(start, TARGET, clock=clock)
    config = SimulationConfig(
        schemes=WEIGHTED,
        seeds=1,
        seed=lab.first_seed,
        prompts=1,
        answers=2,
        correct_answers=1,
        start=start,
        target=TARGET,
        group_size=None,
        pass_k=(1,),
        comparison="same_budget",
        learning_rate=rate,
        learner="mirror",
        measure_every=20,
        checkpoint_every=50,
    )
    # Updates that the slowest scheme needs by the prediction, and a third more, in twenties.
    slowest = max(optimal_weight(start, TARGET, clock="updates").excess_of_all(WEIGHTED).values())
    needed = slowest * optimal_weight(start, TARGET, clock="updates").time
    needed /= rate * weight_budget(config, SCHEMES["grpo"])
    config = dataclasses.replace(config, steps=20 * int(1 + 4 / 3 * needed / 20))
    table = seed_times(lab.run(config, f"start-{start:g}"), TARGET)
    counted = CLOCKS[clock].metric.removeprefix("clock/")
    times = table[table["clock"] == counted].set_index("scheme")["time"]
    product = learning_rates(config)["grpo"] * weight_budget(config, SCHEMES["grpo"])
    # Unit-budget optimum: T* = (∫g b)² / B with B = 1.
    return {scheme: float(times[scheme]) * product / best.time for scheme in WEIGHTED}


def simulation_a1(lab: Lab) -> Finding:
    """Where updates are counted the optimal weight is GRPO's."""
    said = "In the population limit, where updates are counted, the optimal weight is GRPO's"
    return _optimal("A1", said, "updates", "grpo", lab)


def simulation_a2(lab: Lab) -> Finding:
    """On the abstract clock 1/ρ the optimal weight is Sqrt-R's."""
    said = "In the population limit, on the abstract clock 1/ρ, the optimal weight is Sqrt-R's"
    return _optimal("A2", said, "responses", "sqrt_r", lab)


def _optimal(id: str, claim: str, clock: str, best: str, lab: Lab) -> Finding:
    checks: list[Check] = []
    starts = (0.01,) if lab.quick else (0.001, 0.01, 0.1, 0.38)
    for start in starts:
        measured = excess_times(lab, start, clock)
        where = f"start {start:g}"
        checks.append(
            bound(id, "sim").check(
                "excess time",
                [measured[best]],
                scheme=best,
                unit="ratio",
                regime=where,
                exact=True,
            )
        )
        checks += [
            bound(id, "sim", "others").check(
                "excess time",
                [measured[scheme] / measured[best]],
                **compared(scheme, best, "ratio", where, exact=True),
            )
            for scheme in WEIGHTED
            if scheme != best
        ]
    regimes = [f"exact mirror steps, population limit, start {start:g}" for start in starts]
    return finding(id, claim, checks, regimes, quick=lab.quick)


def simulation_a3(lab: Lab) -> Finding:
    """Excess times match the prediction of their sampling design within 5 %."""
    cases = [
        (design, size) for design in DESIGN_WORDS for size in ((16,) if lab.quick else (4, 16))
    ]
    checks = []
    start = 0.1 if lab.quick else 0.01
    for design, size in cases:
        least = least_product(size, start, design)
        checks += [
            bound("A3", "sim").check(
                "excess time",
                sampled(lab, scheme, size, start, design).weight_product / least,
                number=excess_time(scheme, size, start, design),
                scheme=scheme,
                unit="ratio",
                regime=f"{DESIGN_WORDS[design]}, M = {size}, start {start:g}",
            )
            for scheme in WEIGHTED
        ]
    claim = "Excess times of every scheme match the prediction for their sampling design within 5 %"
    words = "groups drawn response by response, all of them counted; natural gradient"
    return finding("A3", claim, checks, [words], quick=lab.quick)
