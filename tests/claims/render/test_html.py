"""The ledger as HTML: every claim leads to its section, verdicts are words, nothing is loaded."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest

from claims.entries import ledger
from claims.render.html import ledger_html
from claims.spec import claims
from claims.verdicts import above, finding

VOID = {"meta", "br", "img", "link", "hr"}


class Page(HTMLParser):
    """Collects anchors and links, and insists that tags are closed in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        if tag not in VOID:
            self.open.append(tag)
        self.ids += [values["id"]] if "id" in values else []
        self.links += [values[name] for name in ("href", "src") if name in values]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def parsed(text):
    page = Page()
    page.feed(text)
    page.close()
    assert page.open == []
    return page


@pytest.fixture
def html(tree):
    hostile = above("<script>alert('&')</script>", 0.0, [1.0] * 5)
    tree.store(finding("A6", "", [hostile], ["<img src=x>"], quick=False))
    return ledger_html(ledger(tree.evidence), {"A4": [("Figure 2", "#figure-2")]})


def test_every_row_leads_to_a_section(html):
    page = parsed(html)
    anchors = [f"claim-{id}" for id in claims()]
    assert page.ids == anchors
    assert page.links == [*(f"#{anchor}" for anchor in anchors), "#figure-2"]


def test_verdicts_are_symbol_and_word(html):
    rows = dict(
        re.findall(r'<tr><th scope="row"><a href="#claim-(\w\d+)">.*?</th>(.*?)</tr>', html)
    )
    # Narrow screens show the symbols alone.
    plain = {id: re.sub(r'<span class="word">(.*?)</span>', r"\1", r) for id, r in rows.items()}
    cells = {
        id: re.findall(r'<span class="verdict (\w+)">(.*?)</span>', r) for id, r in plain.items()
    }
    assert list(cells) == list(claims())
    assert cells["N3"] == [("absent", "–"), ("refuted", "✗ refuted"), ("absent", "○ not run")]
    assert cells["A4"][1] == ("confirmed", "✓ confirmed")


def test_evidence_is_text_and_nothing_else(html):
    assert "<script>" not in html
    assert "<img" not in html
    assert "&lt;script&gt;" in html
    assert "http" not in html


def test_what_was_refuted_keeps_its_reason_and_regimes(html):
    section = html.partition('<h3 id="claim-N3">')[2].partition("</section>")[0]
    assert "pass@256, held out: 0.18" in section
    assert "<li>held out: refuted</li><li>tree: confirmed</li>" in section
    assert "apw claims N3 --run sim" in section
