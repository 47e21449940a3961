r"""Finding the final answer of a response: the last ``\boxed{...}``, with balanced braces."""

from __future__ import annotations

import re

_BOX = re.compile(r"\\f?box(?:ed)?(?![A-Za-z])")
_BRACE = re.compile(r"\\.|[{}]", re.DOTALL)
_ATTEMPTS = 8
"""How many boxes, from the last one back, are tried before giving up."""


def last_boxed(text: str, *, longest: int = 10_000) -> str | None:
    r"""Content of the last ``\boxed{...}`` (or ``\fbox{...}``) of a text.

    An unclosed last box is passed over for the one before it. The time taken is bounded whatever
    the text: boxes longer than ``longest`` count as unclosed, and only the last few are tried.

    Args:
        text: Any text, hostile or not.
        longest: Longest content, in characters, that counts as an answer.

    Returns:
        The content without its braces and outer blanks, or None if there is no closed box.

    >>> last_boxed(r"so \boxed{1}, no: \boxed{\frac{1}{2}}. Check: \boxed{")
    '\\frac{1}{2}'
    >>> last_boxed(r"$\boxed 7$"), last_boxed("7")
    ('7', None)
    """
    end = len(text)
    for _ in range(_ATTEMPTS):
        start = max(text.rfind("\\boxed", 0, end), text.rfind("\\fbox", 0, end))
        if start < 0:
            return None
        content = _content(text, start, longest)
        if content is not None:
            return content
        end = start
    return None


def all_boxed(text: str, *, longest: int = 10_000) -> list[str]:
    r"""Contents of the last few closed boxes of a text, in order, each text once.

    What stands before the last ``</think>`` is no answer where a box follows. A box within a box is
    part of it. Bounded in time as :func:`last_boxed` is.

    >>> all_boxed(r"\boxed{1} or \boxed{2}, so \boxed{2}"), all_boxed("7")
    (['1', '2'], [])
    """
    _, mark, said = text.rpartition("</think>")
    if mark and "\\boxed" in said:
        text = said
    found: list[tuple[int, str]] = []
    end = len(text)
    for _ in range(_ATTEMPTS):
        start = max(text.rfind("\\boxed", 0, end), text.rfind("\\fbox", 0, end))
        if start < 0:
            break
        content = _content(text, start, longest)
        if content is not None:
            inside = start + len(content)
            found = [(start, content), *(box for box in found if box[0] > inside)]
        end = start
    return list(dict.fromkeys(content for _, content in found if content))


def _content(text: str, start: int, longest: int) -> str | None:
    box = _BOX.match(text, start)
    if box is None:
        return None
    piece = text[box.end() : box.end() + longest + 2]
    opened = piece.lstrip()
    if not opened.startswith("{"):
        # "\boxed 7$": what follows, up to the end of the formula.
        bare = re.split(r"[$\n]", opened, maxsplit=1)[0].strip()
        return bare if bare and piece[:1].isspace() else None
    depth = 0
    for brace in _BRACE.finditer(opened):
        if brace.group() == "{":
            depth += 1
        elif brace.group() == "}":
            depth -= 1
            if depth == 0:
                return opened[1 : brace.start()].strip()
    return None
