"""One accessor to a tidy table of metrics, whichever source wrote it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from claims.verdicts import Compared, Unit, compared
from runs.files import read_table
from sim.matched import at_place
from sim.summary import LEAST_UPDATES, log_ratios, seed_times
from theory._arrays import Floats

ASYMMETRIC = ("linear_r", "sqrt_r", "uniform_r")
DROPPING = "linear_r:zero_success=drop"
KS = (4, 16, 64, 256)
"""Tries at which the language model's pass@k is measured; success is pass@1."""

CEILING = float(np.log(20))
"""Logarithms of ratios are counted up to this: a scheme that never arrives is not infinitely
worse, and a pair in which neither arrives says nothing."""

NEARLY_ONE = 0.99
"""Where a share is above this before training nothing is left to be won or lost."""


@dataclasses.dataclass(frozen=True)
class Metrics:
    """Metrics of one setting or regime.

    Attributes:
        name: Name of the setting or regime.
        table: Tidy metrics: scheme, seed, step, metric, value.
        arrivals: Time to the target of every run: scheme, seed, time (∞ if never) and, where it is
            known, updates.
        prefix: What stands before names of metrics, such as ``"held_out/"``.
    """

    name: str
    table: pd.DataFrame
    arrivals: pd.DataFrame = dataclasses.field(default_factory=pd.DataFrame)
    prefix: str = ""

    @classmethod
    def published(cls, folder: Path, name: str) -> Metrics:
        """Read a setting of the language model, ``folder/<name>``.

        Raises:
            FileNotFoundError: The setting has not been published there.
        """
        outcomes = read_table(folder / name / "outcomes.csv").rename(columns={"reached": "time"})
        return cls(name, read_table(curves_file(folder / name)), outcomes)

    @classmethod
    def simulated(
        cls, name: str, table: pd.DataFrame, target: float, clock: str = "responses"
    ) -> Metrics:
        """Metrics of a simulation, with arrivals at a target on a clock."""
        times = seed_times(table, target)
        on = times[times["clock"] == clock].drop(columns="clock")
        updates = times[times["clock"] == "updates"].rename(columns={"time": "updates"})
        return cls(name, table, on.merge(updates.drop(columns="clock"), on=["scheme", "seed"]))

    def schemes(self) -> list[str]:
        """Schemes that were measured, in order."""
        return list(dict.fromkeys(self.table["scheme"]))

    def course(self, scheme: str, metric: str) -> pd.DataFrame:
        """One row per seed, one column per step."""
        chosen = self.table[
            (self.table["scheme"] == scheme) & (self.table["metric"] == f"{self.prefix}{metric}")
        ]
        return chosen.pivot(index="seed", columns="step", values="value").sort_index()

    def _continued(self, scheme: str, metric: str) -> pd.DataFrame:
        """The course of runs, those that stopped as they were last; NaN all along if one diverged.

        A step that a run did not reach is not in the table; one whose value is no number is.
        """
        course = self.course(scheme, metric)
        named = self.table["metric"] == f"{self.prefix}{metric}"
        lost = self.table[named & (self.table["scheme"] == scheme) & self.table["value"].isna()]
        course = course.ffill(axis=1)
        course.loc[course.index.isin(lost["seed"])] = np.nan
        return course

    def first(self, scheme: str, metric: str) -> Floats:
        """Value before training, one per seed."""
        return _array(self.course(scheme, metric).bfill(axis=1).iloc[:, 0])

    def last(self, scheme: str, metric: str) -> Floats:
        """Value at the end, one per seed."""
        return _array(self._continued(scheme, metric).iloc[:, -1])

    def gain(self, scheme: str, metric: str) -> Floats:
        """Last minus first value, one per seed."""
        return self.last(scheme, metric) - self.first(scheme, metric)

    def lead(self, scheme: str, reference: str, metric: str) -> Floats:
        """Last value minus the reference's, paired by seed."""
        return self.last(scheme, metric) - self.last(reference, metric)

    def mean_lead(self, scheme: str, reference: str, metric: str) -> Floats:
        """Mean over training minus the reference's, paired by seed.

        Runs that stop when they arrive count as they were last.
        """
        ours, theirs = self._continued(scheme, metric), self._continued(reference, metric)
        steps = ours.columns.union(theirs.columns)
        means = [c.reindex(columns=steps).ffill(axis=1).mean(axis=1) for c in (ours, theirs)]
        return _array(means[0] - means[1])

    def peak(self, scheme: str, metric: str) -> Floats:
        """Largest value along the way, one per seed; NaN of a run that diverged."""
        return _array(self._continued(scheme, metric).max(axis=1, skipna=False))

    def fall(self, scheme: str, metric: str) -> Floats:
        """Peak minus last value, one per seed."""
        course = self._continued(scheme, metric)
        return _array(course.max(axis=1) - course.iloc[:, -1])

    def at_level(self, scheme: str, metric: str, level: float) -> Floats:
        """Value of a metric when success first reaches a level, interpolated; NaN if never."""
        return self._at(scheme, metric, f"success={level:.17g}")

    def at_gain(self, scheme: str, metric: str, gain: float) -> Floats:
        """Value of a metric where pass@1 has risen by so much, interpolated; NaN if never."""
        return self._at(scheme, metric, f"pass@1=+{gain:.17g}")

    def at_rise(self, scheme: str, metric: str, rise: float) -> Floats:
        """Value of a metric where success has risen by so much, interpolated; NaN if never."""
        return self._at(scheme, metric, f"success=+{rise:.17g}")

    def _at(self, scheme: str, metric: str, place: str) -> Floats:
        runs = self.table[self.table["scheme"] == scheme]
        return _array(at_place(runs, f"{self.prefix}{place}", f"{self.prefix}{metric}")[scheme])

    def log_ratio(self, scheme: str, reference: str) -> Floats:
        """Logarithms of the ratios of times to the target, paired by seed."""
        return _log_ratios(self._times(scheme), self._times(reference))

    def log_ratio_to(self, other: Metrics, scheme: str) -> Floats:
        """Logarithms of the ratios of a scheme's times here to those there, paired by seed."""
        return _log_ratios(self._times(scheme), other._times(scheme))

    def saving(self, other: Metrics, scheme: str) -> Floats:
        """Share of a scheme's times there that it saves here, paired by seed."""
        return np.asarray(1 - np.exp(self.log_ratio_to(other, scheme)))

    def _times(self, scheme: str) -> pd.Series:
        return (
            self.arrivals[self.arrivals["scheme"] == scheme].set_index("seed")["time"].sort_index()
        )

    def too_soon(self, *schemes: str) -> str:
        """Why times of schemes say nothing, if one arrives at once; else empty."""
        if "updates" not in self.arrivals:
            return ""
        medians = self.arrivals.groupby("scheme")["updates"].median()
        least = float(medians[list(schemes)].min())
        words = f"the target is reached in {least:.2g} updates, fewer than {LEAST_UPDATES:g}"
        return words if least < LEAST_UPDATES else ""

    def times_of(
        self, scheme: str, reference: str, unit: Unit = "log ratio", regime: str = ""
    ) -> Compared:
        """Fields of a check of two schemes' times, void if one arrives at once."""
        return compared(scheme, reference, unit, regime, void=self.too_soon(scheme, reference))

    def settled(self, scheme: str, metric: str) -> str:
        """Why a share says nothing, if it was nearly 1 before training; else empty."""
        start = float(self.first(scheme, metric).mean())
        return f"{metric} was {start:.4f} before training" if start > NEARLY_ONE else ""


def curves_file(setting: Path) -> Path:
    """The file of a published setting's curves: text, or Parquet in those of before."""
    text = setting / "curves.csv"
    return text if text.exists() else setting / "curves.parquet"


def _log_ratios(mine: pd.Series, theirs: pd.Series) -> Floats:
    """Of the seeds that both have."""
    ours, others = mine.align(theirs, join="inner")
    logs = log_ratios(ours.to_numpy(float), others.to_numpy(float))
    return np.asarray(np.clip(logs, -CEILING, CEILING))


def _array(column: pd.Series) -> Floats:
    values: Floats = column.to_numpy(float)
    return values


def model_metrics() -> list[str]:
    """Success and pass@k, as the language model measures them."""
    return ["success", *(f"pass@{k}" for k in KS)]
