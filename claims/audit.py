"""Whether the published ledger still follows from its evidence."""

from __future__ import annotations

import contextlib
import difflib
import itertools
import math
from collections.abc import Mapping
from pathlib import Path

from claims.entries import ledger
from claims.published import README, ROOT, with_section
from claims.records import PUBLISHED, Record, contradictions, read_record
from claims.render.markdown import PAGE, page, readme_section
from claims.spec import Source, claims
from claims.verdicts import Check

_SHOWN = 5
"""Lines of a file that are quoted when they differ."""


def audit(root: Path | None = None, evidence: Mapping[Source, Path] | None = None) -> list[str]:
    """Find everything in the published ledger that does not follow from its evidence.

    Every evidence file is judged again from its samples, the theory's claims are computed, and the
    generated text is compared with the committed one.

    Args:
        root: Source tree; the one this package stands in by default.
        evidence: Source → folder of ``<ID>.json``; the published ones by default.

    Returns:
        One sentence per fault; none if all is well.
    """
    folders = PUBLISHED if evidence is None else evidence
    faults = [fault for source, folder in folders.items() for fault in _evidence(source, folder)]
    try:
        entries = ledger(folders)
    except ValueError as error:
        # What the evidence says is unknown until it can be read.
        return faults or [str(error)]
    root = root or ROOT
    section, text = readme_section(entries), page(entries)
    return [*faults, *_readme(root / README, section), *_differences(root / PAGE, text)]


def _evidence(source: Source, folder: Path) -> list[str]:
    faults: list[str] = []
    for path in sorted(folder.rglob("*.json")):
        if path.parent != folder or path.stem not in claims():
            faults.append(f"{path} is no evidence of a claim: it must be {folder}/<ID>.json")
            continue
        try:
            record = read_record(path)
        except (ValueError, OSError) as error:
            faults.append(str(error))
            continue
        faults += _place(record, source, path) + contradictions(record)
    return [*faults, *(_tables(folder) if source == "llm" else [])]


def _tables(folder: Path) -> list[str]:
    """Findings beside tables: what the tables say now must be what the findings say."""
    from claims.language_model.claims import judge

    faults = []
    for found in judge(folder.parent):
        path = folder / f"{found.id}.json"
        if not path.is_file():
            faults.append(f"{path} is not there, but its tables are")
            continue
        with contextlib.suppress(ValueError):  # reported already
            stored = read_record(path).stored
            checks = list(itertools.zip_longest(stored.checks, found.checks))
            if not all(a and b and _agree(a, b) for a, b in checks):
                faults.append(f"{path} does not follow from the tables in {folder.parent}")
    return faults


def _agree(stated: Check, due: Check) -> bool:
    """Whether two checks are one; versions of pandas sum a column in another order."""
    if stated.name != due.name or len(stated.samples) != len(due.samples):
        return False
    pairs = zip(stated.samples, due.samples, strict=True)
    return all(math.isclose(a, b, rel_tol=1e-5, abs_tol=1e-9) for a, b in pairs)


def _place(record: Record, source: Source, path: Path) -> list[str]:
    """Faults of what the file says about itself."""
    faults = []
    if record.finding.id != path.stem:
        faults.append(f"{path} holds claim {record.finding.id}")
    if record.source != source:
        faults.append(f"{path} is from the source {record.source}, not {source}")
    if record.finding.quick:
        faults.append(f"{path} is from a quick run; publish full runs only")
    if not {"commit", "packages"} <= set(record.environment):
        faults.append(f"{path} does not say which commit and packages it was made with")
    return faults


def _readme(path: Path, section: str) -> list[str]:
    if not path.is_file():
        return [f"{path} is not there; this needs a source tree"]
    try:
        wanted = with_section(path.read_text(encoding="utf-8"), section)
    except ValueError as error:
        return [str(error)]
    return _differences(path, wanted)


def _differences(path: Path, wanted: str) -> list[str]:
    """Sentences on lines of a file that are not what was generated."""
    if not path.is_file():
        return [f"{path} is not there; run apw claims --write"]
    there, due = path.read_text(encoding="utf-8").splitlines(), wanted.splitlines()
    faults = []
    matcher = difflib.SequenceMatcher(None, there, due, autojunk=False)
    for kind, start, stop, low, high in matcher.get_opcodes():
        if kind == "equal":
            continue
        says = " / ".join(there[start:stop]) or "nothing"
        follows = " / ".join(due[low:high]) or "nothing"
        faults.append(
            f"{path}, line {start + 1}, says {_short(says)!r}, but {_short(follows)!r} follows "
            "from the evidence"
        )
    if not faults and path.read_text(encoding="utf-8") != wanted:
        faults.append(f"{path} differs from what is generated in its line ends")
    more = len(faults) - _SHOWN
    return [*faults[:_SHOWN], *([f"{path}: {more} more differences"] if more > 0 else [])]


def _short(text: str, limit: int = 200) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
