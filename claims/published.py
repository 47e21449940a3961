"""The published ledger: a section of the README and a page of the documents, both generated."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from claims.entries import Entry
from claims.render.markdown import PAGE, page, readme_section
from runs.files import write_text

ROOT = Path(__file__).parents[1]
"""Source tree that the README and the documents stand in."""

README = Path("README.md")
OPEN, CLOSE = "<!-- ledger -->", "<!-- /ledger -->"
"""Markers around the README's section."""

_SECTION = re.compile(f"{re.escape(OPEN)}\n(.*?){re.escape(CLOSE)}\n", re.DOTALL)


def with_section(readme: str, section: str) -> str:
    """A README with its ledger replaced.

    Args:
        readme: The README's text.
        section: What shall stand between the markers.

    Raises:
        ValueError: It has no such markers, or several.
    """
    if len(_SECTION.findall(readme)) != 1:
        raise ValueError(f"{README} must have one section between {OPEN} and {CLOSE}")
    return _SECTION.sub(lambda _: f"{OPEN}\n{section}{CLOSE}\n", readme)


def write(entries: Sequence[Entry], root: Path | None = None) -> list[Path]:
    """Write the README's section and the page, atomically.

    Args:
        entries: The ledger.
        root: Source tree; the one this package stands in by default.

    Returns:
        The files whose text changed.
    """
    root = root or ROOT
    readme = (root / README).read_text(encoding="utf-8")
    texts = {README: with_section(readme, readme_section(entries)), PAGE: page(entries)}
    changed = []
    for name, text in texts.items():
        path = root / name
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            write_text(path, text)
            changed.append(path)
    return changed
