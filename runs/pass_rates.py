"""Measured pass rates from a file: one number or count per prompt, in any of the usual formats."""

from __future__ import annotations

import csv
import dataclasses
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

CORRECT = (
    *(
        f"{many}_{word}"
        for word in ("correct", "success", "pass", "passed")
        for many in ("n", "num")
    ),
    "correct_count",
    "successes",
    "correct",
)
TRIES = (
    *(f"{many}_{word}" for word in ("samples", "tries", "rollouts") for many in ("n", "num")),
    "tries",
    "attempts",
    "responses",
    "samples",
    "total",
)
NAMES = ("id", "prompt_id", "problem_id", "uid", "prompt")
"""Columns that hold correct responses, responses, and what a prompt is called."""

_MOST_GUESSED = 1024
_ROUNDED = 0.05
"""Correct responses may be off a whole number by so much: pass rates are written rounded."""


@dataclasses.dataclass(frozen=True)
class Measured:
    """Pass rates of prompts, and how many responses measured them.

    Attributes:
        name: What each prompt is called; its number in the file if nothing else.
        rate: K/n of each prompt, shape (prompts,).
        tries: n of each prompt; None if it is not known.
        guessed: Every rate is a multiple of 1/n for this power of two, which ``tries`` was taken
            from; 0 if it was not.
    """

    name: tuple[str, ...]
    rate: Floats
    tries: Floats | None
    guessed: int = 0

    @property
    def correct(self) -> Floats:
        """K of each prompt.

        Raises:
            ValueError: n is not known.
        """
        if self.tries is None:
            raise ValueError("how many responses measured the pass rates is not known")
        return np.asarray(np.rint(self.rate * self.tries))


