"""The pictures of ``apw reproduce``, each with the claims that it is about."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path

from claims.across_sources import read_outcomes
from claims.entries import Entry
from claims.metrics import curves_file
from claims.spec import SOURCE_NAMES, Source
from figures.catalogue import THEORY, run_pictures
from figures.claim_checks import claim_checks_picture
from figures.picture import Picture
from figures.sources import sources_picture
from runs.folder import is_finished

_THEORY_CLAIMS: dict[str, tuple[str, ...]] = {
    "optimal_weights": ("A1", "A2"),
    "excess": ("A3", "A4", "A5", "O2"),
    "finite_weights": ("A6", "O1", "O2"),
    "lens": ("L1", "L2"),
    "logit_updates": ("N1", "N5"),
}
_SIMULATION_CLAIMS: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "speed/from-scratch-Adam": (
        "a rule to find, from 1%, own rates",
        {"time_to_target": ("A4", "A6")},
    ),
    "confidence/shared": (
        "prompts that share parameters",
        {"negative_groups": ("L5",), "pass_at_k": ("L3", "L4")},
    ),
    "reinforcement/base-0.65-small-dose": (
        "positive and negative reinforcement",
        {"pass_at_k": ("N2", "N3", "N6"), "entropy": ("N4",)},
    ),
    "N7/long-base-0.65-small-dose": ("many steps of NSR", {"convergence": ("N7",)}),
    "O3/sampled": ("sampled softmax steps", {"convergence": ("O3",)}),
    "O4/rule-start-0.3": ("a rule to find, from 30%", {"time_to_target": ("O4",)}),
    "O4/memory-start-0.003": ("answers to memorise, from 0.3%", {"time_to_target": ("O4",)}),
}
"""Folder of quick runs → its setting in words, and picture → claims that it is about."""

_EVIDENCE_CLAIMS: dict[str, tuple[str, dict[str, tuple[str, ...]]]] = {
    "rule-from-scratch": (
        "a rule from scratch",
        {"training": ("A4", "A6"), "negative_groups": ("L5",)},
    ),
    "rule-post-sft": (
        "a rule after fine-tuning",
        {"training": ("A5",), "pass_at_k": ("L3", "N2", "N3", "N6"), "entropy": ("N4", "N5")},
    ),
    "countdown-post-sft": (
        "Countdown after fine-tuning",
        {"pass_at_k": ("N2", "N3"), "entropy": ("N4",)},
    ),
}
"""Setting of the language model → what it is in words, and picture → claims that it is about."""

Drawn = tuple[Picture, tuple[str, ...]]
"""A picture and the claims that it is about."""


def sources_drawn(entries: Iterable[Entry], evidence: Path | None) -> Drawn:
    """Theory, simulation and language model on one axis.

    Args:
        entries: The ledger of the reproduction.
        evidence: Folder of the language model's tables; none if it was left out.
    """
    findings = {e.claim.id: found for e in entries if (found := e.verdicts["sim"]) is not None}
    together = sources_picture(findings, {} if evidence is None else read_outcomes(evidence))
    return _about(_named(together, "all"), ("A4", "A5"))


def theory_drawn() -> list[Drawn]:
    """The figures that need no run.

    >>> [claims for picture, claims in theory_drawn() if picture.name == "theory-lens"]
    [('L1', 'L2')]
    """
    return [
        _about(_named(make(), "theory"), _THEORY_CLAIMS.get(name, ()))
        for name, make in THEORY.items()
    ]


def simulation_drawn(entries: Iterable[Entry], folder: Path) -> list[Drawn]:
    """Figures of the simulator's quick runs, and the checks of every claim it tried.

    Args:
        entries: The ledger of the reproduction.
        folder: Folder of the quick runs.
    """
    drawn: list[Drawn] = []
    for run, (setting, wanted) in _SIMULATION_CLAIMS.items():
        if is_finished(folder / run):
            drawn += _pictures(folder / run, wanted, f"sim-{run}", setting)
    return [*drawn, *_checks(entries, "sim")]


def training_drawn(entries: Iterable[Entry], evidence: Path) -> list[Drawn]:
    """Figures of the language model's tables, and the checks of every claim it tried.

    Args:
        entries: The ledger of the reproduction.
        evidence: Folder of the tables.
    """
    drawn: list[Drawn] = []
    for setting, (words, wanted) in _EVIDENCE_CLAIMS.items():
        if curves_file(evidence / setting).exists():
            drawn += _pictures(evidence / setting, wanted, f"llm-{setting}", words)
    return [*drawn, *_checks(entries, "llm")]


def _named(picture: Picture, prefix: str) -> Picture:
    name = f"{prefix}-{picture.name}".replace("/", "-")
    return dataclasses.replace(picture, name=name)


def _about(picture: Picture, claims: tuple[str, ...]) -> Drawn:
    """The picture with the claims that it is about in its caption."""
    words = f" Claim{'s'[: len(claims) > 1]} {', '.join(claims)}." if claims else ""
    return dataclasses.replace(picture, caption=picture.caption + words), claims


def _checks(entries: Iterable[Entry], source: Source) -> Iterable[Drawn]:
    """Every claim's checks with their intervals, so that no verdict is without a picture."""
    for entry in entries:
        found = entry.verdicts[source]
        if found is not None:
            picture = claim_checks_picture(found)
            titled = dataclasses.replace(picture, title=f"{picture.title}, {SOURCE_NAMES[source]}")
            yield _named(titled, source), (entry.claim.id,)


def _pictures(
    path: Path, wanted: Mapping[str, tuple[str, ...]], prefix: str, setting: str
) -> Iterable[Drawn]:
    for picture in run_pictures(path):
        if picture.name in wanted:
            titled = dataclasses.replace(picture, title=f"{picture.title}, {setting}")
            yield _about(_named(titled, prefix), wanted[picture.name])
