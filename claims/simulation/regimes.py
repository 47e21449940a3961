"""Regimes that several claims share: what they run, and how a claim is judged by them."""

from __future__ import annotations

import dataclasses
import functools
import tomllib
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any, Literal

from claims.metrics import Metrics
from claims.simulation.lab import Lab
from claims.verdicts import Check, Finding, primary_regime
from sim.config import SimulationConfig
from sim.sweep import SweepConfig


@dataclasses.dataclass(frozen=True)
class Family:
    """A family of regimes, as ``claims.toml`` holds it.

    Attributes:
        base: Fields of the simulation that all regimes have in common.
        quick: What the short version changes.
        fields: Regime → fields of its own; the first regime decides.
        rates: Regime → grid of learning rates, where it is tuned.
        tuning_seeds: Seeds that rates are picked on.
        quick_rates: Rates of the short version, which are known to learn.
    """

    base: Mapping[str, Any]
    quick: Mapping[str, Any]
    fields: Mapping[str, Mapping[str, Any]]
    rates: Mapping[str, tuple[float, ...]]
    tuning_seeds: int
    quick_rates: tuple[float, ...]

    def config(self, regime: str, lab: Lab, **changes: Any) -> SimulationConfig:
        """Configuration of a regime; changes win."""
        quick = self.quick if lab.quick else {}
        fields = {**self.base, "seed": lab.first_seed, **quick, **self.fields[regime], **changes}
        if lab.seeds:
            fields["seeds"] = lab.seeds
        return SimulationConfig.from_dict(fields, where=f"regime {regime}")


@functools.cache
def family(name: str) -> Family:
    """A family of the ledger.

    >>> list(family("confidence").fields)
    ['shared', 'tree', 'bandit']
    """
    text = resources.files("claims").joinpath("claims.toml").read_text(encoding="utf-8")
    values = tomllib.loads(text)["regimes"][name]
    rates = {regime: tuple(grid) for regime, grid in values.pop("rates").items()}
    quick_rates = tuple(values.pop("quick_rates"))
    return Family(**values, rates=rates, quick_rates=quick_rates)


def plain(regime: str) -> str:
    """Name of a regime's folder.

    >>> plain("rule, start 0.1")
    'rule-start-0.1'
    """
    return regime.replace(", ", "-").replace(" ", "-")


def trained(
    lab: Lab,
    name: str,
    regime: str,
    folder: str = "",
    clock: Literal["updates", "responses"] = "updates",
    shared: str = "",
    **changes: Any,
) -> Metrics:
    """Metrics of a regime, each scheme at its own best rate of the regime's grid.

    Args:
        lab: Where to run.
        name: Family.
        regime: Regime of the family.
        folder: Folder of the sweep; the regime's name by default.
        clock: Clock of the arrivals, on which rates are picked.
        shared: Folder that several claims look at; the claim's own by default.
        **changes: Fields of the simulation.
    """
    found = family(name)
    rates = found.rates.get(regime, ())
    if lab.quick and rates:
        rates = found.quick_rates
    seeds = 0 if not rates else 5 if lab.quick else found.tuning_seeds
    widen = 0 if lab.quick else SweepConfig.widen
    config = found.config(regime, lab, **changes)
    metrics = lab.sweep(
        SweepConfig(config, {"base": {}}, rates, seeds, clock, widen=widen),
        folder or plain(regime),
        shared=shared or None,
    )
    return Metrics.simulated(regime, metrics, config.target, clock)


def judged_by_regime(
    id: str,
    claim: str,
    lab: Lab,
    name: str,
    checks: Callable[[Metrics], list[Check]],
    runs: Callable[[str], Metrics],
) -> Finding:
    """Judge a claim by every regime of a family; the first, on held-out prompts, decides.

    Args:
        id: Id in the ledger.
        claim: The claim in one sentence.
        lab: Where to run; the short version runs the regime that decides alone.
        name: Family.
        checks: What is checked of the metrics of a regime.
        runs: Regime → its metrics.
    """
    found = family(name)
    regimes = list(found.fields)
    outcomes: dict[str, list[Check]] = {}
    for regime in regimes[: 1 if lab.quick else None]:
        metrics = runs(regime)
        if found.config(regime, lab).held_out_prompts:
            held_out = dataclasses.replace(metrics, prefix="held_out/")
            outcomes[f"{regime}, held-out prompts"] = checks(held_out)
        outcomes[regime] = checks(metrics)
    return primary_regime(id, claim, outcomes, quick=lab.quick)
