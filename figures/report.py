"""A report as one HTML file: sections of words, figures, tables, commands; no scripts."""

from __future__ import annotations

import dataclasses
import functools
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from figures.page import TEMPLATES, write_page
from figures.picture import Picture
from figures.style import WIDE
from runs.text import number

_PAGE = 51.5
"""Width of the page's text in rem, as report.css has it."""

_NUMBERS = re.compile(r"((above|below) )?[−-]?[\d.,]+(e[+-]?\d+)?%?( ?– ?−?([\d.,e]+|∞)%?)?|∞|inf")
"""A number, an interval of them, or a limit."""

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
        commands: How to get the section again.
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
    head: str = "",
    figures: str = "",
    beside: bool = False,
    lead: Picture | None = None,
    generator: str = "",
) -> None:
    """Write a report.

    Args:
        path: The HTML file.
        title: Title of the page.
        summary: Opening paragraphs.
        sections: What follows.
        environment: What it was run with, as in ``environment.json``.
        head: Further style sheets, as HTML put in as it is.
        figures: Folder beside the page that the figures are saved in, for links to their data.
        beside: Show the figures of that folder, saved with ``dark``, rather than hold them: a page
            of many stays small.
        lead: Figure that comes before everything else, and not again where a section has it.
        generator: As in :func:`figures.page.write_page`.
    """
    write_page(
        path,
        "report.html",
        title=title,
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
    points = re.search(rb'<svg[^>]* width="([0-9.]+)pt"', picture.render("svg"))
    share = float(points[1]) / (72 * WIDE) if points else 1.0
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


TEMPLATES.filters |= {
    "numeric": _numeric,
    "anchor": figure_anchor,
    "width": _width,
    "decimals": functools.partial(number, decimals=3),
}
