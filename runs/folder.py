"""Run folders: a configuration, its environment and its metrics, complete or not there.

A run folder holds ``config.json`` (enough to run it again), ``environment.json`` and
``metrics.parquet`` (one row per measurement, the same columns from every source). Long runs write
their metrics in parts and their state in checkpoints, so that a killed run resumes where it was.
Every file is written under another name first and renamed, so a file that exists is whole. While a
process has a run open it holds a lock on the folder, which the system releases if it is killed.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import textwrap
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from runs.environment import describe_environment
from runs.files import Replacing, read_json, read_table, refuse_device, write_json, write_table

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows has no such locks; runs there are not guarded
    fcntl = None  # type: ignore[assignment]

METRIC_COLUMNS = ("run", "source", "scheme", "seed", "step", "metric", "value")
"""Columns of ``metrics.parquet``: one measurement per row, from every source."""

_LOCK_FILE = ".lock"

_NAMED = 2
"""Options that a refusal names."""

_LOCKS: dict[Path, tuple[int, int]] = {}
"""Locks of this process: folder → (process, file descriptor)."""


class RunExistsError(FileExistsError):
    """The folder holds a run that must not be overwritten or continued."""


class Run:
    """An open run folder.

    Attributes:
        path: The folder.
        name: The last part of the folder's path.
        source: ``"theory"``, ``"sim"`` or ``"llm"``.
        resumed: The folder held an unfinished run with this very configuration.
    """

    def __init__(self, path: Path, source: str, resumed: bool) -> None:
        self.path = path
        self.name = path.resolve().name
        self.source = source
        self.resumed = resumed
        self._tables: list[pd.DataFrame] = []
        self._rows: list[dict[str, Any]] = []

    @classmethod
    def open(
        cls, path: Path | str, config: Mapping[str, Any], *, source: str, overwrite: bool = False
    ) -> Run:
        """Create the folder, or continue the unfinished run in it.

        Args:
            path: The run folder; its last part is the run's name.
            config: Complete configuration, of JSON types.
            source: ``"theory"``, ``"sim"`` or ``"llm"``.
            overwrite: Delete whatever run the folder holds; never anything but a run.

        Raises:
            RunExistsError: The folder holds a finished run, an unfinished one with another
                configuration, one that another process has open, or files that are no run.
            ValueError: It holds an unfinished run whose tables are broken or of an earlier version.
        """
        path = Path(path)
        _canonical(config)
        if path.exists() and not path.is_dir():
            raise RunExistsError(f"{path} is a file; name a folder for the run")
        fresh = not path.exists()
        path.mkdir(parents=True, exist_ok=True)
        _lock(path)
        try:
            resumed = _may_begin(path, config, overwrite)
            if not resumed:
                _clear(path)
                # The configuration comes last: without one, a run has not begun.
                write_json(path / "environment.json", describe_environment())
                write_json(path / "config.json", config)
        except BaseException:
            _unlock(path)
            if fresh:  # a run that never began, as on a full disk, leaves nothing
                shutil.rmtree(path, ignore_errors=True)
            raise
        for stale in _temporary_files(path):
            stale.unlink(missing_ok=True)
        return cls(path, source, resumed)

    def log(self, *, scheme: str, seed: int, step: int, **metrics: float) -> None:
        """Add one row per metric to the part being written."""
        for metric, value in metrics.items():
            row = (self.name, self.source, scheme, int(seed), int(step), metric, float(value))
            self._rows.append(dict(zip(METRIC_COLUMNS, row, strict=True)))

    def log_table(self, table: pd.DataFrame) -> None:
        """Add rows from a table with the columns scheme, seed, step, metric, value.

        A column ``run`` tells apart several runs in one folder.
        """
        table = table.assign(source=self.source)
        if "run" not in table:
            table = table.assign(run=self.name)
        self._tables = [*self._unwritten(), _metric_types(table[list(METRIC_COLUMNS)])]
        self._rows = []

    def write_part(self, key: str) -> None:
        """Write the rows logged since the last part as part ``key``, replacing an older one."""
        target = self.path / "parts" / f"{_file_name(key)}.parquet"
        write_table(target, _join(self._unwritten()))
        self._tables, self._rows = [], []

    def has_part(self, key: str) -> bool:
        """Tell whether part ``key`` was written, in this process or before a restart."""
        return (self.path / "parts" / f"{_file_name(key)}.parquet").exists()

    def save_checkpoint(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write named arrays as checkpoint ``key``, replacing an older one."""
        target = self.path / "checkpoints" / f"{_file_name(key)}.npz"
        with Replacing(target) as temporary, open(temporary, "wb") as file:
            np.savez(file, **dict(arrays))  # type: ignore[arg-type]

    def load_checkpoint(self, key: str) -> dict[str, np.ndarray] | None:
        """Read checkpoint ``key``; ``None`` if there is none."""
        target = self.path / "checkpoints" / f"{_file_name(key)}.npz"
        if not target.exists():
            return None
        refuse_device(target)
        try:
            with open(target, "rb") as handle, np.load(handle, allow_pickle=False) as file:
                return {name: file[name] for name in file.files}
        except (ValueError, EOFError, OSError, zipfile.BadZipFile) as error:
            raise ValueError(f"{target} is not a whole checkpoint: {error}") from error

    def finish(self) -> pd.DataFrame:
        """Join the parts and the remaining rows into ``metrics.parquet`` and return it."""
        parts = sorted((self.path / "parts").glob("*.parquet"))
        metrics = _join([*(_read_table(part) for part in parts), *self._unwritten()])
        write_table(self.path / "metrics.parquet", metrics)
        _remove_parts(self.path)
        self._tables, self._rows = [], []
        self.close()
        return metrics

    def close(self) -> None:
        """Let other processes open the folder; an unfinished run can be resumed."""
        _unlock(self.path)

    def _unwritten(self) -> list[pd.DataFrame]:
        """Tables of what was logged since the last part, in order."""
        rows = pd.DataFrame(self._rows, columns=list(METRIC_COLUMNS))
        return [*self._tables, _metric_types(rows)] if self._rows else self._tables


