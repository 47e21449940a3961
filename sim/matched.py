"""Schemes compared where each has gained the same: diversity at matched pass@1.

At the end of training, or after the same number of updates, a scheme that has learned less has kept
more of its entropy and of its pass@k. Here every run is read where the mean of a metric has risen
by the same amount over its start, interpolated linearly between the measurements around it.
"""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from runs.terminal import table
from runs.text import number, plural
from sim.summary import LEAST_UPDATES
from theory._arrays import Floats
from theory.intervals import mean_interval
from theory.schemes import Scheme, schemes_by_name

BASE = "base"
"""Name of the rows of the start, which all schemes have in common."""

DOSE = "noise_dose"

_PLACE = re.compile(r"(?P<metric>[^=\s]+)=(?P<sign>\+?)(?P<number>[0-9.eE+-]+)")


@dataclasses.dataclass(frozen=True)
class Place:
    """Where on its way a run is read.

    Attributes:
        metric: ``success`` or pass@k, ``held_out/`` before it for held-out prompts.
        value: Level in (0, 1) that it has to reach.
        gain: Whether ``value`` is meant over the run's start.
    """

    metric: str
    value: float
    gain: bool

    @property
    def prefix(self) -> str:
        """``"held_out/"`` or nothing."""
        return "held_out/" if self.metric.startswith("held_out/") else ""

    @property
    def words(self) -> str:
        """The place in words.

        >>> parse_place("pass@1=+0.1").words, parse_place("success=0.6").words
        ('where pass@1 has risen by 0.1', 'where success is 0.6')
        """
        rise = "has risen by" if self.gain else "is"
        return f"where {self.metric} {rise} {self.value:g}"


def parse_place(text: str) -> Place:
    """Read a place such as ``pass@1=+0.1``, a gain over the start, or ``success=0.6``, a level.

    Raises:
        ValueError: Anything else; the message says what is allowed.

    >>> parse_place("held_out/pass@1=+0.05")
    Place(metric='held_out/pass@1', value=0.05, gain=True)
    """
    found = _PLACE.fullmatch(text.strip())
    try:
        value = float(found["number"]) if found else math.nan
    except ValueError:
        value = math.nan
    if found is None or not 0 < value < 1:
        raise ValueError(
            "a place to compare at is a metric and what it has gained over its start, "
            f"pass@1=+0.1, or has reached, pass@1=0.6, both between 0 and 1; got {text!r}"
        )
    return Place(found["metric"], value, bool(found["sign"]))


def matched_table(
    metrics: pd.DataFrame,
    at: str,
    *,
    reference: str = "grpo",
    level: float = 0.95,
    wanted: Sequence[str] = (),
) -> pd.DataFrame:
    """Every scheme's pass@k and entropy where each has gained the same.

    A run is read at the first measurement interval in which the metric reaches the place. Seeds
    that never get there have no value; what is compared is paired by seed, and of the seeds that
    have both.

    Args:
        metrics: Table of :func:`sim.run.simulate`.
        at: The place, see :func:`parse_place`.
        reference: Scheme that the others are compared with.
        level: Coverage of the intervals, in (0, 1).
        wanted: Metrics to read; pass@k, entropy and noise dose of the same prompts by default.

    Returns:
        Columns scheme (``base`` for the start), metric, mean, change (over the start) and lead
        (over the reference), each with its ends such as mean_low and mean_high, there and seeds
        (how many got there, of how many), updates (their median). NaN where no seed is left.

    Raises:
        ValueError: A place that cannot be read or a metric that was not measured.

    >>> rows = [("grpo", seed, t, m, v) for seed in (0, 1) for t in (0, 10)
    ...         for m, v in (("success", t / 20), ("entropy", 2 - t / 10), ("updates", t))]
    >>> run = pd.DataFrame(rows, columns=["scheme", "seed", "step", "metric", "value"])
    >>> matched_table(run, "success=+0.25")[["scheme", "metric", "mean"]].values.tolist()
    [['base', 'entropy', 2.0], ['grpo', 'entropy', 1.5]]
    """
    place = parse_place(at)
    measured = list(metrics["metric"].unique())
    names = list(wanted) or [m for m in measured if _tells_diversity(m, place.prefix)]
    for name in names:
        if name not in measured:
            raise ValueError(f"{name} was not measured; measured are: {', '.join(measured)}")
    found, start = _read(metrics, place, names)
    theirs = found.get(reference)
    rows: list[dict[str, Any]] = []
    for scheme, values in {BASE: start, **found}.items():
        there, many = int(values["updates"].notna().sum()), len(values)
        about = {"there": there, "seeds": many, "updates": float(values["updates"].median())}
        for name in names:
            if there and not values[name].notna().any():
                continue  # not measured of this scheme
            row = {"scheme": scheme, "metric": name, **_ends("mean", values[name], level), **about}
            if scheme != BASE:
                row |= _ends("change", values[name] - start[name], level)
            if theirs is not None and scheme != reference:
                row |= _ends("lead", values[name] - theirs[name], level)
            rows.append(row)
    numbers = [end for word in ("mean", "change", "lead") for end in _named(word)]
    columns = ["scheme", "metric", *numbers, "there", "seeds", "updates"]
    return pd.DataFrame(rows).reindex(columns=columns)


