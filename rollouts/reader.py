"""Streams rollouts of any size as whole groups, in bounded memory.

DuckDB reads, hashes and sorts; NumPy gets batches of numbers in which the responses of a group
stand together, wherever in the files they stood. DuckDB, because it sorts outside memory under a
limit it keeps, so that groups may be spread over files and steps come in any order; because it
reads CSV and JSON lines past broken ones and says which they were, which pyarrow does not; and
because it hashes texts and nested prompts itself, so that no text ever reaches Python. Polars
aggregates some columns faster, but its streaming sort has no memory limit.

A prompt or a text is known by a 64-bit hash: among ten million prompts two are taken for one with
a probability of 3 in a million.
"""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import duckdb
import numpy as np

from rollouts import database
from rollouts.choice import choose_files
from rollouts.columns import Columns, Table, choose_columns
from rollouts.files import RolloutFile
from rollouts.groups import Groups, first_of_runs, whole_groups
from rollouts.progress import progress_bar
from rollouts.query import NUMBERS, Status, fields_query, sorted_query
from rollouts.rewards import Rewards
from rollouts.sample import Sample
from rollouts.typed import typed
from runs.environment import available_cores
from runs.text import listed

BATCH = 1 << 18
"""Rows that are handed from DuckDB to NumPy at a time."""

MEMORY = "1GB"
"""DuckDB's limit; what does not fit is sorted on disk."""


@dataclasses.dataclass(frozen=True)
class Place:
    """A broken row.

    Attributes:
        file: The file.
        row: Number of the row in the file, from 1, header and blank lines not counted, or the
            number of the line, a line break inside quotes not counted.
        unit: ``row`` or ``line``: lines of CSV that cannot be split are no rows.
        status: What is wrong.
        value: The reward as it stands there, or the line, its first characters.
    """

    file: Path
    row: int
    status: Status
    value: str | None
    unit: str = "row"


