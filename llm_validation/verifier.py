"""Scoring hostile answers: a pool of worker processes with hard limits on time and memory."""

from __future__ import annotations

import logging
import os
import re
import threading
import weakref
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any

from llm_validation._verifier_memory import Remembered
from llm_validation._verifier_process import Item, Process, end_all, wait
from llm_validation.answer_claim import claimed, value_of
from llm_validation.answer_form import as_asked, decide, literal, plain, sides, tolerance
from llm_validation.boxed import all_boxed
from llm_validation.outcomes import Outcome
from llm_validation.restated import restates
from runs.environment import available_cores

__all__ = ["Outcome", "Verifier", "VerifierError"]

_LOG = logging.getLogger(__name__)
_BATCH = 16
"""Answers sent to a worker at once: enough to hide the pipe, few enough to lose none for long."""
_START_FAILURES = 3
_ATTEMPTS = 3
"""How often an answer is tried whose reference answer could not be read in time."""
_REMEMBERED = 64 << 20
"""Bytes of scored (gold, answer) pairs kept, since the responses of a group often agree; and of
reference answers that cannot be read, of which a hostile log may hold any number."""
_ONE_FORMULA = re.compile(r"\$\$?([^$\n]{1,500})\$\$?\.?")
"""A response that is a formula or a number and no more has no need of a box."""
_OUTCOMES = {
    **{str(outcome): outcome for outcome in Outcome},
    "memory": Outcome.TIMEOUT,
    "crash": Outcome.ERROR,
}


class VerifierError(ChildProcessError):
    """The worker processes cannot be started."""


