"""A claim's checks as a forest plot: what was measured, how sure it is, what was predicted."""

from __future__ import annotations

import dataclasses
import math
import re
import textwrap
from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from claims.verdicts import Check, Finding, regime_verdicts
from figures.picture import Picture
from figures.style import WIDE, Look, Theme, accent, is_narrow, new_figure
from runs.text import plural

_ROW = 0.16
"""Height of a line of text in inches."""

_LETTERS, _FEW_LETTERS = 62, 30
"""Letters of a check's name per line."""

_NUMBER = re.compile(r" (?=[-−]?\d)")
"""The space before a number, where no line is broken."""

_MARKS = {"confirmed": (2, "o"), "refuted": (0, "X"), "no effect": (1, "s"), "open": (5, "D")}
"""Verdict → accent colour and marker; a hollow marker is undecided."""


def claim_checks_picture(found: Finding) -> Picture:
    """Picture of a finding: one row per check, with its interval, its prediction and its verdict.

    Checks of closeness are drawn as measured over predicted, with the tolerance as a band around
    1. Checks against a bound are drawn as the distance to it, positive on the side that was
    predicted. Either kind has a panel of its own, with regimes as headings.

    Args:
        found: A finding of either source.

    Raises:
        ValueError: A finding without checks.

    Source: the finding itself.
    """
    if not found.checks:
        raise ValueError(f"finding {found.id} has no checks to draw")
    kinds = [
        [check for check in found.checks if (check.relation == "near") == near]
        for near in (True, False)
    ]
    kinds = [checks for checks in kinds if checks]

    def draw(theme: Theme) -> Figure:
        heights = [_rows(checks)[-1].bottom for checks in kinds]
        figure = new_figure(WIDE, _ROW * (sum(heights) + 5 * len(kinds)) + 0.3)
        grid = figure.subplots(len(kinds), 1, squeeze=False, height_ratios=heights)
        for axes, checks in zip(grid[:, 0], kinds, strict=True):
            _draw_panel(axes, checks, theme)
        _legend(figure, {check.verdict for check in found.checks}, theme)
        return figure

    table = pd.DataFrame([_record(check) for check in found.checks])
    counted = table["verdict"].value_counts()
    parts = ", ".join(f"{number} {verdict}" for verdict, number in counted.items())
    tried = [*map(" ".join, regime_verdicts(found).items()), *found.regimes]
    regimes = f" Regimes: {'; '.join(tried)}." if tried else ""
    return Picture(
        f"claim_{found.id.lower()}",
        f"Claim {found.id}",
        f"{found.claim.strip().rstrip('.')}: {found.verdict}{' (quick run)' * found.quick}. "
        f"{plural(table, 'check')}: {parts}. {_sampling(found.checks)}{regimes}",
        f"Forest plot of {plural(table, 'check')} of claim {found.id}: {parts}.",
        table,
        draw,
    )


def _sampling(checks: Sequence[Check]) -> str:
    """What the marks and lines are, by what the checks were sampled from."""
    seeds = sorted({check.seeds for check in checks if check.seeds and not check.exact})
    if not seeds:
        return "Nothing in it was sampled." if checks[0].exact else "Nothing was measured."
    if seeds == [1]:
        return "One sample each, hence no interval."
    runs = f"{seeds[0]}" if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
    return f"Mean and 95% interval over {runs} samples."


@dataclasses.dataclass(frozen=True)
class _Row:
    """A line of the plot: a check or, without one, the heading of a regime."""

    text: str
    check: Check | None
    middle: float
    bottom: float


def _rows(checks: Sequence[Check]) -> list[_Row]:
    letters = _FEW_LETTERS if is_narrow() else _LETTERS
    rows: list[_Row] = []
    below, regime = 0.0, ""
    for check in checks:
        if check.regime != regime:
            regime = check.regime
            heading = textwrap.wrap(regime, letters - 4)
            more = 0.85 * (len(heading) - 1)
            rows.append(_Row("\n".join(heading), None, below + 0.8 + more / 2, below + 1.3 + more))
            below += 1.3 + more
        lines = textwrap.wrap(_NUMBER.sub("\u00a0", check.label), letters)
        height = max(1.0, 0.85 * len(lines)) + 0.15
        rows.append(_Row("\n".join(lines), check, below + height / 2, below + height))
        below += height
    return rows


