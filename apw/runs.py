"""Run folders: a configuration, its environment and its metrics, complete or not there.

A run folder holds ``config.json`` (enough to run it again), ``environment.json`` and
``metrics.parquet`` (one row per measurement, the same columns for every arm). Long runs write
their metrics in parts and their state in checkpoints, so that a killed run goes on where it was.
Every file is written under another name first and renamed, so a file that exists is whole.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

METRIC_COLUMNS = ("run", "arm", "scheme", "seed", "step", "metric", "value")
"""Columns of ``metrics.parquet``: one measurement per row, for every arm."""

_PACKAGES = ("apw", "numpy", "scipy", "jax", "pandas", "torch", "transformers", "trl", "vllm")


class RunExistsError(FileExistsError):
    """The folder holds a run that must not be overwritten or continued."""


class Run:
    """An open run folder.

    Attributes:
        path: The folder.
        arm: ``"theory"``, ``"sim"`` or ``"llm"``.
        resumed: The folder held an unfinished run with this very configuration.
    """

    def __init__(self, path: Path, arm: str, resumed: bool) -> None:
        self.path = path
        self.arm = arm
        self.resumed = resumed
        self._rows: list[dict[str, Any]] = []

    @classmethod
    def open(
        cls, path: Path | str, config: Mapping[str, Any], *, arm: str, overwrite: bool = False
    ) -> Run:
        """Create the folder, or continue the unfinished run in it.

        Args:
            path: The run folder; its last part is the run's name.
            config: Complete configuration, of JSON types.
            arm: ``"theory"``, ``"sim"`` or ``"llm"``.
            overwrite: Delete whatever run the folder holds.

        Raises:
            RunExistsError: The folder holds a finished run, an unfinished one with another
                configuration, or files that are no run.
        """
        path = Path(path)
        config = json.loads(json.dumps(config))
        resumed = False
        if path.exists() and not path.is_dir():
            raise RunExistsError(f"{path} is a file; name a folder for the run")
        if path.exists() and any(path.iterdir()):
            if not (path / "config.json").exists():
                raise RunExistsError(f"{path} holds files that are no run; name another folder")
            if overwrite:
                shutil.rmtree(path)
            elif is_finished(path):
                raise RunExistsError(
                    f"{path} holds a finished run; choose another name or pass --overwrite"
                )
            elif read_config(path) != config:
                raise RunExistsError(
                    f"{path} holds an unfinished run with another configuration; "
                    "choose another name or pass --overwrite"
                )
            else:
                resumed = True
        path.mkdir(parents=True, exist_ok=True)
        if not resumed:
            write_json(path / "environment.json", describe_environment())
            write_json(path / "config.json", config)
        return cls(path, arm, resumed)

    def log(self, *, scheme: str, seed: int, step: int, **metrics: float) -> None:
        """Add one row per metric to the part being written."""
        for metric, value in metrics.items():
            row = (self.path.name, self.arm, scheme, int(seed), int(step), metric, float(value))
            self._rows.append(dict(zip(METRIC_COLUMNS, row, strict=True)))

    def log_table(self, table: pd.DataFrame) -> None:
        """Add rows from a table with the columns scheme, seed, step, metric, value."""
        table = table.assign(run=self.path.name, arm=self.arm)
        self._rows.extend(table[list(METRIC_COLUMNS)].to_dict("records"))  # type: ignore[arg-type]

    def write_part(self, key: str) -> None:
        """Write the rows logged since the last part as part ``key``, replacing an older one."""
        write_table(self.path / "parts" / f"{_file_name(key)}.parquet", _metric_frame(self._rows))
        self._rows = []

    def has_part(self, key: str) -> bool:
        """Tell whether part ``key`` was written, in this process or before a restart."""
        return (self.path / "parts" / f"{_file_name(key)}.parquet").exists()

    def save_checkpoint(self, key: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Write named arrays as checkpoint ``key``, replacing an older one."""
        target = self.path / "checkpoints" / f"{_file_name(key)}.npz"
        with _Replacing(target) as temporary, open(temporary, "wb") as file:
            np.savez(file, **dict(arrays))  # type: ignore[arg-type]

    def load_checkpoint(self, key: str) -> dict[str, np.ndarray] | None:
        """Read checkpoint ``key``; ``None`` if there is none."""
        target = self.path / "checkpoints" / f"{_file_name(key)}.npz"
        if not target.exists():
            return None
        with np.load(target, allow_pickle=False) as file:
            return {name: file[name] for name in file.files}

    def finish(self) -> pd.DataFrame:
        """Join the parts and the remaining rows into ``metrics.parquet`` and return it."""
        parts = sorted((self.path / "parts").glob("*.parquet"))
        tables = [pd.read_parquet(part) for part in parts]
        if self._rows:
            tables.append(_metric_frame(self._rows))
        metrics = pd.concat(tables, ignore_index=True) if tables else _metric_frame([])
        write_table(self.path / "metrics.parquet", metrics)
        shutil.rmtree(self.path / "parts", ignore_errors=True)
        self._rows = []
        return metrics


