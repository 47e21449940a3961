"""``apw weights``: the optimal weight between two success probabilities, and what others lose."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from annotated_types import Interval

from apw.command_line import Answer, parse
from apw.saved_schemes import save_scheme
from runs.ownership import picture_kind
from runs.terminal import table
from runs.text import listed, number
from theory.best_tables import BestTable, best_table
from theory.clocks import resolve_clock
from theory.designs import DESIGNS, DesignName, excess_of_all
from theory.optimal import OptimalWeight, optimal_weight
from theory.schemes import SCHEMES, Scheme, reference, resolve, schemes_by_name

if TYPE_CHECKING:
    from figures.picture import Picture

_GENERATOR = "apw weights"
_Found = tuple[dict[str, Any], str, "Callable[[], Picture]"]
GROUP_SIZE = 16
"""Responses per prompt unless told otherwise."""

OPTIMAL = 1 + 1e-6
"""Excess time up to which a scheme is called optimal; quadrature is far more exact."""


@dataclasses.dataclass(frozen=True)
class Options:
    """What reaches a target soonest under a way of sampling, and how much longer schemes take.

    Schemes are compared by their time times the noise they add up on the way (path energy), which
    does not depend on their scale, over that of the best table: 1 is optimal.
    """

    start: float = 0.01
    """Success probability at the start, ρ₀, in (0, 1)."""

    target: float = 0.9
    """Success probability to reach, above the start and below 1."""

    sampling: DesignName = "fixed"
    """Which groups updates are made of: fixed (all, as TRL and verl do), until_any (drawn again
    until one response is correct), until_mixed (until some are correct and some wrong, DAPO),
    first_success (one by one), or population (the limit of large groups on a clock)."""

    group_size: Annotated[int, Interval(ge=1, le=1024)] | None = None
    """Responses per prompt M, 16 by default; the population has no groups."""

    update_cost: float = 0.0
    """What an update costs."""

    response_cost: float = 1.0
    """What a response costs."""

    clock: str | None = None
    """For the population, what is counted instead of these costs: updates, responses (each update
    waits for one correct response), affine:update=1,response=0.1, any_success:group_size=16 or
    mixed_group:group_size=16."""

    dynamics: str = "mirror"
    """Update rule: mirror (KL-proximal, natural gradient) or softmax_gradient."""

    schemes: tuple[str, ...] = ()
    """Schemes to compare, options after a colon (plateau_r:threshold=0.3); all by default."""

    points: Annotated[int, Interval(ge=2, le=100_000)] = 99
    """Number of success probabilities at which the weight is given, at least 2."""

    save: Path | None = None
    """Keep the best table in this .json file, or the optimal weight where there are no groups of
    one size; commands take the file where they take a scheme, as in --schemes FILE."""

    figure: Path | None = None
    """Draw weights and excess into this file, .png or .svg, with the data as CSV beside; an earlier
    figure of this command is replaced, and nothing else."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw weights``."""
    options = parse(Options, arguments, command="weights")
    if options.figure is not None:
        picture_kind(options.figure, _GENERATOR)
    data, text, draw = (_population if options.sampling == "population" else _groups)(options)
    data = {"start": options.start, "target": options.target, "design": options.sampling, **data}
    if options.save is not None:
        scheme = _kept(options)
        save_scheme(scheme, options.save, **data)
        data |= {"saved": str(options.save), "scheme": reference(scheme)}
        text += f"\n\nSaved: {options.save} ({reference(scheme)})"
    if options.figure is not None:
        draw().save_as(options.figure, generator=_GENERATOR)
        data["figure"] = str(options.figure)
        text += f"\n\nFigure: {options.figure}"
    return Answer(data, text)


def _kept(options: Options) -> Scheme:
    """The optimum that was found, as a scheme to train with."""
    if options.clock is not None:
        raise ValueError("--save keeps the optimum of a sampling design: leave out --clock")
    problem: dict[str, Any] = {
        "start": options.start,
        "target": options.target,
        "design": options.sampling,
        "update_cost": options.update_cost,
        "response_cost": options.response_cost,
        **({} if options.dynamics == "mirror" else {"dynamics": options.dynamics}),
    }
    if options.sampling in ("first_success", "population"):
        return resolve("optimal", **problem)
    return resolve("best_table", group_size=options.group_size or GROUP_SIZE, **problem)


def _population(options: Options) -> _Found:
    """The limit of large groups, where a weight and a clock say everything."""
    if options.group_size is not None:
        raise ValueError(
            "the population has no groups: leave out --group-size, or choose another --sampling"
        )
    costs = options.update_cost, options.response_cost
    named = {(0.0, 1.0): "responses", (1.0, 0.0): "updates"}.get(costs)
    clock = options.clock or named or resolve_clock("affine", update=costs[0], response=costs[1])
    best = optimal_weight(options.start, options.target, clock=clock, dynamics=options.dynamics)
    if not math.isfinite(best.time):
        raise ValueError(f"no weight reaches the target in finite time: {best.message}")
    excess = best.excess_of_all(options.schemes or None)
    success = success_grid(options.start, options.target, options.points)
    data = {
        "clock": best.clock.name,
        "dynamics": options.dynamics,
        "time": best.time,
        "excess": excess,
        "success": success,
        "weight": best.weight(success),
    }

    def draw() -> Picture:
        from figures.problem import problem_picture

        return problem_picture(best, list(excess))

    return data, describe(best, excess), draw


