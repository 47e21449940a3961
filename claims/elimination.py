"""O8: with few answers to independent prompts, −1 on all-wrong groups crosses answers off.

An all-wrong group that is penalised lowers the answers it drew. Where there are eight, those that
are left are soon the right one; where there are hundreds, it says next to nothing. Regimes differ
in the number of answers alone. Adam moves answers that were hardly drawn as far as others, the
natural gradient lowers an answer by what it was drawn over its probability.
"""

from __future__ import annotations

from claims.metrics import Metrics
from claims.simulation.lab import Lab
from claims.simulation.regimes import family, trained
from claims.spec import bound
from claims.verdicts import Check, Finding, primary_regime, said

_PAIRS = (("grpo:zero=1", "grpo"), ("sqrt_r", "sqrt_r:zero_success=drop"))
"""Schemes with −1 on all-wrong groups, and the same without."""

_NAMES = {"8": "main", "64": "between", "512": "many"}
"""Answers → the bound."""

_ADAM, _NATURAL = "Adam", "natural gradient"


def simulation_o8(lab: Lab) -> Finding:
    """−1 on all-wrong groups wins with 8 answers to a prompt and no longer with 512."""
    regimes = list(family("answers").fields)
    outcomes: dict[str, list[Check]] = {_ADAM: [], _NATURAL: []}
    for regime in regimes[: 1 if lab.quick else None]:
        learner = _NATURAL if regime.endswith(_NATURAL) else _ADAM
        outcomes[learner] += _checks(trained(lab, "answers", regime, clock="responses"))
    found = {learner: checks for learner, checks in outcomes.items() if checks}
    return primary_regime("O8", said(simulation_o8), found, quick=lab.quick)


def _checks(metrics: Metrics) -> list[Check]:
    answers = metrics.name.partition(" ")[0]
    return [
        bound("O8", "sim", _NAMES[answers]).check(
            f"responses to the target with {answers} answers",
            metrics.log_ratio(scheme, reference),
            **metrics.times_of(scheme, reference),
        )
        for scheme, reference in _PAIRS
    ]
