"""A report as one HTML file: sections of words, figures, tables, commands; no scripts."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from figures.page import TEMPLATES, write_page
from figures.picture import Picture, suffix
from figures.style import WIDE
from runs.text import number

_PAGE = 51.5
"""Width of the page's text in rem, as report.css has it."""

_NUMBERS = re.compile(r"((above|below) )?[−-]?[\d.,]+(e[+-]?\d+)?%?( ?– ?−?([\d.,e]+|∞)%?)?|∞|inf")
"""A number, an interval of them, or a limit."""

_PHONE = "(max-width: 40rem)"
"""Screens too narrow for a figure as wide as the page, as in report.css."""

_FULL = 0.9
"""Share of the page that a figure takes whole."""


@dataclasses.dataclass(frozen=True)
class Section:
    """A section of a report.

    Attributes:
        title: Heading.
        what: What was computed, one paragraph each.
        html: A fragment of HTML that follows, put in as it is.
        findings: What it shows, one sentence or two each.
        pictures: Figures with their captions.
        table: Numbers, or none.
        table_caption: What the numbers are.
        commands: How to get the section again, or lines of code where it is about these.
        folder: Where its data are.
    """

    title: str
    what: Sequence[str]
    html: str = ""
    findings: Sequence[str] = ()
    pictures: Sequence[Picture] = ()
    table: pd.DataFrame | None = None
    table_caption: str = ""
    commands: Sequence[str] = ()
    folder: str = ""

    @property
    def reproduces(self) -> bool:
        """Whether the lines are commands that give the section again."""
        return all(line.startswith("apw ") for line in self.commands)

    @property
    def anchor(self) -> str:
        """Identifier of the section's heading."""
        return "".join(c if c.isalnum() else "-" for c in self.title.lower()).strip("-")


def write_report(
    path: Path,
    *,
    title: str,
    summary: Sequence[str],
    sections: Sequence[Section],
    environment: Mapping[str, Any],
    topic: str = "",
    changes: Sequence[str] = (),
    head: str = "",
    figures: str = "",
    beside: bool = False,
    lead: Picture | None = None,
    generator: str = "",
) -> None:
    """Write a report.

    Args:
        path: The HTML file.
        title: Title of the page: what was found, in a sentence with its number and interval.
        summary: Paragraphs below the title and its figure.
        sections: What follows.
        environment: What it was run with, as in ``environment.json``.
        topic: What the page is about, in a line above its title.
        changes: A heading and items of a list below the summary.
        head: Further style sheets, as HTML put in as it is.
        figures: Folder beside the page that the figures are saved in, for links to their data.
        beside: Show the figures of that folder, saved with ``pages``, rather than hold them: a page
            of many stays small.
        lead: Figure that comes before everything else, and not again where a section has it.
        generator: As in :func:`figures.page.write_page`.
    """
    write_page(
        path,
        "report.html",
        title=title,
        topic=topic,
        changes=changes,
        head=head,
        summary=summary,
        sections=[
            dataclasses.replace(part, pictures=[p for p in part.pictures if p is not lead])
            for part in sections
        ],
        environment=_environment(environment),
        figures=figures,
        beside=beside,
        lead=lead,
        generator=generator,
    )


def _width(picture: Picture) -> str:
    """Width that keeps letters of one size: a figure as wide as a column takes part of the page."""
    share = picture.width / WIDE
    return "" if share > _FULL else f"{_PAGE * share:.1f}rem"


def figure_anchor(picture: Picture) -> str:
    """Identifier of a picture on a page."""
    return f"figure-{picture.name}".replace(" ", "-")


def _environment(environment: Mapping[str, Any]) -> dict[str, Any]:
    packages = environment.get("packages", {})
    return {
        "Time": environment.get("time"),
        "Machine": f"{environment.get('processor')}, {environment.get('cpus')} CPUs",
        "System": environment.get("platform"),
        "Python": environment.get("python"),
        "Packages": ", ".join(f"{name} {version}" for name, version in packages.items()),
        "Commit": environment.get("commit"),
    }


def _numeric(table: pd.DataFrame) -> list[bool]:
    """Which columns hold numbers, also those that are text already, and stand to the right.

    >>> _numeric(pd.DataFrame({"a": ["x"], "b": ["0.1 – 0.2"], "c": ["–"], "d": [1.0]}))
    [False, True, False, True]
    """
    found = []
    for _, column in table.items():
        texts = [str(value) for value in column if str(value) not in ("", "–", "None", "nan")]
        found.append(bool(texts) and all(_NUMBERS.fullmatch(text) for text in texts))
    return found


def _sources(picture: Picture, folder: str | None) -> list[tuple[str, str]]:
    """What a page shows: condition of the reader's screen → address; the last has none."""
    found = []
    for narrow, theme in picture.shown():
        if folder is None:
            address = picture.data_address(theme, narrow=narrow)
        else:
            address = quote(f"{folder}/{picture.name}{suffix(narrow, theme)}.svg")
        conditions = [_PHONE] * narrow + ["(prefers-color-scheme: dark)"] * (theme == "dark")
        found.append((" and ".join(conditions), address))
    return found


TEMPLATES.filters |= {
    "sources": _sources,
    "numeric": _numeric,
    "anchor": figure_anchor,
    "width": _width,
    "decimals": functools.partial(number, decimals=3),
}
