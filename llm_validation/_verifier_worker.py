"""The process that has hostile answers looked at; it is started by ``llm_validation.verifier``.

It is run as a file, so that nothing of the parent is imported with it (no torch, no main module),
loads the judge once, reads one JSON line per batch from standard input, and has each answer judged
by a fresh fork of itself: nothing that an answer does reaches the next one, and an answer that
overruns costs a kill, not the loading of SymPy. It writes one short line per event:

    ready <layer> | failed <why>    once, after the judge is loaded
    done <id> <outcome> <why>       the result

Outcomes beyond those of the judge are ``timeout``, ``memory`` and ``crash``, and the same with
``gold_`` before them where the reference answer was still being read.
"""

from __future__ import annotations

import gc
import json
import logging
import os
import select
import signal
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm_validation._verifier_judges import Judge

_READ = b"g"
"""What a child says once the reference answer is read; from then on the answer is to blame."""


def judge_once(judge: Judge, replies: int, gold: str, answer: str) -> None:
    """Judge one answer and say what came of it; in a child that leaves at the end."""
    from llm_validation import sandbox
    from llm_validation._verifier_judges import BadGoldError

    os.dup2(1, 0)  # what waits on standard input are other answers
    confined = sandbox.confine(replies)
    read = False
    try:
        if getattr(judge, "evaluates", False) and not confined:
            raise BadGoldError("its scorer evaluates answers, and nothing confines it here")
        meaning = judge.read_gold(gold)
        os.write(replies, _READ)
        read = True
        outcome, why = judge.judge(meaning, answer)
    except BadGoldError as error:
        outcome, why = "error", f"bad gold: {error}"
    except MemoryError:
        outcome, why = "memory", "out of memory"
    except Exception as error:
        outcome, why = "unparsable" if read else "error", f"{type(error).__name__} in the judge"
    os.write(replies, f" {outcome} {why}".encode("ascii", "backslashreplace")[:300])


def judged_by_a_child(judge: Judge, gold: str, answer: str, timeout: float) -> tuple[str, str]:
    """Outcome and reason, from a fresh fork that is killed when it overruns.

    Args:
        judge: What judges, loaded and warm.
        gold: The reference answer.
        answer: The answer, hostile or not.
        timeout: Seconds for the reference answer, and again for the answer.
    """
    mine, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            judge_once(judge, theirs, gold, answer)
        finally:
            os._exit(0)
    os.close(theirs)
    said, late = b"", False
    poll = select.poll()
    poll.register(mine, select.POLLIN | select.POLLHUP)
    while len(said) < 400:
        if not poll.poll(timeout * 1000):
            late = True
            break
        piece = os.read(mine, 400)
        said += piece
        if not piece:
            break
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(mine)
    stage = "" if said.startswith(_READ) else "gold_"
    _, space, rest = said.decode("ascii", "replace").partition(" ")
    if late or not space:
        return stage + ("timeout" if late else "crash"), ""
    outcome, _, why = rest.partition(" ")
    return (stage + outcome if outcome == "memory" else outcome), why


def serve(judge: Judge, order: dict[str, Any], replies: int) -> None:
    """Answer the batches on standard input until it ends."""
    from llm_validation import sandbox

    def say(*words: str) -> None:
        line = " ".join(words).encode("ascii", "backslashreplace").replace(b"\n", b" ")
        os.write(replies, line[:400] + b"\n")

    sandbox.limit(int(order["memory"]))
    # Pages that the collector never touches stay shared with the children.
    gc.collect()
    gc.disable()
    gc.freeze()
    say("ready", sandbox.in_force())
    for line in sys.stdin.buffer:
        for key, gold, answer in json.loads(line):
            say("done", key, *judged_by_a_child(judge, gold, answer, float(order["timeout"])))


def main() -> None:
    """Load the judge and serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    replies = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 1)
    os.dup2(nothing, 2)
    order = json.loads(sys.stdin.buffer.readline())
    sys.path[:] = order["path"]
    sys.dont_write_bytecode = True
    # An answer may nest no deeper than Python's own stack can bear.
    sys.setrecursionlimit(2000)
    logging.disable(logging.CRITICAL)
    try:
        from llm_validation._verifier_judges import JUDGES

        judge: Judge = JUDGES[order["judge"]](**order["options"])
    except Exception as error:
        text = f"failed {type(error).__name__}: {error}\n".encode("ascii", "backslashreplace")
        os.write(replies, text.replace(b"\n", b" ")[:300] + b"\n")
        return
    serve(judge, order, replies)


if __name__ == "__main__":
    main()
