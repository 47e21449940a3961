"""Answers judged in forks of a worker, against math-verify in this process, and two workers.

Bound: what the fork adds is the copying of the pages that judging writes to, and the filter of
system calls; the comparison itself is math-verify's on both sides. Answers are such as form does
not decide, each another text, so that nothing is remembered. Processor time counts, the worker's
and its forks', without what loading SymPy costs, so that a busy machine changes the ratio little;
only the row of two workers is a matter of the clock.
"""

from __future__ import annotations

import json
import random
import resource
import time
from collections.abc import Callable, Sequence

import math_verify

from llm_validation.verifier import Outcome, Verifier
from runs.environment import describe_environment

ROUNDS = 3
EACH = 40
"""Pairs of each shape."""

Pair = tuple[str, str]


def run() -> list[dict[str, object]]:
    """Time both on the same answers, in turns; check that they agree; return the rows."""
    pairs = hard_pairs(EACH, seed=0)
    verdicts = _peer(hard_pairs(2, seed=1)) and _peer(pairs)  # the first fills its tables
    ours, peer, one, two = [], [], [], []
    for _ in range(ROUNDS):
        ours.append(_processor_seconds(pairs, verdicts))
        started = time.process_time()
        _peer(pairs)
        peer.append(time.process_time() - started)
        one.append(_clock_seconds(pairs, 1))
        two.append(_clock_seconds(pairs, 2))
    environment = describe_environment()

    def row(name: str, ours: float, peer: float, unit: str) -> dict[str, object]:
        speeds = len(pairs) / ours, len(pairs) / peer
        return {
            "name": name,
            "ours": speeds[0],
            "peer": speeds[1],
            "ratio": speeds[0] / speeds[1],
            "unit": unit,
            "environment": environment,
        }

    return [
        row(
            "verifier_per_second_of_a_core",
            min(ours),
            min(peer),
            "answers per second of one core, each in a fresh confined fork, against math-verify in "
            "this process without limits; ratio = ours / peer, higher is better",
        ),
        row(
            "verifier_two_workers",
            min(two),
            min(one),
            "answers per second of the clock with two workers, against one; ratio = two / one, "
            "2 is the best there is",
        ),
    ]


def hard_pairs(each: int, seed: int) -> list[Pair]:
    """Different pairs of a reference and an answer that need SymPy; every other one is right."""
    draw = random.Random(seed)
    shapes: tuple[Callable[[int, int, int], Pair], ...] = (
        lambda a, b, c: (rf"\frac{{{a}}}{{{b}}}", rf"{a}\cdot\frac{{1}}{{{c}}}"),
        lambda a, b, c: (rf"{a}\sqrt{{{b}}}", rf"\sqrt{{{a * a * c}}}"),
        lambda a, b, c: (f"x^2+{a + b}x+{a * b}", f"(x+{a})(x+{c})"),
        lambda a, b, c: (rf"\left(\frac{{{a}}}{{4}},{b}\right)", f"({a / 4},{c})"),
        lambda a, b, c: (rf"[{-a},{b}) \cup ({b},\infty)", rf"[{-a},{c})\cup({c},\infty)"),
        lambda a, b, c: (rf"\frac{{{a}\pi}}{{{b}}}+2", rf"2+{a}\pi/{c}"),
    )
    found: dict[Pair, None] = {}
    for shape in shapes:
        wanted = len(found) + each
        while len(found) < wanted:
            a, b = draw.randint(2, 99), draw.choice((3, 5, 7, 11, 13, 17, 19, 23))
            found[shape(a, b, b if len(found) % 2 else b + 6)] = None
    return list(found)


def _peer(pairs: Sequence[Pair]) -> list[bool]:
    options = [
        math_verify.LatexExtractionConfig(boxed_match_priority=0),
        math_verify.ExprExtractionConfig(),
    ]

    def read(text: str) -> list[object]:
        found: list[object] = math_verify.parse(f"\\boxed{{{text}}}", options, parsing_timeout=None)
        return found

    return [
        bool(math_verify.verify(read(gold), read(answer), timeout_seconds=None))
        for gold, answer in pairs
    ]


def _processor_seconds(pairs: Sequence[Pair], verdicts: Sequence[bool]) -> float:
    """Processor time of a worker and its forks for these answers, start and loading excluded."""
    seconds = []
    for part in (pairs[:1], pairs):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        with Verifier(workers=1) as verifier:
            outcomes = _score(verifier, part)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    for pair, outcome, verdict in zip(pairs, outcomes, verdicts, strict=True):
        if (outcome is Outcome.CORRECT) != verdict:
            raise AssertionError(f"{pair}: ours says {outcome}, math-verify {verdict}")
    return seconds[1] - seconds[0]


def _clock_seconds(pairs: Sequence[Pair], workers: int) -> float:
    with Verifier(workers=workers) as verifier:
        _score(verifier, hard_pairs(2, seed=1))  # all workers start
        started = time.perf_counter()
        _score(verifier, pairs)
        return time.perf_counter() - started


def _score(verifier: Verifier, pairs: Sequence[Pair]) -> list[Outcome]:
    golds = [gold for gold, _ in pairs]
    return verifier.score(golds, [f"\\boxed{{{answer}}}" for _, answer in pairs])


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