def read_measured(
    path: str | Path,
    column: str = "pass_rate",
    count: str | None = None,
    tries: int | None = None,
) -> Measured:
    """Read how often the responses to each prompt were correct.

    A table with columns of correct responses and of responses (:data:`CORRECT`, :data:`TRIES`) is
    read by these, unless it has no such columns or another ``column`` is asked for. A JSON object
    may hold, by prompt, a pass rate or the list of outcomes 0 and 1. Files are those of
    :func:`read_pass_rates`.

    Args:
        path: The file.
        column: Column that holds the pass rates.
        count: Column that holds how many prompts have each; None if every row is a prompt.
        tries: Responses that each pass rate was measured with, where the file does not say it. If
            neither does, but every rate is a multiple of 1/n for a power of two, that n is taken.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: As :func:`read_pass_rates`; pass rates that are not of so many tries.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise FileNotFoundError(
            f"{path} is not a file; pass rates are read from CSV, JSON, JSONL, "
            "Parquet or text with a number per line"
        )
    names: list[str] = []
    rates, known, counts = [], [], []
    columns = (column,) if count is None else (column, count)
    for place, row in _rows(path, columns):
        where = f"{path}, {place}"
        rate, n = _rate(row, column, where)
        names.append(_name(row, str(len(names) + 1)))
        rates.append(rate)
        known.append(n)
        if count is not None:
            if not isinstance(row, dict):
                raise ValueError(f"{path} has no columns, so none of counts; got {count!r}")
            counts.append(check_count(_field(row, count, where), where))
    if not rates:
        raise ValueError(f"{path} holds no pass rates")
    if count is not None:
        rates = repeated(rates, counts, str(path)).tolist()
        known = np.repeat(known, counts).tolist()
        names = [str(number) for number in range(1, len(rates) + 1)]
    return measured(names, rates, known, tries, str(path))


def measured(
    names: Sequence[str],
    rates: Sequence[float],
    known: Sequence[float],
    tries: int | None,
    source: str,
) -> Measured:
    """Pass rates with the tries that are known, given or guessed.

    Args:
        names: What prompts are called.
        rates: Their pass rates.
        known: Responses of each, NaN where the source does not say.
        tries: Responses of those; None to guess.
        source: Where they are from, for sentences.

    Raises:
        ValueError: ``tries`` is below 1, or some rate is no multiple of 1/tries.

    >>> measured(["a", "b"], [0.0, 0.75], [math.nan] * 2, None, "here").guessed
    4
    """
    rate, n = np.asarray(rates, dtype=np.float64), np.asarray(known, dtype=np.float64)
    name, unknown, guessed = tuple(names), np.isnan(n), 0
    if tries is not None and tries < 1:
        raise ValueError(f"tries must be at least 1; got {tries}")
    if np.any(unknown) and tries is None:
        guessed = _guess(rate[unknown])
        if not guessed:
            return Measured(name, rate, None)
    n = np.where(unknown, tries or guessed, n)
    off = np.abs(rate * n - np.rint(rate * n)) > _ROUNDED
    if np.any(off):
        at = int(np.argmax(off))
        raise ValueError(
            f"{source}: a pass rate of {rate[at]:g} does not come from {n[at]:g} tries; say with "
            "--tries how many there were"
        )
    return Measured(name, rate, n, guessed)


def _guess(rates: Floats) -> int:
    """The least power of two of whose inverse all rates are multiples; 0 if none is."""
    n = 2
    while n <= _MOST_GUESSED:
        if np.all(np.abs(rates * n - np.rint(rates * n)) < 1e-6 * n):
            return n
        n *= 2
    return 0


def _rate(row: Row, column: str, where: str) -> tuple[float, float]:
    """Pass rate and number of tries of a row, NaN if it does not say that."""
    if isinstance(row, dict) and column == "pass_rate":
        correct, tries = _first(row, CORRECT), _first(row, TRIES)
        if correct is not None and tries is not None:
            k, n = _number(correct), _number(tries)
            if not (0 <= k <= n and 1 <= n < math.inf and k == int(k) and n == int(n)):
                raise ValueError(
                    f"{where}: correct responses must be a whole number, at most that of the "
                    f"responses; got {_shown(correct)} of {_shown(tries)}"
                )
            return k / n, n
    value = _field(row, column, where)
    if isinstance(value, list):
        if not value or not all(isinstance(x, int | float) and x in (0, 1) for x in value):
            raise ValueError(
                f"{where}: the outcomes must be a list of 0 and 1; got {_shown(value)}"
            )
        return sum(map(float, value)) / len(value), float(len(value))
    rate = _number(value)
    if not 0 <= rate <= 1:
        raise ValueError(f"{where}: a pass rate must lie in [0, 1]; got {_shown(value)}")
    return rate, math.nan


def _first(row: dict[Any, Any], names: Iterable[str]) -> Any:
    return next((row[name] for name in names if row.get(name) not in (None, "")), None)


def _name(row: Row, otherwise: str) -> str:
    found = _first(row, NAMES) if isinstance(row, dict) else None
    return otherwise if found is None else str(found)


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
    return read_measured(path, column, count).rate


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
        if isinstance(items, dict) and items and not any(map(_is_table, items.values())):
            for name, value in items.items():
                yield f"prompt {_shown(name)}", {"id": name, columns[0]: value}
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
    used = [name for name in table.columns if name in {*columns, *CORRECT, *TRIES, *NAMES}]
    records = table[used].to_dict("records")
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
        if first and (words or not {*columns, *CORRECT}.isdisjoint(first)):
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
    counted = not (set(CORRECT).isdisjoint(names) or set(TRIES).isdisjoint(names))
    for column in wanted:
        if column == "pass_rate" and counted:
            continue
        if column not in names:
            shown = textwrap.shorten(", ".join(names), 200, placeholder="…") or "none"
            raise ValueError(f"{path} lacks the column {column!r}; it has: {shown}")


def _is_table(value: Any) -> bool:
    """An object, or a list of anything but numbers: no rate and no outcomes of one prompt."""
    return isinstance(value, dict) or (
        isinstance(value, list) and not all(isinstance(item, int | float) for item in value)
    )


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
