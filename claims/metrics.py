"""Reading values off metrics, and the bounds that several claims share."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from runs.files import read_table

ASYMMETRIC = ("linear_r", "sqrt_r", "uniform_r")
DROPPING = "linear_r:zero_success=drop"
KS = (4, 16, 64, 256)
SLACK = 0.01
"""Differences of pass@k below this count as none."""
CEILING = float(np.log(20))
"""Logarithms of ratios are counted up to this: a scheme that never arrives is not infinitely
worse."""
MARGIN = 0.1
"""A speed-up that is predicted to be less than this in logarithm must not be larger."""


@dataclasses.dataclass(frozen=True)
class SettingTables:
    """The published tables of one setting.

    Attributes:
        name: Name of the setting.
        outcomes: One row per scheme and seed.
        curves: Tidy metrics at the steps of measurement.
    """

    name: str
    outcomes: pd.DataFrame
    curves: pd.DataFrame

    @classmethod
    def read(cls, folder: Path, name: str) -> SettingTables:
        """Read ``folder/<name>``.

        Raises:
            FileNotFoundError: The setting has not been published there.
        """
        place = folder / name
        return cls(name, read_table(place / "outcomes.csv"), read_table(place / "curves.parquet"))

    def schemes(self) -> list[str]:
        """Schemes that were judged, in order."""
        return list(dict.fromkeys(self.outcomes["scheme"]))

    def log_ratio(self, scheme: str, reference: str) -> list[float]:
        """Logarithms of the ratios of responses to the target, seed by seed."""
        reached = self.outcomes.pivot(index="seed", columns="scheme", values="reached")
        ours, theirs = reached[scheme].to_numpy(), reached[reference].to_numpy()
        kept = np.isfinite(ours) | np.isfinite(theirs)
        with np.errstate(divide="ignore"):
            logs = np.log(ours[kept] / theirs[kept])
        return [float(x) for x in np.clip(logs, -CEILING, CEILING)]

    def course(self, scheme: str, metric: str) -> pd.DataFrame:
        """One row per seed, one column per step."""
        chosen = self.curves[(self.curves["scheme"] == scheme) & (self.curves["metric"] == metric)]
        return chosen.pivot(index="seed", columns="step", values="value").sort_index()

    def first(self, scheme: str, metric: str) -> np.ndarray:
        """First value of every seed; base, for metrics of the policy."""
        return self.course(scheme, metric).bfill(axis=1).iloc[:, 0].to_numpy(float)

    def last(self, scheme: str, metric: str) -> np.ndarray:
        """Last value of every seed."""
        return self.course(scheme, metric).ffill(axis=1).iloc[:, -1].to_numpy(float)

    def gain(self, scheme: str, metric: str) -> list[float]:
        """Last minus first value, by seed."""
        return list(self.last(scheme, metric) - self.first(scheme, metric))


def model_metrics() -> list[str]:
    """Success and pass@k, as the language model measures them."""
    return ["success", *(f"pass@{k}" for k in KS)]
