"""Sweeps: every scheme in every regime, at its own best learning rate from one grid.

The learning rate of a scheme in a regime is the one with the least median time to target over
tuning seeds, on a stated clock; a rate that never gets there counts as ∞, and ties, such as a
target nobody reaches, go to the higher mean success along the run. A pick at either end of the grid
is marked: the best rate may lie beyond. Tuning seeds are not used again: the measurements come from
fresh seeds, paired between schemes. Intervals are Student's t over the measured seeds, of
logarithms, ratios taken seed by seed; they do not contain the choice of the rate, which is given.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from annotated_types import Interval

from runs.configuration import Configuration, Positive, read_toml
from runs.files import write_json, write_table
from runs.folder import Run, is_finished, read_config, read_metrics
from runs.terminal import Progress
from sim.cluster import Work, run_on_ray
from sim.config import TREES, SimulationConfig
from sim.rates import rate_name
from sim.summary import CLOCK_METRICS, seed_times, time_to_target

TUNING_SEED = 1_000_000
"""Tuning seeds begin this far above the seeds of the measurements."""


@dataclasses.dataclass(frozen=True)
class SweepConfig(Configuration):
    """A sweep.

    Raises:
        ValueError: A value that is not allowed.

    >>> SweepConfig.from_dict({"base": {"steps": 20}, "regimes": {"hard": {"start": 0.001}}}).clock
    'updates'
    """

    base: SimulationConfig = dataclasses.field(default_factory=SimulationConfig)
    """What all regimes have in common; its schemes and seeds are those of the measurements."""

    regimes: dict[str, dict[str, Any]] = dataclasses.field(default_factory=lambda: {"base": {}})
    """Fields of the base that a regime changes, by the regime's name."""

    learning_rates: tuple[Positive, ...] = (0.1, 0.3, 1.0, 3.0)
    """The grid, the same for every scheme."""

    tuning_seeds: Annotated[int, Interval(ge=0, le=10_000)] = 3
    """Seeds per grid point; 0 takes the learning rates of the base as they are."""

    clock: Literal[
        "updates", "responses", "tokens", "first_success", "any_success", "mixed_group"
    ] = "updates"
    """Clock on which a learning rate has to be fast."""

    def check_together(self) -> None:
        """Check the grid and every regime."""
        if not self.regimes:
            raise ValueError("regimes must name at least one regime")
        if self.tuning_seeds and not self.learning_rates:
            raise ValueError("learning_rates must hold at least one rate to choose from")
        if len(set(map(rate_name, self.learning_rates))) < len(self.learning_rates):
            raise ValueError("learning_rates must differ from each other")
        for name in self.regimes:
            if not name.replace("-", "").replace("_", "").replace(".", "").isalnum():
                raise ValueError(f"a regime is named by letters, digits and ._-; got {name!r}")
            self._check_regime(name)

    def _check_regime(self, name: str) -> None:
        config = self.regime(name)
        if not self.tuning_seeds:
            return
        self.tuned(name)
        for field in ("learning_rate", "learning_rates"):
            if field in self.regimes[name]:
                raise ValueError(
                    f"regime {name} sets {field}, which is chosen from the grid: leave it out, or "
                    "set tuning_seeds to 0"
                )
        if self.clock not in clocks_of(config):
            raise ValueError(
                f"regime {name} has no clock {self.clock} to choose a rate by; it has: "
                f"{', '.join(clocks_of(config))}"
            )

    def regime(self, name: str, **changes: Any) -> SimulationConfig:
        """Configuration of a regime, with further changes."""
        values = {**self.base.to_dict(), **self.regimes[name], **changes}
        return SimulationConfig.from_dict(values, where=f"regime {name}")

    def tuned(self, name: str) -> SimulationConfig:
        """Configuration in which the rates of a regime are tried, under seeds of its own."""
        return self.regime(
            name,
            learning_rate=self.learning_rates[0],
            learning_rates={},
            seeds=self.tuning_seeds,
            seed=self.regime(name).seed + TUNING_SEED,
        )


def clocks_of(config: SimulationConfig) -> tuple[str, ...]:
    """Clocks that a simulation of this configuration runs.

    >>> clocks_of(SimulationConfig(learner="mirror", group_size=None))
    ('updates', 'first_success')
    """
    groups = config.group_size is not None and config.group_size >= 2
    missing = {"responses"} if config.learner == "mirror" else set()
    missing |= set() if groups else {"any_success", "mixed_group"}
    missing |= set() if config.policy in TREES and not missing & {"responses"} else {"tokens"}
    return tuple(clock for clock in CLOCK_METRICS if clock not in missing)


def read_sweep(path: Path | str) -> SweepConfig:
    """Read a sweep from a TOML file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is not TOML, or holds a value that is not allowed.
    """
    path = Path(path)
    return SweepConfig.from_dict(read_toml(path), where=str(path))


