"""``apw train``: train a language model with any scheme, through TRL's GRPOTrainer."""

from __future__ import annotations

import dataclasses
import os
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import tyro

from apw.command_line import Answer, figures_hint, parse_recipe
from llm_validation.config import TrainConfig, list_recipes, load_recipe
from llm_validation.dry_run import plan
from llm_validation.launch import Machines, launch_files, write_files
from llm_validation.reporting import Reporter, check_reporter
from runs.folder import read_finished
from runs.terminal import table
from runs.text import interval, number
from theory.schemes import schemes_by_name


@dataclasses.dataclass(frozen=True)
class Options:
    """Train a language model by reinforcement with verifiable rewards, one run per scheme and seed.

    Starts from a recipe; options on the command line win over it. Writes a run folder; a killed
    run goes on with the same command, and a finished one answers it again.
    """

    DAILY: ClassVar[tuple[str, ...]] = (
        "recipe",
        "schemes",
        "steps",
        "seeds",
        "model",
        "task",
        "data",
        "prompts_per_step",
        "group_size",
        "learning_rate",
        "dead_groups",
        "report_to",
        "out",
        "dry_run",
        "launch",
        "overwrite",
        "json",
    )
    """What --help shows; --help-all shows the others too."""

    SHIPPED: ClassVar[Mapping[str, Callable[[], list[str]]]] = {"recipe": list_recipes}
    """Options that take names of what ships with the package."""

    config: tyro.conf.OmitArgPrefixes[TrainConfig] = dataclasses.field(default_factory=TrainConfig)

    recipe: str | None = None
    """Shipped recipe, or path of a .toml file."""

    data: Path | None = None
    """JSONL or Parquet file with the training problems; the same as --train-path."""

    out: Path | None = None
    """Run folder to write; results/train/ and the recipe's name by default."""

    overwrite: bool = False
    """Replace a run that the folder holds."""

    dry_run: bool = False
    """Train nothing: count responses and tokens, estimate memory and time, name what is missing."""

    no_calibrate: bool = False
    """With --dry-run: try no step. Otherwise a few are tried, or parts of one, to tell what the run
    takes here (seconds for a tiny model, minutes for a real one), if nothing has to be fetched."""

    launch: str | None = None
    """Train nothing: write a script for many GPUs: accelerate, fsdp, deepspeed or verl."""

    report_to: Reporter | None = None
    """Show the curves of each training there too, while they grow; needs that package."""

    machines: tyro.conf.OmitArgPrefixes[Machines] = dataclasses.field(default_factory=Machines)

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw train``."""
    options, recipe = parse_recipe(
        Options, arguments, command="train", load=load_recipe, names=list_recipes
    )
    config = options.config
    if options.dry_run:
        planned = plan(config, calibrated=not options.no_calibrate)
        return Answer({"config": config.to_dict(), **planned.to_dict()}, planned.describe())
    if options.launch is not None:
        return _write_launch(options, config, options.launch)
    out = options.out or Path("results/train") / _name(recipe)
    metrics = read_finished(out, config.to_dict(), overwrite=options.overwrite)
    if metrics is None:
        check_reporter(options.report_to)

        from llm_validation.train import train

        metrics = train(config, out, overwrite=options.overwrite, report_to=options.report_to)
    summary = summarise(metrics)
    data = {"run": str(out), "config": config.to_dict(), "summary": summary.to_dict("records")}
    # Of several processes one speaks.
    return Answer(data, _describe(out, summary) if os.environ.get("RANK", "0") == "0" else "")


def _write_launch(options: Options, config: TrainConfig, launcher: str) -> Answer:
    name = _name(options.recipe or "run")
    files = launch_files(config, launcher, name, options.machines)
    planned = plan(config)
    folder = options.out or Path("launch") / f"{name}.{launcher}"
    written = write_files(files, folder)
    data = {"launch": launcher, "files": [str(path) for path in written], "run": str(written[0])}
    lines = [
        f"Start it with {shlex.quote(str(folder / 'run.sh'))}",
        f"  (wrote {', '.join(files)})",
    ]
    lines += [f"note: {note}" for note in planned.notes if "--launch" not in note]
    return Answer(data, "\n".join(lines))


def _name(recipe: str) -> str:
    """Name of a recipe's results: its file's without the ending, dots within it kept."""
    return Path(recipe).name.removesuffix(".toml")


def summarise(metrics: pd.DataFrame) -> pd.DataFrame:
    """First and last measured values of what matters, one row per scheme and metric.

    Values of single batches are averaged over the first and last tenth of the steps; ranges are
    over seeds.

    Returns:
        Columns scheme, metric, first, last, last_low, last_high, seeds.
    """
    rows = []
    for metric in ("success", "reward", "groups_all_wrong", "groups_all_right", "response_length"):
        chosen = metrics[metrics["metric"] == metric]
        for scheme, part in chosen.groupby("scheme", sort=False):
            ends = [_ends(run, exact=metric == "success") for _, run in part.groupby("seed")]
            first, last = np.transpose(ends)
            rows.append(
                {
                    "scheme": scheme,
                    "metric": metric,
                    "first": first.mean(),
                    "last": last.mean(),
                    "last_low": last.min(),
                    "last_high": last.max(),
                    "seeds": len(ends),
                }
            )
    columns = ["scheme", "metric", "first", "last", "last_low", "last_high", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def _ends(run: pd.DataFrame, *, exact: bool) -> tuple[float, float]:
    values = run.sort_values("step")["value"].to_numpy()
    size = 1 if exact else max(1, len(values) // 10)
    return float(values[:size].mean()), float(values[-size:].mean())


def _describe(out: Path, summary: pd.DataFrame) -> str:
    words = {
        "success": "success on held-out prompts",
        "reward": "mean reward",
        "groups_all_wrong": "all-wrong groups",
        "groups_all_right": "all-right groups",
        "response_length": "response length",
    }
    rows: list[dict[str, Any]] = summary.to_dict("records")  # type: ignore[assignment]
    schemes = schemes_by_name(summary["scheme"].unique())
    lines = [
        [
            schemes[row["scheme"]].label,
            words[row["metric"]],
            number(row["first"], 3),
            number(row["last"], 3),
            interval(row["last_low"], row["last_high"], 3) if row["seeds"] > 1 else "–",
        ]
        for row in rows
    ]
    header = ["scheme", "", "start", "end", "seeds' range at the end"]
    return "\n".join(
        [
            table(header, lines, right="llrrr"),
            "",
            figures_hint(out),
        ]
    )
