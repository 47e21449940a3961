"""S1, S2 and S3: what choosing prompts by their pass rates saves, beside weights and without rates.

Theory: independent prompts, responses at equal path energy. Simulation: policies that share a rule,
updates of equal KL, the pool that the theory finds for the same starts and target.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from claims.metrics import Metrics
from claims.simulation.lab import Lab
from claims.simulation.publish import EVIDENCE
from claims.simulation.regimes import family, plain, trained
from claims.spec import bound
from claims.verdicts import Check, Finding, primary_regime, said
from theory._arrays import Floats
from theory.best_spending import BestSpending, best_spending
from theory.spending import SPENDING_RULES, spending_cost

SIZE, PROMPTS = 16, 64
STARTS = {
    "MATH, Qwen 0.5B": stats.beta(0.137, 1.52),
    "after fine-tuning": stats.beta(0.4, 0.6),
    "from scratch": stats.loguniform(0.0005, 0.3),
}
"""Pass rates of the regimes. The first decides: the fit to how often Qwen2.5-Coder-0.5B solves 192
problems of MATH, four tries each (``claims/evidence/llm/qwen-math-map``)."""

NAMED = tuple(name for name in SPENDING_RULES if name not in ("uniform", "pool"))
"""Rules that are run beside the best pool."""

BEST = "Best choice"
OTHER = "sqrt_r:zero_success=drop"
_QUANTITY = "responses to the target, {} over all prompts alike"


def _rates(regime: str) -> Floats:
    middles = (np.arange(PROMPTS) + 0.5) / PROMPTS
    return np.asarray(np.clip(STARTS[regime].ppf(middles), 1e-6, 1 - 1e-9))


@functools.cache
def _best(regime: str, *, free_scale: bool = False) -> BestSpending:
    return best_spending(_rates(regime), _target(regime), sizes=SIZE, free_scale=free_scale)


def _target(regime: str) -> float:
    return float(family("spending").fields[regime]["target"])


def spending_table() -> pd.DataFrame:
    """Responses at equal path energy of ways to spend, over those of GRPO on all prompts alike.

    Returns:
        Columns regime, target, way and ratio (∞ where the target is not reached), a row per way.
    """
    rows = []
    for regime in STARTS:
        rates, target = _rates(regime), _target(regime)
        alike = spending_cost("uniform", rates, target, group_size=SIZE).product
        ways = {
            rule.title: spending_cost(rule, rates, target, group_size=SIZE).product
            for rule in SPENDING_RULES.values()
            if rule.name != "uniform"
        }
        ways[BEST] = _best(regime).product
        ways[f"{BEST}, sizes and weights"] = best_spending(rates, target, free_scale=True).product
        rows += [(regime, target, way, cost / alike) for way, cost in ways.items()]
    return pd.DataFrame(rows, columns=["regime", "target", "way", "ratio"])


def simulated_spending() -> pd.DataFrame:
    """Responses to the target of ways to spend, over those of all prompts alike, as published.

    Returns:
        Columns regime, target, way, ratio, low and high, a row per way that S1 and S3 have run.
        Intervals are 95 % ones of two times that are not paired, wider than paired ones.
    """
    tables = [pd.read_csv(EVIDENCE / f"{id}.csv") for id in ("S1", "S3")]
    table = pd.concat(tables).query(
        "metric == 'time' and clock == 'responses' and scheme == 'grpo'"
    )
    times = table.drop_duplicates("run").set_index("run")[["mean", "low", "high"]]
    names = {"pool": BEST, "counts": f"{BEST}, by counts"}
    names |= {name: SPENDING_RULES[name].title for name in NAMED}
    rows = []
    for regime in STARTS:
        alike = times.loc[f"{plain(regime)}-all"]
        for by, way in names.items():
            time = times.loc[f"{plain(regime)}-{by}"]
            ratio = time["mean"] / alike["mean"]
            half = np.hypot(*(np.log(one["high"] / one["mean"]) for one in (time, alike)))
            ends = ratio * np.exp([-half, half])
            rows.append((regime, _target(regime), way, ratio, *ends))
    return pd.DataFrame(rows, columns=["regime", "target", "way", "ratio", "low", "high"])


def theory_s1() -> list[Check]:
    """Responses of the best pool over those of all prompts alike."""
    checks = []
    for regime in STARTS:
        alike = spending_cost("uniform", _rates(regime), _target(regime), group_size=SIZE)
        checks.append(
            bound("S1", "theory").check(
                "responses at equal path energy, best pool over all prompts alike",
                [float(np.log(_best(regime).product / alike.product))],
                scheme="grpo",
                regime=regime,
                exact=True,
            )
        )
    return checks


def theory_s2() -> list[Check]:
    """Responses of the best pool with any weights over those with GRPO's."""
    return [
        bound("S2", "theory").check(
            "responses at equal path energy in the best pool, best weights over GRPO's",
            [float(np.log(_best(regime, free_scale=True).product / _best(regime).product))],
            regime=regime,
            exact=True,
        )
        for regime in STARTS
    ]


