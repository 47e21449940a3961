"""N2, N3, N4, N6 and N7: accuracy and diversity under positive and negative reinforcement.

On-policy, PSR, NSR and REINFORCE have the same expected gradient, so their differences come from
sampling noise and from steps off the policy that sampled. The regimes therefore are: *off-policy*,
several clipped epochs on small batches of prompts that share features; *tree*, independent prompts
with answers of several tokens and large steps; *bandit*, the same with single tokens. Each scheme
runs at its own best learning rate, the one that is soonest at the target; *off-policy, one rate* is
the first regime with small steps, the same for all, as the paper trains (N7: one rate everywhere).

Rule: the primary regime is off-policy, measured on held-out prompts, since the paper trains with
clipped mini-batch steps on MATH's training problems and evaluates on others. It alone decides; the
training prompts of the same runs, the tree and the bandit say how far the claim reaches.
"""

from __future__ import annotations

from collections.abc import Callable

from claims.metrics import KS as MODEL_KS
from claims.metrics import Metrics, model_metrics
from claims.simulation.lab import Lab
from claims.simulation.regimes import family, judged_by_regime, trained
from claims.spec import Source, bound
from claims.verdicts import BASE, Check, Finding, compared

FAMILY = "reinforcement"
ONE_RATE = "off-policy, one rate"


def simulation_n2(lab: Lab) -> Finding:
    """NSR alone raises pass@1 and keeps pass@k at or above base for every k."""

    def checks(metrics: Metrics) -> list[Check]:
        return [_of_base("N2", "sim", metrics, "nsr", f"pass@{k}", k == 1) for k in _tries()]

    return _judge("N2", simulation_n2.__doc__ or "", checks, lab)


def simulation_n3(lab: Lab) -> Finding:
    """PSR raises pass@1 and falls below base at large k."""

    def checks(metrics: Metrics) -> list[Check]:
        return _n3("sim", metrics, "pass@1", f"pass@{_tries()[-1]}")

    return _judge("N3", simulation_n3.__doc__ or "", checks, lab)


def simulation_n4(lab: Lab) -> Finding:
    """Entropy at the end: NSR near base and above PPO and GRPO, PSR below them."""

    def checks(metrics: Metrics) -> list[Check]:
        return _n4("sim", metrics, ("ppo", "grpo"))

    return _judge("N4", simulation_n4.__doc__ or "", checks, lab)


def simulation_n6(lab: Lab) -> Finding:
    """W-REINFORCE has the pass@1 of PPO and GRPO with NSR's pass@k at large k."""

    def checks(metrics: Metrics) -> list[Check]:
        pairs = [("pass@1", "ppo"), ("pass@1", "grpo"), (f"pass@{_tries()[-1]}", "nsr")]
        return _n6("sim", metrics, pairs)

    return _judge("N6", simulation_n6.__doc__ or "", checks, lab)


def simulation_n7(lab: Lab) -> Finding:
    """Many steps of pure NSR degrade; W-REINFORCE does not."""

    def checks(metrics: Metrics) -> list[Check]:
        return _n7("sim", metrics)

    def long(regime: str) -> Metrics:
        found = family(FAMILY)
        steps = 5 * found.config(regime, lab).steps
        changes = {"schemes": ("nsr", "w_reinforce"), "learning_rate": 3.0, "measure_every": 20}
        config = found.config(regime, lab, steps=steps, **changes)
        return Metrics(regime, lab.run(config, f"long-{regime}"))

    claim = simulation_n7.__doc__ or ""
    return judged_by_regime("N7", claim, lab, FAMILY, checks, long, without=[ONE_RATE])


def _tries() -> tuple[int, ...]:
    return tuple(family(FAMILY).base["pass_k"])


def _judge(id: str, claim: str, checks: Callable[[Metrics], list[Check]], lab: Lab) -> Finding:
    def runs(regime: str) -> Metrics:
        return trained(lab, FAMILY, regime, shared=FAMILY)

    return judged_by_regime(id, claim, lab, FAMILY, checks, runs)


def _of_base(
    id: str, source: Source, metrics: Metrics, scheme: str, metric: str, main: bool, other: str = ""
) -> Check:
    """A gain over the start: judged by the main bound, or by the claim's other one."""
    named = "main" if main else other or "kept"
    void = metrics.settled(scheme, metric)
    about = compared(scheme, BASE, void=void)
    return bound(id, source, named).check(metric, metrics.gain(scheme, metric), **about)


def _n3(source: Source, metrics: Metrics, small: str, large: str) -> list[Check]:
    return [
        _of_base("N3", source, metrics, "psr", small, True),
        _of_base("N3", source, metrics, "psr", large, False, "falls"),
    ]


def _n4(source: Source, metrics: Metrics, others: tuple[str, ...]) -> list[Check]:
    kept = metrics.last("nsr", "entropy") / metrics.first("nsr", "entropy")
    about = compared("nsr", BASE, "ratio")
    found = [bound("N4", source).check("entropy", kept, **about)]
    for other in others:
        for more, less in (("nsr", other), (other, "psr")):
            gap = metrics.lead(more, less, "entropy")
            order = bound("N4", source, "order")
            found.append(order.check("entropy", gap, **compared(more, less)))
    return found


def _n6(source: Source, metrics: Metrics, pairs: list[tuple[str, str]]) -> list[Check]:
    ours = "w_reinforce"
    return [
        bound("N6", source).check(
            metric,
            metrics.lead(ours, other, metric),
            **compared(ours, other, void=metrics.settled(ours, metric)),
        )
        for metric, other in pairs
    ]


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
    return _n3("llm", fine_tuned, "success", f"pass@{MODEL_KS[-1]}")


def model_n4(fine_tuned: Metrics) -> list[Check]:
    """Entropy at the end: NSR near base and above GRPO, PSR below GRPO."""
    return _n4("llm", fine_tuned, ("grpo",))


def model_n6(fine_tuned: Metrics) -> list[Check]:
    """W-REINFORCE has the pass@1 of GRPO with NSR's pass@k at large k."""
    return _n6("llm", fine_tuned, [("success", "grpo"), (f"pass@{MODEL_KS[-1]}", "nsr")])


def model_n7(long: Metrics) -> list[Check]:
    """Many steps of pure NSR degrade; W-REINFORCE does not."""
    return _n7("llm", long)
