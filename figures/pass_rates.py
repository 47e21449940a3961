"""Measured pass rates: how many responses to a problem are correct, against the Beta fit."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import StrMethodFormatter

from figures.picture import Picture
from figures.style import COLUMN, Theme, accent, base_model, new_figure
from runs.text import number
from theory.beta_binomial import fit_pass_rates

_COVERAGE = 0.95
_DRAWS = 2000


def pass_rates_picture(rates: pd.DataFrame) -> Picture:
    """Picture of how many problems have how many correct responses, and of what a Beta fit expects.

    Args:
        rates: One problem per row, columns n_correct and n_samples; those with no response that
            was scored are left out.

    Raises:
        ValueError: Counts that are not whole or not in [0, n], or no problem with two responses.

    Source: the Beta-binomial of ``theory.beta_binomial``.

    >>> table = pd.DataFrame({"n_correct": [0, 0, 0, 1, 4], "n_samples": [4] * 5})
    >>> pass_rates_picture(table).data["problems"].tolist()
    [3, 1, 0, 0, 1]
    """
    scored = rates[rates["n_samples"] > 0]
    if scored.empty or scored["n_samples"].max() < 2:
        raise ValueError("pass rates need problems with at least 2 responses each")
    correct, tries = (scored[name].to_numpy(dtype=float) for name in ("n_correct", "n_samples"))
    fit = fit_pass_rates(correct, tries)
    counts = np.arange(int(tries.max()) + 1)
    observed = np.array([(correct == k).sum() for k in counts])
    # Of every problem at its own number of responses; no chance of more correct ones than those.
    possible = counts[None, :] <= tries[:, None]
    logs = fit.log_probability(np.where(possible, counts, 0), tries[:, None])
    chances = np.where(possible, np.exp(logs), 0.0)
    generator = np.random.default_rng(0)
    drawn = np.zeros((_DRAWS, counts.size))
    for row in chances:
        drawn[np.arange(_DRAWS), generator.choice(counts.size, _DRAWS, p=row / row.sum())] += 1
    low, high = np.quantile(drawn, [(1 - _COVERAGE) / 2, (1 + _COVERAGE) / 2], axis=0)
    data = pd.DataFrame(
        {
            "correct": counts,
            "problems": observed,
            "expected": chances.sum(0),
            "low": low,
            "high": high,
        }
    )

    def draw(theme: Theme) -> Figure:
        figure = new_figure(COLUMN, 2.6)
        axes = figure.subplots()
        axes.bar(counts, observed, color=base_model(theme).color, alpha=0.5, label="measured")
        axes.errorbar(
            counts,
            data["expected"],
            yerr=[data["expected"] - low, high - data["expected"]],
            fmt="o",
            markersize=4,
            color=accent(0, theme).color,
            label=f"Beta({number(fit.a)}, {number(fit.b)})",
        )
        axes.set_yscale("symlog", linthresh=1)
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
        axes.set_xticks(counts)
        axes.set_xlabel("correct responses")
        axes.set_ylabel("problems")
        axes.legend()
        return figure

    each = " to ".join(dict.fromkeys(str(int(n)) for n in (tries.min(), tries.max())))
    never = f" and {fit.never:.0%} that are never solved" if fit.never else ""
    inside = int(((observed >= low) & (observed <= high)).sum())
    return Picture(
        "pass_rates",
        "How often problems are solved",
        f"Problems by the number of correct responses, {scored.shape[0]:,} problems with "
        f"{each} responses each (bars), and what "
        f"Beta({number(fit.a)}, {number(fit.b)}){never}, fitted by maximum likelihood, expects, "
        f"with {_COVERAGE:.0%} of as many problems drawn from it (points): {inside} of the "
        f"{counts.size} counts lie inside.",
        "Bars of the number of problems by their count of correct responses, with points beside.",
        data,
        draw,
    )
