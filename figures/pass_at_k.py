"""Pass@k curves of evaluations, unbiased, with intervals over problems."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.figure import Figure

from figures.picture import Picture
from figures.style import COLUMN, Theme, accent, look, new_figure, probability_axis
from theory.schemes import SCHEMES


def pass_at_k_picture(summaries: Mapping[str, pd.DataFrame], *, group: str = "all") -> Picture:
    """Picture of pass@k over k, one curve per evaluation.

    Args:
        summaries: Name of an evaluation, a scheme or any other, → its summary table.
        group: Problems that are drawn, such as ``all`` or a level.

    Raises:
        ValueError: No evaluation has pass@k for the group.

    Source: the unbiased estimator of arXiv 2107.03374, as in arXiv 2506.01347.
    """
    parts = []
    for name, summary in summaries.items():
        chosen = summary[(summary["metric"] == "pass") & (summary["group"] == group)]
        parts.append(chosen.assign(evaluation=name).sort_values("k"))
    table = pd.concat(parts, ignore_index=True)
    if table.empty:
        raise ValueError(f"no evaluation has pass@k for {group}")

    def draw(theme: Theme) -> Figure:
        figure = new_figure(COLUMN, 2.6)
        axes = figure.subplots()
        for number, (name, part) in enumerate(table.groupby("evaluation", sort=False)):
            known = str(name).partition(":")[0] in SCHEMES
            style = look(str(name), theme) if known else accent(number, theme)
            axes.plot(part["k"], part["estimate"], **style.line(), marker=style.marker,
                      label=str(name))  # fmt: skip
            axes.fill_between(part["k"], part["low"], part["high"], color=style.color, alpha=0.18,
                              linewidth=0)  # fmt: skip
        ticks = sorted(table["k"].unique())
        axes.set_xscale("log", base=2)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("samples k")
        axes.set_ylabel("pass@k")
        probability_axis(axes)
        if len(summaries) > 1:
            axes.legend(loc="lower right")
        return figure

    problems = int(table["problems"].max())
    return Picture(
        "pass_at_k",
        "Pass@k",
        f"Share of {problems} problems solved by at least one of k samples: unbiased estimates, "
        "bands are 95% bootstrap intervals over problems.",
        "Curves of pass@k over k.",
        table,
        draw,
    )
