"""Where the claims' simulations run, and under which seeds."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from sim.config import SimulationConfig
from sim.divergence import divergences
from sim.sweep import SweepConfig, sweep

FRESH_SEED = 20_000
"""First seed of the full versions. Regimes were searched for under the seeds from 0, and a first
full run used those from 10,000 (tuning seeds begin a million above): what the full versions
measure, and tune with, was seen by neither."""


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
        seeds: Seeds to run instead of the claim's own number, where seeds are added in looks.
        used: Folders the claim looked at, by name; filled on the way.
        diverged: Runs that diverged, which decide nothing; filled on the way.
    """

    folder: Path
    claim: str
    quick: bool
    executor: Literal["local", "ray"] = "local"
    progress: bool = False
    replaced: set[Path] | None = None
    seeds: int | None = None
    used: dict[str, Path] = dataclasses.field(default_factory=dict)
    diverged: list[dict[str, Any]] = dataclasses.field(default_factory=list)

    def _named(self, name: str) -> str:
        return f"{name}-{self.seeds}-seeds" if self.seeds else name

    @property
    def first_seed(self) -> int:
        """First seed; the quick version may reuse those of the search for regimes."""
        return 0 if self.quick else FRESH_SEED

    def run(self, config: SimulationConfig, name: str) -> pd.DataFrame:
        """Metrics of a run; continues or reads what is there."""
        from sim.run import simulate

        path = self.used[name] = self.folder / self.claim / self._named(name)
        return self._looked_at(
            name, simulate(config, path, overwrite=self._replaced(path), progress=self.progress)
        )

    def sweep(self, config: SweepConfig, name: str, *, shared: str | None = None) -> pd.DataFrame:
        """Metrics of a sweep; ``shared`` names a folder that several claims look at."""
        path = self.used[name] = self.folder / (shared or self.claim) / self._named(name)
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
