"""A1, A2, A3 and O2: the optimal weights, and how much slower the others are.

Theory: an optimiser that knows no closed form, and plain quadrature in ρ. Simulation: excess times
under mirror dynamics, exact in the population limit and sampled in groups.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import integrate, optimize, stats
from scipy.special import expit, logit

from claims.exact import TARGET, Comparison, moment_tables
from claims.simulation.common import WEIGHTED, Lab, times
from claims.spec import main
from claims.verdicts import (
    Check,
    Finding,
    above,
    compared,
    finding,
    near,
)
from sim.config import SimulationConfig
from sim.rates import learning_rates, weight_budget
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
"""Excess times by ρ₀ and clock as theory.md section 3 tabulates them, one per entry of WEIGHTS."""

WEIGHTS: dict[str, Callable[[Any], Any]] = {
    "rloo": lambda p: 1.0 + 0 * p,
    "grpo": lambda p: 1 / np.sqrt(p * (1 - p)),
    "linear_r": lambda p: 1 / p,
    "sqrt_r": lambda p: 1 / (p * np.sqrt(1 - p)),
    "uniform_r": lambda p: 1 / (p * (1 - p)),
}
COSTS: dict[str, Callable[[Any], Any]] = {
    "updates": lambda p: 1.0 + 0 * p,
    "responses": lambda p: 1 / p,
}


def _optimised(id: str, clock: str, scheme: str) -> Comparison:
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
    return 0.0, float(np.abs(gap).max()), main(id, "theory").number


def theory_a1() -> Comparison:
    """Largest |ln ω − ln ω_GRPO| of the best weight on the regular clock, from 0.01."""
    return _optimised("A1", "updates", "grpo")


def theory_a2() -> Comparison:
    """Largest |ln ω − ln ω_Sqrt-R| of the best weight on the effective clock, from 0.01."""
    return _optimised("A2", "responses", "sqrt_r")


def _quad(function: Callable[[float], float], start: float) -> float:
    return float(integrate.quad(function, start, TARGET, epsrel=1e-10, epsabs=0, limit=500)[0])


def _excess(weight: Callable[[float], float], start: float, clock: str) -> float:
    """Excess time of a weight, T·B/(T*B), by plain quadrature in ρ."""
    cost = COSTS[clock]
    time = _quad(lambda p: cost(p) / (weight(p) * p * (1 - p)), start)
    least = _quad(lambda p: math.sqrt(cost(p) / (p * (1 - p))), start)
    return time * _quad(weight, start) / least**2


def theory_a3() -> Comparison:
    """Largest relative difference of a tabulated excess time from its quadrature."""
    gaps = [
        abs(_excess(weight, start, clock) / tabulated - 1)
        for (start, clock), row in EXCESS_TIMES.items()
        for weight, tabulated in zip(WEIGHTS.values(), row, strict=True)
    ]
    return 0.0, max(gaps), main("A3", "theory").number  # the table has four significant digits


def theory_o2() -> Comparison:
    """Excess time of GRPO from 0.01 at M = 16 (1.555 in the limit), effective clock."""
    coefficients = moment_tables("grpo", 16)[0]

    def weight(success: float) -> float:
        return float(stats.binom.pmf(np.arange(16), 15, success) @ coefficients)

    return 2.29, _excess(weight, 0.01, "responses"), 0.005


def excess_times(
    lab: Lab,
    name: str,
    *,
    start: float,
    group_size: int | None,
    clock: str,
    rate: float,
    prompts: int,
    seeds: int,
) -> dict[str, np.ndarray]:
    """Measured T·B / T*B* of every weighted scheme, one value per seed.

    Time is the clock's cost times η, the budget ∫ω dρ that of the weights realised; both learning
    rates and budgets cancel but for their product, which ``same_budget`` makes equal.

    Args:
        lab: Where to run.
        name: Run folder.
        start: ρ₀ of every prompt.
        group_size: M of sampled natural gradients; none for exact steps in the population limit.
        clock: ``"updates"`` or ``"responses"``.
        rate: GRPO's η, small: the comparison is of flows.
        prompts: Prompts averaged over.
        seeds: Seeds.
    """
    config = SimulationConfig(
        schemes=WEIGHTED,
        seeds=seeds,
        seed=lab.first_seed,
        prompts=prompts,
        answers=2,
        correct_answers=1,
        start=start,
        target=TARGET,
        group_size=group_size,
        pass_k=(1,),
        comparison="same_budget",
        learning_rate=rate,
        learner="mirror" if group_size is None else "natural",
        measure_every=20,
        checkpoint_every=50,
        steps=_steps(start, group_size, rate),
    )
    metrics = lab.run(config, name)
    counted = CLOCKS[clock].metric.removeprefix("clock/")
    norm = 1 / optimal_weight(start, TARGET, clock=clock).time
    product = learning_rates(config)["grpo"] * weight_budget(config, SCHEMES["grpo"])
    # Unit-budget optimum: T* = (∫g b)² / B with B = 1.
    return {s: t * product * norm for s, t in times(metrics, TARGET, counted).items()}


def predictions(start: float, group_size: int | None, clock: str) -> dict[str, float]:
    """Excess times by quadrature."""
    return optimal_weight(start, TARGET, clock=clock).excess_of_all(
        WEIGHTED, group_size, hypothetical=True
    )


def simulation_a1(lab: Lab) -> Finding:
    """On the regular clock the optimal weight is GRPO's."""
    return _optimal(
        "A1", "On the regular clock the optimal weight is GRPO's", "updates", "grpo", lab
    )


