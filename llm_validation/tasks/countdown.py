"""Countdown: reach a target from given numbers with + − × ÷, each number used exactly once.

The task TinyZero showed reasoning to emerge on. Problems are made here, each with a solution, or
read from rows with ``nums`` (or ``numbers``) and ``target``, such as
``hub:Jiayi-Pan/Countdown-Tasks-3to4``. A response gives its expression in ``<answer>`` tags.
"""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TypeGuard

import numpy as np

from llm_validation.outcomes import Outcome
from llm_validation.tasks._prompts import make_prompt
from llm_validation.tasks._select import select
from llm_validation.tasks.rows import BadRowError, Reader, Row
from llm_validation.tasks.tagged import last_tagged
from llm_validation.tasks.task import Example, Prompt, Report, Task
from runs.files import parse_json

INSTRUCTION = (
    "Work it out inside <think> </think> tags, then give only the expression inside "
    "<answer> </answer> tags, for example <answer>(1 + 2) / 3</answer>."
)
_ALLOWED = re.compile(r"[0-9+\-*/() ]{1,200}")
_SPELLINGS = str.maketrans({"×": "*", "·": "*", "÷": "/", "−": "-", "\n": " ", "\t": " "})
_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_TAIL = 2000


def load(
    *,
    train_path: str | Path | None,
    test_path: str | Path | None,
    limit: int | None,
    seed: int,
    train_size: int = 10_000,
    test_size: int = 1_000,
    numbers: Sequence[int] = (3, 4),
    largest: int = 99,
    style: str = "chat",
    instruction: str = INSTRUCTION,
    strict: bool = True,
    download: bool = False,
) -> Task:
    """Make the problems, or read them if a path is given.

    Args:
        train_path: Training rows; with neither path given, both splits are made.
        test_path: Held-out rows.
        limit: At most so many examples of each split.
        seed: Seed of the problems, and of the draw of ``limit``.
        train_size: Training problems to make.
        test_size: Held-out problems to make; none of them is in the training split.
        numbers: How many numbers a problem gives: one of these, at random; each 2 to 6.
        largest: Largest number and largest target.
        style: ``"chat"`` or ``"plain"``.
        instruction: What follows the problem.
        strict: Raise for bad rows; else report them and go on.
        download: Whether data sets on the hub may be fetched.

    Raises:
        ValueError: Bad rows, or sizes that cannot be made.
        FileNotFoundError: A file that is not there.
    """
    if not numbers or any(n not in range(2, 7) for n in numbers):
        raise ValueError(f"numbers must be counts from 2 to 6; got {list(numbers)}")
    if largest < 10 or train_size < 1 or test_size < 0:
        raise ValueError(
            "largest must be at least 10, train_size at least 1 and test_size at least 0; got "
            f"{largest}, {train_size}, {test_size}"
        )
    reader = Reader(strict=strict, download=download)
    read: dict[str, int] = {}

    def make(row: Row) -> Example:
        values = row.values.get("nums", row.values.get("numbers"))
        target = row.values.get("target")
        if not isinstance(values, list) or not all(_whole(n) for n in values) or not _whole(target):
            raise BadRowError(
                f"{row.where}: 'nums' must be a list of whole numbers and 'target' a whole number"
            )
        if not values:
            raise BadRowError(f"{row.where}: 'nums' is empty")
        return _example(values, target, f"row/{row.place}", instruction, style)

    if train_path is None and test_path is None:
        made = _make_problems(seed, train_size + test_size, tuple(numbers), largest)
        examples = [
            _example(values, target, f"{seed}/{i}", instruction, style)
            for i, (values, target) in enumerate(made)
        ]
        splits = {"train": examples[:train_size], "test": examples[train_size:]}
        read = {split: len(rows) for split, rows in splits.items()}
    else:
        splits = {}
        for split, path in (("train", train_path), ("test", test_path)):
            before = reader.read
            splits[split] = [] if path is None else reader.examples(path, split, make)
            read[split] = reader.read - before
    train, test = select(splits["train"], limit, seed), select(splits["test"], limit, seed)
    return Task(
        name="countdown",
        train=train,
        test=test,
        licence="none needed: generated here" if train_path is test_path is None else "of the file",
        size=f"{len(train):,} training and {len(test):,} test problems",
        scorer=ExpressionMatch(),
        report=Report(read=read, bad_rows=tuple(reader.bad_rows)),
    )


