"""Links that work in the repository work on the site: to modules, evidence and changes."""

from __future__ import annotations

import os.path
import re
from pathlib import PurePosixPath
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page
from pages import COPIED, PACKAGES

LINK = re.compile(r"\]\((?!\w+:|#)([^)\s#]+)(#[^)\s]*)?\)")
SOURCES = {page: source for source, page in COPIED.items()}


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Point links of a page at pages of the site."""
    here = page.file.src_uri
    source = PurePosixPath(SOURCES.get(here, f"docs/{here}")).parent

    def moved(match: re.Match[str]) -> str:
        target = os.path.normpath(source / match[1])
        found = _page(target)
        if found is None:
            return match[0]  # MkDocs says what is wrong with it
        relative = os.path.relpath(found, PurePosixPath(here).parent)
        return f"]({relative}{match[2] or ''})"

    # GitHub reads Markdown inside <details>, Python-Markdown where it is told to.
    return LINK.sub(moved, markdown.replace("<details>", "<details markdown>"))


def _page(target: str) -> str | None:
    """The page that shows a file of the repository."""
    if target.startswith("docs/"):
        name = target.removeprefix("docs/")
        return name.replace(".ipynb", ".md") if name.startswith("notebooks/") else name
    if target in COPIED:
        return COPIED[target]
    parts = PurePosixPath(target).with_suffix("").parts
    if parts[0] in PACKAGES and target.endswith(".py"):
        return f"reference/{'/'.join(parts)}.md"
    return None
