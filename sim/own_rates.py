"""Comparisons at own rates: every scheme at the step size that is its best on other seeds.

A coarse grid of factor 4, on four seeds, says where the best rates lie; a grid of factor 2 around
them is then tuned as :mod:`sim.sweep` tunes, widened while a pick lies at one of its ends, and the
schemes are measured on seeds of their own. The clock is that of the responses, where any are drawn.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import shutil
from pathlib import Path
from typing import Literal

import pandas as pd

from runs.files import write_json, write_table
from runs.folder import Run, read_finished
from sim.config import SimulationConfig
from sim.run import check_start, keep_start, simulate, start_as_read
from sim.summary import AT_EDGE, TUNING_ERROR
from sim.sweep import SweepConfig, clocks_of, tune

_COARSE = tuple(4.0**power for power in range(-6, 7))
_COARSE_SEEDS = 4
_REGIME = "rates"


def compare(
    config: SimulationConfig,
    path: Path | str,
    *,
    overwrite: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Run every scheme at its own best step size, or as :func:`sim.run.simulate` at given ones.

    The folder has what that function writes, with the metrics ``tuning_error`` and ``at_edge`` at
    step 0 (see :func:`sim.sweep.sweep_times`), ``tuning.parquet`` (every step size that was tried),
    ``rates.json`` (the picks) and ``cells/``, run folders of the tuning and the measurement. A
    killed run resumes, to the same numbers.

    Args:
        config: What to run.
        path: The run folder.
        overwrite: Delete whatever run the folder holds.
        progress: Show progress bars on a terminal, else a line a minute.

    Returns:
        The metrics table.

    Raises:
        RunExistsError: The folder holds a run of another configuration, or one that began from
            other pass rates than its file holds now.
    """
    if not config.finds_rates:
        return simulate(config, path, overwrite=overwrite, progress=progress)
    path, described, start = Path(path), config.to_dict(), start_as_read(config)
    finished = read_finished(path, described, overwrite=overwrite)
    if finished is not None:
        check_start(path, start)
        return finished
    coarse = _plan(config, _COARSE, min(_COARSE_SEEDS, config.tuning_seeds))
    run = Run.open(path, described, source="sim", overwrite=overwrite)
    with contextlib.closing(run):
        keep_start(path, start)
        picks = tune(coarse, path / "cells" / "coarse", progress=progress)[1][_REGIME]
        low, high = (round(math.log2(end(picks.values()))) for end in (min, max))
        around = tuple(2.0**power for power in range(low - 1, high + 2))
        fine = _plan(config, around, config.tuning_seeds)
        table, found = tune(fine, path / "cells", progress=progress)
        write_table(path / "tuning.parquet", table.drop(columns="regime"))
        write_json(path / "rates.json", found[_REGIME])
        at = dataclasses.replace(config, comparison="same_rate", learning_rates=found[_REGIME])
        metrics = simulate(at, path / "cells" / "measure", progress=progress)
        run.log_table(metrics.drop(columns="run"))
        run.log_table(_of_tuning(metrics, table))
        found_all = run.finish()
        for left in (path / "cells").rglob("checkpoints"):
            shutil.rmtree(left)  # of use to a killed run alone, and large
        return found_all


def _plan(config: SimulationConfig, rates: tuple[float, ...], seeds: int) -> SweepConfig:
    drawn = "responses" in clocks_of(config)
    clock: Literal["updates", "responses"] = "responses" if drawn else "updates"
    widen = SweepConfig.widen if rates is not _COARSE else 0
    return SweepConfig(config, {_REGIME: {}}, rates, seeds, clock, widen)


def _of_tuning(metrics: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Rows that say of every run how sure its step size is."""
    chosen = table[table["chosen"]].set_index("scheme")
    first = metrics[metrics["metric"] == "learning_rate"]
    parts = [
        first.assign(metric=name, value=first["scheme"].map(chosen[name]).astype(float))
        for name in (TUNING_ERROR, AT_EDGE)
    ]
    return pd.concat(parts, ignore_index=True).drop(columns="run")
