"""``apw simulate``: a simulation or a sweep."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import tyro

from apw.command_line import Answer, figures_hint, parse
from apw.options import read_ahead
from runs.configuration import read_toml
from runs.files import read_json, read_table
from sim.config import SimulationConfig
from sim.presets import preset, preset_names

if TYPE_CHECKING:
    import pandas as pd

Executor = Literal["local", "ray"]
FOLDER, SWEEP_FOLDER = Path("results/simulate"), Path("results/sweep")


@dataclasses.dataclass(frozen=True)
class Options:
    """Train prompt-weighting schemes on simulated prompts, and time them to a target.

    Writes a run folder; a killed run goes on with the same command, and a finished one answers it
    again. Draw it with apw figures.
    """

    DAILY: ClassVar[tuple[str, ...]] = (
        "preset",
        "schemes",
        "start",
        "target",
        "group_size",
        "prompts",
        "policy",
        "sampling",
        "learning_rate",
        "steps",
        "seeds",
        "file",
        "sweep",
        "reference",
        "out",
        "overwrite",
        "json",
    )
    """What --help shows; --help-all shows the others too."""

    SHIPPED: ClassVar[Mapping[str, Callable[[], list[str]]]] = {"preset": preset_names}
    """Options that take names of what ships with the package."""

    config: tyro.conf.OmitArgPrefixes[SimulationConfig] = dataclasses.field(
        default_factory=SimulationConfig
    )

    out: Path | None = None
    """Run folder to write; results/simulate if not given, results/sweep for a sweep."""

    preset: str | None = None
    """Setting that ships with the package, such as from-scratch; options given beside it win."""

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

    at: str | None = None
    """Compare pass@k and entropy where every scheme has gained the same, as in pass@1=+0.1, or is
    at the same level, pass@1=0.6; held_out/pass@1 for held-out prompts."""

    overwrite: bool = False
    """Replace a run that the folder holds."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw simulate``."""
    file, name = (read_ahead(Options, arguments, option) for option in ("file", "preset"))
    if file and name:
        raise ValueError("--file and --preset both bring a configuration: give one of them")
    default = None
    if file:
        default = Options(config=SimulationConfig.from_dict(_read(Path(file)), where=file))
    elif name:
        default = Options(config=preset(name))
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
    from sim.matched import check_place
    from sim.summary import check_metric, reachable, reference_of
    from sim.times_text import times_text

    config, out, metric = options.config, options.out or FOLDER, options.target_metric
    reference = reference_of(config.schemes, options.reference)
    check_metric(config, metric)
    if options.at:
        check_place(options.at, reachable(config))

    from sim.own_rates import compare
    from sim.rates import compared_at, start_in_words
    from sim.summary import time_to_target

    metrics = compare(config, out, overwrite=options.overwrite)
    notes, compared = start_in_words(config), compared_at(config.to_dict())
    times = time_to_target(metrics, config.target, metric=metric, reference=reference)
    data = {
        "run": str(out),
        "config": config.to_dict(),
        "target": config.target,
        "target_metric": metric,
        "reference": reference,
        "compared_at": compared,
        "times": times.to_dict("records"),
        "notes": notes,
    }
    prompts = config.held_out_prompts if metric.startswith("held_out/") else config.prompts
    text = "".join(f"{note}\n" for note in notes) + (
        f"Time until the mean {metric} of {prompts} prompts is {config.target:g}, all schemes at "
        f"{compared}{_hint(config, compared)}.\n\n"
        f"{times_text(times, reference, compared, groups=config.group_size is not None)}\n"
        f"{_matched(options, data, metrics, reference)}"
        f"{figures_hint(out)}"
    )
    return Answer(data, text)


def _hint(config: SimulationConfig, compared: str) -> str:
    """How own rates were found, or why they were not where a scheme may owe its place to the rate.

    >>> _hint(SimulationConfig(learning_rate=3.0), "one common rate")
    ", which suits some better than others (own_rates finds each one's own)"
    """
    if config.finds_rates:
        return f", found on {config.tuning_seeds} other seeds"
    if compared != "one common rate":
        return ""
    if config.learner == "mirror":
        return ", as of mirror's exact steps the largest is the best"
    return ", which suits some better than others (own_rates finds each one's own)"


def _matched(options: Options, data: dict[str, Any], metrics: pd.DataFrame, reference: str) -> str:
    """The comparison at ``--at`` in words, kept in the data too; nothing where none is wanted."""
    if not options.at:
        return ""
    from sim.matched import matched_table, matched_text

    parts, text = [], []
    for name, run in metrics.groupby("run", sort=False):
        found = matched_table(run, options.at, reference=reference)
        parts += [{"run": name, **row} for row in found.to_dict("records")]
        title = f"{name}: " if metrics["run"].nunique() > 1 else ""
        text.append(f"\n{title}{matched_text(found, options.at, reference)}\n")
    data["at"], data["matched"] = options.at, parts
    return "\n".join(text) + "\n"


def _sweep(options: Options, file: Path, executor: Executor) -> Answer:
    from sim.matched import check_place
    from sim.rates import start_in_words
    from sim.summary import check_metric, reachable, reference_of
    from sim.sweep import read_sweep, sweep, sweep_times
    from sim.times_text import times_text

    config, out, metric = read_sweep(file), options.out or SWEEP_FOLDER, options.target_metric
    regimes = [config.regime(name) for name in config.regimes]
    schemes = [name for regime in regimes for name in regime.schemes]
    reference = reference_of(schemes, options.reference)
    for regime in regimes:
        check_metric(regime, metric)
        if options.at:
            check_place(options.at, reachable(regime))
    notes = list(dict.fromkeys(note for regime in regimes for note in start_in_words(regime)))
    metrics = sweep(config, out, overwrite=options.overwrite, executor=executor)
    tuning = read_table(out / "tuning.parquet")
    times = sweep_times(config, metrics, tuning, metric=metric, reference=reference)
    rates = "own best rates" if config.tuning_seeds else "given rates"
    groups = any(regime.group_size is not None for regime in regimes)
    data = {
        "run": str(out),
        "target_metric": metric,
        "reference": reference,
        "compared_at": rates,
        "times": times.to_dict("records"),
        "notes": notes,
    }
    text = "".join(f"{note}\n" for note in notes) + (
        f"Time until the mean {metric} is at the target, all schemes at {rates}.\n\n"
        f"{times_text(times, reference, rates, groups=groups)}\n"
        f"{_matched(options, data, metrics, reference)}"
        f"Folder: {out}   (times.parquet, metrics.parquet, tuning.parquet)"
    )
    return Answer(data, text)
