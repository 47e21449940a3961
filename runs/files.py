"""Files that are whole or not there: written under another name first, then renamed.

And JSON read back, of which nothing is believed.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

import pandas as pd


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: It is not valid JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically."""
    with Replacing(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a Parquet file, atomically."""
    with Replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


class Replacing:
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
        try:
            if kind is None:
                # Renaming may reach the disk before the bytes do, unless they are sent there first.
                with open(self.temporary, "rb") as file:
                    os.fsync(file.fileno())
                os.replace(self.temporary, self.path)
        except OSError as failed:
            error = failed
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.temporary)
        if isinstance(error, OSError) and error.errno and error.filename in (None, self.temporary):
            # A full disk names no file.
            raise type(error)(error.errno, error.strerror, str(self.path)) from error
        if kind is None and isinstance(error, OSError):
            raise error
