"""What schemes take under the designs that training samples by: a table, and sentences on it."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from runs.text import listed, number
from theory.designs import DESIGNS, DesignName, excess_of_all
from theory.schemes import in_order, title

SCHEMES = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")
DRAWN: tuple[DesignName, ...] = ("fixed", "until_mixed", "population")
"""What TRL and verl do, what DAPO does, and the limit that the paper's theorem speaks of."""

_UNDECIDED = 0.05
"""An excess below this is not worth another weight."""


def excess_table(
    schemes: Sequence[str] = SCHEMES,
    *,
    starts: Sequence[float],
    designs: Sequence[DesignName] = DRAWN,
    target: float = 0.9,
    group_size: int = 16,
) -> pd.DataFrame:
    """Excess over the best table by design and success probability at the start.

    Responses cost 1 and updates nothing. In the population there are neither tables nor noise: its
    excess is that of the time, over the optimal weight's on the clock 1/ρ.

    Args:
        schemes: Schemes with tables.
        starts: Success probabilities at the start, in (0, target).
        designs: Sampling designs.
        target: Success probability to reach.
        group_size: M.

    Returns:
        Columns design, start, scheme, excess.

    Raises:
        ValueError: As :func:`theory.designs.excess`.

    >>> table = excess_table(["grpo"], starts=[0.01])
    >>> table.set_index("design")["excess"].round(3).to_dict()
    {'fixed': 1.023, 'until_mixed': 1.014, 'population': 1.555}
    """
    rows: list[tuple[str, float, str, float]] = []
    for design in designs:
        size = None if design in ("first_success", "population") else group_size
        for start in starts:
            found = excess_of_all(
                in_order(schemes), design=design, group_size=size, start=start, target=target
            )
            rows += [(design, start, name, ratio) for name, ratio in found.items()]
    return pd.DataFrame(rows, columns=["design", "start", "scheme", "excess"])


def excess_findings(*, target: float = 0.9, group_size: int = 16) -> list[str]:
    """What GRPO loses under each design, from scratch and after supervised training.

    Args:
        target: Success probability to reach, above 0.4.
        group_size: M.

    >>> excess_findings()[0].split(":")[0]
    'In groups of 16 as TRL and verl sample them, from a success probability of 1%'
    """
    table = excess_table(starts=(0.01, 0.4), target=target, group_size=group_size)
    found = table.set_index(["design", "start", "scheme"])["excess"]
    scratch = found["fixed"][0.01].sort_values()
    others = [f"{title(name)} {ratio:.2f}" for name, ratio in scratch.items() if name != "grpo"]
    grpo, mixed = scratch["grpo"], found["until_mixed"][0.01]["grpo"]
    tuned, limit = found["fixed"][0.4]["grpo"], found["population"]
    gain = "next to nothing" if grpo < 1 + _UNDECIDED else "something"
    name, first = title("grpo"), title(str(limit[0.01].idxmin()))
    return [
        f"In groups of {group_size} as TRL and verl sample them, from a success probability of 1%: "
        f"time and noise together are {number(grpo, decimals=3)} times the best table's with "
        f"{name}, so that another weight can win a single prompt {gain}; {listed(others)}.",
        f"Drawn again until a group is mixed, as DAPO does: {name} {number(mixed, decimals=3)}. "
        f"From 40%, in groups as they come: {number(tuned, decimals=3)}.",
        f"In the limit of large groups, on the clock 1/ρ, the optimal weight is that of {first}, "
        f"and {name} takes {limit[0.01]['grpo']:.2f} times the optimal time from 1%. No way of "
        "sampling has this limit.",
    ]


def design_words(design: DesignName, group_size: int) -> str:
    """A design in the few words that a panel has room for.

    >>> design_words("until_mixed", 16)
    'until mixed (DAPO), M = 16'
    """
    words = {
        "fixed": "all groups (TRL, verl)",
        "until_any": "until one is correct",
        "until_mixed": "until mixed (DAPO)",
        "first_success": "one by one, to a success",
        "population": "population, clock 1/ρ",
    }[DESIGNS[design].name]
    grouped = design not in ("first_success", "population")
    return f"{words}, M = {group_size}" if grouped else words
