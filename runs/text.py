"""Words and numbers as sentences and tables write them."""

from __future__ import annotations

import math
from collections.abc import Sequence, Sized


def number(
    value: float, digits: int = 4, *, decimals: int | None = None, infinite: str = "∞"
) -> str:
    """A number to some significant digits, with a true minus sign.

    Args:
        value: The number; NaN is written as a dash.
        digits: Significant digits, at least 1.
        decimals: Digits after the point instead, for columns that are compared by eye.
        infinite: What stands for ∞; −∞ gets a minus sign before it.

    >>> number(-0.0123456), number(1e-12), number(1234567, 3), number(131.0)
    ('−0.01235', '1e−12', '1.23e6', '131')
    >>> number(1.0, decimals=2), number(-0.001, decimals=2), number(float("nan"))
    ('1.00', '0.00', '–')
    >>> number(float("inf"), infinite="never")
    'never'
    """
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return f"−{infinite}" if value < 0 else infinite
    text = f"{value:.{digits}g}" if decimals is None else f"{value:z.{decimals}f}"
    mantissa, _, exponent = text.partition("e")
    return (f"{mantissa}e{int(exponent)}" if exponent else text).replace("-", "−")


def interval(
    low: float, high: float, digits: int = 4, *, decimals: int | None = None, infinite: str = "∞"
) -> str:
    """The ends of an interval, written as :func:`number` does.

    >>> interval(0.25, 1.5), interval(-1.0, float("inf"), decimals=2)
    ('0.25 – 1.5', '−1.00 – ∞')
    """
    ends = (number(end, digits, decimals=decimals, infinite=infinite) for end in (low, high))
    return " – ".join(ends)


def percent(share: float, *, unknown: str = "–") -> str:
    """A share as a percentage that is 0% or 100% only if it is exactly that.

    Args:
        share: NaN where it is not known; beyond [0, 1] as that of a sum with negative parts.
        unknown: What stands for NaN.

    >>> percent(0.0), percent(0.0002), percent(0.004), percent(0.256), percent(0.9999), percent(1)
    ('0%', '<0.1%', '0.4%', '26%', '>99.9%', '100%')
    >>> percent(-0.25), percent(1.25), percent(-1e-9)
    ('−25%', '125%', '<0.1%')
    """
    if math.isnan(share):
        return unknown
    if share <= -0.0005:
        return f"−{percent(-share)}"
    if share in (0.0, 1.0) or share >= 1.0005:
        return f"{share:.0%}"
    if share < 0.0005:
        return "<0.1%"
    if share > 0.9995:
        return ">99.9%"
    return f"{share:.1%}" if share < 0.01 or share > 0.99 else f"{share:.0%}"


def plural(count: int | Sized, noun: str) -> str:
    """A count and its noun, with an s unless the count is 1.

    Args:
        count: How many there are, or the things themselves.
        noun: The noun in the singular; its plural ends in s.

    >>> plural(1, "seed"), plural(1234, "prompt"), plural([], "check")
    ('1 seed', '1,234 prompts', '0 checks')
    """
    many = len(count) if isinstance(count, Sized) else count
    return f"{many:,} {noun}{'' if many == 1 else 's'}"


def listed(words: Sequence[str], last: str = "and") -> str:
    """Words as a list in a sentence.

    >>> listed(["RLOO", "GRPO", "LENS"])
    'RLOO, GRPO and LENS'
    """
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} {last} {words[-1]}"


def duration(seconds: float) -> str:
    """A time in the units that a person would use.

    >>> duration(0.4), duration(42), duration(100), duration(1200), duration(7500), duration(90_000)
    ('less than 1 s', '42 s', '1 min 40 s', '20 min', '2 h 5 min', '25 h')
    """
    if seconds < 1:
        return "less than 1 s"
    large, small = (("min", "s"), ("h", "min"))[seconds >= 3570]  # 59.5 minutes
    unit = {"s": 1, "min": 60, "h": 3600}
    whole, rest = divmod(round(seconds / unit[small]), 60)
    if whole >= 10:
        return f"{whole + (rest >= 30)} {large}"
    return " ".join(f"{n} {name}" for n, name in ((whole, large), (rest, small)) if n)
