"""The frame of every page of HTML: one file that loads nothing, light or dark."""

from __future__ import annotations

import html
from importlib import resources
from pathlib import Path

from runs.files import write_text


def write_page(path: Path, *, title: str, head: str, body: str) -> None:
    """Write a page.

    Args:
        path: The file; one that is there is replaced.
        title: Title, as plain text.
        head: HTML that the head holds besides the style.
        body: HTML of the body.
    """
    style = resources.files("figures").joinpath("report.css").read_text(encoding="utf-8")
    write_text(
        path,
        f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{html.escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
{head}
</head>
<body>
{body}
</body>
</html>
""",
    )
