"""The look of every figure: one colour, dash and marker per scheme, legible at column width.

Colours are those of Okabe and Ito, which readers with any common colour deficiency can tell apart;
dashes and markers repeat what the colours say, so that a grey print loses nothing. What is no
scheme is grey.
"""

from __future__ import annotations

import contextlib
import contextvars
import dataclasses
import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, StrMethodFormatter
from numpy.typing import ArrayLike

from figures.stacked import COLUMN as COLUMN
from figures.stacked import StackedFigure, fitting_columns
from theory.schemes import SchemeLike, printed
from theory.schemes import in_order as in_order
from theory.schemes import title as title

Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")

WIDE = 7.0
"""Width in inches of such a page."""

_BLACK, _ORANGE, _SKY, _GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
_BLUE, _RED, _PURPLE, _GREY = "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"

_ON_DARK = {
    _BLACK: "#FFFFFF",
    _BLUE: "#3D94D9",
    _SKY: "#9AD8FA",
    _GREY: "#A6A6A6",
    _RED: "#F0762B",
    _GREEN: "#1FBF93",
}
"""Colours that would be too dark on a dark page, lightened."""

Dash = str | tuple[float, tuple[float, ...]]


@dataclasses.dataclass(frozen=True)
class Look:
    """How a scheme is drawn.

    Attributes:
        color: Line and fill colour, as #rrggbb.
        dash: Matplotlib line style.
        marker: Matplotlib marker.
    """

    color: str
    dash: Dash
    marker: str

    def line(self) -> dict[str, Any]:
        """Keyword arguments of ``Axes.plot`` for a curve without markers."""
        return {"color": self.color, "linestyle": self.dash}


_DOT: Dash = (0.0, (1.0, 1.2))
_DASH: Dash = (0.0, (4.5, 1.6))
_SHORT: Dash = (0.0, (2.4, 1.2))
_DASH_DOT: Dash = (0.0, (5.0, 1.4, 1.0, 1.4))
_DASH_DOT_DOT: Dash = (0.0, (5.0, 1.2, 1.0, 1.2, 1.0, 1.2))

_DASHES: dict[str, Dash] = {
    "solid": "-",
    "dot": _DOT,
    "dash": _DASH,
    "short": _SHORT,
    "dash_dot": _DASH_DOT,
    "dash_dot_dot": _DASH_DOT_DOT,
}
"""Matplotlib's line styles by the words that schemes use."""

_VARIANT_COLORS = (_BLUE, _PURPLE, _GREEN, _BLACK, _RED, _SKY, _GREY, _ORANGE)

OPTIMUM = Look(_BLACK, "-", "")
"""How an optimum or a bound is drawn."""


def look(scheme: str, theme: Theme = "light") -> Look:
    """How a scheme is drawn; the same in every figure.

    Args:
        scheme: Name in ``SCHEMES``, with options after a colon or not.
        theme: ``"dark"`` lightens dark colours, black to white.

    Raises:
        ValueError: An unknown scheme.

    >>> look("grpo").color, look("plateau_r:threshold=0.3").marker
    ('#D55E00', 'h')
    """
    return _lit(_own(scheme), theme)


def _own(scheme: str) -> Look:
    found = printed(scheme)
    return Look(found.color, _DASHES.get(found.dash, found.dash), found.marker)


def looks(schemes: Iterable[SchemeLike], theme: Theme = "light") -> dict[str, Look]:
    """How schemes are drawn side by side: variants of one scheme get looks of their own.

    The first variant keeps the scheme's look; the others take colours that no scheme of the
    figure has, and other dashes.

    Args:
        schemes: Names in ``SCHEMES``, with options after a colon or not.
        theme: Light or dark.

    Raises:
        ValueError: An unknown scheme.

    >>> drawn = looks(["grpo", "lens", "lens:parts=mixed"])
    >>> drawn["lens"] == look("lens"), drawn["lens:parts=mixed"].color in ("#E69F00", "#D55E00")
    (True, False)
    """
    names = in_order(schemes)
    found = {name: _own(name) for name in names}
    free = [c for c in _VARIANT_COLORS if c not in {found[name].color for name in names}]
    dashes = [_DASH_DOT_DOT, _SHORT, _DASH, _DOT, _DASH_DOT]
    drawn: dict[str, Look] = {}
    variants = 0
    for name in names:
        style = look(name, theme)
        if style in drawn.values():
            color = free[variants % len(free)] if free else _BLACK
            dash = dashes[variants % len(dashes)]
            style = _lit(dataclasses.replace(found[name], color=color, dash=dash), theme)
            variants += 1
        drawn[name] = style
    return drawn


