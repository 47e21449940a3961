"""``apw advise``: which scheme and group size suit a set of prompts and its costs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np

from apw.advice.lines import TRL_IMPORTS, trl_line, verl_line
from apw.advice.prompts import prompts_from
from apw.command_line import Answer, parse
from apw.commands.weights import success_grid
from runs.configuration import GroupSize
from runs.terminal import table
from runs.text import listed, number, percent, plural
from theory.advice import ENOUGH, advise
from theory.dynamics import weight_function
from theory.optimal import OptimalWeight
from theory.schemes import resolve

SHOWN = (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.5, 0.7, 0.9, 0.99)
"""Success probabilities for which weights are printed, besides start and target."""

POINTS = 101
"""Success probabilities for which ``--json`` gives weights."""

ASSUMPTIONS = (
    "small steps, every scheme at a step size that spends the same update budget. It fails where "
    "clipping or one learning rate for all schemes decides how far an update goes",
    "no noise but that of the group, and prompts that do not learn from each other. It fails with "
    "few prompts per update and little to generalise: there noise decides, and symmetric schemes "
    "win",
    "natural-gradient (mirror) dynamics, in which an update moves the log-odds by ηω. A language "
    "model follows them only roughly, least where its optimizer rescales every step, as AdamW does",
    "responses that all cost the same. It fails where wrong answers are much longer than others",
    "pass rates that are what was measured. It fails where few responses measured them: 0 of 8 may "
    "be 1 in 10 or never",
)
"""What the advice rests on, and where that fails."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Which scheme reaches a target soonest from measured pass rates, under your costs.

    The cost of an update of one prompt is --update-cost and, for every response sampled,
    --response-cost, or --token-cost for each of its --tokens.
    """

    start: float = 0.01
    """Success probability of every prompt, in (0, 1); not used with --rates or --histogram."""

    rates: Path | None = None
    """File of measured pass rates, one per prompt: .csv, .json, .jsonl or .parquet with --column,
    text with a number per line, or outcomes of responses as apw diagnose reads them."""

    column: str = "pass_rate"
    """Column of the pass rates."""

    count: str | None = None
    """Column of the number of prompts with each pass rate; without it every row is a prompt."""

    histogram: tuple[str, ...] = ()
    """RATE:PROMPTS, how many prompts have each pass rate, as in 0:120 0.125:40 0.5:16."""

    tries: int | None = None
    """Responses that each pass rate was measured with; makes 0 and 1 mean rare and frequent."""

    target: float = 0.9
    """Success probability to reach, below 1."""

    group_size: GroupSize = 16
    """Responses per prompt, M."""

    update_cost: float = 1.0
    """Cost of an update per prompt, apart from sampling."""

    response_cost: float | None = None
    """Cost of a response; 1 unless tokens are what costs."""

    token_cost: float | None = None
    """Cost of a token of a response, instead of --response-cost; needs --tokens."""

    tokens: float | None = None
    """Tokens of a response, on average."""

    sampling: Literal["fixed", "until_any", "until_mixed"] = "fixed"
    """fixed: M responses per prompt and update; until_any: groups are drawn until one holds a
    correct response; until_mixed: until one is mixed (DAPO)."""

    schemes: tuple[str, ...] = ()
    """Schemes to compare; all that have a table by default."""

    figure: Path | None = None
    """Draw prompts, weights and costs into this .png or .svg file, with the data as CSV beside."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw advise``."""
    options = parse(Options, arguments, command="advise")
    prompts = prompts_from(
        start=options.start,
        rates=options.rates,
        histogram=options.histogram,
        column=options.column,
        count=options.count,
        tries=options.tries,
    )
    advice = advise(
        prompts.success,
        options.target,
        group_size=options.group_size,
        schemes=options.schemes,
        update_cost=options.update_cost,
        response_cost=_response_cost(options),
        sampling=options.sampling,
    )
    best, chosen, sizes = advice.best, advice.recommended, advice.sizes
    success = success_grid(best.start, best.target, POINTS)
    data: dict[str, Any] = {
        "prompts": int(prompts.success.size),
        "unsolved": prompts.unsolved,
        "median": float(np.median(advice.success)),
        "start": best.start,
        "target": options.target,
        "group_size": options.group_size,
        "sampling": options.sampling,
        "update_cost": options.update_cost,
        "response_cost": advice.costs.response,
        "excess": dict(advice.excess),
        "excess_finite": dict(advice.excess_finite),
        "time_optimal": best.time,
        "time": {name: best.time * value for name, value in advice.excess_finite.items()},
        "recommended": chosen,
        "equally_good": advice.equally_good,
        "nearest": advice.nearest,
        "success": success,
        "weight": best.weight(success),
        "recommended_group_size": sizes.recommended,
        "group_size_drift": sizes.drift,
        "group_size_information": sizes.information,
        "all_wrong": float(np.mean((1 - prompts.success) ** options.group_size)),
        "trl": trl_line(chosen, options.group_size),
        "verl": verl_line(chosen, options.group_size),
        "assumptions": list(ASSUMPTIONS),
    }
    if options.figure is not None:
        from figures.advice import advice_picture

        advice_picture(best, advice.success, advice.excess_finite, options.group_size).save_as(
            options.figure
        )
        data["figure"] = str(options.figure)
    return Answer(data, _describe(options, data, list(advice.excess_finite), best))


