"""The ledger: every claim with the verdict of each arm, and how many came out."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal, get_args

from claims.records import PUBLISHED, Record, read_records, theory_record
from claims.spec import ARM_NAMES, ARMS, Arm, Claim, claims
from claims.verdicts import Finding

State = Literal["confirmed", "refuted", "inconclusive", "quick", "not run", "–"]
"""What an arm has to say: quick is any verdict of a quick version, – an arm that does not apply."""

MARKS: Mapping[State, str] = {
    "confirmed": "✓", "refuted": "✗", "inconclusive": "?", "quick": "~", "not run": "○", "–": "–",
}  # fmt: skip
"""Symbols that stand beside the words, never instead of them."""


@dataclasses.dataclass(frozen=True)
class Entry:
    """A claim and what each arm found.

    Attributes:
        claim: The claim.
        records: Arm → its record; none where it was not run or does not apply.
    """

    claim: Claim
    records: Mapping[Arm, Record | None]

    @property
    def verdicts(self) -> dict[Arm, Finding | None]:
        """Arm → its finding; none where it was not run or does not apply."""
        return {arm: record.finding if record else None for arm, record in self.records.items()}

    def state(self, arm: Arm) -> State:
        """What the arm has to say."""
        if arm not in self.claim.tests:
            return "–"
        record = self.records.get(arm)
        if record is None:
            return "not run"
        return "quick" if record.finding.quick else record.finding.verdict

    def label(self, arm: Arm) -> str:
        """Symbol and word of an arm's state.

        >>> entry = ledger({}, ids=["L3"])[0]
        >>> entry.label("theory"), entry.label("sim")
        ('–', '○ not run')
        """
        state, record = self.state(arm), self.records.get(arm)
        if state == "quick" and record is not None:
            return f"{MARKS['quick']} {record.finding.verdict}, quick run"
        return MARKS[state] if state == "–" else f"{MARKS[state]} {state}"


def ledger(
    evidence: Mapping[Arm, Path] | None = None, *, ids: Iterable[str] | None = None
) -> list[Entry]:
    """Judge every claim by its evidence.

    The theory's numbers are computed, some seconds in all. Every other verdict is derived anew from
    the samples that its file holds.

    Args:
        evidence: Arm → folder of published evidence or of runs; the published ones by default.
        ids: Claims; all of them by default.

    Raises:
        ValueError: A broken evidence file, or a claim that the ledger lacks.

    >>> ledger(ids=["A6"])[0].verdicts["theory"].verdict
    'confirmed'
    """
    wanted = list(claims()) if ids is None else [_known(id) for id in ids]
    folders = PUBLISHED if evidence is None else evidence
    found = {arm: read_records(folder) for arm, folder in folders.items()}
    return [
        Entry(
            claims()[id],
            {
                arm: theory_record(id)
                if arm == "theory" and arm in claims()[id].tests
                else found.get(arm, {}).get((arm, id))
                for arm in ARMS
            },
        )
        for id in wanted
    ]


def counts(entries: Iterable[Entry]) -> dict[Arm, Counter[State]]:
    """How many verdicts of each kind every arm has, those that do not apply left out.

    Args:
        entries: The ledger.
    """
    found: dict[Arm, Counter[State]] = {arm: Counter() for arm in ARMS}
    for entry in entries:
        for arm in entry.claim.tests:
            found[arm][entry.state(arm)] += 1
    return found


def counting_sentence(entries: Iterable[Entry]) -> str:
    """How many verdicts are asked for, and how many came out how, arm by arm.

    Args:
        entries: The ledger.

    >>> counting_sentence(ledger({}, ids=["A1", "L3"]))
    '2 claims ask for 4 verdicts: 1 confirmed, 0 refuted, 0 inconclusive, 3 not run \
(theory: 1 confirmed; simulation: 2 not run; language model: 1 not run).'
    """
    entries = list(entries)
    by_arm = counts(entries)
    total: Counter[State] = sum(by_arm.values(), Counter())
    always = ("confirmed", "refuted", "inconclusive", "not run")
    overall = ", ".join(
        f"{total[state]} {_noun(state)}" for state in get_args(State)
        if state in always or total[state]
    )  # fmt: skip
    parts = [
        f"{ARM_NAMES[arm]}: "
        + ", ".join(f"{found[s]} {_noun(s)}" for s in get_args(State) if found[s])
        for arm, found in by_arm.items()
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
