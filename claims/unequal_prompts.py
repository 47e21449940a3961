"""O12: among unequal prompts that share parameters Sqrt-R needs no more responses than GRPO."""

from __future__ import annotations

import itertools

import numpy as np

from claims.metrics import Metrics
from claims.simulation.lab import Lab
from claims.simulation.regimes import family, trained
from claims.spec import bound
from claims.verdicts import Check, Finding, compared, finding, said
from runs.text import number
from theory.sharing import path_costs, spread_odds

KEPT, DROPPED = "sqrt_r", "sqrt_r:zero_success=drop"
CENTRE = "power:a=1,b=0.5"
FAMILY = tuple(
    f"power:a={a:g},b={b:g}" for a, b in itertools.product((0.5, 1.0, 1.5), (0.0, 0.5, 1.0))
)
"""Power laws ω = ρ^−a (1 − ρ)^−b whose neighbours lie ½ apart, so that the best of them is within ¼
of the best of all in each power."""

_OWN_SPREAD, _FEW_ANSWERS, _PROMPTS = 6.0, (1.0, 1.0), 32
_QUANTITY = "responses to the target in fixed groups"


def theory_o12() -> list[Check]:
    """Cost of Sqrt-R over GRPO's on prompts as unequal as training makes them."""
    checks = []
    for words, start, target in (("from scratch", 0.05, 0.6), ("after fine-tuning", 0.4, 0.8)):
        odds = spread_odds(start, _OWN_SPREAD, _PROMPTS)
        kept, dropped, grpo = path_costs(
            [KEPT, DROPPED, "grpo"],
            odds,
            sharing=0.5,
            target=target,
            group_size=16,
            concentration=_FEW_ANSWERS,
        )[:, 0]
        checks += [
            bound("O12", "theory").check(
                "time × energy of scores",
                [float(np.log(cost / grpo))],
                **compared(scheme, "grpo", "log ratio", words, exact=True),
            )
            for scheme, cost in ((KEPT, kept), (DROPPED, dropped))
        ]
    return checks


def simulation_o12(lab: Lab) -> Finding:
    """Sqrt-R needs no more responses than GRPO where prompts share, and fewer where they differ."""
    regimes = list(family("unequal").fields)
    checks: list[Check] = []
    words = []
    for regime in regimes[: 1 if lab.quick else None]:
        metrics = trained(lab, "unequal", regime, clock="responses")
        checks += _of_regime(metrics)
        words.append(f"{regime}: {_made_unequal(metrics)}")
    return finding("O12", said(simulation_o12), checks, words, quick=lab.quick)


def _of_regime(metrics: Metrics) -> list[Check]:
    spread = "spread" in metrics.name
    checks = []
    for scheme in (KEPT, DROPPED):
        about = compared(
            scheme, "grpo", "log ratio", metrics.name, void=metrics.too_soon(scheme, "grpo")
        )
        logs = metrics.log_ratio(scheme, "grpo")
        checks.append(bound("O12", "sim").check(_QUANTITY, logs, **about))
        if spread:
            checks.append(bound("O12", "sim", "spread").check(_QUANTITY, logs, **about))
    ratio = np.exp(metrics.log_ratio(DROPPED, KEPT))
    about = compared(DROPPED, KEPT, "ratio", metrics.name, void=metrics.too_soon(DROPPED, KEPT))
    checks.append(bound("O12", "sim", "alike").check(_QUANTITY, ratio, **about))
    return checks + [
        bound("O12", "sim", "family").check(
            _QUANTITY,
            metrics.log_ratio(CENTRE, other),
            **compared(
                CENTRE, other, "log ratio", metrics.name, void=metrics.too_soon(CENTRE, other)
            ),
        )
        for other in metrics.schemes()
        if other in FAMILY and other != CENTRE
    ]


def _made_unequal(metrics: Metrics) -> str:
    """How unequal GRPO's prompts have become when it arrives."""
    spread = metrics.course("grpo", "odds_spread")
    updates = metrics.arrivals.query("scheme == 'grpo'").set_index("seed")["updates"]
    arrived = updates[np.isfinite(updates)].astype(int)
    ends = [spread.to_numpy()[spread.index.get_loc(seed), at] for seed, at in arrived.items()]
    return (
        f"GRPO's log-odds spread by {number(float(spread[0].mean()), decimals=1)} at the start "
        f"and by {number(float(np.mean(ends)), decimals=1)} at the target, "
        f"after {number(float(updates.median()), decimals=0)} updates"
    )
