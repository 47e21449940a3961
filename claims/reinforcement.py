"""N2, N3, N4, N6 and N7: accuracy and diversity under positive and negative reinforcement.

On-policy, PSR, NSR and REINFORCE have the same expected gradient, so their differences come from
sampling noise and from steps off the policy that sampled. The regimes are clipped off-policy steps
on prompts that share features, at one rate for all schemes, as the paper trains, from two bases and
at two noise doses. Schemes are compared where pass@1 has risen by as much: at the end of training
one that has learnt less has kept more.

Rule: the primary regime is the base of 0.65 at the small dose, measured on held-out prompts, since
the paper's model starts at 0.63, takes small clipped steps on MATH's training problems and is
evaluated on others. It alone decides; the others say how far the claim reaches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from claims.metrics import KS as MODEL_KS
from claims.metrics import Metrics, model_metrics
from claims.simulation.lab import Lab
from claims.simulation.regimes import family, judged_by_regime, plain, trained
from claims.spec import Source, bound
from claims.verdicts import BASE, Check, Finding, compared
from theory._arrays import Floats

FAMILY = "reinforcement"
_GAINS = {"small dose": 0.1, "large dose": 0.05}
"""Rise of pass@1 where schemes are compared; at the large dose few seeds rise further."""

_LARGE = "pass@256"


def simulation_n2(lab: Lab) -> Finding:
    """NSR alone raises pass@1 and keeps pass@k at or above base for every k."""

    def checks(metrics: Metrics) -> list[Check]:
        others = family(FAMILY).base["pass_k"][1:]
        return [
            _of_base("N2", "sim", metrics, "nsr", "pass@1", True),
            *(_kept("N2", "kept", metrics, "nsr", f"pass@{k}") for k in others),
        ]

    return _judge("N2", simulation_n2.__doc__ or "", checks, lab)


def simulation_n3(lab: Lab) -> Finding:
    """PSR raises pass@1 and falls below base at large k."""

    def checks(metrics: Metrics) -> list[Check]:
        return [
            _of_base("N3", "sim", metrics, "psr", "pass@1", True),
            _kept("N3", "falls", metrics, "psr", _LARGE),
        ]

    return _judge("N3", simulation_n3.__doc__ or "", checks, lab)


def simulation_n4(lab: Lab) -> Finding:
    """Entropy where all have gained the same: NSR near base and above PPO and GRPO, PSR below."""

    def checks(metrics: Metrics) -> list[Check]:
        there = {name: metrics.at_gain(name, "entropy", _gain(metrics)) for name in _ENTROPY}
        return n4_checks("sim", there, metrics.first("nsr", "entropy"), ("ppo", "grpo"))

    return _judge("N4", simulation_n4.__doc__ or "", checks, lab)


def simulation_n6(lab: Lab) -> Finding:
    """W-REINFORCE has the pass@1 of PPO and GRPO with NSR's pass@k at large k."""

    def checks(metrics: Metrics) -> list[Check]:
        ours, gain = "w_reinforce", _gain(metrics)
        best = {name: metrics.peak(name, "pass@1") for name in (ours, "ppo", "grpo")}
        kept = [metrics.at_gain(name, _LARGE, gain) for name in (ours, "nsr")]
        return [
            *(n6_check("sim", "best pass@1", best[ours] - best[o], o) for o in ("ppo", "grpo")),
            n6_check("sim", _LARGE, kept[0] - kept[1], "nsr", metrics.settled(ours, _LARGE)),
        ]

    return _judge("N6", simulation_n6.__doc__ or "", checks, lab)


def simulation_n7(lab: Lab) -> Finding:
    """Many steps of pure NSR degrade; W-REINFORCE does not."""

    def checks(metrics: Metrics) -> list[Check]:
        return _n7("sim", metrics)

    def long(regime: str) -> Metrics:
        found = family(FAMILY)
        steps, seeds = 5 * found.config(regime, lab).steps, 5 if lab.quick else 40
        changes = {"schemes": ("nsr", "w_reinforce"), "measure_every": 20, "seeds": seeds}
        config = found.config(regime, lab, steps=steps, **changes)
        return Metrics(regime, lab.run(config, f"long-{plain(regime)}"))

    claim = simulation_n7.__doc__ or ""
    return judged_by_regime("N7", claim, lab, FAMILY, checks, long)


_ENTROPY = ("psr", "nsr", "grpo", "ppo")


def _gain(metrics: Metrics) -> float:
    return _GAINS[metrics.name.split(", ")[-1]]


