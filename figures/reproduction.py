"""The report of ``apw reproduce``: ledger, explorer, and what the runs beside it show."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pandas as pd

from apw.runs import is_finished
from figures.arms import arms_picture, read_outcomes
from figures.catalogue import THEORY, run_pictures
from figures.claim_checks import claim_checks_picture
from figures.explorer import ABOUT, explorer_body
from figures.ledger.entries import Entry, ledger
from figures.ledger.spec import ARM_NAMES, ARMS, Arm
from figures.ledger.web import ledger_html
from figures.picture import Picture
from figures.report import Section, figure_anchor

CLAIMS, EVIDENCE = "claims", "evidence"
"""Folders of a reproduction: runs of the simulator, and tables of the language model."""

_THEORY_CLAIMS: dict[str, tuple[str, ...]] = {
    "optimal_weights": ("A1", "A2"),
    "excess_time": ("A3", "A4", "A5", "O2"),
    "finite_weights": ("A6", "O1", "O2"),
    "lens": ("L1", "L2"),
    "logit_updates": ("N1", "N5"),
}
_SIMULATION_CLAIMS: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "A4/budget-0.01": (
        "equal budgets, from 1%", {"time_to_target": ("A3", "A4", "O2")},
    ),
    "A5/budget-0.4": ("equal budgets, from 40%", {"time_to_target": ("A5",)}),
    "rule/start-0.01": (
        "a rule to find, from 1%, own rates", {"time_to_target": ("A4", "A6")},
    ),
    "confidence/shared": (
        "prompts that share parameters", {"negative_groups": ("L5",), "pass_at_k": ("L3", "L4")},
    ),
    "reinforcement/off-policy": (
        "positive and negative reinforcement",
        {"pass_at_k": ("N2", "N3", "N6"), "entropy": ("N4",)},
    ),
    "N7/long-off-policy": ("many steps of NSR", {"convergence": ("N7",)}),
    "O3/sampled": ("sampled softmax steps", {"convergence": ("O3",)}),
    "O4/rule-0.01": ("a rule to find, from 1%", {"time_to_target": ("O4",)}),
    "O4/memory-0.01": ("answers to memorise, from 1%", {"time_to_target": ("O4",)}),
}  # fmt: skip
"""Folder of quick runs → its setting in words, and picture → claims that it is about."""

_EVIDENCE_CLAIMS: dict[str, dict[str, tuple[str, ...]]] = {
    "rule-from-scratch": {
        "training": ("A4", "A6"), "negative_groups": ("L5",),
    },
    "rule-post-sft": {
        "training": ("A5",), "pass_at_k": ("L3", "N2", "N3", "N6"), "entropy": ("N4", "N5"),
    },
}  # fmt: skip
"""Arm of the language model → picture → claims that it is about."""

_SETTINGS = {
    "rule-from-scratch": "a rule from scratch",
    "rule-post-sft": "a rule after fine-tuning",
}
"""Arm of the language model in words."""

Drawn = tuple[Picture, tuple[str, ...]]
"""A picture and the claims that it is about."""


def reproduced_ledger(folder: Path) -> list[Entry]:
    """The ledger by what was run in a folder.

    Args:
        folder: Folder of ``apw reproduce``.

    Raises:
        ValueError: Broken evidence.
    """
    evidence: dict[Arm, Path] = {
        "sim": folder / CLAIMS / "sim",
        "llm": folder / EVIDENCE / "findings",
    }
    return ledger(evidence)


def agreement_table(here: Iterable[Entry], published: Iterable[Entry]) -> pd.DataFrame:
    """Verdicts of a reproduction beside the published ones, where both exist.

    Args:
        here: The reproduced ledger.
        published: The published one.

    Returns:
        Columns claim, arm, published, here (with ``quick run``) and agree.

    >>> from figures.ledger.entries import ledger
    >>> agreement_table(ledger({}, ids=["A6"]), ledger({}, ids=["A6"])).values.tolist()
    [['A6', 'theory', 'confirmed', 'confirmed', 'yes']]
    """
    known = {entry.claim.id: entry.verdicts for entry in published}
    rows = []
    for entry in here:
        for arm in ARMS:
            found, other = entry.verdicts[arm], known.get(entry.claim.id, {}).get(arm)
            if found is not None and other is not None:
                words = f"{found.verdict}{', quick run' if found.quick else ''}"
                agree = "yes" if found.verdict == other.verdict else "no"
                rows.append((entry.claim.id, ARM_NAMES[arm], other.verdict, words, agree))
    return pd.DataFrame(rows, columns=["claim", "arm", "published", "here", "agree"])


def sections(
    folder: Path,
    entries: Sequence[Entry],
    published: Sequence[Entry],
    *,
    skipped: str = "",
    quick: bool = False,
) -> list[Section]:
    """The report's sections: the ledger first, then every arm's figures, then the explorer.

    Args:
        folder: Folder of ``apw reproduce``.
        entries: The ledger of the folder.
        published: The published ledger.
        skipped: Why there is no language model; empty if there is one.
        quick: The language model was trained for a few steps only.

    Raises:
        ValueError: Tables that are broken.
    """
    theory: list[Drawn] = [
        _about(_named(make(), "theory"), _THEORY_CLAIMS.get(name, ()))
        for name, make in THEORY.items()
    ]
    simulated = [*_simulated(folder / CLAIMS / "sim" / "quick"), *_checks(entries, "sim")]
    trained = [*_trained(folder / EVIDENCE), *_checks(entries, "llm")]
    findings = {e.claim.id: found for e in entries if (found := e.verdicts["sim"]) is not None}
    together = arms_picture(findings, read_outcomes(folder / EVIDENCE))
    arms = _about(_named(together, "all"), ("A4", "A5"))
    links = _links(folder, entries, [arms, *theory, *simulated, *trained])
    explorer = [
        ("Move the controls: everything is computed in this page, by formulas that the tests of "
         "this package compare with its own."),
        *ABOUT,
    ]  # fmt: skip
    return [
        Section(
            title="The ledger of claims",
            what=[
                "Every claim with a verdict per arm. The theory's were computed for this page; "
                "the simulator's are of its short versions, which have wider intervals than the "
                "published ones and are marked as quick.",
                _about_training(skipped, quick),
            ],
            html=ledger_html(entries, links),
            commands=["apw claims", "apw claims --check"],
        ),
        _agreement(entries, published),
        Section(
            title="All arms on one axis",
            what=["Claims A4 and A5 in theory, simulation and language model."],
            pictures=[arms[0]],
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
            commands=["pip install 'apw[llm]'", "apw reproduce"] if skipped else ["apw reproduce"],
            folder="" if skipped else f"{EVIDENCE}/",
        ),
        Section(
            title="Explore: weights, excess times, finite groups",
            what=explorer,
            html=explorer_body(),
            commands=["apw explore"],
        ),
    ]


def _about_training(skipped: str, quick: bool) -> str:
    if skipped:
        return f"The language model was left out: {skipped}."
    if quick:
        return (
            "The language model was trained for a few steps under one seed, to show the way: that "
            "decides nothing."
        )
    return (
        "The language model is the published arm's, trained anew under the same seeds at the "
        "learning rates picked then, as far as it fits into the hour."
    )


def _agreement(entries: Sequence[Entry], published: Sequence[Entry]) -> Section:
    table = agreement_table(entries, published)
    differing = table[table["agree"] == "no"]
    named = ", ".join(f"{row.claim} ({row.arm})" for row in differing.itertuples())
    told = f"They differ for {named}." if named else "None differs."
    return Section(
        title="Against the published verdicts",
        what=[
            "A short run may be inconclusive where a long one decides, and may decide otherwise "
            "where an interval is wide: that is what a difference below means."
        ],
        findings=[
            f"{len(table) - len(differing)} of {len(table)} verdicts that exist both here and in "
            f"the published ledger agree. {told}"
        ],
        table=table,
        table_caption="Verdicts of this reproduction beside the published ones.",
    )


def _named(picture: Picture, prefix: str) -> Picture:
    name = f"{prefix}-{picture.name}".replace("/", "-")
    return dataclasses.replace(picture, name=name)


def _about(picture: Picture, claims: tuple[str, ...]) -> Drawn:
    """The picture with the claims that it is about in its caption."""
    words = f" Claim{'s'[: len(claims) > 1]} {', '.join(claims)}." if claims else ""
    return dataclasses.replace(picture, caption=picture.caption + words), claims


def _simulated(folder: Path) -> Iterable[Drawn]:
    for run, (setting, wanted) in _SIMULATION_CLAIMS.items():
        if is_finished(folder / run):
            yield from _pictures(folder / run, wanted, f"sim-{run}", f", {setting}")


def _trained(folder: Path) -> Iterable[Drawn]:
    for arm, wanted in _EVIDENCE_CLAIMS.items():
        if (folder / arm / "curves.parquet").exists():
            yield from _pictures(folder / arm, wanted, f"llm-{arm}", f", {_SETTINGS[arm]}")


def _checks(entries: Iterable[Entry], arm: Arm) -> Iterable[Drawn]:
    """Every claim's checks with their intervals, so that no verdict is without a picture."""
    for entry in entries:
        found = entry.verdicts[arm]
        if found is not None:
            picture = claim_checks_picture(found)
            titled = dataclasses.replace(picture, title=f"{picture.title}, {ARM_NAMES[arm]}")
            yield _named(titled, arm), (entry.claim.id,)


def _pictures(
    path: Path, wanted: Mapping[str, tuple[str, ...]], prefix: str, words: str
) -> Iterable[Drawn]:
    for picture in run_pictures(path):
        if picture.name in wanted:
            titled = dataclasses.replace(picture, title=f"{picture.title}{words}")
            yield _about(_named(titled, prefix), wanted[picture.name])


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
        for arm, record in entry.records.items():
            if record is not None and record.path is not None:
                place = record.path.resolve().relative_to(folder.resolve()).as_posix()
                links[entry.claim.id].append((f"Data: {ARM_NAMES[arm]}", place))
    return links
