"""Measured pass rates from a file: one number per prompt, in any of the usual formats."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

MOST_PROMPTS = 10_000_000
"""More prompts than these are a mistake in a column of counts."""


def read_pass_rates(path: Path, column: str = "pass_rate", count: str | None = None) -> np.ndarray:
    """Read one pass rate per prompt.

    Args:
        path: ``.parquet``, ``.csv`` or ``.jsonl`` with the column, or text with a number per line.
        column: Column that holds the pass rates.
        count: Column that holds how many prompts have each; none if every row is a prompt.

    Returns:
        Pass rates in [0, 1], shape (prompts,).

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A row that is no pass rate, named by file and line; no rows.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file")
    if count is not None and path.suffix.lower() not in (".csv", ".jsonl", ".parquet"):
        raise ValueError(f"a column of counts needs a .csv, .jsonl or .parquet file; got {path}")
    rates = []
    for place, value in _rows(path, column):
        try:
            rate = float(value)
        except (TypeError, ValueError):
            rate = math.nan
        if not 0 <= rate <= 1:
            raise ValueError(f"{path}, {place}: a pass rate must lie in [0, 1]; got {value!r}")
        rates.append(rate)
    if not rates:
        raise ValueError(f"{path} holds no pass rates")
    if count is None:
        return np.array(rates)
    counts = [check_counts(value, f"{path}, {place}") for place, value in _rows(path, count)]
    return repeated(rates, counts, str(path))


def repeated(rates: Sequence[float], counts: Sequence[int], name: str) -> np.ndarray:
    """Every pass rate as often as it is counted.

    Raises:
        ValueError: The counts are all 0, or more than ``MOST_PROMPTS`` together.

    >>> repeated([0.0, 0.5], [1, 2], "the histogram").tolist()
    [0.0, 0.5, 0.5]
    """
    if not any(counts):
        raise ValueError(f"{name} counts no prompts")
    if sum(counts) > MOST_PROMPTS:
        raise ValueError(f"{name} counts more than {MOST_PROMPTS:,} prompts")
    return np.repeat(rates, counts)


def check_counts(value: Any, place: str) -> int:
    """A number of prompts.

    Raises:
        ValueError: It is not a whole number of at least 0 and at most ``MOST_PROMPTS``.

    >>> check_counts("12", "rates.csv, line 2")
    12
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (0 <= number <= MOST_PROMPTS and number == int(number)):
        raise ValueError(
            f"{place}: a number of prompts must be whole, from 0 to {MOST_PROMPTS:,}; got {value!r}"
        )
    return int(number)


def _rows(path: Path, column: str) -> Iterator[tuple[str, Any]]:
    """The place and the value of every row."""
    kind = path.suffix.lower()
    if kind == ".parquet":
        import pandas as pd

        try:
            table = pd.read_parquet(path)
        except (ValueError, OSError) as error:
            raise ValueError(f"{path} is not a readable Parquet table: {error}") from error
        if column not in table:
            raise ValueError(
                f"{path} lacks the column {column!r}; it has: {', '.join(map(str, table.columns))}"
            )
        yield from ((f"row {i}", value) for i, value in enumerate(table[column], start=1))
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text: {error}") from error
    if kind == ".csv":
        reader = csv.DictReader(io.StringIO(text, newline=""))
        if column not in (reader.fieldnames or ()):
            names = ", ".join(reader.fieldnames or ()) or "none"
            raise ValueError(f"{path} lacks the column {column!r}; it has: {names}")
        yield from ((f"line {reader.line_num}", row[column]) for row in reader)
        return
    for number, line in enumerate(text.split("\n"), start=1):
        if not line.strip():
            continue
        value: Any = line.strip()
        if kind == ".jsonl":
            try:
                row = json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"{path}, line {number}: not valid JSON ({error.msg})") from error
            if not isinstance(row, dict) or column not in row:
                raise ValueError(f"{path}, line {number}: no field {column!r}")
            value = row[column]
        yield f"line {number}", value
