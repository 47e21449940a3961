"""Pictures: the same bytes for the same data, the data beside them, two themes."""

from __future__ import annotations

import xml.etree.ElementTree
from pathlib import Path

import pandas as pd
import pytest
from matplotlib.figure import Figure

from figures.picture import Picture
from figures.style import Theme, new_figure


def line(values: list[float]) -> Picture:
    table = pd.DataFrame({"x": range(len(values)), "y": values})

    def draw(theme: Theme) -> Figure:
        figure = new_figure(2, 1.5)
        figure.subplots().plot(table["x"], table["y"])
        return figure

    return Picture("line", "A line", "It rises.", "A rising line.", table, draw)


@pytest.mark.parametrize("kind", ["png", "svg"])
def test_the_same_data_give_the_same_bytes(kind: str) -> None:
    assert line([1, 2]).render(kind) == line([1, 2]).render(kind)
    assert line([1, 2]).render(kind) != line([1, 3]).render(kind)


def test_themes_differ() -> None:
    picture = line([1, 2])
    assert picture.render("svg", "dark") != picture.render("svg", "light")


def test_saving_writes_picture_data_and_caption(tmp_path: Path) -> None:
    files = line([1, 2.5]).save(tmp_path)
    assert [file.name for file in files] == ["line.png", "line.svg", "line.csv", "line.txt"]
    assert files[0].read_bytes().startswith(b"\x89PNG")
    assert xml.etree.ElementTree.parse(files[1]).getroot().tag.endswith("svg")
    assert pd.read_csv(files[2])["y"].tolist() == [1.0, 2.5]
    assert files[3].read_text() == "A line\n\nIt rises.\n"


def test_a_file_name_decides_the_kind(tmp_path: Path) -> None:
    line([1, 2]).save_as(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().startswith("<?xml")
    assert (tmp_path / "a.csv").exists()
    with pytest.raises(ValueError, match=r"must end in \.png or \.svg; got a\.jpg"):
        line([1, 2]).save_as(tmp_path / "a.jpg")
