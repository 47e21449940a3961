"""O2, O5 and O6: what changes when a statement about time is made for one sampling design.

Theory: quadrature with SciPy's binomial, and the certified optimum over tables. Simulation: groups
are drawn response by response until they are accepted, and every response counts.
"""

from __future__ import annotations

import math

import numpy as np
from scipy import integrate

from claims.exact import DESIGN_WORDS, GROUPS, TARGET, design_costs, design_moments
from claims.sampled_groups import Walk, mean_drift, walk
from claims.simulation.lab import Lab
from claims.spec import bound
from claims.verdicts import Check, Finding, compared, finding, said
from theory._arrays import Floats
from theory.best_tables import BestTable, best_table
from theory.optimal import optimal_weight
from theory.schemes import resolve

SIZE, START, PROMPTS = 16, 0.01, 64
_WORDS = f"groups of 16 drawn response by response from 0.01, {PROMPTS} prompts a seed"


def excess_time(scheme: str, size: int, start: float, design: str) -> float:
    """Responses times budget ∫ω dρ over the least of the design's clock, (∫√(c/v) dρ)²."""
    responses, _, spent = design_costs(scheme, size, start, design)
    return responses * spent / least_product(size, start, design)


def least_product(size: int, start: float, design: str) -> float:
    """Least responses times budget ∫ω dρ of any weight on a design's clock, (∫√(c/v) dρ)²."""

    def slowness(success: float) -> float:
        _, _, cost = design_moments("grpo", size, np.array([success]), design)
        return math.sqrt(float(cost[0]) / (success * (1 - success)))

    return float(integrate.quad(slowness, start, TARGET, epsrel=1e-9, limit=200)[0]) ** 2


def theory_o2() -> list[Check]:
    """GRPO's excess time in each design at M = 16 from 0.01, and the order of schemes."""
    found = {d: [excess_time(s, SIZE, START, d) for s in ("grpo", "sqrt_r")] for d in GROUPS}
    limit = optimal_weight(START, TARGET, clock="responses").excess("grpo")
    worst = max(found, key=lambda design: found[design][0])
    return [
        bound("O2", "theory").check(
            f"largest excess time of all designs, that of {DESIGN_WORDS[worst]}",
            [found[worst][0]],
            scheme="grpo",
            exact=True,
        ),
        bound("O2", "theory", "population").check(
            "excess time in the population on the clock 1/ρ", [limit], scheme="grpo", exact=True
        ),
        *(
            bound("O2", "theory", "order").check(
                f"excess time in {DESIGN_WORDS[design]}",
                [sqrt_r / grpo],
                **compared("sqrt_r", "grpo", "ratio", exact=True),
            )
            for design, (grpo, sqrt_r) in found.items()
        ),
    ]