def _groups(options: Options) -> _Found:
    """Groups as training samples them."""
    if options.clock is not None:
        raise ValueError(
            "a clock is for --sampling population; what sampled groups cost follows from "
            "--update-cost and --response-cost"
        )
    single = options.sampling == "first_success"
    if single and options.group_size is not None:
        raise ValueError("first_success draws responses one by one: leave out --group-size")
    size = None if single else options.group_size or GROUP_SIZE
    schemes = schemes_by_name(options.schemes or schemes_with_table(size or 2))
    setting: dict[str, Any] = {
        "start": options.start,
        "target": options.target,
        "design": options.sampling,
        "group_size": size,
        "update_cost": options.update_cost,
        "response_cost": options.response_cost,
        "dynamics": options.dynamics,
    }
    excess = excess_of_all(schemes, **setting)
    by_weight = excess_of_all(schemes, budget="weight", **setting)
    best = best_table(**setting)
    if not best.converged:
        raise ValueError(f"the best table was not found: {best.message}")
    success = success_grid(options.start, options.target, options.points)
    weight = best.drift(success)
    data = {
        "group_size": size,
        "update_cost": options.update_cost,
        "response_cost": options.response_cost,
        "dynamics": options.dynamics,
        "time": best.product,
        "excess": excess,
        "excess_weight": by_weight,
        "success": success,
        "weight": weight,
    }
    if size is not None:
        data |= {"positive": best.positive, "negative": best.negative}
    rows = [
        [
            schemes[name].label,
            number(excess[name], decimals=3),
            number(by_weight[name], decimals=3),
            _in_words(excess[name]),
        ]
        for name in sorted(excess, key=excess.__getitem__)
    ]
    design = DESIGNS[options.sampling]
    lines = [
        f"From a success probability of {options.start:g} to {options.target:g}.",
        f"  sampling  {design.name}, {f'M = {size}' if size else 'no group size'}: {design.title} "
        f"({design.used_by})",
        f"  costs     {number(options.response_cost)} per response, "
        f"{number(options.update_cost)} per update",
        "",
        *([_penalty(best, size)] if size and options.sampling == "fixed" else []),
        "Time × path energy over the best table's, and time × ∫ω dρ over the best weight's:",
        "",
        table(["scheme", "energy", "weight", ""], rows, right="lrr"),
    ]

    def draw() -> Picture:
        from figures.problem import design_picture

        return design_picture(best, excess, success)

    return data, "\n".join(lines), draw


def _penalty(best: BestTable, size: int) -> str:
    share = best.negative[0] / best.positive[max(1, size // 2)]
    return (
        f"The best table: an advantage of −{number(share, 2)} for all-wrong groups, if a correct "
        "response in a\ngroup half right has 1."
    )


def schemes_with_table(group_size: int) -> list[str]:
    """Names of the schemes that are defined, as tables, for groups of this size.

    Raises:
        ValueError: A size that comparing responses needs more of.

    >>> {"ppo", "lens", "pass_at_k"} & set(schemes_with_table(2))  # pass@k has k = 4 by default
    set()
    """
    SCHEMES["grpo"].check_group_size(group_size)
    names = []
    for name, scheme in SCHEMES.items():
        if not scheme.has_table:
            continue
        with contextlib.suppress(ValueError):
            scheme.table(group_size)
            names.append(name)
    return names


def success_grid(start: float, target: float, points: int) -> np.ndarray:
    """Success probabilities from start to target, evenly spaced in log-odds.

    >>> success_grid(0.1, 0.9, 3).round(3).tolist()
    [0.1, 0.5, 0.9]
    """
    low, high = max(start, 1e-6), min(target, 1 - 1e-6)
    odds = np.linspace(np.log(low / (1 - low)), np.log(high / (1 - high)), points)
    success = 1 / (1 + np.exp(-odds))
    success[0], success[-1] = start, target
    return np.asarray(success)


def describe(
    best: OptimalWeight,
    excess: Mapping[str, float],
) -> str:
    """What ``apw weights`` prints."""
    ratio = _ratio(best)
    schemes = schemes_by_name(excess)
    optimal = [schemes[name].label for name, value in excess.items() if value <= OPTIMAL]
    lines = [
        f"From a success probability of {best.start:g} to {best.target:g}.",
        f"  clock     {best.clock.name}, c(ρ) = {best.clock.formula}: {_lower(best.clock.summary)}",
        f"  dynamics  {best.dynamics.name}, v(ρ) = {best.dynamics.formula}: "
        f"{_lower(best.dynamics.summary)}",
        "",
        f"The optimal weight takes time {best.time:.6g} on this clock for a unit of budget.",
    ]
    if ratio:
        lines.append(ratio)
    if optimal:
        lines.append(f"It is the weight of {listed(optimal)}.")
    rows = [
        [schemes[name].label, schemes[name].formula, number(value, decimals=3), _in_words(value)]
        for name, value in sorted(excess.items(), key=lambda item: item[1])
    ]
    header = ["scheme", "weight ω(ρ)", "excess time", ""]
    return "\n".join([*lines, "", table(header, rows, right="llr")])


def _ratio(best: OptimalWeight) -> str:
    ends = best.weight(np.array([best.start, best.target]))
    if not np.all(np.isfinite(ends)) or min(ends) <= 0:
        return ""
    more = max(ends) / min(ends)
    first, second = (best.start, best.target) if ends[0] >= ends[1] else (best.target, best.start)
    return f"It weighs a prompt at {first:g} {more:.3g} times as much as one at {second:g}."


def _in_words(value: float) -> str:
    if not math.isfinite(value):
        return "needs unbounded time or budget"
    if value <= OPTIMAL:
        return "optimal"
    more = 100 * (value - 1)
    if more < 9.95:
        return f"{more:.1f}% longer"
    return f"{more:.0f}% longer" if value < 2 else f"{value:.2f} times as long"


def _lower(sentence: str) -> str:
    sentence = " ".join(sentence.split()).rstrip(".")
    return sentence if sentence[:2].isupper() else sentence[:1].lower() + sentence[1:]
