"""Reports: text is escaped, sections are linked, numbers are formatted."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from figures.report import Section, write_report


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    hostile = "<script>alert('x')</script> & \"quoted\""
    section = Section(
        title=hostile, what=[hostile], findings=[hostile], commands=[hostile], folder=hostile,
        table=pd.DataFrame({hostile: [hostile]}), table_caption=hostile,
    )  # fmt: skip
    environment = {"time": hostile, "packages": {hostile: hostile}}
    file = tmp_path / "report.html"
    write_report(file, title=hostile, summary=[hostile], sections=[section],
                 environment=environment)  # fmt: skip
    text = file.read_text(encoding="utf-8")
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 10


def test_sections_are_linked_and_numbers_have_three_decimals(tmp_path: Path) -> None:
    table = pd.DataFrame({"scheme": ["GRPO"], "excess": [1.55470]})
    file = tmp_path / "report.html"
    section = Section("First part: a", ["b"], table=table)
    environment = {"python": "3.11", "commit": None}
    write_report(file, title="T", summary=[], sections=[section], environment=environment)
    text = file.read_text(encoding="utf-8")
    assert '<a href="#first-part--a">' in text
    assert 'id="first-part--a"' in text
    assert '<td class="number">1.555</td>' in text
    assert "3.11" in text
    assert "Commit" not in text
