"""What MkDocs does not check: pages read as they do on GitHub, and fetch nothing from elsewhere."""

from __future__ import annotations

import logging
import re
from typing import Any

from markdown_it import MarkdownIt
from mkdocs.structure.pages import Page

COUNTED = ("tr", "li", "h2", "h3", "h4", "img")
FETCHED = re.compile(r"<(?:script|img|iframe|link)\b[^>]*?(?:src|href)=[\"']?(https?://[^\"' >]+)")
log = logging.getLogger("mkdocs.hooks.checks")


def on_page_content(content: str, page: Page, **_: Any) -> None:
    """Warn, which stops a strict build, where the two renderings of a page differ."""
    if page.file.src_uri.startswith(("reference/", "notebooks/")):
        return
    there = MarkdownIt("commonmark").enable("table").render(page.markdown or "")
    for tag in COUNTED:
        here, on_github = (len(re.findall(rf"<{tag}[ >]", text)) for text in (content, there))
        if here != on_github:
            log.warning(f"{page.file.src_uri}: {here} <{tag}> here, {on_github} on GitHub")


def on_post_page(output: str, page: Page, **_: Any) -> None:
    """Warn where a page would not be whole without a network."""
    for address in FETCHED.findall(output):
        if page.canonical_url is None or not address.startswith(page.canonical_url):
            log.warning(f"{page.file.src_uri} fetches {address}")
