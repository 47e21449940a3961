"""The ledger as HTML, for reports: a table whose rows lead to everything known about a claim."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from claims.entries import MARKS, Entry, counting_sentence
from claims.render.model import KEY, Shown
from claims.spec import SOURCE_NAMES

_TEMPLATES = Environment(
    loader=PackageLoader("claims.render"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def ledger_html(
    entries: Sequence[Entry], links: Mapping[str, Sequence[tuple[str, str]]] | None = None
) -> str:
    """The ledger as an HTML fragment: counts, the table, and a section per claim.

    A verdict is a symbol and a word. A claim's section has the anchor ``claim-A4``. The
    style stands in the fragment, and uses the custom properties of ``report.css`` where these are
    there. It loads nothing and needs no script.

    Args:
        entries: The ledger.
        links: Claim → (words, address) of its figures and data, shown in the claim's section.
    """
    style = resources.files("claims.render").joinpath("ledger.css").read_text(encoding="utf-8")
    return _TEMPLATES.get_template("ledger.html").render(
        style=Markup(style),
        counts=counting_sentence(entries),
        key=f"{KEY} {MARKS['quick']} from a quick run.",
        marks=MARKS,
        sources=list(SOURCE_NAMES.values()),
        claims=[Shown.of(entry) for entry in entries],
        links=links or {},
    )
