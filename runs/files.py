"""Files that are whole or not there: written under another name first, then renamed.

And tables and JSON read back, of which nothing is believed.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import stat
import tempfile
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING, Any

try:
    import fcntl
except ImportError:  # pragma: no cover - Windows
    fcntl = None  # type: ignore[assignment]

if TYPE_CHECKING:
    import pandas as pd

_SUFFIX = ".unfinished"


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        ValueError: It is not valid JSON, or no file.
    """
    refuse_device(path)
    try:
        return parse_json(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid JSON: {error}") from error


def refuse_device(path: Any) -> None:
    """Raise if a path is neither a file nor a folder, such as a pipe that nobody writes to.

    Raises:
        ValueError: It is a named pipe, a device or a socket.

    >>> refuse_device(Path("/dev/zero"))
    Traceback (most recent call last):
    ...
    ValueError: /dev/zero is a device; name a file or a folder
    """
    if not isinstance(path, Path):
        return
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        return  # whoever reads it reports what is missing
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        kind = "named pipe" if stat.S_ISFIFO(mode) else "device"
        kind = "socket" if stat.S_ISSOCK(mode) else kind
        raise ValueError(f"{path} is a {kind}; name a file or a folder")


def parse_json(text: str) -> Any:
    """Parse JSON, which unlike Python's reader of it has no NaN and no Infinity.

    Raises:
        ValueError: It is not valid JSON.

    >>> parse_json("[1, NaN]")
    Traceback (most recent call last):
        ...
    json.decoder.JSONDecodeError: JSON has no NaN: line 1 column 5 (char 4)
    """

    def refuse(name: str) -> None:
        raise json.JSONDecodeError(f"JSON has no {name}", text, text.index(name))

    return json.loads(text, parse_constant=refuse)


def read_table(path: Path, **options: Any) -> pd.DataFrame:
    """Read a Parquet or, by its name, a CSV file.

    Args:
        path: The file.
        **options: Those of ``pandas.read_parquet`` or ``pandas.read_csv``.

    Raises:
        ValueError: It is not such a table, or no file.
    """
    import pandas as pd

    refuse_device(path)
    kind, read = ("CSV", pd.read_csv) if path.suffix == ".csv" else ("Parquet", pd.read_parquet)
    try:
        table: pd.DataFrame = read(path, **options)
    except (ValueError, OSError) as error:
        reason = textwrap.shorten(str(error), 80, placeholder="…")
        raise ValueError(f"{path} is not a readable {kind} table: {reason}") from error
    return table


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as JSON, atomically.

    Raises:
        ValueError: It holds NaN or an infinity, for which JSON has no word.
    """
    try:
        text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise ValueError(f"{path} cannot be written: {error}") from error
    write_text(path, text + "\n")


def sync(path: Path) -> None:
    """Send a file, or the names in a folder, to the disk."""
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except PermissionError:  # pragma: no cover - folders cannot be opened on Windows
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some file systems cannot do it for folders; a full or broken disk is another matter.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str) -> None:
    """Write a text file, atomically."""
    with Replacing(path) as temporary:
        Path(temporary).write_text(text, encoding="utf-8")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write a Parquet file, atomically."""
    with Replacing(path) as temporary:
        table.to_parquet(temporary, index=False)


class Replacing:
    """Context of a temporary name that becomes ``path`` if the block ends well.

    What a killed process left of an earlier attempt at the same path is removed: nobody holds the
    lock of it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)

    def __enter__(self) -> str:
        folder, prefix = self.path.parent, f".{self.path.name}."
        folder.mkdir(parents=True, exist_ok=True)
        for name in os.listdir(folder):
            if name.startswith(prefix) and name.endswith(_SUFFIX):
                _remove_abandoned(folder / name)
        while True:
            self._lock, self.temporary = tempfile.mkstemp(_SUFFIX, prefix, folder)
            # Another process may take it for abandoned until it is locked.
            if _locked(self._lock) and os.path.exists(self.temporary):
                break
            os.close(self._lock)
        os.chmod(self.temporary, 0o644)
        return self.temporary

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                # Renaming may reach the disk before the bytes do, unless they are sent there first.
                sync(Path(self.temporary))
                os.replace(self.temporary, self.path)
                sync(self.path.parent)  # the name itself is in the folder
        except OSError as failed:
            error = failed
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.temporary)
        os.close(self._lock)
        if isinstance(error, OSError) and error.errno and error.filename in (None, self.temporary):
            # A full disk names no file.
            raise type(error)(error.errno, error.strerror, str(self.path)) from error
        if kind is None and isinstance(error, OSError):
            raise error


def _locked(descriptor: int) -> bool:
    """Whether the lock of a file is ours now; true where there are no locks."""
    try:
        if fcntl is not None:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks
        return True
    return True


def _remove_abandoned(file: Path) -> None:
    # Where there are no locks this raises, and removes nothing: Windows has no fcntl at all.
    with contextlib.suppress(OSError, AttributeError), file.open("rb") as opened:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.unlink()
