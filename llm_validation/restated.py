r"""Answers that say the problem again, or leave to be worked out what was asked for.

A verifier that compares values takes "45² − 35²" for 800. A reward that can be earned by copying
the problem teaches copying.
"""

from __future__ import annotations

import re

from llm_validation.answer_form import bare, literal, sides

_UNIT = re.compile(
    r"\\(?:text|mbox|mathrm)\s*\{[^{}]*\}(?:\^\{?[23]\}?)?|\^\{?\\circ\}?|\\%|%|\\\$"
)
_WORD = re.compile(r"(?<![\\A-Za-z])[A-Za-z]{2,}")
_MIXED = re.compile(r"-?[0-9]+\\frac\{?[0-9]+\}?\{?[0-9]+\}?")
_POWER_OF_TEN = re.compile(r"-?[0-9.]+(?:\\times|\\cdot)10\^\{?-?[0-9]+\}?")
_WORK = re.compile(
    r"(?<=[0-9A-Za-z})!])[-+*/!]|\^|\\(?:cdot|times|div|binom|dbinom|tbinom|sqrt|log|ln|lg|sin|cos"
    r"|tan|sec|csc|cot|sum|prod|int|lim|gcd|lcm|pmod|bmod|mod|lfloor|lceil|frac)(?![a-z])"
)


def restates(problem: str, gold: str, answer: str) -> bool:
    r"""Whether an answer of the right value is no answer to the problem.

    It is none if it stands in the problem word for word, in a form other than the reference
    answer's; or if the reference is a number written in digits and the answer is work still to do:
    a sum, product, power, root, logarithm, binomial. A quotient of two integers, a mixed number and
    a power of ten times digits are numbers.

    Args:
        problem: The question as it was asked; empty if it is not known.
        gold: The reference answer.
        answer: What the response gives as its answer, without the box.

    >>> restates(r"Find \log_3 27.", "3", r"\log_3 27"), restates("", "2", "5-3")
    (True, True)
    >>> restates("Solve x+3=5.", "2", "x=2"), restates("Write 16/20.", r"\frac45", r"\frac{16}{20}")
    (False, True)
    """
    mine, theirs = _plain(gold), _plain(answer)
    if mine == theirs:
        return False
    evaluated = literal(theirs) is not None or _MIXED.fullmatch(theirs)
    evaluated = evaluated or _POWER_OF_TEN.fullmatch(theirs)
    if literal(mine) is not None and not evaluated and _WORK.search(theirs):
        return True
    if not re.search(r"[0-9]", theirs):
        return False
    whole = rf"(?<![0-9A-Za-z.]){re.escape(theirs)}(?![0-9A-Za-z]|\.[0-9])"
    return re.search(whole, _plain(_WORD.sub("|", problem))) is not None


def _plain(text: str) -> str:
    """Text in one spelling: no blanks, units or variable; fractions as ``a/b``; bare exponents."""
    if "=" in text and len(text) < 500:
        text = sides(text)[-1].rpartition("=")[2]
    text = bare(_UNIT.sub("", text)).replace("\\tbinom", "\\binom").replace("\\dbinom", "\\binom")
    text = re.sub(r"\\frac(?:\{(-?[0-9]+)\}|([0-9]))(?:\{([0-9]+)\}|([0-9]))", r"\1\2/\3\4", text)
    return re.sub(r"([\^_])\{(\w)\}", r"\1\2", text)
