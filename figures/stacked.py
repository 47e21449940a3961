"""Figures for telephones: panels that stand side by side elsewhere stand below each other."""

from __future__ import annotations

import itertools
import textwrap
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend import Legend

COLUMN = 3.4
"""Width in inches of a column of a two-column paper, and of a telephone's page."""

_PAD = 0.08
"""Inches above and below a panel."""

_BETWEEN = 0.35
"""Inches for the words between two panels, which they share where they stand side by side."""

Grid = Sequence[Sequence[Axes]]

_HEIGHT = 0.88
"""Height of a panel that stands alone in its row over that of the whole figure side by side."""


def fitting_columns(labels: Sequence[str], width: float) -> int:
    """Columns of a legend that fit beside each other.

    Args:
        labels: What it says.
        width: Of the figure, in inches.

    >>> fitting_columns(["GRPO", "Uniform-R"], 3.4)
    3
    """
    # A letter is about 0.055 inches wide, a handle with its gaps 0.45.
    return max(1, int(width / (0.45 + 0.055 * max(map(len, labels)))))


class StackedFigure(Figure):
    """A figure that is asked for a grid of panels and puts them into one column, row by row.

    What a panel would leave to its neighbours, since it stands beside them, it says itself: the
    labels of shared axes, and a title that stands at the head of its row.

    Attributes:
        is_stacked: Whether there are panels that stand below each other here alone.
    """

    is_stacked = False
    _grid: Grid = ()

    def subplots(self, nrows: int = 1, ncols: int = 1, **options: Any) -> Any:
        """As Matplotlib's, of which the options for sharing, ratios and ``squeeze`` are known."""
        if ncols == 1:
            return super().subplots(nrows, ncols, **options)
        rows = options.pop("height_ratios", None) or [1.0] * nrows
        options.pop("width_ratios", None)
        sharing = {axis: options.pop(f"share{axis}", False) for axis in "xy"}
        squeeze = options.pop("squeeze", True)
        cells = self._column([height for height in rows for _ in range(ncols)], nrows)
        grid: list[list[Axes]] = [[] for _ in range(nrows)]
        for row, column in itertools.product(range(nrows), range(ncols)):
            shared = {f"share{a}": _first(grid, row, column, how) for a, how in sharing.items()}
            cell = cells[row * ncols + column]
            grid[row].append(self.add_subplot(cell, **shared, **options))
        self._grid = grid
        found = np.array(grid, dtype=object)
        return found.squeeze() if squeeze else found

    def subplot_mosaic(self, mosaic: Any, **options: Any) -> Any:
        """As Matplotlib's for a list of rows of names, column by column."""
        rows = options.pop("height_ratios", None) or [1.0] * len(mosaic)
        options.pop("width_ratios", None)
        heights: dict[str, float] = {}
        for column in zip(*mosaic, strict=True):
            for name in dict.fromkeys(column):
                parts = zip(column, rows, strict=True)
                heights.setdefault(name, sum(part for own, part in parts if own == name))
        cells = self._column([h * len(rows) / sum(rows) for h in heights.values()], len(rows))
        return {
            name: self.add_subplot(cell, **options)
            for name, cell in zip(heights, cells, strict=True)
        }

    def legend(self, *args: Any, **options: Any) -> Legend:
        """As Matplotlib's, with no more columns than fit."""
        handles = options.get("handles") or args[0]
        labels = args[1] if len(args) > 1 else [handle.get_label() for handle in handles]
        fitting = fitting_columns(labels, self.get_figwidth())
        options["ncols"] = min(options.get("ncols", 1), fitting)
        return super().legend(*args, **options)

    def draw(self, renderer: Any) -> None:
        """Say what the neighbours say, and draw."""
        _complete(self._grid)
        for axes in self.axes:
            room = _room(axes)
            axes.set_xlabel(_broken(axes.get_xlabel(), int(room / 0.058)))
            axes.set_title(_broken(axes.get_title("left"), int(room / 0.07)), loc="left")
        super().draw(renderer)

    def _column(self, heights: Sequence[float], rows: int) -> Any:
        """Cells below each other, of heights in rows of the grid that was asked for."""
        self.is_stacked = True
        self.get_layout_engine().set(h_pad=_PAD)  # type: ignore[union-attr, call-arg]
        height = _HEIGHT * self.get_figheight() * sum(heights) / rows
        self.set_figheight(height + _BETWEEN * (len(heights) - rows))
        return self.add_gridspec(len(heights), 1, height_ratios=heights)


def _room(axes: Axes) -> float:
    """Width in inches beside the names at a panel's vertical axis; a letter takes about 0.05."""
    names = [line for text in axes.get_yticklabels() for line in text.get_text().split("\n")]
    return COLUMN - 0.4 - 0.05 * max([5, *map(len, names)])


def _broken(text: str, letters: int) -> str:
    r"""Lines of at most so many letters, and never fewer lines than before.

    >>> _broken("one two\nthree", 5)
    'one\ntwo\nthree'
    """
    return "\n".join(textwrap.fill(line, letters) for line in text.split("\n"))


def _first(grid: Grid, row: int, column: int, how: bool | str) -> Axes | None:
    """The panel that one shares its axis with; none where it is the first of its kind."""
    corners = {True: (0, 0), "all": (0, 0), "row": (row, 0), "col": (0, column)}
    corner = corners.get(how)
    return None if corner in (None, (row, column)) else grid[corner[0]][corner[1]]


def _complete(grid: Grid) -> None:
    for row in grid:
        for axes, below in zip(row, grid[-1], strict=True):
            axes.set_ylabel(axes.get_ylabel() or row[0].get_ylabel())
            axes.set_xlabel(axes.get_xlabel() or below.get_xlabel())
            axes.set_title(axes.get_title("left") or row[0].get_title("left"), loc="left")