def simulation_s1(lab: Lab) -> Finding:
    """The best pool reaches the target in at least 15 % fewer responses."""

    def judged(regime: str) -> Check:
        alike, pool = _run(lab, regime), _run(lab, regime, "pool")
        for rule in NAMED if not lab.quick else ():
            _run(lab, regime, rule)
        return bound("S1", "sim").check(
            _QUANTITY.format("best pool"),
            pool.log_ratio_to(alike, "grpo"),
            scheme="grpo",
            void=alike.too_soon("grpo"),
        )

    return _judged("S1", said(simulation_s1), lab, judged)


def simulation_s2(lab: Lab) -> Finding:
    """In the best pool Sqrt-R saves less than 5 % over GRPO."""

    def judged(regime: str) -> Check:
        pool = _run(lab, regime, "pool")
        return bound("S2", "sim").check(
            "responses to the target in the best pool",
            pool.log_ratio(OTHER, "grpo"),
            **pool.times_of(OTHER, "grpo"),
        )

    return _judged("S2", said(simulation_s2), lab, judged)


def simulation_s3(lab: Lab) -> Finding:
    """Counts save at least 80 % of what true pass rates save."""

    def judged(regime: str) -> Check:
        alike, pool, counts = (_run(lab, regime, by) for by in ("", "pool", "counts"))
        return bound("S3", "sim").check(
            "share of responses saved by counts minus 0.8 of that by true pass rates",
            counts.saving(alike, "grpo") - 0.8 * pool.saving(alike, "grpo"),
            scheme="grpo",
            void=alike.too_soon("grpo"),
        )

    return _judged("S3", said(simulation_s3), lab, judged)


def _judged(id: str, claim: str, lab: Lab, judged: Callable[[str], Check]) -> Finding:
    """The finding of a claim with one check a regime; the first regime decides."""
    regimes = list(STARTS)[: 1 if lab.quick else None]
    outcomes = {regime: [judged(regime)] for regime in regimes}
    pools = ((regime, _best(regime).pool) for regime in regimes)
    words = (f"{regime}: pool from {low:.3g} to {high:.3g}" for regime, (low, high) in pools)
    found = primary_regime(id, claim, outcomes, quick=lab.quick)
    return dataclasses.replace(found, regimes=tuple(words))


def _run(lab: Lab, regime: str, by: str = "") -> Metrics:
    """All prompts alike, the best pool by true pass rates or by counts, or a rule of the theory.

    Rules are for the picture: they are run with GRPO alone.
    """
    changes: dict[str, Any] = {}
    if by in NAMED:
        changes = {"spending": by, "schemes": ("grpo",)}
    elif by:
        low, high = _best(regime).pool
        source = "counts" if by == "counts" else "truth"
        changes = {"spending": f"pool:low={low:.3g},high={high:.3g}", "spending_by": source}
    folder = f"{plain(regime)}-{by or 'all'}"
    return trained(lab, "spending", regime, folder, "responses", "spending", **changes)
