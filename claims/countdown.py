"""A4, L3, N2 to N4, N6, O7 and S1 to S3 on the small Countdown, where all can come out either way.

Prompts have several right answers, and many held-out ones are never solved in 256 tries. Diversity
is read where held-out pass@1 has risen by the same amount; a scheme that gets there under fewer
than five seeds has no verdict. Success and pass@k are exact, so all noise is that of training.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from claims.language_model.settings import DROPPED, RESCALED
from claims.metrics import ASYMMETRIC, KS, Metrics, model_metrics
from claims.reinforcement import known, n4_checks, n6_check, paired
from claims.spec import bound
from claims.verdicts import BASE, Check, compared

LARGER = "countdown-35-post-sft"
"""Setting with numbers up to 35, whose model starts at 0.4."""


class _Reading(NamedTuple):
    """Where schemes are compared: at what rise of held-out pass@1, and what many tries are.

    The rise is an eighth of what the model starts from.
    """

    gain: float = 0.02
    tries: int = KS[-1]

    @property
    def large(self) -> str:
        """Pass rate at the large number of tries."""
        return f"pass@{self.tries}"


_READINGS = {LARGER: _Reading(0.05, 64)}
"""Settings that are read elsewhere: this one solves 99 % within 256 tries before training."""
_TIME = "responses to the target"


def l3(metrics: Metrics) -> list[Check]:
    """LENS is at or above GRPO at every pass@k along training."""
    return [
        bound("L3", "llm").check(
            f"mean {metric} over training",
            metrics.mean_lead("lens", "grpo", metric),
            **compared("lens", "grpo", void=metrics.settled("grpo", metric)),
        )
        for metric in model_metrics()
    ]


def n2(common: Metrics, faster: Metrics | None = None) -> list[Check]:
    """NSR alone raises pass@1 and keeps pass@k at or above base for every k.

    Where NSR gains too little at the rate that all share, pass@k is read at twice that.
    """
    return [
        _raised("N2", common, "nsr"),
        *(
            _changed("N2", "kept", faster or common, "nsr", f"pass@{k}")
            for k in KS
            if k <= _reading(common).tries
        ),
    ]


def n3(metrics: Metrics) -> list[Check]:
    """PSR raises pass@1 and falls below base at large k."""
    return [
        _raised("N3", metrics, "psr"),
        _changed("N3", "falls", metrics, "psr", _reading(metrics).large),
    ]


def n4(halves: Metrics, weighted: Metrics) -> list[Check]:
    """Entropy where all have gained the same: NSR near base and above GRPO, PSR below GRPO."""
    gain = _reading(halves).gain
    there = {name: halves.at_rise(name, "entropy", gain) for name in ("psr", "nsr")}
    there["grpo"] = weighted.at_rise("grpo", "entropy", gain)
    return n4_checks("llm", there, halves.first("nsr", "entropy"), ("grpo",))


def n6(halves: Metrics, weighted: Metrics) -> list[Check]:
    """W-REINFORCE has the pass@1 of GRPO with NSR's pass@k at large k."""
    ours, reading = "w_reinforce", _reading(halves)
    best = weighted.peak(ours, "success") - weighted.peak("grpo", "success")
    large, gain = reading.large, reading.gain
    kept = paired(weighted.at_rise(ours, large, gain), halves.at_rise("nsr", large, gain))
    return [
        n6_check("llm", "best pass@1", best, "grpo"),
        n6_check("llm", large, kept, "nsr", weighted.settled(ours, large)),
    ]


def a4(metrics: Metrics) -> list[Check]:
    """Asymmetric weights reach the target in fewer responses than GRPO from scratch."""
    return [
        bound("A4", "llm").check(
            _TIME, metrics.log_ratio(scheme, "grpo"), **metrics.times_of(scheme, "grpo")
        )
        for scheme in ASYMMETRIC
        if scheme in metrics.schemes()
    ]


def o7(metrics: Metrics) -> list[Check]:
    """Sqrt-R gains by its weights, neither by the scale of updates nor by all-wrong groups."""
    pairs = ((RESCALED[0], "grpo"), (RESCALED[1], "grpo"), (DROPPED, "sqrt_r"))
    return [
        bound("O7", "llm", "main" if place == 0 else "alike").check(
            _TIME, metrics.log_ratio(scheme, other), **metrics.times_of(scheme, other)
        )
        for place, (scheme, other) in enumerate(pairs)
    ]


def s1(alike: Metrics, rates: Metrics) -> list[Check]:
    """The best pool by true pass rates reaches the target in at least 15 % fewer responses."""
    return [
        bound("S1", "llm").check(
            f"{_TIME}, best pool over all prompts alike",
            rates.log_ratio_to(alike, "grpo"),
            scheme="grpo",
        )
    ]


def s2(rates: Metrics) -> list[Check]:
    """In the best pool Sqrt-R without all-wrong groups saves less than 5 % over GRPO."""
    return [
        bound("S2", "llm").check(
            f"{_TIME} in the best pool",
            rates.log_ratio(DROPPED, "grpo"),
            **rates.times_of(DROPPED, "grpo"),
        )
    ]


def s3(alike: Metrics, rates: Metrics, counts: Metrics) -> list[Check]:
    """Counts save at least 80 % of what true pass rates save."""
    return [
        bound("S3", "llm").check(
            "share of responses saved by counts minus 0.8 of that by true pass rates",
            paired(counts.saving(alike, "grpo"), 0.8 * rates.saving(alike, "grpo")),
            scheme="grpo",
        )
    ]


def _reading(metrics: Metrics) -> _Reading:
    return _READINGS.get(metrics.name, _Reading())


def _raised(id: str, metrics: Metrics, scheme: str) -> Check:
    """The most that pass@1 has risen along the way: at the end a run may have collapsed."""
    rise = metrics.peak(scheme, "success") - metrics.first(scheme, "success")
    return bound(id, "llm").check("best pass@1", rise, **compared(scheme, BASE))


def _changed(id: str, name: str, metrics: Metrics, scheme: str, metric: str) -> Check:
    change = metrics.at_rise(scheme, metric, _reading(metrics).gain) - metrics.first(scheme, metric)
    about = compared(scheme, BASE, void=metrics.settled(scheme, metric))
    return bound(id, "llm", name).check(metric, known(np.asarray(change)), **about)
