"""Reading rows from JSONL, Parquet or the hub, and saying which ones are bad and where."""

from __future__ import annotations

import dataclasses
import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

from runs.files import parse_json

_LOG = logging.getLogger(__name__)
_HUB = re.compile(r"hub:(?P<repo>[\w.-]+/[\w.-]+)(?::(?P<config>[\w.-]+))?(?:@(?P<split>[\w.-]+))?")
_SHOWN = 5
T = TypeVar("T")


class BadRowError(ValueError):
    """A row cannot be used; the message says which one and why."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of a data set.

    Attributes:
        where: File and line, or data set and row, for messages.
        place: Number of the row, from 0, blank lines not counted.
        values: The columns.
    """

    where: str
    place: int
    values: Mapping[str, Any]

    def text(self, *names: str) -> str:
        """The first of the named columns that is there; it must hold text.

        Raises:
            BadRowError: None of the columns is there, or it holds something else.
        """
        for name in names:
            value = self.values.get(name)
            if value is None:
                continue
            if not isinstance(value, str):
                raise BadRowError(
                    f"{self.where}: {name!r} must be text; it is a {type(value).__name__}"
                )
            return value
        wanted = " or ".join(repr(name) for name in names)
        raise BadRowError(f"{self.where}: the row lacks {wanted}")


@dataclasses.dataclass
class Reader:
    """Reads files row by row and gathers what is wrong with them.

    Attributes:
        strict: Raise after reading a file that has bad rows; else report and leave them out.
        download: Whether data sets on the hub may be fetched over the network.
        read: Rows read so far, bad ones included.
        bad_rows: One sentence per bad row.
    """

    strict: bool = True
    download: bool = False
    read: int = 0
    bad_rows: list[str] = dataclasses.field(default_factory=list)

    def examples(self, source: str | Path, split: str, make: Callable[[Row], T]) -> list[T]:
        """What ``make`` makes of the rows of ``source``.

        Args:
            source: A ``.jsonl`` or ``.parquet`` file, or ``hub:owner/name[:config][@split]``.
            split: Split to take from the hub if the source names none.
            make: Turns a row into an example, or raises :class:`BadRowError`.

        Raises:
            FileNotFoundError: No such file, or a data set that is not at hand.
            BadRowError: Bad rows, if strict.
            ValueError: A source that is neither.
        """
        made: list[T] = []
        bad: list[str] = []
        for row in self._rows(source, split):
            self.read += 1
            try:
                if isinstance(row, str):
                    raise BadRowError(row)
                made.append(make(row))
            except BadRowError as error:
                bad.append(str(error))
        if bad:
            shown = "; ".join(bad[:_SHOWN])
            more = f"; and {len(bad) - _SHOWN} more" if len(bad) > _SHOWN else ""
            message = f"{source} has {len(bad)} bad row(s): {shown}{more}"
            if self.strict:
                raise BadRowError(f"{message} (the task option strict=false leaves them out)")
            _LOG.warning("%s", message)
            self.bad_rows += bad
        if not made:
            raise BadRowError(f"{source} holds no usable row")
        return made

    def _rows(self, source: str | Path, split: str) -> Iterator[Row | str]:
        hub = _HUB.fullmatch(str(source))
        if hub:
            yield from _read_hub(
                hub["repo"], hub["config"], hub["split"] or split, download=self.download
            )
            return
        path = Path(source)
        if str(source).startswith("hub:"):
            raise ValueError(
                f"a data set on the hub is written hub:owner/name[:config][@split]; got {source}"
            )
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} is not a file; give a .jsonl or .parquet file, or hub:owner/name"
            )
        if path.suffix == ".jsonl":
            yield from _read_jsonl(path)
        elif path.suffix == ".parquet":
            yield from _read_parquet(path)
        else:
            raise ValueError(f"rows are read from .jsonl or .parquet files; got {path}")


def _read_jsonl(path: Path) -> Iterator[Row | str]:
    """Rows of a JSONL file; a sentence instead of a row for a line that is broken."""
    place = 0
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            where = f"{path}, line {number}"
            try:
                values = parse_json(
                    line.rstrip(b"\r\n").decode("utf-8-sig" if number == 1 else "utf-8")
                )
            except UnicodeDecodeError as error:
                yield f"{where}: not UTF-8 (byte {error.start + 1})"
            except json.JSONDecodeError as error:
                yield f"{where}: not valid JSON ({error.msg} at column {error.colno})"
            except RecursionError:
                yield f"{where}: not usable JSON (nested too deeply)"
            else:
                if isinstance(values, dict):
                    yield Row(where, place, values)
                else:
                    yield f"{where}: must be a JSON object; it is a {type(values).__name__}"
            place += 1


def _read_parquet(path: Path) -> Iterator[Row | str]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise ValueError(f"{path} is not a Parquet file: {error}") from error
    for place, values in enumerate(table.to_pylist()):
        yield Row(f"{path}, row {place + 1}", place, values)


def _read_hub(repo: str, config: str | None, split: str, *, download: bool) -> Iterator[Row | str]:
    try:
        import datasets
        import huggingface_hub
    except ImportError as error:
        raise ImportError(
            "reading data sets from the hub needs the extra: pip install '.[llm]'"
        ) from error
    try:
        folder = huggingface_hub.snapshot_download(
            repo,
            repo_type="dataset",
            local_files_only=not download,
            # Data only: a data set's scripts are never fetched, let alone run.
            allow_patterns=["*.parquet", "*.jsonl", "*.json", "*.csv", "README.md"],
        )
    except (huggingface_hub.errors.HfHubHTTPError, OSError) as error:
        reason = (
            f"{repo} could not be fetched: {error}"
            if download
            else f"{repo} is not in the local Hugging Face cache; pass download=True to fetch it"
        )
        raise FileNotFoundError(f"{reason}, or give a local .jsonl or .parquet file") from error
    try:
        data = datasets.load_dataset(folder, config, split=split)
    except ValueError as error:
        raise ValueError(f"{repo} has no such data (config {config}, split {split}): {error}")  # noqa: B904
    for place, values in enumerate(data):
        yield Row(f"{repo} {split}, row {place + 1}", place, values)
