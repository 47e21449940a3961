"""What ``--help`` shows: options of daily use; ``--help-all`` shows all of them."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence

ALL = "--help-all"
"""The word that asks for every option."""

_WIDTH = 80


def asked(words: Sequence[str]) -> bool:
    """Whether a command line asks for help, of either kind."""
    return any(word in ("-h", "--help", ALL) for word in words)


def hidden(kind: type, words: Sequence[str], options: Iterable[str]) -> frozenset[str]:
    """Options that the help asked for leaves out.

    Args:
        kind: Dataclass of the command's options; its ``DAILY`` names those of daily use, and
            without it all are.
        words: The command line.
        options: Every option, as it is written.

    >>> class Kind:
    ...     DAILY = ("steps",)
    >>> sorted(hidden(Kind, ["--help"], ["--steps", "--clip-low"]))
    ['--clip-low']
    >>> hidden(Kind, ["--help-all"], ["--steps", "--clip-low"])
    frozenset()
    """
    daily: Sequence[str] | None = getattr(kind, "DAILY", None)
    if daily is None or ALL in words or not asked(words):
        return frozenset()
    return frozenset(options) - {f"--{name.replace('_', '-')}" for name in daily}


def shipped(kind: type) -> dict[str, list[str]]:
    """Option → the names that come with the package, as a command says in ``SHIPPED``."""
    found: Mapping[str, Callable[[], list[str]]] = getattr(kind, "SHIPPED", {})
    return {f"--{name}": names() for name, names in found.items()}


def below(program: str, options: Iterable[str], left_out: frozenset[str], kind: type) -> str:
    """What stands below the options: names that they take, and where the others are.

    >>> print(below("apw x", ["--steps"], frozenset({"--clip-low"}), object))
    apw x --help-all lists all 1 options.
    """
    known, parts = list(options), []
    if "--schemes" in known or "--scheme" in known:
        from theory.schemes import SCHEMES

        parts.append(
            f"Schemes: {', '.join(SCHEMES)}. Options follow a colon, as in "
            "plateau_r:threshold=0.3; module:function is one of your own."
        )
    parts += [f"Names for {option}: {', '.join(names)}." for option, names in shipped(kind).items()]
    if left_out:
        parts.append(f"{program} {ALL} lists all {len(known)} options.")
    return "\n\n".join(textwrap.fill(part, _WIDTH, break_on_hyphens=False) for part in parts)
