"""Results as tables of HTML, which notebooks show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from html import escape


def html_table(columns: Mapping[str, Iterable[object]], caption: str = "") -> str:
    """A table of HTML; numbers to four significant digits, on the right.

    Args:
        columns: Heading → cells, of one length.
        caption: What the table shows; plain text.

    >>> html_table({"scheme": ["a<b"], "time": [0.123456]})
    '<table><thead><tr><th>scheme</th><th>time</th></tr></thead><tbody><tr><td>a&lt;b</td>\
<td style="text-align: right">0.1235</td></tr></tbody></table>'
    """
    head = "".join(f"<th>{escape(name)}</th>" for name in columns)
    rows = zip(*columns.values(), strict=True)
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in rows)
    above = f"<caption>{escape(caption)}</caption>" if caption else ""
    return f"<table>{above}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_fields(values: Mapping[str, object], caption: str = "") -> str:
    """A table of HTML with a row per value; values that are empty text are left out.

    >>> "learning rate" in html_fields({"learning rate": 0.1, "message": ""})
    True
    """
    kept = {name: value for name, value in values.items() if value != ""}
    return html_table({"quantity": kept.keys(), "value": kept.values()}, caption)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        value = "yes" if value else "no"
    if isinstance(value, int):
        return f'<td style="text-align: right">{value}</td>'
    if isinstance(value, float):
        shown = "∞" if value == math.inf else "–" if math.isnan(value) else f"{value:.4g}"
        return f'<td style="text-align: right">{shown}</td>'
    return f"<td>{escape('–' if value is None else str(value))}</td>"