def optimum(theme: Theme = "light") -> Look:
    """How the optimum is drawn."""
    return _lit(OPTIMUM, theme)


def _lit(found: Look, theme: Theme) -> Look:
    if theme == "dark":
        return dataclasses.replace(found, color=_ON_DARK.get(found.color, found.color))
    return found


def settings(theme: Theme = "light") -> Any:
    """Matplotlib settings of the house style."""
    ink, paper, faint = (
        ("#1a1a1a", "#ffffff", "#d9d9d9") if theme == "light" else ("#e8e8e8", "#17191c", "#3c4046")
    )
    return {
        "font.family": ["DejaVu Sans"],
        "font.size": 7.5,
        "mathtext.fontset": "dejavusans",
        "axes.titlesize": 8.0,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 7.5,
        "axes.linewidth": 0.6,
        "axes.edgecolor": ink,
        "axes.labelcolor": ink,
        "axes.titlecolor": ink,
        "axes.facecolor": paper,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.unicode_minus": True,
        "grid.color": faint,
        "grid.linewidth": 0.4,
        "xtick.labelsize": 7.0,
        "ytick.labelsize": 7.0,
        "xtick.color": ink,
        "ytick.color": ink,
        "xtick.major.width": 0.6,
        "ytick.major.width": 0.6,
        "xtick.minor.width": 0.4,
        "ytick.minor.width": 0.4,
        "legend.fontsize": 7.0,
        "legend.frameon": False,
        "legend.handlelength": 2.6,
        "legend.labelcolor": ink,
        "lines.linewidth": 1.3,
        "lines.markersize": 3.5,
        "text.color": ink,
        "figure.facecolor": paper,
        "figure.constrained_layout.use": True,
        "savefig.facecolor": paper,
        "savefig.dpi": 200,
        "svg.fonttype": "path",
        "svg.hashsalt": "apw",
        "path.simplify": True,
    }


_NARROW = contextvars.ContextVar("narrow", default=False)


@contextlib.contextmanager
def house_style(theme: Theme = "light", *, narrow: bool = False) -> Iterator[None]:
    """Draw in the house style inside the block, whatever the user's own settings are.

    Args:
        theme: Light or dark.
        narrow: Draw for a telephone: a figure wider than a column is as wide as one, and its
            panels, whatever their grid, stand below each other.
    """
    token = _NARROW.set(narrow)
    try:
        with mpl.rc_context():
            mpl.rcdefaults()
            mpl.rcParams.update(settings(theme))
            yield
    finally:
        _NARROW.reset(token)


