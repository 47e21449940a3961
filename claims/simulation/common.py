"""What the claims share: running into a folder, and reading values off the metrics."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from sim.config import SimulationConfig
from sim.divergence import divergences
from sim.summary import log_ratios, seed_times
from sim.sweep import SweepConfig, sweep

FRESH_SEED = 20_000
"""First seed of the full versions. Regimes were searched for under the seeds from 0, and a first
full run used those from 10,000 (tuning seeds begin a million above): what the full versions
measure, and tune with, was seen by neither."""

WEIGHTED = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")
"""Schemes of the excess-time table."""


@dataclasses.dataclass(frozen=True)
class Lab:
    """Where a claim runs its simulations, and how long they may take.

    Attributes:
        folder: Folder of all claims.
        claim: Id of the claim.
        quick: The short version: seconds instead of minutes, most of them the compiler's. It tunes
            with as many seeds as it measures, so that programs are compiled for one shape.
        executor: Who runs the cells of sweeps, see :func:`sim.sweep.sweep`.
        progress: Show progress bars.
        replaced: Folders whose runs have been replaced, if they are to be; none to continue
            what they hold. Claims that share runs share this set.
        used: Folders the claim looked at, by name; filled on the way.
        diverged: Runs that diverged, which decide nothing; filled on the way.
    """

    folder: Path
    claim: str
    quick: bool
    executor: Literal["local", "ray"] = "local"
    progress: bool = False
    replaced: set[Path] | None = None
    used: dict[str, Path] = dataclasses.field(default_factory=dict)
    diverged: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    @property
    def first_seed(self) -> int:
        """First seed; the quick version may reuse those of the search for regimes."""
        return 0 if self.quick else FRESH_SEED

    def run(self, config: SimulationConfig, name: str) -> pd.DataFrame:
        """Metrics of a run; continues or reads what is there."""
        from sim.run import simulate

        path = self.used[name] = self.folder / self.claim / name
        return self._looked_at(
            name, simulate(config, path, overwrite=self._replaced(path), progress=self.progress)
        )

    def sweep(self, config: SweepConfig, name: str, *, shared: str | None = None) -> pd.DataFrame:
        """Metrics of a sweep; ``shared`` names a folder that several claims look at."""
        path = self.used[name] = self.folder / (shared or self.claim) / name
        metrics = sweep(
            config,
            path,
            overwrite=self._replaced(path),
            progress=self.progress,
            executor=self.executor,
        )
        return self._looked_at(name, metrics)

    def _looked_at(self, name: str, metrics: pd.DataFrame) -> pd.DataFrame:
        self.diverged.extend(
            {"run": name, "scheme": scheme, "seed": seed, "step": step}
            for scheme, seed, step in divergences(metrics).values.tolist()
        )
        return metrics

    def _replaced(self, path: Path) -> bool:
        if self.replaced is None or path in self.replaced:
            return False
        self.replaced.add(path)
        return True


def times(metrics: pd.DataFrame, target: float, clock: str) -> dict[str, np.ndarray]:
    """Time to target of every scheme on a clock, one per seed in order."""
    table = seed_times(metrics, target)
    table = table[table["clock"] == clock].sort_values("seed", kind="stable")
    return {
        str(scheme): group["time"].to_numpy()
        for scheme, group in table.groupby("scheme", sort=False)
    }


def series(metrics: pd.DataFrame, scheme: str, metric: str) -> pd.DataFrame:
    """Values of a metric of a scheme: one row per seed, one column per step."""
    chosen = metrics[(metrics["scheme"] == scheme) & (metrics["metric"] == metric)]
    return chosen.pivot(index="seed", columns="step", values="value")


def final(metrics: pd.DataFrame, scheme: str, metric: str) -> np.ndarray:
    """Value at the last step, one per seed."""
    return series(metrics, scheme, metric).iloc[:, -1].to_numpy()


def first(metrics: pd.DataFrame, scheme: str, metric: str) -> np.ndarray:
    """Value before training, one per seed."""
    return series(metrics, scheme, metric).iloc[:, 0].to_numpy()


def log_ratio(
    times: Sequence[float] | np.ndarray, reference: Sequence[float] | np.ndarray
) -> list[float]:
    """Logarithms of seed-by-seed ratios; pairs that both failed are left out."""
    return list(log_ratios(np.asarray(times, float), np.asarray(reference, float)))
