"""O7 and O12: what Sqrt-R gains on GRPO where prompts are unequal and share parameters, and why.

Both look at the same runs: log-linear policies that share a rule, each scheme at its own rate.
"""

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

_WEIGHTS_ALONE = "rescaled:weights=sqrt_r,scale=grpo"
_SCALE_ALONE = "rescaled:weights=grpo,scale=sqrt_r"
_SCRATCH = ("spread from scratch", "spread from scratch, Adam")
_OWN_SPREAD, _FEW_ANSWERS, _PROMPTS = 6.0, (1.0, 1.0), 32
_QUANTITY = "responses to the target in fixed groups"


def theory_o7() -> list[Check]:
    """Cost of Sqrt-R over GRPO's, on unequal and on equal prompts."""
    return [
        *_against_grpo("O7", "main", 0.05, 0.6, _OWN_SPREAD, "unequal prompts"),
        *_against_grpo("O7", "equal", 0.05, 0.6, 0.0, "equal prompts"),
    ]


def theory_o12() -> list[Check]:
    """Cost of Sqrt-R over GRPO's on prompts as unequal as training makes them."""
    return [
        *_against_grpo("O12", "main", 0.05, 0.6, _OWN_SPREAD, "from scratch"),
        *_against_grpo("O12", "main", 0.4, 0.8, _OWN_SPREAD, "after fine-tuning"),
    ]


def _against_grpo(
    id: str, name: str, start: float, target: float, spread: float, words: str
) -> list[Check]:
    *costs, grpo = path_costs(
        [KEPT, DROPPED, "grpo"],
        spread_odds(start, spread, _PROMPTS),
        sharing=0.5,
        target=target,
        group_size=16,
        concentration=_FEW_ANSWERS,
    )[:, 0]
    return [
        bound(id, "theory", name).check(
            "time × energy of scores",
            [float(np.log(cost / grpo))],
            **compared(scheme, "grpo", "log ratio", words, exact=True),
        )
        for scheme, cost in zip((KEPT, DROPPED), costs, strict=True)
    ]


def simulation_o7(lab: Lab) -> Finding:
    """Sqrt-R gains by its weights, neither by the scale of updates nor by all-wrong groups."""
    checks: list[Check] = []
    for regime in _SCRATCH[: 1 if lab.quick else None]:
        metrics = _trained(lab, regime)
        checks += [
            bound("O7", "sim").check(
                _QUANTITY,
                metrics.log_ratio(_WEIGHTS_ALONE, "grpo"),
                **metrics.times_of(_WEIGHTS_ALONE, "grpo", regime=regime),
            ),
            *(
                _alike("O7", metrics, scheme, reference)
                for scheme, reference in ((_SCALE_ALONE, "grpo"), (DROPPED, KEPT))
            ),
        ]
    return finding("O7", said(simulation_o7), checks, _SCRATCH, quick=lab.quick)


def simulation_o12(lab: Lab) -> Finding:
    """Sqrt-R needs no more responses than GRPO where prompts share, and fewer where they differ."""
    regimes = list(family("unequal").fields)
    checks: list[Check] = []
    words = []
    for regime in regimes[: 1 if lab.quick else None]:
        metrics = _trained(lab, regime)
        checks += _of_regime(metrics)
        words.append(f"{regime}: {_made_unequal(metrics)}")
    return finding("O12", said(simulation_o12), checks, words, quick=lab.quick)


def _trained(lab: Lab, regime: str) -> Metrics:
    return trained(lab, "unequal", regime, clock="responses", shared="unequal")


def _of_regime(metrics: Metrics) -> list[Check]:
    checks = []
    for scheme in (KEPT, DROPPED):
        logs = metrics.log_ratio(scheme, "grpo")
        about = metrics.times_of(scheme, "grpo", regime=metrics.name)
        checks.append(bound("O12", "sim").check(_QUANTITY, logs, **about))
        if metrics.name.startswith("spread"):
            checks.append(bound("O12", "sim", "spread").check(_QUANTITY, logs, **about))
    checks.append(_alike("O12", metrics, DROPPED, KEPT))
    return checks + [
        bound("O12", "sim", "family").check(
            _QUANTITY,
            metrics.log_ratio(CENTRE, other),
            **metrics.times_of(CENTRE, other, regime=metrics.name),
        )
        for other in metrics.schemes()
        if other in FAMILY and other != CENTRE
    ]


def _alike(id: str, metrics: Metrics, scheme: str, reference: str) -> Check:
    ratio = np.exp(metrics.log_ratio(scheme, reference))
    about = metrics.times_of(scheme, reference, "ratio", metrics.name)
    return bound(id, "sim", "alike").check(_QUANTITY, ratio, **about)


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
