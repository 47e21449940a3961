"""Runs that diverged: whose parameters or success are no longer finite numbers."""

from __future__ import annotations

import pandas as pd

DIVERGED = "diverged"
"""Metric of a run at every measurement at which it had diverged; other runs have none."""


def divergences(metrics: pd.DataFrame) -> pd.DataFrame:
    """The first step at which each run that diverged was measured to have done so.

    Args:
        metrics: Table of :func:`sim.run.simulate`; in tables of earlier versions a success that is
            not a number tells it.

    Returns:
        Columns scheme, seed, step; no rows where every run stayed finite.

    >>> values = [0.1, float("nan")]
    >>> rows = [("psr", 0, step, "success", value) for step, value in enumerate(values)]
    >>> table = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    >>> divergences(table).values.tolist()
    [['psr', 0, 1]]
    """
    marked = metrics["metric"] == DIVERGED
    lost = (metrics["metric"] == "success") & metrics["value"].isna()
    found = metrics[marked | lost].groupby(["scheme", "seed"], sort=False)["step"].min()
    return found.reset_index()