def theory_o5() -> list[Check]:
    """Time × energy of GRPO over the best table's, and the best table's penalty at K = 0."""
    ratios: dict[tuple[str, float], float] = {}
    for design in GROUPS:
        for start in (START, 0.1, 0.4):
            responses, energy, _ = design_costs("grpo", SIZE, start, design)
            ratios[design, start] = responses * energy / _best(design, start).product
    worst = max(ratios, key=lambda case: ratios[case])
    best = _best("fixed", START)
    where = f"{DESIGN_WORDS[worst[0]]} from {worst[1]:g}"
    return [
        bound("O5", "theory").check(
            f"largest time × energy over the best table's, that in {where}",
            [ratios[worst]],
            scheme="grpo",
            exact=True,
        ),
        bound("O5", "theory", "scratch").check(
            "time × energy over the best table's in fixed groups from 0.01",
            [ratios["fixed", START]],
            scheme="grpo",
            exact=True,
        ),
        bound("O5", "theory", "penalty").check(
            "best table's penalty of an all-wrong group over a⁺ at K = 8",
            [float(best.negative[0] / best.positive[SIZE // 2])],
            exact=True,
        ),
    ]


def _best(design: str, start: float) -> BestTable:
    """The certified best table; no table where the certificate fails."""
    found = best_table(design=design, group_size=SIZE, start=start, target=TARGET)
    if not found.converged:
        raise ArithmeticError(f"the best table of {design} from {start:g}: {found.message}")
    return found


def theory_o6() -> list[Check]:
    """Slope of ln ω in ln ρ of GRPO from 0.001 to 0.01."""
    return [
        bound("O6", "theory", "fixed" if design == "fixed" else "main").check(
            f"slope of ln ω in ln ρ in {words}",
            [_slope(design_moments("grpo", SIZE, np.array([0.001, 0.01]), design)[0])],
            scheme="grpo",
            exact=True,
        )
        for design, words in reversed(DESIGN_WORDS.items())
    ]


def _slope(drift: Floats) -> float:
    return float(np.log(drift[1] / drift[0]) / np.log(10))


def simulation_o2(lab: Lab) -> Finding:
    """Finite groups change the order of schemes: GRPO is near the best weight in every design."""
    checks: list[Check] = []
    for design, words in DESIGN_WORDS.items():
        grpo, sqrt_r = (
            sampled(lab, scheme, SIZE, START, design).weight_product
            for scheme in ("grpo", "sqrt_r")
        )
        least = least_product(SIZE, START, design)
        checks += [
            bound("O2", "sim").check(
                f"excess time in {words}", grpo / least, unit="ratio", scheme="grpo"
            ),
            bound("O2", "sim", "order").check(
                f"excess time in {words}", sqrt_r / grpo, **compared("sqrt_r", "grpo", "ratio")
            ),
        ]
    return finding("O2", said(simulation_o2), checks, [_WORDS], quick=lab.quick)


def simulation_o5(lab: Lab) -> Finding:
    """GRPO is near the best table however groups of 16 are drawn."""
    checks: list[Check] = []
    for design, words in DESIGN_WORDS.items():
        best = _best(design, START)
        grpo = sampled(lab, "grpo", SIZE, START, design).energy_product
        checks.append(
            bound("O5", "sim").check(
                f"time × energy over the best table's in {words}",
                grpo / best.product,
                unit="ratio",
                scheme="grpo",
            )
        )
    tables = (_best("fixed", START).positive, _best("fixed", START).negative)
    own = sampled(lab, tables, SIZE, START, "fixed").energy_product
    checks.append(
        bound("O5", "sim", "best").check(
            "time × energy of the best table over its own product in fixed groups",
            own / _best("fixed", START).product,
            unit="ratio",
        )
    )
    return finding("O5", said(simulation_o5), checks, [_WORDS], quick=lab.quick)


def simulation_o6(lab: Lab) -> Finding:
    """With real waiting GRPO's conditional weight has Linear-R's shape."""
    checks = []
    for design in ("until_any", "until_mixed"):
        drifts = [
            mean_drift("grpo", SIZE, rho, design, groups=_groups(lab), seeds=_seeds(lab), seed=seed)
            for seed, rho in enumerate((0.001, 0.01), start=lab.first_seed)
        ]
        slopes = [_slope(np.array(pair)) for pair in zip(*drifts, strict=True)]
        words = f"slope of ln ω in ln ρ in {DESIGN_WORDS[design]}"
        checks.append(bound("O6", "sim").check(words, slopes, scheme="grpo"))
    regimes = ["groups of 16 drawn response by response at pass rates of 0.001 and 0.01"]
    return finding("O6", said(simulation_o6), checks, regimes, quick=lab.quick)


def sampled(
    lab: Lab,
    scheme: str | tuple[Floats, Floats],
    size: int,
    start: float,
    design: str,
) -> Walk:
    """Walk of a scheme in a design, at a step at which the flow takes some thousand updates."""
    tables = resolve(scheme).table(size) if isinstance(scheme, str) else scheme
    return walk(
        tables,
        size,
        start,
        TARGET,
        design,
        updates=500 if lab.quick else 2000,
        prompts=PROMPTS,
        seeds=_seeds(lab),
        seed=lab.first_seed,
    )


def _seeds(lab: Lab) -> int:
    return 5 if lab.quick else lab.seeds or 20


def _groups(lab: Lab) -> int:
    return 5_000 if lab.quick else 20_000
