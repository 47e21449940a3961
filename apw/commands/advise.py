"""``apw advise``: which scheme and group size suit a set of prompts and its costs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from apw.command_line import Answer, listed, parse, table
from apw.commands.weights import schemes_with_table
from apw.pass_rate_file import read_pass_rates
from theory.clocks import resolve_clock
from theory.group_size import group_size_advice
from theory.optimal import optimal_weight
from theory.schemes import resolve

CLOSE = 1.05
"""Schemes within this factor of the best are called equally good."""

MOST_KNOTS = 128
"""Distinct success probabilities that are told apart."""

GROUP_SIZES = (2, 4, 8, 16, 32, 64, 128)

ASSUMPTIONS = (
    "small steps, every scheme at a step size that spends the same update budget",
    "prompts that do not learn from each other, and no sampling noise but that of the group: with "
    "few prompts per batch and little to generalise, noise decides, and symmetric schemes win",
    "natural-gradient (mirror) dynamics, which a language model follows only roughly",
)


@dataclasses.dataclass(frozen=True)
class Options:
    """Which scheme reaches a target soonest from measured pass rates, under your costs.

    The cost of an update of one prompt is --update-cost and, for every response sampled,
    --response-cost.
    """

    start: float = 0.01
    """Success probability of every prompt, in (0, 1); not used with --rates."""

    rates: Path | None = None
    """File of measured pass rates, one per prompt: .csv, .jsonl or .parquet with --column, or text
    with a number per line."""

    column: str = "pass_rate"
    """Column of the pass rates."""

    tries: int | None = None
    """Responses that each pass rate was measured with; makes 0 and 1 mean rare and frequent."""

    target: float = 0.9
    """Success probability to reach, below 1."""

    group_size: int = 16
    """Responses per prompt, M."""

    update_cost: float = 1.0
    """Cost of an update per prompt, apart from sampling."""

    response_cost: float = 1.0
    """Cost of a response."""

    sampling: Literal["fixed", "until_correct", "until_mixed"] = "fixed"
    """fixed: M responses per prompt and update; until_correct: groups are drawn until one holds a
    correct response; until_mixed: until one is mixed (DAPO)."""

    schemes: tuple[str, ...] = ()
    """Schemes to compare; all that have a table by default."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw advise``."""
    options = parse(Options, arguments, command="advise")
    if min(options.update_cost, options.response_cost) < 0 or not (
        0 < options.update_cost + options.response_cost < math.inf
    ):
        raise ValueError("costs must be at least 0 and finite, and one of them positive")
    if not 0 < options.target < 1:
        raise ValueError(f"target must lie in (0, 1); got {options.target:g}")
    rates, unsolved = _rates(options)
    below = np.sort(rates[rates < options.target])
    if below.size == 0:
        raise ValueError(f"every prompt has reached the target {options.target:g} already")
    names = options.schemes or schemes_with_table(options.group_size)
    knots, shares = _knots(below)
    share = _share(knots, shares)
    best = optimal_weight(
        float(knots[0]), options.target, clock=_clock(options, share), budget_density=share,
        kinks=[float(knot) for knot in knots[1:]],
    )  # fmt: skip
    excess = best.excess_of_all(names, group_size=options.group_size)
    ranked = sorted(excess, key=excess.__getitem__)
    chosen = ranked[0]
    limit = best.excess_of_all(names)
    nearest = min(limit, key=limit.__getitem__)
    typical = float(np.median(below))
    sizes = group_size_advice(
        chosen, typical, group_sizes=[m for m in GROUP_SIZES if m >= resolve(chosen).minimum_group],
        update_cost=options.update_cost, response_cost=options.response_cost,
    )  # fmt: skip
    line = f'WeightedGRPOTrainer(scheme="{chosen}", ...)  # num_generations={options.group_size}'
    data: dict[str, Any] = {
        "prompts": int(rates.size),
        "unsolved": unsolved,
        "median": typical,
        "target": options.target,
        "group_size": options.group_size,
        "sampling": options.sampling,
        "excess": limit,
        "excess_finite": excess,
        "recommended": chosen,
        "equally_good": [name for name in ranked if excess[name] <= CLOSE * excess[chosen]],
        "nearest": nearest,
        "group_size_drift": sizes.best_drift,
        "group_size_information": sizes.best_information,
        "all_wrong": float(np.mean((1 - rates) ** options.group_size)),
        "trl": line,
        "assumptions": list(ASSUMPTIONS),
    }
    return Answer(data, _describe(options, data, ranked))


