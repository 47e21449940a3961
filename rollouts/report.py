"""A diagnosis as text for a terminal."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from rollouts.outcomes import DIFFICULTIES
from rollouts.reader import Reading
from rollouts.sentences import percent
from runs.text import listed
from theory.schemes import Scheme

SHOWN_ROWS = 10
"""Rows of the printed table of steps."""

_SHARES = {"pass_rate": "pass rate", "all_wrong": "all wrong", "mixed": "mixed",
           "all_right": "all right", "zero_advantage": "A = 0", "repeated": "repeated"}  # fmt: skip
_MEANS = {"length": "length", "confidence": "confidence", "entropy": "entropy", "k3": "k3"}


def describe(
    reading: Reading,
    sizes: Mapping[str, int],
    steps: Callable[[int], pd.DataFrame],
    mass: pd.DataFrame,
    schemes: Mapping[str, Scheme],
    sentences: Sequence[str],
) -> str:
    """Everything a diagnosis says, from what was read to its sentences."""
    return "\n".join(
        [reading.describe(), _size_words(sizes), *reading.notes(), "",
         _step_words(steps(SHOWN_ROWS)), "", _mass_words(mass, schemes), "", *sentences]
    )  # fmt: skip


def _size_words(sizes: Mapping[str, int]) -> str:
    usual = sizes["usual_group"]
    words = f"{sizes['responses']:,} responses in {sizes['groups']:,} groups of {usual}"
    strange = []
    if sizes["smaller_groups"]:
        strange.append(f"{sizes['smaller_groups']:,} smaller")
    if sizes["larger_groups"]:
        strange.append(
            f"{sizes['larger_groups']:,} larger (a prompt drawn twice at a step is one group)"
        )
    if strange:
        words += f", of which {listed(strange)}"
    if usual == 1:
        words += ": if groups should be larger, name the prompt's column with --prompt"
    return words + "."


def _step_words(steps: pd.DataFrame) -> str:
    header = ["steps", "groups"]
    ends = zip(steps["step"], steps["last_step"], steps["groups"], strict=True)
    rows = [
        [f"{first}" if first == last else f"{first}–{last}", f"{groups:,}"]
        for first, last, groups in ends
    ]
    for name, words in (_SHARES | _MEANS).items():
        if name in steps:
            header.append(words)
            form = percent if name in _SHARES else (lambda value: f"{value:.3g}")
            for row, value in zip(rows, steps[name], strict=True):
                row.append("–" if np.isnan(value) else form(value))
    header.append("pass rates 0…1")
    for row, counts in zip(rows, steps.filter(regex="^groups ").to_numpy(), strict=True):
        row.append(histogram(counts))
    return _table(header, rows)


def histogram(counts: Iterable[float]) -> str:
    """Bars of a character each, the highest for the largest count and a dot for none.

    >>> histogram([8, 0, 1, 4])
    '█·▁▄'
    """
    numbers = list(counts)
    most = max(numbers, default=0)
    return "".join("▁▂▃▄▅▆▇█"[math.ceil(8 * n / most) - 1] if n else "·" for n in numbers)


def _mass_words(mass: pd.DataFrame, schemes: Mapping[str, Scheme]) -> str:
    first = mass[mass["scheme"] == mass["scheme"].iloc[0]].set_index("difficulty")
    total = first["groups"].sum()
    rows = [["all groups", *(percent(first["groups"][d] / total) for d in DIFFICULTIES), ""]]
    for name, part in mass.groupby("scheme", sort=False):
        share = part.set_index("difficulty")["share"]
        zero = percent(part["zero_advantage"].sum() / part["responses"].sum())
        cells = ["–" if np.isnan(share[d]) else percent(share[d]) for d in DIFFICULTIES]
        rows.append([schemes[str(name)].label, *cells, zero])
    heading = "Share of the gradient mass Σ|A| by pass rate of the group, and responses with A = 0:"
    return f"{heading}\n{_table(['scheme', *DIFFICULTIES, 'A = 0'], rows, left=1)}"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]], left: int = 0) -> str:
    """A table in plain text; all but the first columns are aligned to the right."""
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1), show_edge=False)
    for number, name in enumerate(header):
        grid.add_column(name, justify="left" if number < left else "right", no_wrap=True)
    for row in rows:
        grid.add_row(*row)
    console = Console(file=io.StringIO(), width=1000, color_system=None)
    with console.capture() as captured:
        console.print(grid, markup=False, highlight=False)
    return "\n".join(line.rstrip() for line in captured.get().rstrip().splitlines())