def _response_cost(options: Options) -> float:
    """Cost of a response, from its own or from its tokens'."""
    if (options.token_cost is None) != (options.tokens is None):
        raise ValueError("--token-cost and --tokens, the tokens of a response, go together")
    if options.token_cost is not None and options.tokens is not None:
        if options.response_cost is not None:
            raise ValueError("give the cost of a response or that of a token, not both")
        if not 0 < options.tokens < math.inf:
            raise ValueError(f"tokens must be positive and finite; got {options.tokens:g}")
        cost = options.token_cost * options.tokens
    else:
        cost = 1.0 if options.response_cost is None else options.response_cost
    return cost


def _describe(
    options: Options, data: dict[str, Any], ranked: Sequence[str], best: OptimalWeight
) -> str:
    chosen, size = data["recommended"], options.group_size
    equally = [resolve(name).label for name in data["equally_good"]]
    parts = [
        *_prompt_words(options, data),
        "",
        f"Use {listed(equally, 'or')}" + (": they are equally good." if len(equally) > 1 else "."),
        f"The optimal weight is nearest to {resolve(data['nearest']).label}'s. How much a prompt "
        "counts, against one at the target:",
        _weight_words(best, chosen, size),
        "",
        _scheme_words(data, ranked, size),
        "",
        "Time: cost per prompt until the target, for a unit of update budget. Over the optimum: "
        "for large groups and for yours. Cost: with the best scheme as 1.",
        _size_words(data),
        "",
        f"In TRL ({TRL_IMPORTS}):",
        f"  {data['trl']}",
        "In verl, and then your words for data, model and hardware:",
        f"  {data['verl']}",
    ]
    if options.sampling != "fixed":
        parts.append(
            "Neither line draws groups again by itself; the loop that samples has to do that."
        )
    if "figure" in data:
        parts += ["", f"Figure: {data['figure']}"]
    return "\n".join([*parts, "", "This assumes", *(f"- {text}." for text in ASSUMPTIONS)])


def _size_words(data: dict[str, Any]) -> str:
    enough, best = data["recommended_group_size"], data["group_size_information"]
    words = f"Group size for {resolve(data['recommended']).label} at the median prompt: {enough}"
    if enough < best:
        words += (
            f", the smallest that gets {ENOUGH:.0%} of what the best, {best}, gets for its cost"
        )
    return (
        f"{words}, where noise limits the learning rate; {data['group_size_drift']} at a fixed "
        "learning rate."
    )


def _prompt_words(options: Options, data: dict[str, Any]) -> list[str]:
    count = data["prompts"]
    prompts = plural(count, "prompt")
    if data["unsolved"]:
        prompts += (
            f" ({data['unsolved']:,} more were never solved and are left out; --tries takes them "
            "in)"
        )
    drawn = {
        "fixed": "",
        "until_any": ", and again until one response is correct",
        "until_mixed": ", and again until the group is mixed",
    }[options.sampling]
    start = f"{prompts}, median of those below the target {data['median']:.3g}, to"
    if count == 1:
        start = f"From a success probability of {data['start']:.3g} to"
    return [
        f"{start} {options.target:g}.",
        f"An update of a prompt costs {options.update_cost:g}, and {data['response_cost']:g} for "
        f"each of {options.group_size} responses{drawn}.",
        f"In groups of {options.group_size}, {percent(data['all_wrong'])} of the groups hold no "
        "correct response.",
    ]


def _weight_words(best: OptimalWeight, scheme: str, size: int) -> str:
    shown = [best.start, *(p for p in SHOWN if best.start < p < best.target), best.target]
    success = np.array(shown)
    columns = {
        "optimal": best.weight(success),
        f"{resolve(scheme).label}, M = {size}": weight_function(scheme, group_size=size)(success),
    }
    rows = [
        [name, *(number(w, 3) for w in values / values[-1])] for name, values in columns.items()
    ]
    return table(["success ρ", *(f"{p:.2g}" for p in shown)], rows, right="l" + "r" * len(shown))


def _scheme_words(data: dict[str, Any], ranked: Sequence[str], size: int) -> str:
    finite, least = data["excess_finite"], data["excess_finite"][ranked[0]]
    rows = [
        [
            resolve(name).label,
            number(data["time"][name]),
            number(data["excess"][name], decimals=2),
            number(finite[name], decimals=2),
            number(finite[name] / least, decimals=2),
        ]
        for name in ranked
    ]
    header = ["scheme", "time", "M → ∞", f"M = {size}", "cost"]
    return table(header, rows, right="lrrrr")
