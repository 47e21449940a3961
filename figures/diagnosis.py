"""Picture of a diagnosis: what groups came to over the steps, and where schemes put their mass."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from figures.picture import Picture
from figures.style import (
    COLUMN,
    WIDE,
    Theme,
    accent,
    in_order,
    is_narrow,
    look,
    new_figure,
    probability_axis,
    title,
)
from rollouts.credit import parts_of
from rollouts.outcomes import DIFFICULTIES

MOST_STEPS = 120
"""With more steps than these the picture shows bins of steps."""

_SHARES = {"all_wrong": "all wrong", "mixed": "mixed", "all_right": "all right"}
_COLORS = {
    "light": {"all_wrong": "#4D4D4D", "mixed": "#B3B3B3", "all_right": "#E4E4E4"},
    "dark": {"all_wrong": "#D0D0D0", "mixed": "#767B82", "all_right": "#33373D"},
}


_BEHIND = {"light": "#E4E4E4", "dark": "#33373D"}
"""Colours of the bars that stand behind the others."""


def diagnosis_picture(steps: pd.DataFrame, mass: pd.DataFrame, scheme: str) -> Picture:
    """Shares of all-wrong, mixed and all-right groups over the steps beside gradient mass.

    Args:
        steps: Table of :func:`rollouts.tables.step_table`.
        mass: Table of :func:`rollouts.tables.mass_table` for the whole run.
        scheme: The scheme that was trained with.

    Source: the measures of arXiv 2602.11128 and 2510.08696.
    """
    shares = steps.melt(["step", "last_step"], list(_SHARES), "what", "value")
    masses = mass.assign(what=mass["scheme"] + ", " + mass["difficulty"], value=mass["share"])
    table = pd.concat(
        [shares.assign(panel="groups"), masses[["what", "value"]].assign(panel="mass")],
        ignore_index=True,
    )[["panel", "step", "last_step", "what", "value"]]

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 2.9)
        left, right = figure.subplots(1, 2, width_ratios=[1, 1.25])
        _draw_shares(left, steps, theme)
        _draw_mass(right, mass, theme)
        return figure

    lead = steps["all_wrong"].iloc[-1]
    return Picture(
        "diagnosis",
        "What the groups came to, and what they teach",
        f"Left: share of the groups with no, some and only correct responses; at the end "
        f"{lead:.0%} are all wrong. Right: share of the gradient mass Σ|A| that each scheme gives "
        f"to groups by their pass rate, in front of the share of the groups themselves (wide "
        f"bars), over the whole run; the run used {title(scheme)}.",
        "Stacked shares of three kinds of groups over training steps; grouped bars of gradient "
        "mass by pass rate, one colour per scheme.",
        table,
        draw,
    )


def shares_picture(steps: pd.DataFrame) -> Picture:
    """Shares of all-wrong, mixed and all-right groups over the steps, as wide as a column.

    Args:
        steps: Table of :func:`rollouts.tables.step_table`.
    """

    def draw(theme: Theme) -> Figure:
        figure = new_figure(COLUMN, 2.6)
        _draw_shares(figure.subplots(), steps, theme)
        return figure

    lead = steps["all_wrong"].iloc[-1]
    return Picture(
        "shares",
        "What the groups came to",
        f"Share of the groups with no, some and only correct responses; at the end {lead:.0%} are "
        "all wrong.",
        "Stacked shares of three kinds of groups over training steps.",
        steps[["step", "last_step", *_SHARES]],
        draw,
    )


def credit_picture(credit: pd.DataFrame) -> Picture:
    """Where Σ|A| of the log lies by difficulty, and what it was made of.

    Args:
        credit: Table of :func:`rollouts.credit.credit_table`.
    """
    rows = credit.iloc[:-1]
    names = ["outcome", *parts_of(credit), "noise"]
    shares = rows["share"].fillna(0.0)
    table = pd.DataFrame({name: shares * rows[name].fillna(0.0) for name in names})
    table = table.assign(unsplit=shares * (1 - rows["split"].fillna(1.0)))
    table[names] = table[names].mul(rows["split"].fillna(1.0), axis=0)
    data = table.assign(difficulty=rows["difficulty"]).melt("difficulty", None, "part", "share")

    def draw(theme: Theme) -> Figure:
        figure = new_figure(COLUMN, 2.6)
        axes = figure.subplots()
        above, below = np.zeros(len(rows)), np.zeros(len(rows))
        for place, name in enumerate([*names, "unsplit"]):
            values = table[name].to_numpy(float)
            if not np.abs(values).sum() > 1e-9:
                continue
            base = np.where(values >= 0, above, below)
            axes.bar(
                range(len(rows)),
                values,
                0.8,
                bottom=base,
                color=_part_color(name, place, theme),
                label=drawable(name),
                hatch="////" if name == "noise" else "",
                edgecolor=axes.get_facecolor(),
                linewidth=0,
            )
            above, below = above + values.clip(min=0), below + values.clip(max=0)
        _difficulty_axis(axes, fontsize=6)
        axes.set_title("share of Σ|A| in the log")
        _legend(axes, 2, below=0.22)
        return figure

    return Picture(
        "credit",
        "What the advantages were made of",
        f"Share of Σ|A| of the advantages in the log by the group's pass rate; "
        f"{shares.iloc[0]:.0%} lies in groups without a correct response. Parts below 0 pull "
        "against the advantages.",
        "Stacked bars of Σ|A| by pass rate, one grey for the outcome, each component of the "
        "reward, and hatched noise.",
        data,
        draw,
    )


def _part_color(name: str, place: int, theme: Theme) -> str:
    return _BEHIND[theme] if name == "unsplit" else accent(place, theme).color


def course_picture(steps: pd.DataFrame, column: str, words: str) -> Picture:
    """How one number of a run went over its steps.

    Args:
        steps: Table of :func:`rollouts.tables.step_table`.
        column: The number's column.
        words: What it is called.
    """
    known = steps.dropna(subset=[column])

    def draw(theme: Theme) -> Figure:
        figure = new_figure(COLUMN, 2.2)
        axes = figure.subplots()
        style = accent(0, theme)
        axes.plot(known["step"], known[column], color=style.color, marker="o", markersize=2)
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_title(words)
        axes.set_xlabel("training step")
        return figure

    return Picture(
        "course",
        f"{words.capitalize()} over the steps",
        f"{words.capitalize()} at each step or in each bin of steps.",
        f"A line of the {words} over training steps.",
        known[["step", "last_step", column]],
        draw,
    )


def age_picture(ages: pd.DataFrame) -> Picture:
    """What importance weights would keep of responses by their age.

    Args:
        ages: Table of :func:`rollouts.tables.age_table` with ``effective_sample_size``.
    """

    def draw(theme: Theme) -> Figure:
        figure = new_figure(COLUMN, 2.2)
        axes = figure.subplots()
        axes.bar(ages["age"], ages["share"], 0.96, color=_BEHIND[theme], label="responses")
        axes.bar(
            ages["age"],
            ages["effective_sample_size"],
            0.5,
            color=accent(0, theme).color,
            label="effective sample",
        )
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        probability_axis(axes)
        axes.set_title("share by age")
        axes.set_xlabel("updates since sampling")
        _legend(axes, 2, below=0.22)
        return figure

    return Picture(
        "ages",
        "How old the responses were",
        "Share of the responses by the number of updates since they were sampled (wide bars), and "
        "the share of each that importance weights would keep.",
        "Bars over the age of responses.",
        ages,
        draw,
    )


def drawable(text: str, most: int = 28) -> str:
    r"""A name from a log as Matplotlib may draw it: no formulas, nothing that its font lacks.

    >>> print(drawable("cost in $"), drawable("a\x00b"))
    cost in \$ a?b
    """
    plain = "".join(c if c.isprintable() and c.isascii() else "?" for c in text)
    return (plain if len(plain) <= most else f"{plain[: most - 1]}…").replace("$", r"\$")


def _draw_shares(axes: Axes, steps: pd.DataFrame, theme: Theme) -> None:
    colors = _COLORS[theme]
    x = np.append(steps["step"].to_numpy(float), float(steps["last_step"].iloc[-1]) + 1)
    below = np.zeros(len(steps))
    for name, words in _SHARES.items():
        above = below + steps[name].to_numpy()
        axes.fill_between(
            x,
            np.append(below, below[-1]),
            np.append(above, above[-1]),
            step="post",
            color=colors[name],
            linewidth=0,
            label=words,
        )
        below = above
    axes.set_xlim(x[0], x[-1])
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    probability_axis(axes)
    axes.set_ylim(0, 1)
    axes.grid(False)
    axes.set_title("share of the groups")
    axes.set_xlabel("training step")
    _legend(axes, 3)


def _draw_mass(axes: Axes, mass: pd.DataFrame, theme: Theme) -> None:
    names = in_order(mass["scheme"].unique())
    width = 0.84 / len(names)
    groups = mass[mass["scheme"] == names[0]].set_index("difficulty").loc[list(DIFFICULTIES)]
    axes.bar(
        range(len(DIFFICULTIES)),
        groups["groups"] / groups["groups"].sum(),
        0.96,
        color=_BEHIND[theme],
        label="all groups",
        linewidth=0,
    )
    for number, name in enumerate(names):
        rows = mass[mass["scheme"] == name].set_index("difficulty").loc[list(DIFFICULTIES)]
        where = np.arange(len(DIFFICULTIES)) + (number + 0.5) * width - 0.42
        axes.bar(
            where,
            rows["share"].fillna(0.0),
            width * 0.9,
            color=look(name, theme).color,
            label=title(name),
            linewidth=0,
        )
    _difficulty_axis(axes, fontsize=6 if is_narrow() else 7)
    axes.set_title("share of the gradient mass Σ|A|")
    axes.set_ylim(bottom=0)
    _legend(axes, 3 if is_narrow() else 4)


def _difficulty_axis(axes: Axes, fontsize: float) -> None:
    axes.set_xticks(range(len(DIFFICULTIES)), DIFFICULTIES, fontsize=fontsize)
    axes.tick_params(axis="x", length=0)
    axes.grid(False, axis="x")
    axes.set_xlabel("pass rate of the group")


def _legend(axes: Axes, columns: int, below: float = 0.2) -> None:
    """A legend under a panel, ``below`` of its height away."""
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -below), ncols=columns, handlelength=1.2)
