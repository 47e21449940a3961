"""Files as DuckDB sees them: private links with harmless names, and nothing else within reach."""

from __future__ import annotations

import contextlib
import csv
import dataclasses
import gzip
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from rollouts.columns import Table
from rollouts.files import RolloutFile
from rollouts.query import identifier, literal, pointer
from rollouts.sample import LONGEST, Sample

_FORMATS = {"lines": "newline_delimited", "array": "array"}
"""How rows lie in a file of JSON → what DuckDB calls it; a document is anything else."""


@dataclasses.dataclass(frozen=True)
class Links:
    """A folder of symbolic links to the files, by whose names SQL knows them.

    Attributes:
        folder: The folder, which is also where DuckDB may put what does not fit into memory.
        pairs: Link and file, in order.
        sample: First rows of the files.
    """

    folder: Path
    pairs: Sequence[tuple[Path, RolloutFile]]
    sample: Sample

    @classmethod
    def make(cls, files: Sequence[RolloutFile], folder: Path, sample: Sample) -> Links:
        """Link the files; a link's name holds the step that the file's path names."""
        pairs = []
        endings = {"parquet": ".parquet", "csv": ".csv", "jsonl": ".jsonl"}
        packed = {"gzip": ".gz", "zstd": ".zst"}
        for number, file in enumerate(files):
            ending = endings[file.kind] + packed.get(file.compression, "")
            link = folder / f"{file.step or 0}-{number:07d}{ending}"
            link.symlink_to(file.path.resolve())
            pairs.append((link, file))
        return cls(folder, pairs, sample)

    @property
    def kind(self) -> str:
        """Kind of the files."""
        return self.pairs[0][1].kind

    def table(self, connection: duckdb.DuckDBPyConnection) -> Table:
        """Columns of the files together.

        Raises:
            ValueError: A file that cannot be read, or has no columns.
        """
        steps = all(file.step is not None for _, file in self.pairs)
        if self.kind == "parquet":
            rows = connection.sql(f"DESCRIBE SELECT * FROM {self._parquet(self._links())}")
            types = {str(row[0]): str(row[1]) for row in rows.fetchall()}
        elif self.kind == "csv":
            headers = [name for link, file in self.pairs for name in csv_header(link, file)[0]]
            types = dict.fromkeys(headers, "VARCHAR")
        else:
            types = dict.fromkeys(self.sample.fields, "JSON")
        if not types:
            raise ValueError(f"{self.pairs[0][1].path} is empty")
        if any(name.lower() == "__file" for name in types):
            raise ValueError(f"{self.pairs[0][1].path} has a column named __file; give it another")
        return Table(self.kind, types, steps)

    def source(self, table: Table, links: Sequence[Path] | None = None) -> str:
        """FROM clause for the rows of the files, or of some of them."""
        chosen = self._links() if links is None else links
        if self.kind == "parquet":
            names = ", ".join(identifier(name) for name in table.types)
            if links is None:
                return f"(SELECT {names}, __file FROM {self._parquet(chosen, files=True)})"
            there = self._own_columns(chosen[0], table)
            return f"(SELECT {there}, __file FROM {self._parquet(chosen, files=True)})"
        if self.kind == "jsonl":
            return self._json(chosen)
        files = dict(self.pairs)
        return f"({' UNION ALL '.join(self._csv(link, files[link], table) for link in chosen)})"

    def typed_source(self, types: Mapping[str, str]) -> str:
        """FROM clause for JSON lines parsed into columns of these types, or not at all.

        A line that is no object, a value of another type and a key that comes twice raise DuckDB's
        error, unlike :meth:`source`, so that nothing is read otherwise than there.
        """
        columns = ", ".join(f"{literal(name)}: {literal(kind)}" for name, kind in types.items())
        names = ", ".join(map(identifier, types))
        return (
            f"(SELECT {names}, filename AS __file FROM read_json({_listed(self._links())}, "
            f"format='newline_delimited', columns={{{columns}}}, filename=true, "
            f"maximum_object_size={LONGEST}))"
        )

    def rejected(
        self, connection: duckdb.DuckDBPyConnection
    ) -> tuple[int, list[tuple[Path, int, str]]]:
        """Lines of CSV that could not be split: how many, and the first few."""
        if self.kind != "csv":
            return 0, []
        rows = connection.sql(
            "SELECT file_path, line, min(csv_line) FROM (SELECT DISTINCT scan_id, file_id, line, "
            "csv_line FROM reject_errors) JOIN reject_scans USING (scan_id, file_id) "
            "GROUP BY file_path, line ORDER BY file_path, line"
        ).fetchall()
        files = {str(link): file.path for link, file in self.pairs}
        return len(rows), [(files[path], line, str(text)[:60]) for path, line, text in rows[:5]]

    def _links(self) -> list[Path]:
        return [link for link, _ in self.pairs]

    def _parquet(self, links: Sequence[Path], *, files: bool = False) -> str:
        name = ", filename='__file'" if files else ""
        return f"read_parquet({_listed(links)}, union_by_name=true{name})"

    def _own_columns(self, link: Path, table: Table) -> str:
        """Columns of one file of many, those it lacks as NULL."""
        with duckdb.connect() as connection:
            rows = connection.sql(f"DESCRIBE SELECT * FROM {self._parquet([link])}").fetchall()
        there = {str(row[0]).lower() for row in rows}
        return ", ".join(
            identifier(name)
            if name.lower() in there
            else f"CAST(NULL AS {kind}) AS {identifier(name)}"
            for name, kind in table.types.items()
        )

    def _csv(self, link: Path, file: RolloutFile, table: Table) -> str:
        names, separator = csv_header(link, file)
        types = ", ".join(f"{literal(name)}: 'VARCHAR'" for name in names)
        chosen = ", ".join(
            identifier(name) if name in names else f"CAST(NULL AS VARCHAR) AS {identifier(name)}"
            for name in table.types
        )
        return (
            f"SELECT {chosen}, {literal(str(link))} AS __file FROM read_csv({_listed([link])}, "
            f"columns={{{types}}}, auto_detect=false, header=true, delim={literal(separator)}, "
            f"quote='\"', escape='\"', store_rejects=true, rejects_limit=0, "
            f"max_line_size={LONGEST})"
        )

    def _json(self, links: Sequence[Path]) -> str:
        """Rows of JSON, however they lie in the files."""
        container = self.sample.container
        rows = (
            f"(SELECT json, filename AS __file FROM read_json_objects({_listed(links)}, "
            f"format='{_FORMATS.get(container, 'unstructured')}', ignore_errors=true, "
            f"filename=true, maximum_object_size={LONGEST}))"
        )
        if container == "table":
            rows = (
                "(SELECT to_json(map(CAST(json_extract(json, '$.columns') AS VARCHAR[]), "
                "CAST(item AS JSON[]))) AS json, __file FROM (SELECT json, __file, "
                f"unnest(CAST(json_extract(json, '$.data') AS JSON[])) AS item FROM {rows}))"
            )
        elif container == "dictionary":
            rows = (
                "(SELECT json_object('id', item.key, 'outcomes', item.value) AS json, __file FROM "
                "(SELECT __file, unnest(map_entries(CAST(json AS MAP(VARCHAR, JSON)))) AS item "
                f"FROM {rows}))"
            )
        if self.sample.nested is not None:
            inner = f"json_extract(json, {literal(pointer(self.sample.nested, []))})"
            rows = (
                "(SELECT json_merge_patch(json, item) AS json, __file FROM (SELECT json, __file, "
                f"unnest(CASE WHEN coalesce(json_array_length({inner}), 0) > 0 "
                f"THEN CAST({inner} AS JSON[]) ELSE [CAST('{{}}' AS JSON)] END) AS item "
                f"FROM {rows}))"
            )
        return rows


