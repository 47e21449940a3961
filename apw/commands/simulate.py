"""``apw simulate``: a simulation or a sweep."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tyro

from apw.command_line import Answer, figures_hint, parse
from apw.options import read_ahead
from runs.configuration import read_toml
from runs.files import read_json
from runs.terminal import table
from runs.text import interval, listed, number
from sim.config import SimulationConfig
from theory.schemes import resolve, schemes_by_name

Executor = Literal["local", "ray"]
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Options:
    """Train prompt-weighting schemes on simulated prompts, and time them to a target.

    Writes a run folder; a killed run goes on with the same command, and a finished one answers it
    again. Draw it with apw figures.
    """

    config: tyro.conf.OmitArgPrefixes[SimulationConfig] = dataclasses.field(
        default_factory=SimulationConfig
    )

    out: Path | None = None
    """Run folder to write; results/simulate if not given, results/sweep for a sweep."""

    file: Path | None = None
    """TOML file with options of the simulation, or config.json of a run to repeat it; options on
    the command line win."""

    sweep: Path | None = None
    """TOML file of a sweep: tables base and regimes, learning_rates, tuning_seeds, clock."""

    ray: bool = False
    """Sweeps: run the cells on the Ray cluster this machine belongs to."""

    reference: str | None = None
    """Scheme that times are compared with; grpo, or the first one if that is not run."""

    target_metric: str = "success"
    """What has to reach the target: success or pass@k of the training prompts, of a fifth of them
    as in success/q1 (the hardest), or of held-out ones as in held_out/success."""

    overwrite: bool = False
    """Replace a run that the folder holds."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw simulate``."""
    file = read_ahead(Options, arguments, "file")
    default = (
        Options(config=SimulationConfig.from_dict(_read(Path(file)), where=file)) if file else None
    )
    options = parse(Options, arguments, command="simulate", default=default)
    _check(options)
    executor: Executor = "ray" if options.ray else "local"
    if options.sweep:
        return _sweep(options, options.sweep, executor)
    return _simulate(options)


def _read(path: Path) -> Mapping[str, Any]:
    if path.suffix.lower() != ".json" or not path.is_file():
        return read_toml(path)
    values = read_json(path)
    if not isinstance(values, dict) or "base" in values:
        raise ValueError(f"{path} does not hold the options of a simulation")
    return values


def _check(options: Options) -> None:
    if options.sweep and (options.file or options.config != SimulationConfig()):
        raise ValueError("--sweep brings its own configuration: give it no options of a simulation")
    if options.ray and not options.sweep:
        raise ValueError("--ray runs the cells of a sweep: it needs --sweep")


def _simulate(options: Options) -> Answer:
    config, out = options.config, options.out or Path("results/simulate")
    reference = _reference(options, config.schemes)
    _check_metric(options.target_metric, [config])

    from sim.run import simulate
    from sim.summary import time_to_target

    metrics = simulate(config, out, overwrite=options.overwrite)
    times = time_to_target(
        metrics, config.target, metric=options.target_metric, reference=reference
    )
    rows: list[Row] = times.to_dict("records")  # type: ignore[assignment]
    data = {
        "run": str(out),
        "config": config.to_dict(),
        "target": config.target,
        "target_metric": options.target_metric,
        "reference": reference,
        "times": rows,
    }
    what = f"mean {options.target_metric} of {config.prompts} prompts"
    if options.target_metric.startswith("held_out/"):
        what = f"mean {options.target_metric} of {config.held_out_prompts} prompts"
    text = [
        f"Time until the {what} is {config.target:g}.",
        "",
        _times(rows, reference, {}),
        "",
        *_notes(rows, reference),
        figures_hint(out),
    ]
    return Answer(data, "\n".join(text))


