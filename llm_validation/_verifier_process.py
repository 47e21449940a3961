"""A worker process of the verifier, seen from the parent."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import select
import subprocess
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_WORKER = Path(__file__).with_name("_verifier_worker.py")
_GRACE = 10.0
"""Seconds after which the parent ends a worker that should have ended an answer's process."""
_START_TIMEOUT = 300.0


@dataclasses.dataclass
class Item:
    key: str
    gold: str
    answer: str
    attempts: int = 0


class Process:
    """One worker process and what it is doing."""

    def __init__(self, order: Mapping[str, Any]) -> None:
        # -P: the worker's own folder must not shadow what it imports.
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=_environment(),
        )
        self._limit = 2 * float(order["timeout"]) + _GRACE  # one for the reference answer
        self._deadline = time.monotonic() + _START_TIMEOUT
        self._buffer = b""
        self.sent: deque[Item] = deque()
        self.ready = False
        self.layer = ""
        self.ended = False
        self.complaint = "they end without a word"
        path = [entry or os.getcwd() for entry in sys.path]
        self._write(json.dumps({**order, "path": path}))

    @property
    def idle(self) -> bool:
        """Ready, and nothing sent to it is open."""
        return self.ready and not self.ended and not self.sent

    @property
    def output(self) -> int:
        """File descriptor of its replies."""
        assert self._process.stdout is not None
        return self._process.stdout.fileno()

    @property
    def patience(self) -> float:
        """Seconds until the process must have said something; infinite if it is idle."""
        return float("inf") if self.idle else max(0.0, self._deadline - time.monotonic())

    def send(self, batch: Sequence[Item]) -> None:
        self.sent.extend(batch)
        self._deadline = time.monotonic() + self._limit
        self._write(json.dumps([[item.key, item.gold, item.answer] for item in batch]))

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        data = memoryview(line.encode("ascii") + b"\n")
        with contextlib.suppress(BrokenPipeError):  # its end is noticed when reading
            while data:
                data = data[self._process.stdin.write(data) :]

    def read(self) -> list[tuple[Item, str, str]]:
        """Results that came in; notes the end of the process, and that it is overdue."""
        results: list[tuple[Item, str, str]] = []
        if not _readable(self.output):
            self.ended = self.patience == 0.0
            return results
        data = os.read(self.output, 1 << 16)
        self.ended = not data
        self._buffer += data
        *lines, self._buffer = self._buffer.split(b"\n")
        for line in lines:
            word, _, rest = line.decode("ascii").partition(" ")
            if word == "ready":
                self.ready = True
                self.layer = rest
            elif word == "failed":
                self.complaint = rest.strip()
            elif word == "done" and self.sent:
                _, outcome, *why = rest.split(" ", 2)
                results.append((self.sent.popleft(), outcome, " ".join(why)))
        if lines:
            self._deadline = time.monotonic() + self._limit
        return results

    def end(self) -> None:
        """Kill the process, wait for it and close its pipes; it may be called twice."""
        self.ended = True
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()


def _environment() -> dict[str, str]:
    """What Python needs to start, and nothing (no token, no key) that an answer might be after."""
    kept = ("PATH", "HOME", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "PYTHONHOME", "TMPDIR")
    found = {name: os.environ[name] for name in kept if name in os.environ}
    return {
        **found,
        "PYTHONDONTWRITEBYTECODE": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def wait(pool: Sequence[Process]) -> list[Process]:
    """Processes that said something, ended, or should have by now; waits for the first."""
    poll = select.poll()
    for process in pool:
        poll.register(process.output, select.POLLIN | select.POLLHUP)
    patience = min(process.patience for process in pool)
    ready = {fd for fd, _ in poll.poll(min(patience, 60.0) * 1000 + 1)}
    return [p for p in pool if p.output in ready or p.patience == 0.0]


def _readable(fd: int) -> bool:
    poll = select.poll()
    poll.register(fd, select.POLLIN | select.POLLHUP)
    return bool(poll.poll(0))


def end_all(pool: list[Process], owner: int) -> None:
    """End every process of a pool, unless this is a fork of the process that started them."""
    while pool:
        process = pool.pop()
        if os.getpid() == owner:
            process.end()
