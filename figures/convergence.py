"""Convergence of a simulation: mean success over what its updates pay for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from claims.curves import band_in_words, curves_table, runs_beyond
from figures.over_training import draw_curves
from figures.picture import Picture
from figures.style import (
    WIDE,
    Theme,
    count_axis,
    legend_below,
    looks,
    new_figure,
    probability_axis,
    title,
)
from runs.text import listed
from sim.divergence import divergences
from sim.prediction import clocks_of
from sim.summary import CLOCK_METRICS


def convergence_picture(metrics: pd.DataFrame, config: Mapping[str, Any]) -> Picture:
    """Picture of a simulation's convergence.

    Args:
        metrics: Metrics of a simulation.
        config: Its configuration.

    Raises:
        ValueError: Success or a clock was not measured.

    Source: arXiv 2602.11128 for the clocks of the population.
    """
    target = config["target"]
    clocks = {CLOCK_METRICS[name]: words for name, words in clocks_of(config).items()}
    table = pd.concat(
        [curves_table(metrics, "success", clock=clock) for clock in clocks], ignore_index=True
    )
    beyond = pd.concat(
        [runs_beyond(metrics, "success", clock=clock) for clock in clocks], ignore_index=True
    )

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 2.7)
        panels = figure.subplots(1, len(clocks), sharey=True, squeeze=False)[0]
        for axes, (clock, words) in zip(panels, clocks.items(), strict=True):
            part = table[table["clock"] == clock]
            draw_curves(axes, part, theme)
            axes.axhline(target, linewidth=0.7, linestyle=(0, (1, 2)), color="0.5")
            alone = beyond[beyond["clock"] == clock]
            _draw_alone(axes, alone, theme)
            axes.set_xlim(0, _end(part, target, float(alone["reading"].max())))
            axes.set_xlabel(words)
            count_axis(axes)
            probability_axis(axes)
        panels[0].set_ylabel("mean success probability")
        names = [str(name) for name in table["scheme"].unique()]
        legend_below(figure, names, columns=len(names), theme=theme)
        return figure

    seeds = int(table["seeds"].max())
    return Picture(
        "convergence",
        "Simulated convergence",
        f"Mean success probability of the simulated prompts, over {listed(list(clocks.values()))}; "
        "the dotted line is the target, thin lines are runs that went on when the first of their "
        "scheme had ended, a cross is where one diverged, "
        f"{band_in_words(seeds)}. {_in_words(metrics, target)}",
        "Rising success curves, one per scheme, a panel per clock.",
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


def _in_words(metrics: pd.DataFrame, target: float) -> str:
    """Who reaches the target after how many updates, the first first, and who does not."""
    part = curves_table(metrics, "success", clock="updates")
    lost = divergences(metrics).groupby("scheme")["step"].min().to_dict()
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