def simulation_a2(lab: Lab) -> Finding:
    """On the effective clock the optimal weight is Sqrt-R's."""
    return _optimal(
        "A2", "On the effective clock the optimal weight is Sqrt-R", "responses", "sqrt_r", lab
    )


def _optimal(id: str, claim: str, clock: str, best: str, lab: Lab) -> Finding:
    checks: list[Check] = []
    goal = main(id, "sim")
    starts = (0.01,) if lab.quick else (0.001, 0.01, 0.1, 0.38)
    for start in starts:
        measured = excess_times(
            lab,
            f"start-{start:g}",
            start=start,
            group_size=None,
            clock=clock,
            rate=0.01 if lab.quick else 0.002,
            prompts=1,
            seeds=1,
        )
        where = f"start {start:g}"
        own = list(measured[best])
        checks.append(
            near(
                "excess time",
                goal.number,
                own,
                goal.tolerance,
                scheme=best,
                regime=where,
                exact=True,
            )
        )
        for scheme in WEIGHTED:
            if scheme != best:
                ratio = list(measured[scheme] / measured[best])
                about = compared(scheme, best, "ratio", where, exact=True)
                checks.append(above("excess time", 1.0, ratio, **about))
    regimes = [f"exact mirror steps, population limit, start {start:g}" for start in starts]
    return finding(id, claim, checks, regimes, quick=lab.quick)


def simulation_a3(lab: Lab) -> Finding:
    """Excess times match the table and its finite-group version within 5 %."""
    cases = [(0.1, 16)] if lab.quick else [(s, m) for s in (0.01, 0.1, 0.38) for m in (4, 16, 64)]
    checks, regimes = [], []
    for start, group_size in cases:
        for clock in ("responses",) if lab.quick else ("updates", "responses"):
            measured = _sampled(lab, start, group_size, clock)
            predicted = predictions(start, group_size, clock)
            for scheme in WEIGHTED:
                regime = f"start {start:g}, M = {group_size}, {clock} counted"
                values = list(measured[scheme])
                checks.append(
                    near(
                        "excess time",
                        predicted[scheme],
                        values,
                        main("A3", "sim").tolerance,
                        scheme=scheme,
                        regime=regime,
                    )
                )
        regimes.append(f"sampled natural gradient, start {start:g}, M = {group_size}")
    claim = "Excess times of every scheme match the prediction for their group size within 5 %"
    return finding("A3", claim, checks, regimes, quick=lab.quick)


def simulation_o2(lab: Lab) -> Finding:
    """Finite groups make GRPO's from-scratch penalty larger than the limit says."""
    start = 0.01
    measured = _sampled(lab, start, 16, "responses")["grpo"]
    predicted = predictions(start, 16, "responses")["grpo"]
    limit = predictions(start, None, "responses")["grpo"]
    checks = [
        near("excess time", predicted, list(measured), main("O2", "sim").tolerance, scheme="grpo"),
        above("excess time against the population limit", limit, list(measured), scheme="grpo"),
    ]
    claim = "Finite groups make GRPO's from-scratch penalty larger than the limit says"
    return finding("O2", claim, checks, [f"natural gradient, {start:g}, M = 16"], quick=lab.quick)


def _sampled(lab: Lab, start: float, group_size: int, clock: str) -> dict[str, np.ndarray]:
    rate = (0.01 if start >= 0.1 else 0.004) if lab.quick else (0.004 if start >= 0.1 else 0.001)
    return excess_times(
        lab,
        f"start-{start:g}-group-{group_size}",
        start=start,
        group_size=group_size,
        clock=clock,
        rate=rate,
        prompts=256 if lab.quick else 1024,
        seeds=3 if lab.quick else 5,
    )


def _steps(start: float, group_size: int | None, rate: float) -> int:
    """Updates that the slowest scheme needs by the prediction, and a third more, in twenties."""
    unit = optimal_weight(start, TARGET, clock="updates").time
    worst = max(predictions(start, group_size, "updates").values())
    config = SimulationConfig(
        schemes=("grpo",),
        start=start,
        target=TARGET,
        group_size=group_size,
        prompts=1,
        learner="mirror" if group_size is None else "natural",
    )
    needed = worst * unit / (rate * weight_budget(config, SCHEMES["grpo"]))
    return 20 * int(1 + 4 / 3 * needed / 20)
