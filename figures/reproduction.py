"""The report of ``apw reproduce``: the ledger, and what the runs beside it show."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from pathlib import Path

import pandas as pd

from claims.entries import Entry, ledger
from claims.records import PUBLISHED
from claims.render.html import ledger_html
from claims.spec import SOURCE_NAMES, SOURCES, Source
from figures.explorer import ABOUT
from figures.report import Section, figure_anchor
from figures.reproduction_pictures import (
    Drawn,
    simulation_drawn,
    sources_drawn,
    theory_drawn,
    training_drawn,
)

AGREEMENT, ONE_AXIS = "Against the published verdicts", "All sources on one axis"
"""Sections whose finding and whose figure the page begins with."""

EXPLORER = "explorer.html"
"""The explorer, a page of its own beside the report: it holds a drawing library of 5 MB."""

CLAIMS, EVIDENCE = "claims", "evidence"
"""Folders of a reproduction: runs of the simulator, and tables of the language model."""


def reproduced_ledger(folder: Path, sources: Sequence[Source] = SOURCES) -> list[Entry]:
    """The ledger by what was run in a folder.

    Args:
        folder: Folder of ``apw reproduce``.
        sources: Sources that are taken in.

    Raises:
        ValueError: Broken evidence.
    """
    places: dict[Source, Path] = {
        "sim": folder / CLAIMS / "sim",
        "llm": folder / EVIDENCE / "findings",
    }
    entries = ledger({source: place for source, place in places.items() if source in sources})
    if "theory" in sources:
        return entries
    return [
        dataclasses.replace(entry, records={**entry.records, "theory": None}) for entry in entries
    ]


def made_elsewhere(entries: Iterable[Entry], commit: str | None) -> str:
    """Which claims were tried by other code than the page's, in a sentence.

    Args:
        entries: The reproduced ledger.
        commit: Commit of the code that writes the page; none if it is not known.

    Returns:
        The sentence; empty if it is all of one commit.

    >>> made_elsewhere([], None)
    ''
    """
    others = {
        (entry.claim.id, SOURCE_NAMES[source])
        for entry in entries
        for source, record in entry.records.items()
        if record is not None
        and record.path is not None
        and record.environment.get("commit") != commit
    }
    if not others:
        return ""
    return (
        "Kept from an earlier start, by code of another commit than this page: "
        f"{', '.join(f'{id} ({source})' for id, source in sorted(others))}. Another folder (--out) "
        "tries them again."
    )


def agreement_table(here: Iterable[Entry], published: Iterable[Entry]) -> pd.DataFrame:
    """Verdicts of a reproduction beside the published ones, where both exist.

    Args:
        here: The reproduced ledger.
        published: The published one.

    Returns:
        Columns claim, source, published, here (with ``quick run``) and agree.

    >>> from claims.entries import ledger
    >>> agreement_table(ledger({}, ids=["A6"]), ledger({}, ids=["A6"])).values.tolist()
    [['A6', 'theory', 'no effect', 'no effect', 'yes']]
    """
    known = {entry.claim.id: entry.verdicts for entry in published}
    rows = []
    for entry in here:
        for source in SOURCES:
            found, other = entry.verdicts[source], known.get(entry.claim.id, {}).get(source)
            if found is not None and other is not None:
                words = f"{found.verdict}{', quick run' if found.quick else ''}"
                agree = "yes" if found.verdict == other.verdict else "no"
                rows.append((entry.claim.id, SOURCE_NAMES[source], other.verdict, words, agree))
    return pd.DataFrame(rows, columns=["claim", "source", "published", "here", "agree"])


def sections(
    folder: Path,
    entries: Sequence[Entry],
    published: Sequence[Entry],
    sources: Sequence[Source] = SOURCES,
    *,
    skipped: str = "",
    commit: str | None = None,
) -> list[Section]:
    """The report's sections: the ledger first, then every source's figures.

    Args:
        folder: Folder of ``apw reproduce``.
        entries: The ledger of the folder.
        published: The published ledger.
        sources: Sources whose figures are drawn.
        skipped: Why there is no language model; empty if there is one.
        commit: Commit of the code that writes the page.

    Raises:
        ValueError: Tables that are broken.
    """
    across = sources_drawn(entries, None if skipped else folder / EVIDENCE)
    theory = theory_drawn() if "theory" in sources else []
    simulated = simulation_drawn(entries, folder / CLAIMS / "sim" / "quick")
    trained = [] if skipped else training_drawn(entries, folder / EVIDENCE)
    links = _links(folder, entries, [across, *theory, *simulated, *trained])
    explorer = [
        (
            "Move the controls: everything is computed in that page, by formulas that the tests of "
            "this package compare with its own."
        ),
        *ABOUT,
    ]
    return [
        Section(
            title="The ledger of claims",
            what=[
                "Every claim with a verdict per source. The theory's were computed for this page; "
                "the simulator's are of its short versions, which have wider intervals than the "
                "published ones and are marked as quick.",
                _about_training(skipped),
                *filter(None, [made_elsewhere(entries, commit)]),
            ],
            html=ledger_html(entries, links),
            commands=["apw claims", "apw claims --check"],
        ),
        _agreement(entries, published, "" if skipped else same_trainings(folder)),
        Section(
            title=ONE_AXIS,
            what=["Claims A4 and A5 in theory, simulation and language model."],
            pictures=[across[0]],
            commands=["apw reproduce", "apw figures"],
        ),
        Section(
            title="Theory",
            what=["Exact integrals and sums; nothing is sampled."],
            pictures=[picture for picture, _ in theory],
            commands=["apw figures"],
        ),
        Section(
            title="Simulation",
            what=[
                "The short versions of the claims' simulations: few seeds, few learning rates. The "
                "full ones are behind the published ledger."
            ],
            pictures=[picture for picture, _ in simulated],
            commands=["apw claims --run sim --quick", "apw figures RUN_FOLDER"],
            folder=f"{CLAIMS}/sim/quick/",
        ),
        Section(
            title="Language model",
            what=[
                f"This part was left out: {skipped}."
                if skipped
                else "A tiny transformer, made from scratch, trained through TRL's GRPOTrainer "
                "with the advantages of each scheme. Success and pass@k on held-out prompts are "
                "computed exactly."
            ],
            pictures=[picture for picture, _ in trained],
            commands=["apw reproduce"],
            folder="" if skipped else f"{EVIDENCE}/",
        ),
        Section(
            title="Explore: weights, excess times, finite groups",
            what=explorer,
            html=f'<p><a href="{EXPLORER}">Open the explorer</a></p>',
            commands=["apw explore"],
        ),
    ]


def _about_training(skipped: str) -> str:
    if skipped:
        return f"The language model was left out: {skipped}."
    return (
        "The language model is the published setting's, trained again under the same seeds at the "
        "learning rates picked then, as far as it fits into the hour."
    )


def same_trainings(folder: Path, published: Path = PUBLISHED["llm"].parent) -> str:
    """How many trainings of the language model end with the published numbers, in a sentence.

    Args:
        folder: Folder of ``apw reproduce``.
        published: Folder of the published tables.

    Returns:
        The sentence; empty if nothing was trained.
    """
    same, total = 0, 0
    for table in sorted((folder / EVIDENCE).glob("*/outcomes.csv")):
        there = published / table.parent.name / "outcomes.csv"
        if there.exists():
            here = pd.read_csv(table)
            same += len(here.merge(pd.read_csv(there)))  # on all columns, to the last digit
            total += len(here)
    if not total:
        return ""
    return (
        f"{same} of {total} trainings of the language model end with the published numbers to the "
        "last digit; other processors and other versions of torch round otherwise."
    )


def _agreement(entries: Sequence[Entry], published: Sequence[Entry], trainings: str) -> Section:
    table = agreement_table(entries, published)
    differing = table[table["agree"] == "no"]
    named = ", ".join(f"{row.claim} ({row.source})" for row in differing.itertuples())
    told = f"They differ for {named}." if named else "None differs."
    return Section(
        title=AGREEMENT,
        what=[
            "A short run may leave open what a long one decides, and may decide otherwise where an "
            "interval is wide: that is what a difference below means."
        ],
        findings=[
            f"{len(table) - len(differing)} of {len(table)} verdicts that exist both here and in "
            f"the published ledger agree. {told}",
            *([trainings] if trainings else []),
        ],
        table=table,
        table_caption="Verdicts of this reproduction beside the published ones.",
    )


def _links(
    folder: Path, entries: Iterable[Entry], drawn: Iterable[Drawn]
) -> dict[str, list[tuple[str, str]]]:
    """Claim → its figures on the page, and its data beside it."""
    links: dict[str, list[tuple[str, str]]] = {entry.claim.id: [] for entry in entries}
    for picture, claims in drawn:
        for claim in claims:
            if claim in links:
                links[claim].append((f"Figure: {picture.title}", f"#{figure_anchor(picture)}"))
    for entry in entries:
        for source, record in entry.records.items():
            if record is not None and record.path is not None:
                place = record.path.resolve().relative_to(folder.resolve()).as_posix()
                links[entry.claim.id].append((f"Data: {SOURCE_NAMES[source]}", place))
    return links
