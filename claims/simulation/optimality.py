"""A1, A2, A3 and O2: excess times of the schemes, measured under the mirror dynamics."""

from __future__ import annotations

import numpy as np

from claims.simulation.common import WEIGHTED, Lab, times
from claims.verdicts import Check, Finding, above, compared, finding, near
from sim.config import SimulationConfig
from sim.rates import learning_rates, weight_budget
from theory.optimal import optimal_weight

TARGET = 0.9


def excess_times(
    lab: Lab, name: str, *, start: float, group_size: int | None, clock: str, rate: float,
    prompts: int, seeds: int,
) -> dict[str, np.ndarray]:  # fmt: skip
    """Measured T·B / T*B* of every weighted scheme, one value per seed.

    Time is the clock's cost times η, the budget ∫ω dρ that of the weights realised; both learning
    rates and budgets cancel but for their product, which ``same_budget`` makes equal.

    Args:
        lab: Where to run.
        name: Run folder.
        start: ρ₀ of every prompt.
        group_size: M of sampled natural gradients; none for exact steps in the population limit.
        clock: ``"regular"`` or ``"effective"``.
        rate: GRPO's η, small: the comparison is of flows.
        prompts: Prompts averaged over.
        seeds: Seeds.
    """
    config = SimulationConfig(
        schemes=WEIGHTED, seeds=seeds, seed=lab.first_seed, prompts=prompts, answers=2,
        correct_answers=1, start=start, target=TARGET, group_size=group_size, pass_k=(1,),
        comparison="same_budget", learning_rate=rate,
        learner="mirror" if group_size is None else "natural",
        measure_every=20, checkpoint_every=50, steps=_steps(start, group_size, rate),
    )  # fmt: skip
    metrics = lab.run(config, name)
    clock_name = "updates" if clock == "regular" else clock
    norm = 1 / optimal_weight(start, TARGET, clock=clock).time
    product = learning_rates(config)["grpo"] * weight_budget(config, "grpo")
    # Unit-budget optimum: T* = (∫g b)² / B with B = 1.
    return {s: t * product * norm for s, t in times(metrics, TARGET, clock_name).items()}


def predictions(start: float, group_size: int | None, clock: str) -> dict[str, float]:
    """Excess times by quadrature."""
    return optimal_weight(start, TARGET, clock=clock).excess_of_all(WEIGHTED, group_size)


def a1(lab: Lab) -> Finding:
    """On the regular clock the optimal weight is GRPO's."""
    return _optimal("A1", "On the regular clock the optimal weight is GRPO's", "regular", "grpo",
                    lab)  # fmt: skip


def a2(lab: Lab) -> Finding:
    """On the effective clock the optimal weight is Sqrt-R's."""
    return _optimal("A2", "On the effective clock the optimal weight is Sqrt-R", "effective",
                    "sqrt_r", lab)  # fmt: skip


def _optimal(
    id: str, claim: str, clock: str, best: str, lab: Lab
) -> Finding:  # fmt: skip
    checks: list[Check] = []
    starts = (0.01,) if lab.quick else (0.001, 0.01, 0.1, 0.38)
    for start in starts:
        measured = excess_times(
            lab, f"start-{start:g}", start=start, group_size=None, clock=clock,
            rate=0.01 if lab.quick else 0.002, prompts=1, seeds=1,
        )  # fmt: skip
        where = f"start {start:g}"
        own = list(measured[best])
        checks.append(near("excess time", 1.0, own, 0.02, scheme=best, regime=where, exact=True))
        for scheme in WEIGHTED:
            if scheme != best:
                ratio = list(measured[scheme] / measured[best])
                about = compared(scheme, best, "ratio", where, exact=True)
                checks.append(above("excess time", 1.0, ratio, **about))
    regimes = [f"exact mirror steps, population limit, start {start:g}" for start in starts]
    return finding(id, claim, checks, regimes, quick=lab.quick)


def a3(lab: Lab) -> Finding:
    """Excess times match the table and its finite-group version within 5 %."""
    cases = [(0.1, 16)] if lab.quick else [(s, m) for s in (0.01, 0.1, 0.38) for m in (4, 16, 64)]
    checks, regimes = [], []
    for start, group_size in cases:
        for clock in ("effective",) if lab.quick else ("regular", "effective"):
            measured = _sampled(lab, start, group_size, clock)
            predicted = predictions(start, group_size, clock)
            for scheme in WEIGHTED:
                regime = f"start {start:g}, M = {group_size}, {clock} clock"
                values = list(measured[scheme])
                checks.append(
                    near(
                        "excess time", predicted[scheme], values, 0.05, scheme=scheme, regime=regime
                    )
                )
        regimes.append(f"sampled natural gradient, start {start:g}, M = {group_size}")
    claim = "Excess times of every scheme match the prediction for their group size within 5 %"
    return finding("A3", claim, checks, regimes, quick=lab.quick)


def o2(lab: Lab) -> Finding:
    """Finite groups make GRPO's from-scratch penalty larger than the limit says."""
    start = 0.01
    measured = _sampled(lab, start, 16, "effective")["grpo"]
    predicted = predictions(start, 16, "effective")["grpo"]
    limit = predictions(start, None, "effective")["grpo"]
    checks = [
        near("excess time", predicted, list(measured), 0.05, scheme="grpo"),
        above("excess time against the population limit", limit, list(measured), scheme="grpo"),
    ]
    claim = "Finite groups make GRPO's from-scratch penalty larger than the limit says"
    return finding("O2", claim, checks, [f"natural gradient, {start:g}, M = 16"], quick=lab.quick)


def _sampled(lab: Lab, start: float, group_size: int, clock: str) -> dict[str, np.ndarray]:
    rate = (0.01 if start >= 0.1 else 0.004) if lab.quick else (0.004 if start >= 0.1 else 0.001)
    return excess_times(
        lab, f"start-{start:g}-group-{group_size}", start=start, group_size=group_size,
        clock=clock, rate=rate, prompts=256 if lab.quick else 1024, seeds=3 if lab.quick else 5,
    )  # fmt: skip


def _steps(start: float, group_size: int | None, rate: float) -> int:
    """Updates that the slowest scheme needs by the prediction, and a third more, in twenties."""
    unit = optimal_weight(start, TARGET, clock="regular").time
    worst = max(predictions(start, group_size, "regular").values())
    config = SimulationConfig(
        schemes=("grpo",), start=start, target=TARGET, group_size=group_size, prompts=1,
        learner="mirror" if group_size is None else "natural",
    )  # fmt: skip
    needed = worst * unit / (rate * weight_budget(config, "grpo"))
    return 20 * int(1 + 4 / 3 * needed / 20)
