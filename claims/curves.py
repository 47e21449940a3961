"""From metrics to curves with intervals, the same way for the simulator and language models."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from theory.intervals import FEWEST_FOR_BAND, band_over_seeds
from theory.schemes import in_order

SMOOTHING = 10
"""Steps over which metrics of single batches are averaged."""


def curves_table(
    metrics: pd.DataFrame, metric: str, *, clock: str = "step", points: int = 120
) -> pd.DataFrame:
    """Mean of a metric over seeds along a clock, with 95% intervals over seeds.

    Seeds are interpolated onto common clock readings, as far as every seed got; one that diverged
    got as far as its values are finite.

    Args:
        metrics: Metrics of a run folder.
        metric: What is drawn.
        clock: ``step``, or a metric that counts, such as ``responses`` or ``clock/any_success``.
        points: At most so many readings per scheme.

    Returns:
        Columns scheme, metric, clock, reading, mean, low, high, seeds.

    Raises:
        ValueError: A metric or clock that was not measured.

    >>> rows = [("grpo", seed, step, "success", 0.1 * step) for seed in (0, 1) for step in (0, 1)]
    >>> table = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    >>> curves_table(table, "success")[["reading", "mean"]].values.tolist()
    [[0.0, 0.0], [1.0, 0.1]]
    """
    wide = readings(metrics, metric, clock=clock)
    tables = []
    for scheme in in_order(wide["scheme"].unique()):
        runs = [run for _, run in wide[wide["scheme"] == scheme].groupby("seed")]
        runs = [run[np.isfinite(run["reading"])].sort_values("reading") for run in runs]
        runs = [run[np.isfinite(run["value"])] for run in runs]
        grid = _common_grid([run["reading"].to_numpy() for run in runs], points)
        values = np.stack([np.interp(grid, run["reading"], run["value"]) for run in runs])
        low, high = band_over_seeds(values)
        tables.append(
            pd.DataFrame(
                {
                    "scheme": scheme,
                    "metric": metric,
                    "clock": clock,
                    "reading": grid,
                    "mean": values.mean(axis=0),
                    "low": low,
                    "high": high,
                    "seeds": len(runs),
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def runs_beyond(metrics: pd.DataFrame, metric: str, *, clock: str = "step") -> pd.DataFrame:
    """Single runs from where the first of their scheme ends, and with it the mean over seeds.

    Args:
        metrics: Metrics of a run folder.
        metric: What is drawn.
        clock: As in :func:`curves_table`.

    Returns:
        Columns scheme, seed, clock, reading, value and diverged: true at the last finite value of a
        run that had others after it.

    Raises:
        ValueError: A metric or clock that was not measured.

    >>> rows = [("grpo", seed, step, "success", 0.1 * step) for seed in (0, 1)
    ...         for step in range(2 + 2 * seed)]
    >>> table = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    >>> runs_beyond(table, "success")[["seed", "reading"]].values.tolist()
    [[0.0, 1.0], [1.0, 1.0], [1.0, 2.0], [1.0, 3.0]]
    """
    wide = readings(metrics, metric, clock=clock)
    wide = wide[np.isfinite(wide["reading"])].sort_values(["seed", "reading"], kind="stable")
    lost = wide.loc[~np.isfinite(wide["value"]), ["scheme", "seed"]].drop_duplicates()
    found = wide[np.isfinite(wide["value"])]
    last = found.groupby(["scheme", "seed"])["reading"].transform("max")
    first = found.assign(last=last).groupby("scheme")["last"].transform("min")
    ended = found.merge(lost.assign(lost=True), on=["scheme", "seed"], how="left")["lost"].notna()
    found = found.assign(clock=clock, diverged=ended.to_numpy() & (found["reading"] == last))
    columns = ["scheme", "seed", "clock", "reading", "value", "diverged"]
    beyond: pd.DataFrame = found.loc[found["reading"] >= first, columns]
    return beyond.reset_index(drop=True)


def readings(metrics: pd.DataFrame, metric: str, *, clock: str = "step") -> pd.DataFrame:
    """A metric beside the reading of a clock at which it was measured.

    A counting clock that was not logged at the first step stood at 0 there.

    Returns:
        Columns scheme, seed, step, reading, value.

    Raises:
        ValueError: A metric or clock that was not measured.
    """
    measured = set(metrics["metric"])
    for name in (metric, *(() if clock == "step" else (clock,))):
        if name not in measured:
            raise ValueError(f"{name} was not measured; measured: {', '.join(sorted(measured))}")
    keys = ["scheme", "seed", "step"]
    value = metrics.loc[metrics["metric"] == metric, [*keys, "value"]]
    if clock == "step":
        return value.assign(reading=value["step"].astype(float))
    counted = metrics.loc[metrics["metric"] == clock, [*keys, "value"]]
    joined = value.merge(counted.rename(columns={"value": "reading"}), on=keys, how="left")
    joined.loc[joined["reading"].isna() & (joined["step"] == 0), "reading"] = 0.0
    return joined


def band_in_words(seeds: int) -> str:
    """What :func:`theory.intervals.band_over_seeds` is.

    >>> band_in_words(3)
    'bands are the range of 3 seeds'
    """
    if seeds == 1:
        return "one seed, hence no band"
    if seeds < FEWEST_FOR_BAND:
        return f"bands are the range of {seeds} seeds"
    return f"bands are 95% intervals over {seeds} seeds"


def training_table(
    metrics: pd.DataFrame, panels: Iterable[str], *, clock: str = "step"
) -> pd.DataFrame:
    """Curves of several metrics; those of language models' batches are trailing means.

    Success of a language model is measured on held-out prompts and is not averaged.

    Args:
        metrics: Metrics of a run.
        panels: Metrics.
        clock: ``step`` or a metric that counts.

    Returns:
        The columns of ``curves_table``.

    Raises:
        ValueError: A metric or clock that was not measured.
    """
    sampled = set(metrics["source"]) == {"llm"}
    tables = [
        curves_table(
            smooth(metrics, metric) if sampled and metric != "success" else metrics,
            metric,
            clock=clock,
        )
        for metric in panels
    ]
    return pd.concat(tables, ignore_index=True)


def with_difference(
    metrics: pd.DataFrame, metric: str, *, reference: str = "grpo"
) -> tuple[pd.DataFrame, str | None]:
    """Add a metric's difference from a reference scheme's, seed by seed and step by step.

    Returns:
        The metrics, and the name of what was added: none if the reference was not run, or alone.
    """
    chosen = metrics[metrics["metric"] == metric]
    base = chosen.loc[chosen["scheme"] == reference, ["seed", "step", "value"]]
    paired = chosen.merge(base, on=["seed", "step"], suffixes=("", "_reference"))
    if not set(paired["scheme"]) - {reference}:
        return metrics, None
    name = f"{metric} − {reference}"
    paired["value"] = paired["value"] - paired.pop("value_reference")
    paired["metric"] = name
    return pd.concat([metrics, paired], ignore_index=True), name


def smooth(metrics: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Replace a metric by its trailing mean over ``SMOOTHING`` measurements, run by run."""
    chosen = metrics["metric"] == metric
    means = metrics[chosen].sort_values("step").copy()
    means["value"] = means.groupby(["scheme", "seed"])["value"].transform(
        lambda values: values.rolling(SMOOTHING, min_periods=1).mean()
    )
    return pd.concat([metrics[~chosen], means], ignore_index=True)


def smoothing_in_words(metrics: pd.DataFrame) -> str:
    """What was averaged, if anything, to end a caption with."""
    if set(metrics["source"]) != {"llm"}:
        return ""
    return f"; averages over the last {SMOOTHING} batches"


def _common_grid(clocks: list[np.ndarray], points: int) -> np.ndarray:
    end = min(float(clock[-1]) for clock in clocks)
    grid = np.unique(np.concatenate([clock[clock <= end] for clock in clocks]))
    if len(grid) > points:
        grid = grid[np.unique(np.linspace(0, len(grid) - 1, points).round().astype(int))]
    return np.asarray(grid)
