"""Countdown for a tiny model: a few small numbers, and every right expression known.

"25b:57=" is answered by "2+5*b": an expression that uses 2, 5 and 11 once each and is worth 57.
Numbers are digits to the base 36, one character each; the target is decimal. An answer must stand
in the one spelling that :mod:`llm_validation.tasks.expressions` gives it, so all right answers can
be listed, and a model's success probability is a finite sum that needs no sampling. How many there
are is a prompt's level: where they are few they are hard to hit upon.

Held-out prompts have numbers that no training prompt has, and targets that none has.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping, Sequence

import numpy as np

from llm_validation.outcomes import Outcome
from llm_validation.tasks._select import select
from llm_validation.tasks.expressions import DIGITS, SIGNS, legal_expressions, read, spell
from llm_validation.tasks.task import Example, Report, Task

NUMBERS = (3, 4)
"""How many numbers a prompt may give."""
USUAL_NUMBER, LARGEST_NUMBER, LARGEST_TARGET = 15, len(DIGITS) - 1, 99
LEVELS = ((1, 1), (2, 3), (4, 10**9))
"""Fewest and most right expressions of each level, the hardest first."""

Problem = tuple[tuple[int, ...], int]
"""Numbers, ascending, and target."""


def characters(largest: int = USUAL_NUMBER, **_: object) -> str:
    """Every character of a prompt or an answer, given the options of the task.

    >>> characters()
    '0123456789abcdef+-*/():='
    """
    return DIGITS[: max(largest, USUAL_NUMBER) + 1] + SIGNS + ":="


class ExpressionMatch:
    """Scores a response as correct if it is a right expression in its normal spelling."""

    def score(self, golds: Sequence[str], responses: Sequence[str]) -> list[Outcome]:
        """Outcomes in order; ``gold`` is the numbers and the target, as in "25b:57".

        >>> [str(o) for o in ExpressionMatch().score(["25b:57"] * 3, ["2+5*b", "5*b+2", "5b"])]
        ['correct', 'wrong', 'wrong']
        """
        return [_outcome(g, r) for g, r in zip(golds, responses, strict=True)]

    def close(self) -> None:
        """Nothing to free."""


def _outcome(gold: str, response: str) -> Outcome:
    numbers, target = parse_problem(gold)
    try:
        found = read(response)
    except ValueError:
        return Outcome.UNPARSABLE
    solves = found.legal and found.value == target and found.numbers == numbers
    return Outcome.CORRECT if solves and found.text == response else Outcome.WRONG


def parse_problem(gold: str) -> Problem:
    """Numbers, ascending, and target of a problem.

    Raises:
        ValueError: Not three or four digits or letters, a colon and a target from 1 to 99.

    >>> parse_problem("25b:57")
    ((2, 5, 11), 57)
    """
    digits, _, target = gold.partition(":")
    figures = set(digits) <= set(DIGITS[1:]) and set(target) <= set(DIGITS[:10])
    if not figures or len(digits) not in NUMBERS or len(target) != 2 or target == "00":
        raise ValueError(
            "a problem is three or four digits or letters in lower case, a colon and a target of "
            f"two digits; got {gold!r}"
        )
    return tuple(sorted(DIGITS.index(digit) for digit in digits)), int(target)


def right_expressions(gold: str) -> list[str]:
    """Spellings of all right answers to a problem.

    >>> right_expressions("25b:57"), right_expressions("122:05")
    (['2+5*b'], ['1+2*2', '1+2+2'])
    """
    numbers, target = parse_problem(gold)
    return [e.text for e in legal_expressions(numbers) if e.value == target]


@functools.cache
def problems(numbers: int, largest: int) -> Mapping[Problem, int]:
    """Every solvable problem of so many numbers, and how many right expressions it has.

    >>> len(problems(3, 9))
    2144
    """
    found: dict[Problem, int] = {}
    for given in itertools.combinations_with_replacement(range(1, largest + 1), numbers):
        for expression in legal_expressions(given):
            target = expression.value
            if target.denominator == 1 and target <= LARGEST_TARGET:
                key = (given, int(target))
                found[key] = found.get(key, 0) + 1
    return found


def level(right: int) -> int:
    """Level of a prompt with so many right expressions, from 1, the hardest.

    >>> [level(right) for right in (1, 2, 3, 4, 100)]
    [1, 2, 2, 3, 3]
    """
    return next(i for i, (fewest, most) in enumerate(LEVELS, 1) if fewest <= right <= most)


def load(
    *,
    limit: int | None,
    seed: int,
    numbers: int = 3,
    largest: int = USUAL_NUMBER,
    held_out: float = 0.2,
) -> Task:
    """All problems of both splits, in random order.

    Args:
        limit: At most so many examples of each split.
        seed: Seed of what is held out, of the order, and of the draw of ``limit``.
        numbers: Numbers of a prompt, 3 or 4.
        largest: Largest of them, from 4 to 35.
        held_out: Share of the sets of numbers, and of the targets, that are held out, in (0, 1).

    Raises:
        ValueError: A value outside of these ranges, or a share that leaves a split empty.

    >>> task = load(limit=None, seed=0, largest=9)
    >>> {e.prompt[:3] for e in task.train} & {e.prompt[:3] for e in task.test}
    set()
    """
    if numbers not in NUMBERS or not 4 <= largest <= LARGEST_NUMBER:
        raise ValueError(
            f"numbers must be 3 or 4 and largest 4 to {LARGEST_NUMBER}; got {numbers}, {largest}"
        )
    if not 0 < held_out < 1:
        raise ValueError(f"held_out must lie in (0, 1); got {held_out:g}")
    rng = np.random.default_rng((seed, numbers))
    every = problems(numbers, largest)
    sets = sorted({given for given, _ in every})
    held_sets = {sets[i] for i in _part(rng, len(sets), held_out)}
    held_targets = {i + 1 for i in _part(rng, LARGEST_TARGET, held_out)}
    splits = []
    for held in (False, True):
        chosen = [
            _example(problem, right)
            for problem, right in every.items()
            if (problem[0] in held_sets) is held and (problem[1] in held_targets) is held
        ]
        if not chosen:
            raise ValueError(f"held_out = {held_out:g} leaves a split without problems")
        splits.append([chosen[i] for i in rng.permutation(len(chosen))])
    rows = {name: len(split) for name, split in zip(("train", "test"), splits, strict=True)}
    train, test = (select(split, limit, seed) for split in splits)
    return Task(
        name="small_countdown",
        train=train,
        test=test,
        licence="none needed: generated here",
        size=f"{len(train):,} training and {len(test):,} test problems of {numbers} numbers",
        scorer=ExpressionMatch(),
        report=Report(read=rows),
        answers=right_expressions,
    )


def _part(rng: np.random.Generator, size: int, share: float) -> list[int]:
    return [int(i) for i in rng.permutation(size)[: max(1, round(size * share))]]


def _example(problem: Problem, right: int) -> Example:
    given, target = problem
    gold = f"{''.join(map(spell, given))}:{target:02d}"
    return Example(f"{gold}=", gold, gold, {"level": level(right), "right_expressions": right})
