r"""How math-verify's parser of LaTeX is made quick in a process that is forked for every answer.

ANTLR decides between rules of a grammar by automata that it builds as it meets new text, and where
they cannot decide it looks at the whole context, which it never remembers. A fresh fork would pay
for both each time. So the text is first parsed without context (SLL), which gives the same tree or
a syntax error (docstring of ANTLR's ``PredictionMode``), and with it only then; and the automata
are built before the first fork. Numbers are read without SymPy's evaluation, and arguments that
math-verify would put wrong braces round have theirs beforehand.
"""

from __future__ import annotations

import re
from typing import Any

WARM_UP = (
    (r"\frac{1}{7^{30}}", r"\frac{1}{7^{29}}"),
    (r"-\frac{3}{4}", r"2\cdot\frac{1}{30!}\cdot\frac12"),
    (r"\frac{\sqrt{6} + \sqrt{2}}{4}", r"2\sqrt{3}-\sqrt[3]{5}"),
    (r"\frac{1}{\sqrt{2}-1}", r"1+\sqrt{2}"),
    (r"\frac{x+1}{x-1}", r"(x+1)(x-2)^2"),
    (r"\sin 2x", r"2\sin x\cos x"),
    (r"y = 3x^2 - 4x + \frac{1}{2}", "2x - y + 1 = 0"),
    (r"\left( \frac{1}{2}, \sqrt{2} \right)", "(1,-2)"),
    ("-1, 2 + \\sqrt{3}", "2,3"),
    (r"[0, \infty)", r"(-\infty, -1) \cup (2, 3]"),
    (r"0 < x \le 5", r"(0,5]"),
    (r"x \in [-2,7]", r"x \ge 2"),
    ("0.333333", r"\frac13"),
    (r"25\%", r"\log_2 8"),
    (
        r"\begin{pmatrix} 1 & -2 \\ \frac{3}{5} & 4 \end{pmatrix}",
        r"\begin{pmatrix} 1 \\ 3 \end{pmatrix}",
    ),
    (r"\frac{2\pi}{3}", r"e^{i\pi/4} + 2 + 3i"),
    (r"5\text{ cm}^2", r"30^\circ"),
    (r"\text{Evelyn}", "2/3"),
    (r"3 \pm 2\sqrt{5}", r"\binom{7}{3} 4!"),
)
"""Pairs of answers of every usual kind; what comparing them loads and learns stays."""

FORMULAS = (
    "-4731",
    "x^3-4x^2+17x-20",
    "(-5,0)",
    "2013_7",
    r"\left(-\frac{2}{3}, \frac{7}{5}\right)",
    "-14x^2(3x^3-1)",
    r"3+i,\,-3-i,\,-3+i",
    "a^2 + b^2",
    r"(-2,-\frac{1}{3})",
    "[-3,3]",
    "4:7",
    r"(-\infty,2) \cup (3,4) \cup (5,\infty)",
    "6y^{12}+4y^8-3y^5",
    r"\frac{\sqrt{5}}{3} - \frac{1}{18}\pi",
    r"\frac{cy}{k}(k-y)",
    r"\sqrt{3},-\sqrt{3}",
    r"12\frac{1}{15}",
    r"\left[-\frac{5}{4}, \frac{3}{7}\right]",
    "(x^4+9)(x^2+3)(x+1)(x-1)",
    r"x=\frac{1}{53}",
    r"9\text{ hours}.",
    r"36\pi-54\sqrt{2}",
    "r=4.3",
    "(12,9,5)",
    "5x(2x+1)",
    r"70^{\circ}",
    r"20q \sqrt{q}",
    "-y^4+y^3+y-5",
    r"\text{A,B,C,D}",
    "y=-3x+2",
    "AB=7, CD=3",
    r"[2,5] \cup [6,8)",
    "3^{1250}",
    "a + b + c + 2x",
    "25x^2 - 30xy + 4y^2 - 118x - 36y + 401 = 0",
    r"\frac{5}{\pi^2}(\sqrt{2}+1)",
    "11a^2(a+3)",
    r"[3 \sqrt{3},7]",
    r"\cos(8^\circ)\sin(14^\circ)",
    r"y = -\frac{23}{6}",
    "(4,-1,-7)",
    "2112_{5}",
    r"12+6\pi",
    "1,-1,i,-i",
    "-7/3",
    r"\left[ \frac{3}{2}, \frac{9}{2} \right)",
    "(s-5)(s+5)",
    r"\pi b^2",
    r"-3, 2 + i \sqrt{5}, 2 - i \sqrt{5}",
    r"\{3,8,9\}",
    r"\left( \frac{4}{5}, 2 \right) \cup (6,\infty)",
    r"-\frac{2}{7} - \frac{3}{7}i",
)
"""More formulas, each of a form that teaches the parser what many answers need: with them two of
five of MATH's answers meet nothing new, against one of seventeen without."""

