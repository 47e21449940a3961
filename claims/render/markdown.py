"""The ledger in Markdown: a section for the README and a page for the documents."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from claims.entries import Entry, counting_sentence
from claims.render.model import KEY, Result, Shown
from claims.spec import SOURCE_NAMES

PAGE = Path("docs/ledger.md")
"""Where the page goes, which the section links to."""


def readme_section(entries: Sequence[Entry]) -> str:
    """The README's section: one row per claim, without the markers.

    Args:
        entries: The ledger.
    """
    rows = [
        [f"[{c.id}]({PAGE}#{c.id.lower()})", c.title, *(label for _, label in c.states)]
        for c in map(Shown.of, entries)
    ]
    lines = [
        _wrapped(counting_sentence(entries)),
        "",
        _table(["", "claim", *SOURCE_NAMES.values()], rows),
        "",
        _wrapped(
            f"{KEY} Predictions, numbers, regimes and commands are in the [full ledger]({PAGE}). "
            "`apw claims --check` derives every verdict again from its evidence, and fails if one "
            "does not follow; `apw claims --write` writes this section."
        ),
    ]
    return "\n".join(lines) + "\n"


def page(entries: Sequence[Entry]) -> str:
    """The full ledger.

    Args:
        entries: The ledger.
    """
    parts = [
        "# The ledger of claims",
        "A claim is a sentence that can turn out false. What must come out was written down "
        "before the runs, with a number and a tolerance or an interval; the verdicts are derived "
        "from the samples by code (`claims/verdicts.py`), never by hand, and what was refuted "
        "stays. Simulations and language models are judged by bootstrap 95 % intervals over "
        "seeds, each scheme at its own best learning rate from the same grid unless budgets are "
        "made equal. `apw claims --write` writes this page.",
        f"{counting_sentence(entries)} {KEY}",
        *(_claim(Shown.of(entry)) for entry in entries),
    ]
    return "\n\n".join(parts) + "\n"


def _claim(shown: Shown) -> str:
    rows = [[r.source, r.label, r.prediction, r.how] for r in shown.results]
    parts = [
        f'<a id="{shown.id.lower()}"></a>\n\n## {shown.id} – {_plain(shown.title)}',
        f"{_plain(shown.sentence)} *Source: {shown.citation}.*",
        _table(["source", "verdict", "prediction", "how"], rows),
        *(_result(result) for result in shown.results if result.rows),
    ]
    return "\n\n".join(parts)


def _result(result: Result) -> str:
    sentences = (
        f"**{result.source.capitalize()}: {result.label}.**",
        _plain(result.why),
        result.rule,
        _plain(result.environment),
        f"Run it again: `{result.command}`.",
    )
    parts = [" ".join(filter(None, sentences))]
    if result.regimes:
        items = [f"- {_plain(regime)}" for regime in result.regimes]
        parts.append("\n".join(["Regimes tried:", "", *items]))
    rows = [[row.name, row.predicted, row.steady, row.seeds, row.verdict] for row in result.rows]
    checks = _table(["check", "predicted", "measured", "seeds", "verdict"], rows)
    parts.append(f"<details><summary>{result.tally}</summary>\n\n{checks}\n\n</details>")
    return "\n\n".join(parts)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [[_plain(cell) for cell in row] for row in rows]
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *lines))


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, break_on_hyphens=False, break_long_words=False)


_SPECIAL: Mapping[str, str] = {"|": "\\|", "*": "\\*", "_": "\\_", "<": "&lt;", "\n": " "}


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, in a table too."""
    return "".join(_SPECIAL.get(character, character) for character in text)
