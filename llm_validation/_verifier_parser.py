r"""How math-verify's parser of LaTeX is made quick in a process that is forked for every answer.

ANTLR decides between rules of a grammar by automata that it builds as it meets new text, and where
they cannot decide it looks at the whole context, which it never remembers. A fresh fork would pay
for both each time. So the text is first parsed without context (SLL), which gives the same tree or
a syntax error (docstring of ANTLR's ``PredictionMode``), and with it only then; and the automata
are built before the first fork.
"""

from __future__ import annotations

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
