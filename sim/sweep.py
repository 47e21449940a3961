"""Sweeps: every scheme in every regime, at its own best learning rate from one grid.

The learning rate of a scheme in a regime is the one with the least geometric mean of times to
target over tuning seeds, on a stated clock; a run that never gets there counts as if it did at its
end, and ties, such as a target nobody reaches, go to the higher mean success along the run. While
a pick lies at an end of the grid, the grid is widened for all schemes by doubling or halving; if it
still does in the end it is marked, and the scheme is not compared. Tuning seeds are not used again:
the measurements come from fresh seeds, paired between schemes. Intervals are Student's t over the
measured seeds, of logarithms, ratios taken seed by seed. Those of ratios contain the choice of the
rates: how much slower the rates are that resampled tuning seeds pick, root mean square of 1,000
resamplings, is added in quadrature for both schemes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
import pandas as pd
from annotated_types import Interval

from runs.configuration import Configuration, Positive, read_toml
from runs.files import write_json, write_table
from runs.folder import Run, is_finished, read_finished, read_metrics
from runs.terminal import Progress
from sim.cluster import Work, run_on_ray
from sim.config import TREES, SimulationConfig
from sim.rates import rate_name
from sim.summary import CLOCK_METRICS, restricted, seed_times, time_to_target, with_tuning
from theory._arrays import Floats

TUNING_SEED = 1_000_000
"""Tuning seeds begin this far above the seeds of the measurements."""

RESAMPLINGS = 1000
"""Bootstrap samples of the tuning seeds."""


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

    tuning_seeds: Annotated[int, Interval(ge=0, le=10_000)] = 40
    """Seeds per grid point; 0 takes the learning rates of the base as they are."""

    clock: Literal[
        "updates", "responses", "tokens", "first_success", "any_success", "mixed_group"
    ] = "updates"
    """Clock on which a learning rate has to be fast."""

    widen: Annotated[int, Interval(ge=0, le=20)] = 6
    """How often the grid may be doubled, or halved, at an end at which a pick lies."""

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

    def comparison(self, name: str) -> str | None:
        """How a regime compares at the rates that the sweep gives it."""
        found = self.regime(name).comparison
        return None if found == "own_rates" else found

    def tuned(self, name: str) -> SimulationConfig:
        """Configuration in which the rates of a regime are tried, under seeds of its own."""
        return self.regime(
            name,
            learning_rate=self.learning_rates[0],
            learning_rates={},
            comparison=self.comparison(name),
            seeds=self.tuning_seeds,
            seed=self.regime(name).seed + TUNING_SEED,
        )


def clocks_of(config: SimulationConfig) -> tuple[str, ...]:
    """Clocks that a simulation of this configuration runs.

    >>> clocks_of(SimulationConfig(learner="mirror", group_size=None))
    ('updates', 'first_success')
    """
    groups = config.group_size is not None and config.group_size >= 2
    samples = config.learner != "mirror"
    counted = {
        "responses": samples,
        "tokens": samples and config.policy in TREES,
        "any_success": groups,
        "mixed_group": groups,
    }
    return tuple(clock for clock in CLOCK_METRICS if counted.get(clock, True))


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
    finished = read_finished(path, described, overwrite=overwrite)
    if finished is not None:
        return finished
    run = Run.open(path, described, source="sim", overwrite=overwrite)
    with contextlib.closing(run):
        return _sweep(config, path, progress, executor)


def _sweep(config: SweepConfig, path: Path, progress: bool, executor: str) -> pd.DataFrame:
    cells = path / "cells"
    table, picks = tune(config, cells, progress=progress, executor=executor)
    write_table(path / "tuning.parquet", table)
    write_json(path / "rates.json", picks)
    measured: dict[Path, Work] = {
        cells / f"measure-{regime}": (
            config.regime(regime, **_found(config, regime, picks)),
            (),
            None,
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


def _found(config: SweepConfig, regime: str, picks: Mapping[str, Any]) -> dict[str, Any]:
    """Fields of a regime that say which step sizes were picked."""
    if not picks:
        return {}
    return {"learning_rates": picks[regime], "comparison": config.comparison(regime)}


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
        Columns regime, scheme, learning_rate, at_edge (the rate is an end of the grid: there is no
        ratio), and those of :func:`sim.summary.time_to_target`, tuning error in the intervals of
        ratios.
    """
    tables = []
    for regime in config.regimes:
        run = metrics[metrics["run"] == regime]
        target = config.regime(regime).target
        times = time_to_target(run, target, metric=metric, reference=reference)
        rates = run[run["metric"] == "learning_rate"].groupby("scheme")["value"].first()
        chosen = tuning[(tuning["regime"] == regime) & tuning["chosen"]].set_index("scheme")
        times.insert(0, "regime", regime)
        times.insert(2, "learning_rate", times["scheme"].map(rates))
        ends = chosen.index[chosen["at_edge"].astype(bool)]
        times.insert(3, "at_edge", times["scheme"].isin(ends))
        error = {str(name): float(value) for name, value in chosen["tuning_error"].items()}
        tables.append(with_tuning(times, error, reference, set(ends)))
    return pd.concat(tables, ignore_index=True)


def _run_cells(cells: Mapping[Path, Work], executor: str, progress: bool, name: str) -> None:
    waiting = {path: config for path, config in cells.items() if not is_finished(path)}
    alone = len(waiting) == 1 and executor != "ray"  # shows how far it is by itself
    finished = run_on_ray(waiting) if executor == "ray" else _run_here(waiting, alone and progress)
    with Progress(name, len(waiting), unit="runs", shown=progress and not alone) as bar:
        for _ in finished:
            bar.advance()


