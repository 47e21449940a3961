"""Terminal, Markdown and HTML say the same of a claim: verdicts, reasons, every number."""

from __future__ import annotations

import html
import re

from claims.entries import ledger
from claims.render.html import ledger_html
from claims.render.markdown import page
from claims.render.model import Shown
from claims.render.terminal import details
from claims.verdicts import above, below, finding


def told(text):
    """Words of an output, without breaks of lines, tags and escapes."""
    text = re.sub(r"</?(td|tr|span|table|tbody)\b[^>]*>", " ", text)
    return " ".join(html.unescape(text).replace("\\", "").split())


def test_the_outputs_agree(tree):
    checks = [above("gain of pass@1", 0.0, [-0.2] * 5), below("share | of x_y", 0.5, [0.1])]
    tree.store(finding("A6", "", checks, ["one * regime"], quick=False))
    entry = ledger(tree.evidence, ids=["A6"])[0]
    outputs = [told(text) for text in (details(entry), page([entry]), ledger_html([entry]))]
    simulated = Shown.of(entry).results[1]
    assert simulated.why == "gain of pass@1: −0.2 [−0.2, −0.2], predicted > 0."
    for result in Shown.of(entry).results:
        for output in outputs:
            assert result.source in output.lower()
            for words in (
                result.label,
                result.prediction,
                result.how,
                result.why,
                result.rule,
                result.tally,
                *result.regimes,
            ):
                assert words in output
            for row in result.rows:
                # A terminal breaks the lines of a wide table.
                shown = set(output.split())
                assert {*row.name.split(), *row.predicted.split()} <= shown
                assert set(row.verdict.split()) <= shown
                assert set(row.measured.split()) <= shown or set(row.steady.split()) <= shown


def test_markdown_leaves_out_the_size_of_rounding_errors(tree):
    tree.store(finding("A6", "", [below("x", 1e-12, [2.2e-16], exact=True)], [], quick=False))
    entry = ledger(tree.evidence, ids=["A6"])[0]
    assert "2.2e−16" in details(entry)
    assert "2.2e−16" in ledger_html([entry])
    assert "2.2e−16" not in page([entry])
