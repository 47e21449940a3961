"""Run a simulation into a run folder; a killed run goes on where it was, to the same bits."""

from __future__ import annotations

import contextlib
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd
from tqdm import tqdm

from apw.runs import Run, is_finished, read_config, read_metrics
from sim.bandit import Bandit, prior_logits
from sim.config import SimulationConfig, to_dict
from sim.program import Cells, Shape, clock_metrics, compiled, compiled_measurement
from sim.rates import learning_rates
from sim.tables import scheme_table, stack
from theory.schemes import resolve

_CELL_ELEMENTS = 1 << 20
"""Logits per program call: cells are batched until their logits leave the cache."""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Cells that run in one program.

    Attributes:
        name: Key of its parts and checkpoints.
        scheme: Scheme compiled into the program, none for tables.
        cells: (scheme, seed) of each cell.
    """

    name: str
    scheme: str | None
    cells: tuple[tuple[str, int], ...]


def simulate(
    config: SimulationConfig, path: Path | str, *, overwrite: bool = False, progress: bool = True
) -> pd.DataFrame:
    """Run every scheme under every seed and write the run folder.

    The folder's ``metrics.parquet`` has one row per scheme, seed, step and metric: those of
    :func:`sim.measure.measure`, ``updates``, ``responses`` (all prompts together),
    ``clock/effective`` (responses per prompt if every update waits for one correct response),
    ``clock/any_success`` and ``clock/mixed_group`` (groups per prompt until one is so), and
    ``learning_rate`` at step 0.

    Args:
        config: What to run.
        path: The run folder. An unfinished run of the same configuration is continued, to the
            bits of an uninterrupted one; a finished one is returned as it is.
        overwrite: Delete whatever run the folder holds.
        progress: Show a progress bar on a terminal, else a line a minute.

    Returns:
        The metrics table.

    Raises:
        RunExistsError: The folder holds a run of another configuration.

    >>> import tempfile
    >>> config = SimulationConfig(schemes=("grpo",), seeds=1, prompts=4, steps=2, measure_every=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     metrics = simulate(config, folder + "/run", progress=False)
    >>> metrics.query("metric == 'updates'")["value"].tolist()
    [0.0, 1.0, 2.0]
    """
    described = to_dict(config)
    if not overwrite and is_finished(path) and read_config(path) == described:
        return read_metrics(path)
    run = Run.open(path, described, arm="sim", overwrite=overwrite)
    with _precision(config.precision):
        rates = learning_rates(config)
        batches = plan(config)
        total = sum(len(batch.cells) for batch in batches) * config.steps
        with _bar(total, progress, Path(path).name) as bar:
            for batch in batches:
                _run_batch(config, run, batch, rates, bar)
    return run.finish()


def plan(config: SimulationConfig) -> list[Batch]:
    """Divide the cells among programs: tables together, other schemes each by itself."""
    seeds = range(config.seed, config.seed + config.seeds)
    alone = [s for s in config.schemes if config.group_size is None or _by_itself(s)]
    groups: list[tuple[str | None, list[str]]] = [
        (None, [s for s in config.schemes if s not in alone]),
        *((s, [s]) for s in alone),
    ]
    size = max(1, _CELL_ELEMENTS // (config.answers * config.prompts))
    batches: list[Batch] = []
    for scheme, names in groups:
        cells = [(name, seed) for name in names for seed in seeds]
        for first in range(0, len(cells), size):
            name = f"batch-{len(batches):04d}"
            batches.append(Batch(name, scheme, tuple(cells[first : first + size])))
    return batches


def _by_itself(scheme: str) -> bool:
    return resolve(scheme).needs_confidence


def _run_batch(
    config: SimulationConfig, run: Run, batch: Batch, rates: dict[str, float], bar: tqdm[Any]
) -> None:
    shape = Shape(
        learner=config.learner, group_size=config.group_size, scheme=batch.scheme,
        updates=config.measure_every, pass_k=config.pass_k, generator=config.generator,
        precision=config.precision,
    )  # fmt: skip
    cells, parameters = _cells(config, batch, rates)
    measurements = config.steps // config.measure_every
    clocks: dict[str, np.ndarray] = {}
    done = 0
    saved = run.load_checkpoint(batch.name)
    if saved is not None:
        done = int(saved["measurements"])
        parameters = jnp.asarray(saved["parameters"])
        clocks = {k: v for k, v in saved.items() if k.startswith("clock/")}
    tables: list[pd.DataFrame] = []
    if saved is None:
        first = compiled_measurement(shape)(cells, parameters)
        start = {name: np.asarray(values, dtype=float) for name, values in first.items()}
        start["learning_rate"] = np.array([rates[s] for s, _ in batch.cells])
        tables = [_rows(config, batch, 0, start, {})]
    bar.update(done * config.measure_every * len(batch.cells))
    step = compiled(shape)
    for number in range(done, measurements):
        parameters, metrics = step(cells, parameters, jnp.uint32(number * config.measure_every))
        values = {name: np.asarray(value, dtype=float) for name, value in metrics.items()}
        for name in [name for name in values if name.startswith("clock/")]:
            clocks[name] = clocks.get(name, 0.0) + values.pop(name)
        tables.append(_rows(config, batch, number + 1, values, clocks))
        bar.update(config.measure_every * len(batch.cells))
        if (number + 1) % config.checkpoint_every == 0 or number + 1 == measurements:
            run.log_table(pd.concat(tables, ignore_index=True))
            run.write_part(f"{batch.name}-{number // config.checkpoint_every:06d}")
            run.save_checkpoint(
                batch.name,
                {
                    "measurements": np.asarray(number + 1),
                    "parameters": np.asarray(parameters),
                    **clocks,
                },
            )
            tables = []


def _cells(
    config: SimulationConfig, batch: Batch, rates: dict[str, float]
) -> tuple[Cells, jax.Array]:
    dtype = config.precision
    priors = {
        seed: prior_logits(
            prompts=config.prompts, answers=config.answers,
            correct_answers=config.correct_answers, start=config.start,
            prior_spread=config.prior_spread, seed=seed,
        ).astype(dtype)
        for seed in {seed for _, seed in batch.cells}
    }  # fmt: skip
    count = len(batch.cells)
    correct = np.zeros((count, config.answers, config.prompts), bool)
    correct[:, : config.correct_answers] = True
    table = None
    if batch.scheme is None and config.group_size is not None:
        table = stack([scheme_table(s, config.group_size, dtype) for s, _ in batch.cells])
    cells = Cells(
        policy=Bandit(jnp.asarray(correct)),
        table=table,
        rate=jnp.asarray([rates[s] for s, _ in batch.cells], dtype),
        seed=jnp.asarray([seed for _, seed in batch.cells], jnp.uint32),
    )
    return cells, jnp.asarray(np.stack([priors[seed] for _, seed in batch.cells]))


def _rows(
    config: SimulationConfig,
    batch: Batch,
    measurement: int,
    values: dict[str, np.ndarray],
    clocks: dict[str, np.ndarray],
) -> pd.DataFrame:
    """Rows of one measurement of every cell, in the columns of the run folder."""
    step, count = measurement * config.measure_every, len(batch.cells)
    everything = {**values, **clocks, "updates": np.full(count, float(step))}
    if measurement == 0:
        everything.update({name: np.zeros(count) for name in clock_metrics(config.group_size)})
    if config.group_size is not None and config.learner != "mirror":
        everything["responses"] = np.full(count, float(step * config.group_size * config.prompts))
    names = sorted(everything)
    return pd.DataFrame(
        {
            "scheme": np.repeat([s for s, _ in batch.cells], len(names)),
            "seed": np.repeat([seed for _, seed in batch.cells], len(names)),
            "step": step,
            "metric": names * count,
            "value": np.stack([everything[name] for name in names], axis=1).ravel(),
        }
    )


@contextlib.contextmanager
def _precision(precision: str) -> Iterator[None]:
    """Let JAX compute in float64 where the configuration asks for it, and only there."""
    if precision == "float64":
        with jax.enable_x64(True):
            yield
    else:
        yield


@contextlib.contextmanager
def _bar(total: int, progress: bool, name: str) -> Iterator[tqdm[Any]]:
    """Progress in updates of cells: a bar on a terminal, a line a minute elsewhere."""
    terminal = sys.stderr.isatty()
    with tqdm(
        total=total, desc=name, unit=" updates", unit_scale=True, disable=not progress,
        mininterval=0.1 if terminal else 60.0, maxinterval=10.0 if terminal else 60.0,
        file=sys.stderr,
    ) as bar:  # fmt: skip
        yield bar
