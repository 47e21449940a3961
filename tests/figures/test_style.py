"""One look per scheme, told apart in colour and in grey."""

from __future__ import annotations

import itertools

import matplotlib as mpl
import pytest
from matplotlib.colors import to_rgb

from figures.style import (
    THEMES,
    Theme,
    accent,
    house_style,
    in_order,
    look,
    looks,
    new_figure,
    optimum,
    success_axis,
    title,
)
from theory.schemes import SCHEMES


def luminance(color: str) -> float:
    """Relative luminance, WCAG 2.1."""
    parts = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(color)]
    return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2]


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_every_pair_of_schemes_differs_in_dash_and_colour_together_and_in_marker() -> None:
    for one, other in itertools.combinations(SCHEMES, 2):
        a, b = look(one), look(other)
        assert (a.color, a.dash) != (b.color, b.dash), (one, other)
        assert a.marker != b.marker, (one, other)


def test_the_five_schemes_of_the_demo_differ_in_dash_alone() -> None:
    dashes = [look(name).dash for name in ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")]
    assert len(set(dashes)) == len(dashes)


@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("name", SCHEMES)
def test_lines_stand_out_from_the_page(name: str, theme: Theme) -> None:
    paper = "#ffffff" if theme == "light" else "#17191c"
    # WCAG asks 3:1 of graphics; sky blue and orange on white fall short of it, and so do the
    # papers that use this palette: dashes and a legend carry what contrast does not.
    least = 2.0 if theme == "light" else 3.0
    assert contrast(look(name, theme).color, paper) >= least
    assert contrast(optimum(theme).color, paper) > 10


def test_options_do_not_change_the_look_and_unknown_schemes_are_refused() -> None:
    assert look("plateau_r:threshold=0.2") == look("plateau_r")
    assert title("plateau_r:threshold=0.2") == "Plateau-R (threshold=0.2)"
    with pytest.raises(ValueError, match="unknown scheme"):
        look("gpro")


def test_variants_of_a_scheme_differ_from_each_other_and_from_the_rest() -> None:
    names = ["grpo", "lens", "lens:parts=mixed", "lens:parts=negative", "sqrt_r"]
    drawn = looks(names)
    assert drawn["lens"] == look("lens")
    pairs = {(style.color, style.dash) for style in drawn.values()}
    assert len(pairs) == len({style.color for style in drawn.values()}) == len(names)


def test_legends_follow_the_registry() -> None:
    assert in_order(["uniform_r", "grpo", "rloo", "grpo"]) == ["rloo", "grpo", "uniform_r"]
    assert len({accent(number).color for number in range(6)}) == 6


def test_the_style_ends_with_its_block_and_ignores_the_users(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(mpl.rcParams, "lines.linewidth", 9.0)
    with house_style():
        inside = mpl.rcParams["lines.linewidth"]
    assert inside < 2
    assert mpl.rcParams["lines.linewidth"] == 9.0


def test_ticks_of_success_are_plain_numbers() -> None:
    axes = new_figure(3, 2).subplots()
    axes.plot([0.001, 0.9], [1, 1])
    success_axis(axes)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0.001", "0.01", "0.1", "1"]