def at_place(metrics: pd.DataFrame, at: str, name: str) -> pd.DataFrame:
    """Values of one metric where every run has gained the same: a row per seed, schemes as columns.

    Raises:
        ValueError: A place that cannot be read.
    """
    found, _ = _read(metrics, parse_place(at), [name])
    return pd.DataFrame({scheme: values[name] for scheme, values in found.items()})


def check_place(at: str, reachable: Sequence[str]) -> None:
    """Raise if a simulation does not measure what a place is named by.

    Raises:
        ValueError: It does not, or the place cannot be read.
    """
    metric = parse_place(at).metric
    if _alias(metric, reachable) not in reachable:
        raise ValueError(f"{metric} is not measured; measured are: {', '.join(reachable)}")


def matched_text(found: pd.DataFrame, at: str, reference: str) -> str:
    """The table of :func:`matched_table` for people, with who is not in it below.

    Args:
        found: The table.
        at: Its place.
        reference: Scheme that the others are compared with.
    """
    place = parse_place(at)
    names = _shown(list(dict.fromkeys(found["metric"])), place)
    schemes = schemes_by_name([name for name in found["scheme"].unique() if name != BASE])
    by_scheme = {str(name): part for name, part in found.groupby("scheme", sort=False)}
    values, leads = [], []
    for scheme, part in by_scheme.items():
        rows = part.set_index("metric")
        label = BASE if scheme == BASE else schemes[scheme].label
        one = part.iloc[0]
        arrived = "" if scheme == BASE else f"{one['there']} of {one['seeds']}"
        cells = [number(rows["mean"].get(name, math.nan), 3) for name in names]
        values.append([label, arrived, number(one["updates"], 3), *cells])
        if scheme != reference and part["lead"].notna().any():
            leads.append([label, *(_lead(rows, name) for name in names)])
    heading = [name.removeprefix(place.prefix).replace("_", " ") for name in names]
    right = "r" * len(names)
    whose = "held-out prompts" if place.prefix else "training prompts"
    text = [f"{place.words[0].upper()}{place.words[1:]}, {whose}, mean over seeds:", ""]
    text.append(table(["scheme", "seeds there", "updates", *heading], values, right="lrr" + right))
    if leads:
        text += ["", f"Minus {schemes[reference].label}, paired by seed, ± 95% interval:", ""]
        text.append(table(["scheme", *heading], leads, right="l" + right))
    return "\n".join([*text, "", *_notes(by_scheme, schemes)]).rstrip()


def _notes(by_scheme: Mapping[str, pd.DataFrame], schemes: Mapping[str, Scheme]) -> list[str]:
    notes = []
    for scheme, part in by_scheme.items():
        if scheme == BASE:
            continue
        one, label = part.iloc[0], schemes[scheme].label
        missing = int(one["seeds"] - one["there"])
        if missing:
            left = "" if one["there"] else ": it is not compared"
            notes.append(
                f"{label} does not get there with {missing} of {plural(int(one['seeds']), 'seed')}"
                f"{left}."
            )
        if one["updates"] < LEAST_UPDATES:
            notes.append(
                f"{label} gets there within {LEAST_UPDATES:g} updates, a matter of one step's "
                "size: take a smaller learning rate."
            )
    return notes


