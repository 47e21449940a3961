"""Pass@k of trained schemes against the policy they began as, with intervals over seeds."""

from __future__ import annotations

import numpy as np
import pandas as pd

from theory.intervals import band_over_seeds
from theory.schemes import in_order

BASE = "base"
"""Name of the curve of the model before training."""

SPLITS = {"": "training prompts", "held_out/": "held-out prompts"}

SATURATED = 0.98
"""Where every scheme ends above this pass@1, the end tells nothing apart."""

TOLD_APART = 0.8
"""Pass@1 at which such schemes are compared: when the first of them gets there."""


def trained_pass_at_k_table(metrics: pd.DataFrame, *, step: int | None = None) -> pd.DataFrame:
    """Pass@k of the schemes of a run, and of its start, with intervals over seeds.

    Args:
        metrics: Metrics of a simulation or of published evidence.
        step: Step at which the schemes are compared; the last one by default.

    Returns:
        Columns split, scheme (``base`` for the start), k, quantity (``pass`` or ``gain`` over the
        base, paired by seed), mean, low, high, seeds.

    Raises:
        ValueError: Pass@k was not measured.

    Source: the comparison of arXiv 2506.01347.

    >>> rows = [("nsr", seed, t, "pass@1", 0.1 + 0.2 * t) for seed in (0, 1) for t in (0, 1)]
    >>> table = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    >>> trained_pass_at_k_table(table).query("quantity == 'gain'")["mean"].round(6).tolist()
    [0.2]
    """
    rows = []
    for prefix, split in SPLITS.items():
        pattern = f"{prefix}pass@"
        chosen = metrics[metrics["metric"].map(lambda name, p=pattern: _is_pass_at_k(name, p))]
        for metric, part in chosen.groupby("metric", sort=False):
            k = int(str(metric).removeprefix(pattern))
            wide = part.pivot_table(index=["scheme", "seed"], columns="step", values="value")
            # A run that stopped early stays where it stopped.
            wide = wide.ffill(axis=1)
            first, last = wide[min(wide.columns)], wide[max(wide.columns) if step is None else step]
            base = first.groupby(level="seed").mean().to_numpy()
            rows.append((split, BASE, k, "pass", *_mean_and_band(base)))
            for scheme in in_order(wide.index.unique(level="scheme")):
                rows.append((split, scheme, k, "pass", *_mean_and_band(last[scheme].to_numpy())))
                gain = (last - first)[scheme].to_numpy()
                rows.append((split, scheme, k, "gain", *_mean_and_band(gain)))
    if not rows:
        raise ValueError("pass@k was not measured")
    columns = ["split", "scheme", "k", "quantity", "mean", "low", "high", "seeds"]
    return pd.DataFrame(rows, columns=columns).sort_values("k", kind="stable", ignore_index=True)


def _is_pass_at_k(metric: str, pattern: str) -> bool:
    return metric.startswith(pattern) and metric.removeprefix(pattern).isdigit()


def step_to_compare_at(metrics: pd.DataFrame) -> int | None:
    """None for the end of training; an earlier step where all schemes solve everything by then."""
    first = metrics[metrics["metric"] == "pass@1"]
    means = first.groupby(["step", "scheme"])["value"].mean().unstack("scheme")
    if means.empty or means.iloc[-1].min() < SATURATED:
        return None
    return int(means.index.to_numpy()[int((means.max(axis=1) >= TOLD_APART).to_numpy().argmax())])


def _mean_and_band(values: np.ndarray) -> tuple[float, float, float, int]:
    low, high = band_over_seeds(values[:, None])
    return float(values.mean()), float(low[0]), float(high[0]), len(values)
