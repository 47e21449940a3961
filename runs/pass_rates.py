"""Measured pass rates from a file: one number per prompt, in any of the usual formats."""

from __future__ import annotations

import csv
import io
import math
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from runs.files import parse_json, read_table

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
Row = dict[Any, Any] | Any
"""Fields by name, or a bare value where the file has no names."""

MOST_PROMPTS = 10_000_000
"""More prompts than these are a mistake in a column of counts."""


def read_pass_rates(
    path: str | Path, column: str = "pass_rate", count: str | None = None
) -> Floats:
    """Read one pass rate per prompt.

    By the file's ending: ``.parquet``; ``.csv``; ``.json``, a list of objects or one object with
    the pass rate of each prompt; ``.jsonl``, an object per line; each with the column. A CSV or
    JSON file may hold bare numbers instead, and any other file is text with a number per line, or
    CSV or JSONL that shows itself as such.

    Args:
        path: The file.
        column: Column that holds the pass rates.
        count: Column that holds how many prompts have each; None if every row is a prompt.

    Returns:
        Pass rates in [0, 1], shape (prompts,), in the order of the file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: An unreadable file, no rows, a row that is no pass rate, or counts that are no
            numbers of prompts; the sentence names the file and the place.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not a file; pass rates are read from CSV, JSON, JSONL, "
            "Parquet or text with a number per line"
        )
    rates, counts = [], []
    columns = (column,) if count is None else (column, count)
    for place, row in _rows(path, columns):
        where = f"{path}, {place}"
        value = _field(row, column, where)
        rate = _number(value)
        if not 0 <= rate <= 1:
            raise ValueError(f"{where}: a pass rate must lie in [0, 1]; got {_shown(value)}")
        rates.append(rate)
        if count is not None:
            if not isinstance(row, dict):
                raise ValueError(f"{path} has no columns, so none of counts; got {count!r}")
            counts.append(check_count(_field(row, count, where), where))
    if not rates:
        raise ValueError(f"{path} holds no pass rates")
    return np.asarray(rates) if count is None else repeated(rates, counts, str(path))


def repeated(rates: Sequence[float], counts: Sequence[int], name: str) -> Floats:
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
    return np.repeat(np.asarray(rates, dtype=float), counts)


def check_count(value: Any, place: str) -> int:
    """A number of prompts.

    Raises:
        ValueError: It is not a whole number of at least 0 and at most ``MOST_PROMPTS``.

    >>> check_count("12", "rates.csv, line 2")
    12
    """
    number = _number(value)
    if not (0 <= number <= MOST_PROMPTS and number == int(number)):
        raise ValueError(
            f"{place}: a number of prompts must be whole, from 0 to {MOST_PROMPTS:,}; "
            f"got {_shown(value)}"
        )
    return int(number)


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    """Place and content of every row; a table has to have the columns."""
    kind = path.suffix.lower()
    if kind == ".parquet":
        yield from _parquet(path, columns)
        return
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin a CSV with a mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text: {error.reason}") from error
    if kind == ".json":
        items = _parsed(text, str(path))
        if isinstance(items, dict) and items and not any(map(_is_container, items.values())):
            yield from ((f"prompt {_shown(name)}", rate) for name, rate in items.items())
            return
        if not isinstance(items, list):
            raise ValueError(
                f"{path} must hold a JSON list of numbers or of objects, or an object of pass "
                "rates by prompt"
            )
        yield from ((f"item {n}", item) for n, item in enumerate(items, 1))
    elif kind == ".jsonl" or text.lstrip().startswith("{"):
        # Not splitlines, which ends lines at characters that JSON allows within them.
        for n, line in enumerate(text.split("\n"), 1):
            if line.strip():
                yield f"line {n}", _parsed(line, f"{path}, line {n}")
    else:
        yield from _csv(path, text, columns, headed=kind == ".csv")


def _parquet(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, Row]]:
    table = read_table(path)
    _check_columns(path, columns, table.columns)
    records = table[list(columns)].to_dict("records")
    yield from ((f"row {n}", record) for n, record in enumerate(records, 1))


def _csv(
    path: Path, text: str, columns: Sequence[str], *, headed: bool
) -> Iterator[tuple[str, Row]]:
    """Rows by the names of a header, or the first cell of each if there is no header.

    The first row is a header if it names a column, or if the file should have one and no cell of
    the row is a number.
    """
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        rows = (cells for cells in reader if any(cell.strip() for cell in cells))
        first = next(rows, [])
        words = headed and all(math.isnan(_number(cell)) for cell in first)
        if first and (words or not set(columns).isdisjoint(first)):
            _check_columns(path, columns, first)
            for cells in rows:
                row = dict.fromkeys(first) | dict(zip(first, cells, strict=False))
                yield f"line {reader.line_num}", row
            return
        if first:
            yield f"line {reader.line_num}", first[0]
        yield from ((f"line {reader.line_num}", cells[0]) for cells in rows)
    except csv.Error as error:
        raise ValueError(f"{path} is not text with a pass rate per line, nor CSV") from error


def _check_columns(path: Path, wanted: Iterable[str], found: Iterable[Any]) -> None:
    names = [str(name) for name in found]
    for column in wanted:
        if column not in names:
            shown = textwrap.shorten(", ".join(names), 200, placeholder="…") or "none"
            raise ValueError(f"{path} lacks the column {column!r}; it has: {shown}")


def _is_container(value: Any) -> bool:
    return isinstance(value, dict | list)


def _parsed(text: str, place: str) -> Any:
    try:
        return parse_json(text)
    except (ValueError, RecursionError) as error:
        reason = getattr(error, "msg", "too deep or too long")
        raise ValueError(f"{place}: not valid JSON ({reason})") from error


def _field(row: Row, name: str, place: str) -> Any:
    if not isinstance(row, dict):
        return row
    if name not in row:
        raise ValueError(f"{place}: no field {name!r}")
    return row[name]


def _number(value: Any) -> float:
    """The value as a number; NaN if it is none. Truth values are none."""
    try:
        return math.nan if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _shown(value: Any) -> str:
    return textwrap.shorten(repr(value), 60, placeholder="…")
