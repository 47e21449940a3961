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
    ".parquet": "parquet",
    ".pq": "parquet",
    ".csv": "csv",
    ".tsv": "csv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".pt": "torch",
}
"""Ending of a file's name → kind of table; text may be compressed besides."""

COMPRESSIONS = {".gz": "gzip", ".zst": "zstd"}
"""Ending → compression of CSV and JSON lines."""

_STEP = re.compile(r"(?:step|completions|iteration|rollout)[_-]?(\d{1,15})(?=\D|$)")
_EVALUATION = re.compile(
    r"(^|/)(eval|evals|evaluation|evaluations|dumped_evals|val|valid|validation|test|heldout)"
    r"([_./-]|$)"
)
"""Files and folders whose name says that they hold evaluations."""

_NO_ROLLOUTS = {"metrics.parquet", "trainer_state.json", "config.json"}
"""Files that every run's folder has and that hold something else."""


@dataclasses.dataclass(frozen=True)
class RolloutFile:
    """One file of rollouts.

    Attributes:
        path: The file.
        kind: ``parquet``, ``csv``, ``jsonl`` or ``torch``.
        compression: ``gzip``, ``zstd`` or ``none``.
        step: The training step that the path names, such as ``step_12/``; None if it names none.
        pattern: Its path below the folder that was searched, numbers as ``#``; files with the same
            one hold the same.
    """

    path: Path
    kind: str
    compression: str
    step: int | None
    pattern: str = ""

    @property
    def evaluation(self) -> bool:
        """Whether the name says that it holds evaluations."""
        return bool(_EVALUATION.search(self.pattern))


def find_files(path: Path, folders: Sequence[str] = ()) -> list[RolloutFile]:
    """Tables of a file or folder, which is searched to its depths.

    Args:
        path: File or folder.
        folders: Folders inside it, of which the first that is there is searched instead.

    Raises:
        FileNotFoundError: A path that is not there, or a folder without tables.
        ValueError: A file that is no table.

    >>> find_files(Path("/no/such/file.csv"))
    Traceback (most recent call last):
    FileNotFoundError: /no/such/file.csv is neither a file nor a folder
    """
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
    folder = next((path / name for name in folders if (path / name).is_dir()), path)
    ours = is_run(path)
    if ours and folder == path and (path / "samples.parquet").is_file():
        return find_files(path / "samples.parquet")
    tables = _tables(folder)
    if ours:  # its .json is what the run was called with
        tables = [file for file in tables if file.path.suffix.lower() != ".json"]
    if not tables and ours:
        raise FileNotFoundError(
            f"{path} is a run of apw that kept no rollouts; give it the folder to which the "
            "trainer logs completions"
        )
    if not tables:
        raise FileNotFoundError(
            f"{path} holds no table of rollouts: no file in it ends in {listed(list(KINDS), 'or')}"
        )
    return tables


def _tables(folder: Path) -> list[RolloutFile]:
    """Tables in a folder, in the order of their names, numbers in them counted as numbers."""
    paths = []
    for root, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "_"))]
        paths += [Path(root, name) for name in names if not name.startswith((".", "_"))]
    paths = [path for path in paths if path.is_file()]  # a pipe would be waited for
    paths.sort(
        key=lambda path: [
            int(part) if part.isdigit() else part for part in re.split(r"(\d+)", str(path))
        ]
    )
    described = [
        _described(path, folder) for path in paths if path.name.lower() not in _NO_ROLLOUTS
    ]
    return [file for file in described if file is not None]


def _described(path: Path, folder: Path | None = None) -> RolloutFile | None:
    stem, ending = os.path.splitext(path.name)
    compression = COMPRESSIONS.get(ending.lower(), "none")
    if compression != "none":
        ending = os.path.splitext(stem)[1]
    kind = KINDS.get(ending.lower())
    if kind is None or (kind in ("parquet", "torch") and compression != "none"):
        return None
    steps = _STEP.findall(str(path))
    below = path.relative_to(folder).as_posix() if folder else path.name
    # Names made of hashes differ in every file.
    pattern = re.sub(r"[0-9a-f]*\d[0-9a-f]*", "#", below)
    return RolloutFile(path, kind, compression, int(steps[-1]) if steps else None, pattern)
