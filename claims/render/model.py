"""What is shown of a claim, in words, whatever it is written to."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from claims.entries import MARKS, Entry, State
from claims.render import words
from claims.spec import SOURCE_NAMES, SOURCES, Source
from claims.verdicts import Check, Finding, Verdict, regime_verdicts

KEY = (
    f"{MARKS['confirmed']} confirmed: the prediction came out. {MARKS['refuted']} refuted: it did "
    f"not. {MARKS['no effect']} no effect: whatever there is, it is smaller than anyone would act "
    f"on. {MARKS['open']} open: the interval is too wide to tell, or nothing can be told. "
    f"{MARKS['identity']} identity: follows from the definitions and cannot fail. "
    f"{MARKS['not run']} not run yet. {MARKS['–']} the source does not apply."
)
"""What the symbols mean."""


@dataclasses.dataclass(frozen=True)
class Row:
    """A check of a finding.

    Attributes:
        name: What was checked.
        predicted: The prediction, with its tolerance or bound.
        measured: The measurement with its interval.
        steady: The same without the size of rounding errors, which differs between machines.
        seeds: How many seeds it is from, or ``exact``.
        verdict: Its verdict.
    """

    name: str
    predicted: str
    measured: str
    steady: str
    seeds: str
    verdict: Verdict

    @classmethod
    def of(cls, check: Check) -> Row:
        """The row of a check."""
        return cls(
            check.name,
            words.predicted(check),
            words.measured(check),
            words.measured(check, rounding=False),
            "exact" if check.exact else str(check.seeds),
            check.verdict,
        )


@dataclasses.dataclass(frozen=True)
class Result:
    """What one source of evidence says about a claim.

    Attributes:
        source: The source, as readers know it.
        state: Its verdict, or why it has none.
        label: Symbol and word of the state.
        prediction: What must come out.
        how: What is measured.
        command: The command that runs it; empty if there is none.
        why: Why it is not confirmed; empty if it is or was not run.
        rule: How the checks join.
        environment: Commit, versions and hardware.
        regimes: What was run, with the verdicts of regimes.
        tally: How many checks came out how; empty if it was not run.
        rows: The checks.
        evidence: The file that it follows from.
    """

    source: str
    state: State
    label: str
    prediction: str
    how: str
    command: str
    why: str = ""
    rule: str = ""
    environment: str = ""
    regimes: tuple[str, ...] = ()
    tally: str = ""
    rows: tuple[Row, ...] = ()
    evidence: Path | None = None

    @classmethod
    def of(cls, entry: Entry, source: Source) -> Result:
        """What a source that applies to the entry's claim says."""
        test, record = entry.claim.tests[source], entry.records[source]
        undescribed = cls(
            SOURCE_NAMES[source],
            entry.state(source),
            entry.label(source),
            test.prediction,
            test.how,
            words.rerun(entry, source),
        )
        if record is None:
            return undescribed
        found = record.finding
        return dataclasses.replace(
            undescribed,
            why=words.reason(found),
            rule=words.rule(found),
            environment=words.environment(record.environment),
            regimes=_regimes(found, source),
            tally=words.tally(found),
            rows=tuple(map(Row.of, found.checks)),
            evidence=record.path,
        )


@dataclasses.dataclass(frozen=True)
class Shown:
    """A claim and what every source says about it.

    Attributes:
        id: Such as ``"A4"``.
        title: The claim in a few words.
        sentence: The claim in one sentence.
        citation: Where it comes from.
        states: State and label of every source, those that do not apply too.
        main_number: Main prediction and measurement of the most telling source.
        results: What the sources that apply say.
    """

    id: str
    title: str
    sentence: str
    citation: str
    states: tuple[tuple[State, str], ...]
    main_number: str
    results: tuple[Result, ...]

    @classmethod
    def of(cls, entry: Entry) -> Shown:
        """What is shown of an entry of the ledger.

        >>> from claims.entries import ledger
        >>> shown = Shown.of(ledger({}, ids=["A6"])[0])
        >>> [(result.source, result.label) for result in shown.results]
        [('theory', '0 no effect'), ('simulation', '○ not run'), ('language model', '○ not run')]
        """
        claim = entry.claim
        return cls(
            claim.id,
            claim.title,
            claim.sentence,
            claim.citation,
            tuple((entry.state(source), entry.label(source)) for source in SOURCES),
            words.main_number(entry),
            tuple(Result.of(entry, source) for source in claim.tests),
        )


def _regimes(found: Finding, source: Source) -> tuple[str, ...]:
    verdicts = (f"{regime}: {verdict}" for regime, verdict in regime_verdicts(found).items())
    return (*verdicts, *(() if source == "theory" else found.regimes))