@dataclasses.dataclass
class Reading:
    """Rollouts that are being read.

    Attributes:
        files: The files.
        table: Their columns.
        columns: Which stand for what.
        rewards: Rewards seen so far.
        rows: Rows seen so far, broken ones included.
        broken: Number of broken rows seen so far by what is wrong.
        places: The first few broken rows; known once everything is read.
        unusable: Good rows without a usable log-probability, if there is a column of them.
        evaluation: They are evaluations, not what was trained on.
        passed: Files that were passed over, with the reason.
    """

    files: Sequence[RolloutFile]
    table: Table
    columns: Columns
    rewards: Rewards
    rows: int = 0
    broken: Counter[Status] = dataclasses.field(default_factory=Counter)
    places: list[Place] = dataclasses.field(default_factory=list)
    unusable: int = 0
    evaluation: bool = False
    passed: Sequence[str] = ()
    _links: database.Links | None = None
    _memory: str = MEMORY
    _threads: int = 1

    def again(self, rewards: Rewards) -> Reading:
        """The same rollouts, to be read from the start by another rule of rewards."""
        return dataclasses.replace(
            self, rewards=rewards, rows=0, broken=Counter(), places=[], unusable=0
        )

    def check(self) -> None:
        """Raise a ``ValueError`` if nothing can be said of what was read."""
        if self.broken.total() >= self.rows:
            name = self.files[0].path if len(self.files) == 1 else "the files"
            if not self.rows:
                raise ValueError(f"{name} holds no rows")
            taken = [
                f"{column} for the {role}" for role, column in self.columns.described().items()
            ]
            raise ValueError(
                f"none of the {self.rows:,} rows of {name} can be used: {self._broken_words()}; "
                f"the columns taken were {listed(taken)}"
            )
        self.rewards.check()

    def data(self) -> dict[str, Any]:
        """What was read, as plain values."""
        return {
            "files": [str(file.path) for file in self.files],
            "layout": self.columns.layout.name,
            "columns": self.columns.described(),
            "rows": self.rows,
            "evaluation": self.evaluation,
            "passed_over": list(self.passed),
            "notes": list(self.columns.notes),
            "broken": {code.name.lower(): count for code, count in sorted(self.broken.items())},
            "broken_places": [
                {
                    "file": str(place.file),
                    "unit": place.unit,
                    "number": place.row,
                    "what": place.status.name.lower(),
                    "value": place.value,
                }
                for place in self.places
            ],
            "rewards": self.rewards.data(),
            "no_log_probability": self.unusable,
        }

    def describe(self) -> str:
        """The files, their layout and what the columns were taken for, in a sentence."""
        files = f"{len(self.files)} files" if len(self.files) > 1 else str(self.files[0].path)
        columns = ", ".join(f"{role} ← {what}" for role, what in self.columns.described().items())
        return f"{files}: {self.columns.layout.name}; {columns}."

    def notes(self) -> list[str]:
        """Whatever was done to the data, in sentences."""
        notes = [f"Passed over: {listed(self.passed)}."] if self.passed else []
        notes += self.columns.notes
        if self.evaluation:
            notes.append("These are evaluations: nothing was trained on them.")
        stepless = not self.columns.has("step") and not self.columns.step_from_name
        folders = len({file.path.parent for file in self.files})
        if self.evaluation and stepless and folders > 1:
            notes.append(
                f"The evaluations of {folders} folders are taken together: a prompt that several "
                "asked, of one model or of many, is one group. Name one folder to tell them apart."
            )
        if stepless:
            notes.append("There is no column of steps (--step): everything counts as one step.")
        notes += self.rewards.notes()
        if self.unusable:
            notes.append(
                f"Responses without a usable log-probability: {self.unusable:,}; LENS, confidence "
                "and entropy leave them out."
            )
        if self.broken:
            notes.append(
                f"{self.broken.total():,} of {self.rows:,} rows were left out: "
                f"{self._broken_words()}."
            )
            notes += [
                f"  {place.file}, {place.unit} {place.row}: {place.status.words}"
                + (f": {place.value!r}" if place.value is not None else "")
                for place in self.places
            ]
        return notes

    def _broken_words(self) -> str:
        return listed([f"{count:,} {code.words}" for code, count in sorted(self.broken.items())])

    @property
    def sample(self) -> Sample:
        """The first rows of the files."""
        assert self._links is not None
        return self._links.sample

    @contextlib.contextmanager
    def connected(self, threads: int | None = None) -> Iterator[tuple[Any, database.Links]]:
        """A database that may read the files, and whose complaints name them.

        Args:
            threads: Cores to use; with one, rows come in the order of the files.
        """
        assert self._links is not None
        with (
            database.complaints(self._links),
            database.connection(self._links, self._memory, threads or self._threads) as connection,
        ):
            yield connection, self._links

    def groups(self, *, every: int = 1, progress: bool = False) -> Iterator[Groups]:
        """Every group of good rows, in order of their steps; whole, whatever the files' order.

        Args:
            every: Steps that are put together under the first of them.
            progress: Show how far the reading is.

        Raises:
            ValueError: A file that cannot be read.
        """
        with self.connected() as (connection, links):
            with progress_bar(connection, shown=progress):
                held: dict[str, np.ndarray] = {}
                for batch in self._sorted(connection, links):
                    held = self._good(batch, held)
                    # The last group may go on in the next batch.
                    first = first_of_runs(held["step"], held["prompt"])
                    end = int(first[-1]) if first.size else 0
                    yield self._made({name: column[:end] for name, column in held.items()}, every)
                    held = {name: column[end:] for name, column in held.items()}
                if held:
                    yield self._made(held, every)
            self._find_places(connection)

    def _sorted(self, connection: Any, links: database.Links) -> Iterator[dict[str, np.ndarray]]:
        """Rows as numbers, sorted by step and prompt, some at a time."""
        table = typed(self.table, self.columns, self.sample)
        if table is not None:
            try:
                # Sorting sees every row before it hands over the first.
                rows = _sorted_rows(
                    connection, table, self.columns, links.typed_source(table.types)
                )
                first = next(rows, None)
            except duckdb.Error:
                first = None  # some line is not as the first ones are
            if first is not None:
                yield first
                yield from rows
                return
        source = links.source(self.table)
        yield from _sorted_rows(connection, self.table, self.columns, source)

    def _good(
        self, batch: Mapping[str, np.ndarray], held: Mapping[str, np.ndarray]
    ) -> dict[str, np.ndarray]:
        """Good rows of a batch after those held back; broken ones are counted."""
        status = batch["status"]
        self.rows += status.size
        columns = {name: column for name, column in batch.items() if name != "status"}
        if status.any():
            for code, count in zip(*np.unique(status[status > 0], return_counts=True), strict=True):
                self.broken[Status(int(code))] += int(count)
            columns = {name: column[status == 0] for name, column in columns.items()}
        if "log_confidence" in columns:
            self.unusable += int(np.count_nonzero(np.isnan(columns["log_confidence"])))
        columns["success"] = self.rewards.count(columns.pop("reward"))
        if not held:
            return columns
        return {name: np.concatenate([held[name], column]) for name, column in columns.items()}

    def _made(self, columns: Mapping[str, np.ndarray], every: int) -> Groups:
        rest = {
            name: columns.get(name) for name in ("text", "log_confidence", "length", "log_ratio")
        } | {name: columns.get(name) for name in NUMBERS}
        parts = [columns[name] for name in sorted(columns) if name.startswith("component_")]
        rest["components"] = np.stack(parts) if parts else None
        groups = whole_groups(columns["step"], columns["prompt"], columns["success"], **rest)
        if every > 1:
            groups = dataclasses.replace(groups, step=groups.step // every * every)
        return groups

    def _find_places(self, connection: Any, most: int = 5) -> None:
        assert self._links is not None
        rejected, places = self._links.rejected(connection)
        if rejected:
            self.rows += rejected
            self.broken[Status.UNREADABLE] += rejected
        self.places = [
            Place(file, row, Status.UNREADABLE, line, "line") for file, row, line in places
        ]
        aside = self.broken[Status.EVALUATION] + self.broken[Status.GREEDY]
        wanted = self.broken.total() - rejected - aside
        for link, file in self._links.pairs:
            if len(self.places) >= most or wanted <= 0:
                break
            source = self._links.source(self.table, [link])
            fields = fields_query(self.table, self.columns, source)
            left = most - len(self.places)
            rows = connection.sql(
                f"SELECT row, status, shown FROM (SELECT row_number() OVER () AS row, status, shown"
                f" FROM ({fields})) WHERE status BETWEEN 1 AND {Status.NO_STEP.value} LIMIT {left}"
            ).fetchall()
            self.places += [Place(file.path, row, Status(code), value) for row, code, value in rows]
            wanted -= len(rows)
        self.places = self.places[:most]


def _sorted_rows(
    connection: Any, table: Table, columns: Columns, source: str
) -> Iterator[dict[str, np.ndarray]]:
    fields = fields_query(table, columns, source)
    names = [name for name in connection.sql(fields).columns if name != "shown"]
    yield from database.batches(connection, sorted_query(fields, names), BATCH)


@contextlib.contextmanager
def open_rollouts(
    paths: Sequence[Path],
    *,
    given: Mapping[str, Sequence[str]] | None = None,
    threshold: float | None = None,
    mean_log_prob: bool | None = None,
    memory: str = MEMORY,
    threads: int | None = None,
) -> Iterator[Reading]:
    """Open files of rollouts, find out their columns, and make ready to read them.

    Args:
        paths: Files and folders.
        given: Role → columns, as for :func:`rollouts.columns.choose_columns`.
        threshold: Reward from which on a response is correct.
        mean_log_prob: Whether log-probabilities are means over tokens.
        memory: Limit of DuckDB's memory.
        threads: Cores to use; all that this process may use by default.

    Raises:
        FileNotFoundError: A path that is not there, or a folder without rollouts.
        ValueError: Files that are no table or lack columns, in a sentence.
    """
    with tempfile.TemporaryDirectory(prefix="apw-diagnose-") as folder:
        chosen = choose_files(paths, Path(folder))
        name = str(paths[0]) if len(paths) == 1 else f"the {len(chosen.files)} files"
        links = database.Links.make(chosen.files, Path(folder), chosen.sample)
        cores = threads or available_cores()
        with database.complaints(links), database.connection(links, memory, cores) as connection:
            table = links.table(connection)
        columns = choose_columns(
            table,
            given or {},
            sample=chosen.sample,
            threshold=threshold,
            mean_log_prob=mean_log_prob,
            name=name,
        )
        low, high = columns.pair
        yield Reading(
            chosen.files,
            table,
            columns,
            Rewards(threshold, low, high, columns.offers),
            evaluation=chosen.evaluation,
            passed=chosen.passed,
            _links=links,
            _memory=memory,
            _threads=cores,
        )
