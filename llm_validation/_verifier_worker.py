"""The process that looks at hostile answers; it is started by ``llm_validation.verifier``.

It is run as a file, so that nothing of the parent is imported with it (no torch, no main module),
reads one JSON line per batch from standard input and writes one short line per event:

    ready | failed <why>        once, after the judge is loaded
    gold <id>                   from here on a gold answer that was not seen before is being read
    answer <id>                 from here on the response is to blame for the time it takes
    done <id> <outcome> <why>   the result

Every step runs against a kernel timer with the default action, which ends the process whatever it
is doing, with or without a parent. The memory limit is the address space; an audit hook, set once
everything is loaded, refuses what no judge needs: files, processes, sockets, signals.
"""

from __future__ import annotations

import functools
import json
import os
import re
import resource
import signal
import sys
from collections import OrderedDict
from typing import Any, Protocol

CACHE = 4096
_FORBIDDEN = (
    "os.", "subprocess.", "socket.", "shutil.", "ctypes.", "pty.", "signal.", "sqlite3.", "ftplib.",
    "smtplib.", "urllib.", "webbrowser.", "syslog.", "resource.", "fcntl.", "mmap.", "tempfile.",
    "winreg.", "gc.", "sys._current_frames", "sys.addaudithook", "sys.settrace", "sys.setprofile",
)  # fmt: skip
_HARMLESS = ("os.listdir", "os.scandir", "os.walk", "os.fwalk")


class BadGoldError(Exception):
    """The reference answer cannot be read."""


class Judge(Protocol):
    """Compares one response with one reference answer."""

    def read_gold(self, gold: str) -> Any:
        """What the reference answer means; raise :class:`BadGoldError` if it means nothing."""

    def judge(self, gold: Any, answer: str) -> tuple[str, str]:
        """Outcome (correct, wrong or unparsable) and, in a few words, why."""


class MathJudge:
    """Symbolic comparison with math-verify.

    Its own time limits rely on signals in the main thread and are switched off: the caller's timer
    limits the whole step.
    """

    def __init__(self) -> None:
        import math_verify

        self._math = math_verify
        self._configs = [
            math_verify.LatexExtractionConfig(boxed_match_priority=0),
            math_verify.ExprExtractionConfig(),
        ]
        # Parsing is half the work, and the answers to a prompt often agree.
        self._parse = functools.lru_cache(maxsize=CACHE)(self._parse_afresh)
        # Grammar, regular expressions and SymPy's tables are built by first use: do that now, so
        # that no answer is charged for it.
        self.judge(self.read_gold("\\frac{1}{2}"), "\\boxed{0.5}")

    def _parse_afresh(self, text: str) -> list[Any]:
        parsed: list[Any] = self._math.parse(text, self._configs, parsing_timeout=None)
        return parsed

    def read_gold(self, gold: str) -> Any:
        """SymPy expressions of a reference answer in LaTeX."""
        parsed = self._parse(f"\\boxed{{{gold}}}")
        if not parsed:
            raise BadGoldError("math-verify finds no expression in it")
        return parsed

    def judge(self, gold: Any, answer: str) -> tuple[str, str]:
        """Compare a response, or the box that ends it, with a reference answer."""
        parsed = self._parse(answer)
        if not parsed:
            return "unparsable", "math-verify finds no expression in it"
        if self._math.verify(gold, parsed, timeout_seconds=None):
            return "correct", ""
        if all(isinstance(item, str) for item in parsed):
            return "unparsable", "math-verify makes no expression of it"
        return "wrong", ""


_NAN = re.compile(r"(?<![a-z])nan[ij]?(?![a-z])", re.IGNORECASE)
"""NaN, real or imaginary: some scorers give it full marks, since min(1, NaN) is 1."""


