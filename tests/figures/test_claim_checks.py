"""Forest plots of claims: every check drawn at its place, whatever was measured."""

import math

import pytest

from claims.verdicts import above, below, finding, near, primary_regime
from figures.claim_checks import claim_checks_picture
from figures.style import house_style

NEAR = near("time over predicted", 2.0, [2.1, 1.9, 2.2], 0.05)
ABOVE = above("gain of a scheme whose name goes on and on, " * 3, 0.5, [0.7, 0.9])
BELOW = below("loss", 0.0, [0.2, 0.3])


def points(figure):
    """Where markers are, panel by panel, from top to bottom."""
    return [
        [line.get_xdata()[0] for line in axes.lines if line.get_marker() in ("o", "X", "D")]
        for axes in figure.axes
    ]


def drawn(checks, theme="light"):
    found = finding("A4", "sooner.", checks, ["rule"], quick=True)
    with house_style(theme):
        return claim_checks_picture(found).draw(theme)


def test_places_are_relative_to_the_prediction():
    panels = points(drawn([NEAR, ABOVE, BELOW]))
    assert panels[0] == pytest.approx([NEAR.measurement / 2])
    # As predicted is to the right, whether the bound is a floor or a ceiling.
    assert panels[1] == pytest.approx([0.8 - 0.5, 0.0 - 0.25])


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_what_was_not_measured_or_never_ended_is_still_drawn(theme):
    figure = drawn(
        [above("never measured", 0.0, []), below("never", 1.0, [math.inf, 2.0]), BELOW], theme
    )
    (axes,) = figure.axes
    assert "not measured" in [text.get_text() for text in axes.texts]
    left, right = axes.get_xlim()
    marks = points(figure)[0]
    assert len(marks) == 2
    assert marks[0] == left < marks[1] < right


def test_regimes_are_headings_and_the_table_has_every_check():
    found = primary_regime("N3", "falls", {"tree": [ABOVE], "bandit": [BELOW]}, quick=True)
    picture = claim_checks_picture(found)
    assert list(picture.data["verdict"]) == [check.verdict for check in found.checks]
    with house_style():
        (axes,) = picture.draw("light").axes
    assert [text.get_text() for text in axes.texts] == ["tree", "bandit"]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[1] == "loss"
    assert f"falls: {found.verdict} (quick run)" in picture.caption
    assert picture.render("png") == claim_checks_picture(found).render("png")


def test_nothing_to_draw_is_refused():
    with pytest.raises(ValueError, match="no checks to draw"):
        claim_checks_picture(finding("A4", "", [], [], quick=True))
