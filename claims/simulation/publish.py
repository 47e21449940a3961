"""Publish what the claims' simulations left behind.

Every ``<ID>/verdict.json`` and ``<ID>/table.csv`` of the folder becomes ``<ID>.json`` and
``<ID>.csv`` in ``claims/evidence/sim``, from which the ledger and the figures are made.
"""

from __future__ import annotations

from pathlib import Path

from claims.verdicts import Finding, rejudged
from runs.files import read_json, refuse_device, write_text

EVIDENCE = Path(__file__).parents[1] / "evidence" / "sim"


def publish(folder: Path, to: Path = EVIDENCE) -> list[str]:
    """Copy the evidence of every claim of a folder.

    Args:
        folder: What :func:`claims.simulation.registry.check_claim` filled, full versions only.
        to: Where to.

    Returns:
        The claims published.

    Raises:
        ValueError: There is none, one is a quick version, or its verdict does not follow from its
            samples.
    """
    files = sorted(folder.glob("*/verdict.json"))
    if not files:
        raise ValueError(f"{folder} holds no <ID>/verdict.json; name a folder such as .../full")
    texts = {}
    for file in files:
        name, found = file.parent.name, Finding.from_dict(read_json(file))
        if found.quick:
            raise ValueError(f"{file} is a quick version; evidence is of full ones")
        if rejudged(found) != found:
            raise ValueError(f"{file}: the verdict does not follow from the samples")
        for kind, beside in (("json", file), ("csv", file.with_name("table.csv"))):
            refuse_device(beside)
            texts[f"{name}.{kind}"] = beside.read_text(encoding="utf-8")
    for name, text in texts.items():
        write_text(to / name, text)
    return [file.parent.name for file in files]