def csv_header(link: Path, file: RolloutFile) -> tuple[list[str], str]:
    """Names of the columns of a CSV file, and what separates them.

    Raises:
        ValueError: The file is empty, or is no text.
    """
    try:
        if file.compression == "zstd":
            raise ValueError(f"{file.path}: CSV may be compressed with gzip, and not otherwise")
        packed = file.compression == "gzip"
        opened: Callable[..., Any] = gzip.open if packed else open
        with opened(link, "rt", encoding="utf-8-sig", errors="replace", newline="") as stream:
            line = stream.readline(LONGEST)
            separator = max(",\t;|", key=line.count)
            stream.seek(0)
            names = next(csv.reader(stream, delimiter=separator), [])
            if any("\ufffd" in name for name in names):
                raise csv.Error("its first line is not UTF-8")
    except (csv.Error, EOFError, gzip.BadGzipFile) as error:
        raise ValueError(f"{file.path} is no CSV text: {error}") from error
    if not names:
        raise ValueError(f"{file.path} is empty")
    # DuckDB does not tell upper from lower case, nor an empty name from none.
    different: dict[str, None] = {}
    for name in names:
        base, number = name or "column", 1
        while (name := base if number == 1 else f"{base}_{number}").lower() in {
            other.lower() for other in different
        }:
            number += 1
        different[name] = None
    return list(different), separator