def _sweep(options: Options, file: Path, executor: Executor) -> Answer:
    import pandas as pd

    from sim.sweep import read_sweep, sweep, sweep_times

    config, out = read_sweep(file), options.out or Path("results/sweep")
    regimes = [config.regime(name) for name in config.regimes]
    reference = _reference(options, [name for regime in regimes for name in regime.schemes])
    _check_metric(options.target_metric, regimes)
    metrics = sweep(config, out, overwrite=options.overwrite, executor=executor)
    tuning = pd.read_parquet(out / "tuning.parquet")
    times = sweep_times(config, metrics, tuning, metric=options.target_metric, reference=reference)
    rows: list[Row] = times.to_dict("records")  # type: ignore[assignment]
    data = {
        "run": str(out),
        "target_metric": options.target_metric,
        "reference": reference,
        "times": rows,
    }
    shown = {"regime": "regime", "learning_rate": "rate"}
    rates = "its own best learning rate" if config.tuning_seeds else "the learning rate given"
    text = [
        f"Time until the mean {options.target_metric} is at the target, every scheme at {rates}.",
        "",
        _times(rows, reference, shown),
        "",
        *_notes(rows, reference),
    ]
    if times["at_edge"].any():
        text.append("* an end of the grid of learning rates: the best rate may lie beyond it.")
    text.append(f"Folder: {out}   (times.parquet, metrics.parquet, tuning.parquet)")
    return Answer(data, "\n".join(text))


def _reference(options: Options, schemes: Sequence[str]) -> str:
    wanted = options.reference
    if wanted is None:
        return "grpo" if "grpo" in schemes else schemes[0]
    resolve(wanted)
    if wanted not in schemes:
        raise ValueError(
            f"--reference {wanted} is not among the schemes: {listed(list(dict.fromkeys(schemes)))}"
        )
    return wanted


def _check_metric(metric: str, configs: Sequence[SimulationConfig]) -> None:
    from sim.summary import reachable

    for config in configs:
        if metric not in reachable(config):
            raise ValueError(
                f"--target-metric {metric} is not measured; measured are: "
                f"{', '.join(reachable(config))}"
            )


_CLOCKS = {
    "updates": "gradient steps",
    "first_success": "responses per prompt if every update waits for one correct",
    "responses": "all that were drawn, for all prompts together",
}
"""Clocks that are shown to people; --json has all."""


def _times(rows: Sequence[Row], reference: str, columns: Mapping[str, str]) -> str:
    """Times as a table; ``columns`` are further ones to show, by their headings."""
    places = list(_CLOCKS)
    schemes = schemes_by_name([reference, *(row["scheme"] for row in rows)])
    shown = [row for row in rows if row["clock"] in places]
    order = sorted(
        shown, key=lambda row: (row.get("regime", ""), places.index(row["clock"]), row["mean"])
    )
    lines = [
        [
            *(_column(row, name) for name in columns),
            schemes[row["scheme"]].label,
            row["clock"],
            number(row["mean"], infinite="never"),
            interval(row["low"], row["high"], infinite="never"),
            f"{row['reached']} of {row['seeds']}",
            _ratio(row),
        ]
        for row in order
    ]
    header = [
        *columns.values(),
        "scheme",
        "clock",
        "mean",
        "95% interval",
        "seeds there",
        f"relative to {schemes[reference].label}",
    ]
    return table(header, lines, right="l" * (len(columns) + 2) + "rrrr")


def _notes(rows: Sequence[Row], reference: str) -> list[str]:
    """What the table's words mean, as far as they occur."""
    there = {row["clock"] for row in rows}
    clocks = "; ".join(f"{name}, {words}" for name, words in _CLOCKS.items() if name in there)
    notes = [f"Clocks: {clocks}."]
    if any(row["ratio"] in (0, math.inf) for row in rows):
        label = resolve(reference).label
        notes.append(
            f"A ratio is 0 where {label} did not arrive with every seed that the scheme did;"
            " ∞ where the scheme did not."
        )
    return notes


def _column(row: Row, name: str) -> str:
    if name == "learning_rate":
        return f"{row[name]:g}{'*' if row['at_edge'] else ''}"
    return str(row[name])


def _ratio(row: Row) -> str:
    if math.isnan(row["ratio"]):
        return "–"
    return f"{number(row['ratio'], 3)} ({interval(row['ratio_low'], row['ratio_high'], 3)})"
