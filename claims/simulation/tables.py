"""What the figures of a claim need, as one small table beside its verdict."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from runs.files import read_table
from runs.folder import read_config
from sim.summary import CLOCK_METRICS, time_to_target
from theory.intervals import mean_interval

COLUMNS = (
    "run",
    "scheme",
    "learning_rate",
    "at_edge",
    "metric",
    "step",
    "clock",
    "mean",
    "low",
    "high",
    "seeds",
)
"""Columns of every claim's table; ``step`` or ``clock`` is empty where the other one counts."""

_PASS = tuple(f"{prefix}pass@{k}" for prefix in ("", "held_out/") for k in (1, 4, 16, 64, 256))
_FIFTHS = tuple(f"success/q{fifth}" for fifth in range(1, 6))

CURVES: Mapping[str, tuple[str, ...]] = {
    "L3": (*_FIFTHS, *(f"pass@{k}" for k in (1, 2, 4, 8, 16))),
    "L4": ("success",),
    "L5": ("all_wrong",),
    "N2": _PASS,
    "N3": _PASS,
    "N6": _PASS,
    "N4": ("entropy", "held_out/entropy"),
    "N7": ("success", "held_out/success"),
    "O3": ("success", "entropy_correct"),
    "O9": ("entropy", "held_out/entropy"),
}
"""Metrics over training that a claim's figure draws; other claims compare times to target."""

ENDS = ("N2", "N3", "N6")
"""Claims about the policies before and after training."""

_POINTS = 21


def claim_table(claim: str, runs: Mapping[str, Path]) -> pd.DataFrame:
    """Means over seeds with 95 % intervals of Student's t: curves of metrics, or times to target.

    Args:
        claim: Id in the ledger.
        runs: Folders of the finished runs and sweeps the claim looked at, by name.

    Returns:
        Columns :data:`COLUMNS`. Times have the metric ``time`` (``inf`` where a seed never
        arrives) and ``time/grpo``, the geometric mean of the seeds' ratios.
    """
    parts = [_run_table(claim, name, path) for name, path in runs.items()]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame(columns=list(COLUMNS))


def _run_table(claim: str, name: str, path: Path) -> pd.DataFrame:
    wanted = list(CURVES.get(claim, ("success", *CLOCK_METRICS.values())))
    metrics = read_table(
        path / "metrics.parquet", filters=[("metric", "in", [*wanted, "learning_rate"])]
    )
    rates = metrics[metrics["metric"] == "learning_rate"].groupby("scheme")["value"].first()
    metrics = metrics[metrics["metric"] != "learning_rate"]
    table = _curves(claim, metrics) if claim in CURVES else _times(metrics, path)
    tuning = path / "tuning.parquet"
    ends: list[str] = []
    if tuning.exists():
        ends = list(read_table(tuning).query("at_edge")["scheme"])
    table = table.assign(
        run=name, learning_rate=table["scheme"].map(rates), at_edge=table["scheme"].isin(ends)
    )
    return table.reindex(columns=list(COLUMNS))


def _curves(claim: str, metrics: pd.DataFrame) -> pd.DataFrame:
    steps = np.unique(metrics["step"])
    points = 2 if claim in ENDS else min(_POINTS, len(steps))
    kept = steps[np.linspace(0, len(steps) - 1, points).round().astype(int)]
    rows = []
    chosen = metrics[metrics["step"].isin(kept)]
    for (scheme, metric, step), group in chosen.groupby(["scheme", "metric", "step"], sort=False):
        values = group["value"].to_numpy()
        mean, low, high = mean_interval(values)
        rows.append(
            {
                "scheme": scheme,
                "metric": metric,
                "step": step,
                "mean": mean,
                "low": low,
                "high": high,
                "seeds": len(values),
            }
        )
    return pd.DataFrame(rows)


def _times(metrics: pd.DataFrame, path: Path) -> pd.DataFrame:
    config = read_config(path)
    times = time_to_target(metrics, config.get("base", config)["target"])
    ratios = times[["scheme", "clock", "seeds"]].assign(
        metric="time/grpo", mean=times["ratio"], low=times["ratio_low"], high=times["ratio_high"]
    )
    times = times[["scheme", "clock", "seeds", "mean", "low", "high"]].assign(metric="time")
    return pd.concat([times, ratios[ratios["mean"].notna()]], ignore_index=True)
