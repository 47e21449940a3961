"""Docstrings as Markdown: doctests in fences, and roles as links where the reference has them."""

from __future__ import annotations

import re
from typing import Any

import griffe

DOCTEST = re.compile(r"(?:^|(?<=\n\n))((?:>>> .*\n?)(?:.+\n?)*)", re.MULTILINE)
ROLE = re.compile(r":(?:func|class|data|mod|meth|attr|obj|exc):`(~?)([\w.]+)`")
PACKAGES = ("theory", "rollouts", "sim", "llm_validation")


class Docstrings(griffe.Extension):
    """Rewrites docstrings before they are parsed."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite the docstring of a module, class, function or attribute."""
        if obj.docstring is not None:
            text = ROLE.sub(lambda role: _reference(obj, role), obj.docstring.value)
            obj.docstring.value = DOCTEST.sub(r"```pycon\n\1\n```\n", text)


def _reference(obj: griffe.Object, role: re.Match[str]) -> str:
    """A role as a link, or as code where nothing public has that name."""
    name = role[2]
    try:
        full = obj.resolve(name) if "." not in name else name
    except griffe.NameResolutionError:
        full = name
    shown = name.rpartition(".")[2] if role[1] else name
    parts = full.split(".")
    public = parts[0] in PACKAGES and not any(part.startswith("_") for part in parts)
    return f"[`{shown}`][{full}]" if public else f"`{shown}`"
