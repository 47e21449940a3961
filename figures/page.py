"""Pages of HTML, from the templates beside this file: one file each that loads nothing."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from runs.files import write_text
from runs.ownership import mark, refuse_foreign

TEMPLATES = Environment(
    loader=PackageLoader("figures"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
    keep_trailing_newline=True,
)
"""The templates; whatever is not marked as HTML is escaped."""


def write_page(
    path: Path,
    template: str,
    *,
    title: str,
    head: str = "",
    generator: str = "",
    **values: Any,
) -> None:
    """Write a page.

    Args:
        path: The file; one that is there is replaced.
        template: Name of a template that extends ``page.html``.
        title: Title, as plain text.
        head: HTML that the head holds besides the style.
        generator: The command that writes it, which then replaces only pages of its own.
        **values: What else the template asks for.

    Raises:
        ValueError: A file that is there and no page of the generator.
    """
    if generator:
        refuse_foreign(path, generator)
        head += mark(generator)
    page = TEMPLATES.get_template(template)
    style = asset("report.css")
    write_text(path, page.render(title=title, style=style, head=Markup(head), **values))


def asset(name: str) -> Markup:
    """A style sheet or script of this package, to be put into a page as it is."""
    return Markup(resources.files("figures").joinpath(name).read_text(encoding="utf-8"))