def _lead(rows: pd.DataFrame, name: str) -> str:
    lead = float(rows["lead"].get(name, math.nan))
    half = float(rows["lead_high"].get(name, math.nan)) - lead
    ends = f" ± {number(half, 2)}" if math.isfinite(half) else ""
    return "–" if math.isnan(lead) else f"{lead:+.3f}{ends}".replace("-", "−")


def _shown(names: Sequence[str], place: Place) -> list[str]:
    """Entropies, noise dose and at most three pass@k: the least, middle and largest k."""
    tries = [n for n in names if "pass@" in n and n not in (place.metric, f"{place.prefix}pass@1")]
    tries.sort(key=lambda name: int(name.rpartition("@")[2]))
    some = [tries[i] for i in sorted({0, len(tries) // 2, len(tries) - 1})] if tries else []
    return [*some, *(name for name in names if "pass@" not in name)]


def _tells_diversity(metric: str, prefix: str) -> bool:
    name = metric.removeprefix(prefix)
    if prefix and name == metric and metric != DOSE:
        return False
    return name in ("entropy", "entropy_correct", DOSE) or (
        name.startswith("pass@") and name.removeprefix("pass@").isdigit()
    )


def _alias(metric: str, measured: Sequence[str]) -> str:
    """The metric, or success for the pass@1 that a run did not measure by that name."""
    success = f"{metric.removesuffix('pass@1')}success"
    return success if metric not in measured and metric.endswith("pass@1") else metric


def _read(
    metrics: pd.DataFrame, place: Place, names: Sequence[str]
) -> tuple[dict[str, pd.DataFrame], pd.DataFrame]:
    """Values at the place by scheme, a row per seed, and those of the start."""
    measured = list(metrics["metric"].unique())
    driver = _alias(place.metric, measured)
    if driver not in measured:
        raise ValueError(f"{driver} was not measured; measured are: {', '.join(measured)}")
    columns = list(dict.fromkeys([driver, *names, "updates"]))
    chosen = metrics[metrics["metric"].isin(columns)]
    wide = chosen.pivot(index=["scheme", "seed", "step"], columns="metric", values="value")
    if "updates" not in measured:
        wide = wide.assign(updates=wide.index.get_level_values("step"))
    wide = wide.reindex(columns=columns).sort_index()
    found: dict[str, dict[int, Floats]] = {str(name): {} for name in chosen["scheme"].unique()}
    start: dict[int, Floats] = {}
    for (scheme, seed), run in wide.groupby(level=["scheme", "seed"], sort=False):
        course = run.to_numpy(float)
        found[str(scheme)][int(str(seed))] = _at(course, place, columns)
        start[int(str(seed))] = course[0]
    tables = {scheme: _by_seed(runs, columns) for scheme, runs in found.items()}
    # Nothing has been taken in at the start.
    return tables, _by_seed(start, columns).assign(**{DOSE: math.nan})


def _by_seed(runs: Mapping[int, Floats], columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame.from_dict(dict(runs), orient="index", columns=list(columns)).sort_index()


def _at(course: Floats, place: Place, columns: Sequence[str]) -> Floats:
    """Every metric of one run where the first of them reaches the place; NaN if it never does."""
    level = course[:, 0]
    goal = place.value + (level[0] if place.gain else 0.0)
    above = np.flatnonzero(level >= goal)
    if not above.size or above[0] == 0 or np.isnan(level[: above[0]]).any():
        return np.full(len(columns), math.nan)
    i = int(above[0])
    share = (goal - level[i - 1]) / (level[i] - level[i - 1])
    values: Floats = course[i - 1] + share * (course[i] - course[i - 1])
    if DOSE in columns:  # on the way there, each part of the gain with the dose that it took
        at = columns.index(DOSE)
        dose = np.append(course[:i, at], values[at])
        values[at] = np.trapezoid(dose, np.append(level[:i], goal)) / (goal - level[0])
    return values


def _ends(word: str, values: pd.Series, level: float) -> dict[str, float]:
    known = values.dropna().to_numpy(float)
    ends = mean_interval(known, level=level) if known.size else (math.nan,) * 3
    return dict(zip(_named(word), ends, strict=True))


def _named(word: str) -> list[str]:
    return [word, f"{word}_low", f"{word}_high"]
