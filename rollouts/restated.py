"""Whether a boxed answer only says again what was asked, as SQL over the texts."""

from __future__ import annotations

_BOX = r".*\\+boxed\s*\{((?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*)\}"
"""The last box of a text, with three levels of braces in it."""

_BLANKS = r"[\s$]|\\+(left|right|displaystyle|[,;:!])"
_FRACTION = r"\\+[dt]?frac\{([^{}]*)\}\{([^{}]*)\}"
_TIMES = r"\\+(times|cdot)|×"
_UNEVALUATED = r"[+*/^!]|[^-]-|\\+(sqrt|log|ln|binom|sin|cos|tan)"
"""What an answer holds that could be worked out."""

_END = 2000
"""Characters at the end of a response in which its box is looked for."""


def restated(prompt: str, response: str) -> str:
    r"""SQL for 1 if the boxed answer stands in the prompt and could be worked out, 0 if not.

    NULL without a box. It sees only answers that stand there as they are, up to blanks and the ways
    to write fractions and products: the least that there is, not all of it.

    Args:
        prompt: SQL for the prompt's text.
        response: SQL for the response's text.

    >>> import duckdb
    >>> ask = restated("'What is 16/20 in lowest terms?'", r"'so \boxed{\frac{16}{20}}.'")
    >>> duckdb.sql(f"SELECT {ask}").fetchall()
    [(1.0,)]
    """
    answer = _normal(f"regexp_extract(right({response}, {_END}), '{_BOX}', 1, 's')")
    again = (
        f"length({answer}) >= 3 AND regexp_matches({answer}, '{_UNEVALUATED}') "
        f"AND contains({_normal(prompt)}, {answer})"
    )
    return f"CASE WHEN contains({response}, 'boxed') THEN CAST({again} AS DOUBLE) END"


def _normal(text: str) -> str:
    text = f"regexp_replace({text}, '{_BLANKS}', '', 'g')"
    text = f"regexp_replace({text}, '{_FRACTION}', '\\1/\\2', 'g')"
    return f"regexp_replace({text}, '{_TIMES}', '*', 'g')"
