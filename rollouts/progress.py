"""How far DuckDB is, on a bar."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from runs.terminal import Progress

_SECONDS = 0.5
_PATIENCE = 2.0
"""Seconds before a bar is worth showing."""


@contextlib.contextmanager
def progress_bar(connection: Any, *, shown: bool) -> Iterator[None]:
    """Show the progress of the connection's query while the block runs.

    A bar on a terminal, a line a minute elsewhere; nothing if the block is short.
    """
    if not shown:
        yield
        return
    done = threading.Event()

    def watch() -> None:
        if done.wait(_PATIENCE):
            return
        with Progress("reading", 100, unit="%") as bar:
            while not done.wait(_SECONDS):
                # −1 until DuckDB can tell.
                bar.advance(max(0, round(float(connection.query_progress())) - bar.done))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        done.set()
        watcher.join()
