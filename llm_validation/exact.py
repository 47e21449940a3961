"""Numbers compared exactly, where math-verify rounds to six decimals or to a relative error."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

_DIGITS = 400
"""Digits to which irrational numbers are worked out at most, where terms cancel."""


def exactly_equal(
    gold: Sequence[Any], answer: Sequence[Any], tolerance: Fraction, percent: bool
) -> bool:
    """Whether what math-verify took for equal is equal, as far as it is made of numbers.

    Args:
        gold: What math-verify read in the reference answer, SymPy objects and texts.
        answer: What it read in the answer.
        tolerance: How far two numbers may lie apart.
        percent: Whether either is a percentage, so that 25 may stand for 0.25.

    Returns:
        False if two numbers differ; True as well where there is no number to compare.
    """
    ours, theirs = _numbers(gold), _numbers(answer)
    if not ours or len(ours) != len(theirs):
        return True  # sets, relations and functions: math-verify's word stands
    scales = (1, 100, Fraction(1, 100)) if percent else (1,)
    return all(
        any(_same(one, other, tolerance, scale) for other in theirs for scale in scales)
        for one in ours
    )


def _numbers(parsed: Sequence[Any]) -> list[Any]:
    """The numbers a reading consists of, one or a list of them; empty if it is anything else."""
    import sympy

    found: Any = next((item for item in parsed if not isinstance(item, str)), None)
    items = list(found.args) if isinstance(found, sympy.FiniteSet | sympy.Tuple) else [found]
    if not all(isinstance(item, sympy.Expr) for item in items):
        return []
    # Decimals become fractions before anything is worked out: 2/3. and √10.5 are exact numbers.
    exact = [
        item.xreplace({part: sympy.Rational(str(part)) for part in item.atoms(sympy.Float)})
        for item in items
    ]
    numbers = [item.doit() for item in exact]
    return numbers if all(number.is_number for number in numbers) else []


def _same(one: Any, other: Any, tolerance: Fraction, scale: int | Fraction) -> bool:
    import sympy

    difference = one - other * sympy.Rational(scale)
    if difference.is_zero:
        return True
    if tolerance:
        return bool(abs(difference) <= sympy.Rational(tolerance))
    if difference.is_Rational:
        return False
    # SymPy works with more digits until two are certain; of 0 they never are.
    left = abs(difference).evalf(2, maxn=_DIGITS)
    return not left.is_comparable or left == 0
