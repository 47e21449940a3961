"""The ledger as text for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence

from claims.entries import Entry, counting_sentence
from claims.render.model import Result, Shown
from claims.spec import SOURCES
from runs.terminal import table


def overview(entries: Sequence[Entry]) -> str:
    """A table with a row per claim, and how many verdicts came out how.

    Args:
        entries: The ledger.
    """
    rows = [
        [shown.id, shown.title, *(label for _, label in shown.states), shown.main_number]
        for shown in map(Shown.of, entries)
    ]
    printed = table(["", "claim", *SOURCES, "main number"], rows)
    return f"{printed}\n\n{_wrapped(counting_sentence(entries))}"


def details(entry: Entry) -> str:
    """Everything that is known about a claim.

    Args:
        entry: The claim and what its sources found.
    """
    shown = Shown.of(entry)
    lines = [f"{shown.id}  {shown.title}", _wrapped(shown.sentence, "    ")]
    lines.append(_wrapped(f"Source: {shown.citation}.", "    "))
    for result in shown.results:
        lines += ["", *_result(result)]
    return "\n".join(lines)


def _result(result: Result) -> Iterator[str]:
    yield f"{result.source.capitalize()}: {result.label}"
    yield _wrapped(f"Predicted: {result.prediction}.", "    ")
    yield _wrapped(f"Measured by: {result.how}.", "    ")
    if not result.rows:
        run = f"Run it: {result.command}" if result.command else "No run is built for it yet."
        yield f"    {run}"
        return
    for sentence in filter(None, (result.why, result.rule, result.environment)):
        yield _wrapped(sentence, "    ")
    for regime in result.regimes:
        yield _wrapped(f"- {regime}", "    ")
    rows = [
        [
            row.verdict,
            row.name,
            row.predicted,
            row.measured,
            row.seeds if row.seeds == "exact" else f"{row.seeds} seeds",
        ]
        for row in result.rows
    ]
    printed = table(["verdict", "check", "predicted", "measured [95 %]", ""], rows)
    yield f"    {result.tally}"
    yield textwrap.indent(printed, "    ")
    if result.evidence is not None:
        yield f"    Evidence: {result.evidence}"
    yield f"    Run it again: {result.command}"


def _wrapped(text: str, indent: str = "") -> str:
    return textwrap.fill(
        text,
        100,
        initial_indent=indent,
        subsequent_indent=indent,
        break_on_hyphens=False,
        break_long_words=False,
    )