def sweep(
    config: SweepConfig,
    path: Path | str,
    *,
    overwrite: bool = False,
    progress: bool = True,
    executor: Literal["local", "ray"] = "local",
) -> pd.DataFrame:
    """Tune and measure every scheme in every regime.

    The folder gets ``metrics.parquet`` (column ``run`` is the regime), ``tuning.parquet`` (every
    grid point), ``rates.json`` (the picks), ``times.parquet`` (:func:`sweep_times`) and
    ``cells/``, two run folders per regime: all rates that were tried, in one program, and the
    measurements. A killed sweep resumes.

    Args:
        config: What to run.
        path: Folder of the sweep; with Ray, on a disk that all machines share.
        overwrite: Delete whatever sweep the folder holds.
        progress: Show a progress bar.
        executor: ``"local"``, or ``"ray"`` for the machines of a Ray cluster.

    Returns:
        The metrics of the measurements.

    Raises:
        RunExistsError: The folder holds something else.
    """
    path = Path(path)
    described = config.to_dict()
    if not overwrite and is_finished(path) and read_config(path) == described:
        return read_metrics(path)
    run = Run.open(path, described, source="sim", overwrite=overwrite)
    with contextlib.closing(run):
        return _sweep(config, path, progress, executor)


def _sweep(config: SweepConfig, path: Path, progress: bool, executor: str) -> pd.DataFrame:
    cells = path / "cells"
    if config.tuning_seeds:
        tuning: dict[Path, Work] = {
            cells / f"tune-{regime}": (config.tuned(regime), config.learning_rates)
            for regime in config.regimes
        }
        _run_cells(tuning, executor, progress, "tuning")
    table, picks = _choose(config, cells)
    write_table(path / "tuning.parquet", table)
    write_json(path / "rates.json", picks)
    measured: dict[Path, Work] = {
        cells / f"measure-{regime}": (
            config.regime(regime, **({"learning_rates": picks[regime]} if picks else {})),
            (),
        )
        for regime in config.regimes
    }
    _run_cells(measured, executor, progress, "measuring")
    parts = [
        read_metrics(cell).assign(run=regime)
        for regime, cell in zip(config.regimes, measured, strict=True)
    ]
    everything = pd.concat(parts, ignore_index=True)
    write_table(path / "times.parquet", sweep_times(config, everything, table))
    write_table(path / "metrics.parquet", everything)
    return read_metrics(path)


def sweep_times(
    config: SweepConfig,
    metrics: pd.DataFrame,
    tuning: pd.DataFrame,
    *,
    metric: str = "success",
    reference: str = "grpo",
) -> pd.DataFrame:
    """Times to target of a sweep, one row per regime, scheme and clock.

    Args:
        config: The sweep.
        metrics: Its ``metrics.parquet``.
        tuning: Its ``tuning.parquet``.
        metric: What has to reach the target.
        reference: Scheme that ratios compare with.

    Returns:
        Columns regime, scheme, learning_rate, at_edge (the rate is an end of the grid), and those
        of :func:`sim.summary.time_to_target`.
    """
    tables = []
    for regime in config.regimes:
        run = metrics[metrics["run"] == regime]
        target = config.regime(regime).target
        times = time_to_target(run, target, metric=metric, reference=reference)
        rates = run[run["metric"] == "learning_rate"].groupby("scheme")["value"].first()
        ends = tuning[(tuning["regime"] == regime) & tuning["at_edge"]]["scheme"]
        times.insert(0, "regime", regime)
        times.insert(2, "learning_rate", times["scheme"].map(rates))
        times.insert(3, "at_edge", times["scheme"].isin(ends))
        tables.append(times)
    return pd.concat(tables, ignore_index=True)


def _run_cells(cells: Mapping[Path, Work], executor: str, progress: bool, name: str) -> None:
    waiting = {path: config for path, config in cells.items() if not is_finished(path)}
    finished = run_on_ray(waiting) if executor == "ray" else _run_here(waiting)
    with Progress(name, len(waiting), unit="runs", shown=progress) as bar:
        for _ in finished:
            bar.advance()


def _run_here(cells: Mapping[Path, Work]) -> Iterable[Path]:
    from sim.run import simulate

    for path, (config, rates) in cells.items():
        simulate(config, path, rates=rates, progress=False)
        yield path


def _choose(config: SweepConfig, cells: Path) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """Grid points as a table, and the chosen learning rate of every regime and scheme."""
    rows: list[dict[str, Any]] = []
    for regime in config.regimes if config.tuning_seeds else ():
        target = config.regime(regime).target
        everything = read_metrics(cells / f"tune-{regime}")
        for rate in config.learning_rates:
            metrics = everything[everything["run"] == rate_name(rate)]
            times = seed_times(metrics, target)
            times = times[times["clock"] == config.clock]
            level = metrics[metrics["metric"] == "success"].groupby("scheme")["value"].mean()
            for scheme, group in times.groupby("scheme", sort=False):
                rows.append(
                    {
                        "regime": regime,
                        "scheme": scheme,
                        "learning_rate": rate,
                        "time": float(np.median(group["time"])),
                        "success": float(level[scheme]),
                    }
                )
    columns = ["regime", "scheme", "learning_rate", "time", "success"]
    table = pd.DataFrame(rows, columns=columns)
    order = table.sort_values(["time", "success"], ascending=[True, False], kind="stable")
    best = order.drop_duplicates(["regime", "scheme"])
    table["chosen"] = table.index.isin(best.index)
    ends = (min(config.learning_rates, default=0), max(config.learning_rates, default=0))
    table["at_edge"] = table["chosen"] & table["learning_rate"].isin(ends)
    picks: dict[str, dict[str, float]] = {}
    for row in best.to_dict("records"):
        picks.setdefault(row["regime"], {})[row["scheme"]] = row["learning_rate"]
    return table, picks