def _judge(id: str, claim: str, checks: Callable[[Metrics], list[Check]], lab: Lab) -> Finding:
    def runs(regime: str) -> Metrics:
        return trained(lab, FAMILY, regime, shared=FAMILY)

    return judged_by_regime(id, claim, lab, FAMILY, checks, runs)


def _kept(id: str, name: str, metrics: Metrics, scheme: str, metric: str) -> Check:
    """A gain over the start where pass@1 has risen by as much, of the seeds where it has."""
    change = metrics.at_gain(scheme, metric, _gain(metrics)) - metrics.first(scheme, metric)
    about = compared(scheme, BASE, void=metrics.settled(scheme, metric))
    return bound(id, "sim", name).check(metric, known(change), **about)


def known(values: Floats) -> Floats:
    """Those of the seeds that have one."""
    return values[np.isfinite(values)]


def paired(values: Floats, others: Floats) -> Floats:
    """Differences seed by seed, where one scheme may have been given more seeds than the other.

    >>> paired(np.array([3.0, np.nan, 5.0]), np.array([1.0, 2.0])).tolist()
    [2.0]
    """
    both = min(len(values), len(others))
    return known(values[:both] - others[:both])


def _of_base(
    id: str, source: Source, metrics: Metrics, scheme: str, metric: str, main: bool, other: str = ""
) -> Check:
    """A gain over the start: judged by the main bound, or by the claim's other one."""
    named = "main" if main else other or "kept"
    void = metrics.settled(scheme, metric)
    about = compared(scheme, BASE, void=void)
    return bound(id, source, named).check(metric, metrics.gain(scheme, metric), **about)


def n4_checks(
    source: Source, entropy: Mapping[str, Floats], base: Floats, others: tuple[str, ...]
) -> list[Check]:
    """NSR's entropy over the base's, and the order NSR, others, PSR.

    Args:
        source: Source whose bounds are meant.
        entropy: Scheme → entropy, one per seed.
        base: Entropy before training, one per seed.
        others: Schemes between NSR and PSR.
    """
    kept = known(entropy["nsr"] / base)
    found = [bound("N4", source).check("entropy", kept, **compared("nsr", BASE, "ratio"))]
    for other in others:
        for more, less in (("nsr", other), (other, "psr")):
            order = bound("N4", source, "order")
            gap = paired(entropy[more], entropy[less])
            found.append(order.check("entropy", gap, **compared(more, less)))
    return found


def n6_check(source: Source, metric: str, lead: Floats, other: str, void: str = "") -> Check:
    """W-REINFORCE's lead over another scheme, of the seeds that have one."""
    about = compared("w_reinforce", other, void=void)
    return bound("N6", source).check(metric, known(lead), **about)


def _n7(source: Source, metrics: Metrics) -> list[Check]:
    words = "fall of success from its peak to the end"
    return [
        bound("N7", source, name).check(words, metrics.fall(scheme, "success"), scheme=scheme)
        for name, scheme in (("main", "nsr"), ("kept", "w_reinforce"))
    ]


def model_n2(fine_tuned: Metrics) -> list[Check]:
    """NSR alone raises pass@1 and keeps pass@k at or above base for every k."""
    return [
        _of_base("N2", "llm", fine_tuned, "nsr", metric, metric == "success")
        for metric in model_metrics()
    ]


def model_n3(fine_tuned: Metrics) -> list[Check]:
    """PSR raises pass@1 and falls below base at large k."""
    return [
        _of_base("N3", "llm", fine_tuned, "psr", "success", True),
        _of_base("N3", "llm", fine_tuned, "psr", f"pass@{MODEL_KS[-1]}", False, "falls"),
    ]


def model_n4(fine_tuned: Metrics) -> list[Check]:
    """Entropy at the end: NSR near base and above GRPO, PSR below GRPO."""
    ends = {name: fine_tuned.last(name, "entropy") for name in ("psr", "nsr", "grpo")}
    return n4_checks("llm", ends, fine_tuned.first("nsr", "entropy"), ("grpo",))


def model_n6(fine_tuned: Metrics) -> list[Check]:
    """W-REINFORCE has the pass@1 of GRPO with NSR's pass@k at large k."""
    ours, pairs = "w_reinforce", (("success", "grpo"), (f"pass@{MODEL_KS[-1]}", "nsr"))
    return [
        n6_check(
            "llm",
            metric,
            fine_tuned.lead(ours, other, metric),
            other,
            fine_tuned.settled(ours, metric),
        )
        for metric, other in pairs
    ]


def model_n7(long: Metrics) -> list[Check]:
    """Many steps of pure NSR degrade; W-REINFORCE does not."""
    return _n7("llm", long)