def is_finished(path: Path | str) -> bool:
    """Tell whether the folder holds a finished run."""
    return (Path(path) / "metrics.parquet").exists()


def read_config(path: Path | str) -> dict[str, Any]:
    """Read the configuration of a run folder.

    Raises:
        FileNotFoundError: The folder holds no run.
        ValueError: ``config.json`` is not a JSON object.
    """
    file = Path(path) / "config.json"
    if not file.exists():
        raise FileNotFoundError(f"{path} holds no run: config.json is missing")
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is not valid JSON: {error}") from error
    if not isinstance(config, dict):
        raise ValueError(f"{file} must hold a JSON object; it holds a {type(config).__name__}")
    return config


def read_metrics(path: Path | str) -> pd.DataFrame:
    """Read the metrics of a finished run.

    Raises:
        FileNotFoundError: The folder holds no finished run.
        ValueError: The table lacks a column.
    """
    file = Path(path) / "metrics.parquet"
    if not file.exists():
        raise FileNotFoundError(f"{path} holds no finished run: metrics.parquet is missing")
    metrics = pd.read_parquet(file)
    missing = [column for column in METRIC_COLUMNS if column not in metrics]
    if missing:
        raise ValueError(f"{file} lacks the column {missing[0]!r}")
    return metrics


def describe_environment() -> dict[str, Any]:
    """Versions, commit and hardware this process runs with."""
    versions = {}
    for package in _PACKAGES:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "time": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "processor": _processor(),
        "cpus": len(os.sched_getaffinity(0))
        if hasattr(os, "sched_getaffinity")
        else os.cpu_count(),
        "packages": versions,
        "commit": _commit(),
    }


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically."""
    with _Replacing(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a Parquet file, atomically."""
    with _Replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


class _Replacing:
    """Context of a temporary name that becomes ``path`` if the block ends well."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def __enter__(self) -> str:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle, self.temporary = tempfile.mkstemp(
            dir=self.path.parent, prefix=f".{self.path.name}."
        )
        os.close(handle)
        os.chmod(self.temporary, 0o644)
        return self.temporary

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            os.replace(self.temporary, self.path)
        else:
            os.unlink(self.temporary)


def _metric_frame(rows: Iterable[Mapping[str, Any]]) -> pd.DataFrame:
    types = {"seed": "int64", "step": "int64", "value": "float64"}
    return pd.DataFrame(list(rows), columns=list(METRIC_COLUMNS)).astype(
        {c: types.get(c, "str") for c in METRIC_COLUMNS}
    )


def _file_name(key: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._=-]*", key):
        raise ValueError(f"a part or checkpoint is named by letters, digits and ._=-; got {key!r}")
    return key


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _commit() -> str | None:
    """Commit of the source tree, marked if it has changes; None outside a checkout."""
    root = Path(__file__).resolve().parent.parent

    def git(*words: str) -> str:
        return subprocess.run(
            ("git", "-C", str(root), *words), capture_output=True, text=True, check=True, timeout=10
        ).stdout.strip()

    try:
        commit, changes = git("rev-parse", "HEAD"), git("status", "--porcelain")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + (" with changes" if changes else "")
