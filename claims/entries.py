"""The ledger: every claim with the verdict of each source, and how many came out."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, get_args

from claims.records import PUBLISHED, Record, read_records, theory_record
from claims.spec import SOURCE_NAMES, SOURCES, Claim, Source, claims
from claims.verdicts import Finding

State = Literal["confirmed", "refuted", "no effect", "open", "identity", "quick", "not run", "–"]
"""What a source says: an identity cannot fail, and its confirmation counts as none; quick is any
verdict of a quick version; – says that the source does not apply."""

MARKS: Mapping[State, str] = {
    "confirmed": "✓",
    "refuted": "✗",
    "no effect": "0",
    "open": "?",
    "identity": "=",
    "quick": "~",
    "not run": "○",
    "–": "–",
}
"""Symbols that stand beside the words, never instead of them."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A claim and what each source found.

    Attributes:
        claim: The claim.
        records: Source → its record; none where it was not run or does not apply.
    """

    claim: Claim
    records: Mapping[Source, Record | None]

    @property
    def verdicts(self) -> dict[Source, Finding | None]:
        """Source → its finding; none where it was not run or does not apply."""
        return {
            source: record.finding if record else None for source, record in self.records.items()
        }

    def state(self, source: Source) -> State:
        """What the source has to say."""
        if source not in self.claim.tests:
            return "–"
        record = self.records.get(source)
        if record is None:
            return "not run"
        verdict = record.finding.verdict
        if self.claim.tests[source].identity and verdict == "confirmed":
            return "identity"
        return "quick" if record.finding.quick else verdict

    def label(self, source: Source) -> str:
        """Symbol and word of a source's state.

        >>> entry = ledger({}, ids=["L3"])[0]
        >>> entry.label("theory"), entry.label("sim")
        ('–', '○ not run')
        """
        state, record = self.state(source), self.records.get(source)
        if state == "quick" and record is not None:
            return f"{MARKS['quick']} {record.finding.verdict}, quick run"
        return MARKS[state] if state == "–" else f"{MARKS[state]} {state}"


def ledger(
    evidence: Mapping[Source, Path] | None = None, *, ids: Iterable[str] | None = None
) -> list[Entry]:
    """Judge every claim by its evidence.

    The theory's numbers are computed, some seconds in all. Every other verdict is derived
    again from the samples that its file holds.

    Args:
        evidence: Source → folder of published evidence or of runs; the published ones by default.
        ids: Claims; all of them by default.

    Raises:
        ValueError: A broken evidence file, or a claim that the ledger lacks.

    >>> ledger(ids=["A6"])[0].state("theory"), ledger(ids=["O1"])[0].state("theory")
    ('no effect', 'identity')
    """
    wanted = list(claims()) if ids is None else [_known(id) for id in ids]
    folders = PUBLISHED if evidence is None else evidence
    found = {source: read_records(folder) for source, folder in folders.items()}
    return [
        Entry(
            claims()[id],
            {
                source: theory_record(id)
                if source == "theory" and source in claims()[id].tests
                else found.get(source, {}).get((source, id))
                for source in SOURCES
            },
        )
        for id in wanted
    ]


def counts(entries: Iterable[Entry]) -> dict[Source, Counter[State]]:
    """How many verdicts of each kind every source has, those that do not apply left out.

    Args:
        entries: The ledger.
    """
    found: dict[Source, Counter[State]] = {source: Counter() for source in SOURCES}
    for entry in entries:
        for source in entry.claim.tests:
            found[source][entry.state(source)] += 1
    return found


def counting_sentence(entries: Iterable[Entry]) -> str:
    """How many verdicts are asked for, and how many came out how, source by source.

    Args:
        entries: The ledger.

    >>> counting_sentence(ledger({}, ids=["A1", "L3"]))
    '2 claims ask for 4 verdicts: 1 confirmed, 0 refuted, 0 no effect, 0 open, 3 not run \
(theory: 1 confirmed; simulation: 2 not run; language model: 1 not run).'
    """
    entries = list(entries)
    by_source = counts(entries)
    total: Counter[State] = sum(by_source.values(), Counter())
    always = ("confirmed", "refuted", "no effect", "open", "not run")
    overall = ", ".join(
        f"{total[state]} {_noun(state)}"
        for state in get_args(State)
        if state in always or total[state]
    )
    parts = [
        f"{SOURCE_NAMES[source]}: "
        + ", ".join(f"{found[s]} {_noun(s)}" for s in get_args(State) if found[s])
        for source, found in by_source.items()
        if found
    ]
    asked = f"{_many(len(entries), 'claim')} ask{'s' if len(entries) == 1 else ''} for"
    return f"{asked} {_many(total.total(), 'verdict')}: {overall} ({'; '.join(parts)})."


def _noun(state: State) -> str:
    return "from quick runs only" if state == "quick" else state


def _many(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _known(id: str) -> str:
    if id.upper() not in claims():
        raise ValueError(f"the ledger has no claim {id!r}; its claims are {', '.join(claims())}")
    return id.upper()
