"""Expected weights of finite groups against their limits of large groups."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from figures.picture import Picture
from figures.style import (
    WIDE,
    Theme,
    accent,
    draw_optimum,
    in_order,
    new_figure,
    success_axis,
    title,
)
from theory.finite_group import expected_weight
from theory.schemes import schemes_by_name

SCHEMES = ("grpo", "linear_r", "sqrt_r", "uniform_r")
GROUP_SIZES = (4, 16, 64)


def finite_weights_table(
    schemes: Sequence[str] = SCHEMES,
    group_sizes: Sequence[int] = GROUP_SIZES,
    *,
    points: int = 121,
) -> pd.DataFrame:
    """ω_M and its limit ω on success probabilities from 0.001 to 0.999, even in the log-odds.

    Args:
        schemes: Names of schemes.
        group_sizes: Group sizes M.
        points: Number of success probabilities.

    Returns:
        Columns scheme, group_size (empty for the limit), success, weight.

    Raises:
        ValueError: An unknown scheme, one without a table, or a group too small for one.

    Source: theory.md, section 4; arXiv 2602.02710 for Linear-R's weight.

    >>> table = finite_weights_table(["linear_r"], [4], points=3)
    >>> table.query("group_size == 4")["weight"].round(3).tolist()
    [3.994, 1.875, 1.001]
    """
    success = 1 / (1 + np.exp(-np.linspace(-1, 1, points) * np.log(999)))
    tables = []
    for name, scheme in schemes_by_name(in_order(schemes)).items():
        curves = {size: expected_weight(scheme, size, success) for size in group_sizes}
        for size, weight in [*curves.items(), (None, scheme.weight(success))]:
            row = {"scheme": name, "group_size": size, "success": success, "weight": weight}
            tables.append(pd.DataFrame(row).astype({"group_size": "Int64"}))
    return pd.concat(tables, ignore_index=True)


def finite_weights_picture(
    schemes: Sequence[str] = SCHEMES, group_sizes: Sequence[int] = GROUP_SIZES
) -> Picture:
    """Picture of ω_M and its limit, one panel per scheme.

    Args:
        schemes: Names of schemes.
        group_sizes: Group sizes M.

    Raises:
        ValueError: An unknown scheme, one without a table, or a group too small for one.

    Source: theory.md, section 4.
    """
    table = finite_weights_table(schemes, group_sizes)

    def draw(theme: Theme) -> Figure:
        figure = new_figure(WIDE, 2.45)
        names = [str(name) for name in table["scheme"].unique()]
        panels = figure.subplots(1, len(names), sharey=True, squeeze=False)[0]
        for axes, name in zip(panels, names, strict=True):
            part = table[table["scheme"] == name]
            limit = part[part["group_size"].isna()]
            draw_optimum(axes, limit["success"], limit["weight"], theme, "M → ∞")
            for number, size in enumerate(group_sizes):
                curve = part[part["group_size"] == size]
                axes.plot(
                    curve["success"],
                    curve["weight"],
                    **accent(number, theme).line(),
                    label=f"M = {size}",
                )
            axes.set_yscale("log")
            success_axis(axes, "logit")
            axes.set_xticks(
                [0.001, 0.01, 0.1, 0.5, 0.9, 0.99],
                ["0.001", "0.01", "0.1", "0.5", "0.9", "0.99"],
                rotation=40,
            )
            axes.set_title(title(name))
            axes.set_xlabel("success probability ρ")
        panels[0].set_ylim(0.8, 200)
        panels[0].set_yticks([1, 3, 10, 30, 100], ["1", "3", "10", "30", "100"])
        panels[0].minorticks_off()
        panels[0].set_ylabel("expected weight")
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
        return figure

    size = group_sizes[len(group_sizes) // 2]
    at = np.array([0.001, 0.01])
    grpo = schemes_by_name(["grpo"])["grpo"]
    finite, limit = expected_weight(grpo, size, at), grpo.weight(at)
    return Picture(
        "finite_weights",
        "Weights in finite groups",
        f"The weight that M sampled responses realise in expectation. Groups cannot see successes "
        f"much rarer than 1/M, so that every weight levels off there: in groups of {size}, GRPO "
        f"weighs a prompt at {at[0]:g} by {finite[0]:.2f} instead of {limit[0]:.2f}, one at "
        f"{at[1]:g} by {finite[1]:.2f} instead of {limit[1]:.2f}. GRPO levels off at √(M−1), the "
        "asymmetric schemes at M or above, 1 of which comes from counting all-wrong groups.",
        f"{len(table['scheme'].unique())} panels of weight over success probability: curves of "
        "finite groups leave the limit where successes or failures are rare.",
        table,
        draw,
    )
