"""Arithmetic expressions in one normal form: read strictly, and listed without omission.

An expression combines whole numbers by + − × ÷. Two expressions are the same if they differ only by
the order of terms or factors and by brackets that say nothing; of each there is one spelling: terms
and factors by value, what is added before what is subtracted, what multiplies before what divides,
and brackets around sums that are factors. In a legal expression every step gives a positive number;
a solution by way of a negative number has a twin without, (3 − 5) × (1 − 4) = (5 − 3) × (4 − 1).
Numbers are written to the base 36, so that each up to 35 is one character.
"""

from __future__ import annotations

import functools
import itertools
import string
from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

DIGITS = string.digits + string.ascii_lowercase
"""The numbers 0 to 35; more are spelled with several."""
SIGNS = "+-*/()"
"""Every other character of an expression."""
LONGEST = 64
"""Characters that are read at most."""


class Expression(NamedTuple):
    """An expression in normal form.

    Attributes:
        value: What it is worth.
        text: Its one spelling.
        numbers: The numbers it uses, ascending.
        kind: ``""`` of a number, ``"+"`` of a sum, ``"*"`` of a product.
        first: Terms that are added, or factors that multiply, by value.
        second: Terms that are subtracted, or factors that divide, by value.
        legal: Every step gives a positive number.
    """

    value: Fraction
    text: str
    numbers: tuple[int, ...]
    kind: str
    first: tuple[Expression, ...]
    second: tuple[Expression, ...]
    legal: bool


def spell(value: int) -> str:
    """Spelling of a whole number to the base 36.

    >>> spell(11), spell(35), spell(36)
    ('b', 'z', '10')
    """
    rest, last = divmod(value, len(DIGITS))
    return (spell(rest) if rest else "") + DIGITS[last]


def number(value: int) -> Expression:
    """The expression that is a whole number."""
    return Expression(Fraction(value), spell(value), (value,), "", (), (), value > 0)


def total(plus: Sequence[Expression], minus: Sequence[Expression]) -> Expression:
    """Sum of some expressions less others; sums among them are opened.

    >>> total([number(7)], [total([number(2)], [number(3)])]).text
    '3+7-2'
    """
    first, second = _opened("+", plus, minus)
    value = sum(e.value for e in first) - sum(e.value for e in second)
    text = "+".join(e.text for e in first) + "".join(f"-{e.text}" for e in second)
    return _joined("+", Fraction(value), text, first, second)


def product(factors: Sequence[Expression], divisors: Sequence[Expression]) -> Expression:
    """Product of some expressions over that of others; products among them are opened.

    Raises:
        ValueError: A division by zero.

    >>> product([number(6)], [product([number(3)], [total([number(1), number(2)], [])])]).text
    '(1+2)*6/3'
    """
    first, second = _opened("*", factors, divisors)
    value = Fraction(1)
    for factor in first:
        value *= factor.value
    for factor in second:
        if not factor.value:
            raise ValueError("an expression must not divide by zero")
        value /= factor.value
    times, over = ([f"({e.text})" if e.kind == "+" else e.text for e in p] for p in (first, second))
    text = "*".join(times) + "".join(f"/{one}" for one in over)
    return _joined("*", value, text, first, second)


def _opened(
    kind: str, first: Sequence[Expression], second: Sequence[Expression]
) -> tuple[list[Expression], list[Expression]]:
    """Parts of the same kind replaced by their own parts; all by value, then spelling."""
    parts: tuple[list[Expression], list[Expression]] = [], []
    for side, given in enumerate((first, second)):
        for expression in given:
            if expression.kind == kind:
                parts[side].extend(expression.first)
                parts[1 - side].extend(expression.second)
            else:
                parts[side].append(expression)
    for part in parts:
        part.sort(key=lambda e: (e.value, e.text))
    return parts


def _joined(
    kind: str, value: Fraction, text: str, first: list[Expression], second: list[Expression]
) -> Expression:
    parts = [*first, *second]
    numbers = tuple(sorted(itertools.chain.from_iterable(e.numbers for e in parts)))
    legal = value > 0 and all(e.legal for e in parts)
    return Expression(value, text, numbers, kind, tuple(first), tuple(second), legal)