def _run_here(cells: Mapping[Path, Work], progress: bool) -> Iterable[Path]:
    from sim.run import simulate

    for path, (config, rates, race) in cells.items():
        simulate(config, path, rates=rates, race=race, progress=progress)
        yield path


def tune(
    config: SweepConfig, cells: Path, *, progress: bool = True, executor: str = "local"
) -> tuple[pd.DataFrame, dict[str, dict[str, float]]]:
    """Try the grid of every regime.

    It is widened, two rates at a time, while a pick lies at one of its ends.

    Args:
        config: The sweep.
        cells: Where the run folders go.
        progress: Show a progress bar.
        executor: See :func:`sweep`.

    Returns:
        Grid points as a table, and the learning rate of every regime and scheme.
    """
    grids = {name: {"": tuple(config.learning_rates)} for name in config.regimes}
    waiting = list(config.regimes) if config.tuning_seeds else []
    tables: dict[str, pd.DataFrame] = {}
    while waiting:
        work: dict[Path, Work] = {
            cells / f"tune-{name}{part}": (config.tuned(name), rates, CLOCK_METRICS[config.clock])
            for name in waiting
            for part, rates in grids[name].items()
        }
        _run_cells(work, executor, progress, "tuning")
        for name in waiting:
            tables[name] = _grid_points(config, name, cells, grids[name])
        waiting = [name for name in waiting if _widened(config, tables[name], grids[name])]
    columns = ["regime", "scheme", "learning_rate", "time", "arrived", "success"]
    columns += ["chosen", "at_edge", "tuning_error"]
    table = pd.concat(tables.values(), ignore_index=True) if tables else pd.DataFrame()
    table = table.reindex(columns=columns)
    picks: dict[str, dict[str, float]] = {}
    for row in table[table["chosen"] == True].to_dict("records"):  # noqa: E712 – may be empty
        picks.setdefault(row["regime"], {})[row["scheme"]] = row["learning_rate"]
    return table, picks


def _widened(
    config: SweepConfig, points: pd.DataFrame, grids: dict[str, tuple[float, ...]]
) -> bool:
    """Add rates beyond the ends at which a pick lies, and tell whether there are any."""
    picks = set(points.loc[points["at_edge"], "learning_rate"])
    tried = set(points["learning_rate"])
    more = []
    for end, given, factor in (
        (min(tried), min(config.learning_rates), 0.5),
        (max(tried), max(config.learning_rates), 2.0),
    ):
        done = round(abs(math.log2(end / given)))
        steps = min(2, config.widen - done)
        more += [end * factor**n for n in range(1, steps + 1) if end in picks]
    if more:
        grids[f"-wider-{len(grids)}"] = tuple(sorted(more))
    return bool(more)


def _grid_points(
    config: SweepConfig, regime: str, cells: Path, grids: Mapping[str, Sequence[float]]
) -> pd.DataFrame:
    """Grid points of a regime, the picks among them and how sure they are."""
    target = config.regime(regime).target
    rows: list[dict[str, Any]] = []
    logs: dict[str, list[Floats]] = {}
    for part, rates in grids.items():
        everything = read_metrics(cells / f"tune-{regime}{part}")
        for rate in rates:
            metrics = everything[everything["run"] == rate_name(rate)]
            times = seed_times(metrics, target)
            times = times[times["clock"] == config.clock]
            level = metrics[metrics["metric"] == "success"].groupby("scheme")["value"].mean()
            for scheme, group in times.groupby("scheme", sort=False):
                with np.errstate(divide="ignore"):
                    log = np.log(restricted(group.sort_values("seed")))
                # A rate with which a run diverges is none.
                log = np.where(np.isnan(log), np.inf, log)
                logs.setdefault(str(scheme), []).append(log)
                rows.append(
                    {
                        "regime": regime,
                        "scheme": scheme,
                        "learning_rate": rate,
                        "time": float(np.exp(log.mean())),
                        "arrived": float(np.isfinite(group["time"]).mean()),
                        "success": float(level[scheme]),
                    }
                )
    table = pd.DataFrame(rows)
    order = table.sort_values(["time", "success"], ascending=[True, False], kind="stable")
    table["chosen"] = table.index.isin(order.drop_duplicates("scheme").index)
    rates_tried = table["learning_rate"]
    ends = (rates_tried.min(), rates_tried.max())
    table["at_edge"] = table["chosen"] & rates_tried.isin(ends)
    errors = {scheme: _tuning_error(np.stack(parts, axis=1)) for scheme, parts in logs.items()}
    table["tuning_error"] = table["scheme"].map(errors)
    return table


def _tuning_error(logs: Floats) -> float:
    """How much slower the rates are that resampled tuning seeds pick.

    Args:
        logs: Logarithm of the restricted time, shape (seeds, rates).

    Returns:
        Root mean square over resamplings of the mean logarithm at the rate picked minus the least.

    >>> _tuning_error(np.log([[10.0, 1000.0], [11.0, 900.0]]))  # never in doubt
    0.0
    """
    usable = logs[:, np.isfinite(logs).all(axis=0)]
    if not usable.shape[1]:
        return 0.0
    seeds = len(usable)
    generator = np.random.default_rng(0)
    shares = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=RESAMPLINGS) / seeds
    means = usable.mean(axis=0)
    slower = means[(shares @ usable).argmin(axis=1)] - means.min()
    return float(np.sqrt(np.mean(slower**2)))