@contextlib.contextmanager
def connection(links: Links, memory: str, threads: int) -> Iterator[duckdb.DuckDBPyConnection]:
    """A database in memory that may read the linked files and nothing else, nor load anything."""
    made = duckdb.connect(
        config={
            "threads": threads,
            "memory_limit": memory,
            "temp_directory": str(links.folder),
            "preserve_insertion_order": "true" if threads == 1 else "false",
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
        }
    )
    try:
        allowed = [str(path) for link, file in links.pairs for path in (link, file.path.resolve())]
        made.execute(f"SET allowed_directories = [{literal(str(links.folder))}]")
        made.execute(f"SET allowed_paths = [{', '.join(map(literal, dict.fromkeys(allowed)))}]")
        made.execute("SET enable_external_access = false")
        # Progress is counted for whoever asks, and printed by no one. In a notebook DuckDB counts
        # only where ipywidgets is installed.
        with contextlib.suppress(duckdb.InvalidInputException):
            made.execute("SET enable_progress_bar = true")
            made.execute("SET enable_progress_bar_print = false")
        made.execute("SET lock_configuration = true")
        yield made
    finally:
        made.close()


def batches(
    connection: duckdb.DuckDBPyConnection, query: str, rows: int
) -> Iterator[dict[str, np.ndarray]]:
    """Result of a query as arrays by column, some rows at a time."""
    relation: Any = connection.sql(query)
    # DuckDB 2 renames it.
    name = "to_arrow_reader" if hasattr(relation, "to_arrow_reader") else "fetch_arrow_reader"
    for batch in getattr(relation, name)(rows):
        yield {
            column: batch.column(i).to_numpy(zero_copy_only=False)
            for i, column in enumerate(batch.schema.names)
        }


@contextlib.contextmanager
def complaints(links: Links) -> Iterator[None]:
    """Turn DuckDB's errors into sentences that name the file as the user knows it."""
    try:
        yield
    except duckdb.Error as error:
        text = " ".join(str(error).split("\n\n")[0].split())
        culprit = links.pairs[0][1].path
        for link, file in links.pairs:
            if str(link) in text:
                culprit = file.path
                text = text.replace(str(link), file.path.name)
        text = text.replace(str(links.folder), "the temporary folder")
        raise ValueError(f"{culprit} is not a readable table: {text[:300]}") from error


def _listed(links: Sequence[Path]) -> str:
    return f"[{', '.join(literal(str(link)) for link in links)}]"
