"""The published ledger: a section of the README and a page of the documents, both generated."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path

from claims.entries import MARKS, Entry, counting_sentence
from claims.records import Record
from claims.spec import SOURCE_NAMES, SOURCES, Source
from claims.verdicts import Finding, regime_verdicts
from claims.words import environment, measured, predicted, reason, rerun, rule, tally
from runs.files import write_text

ROOT = Path(__file__).parents[1]
"""Source tree that the README and the documents stand in."""

README, PAGE = Path("README.md"), Path("docs/ledger.md")
OPEN, CLOSE = "<!-- ledger -->", "<!-- /ledger -->"
"""Markers around the README's section."""

_SECTION = re.compile(f"{re.escape(OPEN)}\n(.*?){re.escape(CLOSE)}\n", re.DOTALL)
_KEY = (
    f"{MARKS['confirmed']} confirmed: the prediction came out. {MARKS['refuted']} refuted: it did "
    f"not. {MARKS['inconclusive']} inconclusive: the interval is too wide to tell. "
    f"{MARKS['not run']} not run yet. {MARKS['–']} the source does not apply."
)


def readme_section(entries: Sequence[Entry]) -> str:
    """The README's section: one row per claim, without the markers.

    Args:
        entries: The ledger.
    """
    header = ["", "claim", *SOURCE_NAMES.values()]
    rows = [
        [f"[{e.claim.id}]({PAGE}#{e.claim.id.lower()})", e.claim.title, *map(e.label, SOURCES)]
        for e in entries
    ]
    lines = [
        _wrapped(counting_sentence(entries)),
        "",
        *_table(header, rows),
        "",
        _wrapped(
            f"{_KEY} Predictions, numbers, regimes and commands are in the [full ledger]({PAGE}). "
            "`apw claims --check` derives every verdict anew from its evidence, and fails if one "
            "does not follow; `apw claims --write` writes this section."
        ),
    ]
    return "\n".join(lines) + "\n"


def page(entries: Sequence[Entry]) -> str:
    """The full ledger in Markdown.

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
        f"{counting_sentence(entries)} {_KEY}",
        *(_claim(entry) for entry in entries),
    ]
    return "\n\n".join(parts) + "\n"


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


def _claim(entry: Entry) -> str:
    claim = entry.claim
    parts = [
        f'<a id="{claim.id.lower()}"></a>\n\n## {claim.id} – {_plain(claim.title)}',
        f"{_plain(claim.sentence)} *Source: {claim.citation}.*",
        "\n".join(
            _table(
                ["source", "verdict", "prediction", "how"],
                [
                    [SOURCE_NAMES[source], entry.label(source), test.prediction, test.how]
                    for source, test in claim.tests.items()
                ],
            )
        ),
    ]
    for source, record in entry.records.items():
        if record is not None:
            parts.append(_record(entry, source, record))
    return "\n\n".join(parts)


def _record(entry: Entry, source: Source, record: Record) -> str:
    found = record.finding
    words = [
        f"**{SOURCE_NAMES[source].capitalize()}: {entry.label(source)}.**",
        _plain(reason(found)),
    ]
    words += [
        rule(found),
        _plain(environment(record.environment)),
        f"Run it again: `{rerun(entry, source)}`.",
    ]
    parts = [" ".join(word for word in words if word)]
    if source != "theory":
        regimes = [f"- {_plain(words)}" for words in regime_words(found)]
        parts.append("\n".join(["Regimes tried:", "", *regimes]))
    header = ["check", "predicted", "measured", "seeds", "verdict"]
    rows = [
        [
            check.name, predicted(check), measured(check, rounding=False),
            "exact" if check.exact else str(check.seeds), check.verdict,
        ]
        for check in found.checks
    ]  # fmt: skip
    table = "\n".join(_table(header, rows))
    parts.append(f"<details><summary>{tally(found)}</summary>\n\n{table}\n\n</details>")
    return "\n\n".join(parts)


def regime_words(found: Finding) -> list[str]:
    """What was run, in words, with the verdict of every regime that has one.

    Args:
        found: A finding, derived from its samples.
    """
    verdicts = [f"{regime}: {verdict}" for regime, verdict in regime_verdicts(found).items()]
    return [*verdicts, *found.regimes]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [[_plain(cell) for cell in row] for row in rows]
    return [f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *lines)]


def _wrapped(text: str) -> str:
    return textwrap.fill(text, 100, break_on_hyphens=False, break_long_words=False)


_SPECIAL: Mapping[str, str] = {"|": "\\|", "*": "\\*", "_": "\\_", "<": "&lt;", "\n": " "}


def _plain(text: str) -> str:
    """Text that Markdown shows as it is, in a table too."""
    return "".join(_SPECIAL.get(character, character) for character in text)
