"""The first rows of a file as Python values, by which its layout is recognised."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rollouts.files import RolloutFile

ROWS = 200
"""Rows that are looked at."""

LONGEST = 1 << 25
"""Bytes of a line, or of a JSON document that is not a list."""

NESTED = ("samples", "traces", "rollouts", "responses", "completions", "generations", "results")
"""Fields under which the responses of a prompt may stand as objects."""

REWARDS = (
    "reward",
    "score",
    "correct",
    "is_correct",
    "acc",
    "accuracy",
    "success",
    "rewards",
    "scores",
    "exact_match",
    "passed",
    "reward_total",
    "total_reward",
)
"""Names by which a reward is recognised, the likeliest first."""


_LFS = b"version https://git-lfs.github.com/spec/"
"""How a file begins that stands for another which Git has not fetched."""


@dataclasses.dataclass(frozen=True)
class Sample:
    """What the first rows of a file show.

    Attributes:
        rows: The rows, one a response or one a prompt.
        container: How rows lie in a JSON file: ``lines``, ``array``, ``document`` (one object),
            ``table`` (columns and data, as wandb writes) or ``dictionary`` (id → outcomes).
        nested: Field of a row that holds its responses as objects; the rows are those.
    """

    rows: tuple[dict[str, Any], ...]
    container: str = "lines"
    nested: str | None = None

    @property
    def fields(self) -> list[str]:
        """Names of the rows' fields, in order."""
        return list(dict.fromkeys(str(name) for row in self.rows for name in row))

    def values(self, name: str) -> list[Any]:
        """Values of a field, dots leading into objects; None where there is none."""
        return [_at(row, name) for row in self.rows]

    def leaves(self) -> list[str]:
        """Names of all fields that hold neither objects nor lists, dots leading into objects."""
        names: dict[str, None] = {}
        for row in self.rows:
            names |= dict.fromkeys(_leaves(row))
        return list(names)


def number(value: Any) -> float | None:
    """A value as a number, None if it is none; true is 1 and false 0.

    >>> number(True), number("0.5"), number("a"), number(None)
    (1.0, 0.5, None, None)
    """
    try:
        return (
            None
            if value is None
            else float(str(value).lower().replace("true", "1").replace("false", "0"))
        )
    except ValueError:
        return None


def binary(values: list[Any]) -> bool:
    """Whether values are 0 and 1, leaving out what is missing; a list stands for its items.

    >>> binary([True, None, 0.0]), binary([[1, 0], [0, 0]]), binary([0.5]), binary([None])
    (True, True, False, False)
    """
    known = flat(values)
    return bool(known) and all(number(value) in (0.0, 1.0) for value in known)


def flat(values: list[Any]) -> list[Any]:
    """Values that are there, lists taken apart."""
    items = [item for value in values for item in (value if isinstance(value, list) else [value])]
    return [item for item in items if item is not None and item != "" and item == item]


def peek(file: RolloutFile) -> Sample:
    """Read the first rows of a file.

    Raises:
        ValueError: The file cannot be read.
    """
    try:
        with file.path.open("rb") as stream:
            if stream.read(len(_LFS)) == _LFS:
                raise ValueError(
                    f"{file.path} is only a pointer of Git LFS to the file; git lfs pull fetches it"
                )
        if file.kind == "parquet":
            return Sample(tuple(_parquet(file.path)))
        text = _text(file)
        return Sample(tuple(_csv(text))) if file.kind == "csv" else _json(text, file.path)
    except (OSError, EOFError, pa.ArrowException, csv.Error, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"{file.path} is not a readable table: {reason}") from error


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as table:
        for batch in table.iter_batches(ROWS):
            yield from batch.slice(0, ROWS).to_pylist()
            return


def _text(file: RolloutFile) -> str:
    compression = None if file.compression == "none" else file.compression
    with pa.input_stream(str(file.path), compression=compression) as stream:
        return bytes(stream.read(LONGEST)).decode("utf-8-sig", errors="replace")


def _csv(text: str) -> Iterator[dict[str, Any]]:
    separator = max(",\t;|", key=text.partition("\n")[0].count)
    reader = csv.DictReader(io.StringIO(text, newline=""), delimiter=separator, restval=None)
    for row, _ in zip(reader, range(ROWS), strict=False):
        yield {name: value for name, value in row.items() if isinstance(name, str)}


def _json(text: str, path: Path) -> Sample:
    start = text.lstrip()[:1]
    name = path.name.lower()
    if start == "[" and ".json" in name and ".jsonl" not in name:
        return _nested(_array(text), "array")
    lines = [
        row
        for line, _ in zip(text.split("\n"), range(ROWS), strict=False)
        if (row := _parsed(line)) is not None
    ]
    if ".json" not in name or ".jsonl" in name or len(lines) > 1:
        return _nested(lines, "lines")
    whole = _parsed(text)
    if whole is None:
        return _nested(lines, "lines")
    if isinstance(whole.get("columns"), list) and isinstance(whole.get("data"), list):
        rows = [
            dict(zip(map(str, whole["columns"]), row, strict=False)) for row in whole["data"][:ROWS]
        ]
        return _nested(rows, "table")
    if whole and all(_outcomes(value) for value in whole.values()):
        return Sample(
            tuple({"id": key, "outcomes": value} for key, value in whole.items()), "dictionary"
        )
    return _nested([whole], "document")


def _outcomes(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(number(v) is not None for v in value)


def _array(text: str) -> list[dict[str, Any]]:
    decoder = json.JSONDecoder()
    rows: list[dict[str, Any]] = []
    at = text.index("[") + 1
    while len(rows) < ROWS:
        while at < len(text) and text[at] in " \t\r\n,":
            at += 1
        try:
            row, at = decoder.raw_decode(text, at)
        except (ValueError, RecursionError):
            break
        if isinstance(row, dict):
            rows.append(row)
    return rows


def _parsed(text: str) -> dict[str, Any] | None:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _nested(rows: list[dict[str, Any]], container: str) -> Sample:
    """Rows, or the objects in them if those are what has rewards."""
    for name in NESTED:
        lists = [row[name] for row in rows if isinstance(row.get(name), list) and row[name]]
        items = [item for found in lists for item in found]
        if (
            items
            and all(isinstance(item, dict) for item in items)
            and any(not set(REWARDS).isdisjoint(item) for item in items)
            and all(set(REWARDS).isdisjoint(row) for row in rows)
        ):
            inner = [{**row, **item} for row in rows for item in row.get(name) or [{}]]
            return Sample(tuple(inner), container, name)
    return Sample(tuple(rows), container)


def _at(row: Any, name: str) -> Any:
    if isinstance(row, dict) and name in row:
        return row[name]
    for part in name.split("."):
        if not isinstance(row, dict) or part not in row:
            return None
        row = row[part]
    return row


def _leaves(row: dict[str, Any], above: str = "") -> Iterator[str]:
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{above}{name}.")
        elif not isinstance(value, list):
            yield f"{above}{name}"