def is_run(path: Path | str) -> bool:
    """Tell whether the folder holds a run, finished or not."""
    return all((Path(path) / name).exists() for name in ("environment.json", "config.json"))


def is_finished(path: Path | str) -> bool:
    """Tell whether the folder holds a finished run."""
    return (Path(path) / "metrics.parquet").exists()


def read_finished(
    path: Path | str, config: Mapping[str, Any], *, overwrite: bool = False
) -> pd.DataFrame | None:
    """What a finished run answers to a command that is given again; every long command asks here.

    Args:
        path: The run folder.
        config: Complete configuration of the command.
        overwrite: What the folder holds is to be replaced, so nothing in it is an answer.

    Returns:
        Metrics of the folder's run if it is finished; None if there is something to do.

    Raises:
        RunExistsError: The folder's run is finished and of another configuration.
        ValueError: The configuration or the table is broken.
    """
    if overwrite or not is_finished(path):
        return None
    _remove_parts(Path(path))
    there = read_config(path)
    if there != config:
        raise _finished(path, f" with other options ({_difference(there, config)})")
    return read_metrics(path)


def _remove_parts(path: Path) -> None:
    """Remove the parts of a finished run, also where a process was killed before it did."""
    shutil.rmtree(path / "parts", ignore_errors=True)


def _finished(path: Path | str, which: str = "") -> RunExistsError:
    return RunExistsError(
        f"{path} holds a finished run{which}; choose another name or pass --overwrite"
    )


def _difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """In a few words where two configurations differ.

    >>> _difference({"seed": 0, "steps": 8, "task": "math"}, {"seed": 7, "steps": 8, "batch": 4})
    'batch is none there and 4 here, seed is 0 there and 7 here, and 1 more'
    """
    absent = object()
    names = [
        name
        for name in sorted({*there, *here})
        if there.get(name, absent) != here.get(name, absent)
    ]
    words = [
        f"{name.replace('_', '-')} is {_few_words(there, name)} there and "
        f"{_few_words(here, name)} here"
        for name in names[:_NAMED]
    ]
    more = [f"and {len(names) - _NAMED} more"] if len(names) > _NAMED else []
    return ", ".join([*words, *more])


def _few_words(config: Mapping[str, Any], name: str) -> str:
    value = config.get(name)
    words = "none" if value is None else value if isinstance(value, str) else json.dumps(value)
    return textwrap.shorten(words, 40, placeholder="…")


def read_config(path: Path | str) -> dict[str, Any]:
    """Read the configuration of a run folder.

    Raises:
        FileNotFoundError: The folder holds no run.
        ValueError: ``config.json`` is not a JSON object.
    """
    file = Path(path) / "config.json"
    if not file.exists():
        raise FileNotFoundError(f"{path} holds no run: config.json is missing")
    config = read_json(file)
    if not isinstance(config, dict):
        raise ValueError(f"{file} must hold a JSON object; it holds a {type(config).__name__}")
    return config


