"""From metrics to answers with intervals: when did a scheme reach its target, on which clock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from scipy import special

from runs.text import listed
from sim.config import SimulationConfig
from sim.divergence import divergences
from theory.clocks import CLOCKS
from theory.intervals import mean_interval, time_interval
from theory.schemes import resolve

THEORY_CLOCKS = {c.metric.removeprefix("clock/"): c for c in CLOCKS.values() if c.metric}
"""Clock of a simulation → the theory's clock that it adds up."""

CLOCK_METRICS = {
    "updates": "updates",
    "responses": "responses",
    "tokens": "tokens",
    **{name: clock.metric for name, clock in THEORY_CLOCKS.items()},
}
"""Clock → the metric that counts it; ``responses`` and ``tokens`` are those that were drawn."""

TUNING_ERROR, AT_EDGE = "tuning_error", "at_edge"
"""Metrics at step 0 of schemes at own rates: what a wrong choice of the rate costs, and whether the
rate lies at an end of those tried, see :mod:`sim.own_rates`."""

LEAST_UPDATES = 5.0
"""Arrivals in fewer updates are a matter of one step's size, and say nothing about weights."""


def reachable(config: SimulationConfig) -> tuple[str, ...]:
    """Metrics of a simulation that a target can be set for: success and pass@k, and their parts.

    >>> reachable(SimulationConfig(prompts=4, pass_k=(1, 8)))
    ('success', 'pass@1', 'pass@8')
    """
    names: list[str] = []
    for prefix, prompts in (("", config.prompts), ("held_out/", config.held_out_prompts)):
        if not prompts:
            continue
        fifths = [f"/q{n}" for n in range(1, 6)] if prompts >= 5 else []
        for name in ("success", *(f"pass@{k}" for k in config.pass_k)):
            names.extend(f"{prefix}{name}{part}" for part in ("", *fifths))
    return tuple(names)


def check_metric(config: SimulationConfig, metric: str) -> None:
    """Raise if a simulation does not measure a metric that a target could be set for.

    Raises:
        ValueError: It does not; the message lists those that it does.
    """
    if metric not in reachable(config):
        raise ValueError(
            f"target_metric {metric} is not measured; measured are: {', '.join(reachable(config))}"
        )


def reference_of(schemes: Sequence[str], wanted: str | None = None) -> str:
    """Scheme that times are compared with: GRPO, or the first one if that is not run.

    Args:
        schemes: Schemes of the simulation.
        wanted: The scheme that was asked for instead, if any.

    Raises:
        ValueError: A scheme that is not run.

    >>> reference_of(["rloo", "grpo"]), reference_of(["rloo", "psr"])
    ('grpo', 'rloo')
    """
    if wanted is None:
        return "grpo" if "grpo" in schemes else schemes[0]
    resolve(wanted)
    if wanted not in schemes:
        known = listed(list(dict.fromkeys(schemes)))
        raise ValueError(f"reference {wanted} is not among the schemes: {known}")
    return wanted


