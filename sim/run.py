"""Run a simulation into a run folder; a killed run resumes where it was, to the same bits."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pandas as pd

from runs.files import refuse_device, write_text
from runs.folder import Run, RunExistsError, read_finished
from runs.pass_rates import Measured
from runs.terminal import Progress
from runs.text import percent, plural
from sim.choice import Choice
from sim.config import TREES, SimulationConfig
from sim.divergence import DIVERGED
from sim.problems import build
from sim.program import Cells, Runner, initial_states
from sim.race import Race
from sim.rates import dynamic_attempts, learning_rates, rate_name, sampling_of
from sim.tables import scheme_table, stack
from sim.update import Rules
from sim.verifier import Verifier
from theory.schemes import Scheme
from theory.spending import resolve_rule

Values = dict[str, np.ndarray]

RATES_FILE = "pass_rates.csv"
"""Pass rates a run began from, where its start is a file: the file may change or not come along."""

_RUNNING = "running"
"""Among the values of a measurement: the cells that were running; all if it is not there."""

_CELL_ELEMENTS = 1 << 20
"""Logits per program call: cells are batched until their logits leave the cache."""

_RACE_ELEMENTS = 1 << 23
"""Logits per program call of a race, whose runs should be under way together: 32 MiB."""


@dataclasses.dataclass(frozen=True)
class Cell:
    """One scheme under one seed at one step size.

    Attributes:
        scheme: Its name.
        seed: The seed.
        rate: Step size.
        run: Run it belongs to, where several are in one folder.
    """

    scheme: str
    seed: int
    rate: float
    run: str = ""


@dataclasses.dataclass(frozen=True)
class Batch:
    """Cells that run in one program.

    Attributes:
        name: Key of its parts and checkpoints.
        rules: What the program is compiled for.
        cells: The cells.
    """

    name: str
    rules: Rules
    cells: tuple[Cell, ...]


def simulate(
    config: SimulationConfig,
    path: Path | str,
    *,
    rates: Sequence[float] = (),
    race: str | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> pd.DataFrame:
    """Run every scheme under every seed at given step sizes, and write the run folder.

    Where the configuration leaves the step sizes to be found, as :func:`sim.own_rates.compare`
    does, they are 1 here, and the folder says so.

    The folder's ``metrics.parquet`` has one row per scheme, seed, step and metric: those of
    :func:`sim.measure.measure`, ``updates``, ``responses`` and ``tokens`` (all prompts together),
    ``clock/first_success`` (responses per prompt if every update waits for one correct response),
    ``clock/any_success`` and ``clock/mixed_group`` (groups per prompt until one is so),
    ``learning_rate`` at step 0, and ``diverged`` where parameters or success are not finite.

    Args:
        config: What to run.
        path: The run folder. An unfinished run of the same configuration is continued, to the
            bits of an uninterrupted one; a finished one is returned as it is.
        rates: Step sizes, each tried with every scheme in the place of the configuration's own, all
            in one program; the column ``run`` then is the rate, see :func:`sim.rates.rate_name`.
        race: Metric of a clock on which the best of these rates is all that matters. Runs then stop
            where they arrive, or when their rate cannot be the best any more (:mod:`sim.race`), and
            success and the clocks alone are measured.
        overwrite: Delete whatever run the folder holds.
        progress: Show a progress bar on a terminal, else a line a minute.

    Returns:
        The metrics table.

    Raises:
        RunExistsError: The folder holds a run of another configuration, or one that began from
            other pass rates than its file holds now.

    >>> import tempfile
    >>> config = SimulationConfig(schemes=("grpo",), seeds=1, prompts=4, steps=2, measure_every=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     metrics = simulate(config, folder + "/run", progress=False)
    >>> metrics.query("metric == 'updates'")["value"].tolist()
    [0.0, 1.0, 2.0]
    """
    config = config.at_given_rates()
    described, rates_read = config.to_dict(), start_as_read(config)
    if rates:
        described["learning_rate"] = list(rates)
    if race:
        described["race"] = race
    finished = read_finished(path, described, overwrite=overwrite)
    if finished is not None:
        check_start(Path(path), rates_read)
        return finished
    # What can be refused is refused before there is a folder.
    batches = plan(config, rates, elements=_RACE_ELEMENTS if race else _CELL_ELEMENTS)
    entries = [(cell.scheme, cell.run) for batch in batches for cell in batch.cells]
    course = Course(race, Race(entries, config.target)) if race else None
    total = sum(len(batch.cells) for batch in batches) * config.steps
    run = Run.open(path, described, source="sim", overwrite=overwrite)
    with contextlib.closing(run), _precision(config.precision):
        keep_start(run.path, rates_read)
        with Progress(Path(path).name, total, unit="updates", shown=progress) as bar:
            for batch in batches:
                _run_batch(config, run, batch, bar, course)
        return run.finish()


def start_as_read(config: SimulationConfig) -> str:
    """What a start that is a file says of its prompts, as CSV; empty for any other start."""
    read = config.first
    if not isinstance(read, Measured):
        return ""
    if read.tries is None:
        return "\n".join(["pass_rate", *map(repr, read.rate.tolist()), ""])
    counts = zip(read.correct.tolist(), read.tries.tolist(), strict=True)
    return "\n".join(["n_correct,n_samples", *(f"{k:.0f},{n:.0f}" for k, n in counts), ""])


def check_start(path: Path, rates_read: str) -> None:
    """Raise if the folder's run began from other pass rates than the file holds now.

    Raises:
        RunExistsError: It did.
    """
    kept = path / RATES_FILE
    refuse_device(kept)
    if rates_read and kept.exists() and kept.read_text(encoding="utf-8") != rates_read:
        raise RunExistsError(
            f"{path} holds a run that began from other pass rates than the file has now; choose "
            "another name or pass --overwrite"
        )


def keep_start(path: Path, rates_read: str) -> None:
    """Write what a start was read from into the run's folder, for :func:`check_start`."""
    if rates_read:
        check_start(path, rates_read)
        write_text(path / RATES_FILE, rates_read)


def plan(
    config: SimulationConfig, rates: Sequence[float] = (), *, elements: int = _CELL_ELEMENTS
) -> list[Batch]:
    """Divide the cells among programs: tables together, other schemes each by itself."""
    runs = {"": learning_rates(config)}
    if rates:
        every = {rate: dataclasses.replace(config, learning_rate=rate) for rate in rates}
        runs = {rate_name(rate): learning_rates(one) for rate, one in every.items()}
    seeds = range(config.seed, config.seed + config.seeds)
    groups: dict[Rules, list[str]] = {}
    for name, scheme in config.bound.items():
        groups.setdefault(rules_of(config, scheme), []).append(name)
    size = max(1, elements // (config.number_of_answers * config.prompts))
    batches: list[Batch] = []
    for rules, names in groups.items():
        cells = [
            Cell(name, seed, by_scheme[name], run)
            for run, by_scheme in runs.items()
            for name in names
            for seed in seeds
        ]
        for first in range(0, len(cells), size):
            name = f"batch-{len(batches):04d}"
            batches.append(Batch(name, rules, tuple(cells[first : first + size])))
    return batches


def rules_of(config: SimulationConfig, scheme: Scheme) -> Rules:
    """How a scheme of the configuration learns; schemes with equal rules share a program."""
    schedules = tuple((o, text) for o, text in config.schedules.items() if o in scheme.options)
    design = sampling_of(config, scheme)
    alone = not scheme.has_table or schedules or config.group_size is None
    ppo = config.learner == "ppo"
    learned = scheme.needs_baseline and config.critic == "learned"
    choice = choice_of(config)
    varies = choice is not None and choice.rule.varies
    return Rules(
        learner=config.learner,
        group_size=config.group_size,
        scheme=scheme if alone or varies or design == "first_success" else None,
        schedules=schedules,
        optimizer=config.optimizer,
        batch=config.batch,
        epochs=config.epochs if ppo else 1,
        clip_low=config.clip_low,
        clip_high=config.clip_high,
        entropy_bonus=config.entropy_bonus,
        kl_penalty=config.kl_penalty,
        attempts=dynamic_attempts(config, scheme),
        generator=config.generator,
        sampling=design,
        verifier=Verifier(config.false_positives, config.false_negatives),
        ratio=config.ratio,
        length_normalisation=config.length_normalisation,
        gradient_clip=config.gradient_clip,
        kl_limit=config.kl_limit,
        critic_rate=config.critic_rate if learned else None,
        sync_every=config.sync_every,
        tokens=config.policy in TREES and config.learner != "mirror",
        rescaled=scheme.scaled_like is not None,
        evaluation_temperature=config.evaluation_temperature,
        choice=choice,
    )


def choice_of(config: SimulationConfig) -> Choice | None:
    """How a configuration chooses prompts; none where all are taken, or tried, alike."""
    rule = resolve_rule(config.spending)
    if rule.name == "uniform" or rule.design != "fixed":
        return None
    known = config.spending_by == "truth"
    return Choice(rule, known, config.spending_memory, config.spending_prior)


@dataclasses.dataclass
class Course:
    """How far a race is.

    Attributes:
        clock: Metric of its clock.
        race: Its runs.
        first: Number of the first run of the batch under way.
    """

    clock: str
    race: Race
    first: int = 0

    def part(self, batch: Batch) -> slice:
        """Where the runs of the batch under way stand among all."""
        return slice(self.first, self.first + len(batch.cells))


def _run_batch(
    config: SimulationConfig, run: Run, batch: Batch, bar: Progress, course: Course | None
) -> None:
    cells, every = cells_of(config, batch), config.measure_every
    measurements = config.steps // every
    saved = run.load_checkpoint(batch.name)
    done = 0 if saved is None else int(saved["measurements"])
    kept: list[tuple[int, Values]] = []
    measured = ("success", DIVERGED) if course else None
    if saved is None:
        runner = Runner(batch.rules, config.pass_k, cells, measured=measured)
        totals = {name: np.zeros(len(batch.cells)) for name in batch.rules.summed}
        start = {**runner.measure(), **totals, "updates": np.zeros(len(batch.cells))}
        start["learning_rate"] = np.array([cell.rate for cell in batch.cells])
        kept.append((0, start))
        _note(course, batch, start)
    else:
        leaves = [saved[f"state/{i}"] for i in range(_count(saved, "state/"))]
        structure = jax.tree.structure(initial_states(batch.rules, cells))
        state = jax.tree.unflatten(structure, leaves)
        runner = Runner(batch.rules, config.pass_k, cells, state, measured=measured)
        totals = {name: saved[name] for name in batch.rules.summed}
        if course:
            course.race.restore(course.part(batch), saved)
    bar.skip(done * every * len(batch.cells))
    for number in range(done, measurements):
        running = _running(course, batch)
        if course:
            if not running.any():
                bar.advance((measurements - number) * every * len(batch.cells))
                break
            runner.keep(running)
        first = number * every
        costs = runner.advance(first, first + every)
        totals = {name: total + costs[name] for name, total in totals.items()}
        updates = np.full(len(batch.cells), float((first + every) * batch.rules.epochs))
        values = {**runner.measure(), **totals, "updates": updates}
        _note(course, batch, values)
        going = {name: value[running] for name, value in values.items()}
        watched = {"success": percent(float(np.mean(going["success"])))}
        if "mixed" in going:
            watched["mixed_groups"] = percent(float(np.mean(going["mixed"])))
        if going[DIVERGED].any():
            watched["diverged"] = plural(int(going[DIVERGED].sum()), "run")
        bar.advance(every * len(batch.cells), **watched)
        kept.append((number + 1, {**values, _RUNNING: running}))
        over = number + 1 == measurements or not _running(course, batch).any()
        if (number + 1) % config.checkpoint_every == 0 or over:
            run.log_table(_rows(config, batch, kept))
            run.write_part(f"{batch.name}-{number // config.checkpoint_every:06d}")
            leaves = jax.tree.leaves(runner.state())
            arrays = {f"state/{i}": np.asarray(x) for i, x in enumerate(leaves)}
            arrays["measurements"] = np.asarray(number + 1)
            arrays |= course.race.arrays(course.part(batch)) if course else {}
            run.save_checkpoint(batch.name, {**arrays, **totals})
            kept = []
    if kept:  # all were there before the first update
        run.log_table(_rows(config, batch, kept))
        run.write_part(f"{batch.name}-start")
    if course:
        course.first += len(batch.cells)


def _running(course: Course | None, batch: Batch) -> np.ndarray:
    """Which cells of a batch go on."""
    if course is None:
        return np.ones(len(batch.cells), bool)
    return course.race.running[course.part(batch)]


def _note(course: Course | None, batch: Batch, values: Values) -> None:
    """Tell a race, if there is one, what was measured."""
    if course:
        lost = values[DIVERGED] > 0
        course.race.see(course.part(batch), values[course.clock], values["success"], lost)


def _count(saved: Mapping[str, np.ndarray], prefix: str) -> int:
    return sum(name.startswith(prefix) for name in saved)


def cells_of(config: SimulationConfig, batch: Batch) -> Cells:
    """The cells of a batch with what each of them learns."""
    problems = {seed: build(config, seed) for seed in {cell.seed for cell in batch.cells}}
    table = None
    if batch.rules.scheme is None and config.group_size is not None:
        size, design = config.group_size, batch.rules.sampling
        names = {cell.scheme for cell in batch.cells}
        tables = {n: scheme_table(config.bound[n], size, config.precision, design) for n in names}
        table = stack([tables[cell.scheme] for cell in batch.cells])
    return Cells(
        problem=jax.tree.map(
            lambda *leaves: jnp.asarray(np.stack(leaves)),
            *(problems[cell.seed] for cell in batch.cells),
        ),
        table=table,
        rate=jnp.asarray([cell.rate for cell in batch.cells], config.precision),
        seed=jnp.asarray([cell.seed for cell in batch.cells], jnp.uint32),
    )


def _rows(
    config: SimulationConfig, batch: Batch, measurements: Sequence[tuple[int, Values]]
) -> pd.DataFrame:
    """Rows of some measurements of every cell, in the columns of the run folder."""
    parts = []
    for number, measured in measurements:
        step = number * config.measure_every
        everything = dict(measured)
        running = everything.pop(_RUNNING, np.ones(len(batch.cells), bool))
        cells = [cell for cell, runs in zip(batch.cells, running, strict=True) if runs]
        everything = {name: values[running] for name, values in everything.items()}
        if config.learner == "mirror":
            del everything["responses"]  # none were drawn
        names = sorted(everything)
        columns = {
            "scheme": np.repeat([cell.scheme for cell in cells], len(names)),
            "seed": np.repeat([cell.seed for cell in cells], len(names)),
            "step": np.full(len(cells) * len(names), step),
            "metric": np.tile(names, len(cells)),
            "value": np.stack([everything[name] for name in names], axis=1).ravel(),
        }
        if cells[0].run:
            columns["run"] = np.repeat([cell.run for cell in cells], len(names))
        parts.append(columns)
    table = pd.DataFrame({name: np.concatenate([p[name] for p in parts]) for name in parts[0]})
    return table[(table["metric"] != DIVERGED) | (table["value"] > 0)]


@contextlib.contextmanager
def _precision(precision: str) -> Iterator[None]:
    """Let JAX compute in float64 where the configuration asks for it, and only there."""
    if precision == "float64":
        with jax.enable_x64(True):
            yield
    else:
        yield