class ExpressionMatch:
    """Checks that a response's expression uses the numbers, each once, and gives the target."""

    def score(self, golds: Sequence[str], responses: Sequence[str]) -> list[Outcome]:
        """Outcomes in order; ``gold`` is the JSON of numbers and target.

        >>> gold = '{"numbers": [2, 3, 4], "target": 14}'
        >>> [str(o) for o in ExpressionMatch().score([gold], ["<answer>2 + 3 * 4</answer>"])]
        ['correct']
        """
        return [self._one(g, r) for g, r in zip(golds, responses, strict=True)]

    def _one(self, gold: str, response: str) -> Outcome:
        try:
            problem = parse_json(gold)
            numbers, target = sorted(problem["numbers"]), problem["target"]
        except (ValueError, KeyError, TypeError):
            return Outcome.ERROR
        answer = last_tagged(response[-_TAIL:])
        if answer is None:
            return Outcome.UNPARSABLE
        try:
            used, value = evaluate(answer)
        except ValueError:
            return Outcome.UNPARSABLE
        return Outcome.CORRECT if sorted(used) == numbers and value == target else Outcome.WRONG

    def close(self) -> None:
        """Nothing to free."""


def evaluate(expression: str) -> tuple[list[int], Fraction | None]:
    """Numbers of an arithmetic expression, and its exact value; None if it divides by zero.

    Only digits, + − * / and brackets pass, in at most 200 characters; powers, floor division,
    names and calls do not.

    Raises:
        ValueError: Anything else.

    >>> evaluate("(1 + 2) / 4")
    ([1, 2, 4], Fraction(3, 4))
    """
    text = expression.translate(_SPELLINGS).strip()
    if _ALLOWED.fullmatch(text) is None:
        raise ValueError("an expression is at most 200 digits, operators + - * / and brackets")
    try:
        tree = ast.parse(text, mode="eval").body
    except (SyntaxError, RecursionError, MemoryError) as error:
        raise ValueError("not an arithmetic expression") from error
    used: list[int] = []

    def value(node: ast.expr) -> Fraction:
        if isinstance(node, ast.Constant) and type(node.value) is int:
            used.append(node.value)
            return Fraction(node.value)
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
            inner = value(node.operand)
            return -inner if isinstance(node.op, ast.USub) else inner
        if isinstance(node, ast.BinOp) and type(node.op) in _OPERATORS:
            left, right = value(node.left), value(node.right)
            return _OPERATORS[type(node.op)](left, right)
        raise ValueError("only numbers, + - * / and brackets may stand in an expression")

    try:
        return used, value(tree)
    except ZeroDivisionError:
        return used, None


def _example(
    numbers: Sequence[int], target: int, key: str, instruction: str, style: str
) -> Example:
    question = (
        f"Using the numbers {', '.join(map(str, numbers))}, each exactly once, and + - * / and "
        f"brackets, write an expression that equals {target}."
    )
    prompt: Prompt = make_prompt(question, instruction, style)
    gold = json.dumps({"numbers": list(numbers), "target": target})
    return Example(prompt, gold, key, {"numbers": len(numbers)})


def _make_problems(
    seed: int, count: int, sizes: tuple[int, ...], largest: int
) -> list[tuple[list[int], int]]:
    """Distinct problems, each solvable: the target is the value of a random expression."""
    rng = np.random.default_rng(seed)
    found: dict[tuple[tuple[int, ...], int], list[int]] = {}
    operators = tuple(_OPERATORS.values())
    for _ in range(50 * count + 1000):
        numbers = [int(n) for n in rng.integers(1, largest + 1, size=rng.choice(sizes))]
        values = [Fraction(n) for n in numbers]
        while len(values) > 1:
            left, right = (values.pop(int(rng.integers(len(values)))) for _ in range(2))
            step = operators[int(rng.integers(4))]
            if step is operator.truediv and right == 0:
                values = [Fraction(0)]  # it has no value; no target is 0
            else:
                values.append(step(left, right))
        target = values[0]
        if target.denominator != 1 or not 1 <= target <= largest:
            continue
        found.setdefault((tuple(sorted(numbers)), int(target)), numbers)
        if len(found) == count:
            return [(numbers, target) for (_, target), numbers in found.items()]
    raise ValueError(
        f"there are not {count} different problems with numbers up to {largest}; ask for fewer"
    )


def _whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)
