"""Evidence of the ledger: findings in files, and every verdict derived again from its samples."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from claims.spec import SOURCES, Source, claims
from claims.theory import theory_checks
from claims.verdicts import Check, Finding, Rule, rejudged
from runs.files import read_json

PUBLISHED: Mapping[Source, Path] = {
    "sim": Path(__file__).parent / "evidence" / "sim",
    "llm": Path(__file__).parent / "evidence" / "llm" / "findings",
}
"""Folders of the evidence that the published ledger follows from, one ``<ID>.json`` per claim."""

VERDICT_FILE = "verdict.json"
"""What a claim's run leaves in its folder."""


@dataclasses.dataclass(frozen=True)
class Record:
    """A finding and where it was made.

    Attributes:
        source: ``"theory"``, ``"sim"`` or ``"llm"``.
        finding: The finding, derived again from its samples.
        stored: The finding as its file tells it.
        environment: Versions, commit and hardware, as in ``environment.json``; may be empty.
        path: The file; none for the theory, which is computed on the spot.
    """

    source: Source
    finding: Finding
    stored: Finding
    environment: Mapping[str, Any]
    path: Path | None = None


def read_record(path: Path) -> Record:
    """Read a finding and derive its verdict again.

    Args:
        path: A file as ``claims.simulation`` and ``claims.language_model`` write it.

    Raises:
        ValueError: It is not JSON, not a finding, or of a claim or source that the ledger lacks.
        FileNotFoundError: There is no such file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file")
    values = read_json(path)
    if not isinstance(values, dict):
        raise ValueError(f"{path} is not a finding: it must hold one JSON object")
    try:
        stored = Finding.from_dict(values)
    except ValueError as error:
        raise ValueError(f"{path} is {error}") from error
    source, environment = values.get("source"), values.get("environment")
    if stored.id not in claims():
        raise ValueError(f"{path}: the ledger has no claim {stored.id!r}")
    if source not in SOURCES:
        raise ValueError(
            f"{path}: source must be {', '.join(SOURCES[:-1])} or {SOURCES[-1]}; got {source!r}"
        )
    if source not in claims()[stored.id].tests:
        raise ValueError(f"{path}: claim {stored.id} is not tested by {source}")
    if not stored.checks:
        raise ValueError(f"{path} is not a finding: it has no checks")
    known = environment if isinstance(environment, dict) else _tables_environment(path, values)
    return Record(source, rejudged(stored), stored, known, path)


def read_records(folder: Path) -> dict[tuple[Source, str], Record]:
    """Read all findings under a folder, by source and claim.

    Takes every ``<ID>.json``, as evidence is published, and every ``verdict.json``, as runs leave
    it. Where a claim has a full and a quick finding, the full one counts.

    Args:
        folder: The folder; if it does not exist, there are none.

    Raises:
        ValueError: A broken file, or two findings of a claim between which nothing decides.
    """
    found: dict[tuple[Source, str], Record] = {}
    for path in _files(folder):
        record = read_record(path)
        key = (record.source, record.finding.id)
        other = found.get(key)
        if other is not None and other.finding.quick == record.finding.quick:
            raise ValueError(
                f"{other.path} and {path} both hold the {record.source} finding of "
                f"{record.finding.id}; keep one"
            )
        if other is None or other.finding.quick:
            found[key] = record
    return found


def published_checks(source: Source, id: str) -> tuple[Check, ...]:
    """Checks of a claim in the evidence that is published with the package.

    >>> published_checks("sim", "S1")[0].scheme
    'grpo'
    """
    return read_record(PUBLISHED[source] / f"{id}.json").finding.checks


@functools.cache
def theory_record(id: str) -> Record:
    """Compute what the mathematics says about a claim, as a finding.

    Where checks name regimes, such as sampling designs, the first one's decides.

    Args:
        id: A claim that the theory can decide.

    Raises:
        ValueError: Any other claim.

    >>> record = theory_record("O2")
    >>> record.finding.verdict, round(record.finding.checks[0].measurement, 3)
    ('confirmed', 1.035)
    """
    checks = tuple(theory_checks(id))
    rule: Rule = "primary" if checks[0].regime else "all"
    sentence, how = claims()[id].sentence, claims()[id].tests["theory"].how
    found = rejudged(Finding(id, sentence, "open", checks, (how,), False, rule))
    return Record("theory", found, found, {})


def contradictions(record: Record) -> list[str]:
    """Sentences on everything in a record's file that does not follow from its samples.

    Args:
        record: A record that was read from a file.
    """
    stored, derived = record.stored, record.finding
    said = [
        f"{record.path}: the check {old.name!r} says {_outcome(old)}, "
        f"but its samples say {_outcome(new)}"
        for old, new in zip(stored.checks, derived.checks, strict=True)
        if not _agree(old, new)
    ]
    if stored.verdict != derived.verdict:
        said.append(
            f"{record.path}: the verdict says {stored.verdict}, "
            f"but its checks say {derived.verdict}"
        )
    main = claims()[derived.id].tests[record.source].main
    if main is not None and not derived.quick and not main.agrees(derived.checks[0]):
        check = derived.checks[0]
        said.append(
            f"{record.path}: the ledger predicts {main.relation} {main.number:g}, tolerance "
            f"{main.tolerance:g}, δ {main.delta:g}; the evidence was judged by {check.relation} "
            f"{check.prediction:g}, tolerance {check.tolerance:g}, δ {check.delta:g}"
        )
    return said


def _files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*.json")):
        if path.name == VERDICT_FILE or path.stem in claims():
            yield path


def _tables_environment(path: Path, values: Mapping[str, Any]) -> dict[str, Any]:
    """Environment of the first table that a finding names, where findings lie beside tables."""
    tables = values.get("evidence")
    name = tables[0] if isinstance(tables, list) and tables else None
    setting, _, file = name.partition("/") if isinstance(name, str) else ("", "", "")
    place = path.parents[1] / setting / "environment.json"
    if not file or not setting.replace("-", "").isalnum() or not place.is_file():
        return {}
    found = read_json(place)
    return found if isinstance(found, dict) else {}


def _agree(old: Check, new: Check) -> bool:
    # Sums may be rounded differently on another machine.
    pairs = ((old.measurement, new.measurement), (old.low, new.low), (old.high, new.high))
    return old.verdict == new.verdict and all(
        math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-12) or (math.isnan(a) and math.isnan(b))
        for a, b in pairs
    )


def _outcome(check: Check) -> str:
    return f"{check.measurement:.4g} [{check.low:.4g}, {check.high:.4g}], {check.verdict}"