def time_to_target(
    metrics: pd.DataFrame,
    target: float,
    *,
    metric: str = "success",
    reference: str = "grpo",
    level: float = 0.95,
) -> pd.DataFrame:
    """Time to a target on every clock, per scheme, with Student's t intervals over seeds.

    A seed's time is where ``metric`` first reaches the target, interpolated linearly in the clock
    between measurements. A seed that never reaches it has the time ∞, and so has the mean: a
    collapse is an outcome, not a missing value. A seed that diverged before it arrived has none,
    and neither have the mean and the ratios. Ratios are scheme over reference, seed by seed (below
    1 is sooner), of times restricted to the run: one that does not arrive counts as if it did at
    its end. Means are geometric and intervals are of logarithms; where a seed never arrives those
    of times are the range of the seeds.

    Args:
        metrics: Table of :func:`sim.run.simulate`.
        target: Level in (0, 1) that ``metric`` has to reach.
        metric: What has to reach it.
        reference: Scheme that ratios compare with.
        level: Coverage of the intervals, in (0, 1).

    Returns:
        One row per scheme and clock: scheme, clock, mean, low, high, reached, seeds, ratio,
        ratio_low, ratio_high, steps (updates that were run), late (seeds that did not arrive in
        them), end (the mean of the metric over those at the end), diverged (seeds that did, before
        or after they arrived), diverged_step (by when the first of them had) and too_soon (the
        median arrives in fewer than :data:`LEAST_UPDATES` updates); of schemes at own rates also
        learning_rate and at_edge, tuning error in the intervals of ratios. Ratios are NaN where the
        reference was not run, and where one of both never arrives or arrives too soon.

    Raises:
        ValueError: Target or level outside (0, 1), or a metric that was not measured.

    >>> rows = [("grpo", 0, t, m, v) for t in (0, 10)
    ...         for m, v in (("success", t / 10), ("updates", t))]
    >>> table = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    >>> time_to_target(table, 0.5)[["scheme", "clock", "mean"]].round(9).values.tolist()
    [['grpo', 'updates', 5.0]]
    """
    times = seed_times(metrics, target, metric=metric)
    _check_fraction("level", level)
    lost = divergences(metrics).groupby("scheme")["step"]
    count, first = lost.size(), lost.min()
    medians = times[times["clock"] == "updates"].groupby("scheme")["time"].median()
    soon = set(medians.index[medians < LEAST_UPDATES])
    rows = []
    for (scheme, clock), group in times.groupby(["scheme", "clock"], sort=False):
        values = group["time"].to_numpy()
        mean, low, high = time_interval(values, level=level)
        base = times[(times["scheme"] == reference) & (times["clock"] == clock)]
        paired = group.merge(base, on="seed", suffixes=("", "_reference"))
        ratio = (float("nan"),) * 3
        if not {scheme, reference} & soon:
            ratio = _restricted_ratio(paired, level)
        rows.append(
            {
                "scheme": scheme,
                "clock": clock,
                "mean": mean,
                "low": low,
                "high": high,
                "reached": int(np.isfinite(values).sum()),
                "seeds": len(values),
                "ratio": ratio[0],
                "ratio_low": ratio[1],
                "ratio_high": ratio[2],
                "steps": int(group["steps"].max()),
                "late": int(np.isinf(values).sum()),
                "end": float(group.loc[np.isinf(values), "end"].mean()),
                "diverged": int(count.get(scheme, 0)),
                "diverged_step": float(first.get(scheme, np.nan)),
                "too_soon": scheme in soon,
            }
        )
    return _at_own_rates(pd.DataFrame(rows), metrics, reference)


def _at_own_rates(times: pd.DataFrame, metrics: pd.DataFrame, reference: str) -> pd.DataFrame:
    """The times with the step size of each scheme and what its choice adds, where it was chosen."""
    first = metrics[metrics["metric"].isin(["learning_rate", TUNING_ERROR, AT_EDGE])]
    found = first.groupby(["metric", "scheme"])["value"].first()
    if TUNING_ERROR not in found:
        return times
    times.insert(1, "learning_rate", times["scheme"].map(found["learning_rate"]))
    times.insert(2, AT_EDGE, times["scheme"].map(found[AT_EDGE]) > 0)
    ends = set(times.loc[times[AT_EDGE], "scheme"])
    return with_tuning(times, found[TUNING_ERROR].to_dict(), reference, ends)


def seed_times(metrics: pd.DataFrame, target: float, *, metric: str = "success") -> pd.DataFrame:
    """Time to the target of every scheme and seed on every clock.

    Returns:
        Columns scheme, clock, seed, time (∞ if it was not reached, NaN if the run diverged before
        it was), steps, horizon and end, the last step, its clock reading and the metric there.

    Raises:
        ValueError: Target outside (0, 1), or a metric that was not measured.
    """
    _check_fraction("target", target)
    measured = set(metrics["metric"].unique())
    if metric not in measured:
        raise ValueError(
            f"{metric!r} was not measured; measured are: {', '.join(sorted(measured))}"
        )
    wanted = [metric, *(m for m in CLOCK_METRICS.values() if m in measured)]
    chosen = metrics[metrics["metric"].isin(wanted)]
    wide = chosen.pivot(index=["scheme", "seed", "step"], columns="metric", values="value")
    wide = wide.reindex(chosen["scheme"].unique(), level="scheme")
    lost = set(divergences(metrics)[["scheme", "seed"]].itertuples(index=False, name=None))
    rows = []
    for (scheme, seed), run in wide.groupby(level=["scheme", "seed"], sort=False):
        run = run.sort_index(level="step")
        level = run[metric].to_numpy()
        steps = int(run.index.get_level_values("step")[-1])
        for clock, column in CLOCK_METRICS.items():
            if column in run:
                readings = run[column].to_numpy()
                time = crossing(readings, level, target)
                if np.isinf(time) and (scheme, seed) in lost:
                    time = float("nan")
                ends = (steps, float(readings[-1]), float(level[-1]))
                rows.append((scheme, clock, seed, time, *ends))
    columns = ["scheme", "clock", "seed", "time", "steps", "horizon", "end"]
    return pd.DataFrame(rows, columns=columns)