def _draw_panel(axes: Axes, checks: Sequence[Check], theme: Theme) -> None:
    rows = _rows(checks)
    drawn = {row.check: _on_axis(row.check) for row in rows if row.check}
    finite = [value for values in drawn.values() for value in values if math.isfinite(value)]
    closeness = checks[0].relation == "near"
    origin = 1.0 if closeness else 0.0
    reach = max([abs(value - origin) for value in finite] + [_tolerance(checks)]) or 1.0
    low = min([origin - 0.15 * reach, *finite])
    high = max([origin + 0.15 * reach, *finite])
    if closeness:
        low, high = min(low, origin - _tolerance(checks)), max(high, origin + _tolerance(checks))
    margin = 0.06 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    axes.set_ylim(rows[-1].bottom + 0.3, -0.2)
    axes.axvline(origin, color="0.5", linewidth=0.8)
    axes.grid(axis="y", visible=False)
    for row in rows:
        if row.check is None:
            axes.text(
                -0.01,
                row.middle,
                row.text,
                transform=axes.get_yaxis_transform(),
                ha="right",
                va="center",
                fontweight="bold",
                fontsize=7,
            )
        else:
            _draw_check(axes, row.check, row.middle, drawn[row.check], theme)
    shown = [row for row in rows if row.check]
    axes.set_yticks([row.middle for row in shown], [row.text for row in shown])
    axes.tick_params(axis="y", length=0, labelsize=6.5)
    words = (
        "measured / predicted (band: tolerance)"
        if closeness
        else "distance to the bound (right of the line: as predicted)"
    )
    if is_narrow():
        words = textwrap.fill(words, 22)
        axes.xaxis.set_major_locator(MaxNLocator(3))
    axes.set_xlabel(words)


def _draw_check(
    axes: Axes, check: Check, height: float, values: tuple[float, float, float], theme: Theme
) -> None:
    look, marker = _look(check.verdict, theme)
    mean, low, high = values
    if check.relation == "near":
        width = 2 * check.tolerance
        axes.barh(height, width, 0.8, 1 - check.tolerance, color="0.5", alpha=0.18, linewidth=0)
    if math.isnan(mean):
        axes.text(0.5, height, "not measured", transform=axes.get_yaxis_transform(), va="center")
        return
    left, right = axes.get_xlim()
    low, mean, high = (float(np.clip(value, left, right)) for value in (low, mean, high))
    axes.plot([low, high], [height, height], color=look.color, linewidth=1.1)
    face = "none" if check.verdict == "open" else look.color
    axes.plot(
        mean,
        height,
        marker=marker,
        color=look.color,
        markerfacecolor=face,
        markersize=4,
        linestyle="none",
        clip_on=False,
    )


def _on_axis(check: Check) -> tuple[float, float, float]:
    """Mean and interval as drawn; the interval's ends in any order."""
    values = (check.measurement, check.low, check.high)
    if check.relation == "near":
        mean, low, high = (value / check.prediction for value in values)
    elif check.relation == "above":
        mean, low, high = (value - check.prediction for value in values)
    else:
        mean, low, high = (check.prediction - value for value in values)
    return mean, low, high


def _tolerance(checks: Sequence[Check]) -> float:
    return max(check.tolerance for check in checks)


def _look(verdict: str, theme: Theme) -> tuple[Look, str]:
    number, marker = _MARKS[verdict]
    return accent(number, theme), marker


def _legend(figure: Figure, verdicts: set[str], theme: Theme) -> None:
    handles = []
    for verdict in _MARKS:
        if verdict in verdicts:
            look, marker = _look(verdict, theme)
            face = "none" if verdict == "open" else look.color
            handles.append(
                Line2D(
                    [],
                    [],
                    color=look.color,
                    marker=marker,
                    markerfacecolor=face,
                    markersize=4,
                    label=verdict,
                )
            )
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))


def _record(check: Check) -> dict[str, object]:
    fields = dataclasses.asdict(check)
    del fields["samples"]
    return {**fields, "seeds": check.seeds}
