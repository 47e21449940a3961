"""Initial success probabilities ρ₀ of the prompts: a point, a spread, or a file of pass rates.

A start is written as a number or as a reference: ``0.01``, ``"beta:1,9"``,
``"loguniform:0.001,0.5"``, ``"file:results/base/pass_rates.csv"``.
"""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]

LEAST = 1e-12
"""Smallest ρ₀ a prompt may have: at ρ = 0 no learner here ever sees a correct response."""

_FORMS = "a number in (0, 1), 'beta:a,b', 'loguniform:low,high' or 'file:path'"


def initial_success(start: float | str, prompts: int, generator: np.random.Generator) -> Floats:
    """Draw the initial success probability of each prompt, hardest first.

    A distribution is represented by its quantiles at (i + u)/n with one common u ~ U(0, 1), so
    that every set of prompts has the distribution's spread; a file is resampled with replacement
    unless it has exactly as many rows as there are prompts.

    Args:
        start: A number in (0, 1), ``"beta:a,b"``, ``"loguniform:low,high"`` or ``"file:path"``.
        prompts: Number of prompts, at least 1.
        generator: Source of randomness.

    Returns:
        float64 array of shape (prompts,), ascending, inside (0, 1).

    Raises:
        ValueError: A start that cannot be read; the message says what is allowed.

    Source: systematic (stratified) sampling.

    >>> initial_success("loguniform:0.01,0.5", 3, np.random.default_rng(0)).round(3).tolist()
    [0.023, 0.085, 0.311]
    """
    check_start(start)
    if isinstance(start, str) and not _is_number(start):
        kind, _, rest = start.partition(":")
        if kind == "file":
            rates = read_pass_rates(rest)
            if len(rates) != prompts:
                rates = generator.choice(rates, size=prompts)
            return np.clip(np.sort(rates), LEAST, 1 - LEAST)
        first, second = (float(part) for part in rest.split(","))
        levels = (np.arange(prompts) + generator.random()) / prompts
        distribution = (
            stats.beta(first, second) if kind == "beta" else stats.loguniform(first, second)
        )
        quantiles: Floats = np.asarray(distribution.ppf(levels), dtype=np.float64)
        return np.clip(quantiles, LEAST, 1 - LEAST)
    return np.full(prompts, float(start))


def check_start(start: float | str) -> None:
    """Raise a ``ValueError`` saying what is allowed unless ``start`` can be read.

    >>> check_start(1.5)
    Traceback (most recent call last):
    ...
    ValueError: start must be a number in (0, 1), 'beta:a,b', 'loguniform:low,high' or \
'file:path'; got 1.5
    """
    if not isinstance(start, str) or _is_number(start):
        if not 0 < float(start) < 1:
            raise ValueError(f"start must be {_FORMS}; got {start}")
        return
    kind, _, rest = start.partition(":")
    if kind == "file" and rest:
        read_pass_rates(rest)
        return
    parts = rest.split(",")
    if kind not in ("beta", "loguniform") or len(parts) != 2 or not all(map(_is_number, parts)):
        raise ValueError(f"start must be {_FORMS}; got {start!r}")
    first, second = (float(part) for part in parts)
    if kind == "beta" and not (0 < first < np.inf and 0 < second < np.inf):
        raise ValueError(f"both shape parameters of a beta start must be positive; got {start!r}")
    if kind == "loguniform" and not 0 < first < second < 1:
        raise ValueError(f"a loguniform start needs 0 < low < high < 1; got {start!r}")


def read_pass_rates(path: str | Path) -> Floats:
    """Read measured pass rates, one per prompt.

    By the file's ending: ``.parquet`` with a column ``pass_rate``; ``.json``, a list of numbers or
    of objects with a field ``pass_rate``; anything else is text with a prompt per line, CSV with a
    column ``pass_rate`` (or numbers alone) or JSONL with a field ``pass_rate``. Rates 0 and 1 are
    kept; a prompt never solved in a measurement is not a prompt that cannot be solved, so they
    become 1e-12 from either end when a policy is built.

    Raises:
        ValueError: A missing or unreadable file, an empty one, or a row that is not a rate in
            [0, 1]; the message names the file and the place.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ValueError(
            f"{path} is not a file; start file:path names one of pass rates, CSV, JSON or Parquet"
        )
    rates: list[float] = []
    for place, value in _rows(path):
        try:
            rate = float(value)
        except (ValueError, TypeError):
            rate = float("nan")
        if isinstance(value, bool) or not 0 <= rate <= 1:
            shown = textwrap.shorten(str(value), 60, placeholder="…")
            raise ValueError(f"{path}, {place}: a pass_rate in [0, 1] is wanted; got {shown}")
        rates.append(rate)
    if not rates:
        raise ValueError(f"{path} holds no pass rates")
    return np.asarray(rates)


def _rows(path: Path) -> Iterator[tuple[str, Any]]:
    """Place and value of every row."""
    kind = path.suffix.lower()
    if kind == ".parquet":
        table = _parquet(path)
        yield from ((f"row {n}", value) for n, value in enumerate(table, 1))
        return
    try:
        text = path.read_text(encoding="utf-8-sig")  # spreadsheets begin a CSV with a mark
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not text, CSV or JSON of pass rates") from error
    if kind == ".json":
        yield from ((f"item {n}", _field(item)) for n, item in enumerate(_items(path, text), 1))
        return
    if text.lstrip().startswith("{"):
        numbered = enumerate(text.split("\n"), 1)
        yield from ((f"line {n}", _field(_parsed(line))) for n, line in numbered if line.strip())
        return
    column, header = 0, True
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        for row in reader:
            if header and "pass_rate" in row:
                column = row.index("pass_rate")
            elif any(cell.strip() for cell in row):
                value = row[column] if column < len(row) else ",".join(row)
                yield f"line {reader.line_num}", value
            header = header and not row
    except csv.Error as error:
        raise ValueError(f"{path} is not text, CSV or JSON of pass rates") from error


def _parquet(path: Path) -> list[Any]:
    import pandas as pd

    try:
        table = pd.read_parquet(path)
    except (ValueError, OSError) as error:
        raise ValueError(f"{path} is not a readable Parquet table") from error
    if "pass_rate" not in table:
        names = ", ".join(map(str, table.columns))
        raise ValueError(f"{path} lacks the column pass_rate; it has: {names}")
    values: list[Any] = table["pass_rate"].tolist()
    return values


def _items(path: Path, text: str) -> list[Any]:
    items = _parsed(text)
    if not isinstance(items, list):
        raise ValueError(f"{path} must hold a JSON list of numbers, or of objects with pass_rate")
    return items


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError:
        return text


def _field(item: Any) -> Any:
    return item.get("pass_rate", item) if isinstance(item, dict) else item


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