def with_tuning(
    times: pd.DataFrame, error: Mapping[str, float], reference: str, ends: set[str]
) -> pd.DataFrame:
    """Ratios with the error of tuning in their intervals; none of rates at an end of the grid.

    Args:
        times: Table of :func:`time_to_target`, changed in place.
        error: Scheme → how much slower resampled seeds' rates are, root mean square of logarithms.
        reference: Scheme that ratios compare with.
        ends: Schemes whose rate lies at an end of the grid.
    """
    ratios = ["ratio", "ratio_low", "ratio_high"]
    refused = times["scheme"].isin(ends) | (reference in ends)
    times.loc[refused, ratios] = np.nan
    ours = times["scheme"].map(error).fillna(0.0)
    added = ours**2 + error.get(reference, 0.0) ** 2
    sampled = np.sqrt(added.where(times["scheme"] != reference, 0.0).to_numpy(float))
    logs = np.log(times[ratios].to_numpy(float))
    quantile = float(special.ndtri(0.975))
    for column, side in ((1, -1.0), (2, 1.0)):
        half = np.hypot(logs[:, column] - logs[:, 0], quantile * sampled)
        times[ratios[column]] = np.exp(logs[:, 0] + side * half)
    return times


def restricted(times: pd.DataFrame, suffix: str = "") -> np.ndarray:
    """Times of :func:`seed_times`, those of seeds that never arrive replaced by the run's end."""
    time = times[f"time{suffix}"].to_numpy(float)
    horizon = times[f"horizon{suffix}"].to_numpy(float)
    return np.where(np.isinf(time), horizon, time)


def _restricted_ratio(paired: pd.DataFrame, level: float) -> tuple[float, float, float]:
    """Ratio of restricted times with its interval; NaN where one of both never arrives."""
    both = [restricted(paired, suffix) for suffix in ("", "_reference")]
    arrived = [np.isfinite(paired[f"time{suffix}"]).any() for suffix in ("", "_reference")]
    if not all(arrived) or not all((np.isfinite(part) & (part > 0)).all() for part in both):
        return (float("nan"),) * 3
    ratio, low, high = mean_interval(both[0] / both[1], level=level, log=True)
    return ratio, low, high


def crossing(clock: np.ndarray, level: np.ndarray, target: float) -> float:
    """Clock reading at which ``level`` first reaches ``target``; ∞ if it never does.

    >>> crossing(np.array([0.0, 10.0, 20.0]), np.array([0.0, 0.5, 1.0]), 0.75)
    15.0
    """
    above = np.flatnonzero(level >= target)
    if above.size == 0:
        return float("inf")
    i = int(above[0])
    if i == 0 or not np.isfinite(clock[i]):
        return float(clock[i])
    share = (target - level[i - 1]) / (level[i] - level[i - 1])
    return float(clock[i - 1] + share * (clock[i] - clock[i - 1]))


def paired_ratio(
    times: np.ndarray, reference: np.ndarray, *, level: float = 0.95
) -> tuple[float, float, float]:
    """Geometric mean of the seeds' ratios times / reference, with Student's t interval of logs.

    Pairs in which neither reached the target are left out; NaN where no pair is left, or one has
    diverged. Two that were there at the start have the ratio 1.

    >>> paired_ratio(np.array([0.0, 3.0]), np.array([0.0, 3.0]))
    (1.0, 1.0, 1.0)
    """
    logs = log_ratios(times, reference)
    if not logs.size:
        return (float("nan"),) * 3
    ratio, low, high = time_interval(np.exp(logs), level=level)
    return ratio, low, high


def log_ratios(times: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Logarithms of seed-by-seed ratios; pairs in which neither arrived are left out.

    A run that diverged is no slow one: its pair has the ratio NaN.
    """
    kept = ~(np.isinf(times) & np.isinf(reference))
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(times[kept] / reference[kept])
    together: np.ndarray = np.where(times[kept] == reference[kept], 0.0, logs)
    return together


def _check_fraction(name: str, value: float) -> None:
    if not 0 < value < 1:
        raise ValueError(f"{name} must lie in (0, 1); got {value}")
