"""A report as one HTML file that loads nothing: sections of words, figures, tables, commands."""

from __future__ import annotations

import dataclasses
import html
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pandas as pd

from figures.page import write_page
from figures.picture import Picture
from figures.style import WIDE

_PAGE = 51.5
"""Width of the page's text in rem, as report.css has it."""

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
    """
    body = "\n".join(_section(section, figures) for section in sections)
    contents = "\n".join(
        f'<li><a href="#{section.anchor}">{_text(section.title)}</a></li>' for section in sections
    )
    write_page(
        path,
        title=title,
        head=head,
        body=f"""<header>
<h1>{_text(title)}</h1>
{_paragraphs(summary)}
<nav aria-label="Contents"><ol>
{contents}
<li><a href="#environment">Environment</a></li>
</ol></nav>
</header>
<main>
{body}
<section aria-labelledby="environment">
<h2 id="environment">Environment</h2>
{_environment(environment)}
</section>
</main>""",
    )


def _section(section: Section, figures: str) -> str:
    parts = [
        f'<section aria-labelledby="{section.anchor}">',
        f'<h2 id="{section.anchor}">{_text(section.title)}</h2>',
        _paragraphs(section.what),
    ]
    if section.html:
        parts.append(section.html)
    if section.findings:
        items = "\n".join(f"<li>{_text(finding)}</li>" for finding in section.findings)
        parts.append(f'<ul class="findings">\n{items}\n</ul>')
    parts += [_picture(picture, figures) for picture in section.pictures]
    if section.table is not None:
        parts.append(_table(section.table, section.table_caption))
    if section.commands:
        lines = "\n".join(_text(command) for command in section.commands)
        parts.append(f"<h3>Reproduce</h3>\n<pre><code>{lines}</code></pre>")
    if section.folder:
        parts.append(f'<p class="data">Data: <code>{_text(section.folder)}</code></p>')
    return "\n".join([*parts, "</section>"])


def _picture(picture: Picture, figures: str) -> str:
    files = ", ".join(
        f'<a href="{_text(quote(f"{figures}/{picture.name}.{kind}"))}">{words}</a>'
        for kind, words in (("csv", "data"), ("png", "PNG"), ("svg", "SVG"))
        if figures
    )
    files = f' <span class="files">{files}</span>' if files else ""
    return f"""<figure id="{figure_anchor(picture)}">
<picture{_width(picture)}>
<source media="(prefers-color-scheme: dark)" srcset="{picture.data_address("dark")}">
<img src="{picture.data_address("light")}" alt="{_text(picture.alternative)}">
</picture>
<figcaption><b>{_text(picture.title)}.</b> {_text(picture.caption)}{files}</figcaption>
</figure>"""


def _width(picture: Picture) -> str:
    """Style that keeps letters of one size: a figure as wide as a column takes part of the page."""
    points = re.search(rb'<svg[^>]* width="([0-9.]+)pt"', picture.render("svg"))
    share = float(points[1]) / (72 * WIDE) if points else 1.0
    return "" if share > _FULL else f' style="max-width: {_PAGE * share:.1f}rem"'


def figure_anchor(picture: Picture) -> str:
    """Identifier of a picture on a page."""
    return f"figure-{picture.name}".replace(" ", "-")


def _table(table: pd.DataFrame, caption: str) -> str:
    head = "".join(f'<th scope="col">{_text(str(column))}</th>' for column in table)
    rows = "\n".join(
        "<tr>" + "".join(_cell(value) for value in row) + "</tr>"
        for row in table.itertuples(index=False)
    )
    return f"""<div class="scroll">
<table>
<caption>{_text(caption)}</caption>
<thead><tr>{head}</tr></thead>
<tbody>
{rows}
</tbody>
</table>
</div>"""


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f'<td class="number">{value:.3f}</td>'
    return f"<td>{_text(str(value))}</td>"


def _environment(environment: Mapping[str, Any]) -> str:
    packages = environment.get("packages", {})
    rows = {
        "Time": environment.get("time"),
        "Machine": f"{environment.get('processor')}, {environment.get('cpus')} CPUs",
        "System": environment.get("platform"),
        "Python": environment.get("python"),
        "Packages": ", ".join(f"{name} {version}" for name, version in packages.items()),
        "Commit": environment.get("commit"),
    }
    items = "\n".join(
        f"<div><dt>{_text(name)}</dt><dd>{_text(str(value))}</dd></div>"
        for name, value in rows.items()
        if value
    )
    return f"<dl>\n{items}\n</dl>"


def _paragraphs(texts: Sequence[str]) -> str:
    return "\n".join(f"<p>{_text(text)}</p>" for text in texts)


def _text(text: str) -> str:
    return html.escape(text, quote=True)