class Verifier:
    r"""Compares responses with reference answers, by math-verify in processes that may be killed.

    The answer of a response is its ``\boxed{...}``; without one, what math-verify finds in the end
    of the response. Boxes that disagree are wrong, unless together they are the list that is the
    reference answer. Identical strings and plain numbers are decided on the spot. All else goes to
    worker processes, which have each answer judged by a fresh fork of themselves, limited in time
    and memory and, on Linux, without network, new processes and writable files. Workers start with
    the first answer that needs them, are shared by threads, and leave with the context.

    Args:
        workers: Worker processes; default all processors this process may use, at most 8.
        timeout: Wall-clock seconds for one answer.
        memory: Address space of a worker, in MiB. SymPy with math-verify itself takes about 100.
        max_answer: Longest answer, in characters, that is looked at; a longer one is unparsable.
        require_box: Whether a response without a box is unparsable.
        refuse_restated: Whether a boxed answer of the right value is wrong if it only says the
            problem again or leaves it to be worked out (see ``restated.restates``).
        judge: ``"math"``, or ``"reasoning_gym"`` with the options ``dataset`` and ``threshold``;
            the latter takes whole responses.
        judge_options: Options of the judge.

    Attributes:
        counts: Responses by outcome since the start.
        restarts: Workers that ended, killed from outside or out of memory, and were replaced.
        bad_golds: Reference answers that cannot be read, with the reason, the latest where they
            are many; one whose reading ran out of time is tried again and never listed.
        layer: What confines an answer's process, once a worker has started.

    Raises:
        ValueError: A limit that is not positive, or an unknown judge.

    >>> with Verifier(workers=1) as verifier:
    ...     [str(o) for o in verifier.score(["1/2", "7"], [r"\boxed{\frac{2}{4}}", r"\boxed{8}"])]
    ['correct', 'wrong']
    """

    def __init__(
        self,
        *,
        workers: int | None = None,
        timeout: float = 5.0,
        memory: int = 1024,
        max_answer: int = 2000,
        require_box: bool = False,
        refuse_restated: bool = False,
        judge: str = "math",
        judge_options: Mapping[str, Any] | None = None,
    ) -> None:
        limits = {
            "workers": workers,
            "timeout": timeout,
            "memory": memory,
            "max_answer": max_answer,
        }
        for name, value in limits.items():
            if value is not None and not value > 0:
                raise ValueError(f"{name} must be positive; got {value}")
        if judge not in ("math", "reasoning_gym"):
            raise ValueError(f"judge must be math or reasoning_gym; got {judge!r}")
        self.workers = workers or min(8, available_cores())
        self.timeout = float(timeout)
        self.max_answer = max_answer
        self.require_box = require_box
        self.refuse_restated = refuse_restated and judge == "math"
        self.counts: Counter[Outcome] = Counter(dict.fromkeys(Outcome, 0))
        self.restarts = 0
        self.bad_golds: dict[str, str] = Remembered(_REMEMBERED)
        self._math = judge == "math"
        self._order = {
            "judge": judge,
            "options": dict(judge_options or {}),
            "timeout": self.timeout,
            "memory": int(memory) << 20,
        }
        self._pool: list[Process] = []
        self._lock = threading.Lock()
        self._remembered: Remembered[Outcome] = Remembered(_REMEMBERED)
        self._start_failures = 0
        self.layer = ""
        self._closed = False
        self._owner = os.getpid()
        self._finalizer = weakref.finalize(self, end_all, self._pool, self._owner)

    def __enter__(self) -> Verifier:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the worker processes; the verifier cannot be used again."""
        with self._lock:
            self._closed = True
            self._finalizer()

    def score(
        self,
        golds: Sequence[str],
        responses: Sequence[str],
        problems: Sequence[str] | None = None,
    ) -> list[Outcome]:
        """Outcomes of responses, in order.

        Threads may call this at once; their calls are served one after the other.

        Args:
            golds: Reference answers in LaTeX, one per response; if one holds boxes, their contents.
            responses: What the model wrote, hostile or not.
            problems: What was asked, one per response; used by ``refuse_restated``, and to tell an
                open interval from a point.

        Raises:
            ValueError: Different numbers of golds and responses, or an item that is no string.
            VerifierError: The worker processes do not start (math-verify is not installed, say).
            RuntimeError: The verifier was closed.
        """
        _check(golds, responses)
        if problems is not None and len(problems) != len(golds):
            raise ValueError(
                f"golds and problems must be as many; got {len(golds)} and {len(problems)}"
            )
        with self._lock:
            if self._closed:
                raise RuntimeError("the verifier was closed; make another one")
            if os.getpid() != self._owner:
                raise RuntimeError("a verifier cannot be used after a fork; make one per process")
            outcomes: list[Outcome | None] = []
            waiting: dict[tuple[str, str], list[int]] = {}
            for place, (gold, response) in enumerate(zip(golds, responses, strict=True)):
                gold = self._gold(gold)
                if problems is not None and self._math:
                    gold = as_asked(gold, problems[place])
                answer = self._answer(response)
                outcome = self._at_once(gold, answer)
                outcomes.append(outcome)
                if outcome is None:
                    assert answer is not None
                    waiting.setdefault((gold, answer), []).append(place)
            if waiting:
                for pair, outcome in self._ask(list(waiting)).items():
                    for place in waiting[pair]:
                        outcomes[place] = outcome
            done = [outcome for outcome in outcomes if outcome is not None]
            assert len(done) == len(responses)
            if self.refuse_restated:
                asked = [""] * len(golds) if problems is None else problems
                for place, row in enumerate(zip(done, asked, golds, responses, strict=True)):
                    done[place] = self._unless_restated(*row)
            self.counts.update(done)
            return done

    def _gold(self, gold: str) -> str:
        if not self._math:
            return gold
        boxes = all_boxed(gold) if "box" in gold else []
        return (",".join(boxes) or gold).strip().strip("$").strip()

    def _answer(self, response: str) -> str | None:
        """What of a response is judged; None if there is nothing."""
        if not self._math:
            return response if 0 < len(response) <= self.max_answer else None
        boxes = all_boxed(response, longest=self.max_answer)
        if boxes:
            return "".join(f"\\boxed{{{content}}}" for content in boxes)
        if self.require_box or "\\boxed" in response[-self.max_answer :]:
            return None  # an open or empty box: the answer was cut off or is too long
        if literal(response) is not None:
            return f"\\boxed{{{response.strip()}}}"
        if (formula := _ONE_FORMULA.fullmatch(response.strip())) is not None:
            return f"\\boxed{{{formula[1]}}}"
        return response[-self.max_answer :].strip() or None

    def _unless_restated(self, outcome: Outcome, problem: str, gold: str, response: str) -> Outcome:
        if outcome is not Outcome.CORRECT:
            return outcome
        boxes = all_boxed(response, longest=self.max_answer)
        gold, answer = self._gold(gold), boxes[-1] if boxes else ""
        answer, _ = claimed(gold, value_of(gold, answer))
        return Outcome.WRONG if restates(problem, gold, answer) else outcome

    def _at_once(self, gold: str, answer: str | None) -> Outcome | None:
        """The outcome if no worker is needed to tell it."""
        if not gold:
            self._report_bad_gold(gold, "it is empty")
        if gold in self.bad_golds:
            return Outcome.ERROR
        if answer is None:
            return Outcome.UNPARSABLE
        known = self._remembered.get((gold, answer))
        if known is not None:
            return known
        if self._math and answer.startswith("\\boxed{") and answer.count("\\boxed{") == 1:
            return _decided(gold, answer[7:-1])
        return None

    def _report_bad_gold(self, gold: str, why: str) -> None:
        if gold not in self.bad_golds:
            self.bad_golds[gold] = why
            _LOG.warning("reference answer %.80r cannot be read: %s", gold, why)

    def _remember(self, item: Item, outcome: Outcome) -> None:
        # Limits of time and memory depend on the machine's load: those outcomes are not kept.
        if outcome in (Outcome.CORRECT, Outcome.WRONG, Outcome.UNPARSABLE):
            self._remembered[item.gold, item.answer] = outcome

    def _ask(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Outcome]:
        """Outcomes of distinct (gold, answer) pairs, by the workers."""
        items = deque(Item(str(i), gold, answer) for i, (gold, answer) in enumerate(pairs))
        total = len(items)
        outcomes: dict[tuple[str, str], Outcome] = {}

        def settle(item: Item, outcome: Outcome) -> None:
            outcomes[item.gold, item.answer] = outcome
            self._remember(item, outcome)

        def retry(item: Item, why: str) -> None:
            item.attempts += 1
            if item.attempts < _ATTEMPTS:
                items.append(item)
                return
            # Nothing is known about the reference answer: a later call may find the time.
            _LOG.warning("reference answer %.80r was not compared: %s", item.gold, why)
            settle(item, Outcome.ERROR)

        try:
            while len(outcomes) < total:
                self._fill_pool(len(items))
                for process in self._pool:
                    if process.idle and items:
                        fair = -(-len(items) // (2 * len(self._pool)))
                        process.send([items.popleft() for _ in range(min(_BATCH, fair))])
                for process in wait(self._pool):
                    for item, outcome, why in process.read():
                        if outcome == "error":
                            self._report_bad_gold(item.gold, why)
                            settle(item, Outcome.ERROR)
                        elif outcome.startswith("gold_"):
                            retry(item, f"reading it ended in {outcome.removeprefix('gold_')}")
                        else:
                            settle(item, _OUTCOMES[outcome])
                    self.layer = process.layer or self.layer
                    if process.ended:
                        self._pool.remove(process)
                        process.end()
                        self._note_end(process)
                        items.extendleft(reversed(process.sent))
                        if process.ready and process.sent:
                            retry(items.popleft(), "the worker ended")
        except BaseException:
            # Whatever is in flight belongs to no later call.
            end_all(self._pool, self._owner)
            raise
        return outcomes

    def _fill_pool(self, waiting: int) -> None:
        open_items = waiting + sum(len(process.sent) for process in self._pool)
        for _ in range(min(self.workers, -(-open_items // 4)) - len(self._pool)):
            self._pool.append(Process(self._order))

    def _note_end(self, process: Process) -> None:
        if process.ready:
            self._start_failures = 0
            self.restarts += 1
            return
        self._start_failures += 1
        if self._start_failures >= _START_FAILURES:
            raise VerifierError(
                f"verifier workers do not start: {process.complaint}; "
                "is the extra installed (pip install '.[llm]')?"
            )


def _decided(gold: str, answer: str) -> Outcome | None:
    """What form alone tells: the same text, plain numbers, another kind of answer."""
    if answer == gold:
        return Outcome.CORRECT
    value = sides(gold)[-1]
    answer, otherwise = claimed(value, value_of(value, answer))
    if otherwise:
        return Outcome.WRONG
    decided, _ = decide(value, answer)
    if decided is None:
        mine, theirs = plain(value), plain(answer)
        if mine is not None and theirs is not None:
            decided = abs(mine - theirs) <= tolerance(value)
    return None if decided is None else Outcome.CORRECT if decided else Outcome.WRONG


def _check(golds: Sequence[str], responses: Sequence[str]) -> None:
    if len(golds) != len(responses):
        raise ValueError(
            f"golds and responses must be as many; got {len(golds)} and {len(responses)}"
        )
    for name, texts in (("golds", golds), ("responses", responses)):
        for place, text in enumerate(texts):
            if not isinstance(text, str):
                raise ValueError(
                    f"{name} must be strings; got a {type(text).__name__} at index {place}"
                )
