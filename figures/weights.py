"""Weights ω, effective weights e and surrogate objectives F of the schemes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures.picture import Picture
from figures.style import WIDE, Theme, in_order, legend_below, look, new_figure
from runs.text import listed
from theory.schemes import schemes_by_name

SCHEMES = ("rloo", "grpo", "linear_r", "sqrt_r", "plateau_r", "uniform_r")


def weights_table(schemes: Sequence[str] = SCHEMES, *, points: int = 201) -> pd.DataFrame:
    """ω, e and F of schemes on a grid of success probabilities.

    F is shifted to be 0 at ρ = 1/2 and divided by ω(1/2): schemes are compared where they weigh a
    prompt of even odds alike.

    Args:
        schemes: Names of schemes.
        points: Number of success probabilities, from 0.002 to 0.998.

    Returns:
        Columns scheme, success, weight, effective_weight, surrogate.

    Raises:
        ValueError: An unknown scheme, or one without a weight.

    Source: arXiv 2602.11128.

    >>> table = weights_table(["linear_r"], points=3)
    >>> table["effective_weight"].round(3).tolist()
    [0.998, 0.5, 0.002]
    """
    success = np.linspace(0.002, 0.998, points)
    tables = []
    for name, scheme in schemes_by_name(in_order(schemes)).items():
        half = float(scheme.weight(0.5))
        surrogate = scheme.surrogate(success) - float(scheme.surrogate(0.5))
        tables.append(
            pd.DataFrame(
                {
                    "scheme": name,
                    "success": success,
                    "weight": scheme.weight(success),
                    "effective_weight": scheme.effective_weight(success),
                    "surrogate": surrogate / half,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def weights_picture(schemes: Sequence[str] = SCHEMES) -> Picture:
    """Picture of ω, e and F.

    Args:
        schemes: Names of schemes.

    Raises:
        ValueError: An unknown scheme, or one without a weight.

    Source: arXiv 2602.11128.
    """
    table = weights_table(schemes)

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 2.55)
        panels = figure.subplots(1, 3)
        columns = ("weight", "effective_weight", "surrogate")
        for name, part in table.groupby("scheme", sort=False):
            for axes, column in zip(panels, columns, strict=True):
                axes.plot(part["success"], part[column], **look(str(name), theme).line())
        for axes in panels:
            axes.set_xlim(0, 1)
            axes.set_xlabel("success probability ρ")
        panels[0].set_yscale("log")
        panels[0].set_ylim(0.8, 600)
        panels[0].set_title("weight ω(ρ)")
        panels[1].set_ylim(0, 1.05)
        panels[1].set_title("effective weight ω(ρ) ρ(1−ρ)")
        panels[2].set_ylim(-2.1, 1.1)
        panels[2].set_title("surrogate F(ρ), scaled")
        names = [str(name) for name in table["scheme"].unique()]
        legend_below(figure, names, columns=len(names), theme=theme)
        return figure

    drawn = schemes_by_name(table["scheme"].unique()).values()
    asymmetric = [
        scheme.label
        for scheme in drawn
        if float(scheme.effective_weight(0.0)) > float(scheme.effective_weight(1.0))
        or scheme.name == "uniform_r"
    ]
    vanishing = [scheme.label for scheme in drawn if float(scheme.effective_weight(0.0)) == 0]
    caption = (
        "How much a prompt counts, by its success probability. "
        f"The effective weight of {listed(vanishing)} goes to zero on prompts that are hardly "
        f"ever solved; {listed(asymmetric)} keep it at 1 there. The surrogate objectives have "
        "ω for their slope; they are drawn with value 0 and slope 1 at ρ = ½."
    )
    return Picture(
        "weights",
        "Prompt weights",
        caption,
        "Three panels of curves over the success probability from 0 to 1, one curve per scheme.",
        table,
        draw,
    )
