"""Reports: text is escaped, sections are linked, numbers are formatted."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

import pandas as pd
import pytest
from matplotlib.figure import Figure

from figures.picture import Picture
from figures.report import Section, write_report
from figures.style import COLUMN, WIDE, Theme, new_figure


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    hostile = "<script>alert('x')</script> & \"quoted\""
    section = Section(
        title=hostile,
        what=[hostile],
        findings=[hostile],
        commands=[hostile],
        folder=hostile,
        table=pd.DataFrame({hostile: [hostile]}),
        table_caption=hostile,
    )
    environment = {"time": hostile, "packages": {hostile: hostile}}
    file = tmp_path / "report.html"
    write_report(
        file, title=hostile, summary=[hostile], sections=[section], environment=environment
    )
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


def _picture(width: float) -> Picture:
    def draw(_: Theme) -> Figure:
        figure = Figure(figsize=(width, 1.0))
        figure.subplots().plot([0, 1])
        return figure

    return Picture("a b", "Title", "Caption.", "Line.", pd.DataFrame({"x": [1]}), draw)


@pytest.mark.parametrize(("width", "style"), [(WIDE, ""), (COLUMN, "max-width: 25.0rem")])
def test_letters_have_one_size_whatever_a_figures_width(
    tmp_path: Path, width: float, style: str
) -> None:
    file = tmp_path / "report.html"
    section = Section("S", [], pictures=[_picture(width)])
    write_report(file, title="T", summary=[], sections=[section], environment={})
    text = file.read_text(encoding="utf-8")
    assert (f'<picture style="{style}">' if style else "<picture>") in text
    assert "files" not in text.partition("</style>")[2]


def test_figures_lead_to_their_data_and_fragments_stand_as_they_are(tmp_path: Path) -> None:
    file = tmp_path / "report.html"
    section = Section("S", ["words"], html="<b>kept</b>", pictures=[_picture(WIDE)])
    write_report(
        file,
        title="T",
        summary=[],
        sections=[section],
        environment={},
        head="<style>i {}</style>",
        figures="figures",
    )
    section.pictures[0].save(tmp_path / "figures")
    text = file.read_text(encoding="utf-8")
    assert '<figure id="figure-a b">' not in text
    assert "<b>kept</b>" in text
    assert "<style>i {}</style>\n</head>" in text
    addresses = [a for a in re.findall(r'href="([^"]+)"', text) if a.startswith("figures/")]
    assert len(addresses) == 3
    assert all((tmp_path / unquote(address)).is_file() for address in addresses)


@pytest.mark.parametrize("panels", [1, 2])
def test_a_caption_says_that_panels_are_stacked_where_there_are_several(
    tmp_path: Path, panels: int
) -> None:
    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 2)
        figure.subplots(1, panels)
        return figure

    picture = Picture("p", "Panels", "Left is less.", "Panels.", pd.DataFrame({"x": [1]}), draw)
    section = Section(title="Results", what=[], pictures=[picture])
    file = tmp_path / "report.html"
    write_report(file, title="T", summary=[], sections=[section], environment={})
    assert ("stands above" in file.read_text(encoding="utf-8")) == (panels > 1)