def read_metrics(path: Path | str) -> pd.DataFrame:
    """Read the metrics of a finished run.

    Raises:
        FileNotFoundError: The folder holds no finished run.
        ValueError: The table is broken or lacks a column.
    """
    file = Path(path) / "metrics.parquet"
    if not file.exists():
        raise FileNotFoundError(f"{path} holds no finished run: metrics.parquet is missing")
    return _read_table(file)


def _read_table(file: Path) -> pd.DataFrame:
    metrics = read_table(file)
    missing = [column for column in METRIC_COLUMNS if column not in metrics]
    if "arm" in metrics and "source" in missing:
        raise ValueError(
            f"{file} was written by an earlier version, which called the column 'source' 'arm'; "
            "run it again with --overwrite"
        )
    if missing:
        raise ValueError(f"{file} lacks the column {missing[0]!r}")
    return metrics


def _contents(path: Path) -> list[Path]:
    """What the folder holds that is not ours to delete before a run has begun."""
    if not path.is_dir():
        return []
    ours = {_LOCK_FILE, "environment.json"}
    temporary = set(_temporary_files(path))
    return [item for item in path.iterdir() if item.name not in ours and item not in temporary]


def _temporary_files(path: Path) -> list[Path]:
    """Temporary files a killed process left in a run folder."""
    names = ("environment.json", "config.json", "metrics.parquet")
    left = [item for name in names for item in path.glob(f".{name}.*")]
    for folder, ending in (("parts", "parquet"), ("checkpoints", "npz")):
        left.extend((path / folder).glob(f".*.{ending}.*"))
    return left


def _may_begin(path: Path, config: Mapping[str, Any], overwrite: bool) -> bool:
    """Tell whether the folder's run resumes (else it begins); raise if neither may be."""
    if not is_run(path):
        if _contents(path):
            raise RunExistsError(f"{path} holds files that are no run; name another folder")
        return False
    if overwrite:
        return False
    if is_finished(path):
        _remove_parts(path)
        raise _finished(path)
    if _canonical(read_config(path)) != _canonical(config):
        raise RunExistsError(
            f"{path} holds an unfinished run with another configuration; "
            "choose another name or pass --overwrite"
        )
    for part in (path / "parts").glob("*.parquet"):
        _read_table(part)
    return True


def _canonical(config: Mapping[str, Any]) -> str:
    """One text per configuration.

    Raises:
        ValueError: It holds NaN or an infinity.
    """
    try:
        return json.dumps(config, sort_keys=True, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"numbers of a configuration must be finite: {error}") from error


def _clear(path: Path) -> None:
    """Empty the folder; what makes it a run goes last, so a killed clearing can be repeated."""
    last = ("metrics.parquet", "config.json", "environment.json")
    items = [item for item in path.iterdir() if item.name not in (*last, _LOCK_FILE)]
    for item in (*items, *(path / name for name in last)):
        if item.is_dir() and not item.is_symlink():
            shutil.rmtree(item)
        else:
            item.unlink(missing_ok=True)


def _lock(path: Path) -> None:
    """Take the folder for this process; a killed process loses its locks."""
    key, file = path.resolve(), path / _LOCK_FILE
    owner, held = _LOCKS.get(key, (None, -1))
    if fcntl is None or (owner == os.getpid() and _is_open_as(held, file)):
        return
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            # Record locks, unlike flock's, are not inherited by workers that outlive us.
            fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(descriptor)
            raise RunExistsError(
                f"{path} is open in another process; wait for it or name another folder"
            ) from error
        # The former owner may have deleted the file between our opening and locking it.
        if _is_open_as(descriptor, file):
            _LOCKS[key] = (os.getpid(), descriptor)
            return
        os.close(descriptor)


def _is_open_as(descriptor: int, file: Path) -> bool:
    return file.exists() and os.path.samestat(os.fstat(descriptor), file.stat())


def _unlock(path: Path) -> None:
    owner, descriptor = _LOCKS.pop(path.resolve(), (None, -1))
    if owner == os.getpid():
        (path / _LOCK_FILE).unlink(missing_ok=True)
        os.close(descriptor)


def _join(tables: list[pd.DataFrame]) -> pd.DataFrame:
    empty = _metric_types(pd.DataFrame(columns=list(METRIC_COLUMNS)))
    return pd.concat(tables, ignore_index=True) if tables else empty


def _metric_types(table: pd.DataFrame) -> pd.DataFrame:
    types = {"seed": "int64", "step": "int64", "value": "float64"}
    return table.astype({column: types.get(column, "str") for column in METRIC_COLUMNS})


def _file_name(key: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=-]*", key):
        raise ValueError(f"a part or checkpoint is named by letters, digits and ._=-; got {key!r}")
    return key
