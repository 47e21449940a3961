"""Answers judged in forks of a worker, against the same judgement in this process.

Bound: what the fork adds is the copying of the pages that judging writes to, and the filter of
system calls; the comparison is the same. Answers are such as form does not decide, each another
text, so that nothing is remembered. Processor time counts, the worker's and its forks', so that a
busy machine changes the ratio little; only the row of two workers is a matter of the clock.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Sequence

import math_verify
import psutil

from llm_validation._verifier_judges import MathJudge
from llm_validation.verifier import Outcome, Verifier
from runs.environment import describe_environment

ROUNDS = 2
EACH = 5
"""Pairs of each shape in a round."""

Pair = tuple[str, str]


def run() -> list[dict[str, object]]:
    """Judge the same answers in each way; check that they agree; return the rows."""
    rounds = [hard_pairs(EACH, seed=number) for number in range(ROUNDS)]
    math_verify_alone(hard_pairs(1, seed=ROUNDS))  # fills its tables
    alone, verdicts = _seconds(math_verify_alone, rounds)
    judge = MathJudge()  # warm, and from here on math-verify parses as it does in a worker
    inside, _ = _seconds(lambda pairs: _judged(judge, pairs), rounds)
    forked, clock = [], {1: 0.0, 2: 0.0}
    with Verifier(workers=1) as one, Verifier(workers=2) as two:
        _start(one)
        _start(two)
        for number, (pairs, expected) in enumerate(zip(rounds, verdicts, strict=True)):
            for verifier in (one, two) if number % 2 else (two, one):
                before, started = _processor_seconds(verifier), time.perf_counter()
                outcomes = _score(verifier, pairs)
                clock[verifier.workers] += time.perf_counter() - started
                if verifier is one:
                    forked.append(_processor_seconds(verifier) - before)
                for pair, outcome, verdict in zip(pairs, outcomes, expected, strict=True):
                    if (outcome is Outcome.CORRECT) != verdict:
                        raise AssertionError(f"{pair}: ours {outcome}, math-verify {verdict}")
    answers = len(rounds[0])
    environment = describe_environment()

    def row(name: str, ours: float, peer: float, count: int, unit: str) -> dict[str, object]:
        return {
            "name": name,
            "ours": count / ours,
            "peer": count / peer,
            "ratio": peer / ours,
            "unit": unit,
            "environment": environment,
        }

    core = "answers per second of one core, each in a fresh confined fork, against "
    return [
        row(
            "verifier_fork",
            min(forked),
            min(inside),
            answers,
            core + "the same judgement in this process; ratio = ours / peer, higher is better",
        ),
        row(
            "verifier_math_verify",
            min(forked),
            min(alone),
            answers,
            core + "math-verify alone in this process, with neither our rules nor limits; "
            "ratio = ours / peer, higher is better",
        ),
        row(
            "verifier_two_workers",
            clock[2],
            clock[1],
            ROUNDS * answers,
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


def math_verify_alone(pairs: Sequence[Pair]) -> list[bool]:
    """What math-verify says of each pair, as it comes."""
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


def _judged(judge: MathJudge, pairs: Sequence[Pair]) -> list[bool]:
    return [
        judge.judge(judge.read_gold(gold), f"\\boxed{{{answer}}}")[0] == "correct"
        for gold, answer in pairs
    ]


def _seconds(
    judged: Callable[[Sequence[Pair]], list[bool]], rounds: Sequence[Sequence[Pair]]
) -> tuple[list[float], list[list[bool]]]:
    """Processor time of this process for each round, and the verdicts."""
    seconds, verdicts = [], []
    for pairs in rounds:
        started = time.process_time()
        verdicts.append(judged(pairs))
        seconds.append(time.process_time() - started)
    return seconds, verdicts


def _start(verifier: Verifier) -> None:
    """Start all workers: a quick one may do all of the first answers."""
    seed = ROUNDS + 1
    while len(verifier._pool) < verifier.workers or not all(w.ready for w in verifier._pool):
        _score(verifier, hard_pairs(1, seed))
        seed += 1


def _processor_seconds(verifier: Verifier) -> float:
    """Processor time that the workers and the forks they have ended took since they started."""
    times = (psutil.Process(worker._process.pid).cpu_times() for worker in verifier._pool)
    return sum(t.user + t.system + t.children_user + t.children_system for t in times)


def _score(verifier: Verifier, pairs: Sequence[Pair]) -> list[Outcome]:
    golds = [gold for gold, _ in pairs]
    return verifier.score(golds, [f"\\boxed{{{answer}}}" for _, answer in pairs])


if __name__ == "__main__":
    print(json.dumps(run(), indent=2))
