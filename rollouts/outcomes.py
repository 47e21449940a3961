"""The table of group outcomes: how many groups of n responses had K correct ones, step by step.

A scheme with a table gives a correct response of such a group the advantage a⁺ and a wrong one −a⁻,
so that its gradient mass

    m(n, K) = Σ_i |A_i| = K |a⁺| + (n − K) |a⁻|

and the number of responses with A_i = 0 follow exactly from the counts, whatever their number.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from rollouts.groups import Floats, Groups, Integers, first_of_runs
from theory.schemes import Scheme, finite_coefficients

KEYS = ["step", "size", "correct"]
"""Columns that say which outcome a row of the table counts."""

LARGEST = ("log_ratio_largest", "ratio_shift", "advantage_largest")
"""Columns that are maxima over responses and not sums."""

DIFFICULTIES = ("0", "(0, 1/4]", "(1/4, 1/2]", "(1/2, 3/4]", "(3/4, 1)", "1")
"""Bins of the pass rate by which gradient mass is told apart; the ends are bins of their own."""

PASS_RATES = (
    "0",
    *(f"({i / 10:g}, {(i + 1) / 10:g}{']' if i < 9 else ')'}" for i in range(10)),
    "1",
)
"""Bins of the histogram of pass rates: 0, tenths, and 1."""


def outcome_table(groups: Groups) -> pd.DataFrame:
    """Count the groups of each outcome.

    Returns:
        Columns step, size, correct, groups.

    >>> from rollouts.groups import whole_groups
    >>> step, prompt = np.array([1, 1, 1, 1]), np.array([5, 5, 6, 6], np.uint64)
    >>> outcome_table(whole_groups(step, prompt, np.array([1, 0, 0, 1]) > 0)).values.tolist()
    [[1, 2, 1, 2]]
    """
    keys = {"step": groups.step, "size": groups.size, "correct": groups.correct}
    order = np.lexsort(list(keys.values())[::-1])
    ordered = {name: column[order] for name, column in keys.items()}
    first = first_of_runs(*ordered.values())
    counted = {name: column[first] for name, column in ordered.items()}
    return pd.DataFrame({**counted, "groups": np.diff(np.append(first, order.size))})


def add_up(tables: list[pd.DataFrame], keys: list[str]) -> pd.DataFrame:
    """Add the rows of tables that agree in ``keys``; columns in ``LARGEST`` are maxima.

    Sums of importance ratios carry the shift that keeps them from overflowing (see
    ``rollouts.responses``), and come to have the largest.
    """
    joined = pd.concat(tables, ignore_index=True)
    groups = joined.groupby(keys, sort=True)
    largest = {name: groups[name].max() for name in LARGEST if name in joined}
    if "ratio_shift" in joined:
        scale = np.exp(joined["ratio_shift"] - groups["ratio_shift"].transform("max"))
        joined["ratio"] *= scale
        joined["ratio_square"] *= scale**2
    total = joined.drop(columns=list(largest)).groupby(keys, sort=True).sum()
    return total.assign(**largest).reset_index()


def in_bins(size: Integers, correct: Integers, bins: int) -> Integers:
    """Bin of each pass rate K/n: 0 for K = 0, ``bins`` equal ones, ``bins`` + 1 for K = n.

    Upper ends belong to their bin. Integers decide, so that 1/4 of 8 is 2 and nothing else.

    >>> in_bins(np.array([8, 8, 8, 8]), np.array([0, 2, 3, 8]), 4).tolist()
    [0, 1, 2, 5]
    """
    inside = (bins * correct + size - 1) // size
    return np.where(correct == size, bins + 1, inside)


def coefficients(scheme: Scheme, size: Integers, correct: Integers) -> tuple[Floats, Floats]:
    """Coefficients a⁺ and a⁻ of groups with K of n correct.

    Groups too small for the scheme, which have nothing to compare a response with, get 0, and so do
    coefficients that no response uses.

    Raises:
        ValueError: The scheme has no table: its advantages need more than rewards.

    >>> from theory.schemes import resolve
    >>> one, none = np.array([4]), np.array([1])
    >>> [float(c[0]) for c in coefficients(resolve("linear_r"), one, none)]
    [3.0, 1.0]
    """
    if not scheme.has_table:
        raise ValueError(f"{scheme.name} has no table of advantages over group outcomes")
    mean = correct / size
    positive, negative = finite_coefficients(
        *scheme.coefficients(mean, mean * (1 - mean), size.astype(np.float64))
    )
    defined = np.isin(size, [n for n in np.unique(size) if is_defined(scheme, int(n))])
    return (
        np.where(defined & (correct > 0), positive, 0.0),
        np.where(defined & (correct < size), negative, 0.0),
    )


def is_defined(scheme: Scheme, size: int) -> bool:
    """Tell whether a scheme gives groups of so many responses advantages."""
    try:
        scheme.check_group_size(size)
    except ValueError:
        return False
    return True


def scheme_mass(scheme: Scheme, outcomes: pd.DataFrame) -> pd.DataFrame:
    """Gradient mass and zero_advantage responses of every row of the table of outcomes.

    Returns:
        Columns ``mass`` = Σ|A_i| and ``zero_advantage`` = number of responses with A_i = 0, summed
        over the groups that the row counts.

    >>> from theory.schemes import resolve
    >>> table = pd.DataFrame({"step": [1, 1], "size": 4, "correct": [0, 1], "groups": [5, 2]})
    >>> scheme_mass(resolve("linear_r:zero_success=drop"), table).values.tolist()
    [[0.0, 20.0], [12.0, 0.0]]
    """
    size, correct = outcomes["size"].to_numpy(), outcomes["correct"].to_numpy()
    groups = outcomes["groups"].to_numpy()
    positive, negative = coefficients(scheme, size, correct)
    wrong = size - correct
    return pd.DataFrame(
        {
            "mass": groups * (correct * np.abs(positive) + wrong * np.abs(negative)),
            "zero_advantage": groups * (correct * (positive == 0) + wrong * (negative == 0.0)),
        }
    ).astype(np.float64)
