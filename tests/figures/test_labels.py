"""Labels of pictures: none lies on another one, none is cut at the edge of the figure."""

from __future__ import annotations

import itertools

import pytest
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import Bbox

from claims.records import PUBLISHED, read_records
from figures.catalogue import THEORY
from figures.claim_tables import claim_pictures
from figures.picture import Picture
from figures.style import COLUMN, house_style, new_figure

RECORDS = {
    (source, *key): record
    for source in ("sim", "llm")
    for key, record in read_records(PUBLISHED[source]).items()
}


def labels(figure: Figure) -> list[tuple[str, Bbox]]:
    """Texts that are drawn, with their places in pixels."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    beyond = {
        label
        for axes in figure.axes
        for axis in (axes.xaxis, axes.yaxis)
        for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks())
        for label in (tick.label1, tick.label2)
        if not axes.get_visible() or not _inside(tick.get_loc(), axis)
    }
    renderer = canvas.get_renderer()
    return [
        (text.get_text(), text.get_window_extent(renderer))
        for text in figure.findobj(Text)
        if text.get_visible() and text.get_text().strip() and text not in beyond
        if text.get_rotation() % 90 == 0  # the box of what is aslant says little
    ]


def _inside(place: float, axis: Axis) -> bool:
    """Ticks beyond the limits of an axis have labels that are not drawn."""
    low, high = sorted(axis.get_view_interval())
    return bool(low <= place <= high)


def faults(figure: Figure) -> list[str]:
    """What cannot be read."""
    found = labels(figure)
    edge = figure.bbox.padded(2)
    cut = [
        f"{words!r} is cut"
        for words, box in found
        if box.x0 < edge.x0 or box.x1 > edge.x1 or box.y0 < edge.y0 or box.y1 > edge.y1
    ]
    lies = []
    for (one, a), (two, b) in itertools.combinations(found, 2):
        shared = Bbox.intersection(a, b)
        # Boxes hold a margin that letters do not fill.
        if (
            shared is not None
            and shared.width > 1
            and shared.height > 0.3 * min(a.height, b.height)
        ):
            lies.append(f"{one!r} lies on {two!r}")
    return cut + lies


def unread(picture: Picture) -> list[str]:
    """What cannot be read of a picture, on a page or on a telephone."""
    found = []
    for narrow in (False, True):
        with house_style(narrow=narrow):
            figure = picture.draw("light")
            found += [f"{words}, narrow" if narrow else words for words in faults(figure)]
            if narrow and figure.get_figwidth() > COLUMN:
                found.append("it is too wide for a telephone")
    return found


def test_faults_are_found() -> None:
    figure = new_figure(3.0, 2.0)
    figure.text(0.2, 0.5, "one")
    figure.text(0.22, 0.51, "two")
    figure.text(0.95, 0.8, "beyond the edge")
    assert faults(figure) == ["'beyond the edge' is cut", "'one' lies on 'two'"]


@pytest.mark.parametrize("name", THEORY)
def test_every_label_of_a_theory_picture_can_be_read(name: str) -> None:
    assert unread(THEORY[name]()) == []


@pytest.mark.parametrize("key", RECORDS, ids="-".join)
def test_every_label_of_a_claims_pictures_can_be_read(key: tuple[str, ...]) -> None:
    for picture in claim_pictures(RECORDS[key]):
        assert unread(picture) == [], picture.name
