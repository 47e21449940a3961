r"""GSM8K: grade-school word problems whose answer is a number (arXiv 2110.14168).

Rows need ``question`` and ``answer``: the number, or the whole solution with the number behind
``####``. On the hub: ``hub:openai/gsm8k:main`` (train, test).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from pathlib import Path

from llm_validation.boxed import last_boxed
from llm_validation.outcomes import Outcome
from llm_validation.tasks._prompts import BOXED, make_prompt
from llm_validation.tasks._select import select
from llm_validation.tasks.rows import BadRowError, Reader, Row
from llm_validation.tasks.task import Example, Report, Task

LICENCE = "MIT (OpenAI, 2021)"
_NUMBER = re.compile(r"[-+]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?|[-+]?\.\d+")
_UNITS = re.compile(r"\\text\{[^{}]*\}|\\(?:,|;|!|\s|%|\$)|[$%{}]|[A-Za-z°€£]+\.?$")
_TAIL = 1000
_LONGEST = 100


def load(
    *,
    train_path: str | Path | None,
    test_path: str | Path | None,
    limit: int | None,
    seed: int,
    style: str = "chat",
    instruction: str = BOXED,
    anywhere: bool = True,
    strict: bool = True,
    download: bool = False,
) -> Task:
    """Read the problems.

    Args:
        train_path: Training rows; None for no training split.
        test_path: Held-out rows; None for no test split.
        limit: At most so many examples of each split.
        seed: Seed of the draw of ``limit``.
        style: ``"chat"`` or ``"plain"``.
        instruction: What follows the question.
        anywhere: Whether the last number of a response without a box or ``####`` is its answer.
        strict: Raise for bad rows; else report them and go on.
        download: Whether data sets on the hub may be fetched.

    Raises:
        ValueError: No path, bad rows or an unknown style.
        FileNotFoundError: A file that is not there.
    """
    if train_path is None and test_path is None:
        raise ValueError(
            "gsm8k reads its problems from files: give train_path, test_path or both, each a "
            ".jsonl or .parquet file or hub:openai/gsm8k:main"
        )
    reader = Reader(strict=strict, download=download)

    def make(row: Row) -> Example:
        solution = row.text("answer")
        number = read_number(solution.rpartition("####")[2])
        if number is None:
            raise BadRowError(f"{row.where}: 'answer' must be a number or end in '#### number'")
        return Example(
            prompt=make_prompt(row.text("question", "problem"), instruction, style),
            gold=str(number),
            id=str(row.values.get("unique_id") or f"row/{row.place}"),
        )

    read: dict[str, int] = {}
    splits: dict[str, tuple[Example, ...]] = {}
    for split, path in (("train", train_path), ("test", test_path)):
        before = reader.read
        examples = [] if path is None else reader.examples(path, split, make)
        splits[split] = select(examples, limit, seed)
        read[split] = reader.read - before
    train, test = splits["train"], splits["test"]
    return Task(
        name="gsm8k",
        train=train,
        test=test,
        licence=LICENCE,
        size=f"{len(train):,} training and {len(test):,} test problems (GSM8K has 7,473 and 1,319)",
        scorer=NumberMatch(anywhere=anywhere),
        report=Report(read=read, bad_rows=tuple(reader.bad_rows)),
    )


class NumberMatch:
    r"""Compares the number a response gives with the reference number, exactly.

    The number is in the last box, else behind the last ``####``, else (with ``anywhere``) the last
    number of the response.
    """

    def __init__(self, *, anywhere: bool = True) -> None:
        self.anywhere = anywhere

    def score(self, golds: Sequence[str], responses: Sequence[str]) -> list[Outcome]:
        r"""Outcomes in order; a gold answer that is no number is an ``error``.

        >>> [str(o) for o in NumberMatch().score(["1200"] * 2, [r"\boxed{\$1,200}", "Some 12."])]
        ['correct', 'wrong']
        """
        return [self._one(g, r) for g, r in zip(golds, responses, strict=True)]

    def _one(self, gold: str, response: str) -> Outcome:
        reference = read_number(gold)
        if reference is None:
            return Outcome.ERROR
        number = self._find(response)
        if number is None:
            return Outcome.UNPARSABLE
        return Outcome.CORRECT if number == reference else Outcome.WRONG

    def _find(self, response: str) -> Decimal | None:
        content = last_boxed(response, longest=_LONGEST)
        if content is not None:
            return read_number(content)
        _, mark, behind = response[-_TAIL:].rpartition("####")
        if mark:
            return read_number(behind.strip().split("\n")[0])
        if not self.anywhere:
            return None
        numbers = [n for n in _NUMBER.findall(response[-_TAIL:]) if len(n) <= _LONGEST]
        return read_number(numbers[-1]) if numbers else None

    def close(self) -> None:
        """Nothing to free."""


def read_number(text: str) -> Decimal | None:
    r"""The number a text consists of, units, currency and thousands separators aside.

    >>> read_number(r"\$1,200.50"), read_number(r"18\text{ dollars}"), read_number("1/2")
    (Decimal('1200.5'), Decimal('18'), None)
    """
    if len(text) > _LONGEST:
        return None
    bare = _UNITS.sub("", text.strip().removesuffix(".")).strip()
    if not bare.isascii() or _NUMBER.fullmatch(bare) is None:
        return None
    try:
        number = Decimal(bare.replace(",", ""))
    except InvalidOperation:
        return None
    whole = number.to_integral_value()
    return whole if number == whole else number.normalize()