def read(text: str) -> Expression:
    """Read an expression; it is spelled in its normal form if ``read(text).text == text``.

    Grammar: sum = product (("+" | "-") product)*, product = factor (("*" | "/") factor)*, factor =
    number | "(" sum ")", number = a digit or lower-case letter but 0, then any more, or 0 alone.
    Blanks, signs and powers are no part of it.

    Args:
        text: Hostile input.

    Raises:
        ValueError: Not an expression of at most 64 characters, or one that divides by zero.

    >>> read("(7-3)*2").text, read("(7-3)*2").value
    ('2*(7-3)', Fraction(8, 1))
    """
    if len(text) > LONGEST:
        raise ValueError(f"an expression has at most {LONGEST} characters; got {len(text)}")
    found, end = _sum(text, 0)
    if end != len(text):
        raise _not_read(text, end)
    return found


def _sum(text: str, at: int) -> tuple[Expression, int]:
    parts: dict[str, list[Expression]] = {"+": [], "-": []}
    sign = "+"
    while True:
        found, at = _product(text, at)
        parts[sign].append(found)
        if text[at : at + 1] not in ("+", "-"):
            break
        sign, at = text[at], at + 1
    alone = len(parts["+"]) == 1 and not parts["-"]
    return (parts["+"][0] if alone else total(parts["+"], parts["-"])), at


def _product(text: str, at: int) -> tuple[Expression, int]:
    parts: dict[str, list[Expression]] = {"*": [], "/": []}
    sign = "*"
    while True:
        found, at = _factor(text, at)
        parts[sign].append(found)
        if text[at : at + 1] not in ("*", "/"):
            break
        sign, at = text[at], at + 1
    alone = len(parts["*"]) == 1 and not parts["/"]
    return (parts["*"][0] if alone else product(parts["*"], parts["/"])), at


def _factor(text: str, at: int) -> tuple[Expression, int]:
    if text[at : at + 1] == "(":
        found, end = _sum(text, at + 1)
        if text[end : end + 1] != ")":
            raise _not_read(text, end)
        return found, end + 1
    end = at
    # Not int(), which reads digits of other scripts, blanks, signs and underscores.
    while text[end : end + 1] and text[end] in DIGITS:
        end += 1
    if end == at or (text[at] == "0" and end > at + 1):
        raise _not_read(text, at)
    return number(int(text[at:end], len(DIGITS))), end


def _not_read(text: str, at: int) -> ValueError:
    return ValueError(f"not an arithmetic expression: {text!r} cannot be read at place {at + 1}")


@functools.cache
def legal_expressions(numbers: tuple[int, ...]) -> tuple[Expression, ...]:
    """Every legal expression that uses each of some numbers once, by its spelling.

    Args:
        numbers: Positive whole numbers, ascending; 1 to 5 of them.

    Raises:
        ValueError: No numbers, too many of them, or in another order.

    >>> [expression.text for expression in legal_expressions((2, 6))]
    ['2*6', '2+6', '2/6', '6-2', '6/2']
    """
    if not 1 <= len(numbers) <= 5 or list(numbers) != sorted(numbers) or numbers[0] < 1:
        raise ValueError(f"numbers must be 1 to 5 positive whole numbers, ascending; got {numbers}")
    if len(numbers) == 1:
        return (number(numbers[0]),)
    found: dict[str, Expression] = {}
    for left, right in _halves(numbers):
        for one, other in itertools.product(legal_expressions(left), legal_expressions(right)):
            for made in (
                total([one, other], []),
                total([one], [other]),
                total([other], [one]),
                product([one, other], []),
                product([one], [other]),
                product([other], [one]),
            ):
                if made.legal:
                    found.setdefault(made.text, made)
    return tuple(found[text] for text in sorted(found))


def _halves(numbers: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], tuple[int, ...]]]:
    """Ways to part numbers in two, each once."""
    seen = set()
    places = range(len(numbers))
    for size in range(1, len(numbers) // 2 + 1):
        for chosen in itertools.combinations(places, size):
            left = tuple(numbers[i] for i in chosen)
            right = tuple(numbers[i] for i in places if i not in chosen)
            if (left, right) not in seen and (right, left) not in seen:
                seen.add((left, right))
                yield left, right
