"""Tables and live progress on a terminal, and the same in plain lines where there is none."""

from __future__ import annotations

import io
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from types import TracebackType

from rich.box import Box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Live
from rich.table import Table
from rich.text import Text

from runs.text import duration

WIDTH = 100
"""Columns of a table that is not printed to a terminal, so that it reads the same everywhere."""

INTERVAL = 60.0
"""Seconds between two lines where there is no terminal."""

_RULE = Box("    \n    \n ---\n    \n    \n    \n    \n    \n", ascii=True)
"""A line under the header and nothing else."""


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, right: str = "") -> str:
    """A table in plain text, without boxes.

    Args:
        header: Headings of the columns.
        rows: A cell for every heading.
        right: A letter per column; ``r`` aligns it to the right and never breaks its lines.
            Columns without a letter are text, whose lines are broken where the table is too wide.

    >>> print(table(["scheme", "time"], [["GRPO", "1.5"], ["Sqrt-R", "12"]], right="lr"))
    scheme  time
    ------------
    GRPO     1.5
    Sqrt-R    12
    """
    shown = Table(box=_RULE, show_edge=False, pad_edge=False, padding=(0, 0, 0, 1))
    for position, heading in enumerate(header):
        numbers = right[position : position + 1] == "r"
        cells = [Text(row[position]).cell_len for row in rows] + [Text(heading).cell_len]
        shown.add_column(
            Text(heading),
            justify="right" if numbers else "left",
            overflow="fold",
            no_wrap=numbers,
            min_width=max(cells) if numbers else None,
        )
    for row in rows:
        shown.add_row(*map(Text, row))
    width = shutil.get_terminal_size((WIDTH, 24)).columns if sys.stdout.isatty() else WIDTH
    console = Console(
        file=io.StringIO(),
        width=1000,
        color_system=None,
        force_terminal=False,
        force_jupyter=False,  # text, in a notebook too
    )
    console.width = max(width, console.measure(shown).minimum)
    with console.capture() as captured:
        console.print(shown)
    return "\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n"))


class Progress:
    """How far a long piece of work is: a live bar on a terminal, elsewhere a line a minute.

    Both are written to standard error, with the time left and what a person wants to watch.

    Args:
        name: What is being done.
        total: How many units of work there are.
        unit: What is counted, in the plural.
        shown: Whether to show anything.

    >>> with Progress("run", 3, unit="steps", shown=False) as progress:
    ...     progress.advance(2, zero_advantages="20%")
    ...     print(progress)
    run: 2 of 3 steps, zero advantages 20%
    """

    def __init__(self, name: str, total: int, *, unit: str, shown: bool = True) -> None:
        self.name, self.total, self.unit, self.shown = name, total, unit, shown
        self.done, self.watched = 0, dict[str, str]()
        self._said = time.monotonic()
        # Time is counted from the end of the first unit: before it models are loaded and warmed up.
        self._first: tuple[int, float] | None = None
        self._live: Live | None = None

    def __enter__(self) -> Progress:
        """Begin to show it."""
        if self.shown and sys.stderr.isatty():
            self._live = _Bar(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[notes]}", markup=False),
                console=Console(stderr=True),
                redirect_stdout=False,
            )
            self._live.add_task(self.name, total=self.total, notes=self.unit, watched="")
            self._live.start()
        return self

    def advance(self, count: int = 1, **watched: str) -> None:
        """Count work that was done.

        Args:
            count: Units of work.
            watched: What a person wants to watch, by name (an underscore is shown as a space);
                what is not given keeps the value it had.
        """
        self.done += count
        self.watched |= watched
        if count and self._first is None:
            self._first = (self.done, time.monotonic())
        if self._live is not None:
            self._live.update(
                self._live.task_ids[0],
                completed=self.done,
                notes=", ".join([self.unit, *self._left()]),
                watched=", ".join(self._watched()),
            )
        elif self.shown and time.monotonic() - self._said >= INTERVAL:
            self._said = time.monotonic()
            print(self, file=sys.stderr, flush=True)

    def skip(self, count: int) -> None:
        """Count work that needed no doing; it does not tell how long the rest takes."""
        if self._first is not None:
            self._first = (self._first[0] + count, self._first[1])
        self.done += count
        self.advance(0)

    def __str__(self) -> str:
        """The line that is written where there is no terminal."""
        notes = ", ".join([self.unit, *self._left(), *self._watched()])
        return f"{self.name}: {self.done:,} of {self.total:,} {notes}"

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop showing it; the last state of the bar stays on the terminal."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def _left(self) -> list[str]:
        """How long the rest takes, once that can be told."""
        first, since = self._first or (self.done, 0.0)
        new, elapsed = self.done - first, time.monotonic() - since
        if not (new > 0 and self.done < self.total and elapsed >= 1):
            return []
        return [f"about {duration(elapsed / new * (self.total - self.done))} left"]

    def _watched(self) -> list[str]:
        return [f"{name.replace('_', ' ')} {value}" for name, value in self.watched.items()]


class _Bar(Live):
    """A bar with what is watched in lines below it, so that both fit into 80 columns."""

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        for task in self.tasks:
            if task.fields["watched"]:
                yield Text(f"  {task.fields['watched']}")
