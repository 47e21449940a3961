"""What came of a setting's runs: arrival, collapse and curves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from claims.language_model.settings import TARGET, Setting
from claims.looks import LOOKS
from runs.folder import is_finished, read_metrics

COLLAPSE = 0.5
"""A run has collapsed if it ends below this share of its best success, or of its start."""
_OUTCOMES = ("scheme", "seed", "start", "final", "best", "reached", "collapsed")
CURVES = (
    "success",
    "pass@4",
    "pass@16",
    "pass@64",
    "pass@256",
    "responses",
    "entropy",
    "grad_norm",
    "groups_all_wrong",
    "groups_mixed",
    "groups_all_right",
    "effective_weight",
    "response_length",
    "success_train",
    "distinct@256",
    "success/level=1",
    "success/level=2",
    "success/level=3",
)
"""Metrics whose course is kept."""
_PER_BATCH = CURVES[6:13]


def outcomes(
    metrics: pd.DataFrame, target: float = TARGET, metric: str = "success"
) -> pd.DataFrame:
    """What came of each training: one row per scheme and seed.

    Args:
        metrics: Metrics of a run with ``success`` and ``responses``.
        target: Success probability to reach.
        metric: Whose: ``success`` of held-out prompts, or ``success_train``.

    Returns:
        Columns scheme, seed, start, final, best, reached (responses until the target was first
        measured, ∞ if never), collapsed.

    >>> rows = [("a", 0, t, m, v) for t, s in enumerate((0.1, 0.95, 0.2))
    ...         for m, v in (("success", s), ("responses", 10 * t))]
    >>> table = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    >>> outcomes(table)[["best", "reached", "collapsed"]].values.tolist()
    [[0.95, 10.0, True]]
    """
    wanted = metrics[metrics["metric"].isin([metric, "responses"])]
    wide = wanted.pivot(index=["scheme", "seed", "step"], columns="metric", values="value")
    wide = wide.dropna(subset=[metric])
    rows = []
    for (scheme, seed), part in wide.groupby(level=["scheme", "seed"], sort=False):
        success = part[metric].to_numpy()
        above = np.flatnonzero(success >= target)
        reached = float(part["responses"].to_numpy()[above[0]]) if len(above) else np.inf
        collapsed = bool(success[-1] < COLLAPSE * max(success.max(), success[0]))
        values = (scheme, seed, success[0], success[-1], success.max(), reached, collapsed)
        rows.append(dict(zip(_OUTCOMES, values, strict=True)))
    return pd.DataFrame(rows, columns=list(_OUTCOMES))


def curves(metrics: pd.DataFrame) -> pd.DataFrame:
    """Metrics at the steps of measurement; those of single batches are means since the last one.

    Returns:
        Columns scheme, seed, step, metric, value (float32).
    """
    kept = metrics[metrics["metric"].isin(CURVES)]
    wide = kept.pivot(index=["scheme", "seed", "step"], columns="metric", values="value")
    parts = []
    for _, run in wide.groupby(level=["scheme", "seed"], sort=False):
        measured = run["success"].notna()
        block = measured[::-1].cumsum()[::-1]
        batches = [name for name in _PER_BATCH if name in run]
        averaged = run[batches].groupby(block).transform("mean")
        parts.append(run.assign(**{name: averaged[name] for name in batches})[measured])
    joined = pd.concat(parts).reset_index()
    tidy = joined.melt(id_vars=["scheme", "seed", "step"], var_name="metric").dropna()
    return tidy.astype({"value": "float32", "seed": "int16", "step": "int32"})


def judged_runs(out: Path, setting: Setting) -> pd.DataFrame:
    """A setting's judging runs with a column ``learning_rate``; empty if not finished.

    Later looks count as far as they are finished, one after another.
    """
    place = out / setting.name / "judge"
    folders: list[Path] = []
    for look in (place, *(place / f"look={number + 1}" for number in range(1, len(LOOKS["llm"])))):
        runs = sorted(look.glob("lr=*"))
        if not runs or not all(is_finished(folder) for folder in runs):
            break
        folders += runs
    if not folders:
        return pd.DataFrame()
    tables = [
        read_metrics(folder).assign(learning_rate=float(folder.name.removeprefix("lr=")))
        for folder in folders
    ]
    return pd.concat(tables, ignore_index=True)
