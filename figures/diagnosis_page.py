"""A diagnosis as one page: the finding, one figure, and then what it rests on."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from figures.diagnosis import (
    MOST_STEPS,
    age_picture,
    course_picture,
    credit_picture,
    diagnosis_picture,
    shares_picture,
)
from figures.picture import Picture
from figures.report import Section, write_report
from rollouts.diagnosis import Diagnosis
from rollouts.findings import Finding
from rollouts.report import SHOWN_ROWS, clean_words, evidence_words
from runs.environment import describe_environment
from runs.text import listed, number, percent, plural
from theory.intervals import share_interval

GENERATOR = "apw diagnose"
"""The command whose pages these are."""

_COURSES = {
    "falling-pass-rate": ("pass_rate", "pass rate"),
    "falling-entropy": ("entropy", "entropy in nats per token"),
    "growing-length": ("length", "tokens of a response"),
    "shrinking-length": ("length", "tokens of a response"),
    "truncated-responses": ("truncated", "share of responses cut off"),
    "repeated-responses": ("repeated", "share of repeated responses"),
    "restated-answers": ("restated", "share of restated answers"),
    "sampler-mismatch": ("effective_sample_size", "effective sample size"),
}
"""Finding → the column that is drawn over the steps."""

_CREDIT = ("phantom-advantages", "shaping-outweighs-outcome", "noise-in-advantages")


def write_diagnosis(path: Path, diagnosis: Diagnosis, *, command: Sequence[str]) -> None:
    """Write the page; it loads nothing and shows nothing of the log but names and numbers.

    Args:
        path: The HTML file; only a page of ``apw diagnose`` is replaced.
        diagnosis: What was found.
        command: Words of the command, to be told.

    Raises:
        ValueError: A file that is there and no page of ``apw diagnose``.
    """
    raised = [finding for finding in diagnosis.findings if finding.raised]
    lead = _lead(diagnosis, raised[0].name if raised else None)
    write_report(
        path,
        topic="What the rollouts of a training run teach",
        title=raised[0].sentence if raised else _calm(diagnosis),
        summary=_summary(diagnosis, raised),
        sections=[
            *_findings(diagnosis, raised),
            *_teaching(diagnosis, lead),
            _course(diagnosis),
            _read(diagnosis, command),
        ],
        environment=describe_environment(),
        lead=lead,
        generator=GENERATOR,
    )


def _calm(diagnosis: Diagnosis) -> str:
    """What there is to say first where nothing was found."""
    if not diagnosis.grouped:
        return diagnosis.account[0]
    whole = diagnosis.overall
    share = share_interval(whole["all_wrong"], whole["groups"])
    return (
        f"Nothing wrong was found; {percent(share.estimate)} of the groups "
        f"({percent(share.low)}–{percent(share.high)}) have no correct response."
    )


def _summary(diagnosis: Diagnosis, raised: Sequence[Finding]) -> list[str]:
    sizes = diagnosis.sizes
    read = (
        f"{plural(sizes['responses'], 'response')} in {plural(sizes['groups'], 'group')} of "
        f"{sizes['usual_group']}, read from {diagnosis.reading.columns.layout.name}."
    )
    if not raised:
        return [read]
    more = [f"Found as well: {listed([finding.name for finding in raised[1:]])}."]
    return [clean_words(raised[0]), *(more if len(raised) > 1 else []), read]


def _lead(diagnosis: Diagnosis, name: str | None) -> Picture | None:
    credit, ages, steps = diagnosis.credit(), diagnosis.ages(), diagnosis.steps(MOST_STEPS)
    if name in _CREDIT and credit is not None:
        return credit_picture(credit)
    if name == "stale-rollouts" and ages is not None:
        return age_picture(ages)
    if name in _COURSES and len(steps) > 1:
        return course_picture(steps, *_COURSES[name])
    return shares_picture(steps) if diagnosis.grouped else None


def _findings(diagnosis: Diagnosis, raised: Sequence[Finding]) -> list[Section]:
    if not diagnosis.findings:
        return []
    rows = [
        {
            "looked for": finding.name,
            "found": "yes" if finding.raised else "too little to tell" if finding.open else "no",
            "value": number(finding.interval.estimate, 3),
            "95% interval": f"{number(finding.interval.low, 3)} – "
            f"{number(finding.interval.high, 3)}",
            "found if": f"{'below' if finding.below else 'above'} {number(finding.limit, 3)}",
            "on clean logs": percent(finding.false_positives["rate"])
            if finding.false_positives
            else "–",
        }
        for finding in diagnosis.findings
    ]
    return [
        Section(
            title="What was looked for",
            what=[
                "A finding is raised if the whole interval of its number lies beyond the limit. "
                "The last column is how often that happens on simulated logs of runs in which "
                "nothing is wrong."
            ],
            findings=[
                f"{finding.sentence} It rests on {evidence_words(finding)}." for finding in raised
            ],
            table=pd.DataFrame(rows),
            table_caption="Every finding that this log has the numbers for.",
        )
    ]


def _teaching(diagnosis: Diagnosis, lead: Picture | None) -> list[Section]:
    if not diagnosis.grouped:
        return []
    credit = diagnosis.credit()
    shares = diagnosis_picture(diagnosis.steps(MOST_STEPS), diagnosis.mass(), diagnosis.trained)
    made = [
        Section(
            title="What the responses taught",
            what=diagnosis.account,
            pictures=[shares],
        )
    ]
    if credit is not None:
        shown = credit.drop(columns="split")
        made.append(
            Section(
                title="The advantages in the log",
                what=[
                    "By the pass rate of the group: the share of responses with advantage 0, Σ|A| "
                    "and its share, and the part of it that comes from the outcome, from the rest "
                    "of the reward (shaping, and each component by name) and from neither (noise)."
                ],
                pictures=[credit_picture(credit)] if lead is None or lead.name != "credit" else [],
                table=shown,
                table_caption="Σ|A| by difficulty, and what it was made of.",
            )
        )
    return made


def _course(diagnosis: Diagnosis) -> Section:
    steps = diagnosis.steps(SHOWN_ROWS)
    steps = steps.loc[:, [name for name in steps if not str(name).startswith("groups ")]]
    ages = diagnosis.ages()
    return Section(
        title="Over the steps",
        what=["Each row is a step or a bin of steps."],
        pictures=[age_picture(ages)]
        if ages is not None and len(ages) > 1 and "effective_sample_size" in ages
        else [],
        table=steps.dropna(axis=1, how="all").rename(columns=lambda name: name.replace("_", " ")),
        table_caption="What happened over the steps; shares lie between 0 and 1.",
    )


def _read(diagnosis: Diagnosis, command: Sequence[str]) -> Section:
    call = diagnosis.advise_call()
    return Section(
        title="What was read",
        what=[diagnosis.reading.describe(), *diagnosis.reading.notes()],
        commands=[shlex.join(command), *([call] if call else [])],
    )