def is_narrow() -> bool:
    """Whether figures are drawn for a telephone."""
    return _NARROW.get()


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, to be drawn on inside :func:`house_style`, without global state."""
    if is_narrow() and width > COLUMN:
        return StackedFigure(figsize=(COLUMN, height), layout="constrained")
    return Figure(figsize=(width, height), layout="constrained")


def legend_below(
    figure: Figure, schemes: list[str], *, columns: int, theme: Theme, base: str = ""
) -> None:
    """One legend under all panels, with the dashes of the schemes.

    Args:
        figure: The figure.
        schemes: Schemes in the legend.
        columns: Most columns; fewer where the names would not fit.
        theme: Light or dark.
        base: What the model before training is called, where it is drawn.
    """
    lines = {base: base_model(theme)} if base else {}
    lines |= {title(scheme): look for scheme, look in looks(schemes, theme).items()}
    handles = [Line2D([], [], **look.line(), label=name) for name, look in lines.items()]
    rows = -(-len(handles) // min(columns, fitting_columns(list(lines), figure.get_figwidth())))
    figure.legend(handles=handles, loc="outside lower center", ncols=-(-len(handles) // rows))


def probability_axis(axes: Axes) -> None:
    """A vertical axis of probabilities, 0 to 1."""
    axes.set_ylim(-0.02, 1.02)
    axes.set_yticks([0, 0.25, 0.5, 0.75, 1], ["0", "0.25", "0.5", "0.75", "1"])


_GREYS: dict[Theme, tuple[str, ...]] = {
    "light": ("#1A1A1A", "#8A8A8A", "#4D4D4D", "#ABABAB", "#6B6B6B", "#333333"),
    "dark": ("#F2F2F2", "#84898F", "#BDBDBD", "#686D73", "#A3A3A3", "#D9D9D9"),
}
"""Of what is no scheme: colours mean schemes, so that these are told apart in grey."""


def accent(number: int, theme: Theme = "light") -> Look:
    """Looks for curves that are no schemes, in a fixed order: greys, dashes and markers.

    >>> accent(0).color
    '#1A1A1A'
    """
    greys, dashes, markers = _GREYS[theme], ("-", _SHORT, _DASH_DOT, _DOT, _DASH), "osD^vP"
    return Look(
        greys[number % len(greys)], dashes[number % len(dashes)], markers[number % len(markers)]
    )


def base_model(theme: Theme = "light") -> Look:
    """How a model before training is drawn."""
    return _lit(Look(_BLACK, "-", "o"), theme)


def success_axis(axes: Axes, scale: str = "log") -> None:
    """A horizontal axis of success probabilities with plain numbers for ticks.

    Args:
        axes: The panel, its data already drawn.
        scale: ``log``, or ``logit`` to show both ends.
    """
    axes.set_xscale(scale)
    low, high = axes.get_xlim()
    ticks = [0.0001, 0.001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999]
    if scale == "log":
        ticks = [0.0001, 0.001, 0.01, 0.1, 1.0]
    shown = [tick for tick in ticks if low <= tick <= high]
    axes.set_xticks(shown, [f"{tick:g}" for tick in shown])
    axes.set_xticks([], minor=True)


def count_axis(axes: Axes) -> None:
    """A horizontal axis of counts, few enough to be read: 200,000 rather than 200000."""
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def draw_optimum(axes: Axes, x: ArrayLike, y: ArrayLike, theme: Theme, label: str) -> None:
    """Draw an optimum or a limit: a broad pale line behind the curves of the schemes."""
    color = optimum(theme).color
    axes.plot(x, y, color=color, linewidth=3.5, alpha=0.25, label=label, zorder=1)


def draw_excess(
    axes: Axes, excess: Mapping[str, float], theme: Theme, *, longest: float = math.inf
) -> None:
    """Draw bars of excess from 1, the least at the top; schemes that never arrive are left out.

    Args:
        axes: The panel.
        excess: Scheme → ratio to the optimum, at least 1.
        theme: Light or dark.
        longest: Bars end here, with an arrow beside the numbers of those that are longer.
    """
    bars = sorted((name for name in excess if math.isfinite(excess[name])), key=excess.__getitem__)
    ends = [min(excess[name], longest) for name in bars]
    places = range(len(bars), 0, -1)
    colors = [look(name, theme).color for name in bars]
    axes.barh(places, [end - 1 for end in ends], height=0.62, left=1, color=colors)
    for place, name, end in zip(places, bars, ends, strict=True):
        beyond = " →" if excess[name] > longest else ""
        axes.text(end, place, f"  {excess[name]:.2f}{beyond}", va="center", fontsize=6.5)
    axes.axvline(1, color=optimum(theme).color, linewidth=0.8)
    axes.set_yticks(places, [title(name) for name in bars])
    reach = max([0.05, *(end - 1 for end in ends)])
    axes.set_xlim(1 - 0.03 * reach, 1 + 1.28 * reach)
    axes.set_title("excess, 1 = optimal")
    axes.grid(visible=False, axis="y")