def _rates(options: Options) -> tuple[np.ndarray, int]:
    """Success probabilities in (0, 1], and how many prompts were left out as never solved."""
    if options.tries is not None and options.tries < 1:
        raise ValueError(f"tries must be at least 1; got {options.tries}")
    if options.rates is None:
        if not 0 < options.start < 1:
            raise ValueError(f"start must lie in (0, 1); got {options.start:g}")
        return np.array([options.start]), 0
    rates = read_pass_rates(options.rates, options.column)
    if options.tries is not None:
        # The posterior mean under Jeffreys' prior: no prompt is impossible or certain.
        return (rates * options.tries + 0.5) / (options.tries + 1), 0
    solved = rates[rates > 0]
    if solved.size == 0:
        raise ValueError(
            f"no prompt of {options.rates} was ever solved; with --tries the number of responses "
            "they were measured with, 0 can be taken as rare"
        )
    return solved, int(rates.size - solved.size)


def _knots(starts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct starts, increasing, and the share of prompts that started at or below each.

    More than ``MOST_KNOTS`` of them are moved to evenly spaced log-odds first.
    """
    if np.unique(starts).size > MOST_KNOTS:
        odds = np.log(starts) - np.log1p(-starts)
        grid = np.linspace(odds.min(), odds.max(), MOST_KNOTS)
        nearest = np.abs(odds[:, None] - grid).argmin(axis=1)
        starts = 1 / (1 + np.exp(-grid[nearest]))
    knots, counts = np.unique(starts, return_counts=True)
    return knots, np.cumsum(counts) / starts.size


def _share(knots: np.ndarray, shares: np.ndarray) -> Callable[[Any], Any]:
    """Share of the prompts that pass through ρ on their way: those that started below it.

    Cost and budget of a population are integrals with this factor, so that its optimal weight is
    that of one prompt, and excess times are those of ``theory.optimal``.
    """

    def share(success: Any) -> Any:
        place = np.searchsorted(knots, np.asarray(success), side="right") - 1
        return shares[np.maximum(place, 0)]

    return share


def _clock(options: Options, share: Callable[[Any], Any]) -> Callable[[Any], Any]:
    groups = {"until_correct": "any_success", "until_mixed": "mixed_group"}.get(options.sampling)
    counted = resolve_clock(groups, group_size=options.group_size) if groups else None

    def cost(success: Any) -> Any:
        number = 1.0 if counted is None else counted.cost(success)
        sampling = options.response_cost * options.group_size * number
        return (options.update_cost + sampling) * share(success)

    return cost


def _describe(options: Options, data: dict[str, Any], ranked: Sequence[str]) -> str:
    excess, chosen = data["excess_finite"], data["recommended"]
    equally = [resolve(name).label for name in data["equally_good"]]
    prompts = "one success probability" if data["prompts"] == 1 else f"{data['prompts']} prompts"
    unsolved = (
        f" ({data['unsolved']} more were never solved and are left out; --tries takes them in)"
        if data["unsolved"]
        else ""
    )
    rows = [
        [
            resolve(name).label,
            f"{data['excess'][name]:.2f}",
            f"{excess[name]:.2f}",
            f"{excess[name] / excess[chosen]:.2f}",
        ]
        for name in ranked
    ]
    size = options.group_size
    return "\n".join(
        [
            f"{prompts[0].upper()}{prompts[1:]}{unsolved}, median of those below the target "
            f"{data['median']:.3g}, to {options.target:g}.",
            f"In groups of {size}, {data['all_wrong']:.0%} of the groups hold no correct response.",
            "",
            f"Use {listed(equally, 'or')}"
            + (": they are equally good." if len(equally) > 1 else "."),
            f"The optimal weight is nearest to {resolve(data['nearest']).label}'s.",
            f"Group size for {resolve(chosen).label} at the median prompt: "
            f"{data['group_size_drift']} if the learning rate is fixed, "
            f"{data['group_size_information']} if noise limits it.",
            "",
            table(
                ["scheme", "M → ∞", f"M = {size}", "cost"],
                rows,
                right="lrrr",
            ),
            "",
            "Columns: time over the optimum for large groups and for yours; cost to the target "
            "with the best as 1.",
            f"In TRL: {data['trl']}",
            "This assumes " + "; ".join(ASSUMPTIONS) + ".",
        ]
    )