class ReasoningGymJudge:
    """Scores an answer with the reasoning-gym dataset its entry came from.

    Some of those scorers evaluate the answer as Python: hence the audit hook of this process.
    """

    def __init__(self, dataset: str, config: dict[str, Any], threshold: float) -> None:
        import reasoning_gym

        self._dataset = reasoning_gym.create_dataset(dataset, **config)
        self._threshold = threshold

    def read_gold(self, gold: str) -> Any:
        """The reasoning-gym entry, from the JSON that ``tasks.reasoning_gym`` writes."""
        try:
            entry = json.loads(gold, object_hook=untagged)
        except (ValueError, KeyError, TypeError) as error:
            raise BadGoldError("it is no JSON of an entry") from error
        if not isinstance(entry, dict) or not {"answer", "metadata"} <= entry.keys():
            raise BadGoldError("it must be an entry with the keys answer and metadata")
        return entry

    def judge(self, gold: Any, answer: str) -> tuple[str, str]:
        """Correct if the dataset's own score reaches the threshold."""
        if "__" in answer:
            return "unparsable", "no answer of a puzzle needs a double underscore"
        if _NAN.search(answer):
            return "unparsable", "it is not a number, which is at no distance from any"
        try:
            score = float(self._dataset.score_answer(answer, gold))
        except (MemoryError, PermissionError):
            raise
        except Exception as error:
            return "unparsable", f"the dataset's scorer raised {type(error).__name__}"
        return ("correct" if score >= self._threshold else "wrong"), f"score {score:.3g}"


def untagged(value: dict[str, Any]) -> Any:
    """Tuples and dictionaries from the tags that stand for them in JSON.

    >>> json.loads('{"tuple!": [1, {"items!": [[2, "b"]]}]}', object_hook=untagged)
    (1, {2: 'b'})
    """
    if value.keys() == {"tuple!"}:
        return tuple(value["tuple!"])
    if value.keys() == {"items!"}:
        return {key: item for key, item in value["items!"]}  # noqa: C416
    return value


JUDGES: dict[str, Any] = {"math": MathJudge, "reasoning_gym": ReasoningGymJudge}


def _forbid(event: str, args: tuple[Any, ...]) -> None:
    if event == "open":
        flags = args[2] if len(args) > 2 and isinstance(args[2], int) else 0
        if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC):
            raise PermissionError("an answer must not write files")
    elif event.startswith(_FORBIDDEN) and event not in _HARMLESS:
        raise PermissionError(f"an answer must not use {event}")


class _Worker:
    def __init__(self, judge: Judge, replies: int, timeout: float) -> None:
        self.judge = judge
        self.replies = replies
        self.timeout = timeout
        self.golds: OrderedDict[str, Any] = OrderedDict()

    def say(self, *words: str) -> None:
        line = " ".join(words).encode("ascii", "backslashreplace").replace(b"\n", b" ")
        os.write(self.replies, line[:300] + b"\n")

    def answer(self, key: str, gold: str, answer: str) -> bool:
        """Judge one answer; False if the process should be replaced."""
        timer = signal.setitimer
        try:
            if gold not in self.golds:
                self.say("gold", key)
                timer(signal.ITIMER_REAL, self.timeout)
                try:
                    self.golds[gold] = self.judge.read_gold(gold)
                except BadGoldError as error:
                    self.golds[gold] = error
                if len(self.golds) > CACHE:
                    self.golds.popitem(last=False)
                self.say("answer", key)
            meaning = self.golds[gold]
            if isinstance(meaning, BadGoldError):
                self.say("done", key, "error", f"bad gold: {meaning}")
                return True
            timer(signal.ITIMER_REAL, self.timeout)
            outcome, why = self.judge.judge(meaning, answer)
            timer(signal.ITIMER_REAL, 0)
        except MemoryError:
            timer(signal.ITIMER_REAL, 0)
            self.say("done", key, "memory", "out of memory")
            return False
        except Exception as error:
            timer(signal.ITIMER_REAL, 0)
            self.say("done", key, "unparsable", f"{type(error).__name__} in the judge")
            return True
        self.say("done", key, outcome, why)
        return True


def main() -> None:
    """Serve until standard input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    replies = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    order = json.loads(sys.stdin.buffer.readline())
    sys.path[:] = order["path"]
    sys.dont_write_bytecode = True
    # An answer may nest no deeper than Python's own stack can bear.
    sys.setrecursionlimit(2000)
    try:
        import logging

        logging.disable(logging.CRITICAL)
        judge: Judge = JUDGES[order["judge"]](**order["options"])
    except Exception as error:
        text = f"failed {type(error).__name__}: {error}\n".encode("ascii", "backslashreplace")
        os.write(replies, text.replace(b"\n", b" ")[:300] + b"\n")
        return
    limit = int(order["memory"])
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    worker = _Worker(judge, replies, float(order["timeout"]))
    # SymPy sets alarms nowhere; this worker does, so timers stay allowed.
    sys.addaudithook(_forbid)
    worker.say("ready")
    for line in sys.stdin.buffer:
        for key, gold, answer in json.loads(line):
            if not worker.answer(key, gold, answer):
                return


if __name__ == "__main__":
    main()
