"""``apw weights``: the optimal weight between two success probabilities, and what others lose."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

import numpy as np
from annotated_types import Interval

from apw.command_line import Answer, parse
from runs.configuration import GroupSize
from runs.terminal import table
from runs.text import listed, number
from theory.optimal import OptimalWeight, optimal_weight
from theory.schemes import SCHEMES, resolve

OPTIMAL = 1 + 1e-6
"""Excess time up to which a scheme is called optimal; quadrature is far more exact."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Optimal prompt weights under a fixed update budget, and the excess time of every scheme.

    The excess time is how much longer a scheme takes than the optimal weight with the same
    budget: 1 is optimal, 1.55 takes 55% longer.
    """

    start: float = 0.01
    """Success probability at the start, ρ₀, in [0, 1)."""

    target: float = 0.9
    """Success probability to reach, above the start and at most 1."""

    clock: str = "effective"
    """What is counted: regular (updates), effective (responses, when each update waits for one
    correct response), affine:update=1,response=0.1, any_success:group_size=16 or
    mixed_group:group_size=16."""

    dynamics: str = "mirror"
    """Update rule: mirror (KL-proximal, natural gradient) or softmax_gradient."""

    schemes: tuple[str, ...] = ()
    """Schemes to compare, options after a colon (plateau_r:threshold=0.3); all by default."""

    group_size: GroupSize | None = None
    """Responses per prompt M, for excess times with finite groups as well."""

    points: Annotated[int, Interval(ge=2, le=100_000)] = 99
    """Number of success probabilities at which the weight is given, at least 2."""

    figure: Path | None = None
    """Draw weights and excess times into this file, .png or .svg."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw weights``."""
    options = parse(Options, arguments, command="weights")
    best = optimal_weight(
        options.start, options.target, clock=options.clock, dynamics=options.dynamics
    )
    if not math.isfinite(best.time):
        raise ValueError(f"no weight reaches the target in finite time: {best.message}")
    excess = best.excess_of_all(options.schemes or None)
    finite = None
    if options.group_size is not None:
        names = options.schemes or schemes_with_table(options.group_size)
        finite = best.excess_of_all(names, group_size=options.group_size)
    success = success_grid(options.start, options.target, options.points)
    data = {
        "start": best.start,
        "target": best.target,
        "clock": options.clock,
        "dynamics": options.dynamics,
        "time": best.time,
        "excess": excess,
        "success": success,
        "weight": best.weight(success),
    }
    if finite is not None:
        data |= {"group_size": options.group_size, "excess_finite": finite}
    text = describe(best, excess, finite, options.group_size)
    if options.figure is not None:
        from figures.problem import problem_picture

        picture = problem_picture(best, list(excess), group_size=options.group_size)
        picture.save_as(options.figure)
        data["figure"] = str(options.figure)
        text += f"\n\nFigure: {options.figure}"
    return Answer(data, text)


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
    finite: Mapping[str, float] | None,
    group_size: int | None,
) -> str:
    """What ``apw weights`` prints."""
    ratio = _ratio(best)
    optimal = [resolve(name).label for name, value in excess.items() if value <= OPTIMAL]
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
    shown = {**excess, **(finite or {})}
    rows = []
    for name in sorted(excess, key=shown.__getitem__):
        scheme = resolve(name)
        row = [scheme.label, scheme.formula, number(excess[name], decimals=3)]
        if finite is not None:
            row.append(number(finite[name], decimals=3) if name in finite else "no table")
        rows.append([*row, _in_words(shown[name])])
    in_groups = [] if finite is None else [f"in groups of {group_size}"]
    header = ["scheme", "weight ω(ρ)", "excess time", *in_groups, ""]
    right = "llr" if finite is None else "llrr"
    return "\n".join([*lines, "", table(header, rows, right=right)])


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
