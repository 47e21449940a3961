"""Convergence of a simulation: mean success over updates and over responses."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from claims.curves import band_in_words, curves_table, runs_beyond
from figures.over_training import draw_curves
from figures.picture import Picture
from figures.style import WIDE, Theme, legend_below, looks, new_figure, probability_axis, title
from sim.divergence import divergences
from theory.clocks import CLOCKS

_CLOCKS = (CLOCKS["updates"], CLOCKS["responses"])


def convergence_picture(metrics: pd.DataFrame, *, target: float = 0.9) -> Picture:
    """Picture of a simulation's convergence.

    Args:
        metrics: Metrics of a simulation.
        target: Level that is marked.

    Raises:
        ValueError: Success or a clock was not measured.

    Source: arXiv 2602.11128, whose two clocks these are.
    """
    table = pd.concat(
        [curves_table(metrics, "success", clock=clock.metric) for clock in _CLOCKS],
        ignore_index=True,
    )
    beyond = pd.concat(
        [runs_beyond(metrics, "success", clock=clock.metric) for clock in _CLOCKS],
        ignore_index=True,
    )

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 2.7)
        panels = figure.subplots(1, 2, sharey=True)
        for axes, clock in zip(panels, _CLOCKS, strict=True):
            part = table[table["clock"] == clock.metric]
            draw_curves(axes, part, theme)
            axes.axhline(target, linewidth=0.7, linestyle=(0, (1, 2)), color="0.5")
            alone = beyond[beyond["clock"] == clock.metric]
            _draw_alone(axes, alone, theme)
            axes.set_xlim(0, _end(part, target, float(alone["reading"].max())))
            axes.set_xlabel(clock.title)
            probability_axis(axes)
        panels[0].set_ylabel("mean success probability")
        names = [str(name) for name in table["scheme"].unique()]
        legend_below(figure, names, columns=len(names), theme=theme)
        return figure

    seeds = int(table["seeds"].max())
    return Picture(
        "convergence",
        "Simulated convergence",
        "Mean success probability of the simulated prompts, over updates (left) and over responses "
        "when every update waits for one correct response (right); the dotted line is the target, "
        "thin lines are runs that went on when the first of their scheme had ended, a cross is "
        "where one diverged, "
        f"{band_in_words(seeds)}. {_in_words(table, target, divergences(metrics))}",
        "Two panels of rising success curves, one per scheme.",
        pd.concat([table, beyond.rename(columns={"value": "mean"})], ignore_index=True),
        draw,
    )


def _draw_alone(axes: Axes, runs: pd.DataFrame, theme: Theme) -> None:
    """Thin lines of single runs beyond their scheme's mean, with a cross where one diverged."""
    styles = looks(runs["scheme"].unique(), theme)
    for (scheme, _), run in runs.groupby(["scheme", "seed"], sort=False):
        color = styles[str(scheme)].color
        axes.plot(run["reading"], run["value"], color=color, linewidth=0.5, alpha=0.6)
        lost = run[run["diverged"]]
        axes.plot(lost["reading"], lost["value"], "x", color=color, markersize=4)


def _arrivals(part: pd.DataFrame, target: float) -> pd.Series:
    """Scheme → first reading at which its mean has reached the target; NaN if it never has."""
    reached = part[part["mean"] >= target].groupby("scheme")["reading"].min()
    return reached.reindex(part["scheme"].unique()).sort_values(kind="stable")


def _in_words(table: pd.DataFrame, target: float, diverged: pd.DataFrame) -> str:
    """Who reaches the target after how many updates, the first first, and who does not."""
    part = table[table["clock"] == "updates"]
    lost = diverged.groupby("scheme")["step"].min().to_dict()
    ends = part.groupby("scheme")[["reading", "mean"]].last().to_dict("index")
    words = []
    for name, time in _arrivals(part, target).items():
        outcome = f"after {time:,.0f}"
        if name in lost:
            outcome = f"{outcome}, then diverged" if np.isfinite(time) else "diverged"
            outcome = f"{outcome} by step {lost[name]:,}"
        elif not np.isfinite(time):
            end = ends[name]
            outcome = f"not within {end['reading']:,.0f} (success {end['mean']:.2g} at the end)"
        words.append(f"{title(str(name))} {outcome}")
    return f"In updates the mean reaches {target:g}: {', '.join(words)}."


def _end(part: pd.DataFrame, target: float, longest: float) -> float:
    """Where the slowest scheme that arrives has arrived, and a fifth more; else the longest run."""
    latest = float(np.nanmax([*_arrivals(part, target), 0.0]))
    return min(longest, 1.2 * latest) if latest > 0 else longest