_NUMBER = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")


def parse_without_context_first() -> None:
    """Make latex2sympy parse with ANTLR's quick mode, and fully only what that does not take."""
    from antlr4.atn.PredictionMode import PredictionMode
    from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy

    create = _Latex2Sympy.create_parser

    def create_parser(converter: Any, text: str) -> Any:
        parser = create(converter, text)
        parse = parser.math

        def math() -> Any:
            parser._interp.predictionMode = PredictionMode.SLL
            try:
                return parse()
            except Exception:
                parser.reset()
                parser._interp.predictionMode = PredictionMode.LL
                return parse()

        parser.math = math
        return parser

    _Latex2Sympy.create_parser = create_parser


def read_numbers_directly() -> None:
    """Make latex2sympy build numbers itself where it asks SymPy to evaluate their digits.

    ``sympy.Number("7")`` parses an expression, for which all of SymPy's names are copied: that
    takes as long as the rest of a short answer, and writes to a third of what a fork shares.
    """
    from latex2sympy2_extended.latex2sympy2 import _Latex2Sympy
    from sympy import Float, Integer

    parse = _Latex2Sympy.parse_number

    def parse_number(converter: Any, text: str) -> Any:
        digits = text.replace(",", "")
        if not _NUMBER.fullmatch(digits):
            return parse(converter, text)
        return Float(digits) if "." in digits else Integer(digits)

    _Latex2Sympy.parse_number = parse_number


_SYMBOL = (
    r"(\\(?:pi|alpha|beta|gamma|delta|epsilon|varepsilon|theta|lambda|mu|rho|sigma|tau|phi|varphi"
    r"|psi|omega|infty)(?![a-zA-Z]))"
)
_FRACTION = r"(\\[dt]?frac)\s*"
_FIRST = re.compile(rf"({_FRACTION}|\\sqrt\s*){_SYMBOL}")
_SECOND_DIGIT = re.compile(rf"({_FRACTION}\{{{_SYMBOL}\}})\s*([0-9a-zA-Z])")
_SECOND = re.compile(rf"({_FRACTION}(?:\{{(?:[^{{}}]|\{{[^{{}}]*\}})*\}}|[0-9a-zA-Z]))\s*{_SYMBOL}")


def braced(text: str) -> str:
    r"""The same LaTeX with braces round Greek letters that are arguments of fractions and roots.

    math-verify puts braces round the backslash alone, and then finds the last number only.

    >>> braced(r"2007 + \frac\pi 2"), braced(r"\frac3\pi"), braced(r"\sqrt\pi + \pi")
    ('2007 + \\frac{\\pi}{2}', '\\frac3{\\pi}', '\\sqrt{\\pi} + \\pi')
    """
    text = _FIRST.sub(lambda m: f"{m[1].rstrip()}{{{m[3]}}}", text)
    text = _SECOND_DIGIT.sub(lambda m: f"{m[1]}{{{m[4]}}}", text)
    return _SECOND.sub(lambda m: f"{m[1]}{{{m[3]}}}", text)
