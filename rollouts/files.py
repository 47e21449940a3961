"""Which files hold rollouts, of what kind they are, and the step that their names tell."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Sequence
from pathlib import Path

from runs.folder import is_run
from runs.text import listed

KINDS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".jsonl": "jsonl",
    ".ndjson": "jsonl", ".json": "jsonl",
}  # fmt: skip
"""Ending of a file's name → kind of table; text may be compressed besides."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""Ending → compression of CSV and JSON lines."""

_STEP = re.compile(r"(?:step|completions)[_-]?(\d{1,15})(?=\D|$)")
_PREFERRED = ("completions", "rollouts")
"""Folders in which TRL and prime-rl put rollouts, inside a run's folder."""

_NO_ROLLOUTS = {"metrics.parquet"}
"""Tables of our own run folders that hold something else."""


@dataclasses.dataclass(frozen=True)
class RolloutFile:
    """One file of rollouts.

    Attributes:
        path: The file.
        kind: ``parquet``, ``csv`` or ``jsonl``.
        compression: ``gzip``, ``zstd`` or ``none``.
        step: The training step that the path names, such as ``step_12/``; None if it names none.
    """

    path: Path
    kind: str
    compression: str
    step: int | None


def find_files(paths: Sequence[Path]) -> list[RolloutFile]:
    """Files of rollouts among files and folders; folders are searched to their depths.

    Raises:
        FileNotFoundError: A path that is not there, or a folder without rollouts.
        ValueError: A file that is no table, or tables of several kinds.

    >>> find_files([Path("/no/such/file.csv")])
    Traceback (most recent call last):
    FileNotFoundError: /no/such/file.csv is neither a file nor a folder
    """
    found = [file for path in paths for file in _find(path)]
    kinds = sorted({file.kind for file in found})
    if len(kinds) > 1:
        raise ValueError(
            f"the files are of several kinds, {listed(kinds)}; name those that belong together"
        )
    return found


def _find(path: Path) -> list[RolloutFile]:
    if path.is_file():
        file = _described(path)
        if file is None:
            raise ValueError(
                f"{path} is no table of rollouts: its name must end in {listed(list(KINDS), 'or')}"
                f" (text also in {listed(list(COMPRESSIONS), 'or')})"
            )
        return [file]
    if not path.is_dir():
        raise FileNotFoundError(f"{path} is neither a file nor a folder")
    folder = next((path / name for name in _PREFERRED if (path / name).is_dir()), path)
    if is_run(path) and folder == path and (path / "samples.parquet").is_file():
        return _find(path / "samples.parquet")
    tables = [file for file in _tables(folder) if file is not None]
    tables = _train_only(tables)
    if not tables and is_run(path):
        raise FileNotFoundError(
            f"{path} is a run of apw that kept no rollouts; give it the folder to which the "
            "trainer logs completions"
        )
    if not tables:
        raise FileNotFoundError(
            f"{path} holds no table of rollouts: no file in it ends in {listed(list(KINDS), 'or')}"
        )
    return tables


def _tables(folder: Path) -> list[RolloutFile | None]:
    """Tables in a folder, in the order of their names, numbers in them counted as numbers."""
    paths = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        paths += [Path(root, name) for name in names if not name.startswith((".", "_"))]
    paths.sort(key=lambda path: [int(part) if part.isdigit() else part
                                 for part in re.split(r"(\d+)", str(path))])  # fmt: skip
    return [
        _described(path)
        for path in paths
        # A trainer's folder is full of .json that is configuration.
        if path.suffix.lower() != ".json" and path.name not in _NO_ROLLOUTS
    ]


def _train_only(tables: list[RolloutFile]) -> list[RolloutFile]:
    """Of prime-rl's four streams, what was trained on: step_N/train/effective."""
    for part in ("train/effective", "train/all"):
        chosen = [file for file in tables if file.path.parent.as_posix().endswith(part)]
        if chosen:
            return chosen
    training = [file for file in tables if file.path.name.startswith("train_rollouts.")]
    return training or tables


def _described(path: Path) -> RolloutFile | None:
    stem, ending = os.path.splitext(path.name)
    compression = COMPRESSIONS.get(ending.lower(), "none")
    if compression != "none":
        ending = os.path.splitext(stem)[1]
    kind = KINDS.get(ending.lower())
    if kind is None or (kind == "parquet" and compression != "none"):
        return None
    steps = _STEP.findall(str(path))
    return RolloutFile(path, kind, compression, int(steps[-1]) if steps else None)
