"""Folders of weights that are whole or known not to be.

A checkpoint's manifest is written last and checked first; what a full disk cut short is removed.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from runs.files import read_json, sync, write_json

MANIFEST = "manifest.json"
"""Names, sizes and digests of a checkpoint's files; a checkpoint without it was never finished."""


def write_manifest(folder: Path) -> None:
    """Send a checkpoint's files to the disk, then list them in its manifest."""
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != MANIFEST)
    _sync(folder)
    listed = {
        file.relative_to(folder).as_posix(): {
            "bytes": file.stat().st_size,
            "sha256": _digest(file),
        }
        for file in files
    }
    write_json(folder / MANIFEST, {"files": listed})


def put_in_place(finished: Path, folder: Path) -> None:
    """Send a folder's files to the disk, then give it its name; an older one is replaced."""
    _sync(finished)
    shutil.rmtree(folder, ignore_errors=True)
    finished.rename(folder)
    sync(folder.parent)


def _sync(folder: Path) -> None:
    inner = sorted(folder.rglob("*"), key=Path.is_dir)  # files first, then what names them
    for path in (*inner, folder, folder.parent):
        sync(path)


@contextlib.contextmanager
def whole_or_gone(folder: Path) -> Iterator[None]:
    """Remove a folder that cannot be written to its end because of the disk, and say so.

    What safetensors, tokenizers and torch raise on a full disk are errors of their own, which name
    no file.

    Raises:
        OSError: What the disk said, with the folder's name.
    """
    try:
        yield
    except Exception as error:
        number = _disk_error(error, folder)
        if number is None:
            raise
        shutil.rmtree(folder, ignore_errors=True)
        if isinstance(error, OSError) and error.filename:
            raise
        raise OSError(number, os.strerror(number), str(folder)) from error


def _disk_error(error: Exception, folder: Path) -> int | None:
    """Number of the system's error behind an exception; None if it is none of the disk's."""
    if isinstance(error, OSError):
        return error.errno
    told = re.search(r"\(os error (\d+)\)", str(error))  # as Rust words it
    if told:
        return int(told[1])
    if "inline_container" not in str(error) and "PytorchStreamWriter" not in str(error):
        return None
    # torch counts the bytes that were written and does not say why they are too few.
    full = shutil.disk_usage(folder).free < 1 << 16
    return errno.ENOSPC if full else errno.EIO


def what_is_lost(folder: Path) -> str:
    """What keeps a checkpoint from being resumed, in a clause; empty if it is whole."""
    manifest = folder / MANIFEST
    if not manifest.is_file():
        return f"it has no {MANIFEST}: it was never finished"
    try:
        files = read_json(manifest)["files"]
        expected = {str(name): (int(v["bytes"]), str(v["sha256"])) for name, v in files.items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        return f"its {MANIFEST} cannot be read"
    for name, (size, _) in expected.items():
        if not (folder / name).is_file():
            return f"its {name} is missing"
        if (folder / name).stat().st_size != size:
            return f"its {name} has {(folder / name).stat().st_size} bytes instead of {size}"
    for name, (_, digest) in expected.items():
        if _digest(folder / name) != digest:
            return f"its {name} is not what was written"
    return ""


def check_checkpoint(folder: Path) -> None:
    """Refuse a checkpoint that is not whole.

    Raises:
        ValueError: Says what is lost.
    """
    lost = what_is_lost(folder)
    if lost:
        raise ValueError(f"{folder} is not a whole checkpoint: {lost}")


def last_checkpoint(folder: Path) -> Path | None:
    """Newest whole checkpoint in a trainer's output folder; None if none was finished.

    Newer ones that are passed over are named on standard error.

    Raises:
        ValueError: Checkpoints were finished, but none of them is whole any more.
    """
    numbered = [p for p in folder.glob("checkpoint-*") if p.name.rpartition("-")[2].isdigit()]
    newest_first = sorted(numbered, key=lambda p: int(p.name.rpartition("-")[2]), reverse=True)
    passed: list[str] = []
    for checkpoint in newest_first:
        lost = what_is_lost(checkpoint)
        if not lost:
            if passed:
                print("; ".join(passed), file=sys.stderr)
            return checkpoint
        if (checkpoint / MANIFEST).exists():
            passed.append(f"{checkpoint.name} is not whole: {lost}")
    if passed:
        raise ValueError(
            f"no checkpoint in {folder} is whole: {'; '.join(passed)}; "
            "delete them to train from the start"
        )
    return None


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()
