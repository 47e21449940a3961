"""``apw train``: train a language model with any scheme, through TRL's GRPOTrainer."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tyro

from apw.command_line import Answer, parse, split_option, table
from apw.runs import refuse_finished
from llm_validation.config import TrainConfig, list_recipes, load_recipe
from theory.schemes import resolve


@dataclasses.dataclass(frozen=True)
class Options:
    """Train a language model by reinforcement with verifiable rewards, one run per scheme and seed.

    Starts from a recipe; options on the command line win over it. Writes a run folder; a killed
    run goes on with the same command.
    """

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
    """Train nothing: count responses and tokens, estimate memory, name what is missing."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw train``."""
    recipe = split_option(arguments, "--recipe")
    default = Options(config=load_recipe(recipe), recipe=recipe) if recipe else None
    options = parse(Options, arguments, command="train", default=default)
    if options.recipe is None:
        raise ValueError(f"name a recipe with --recipe: {', '.join(list_recipes())}, or a file")
    config = options.config
    if options.data is not None:
        if not options.data.exists():
            raise FileNotFoundError(f"{options.data} does not exist; --data names a file")
        config = dataclasses.replace(config, train_path=str(options.data))
    if options.dry_run:
        from llm_validation.dry_run import plan

        planned = plan(config)
        return Answer({"config": config.to_dict(), **planned.to_dict()}, planned.describe())
    out = options.out or Path("results/train") / Path(options.recipe).stem
    refuse_finished(out, overwrite=options.overwrite)

    from llm_validation.train import train

    metrics = train(config, out, overwrite=options.overwrite)
    summary = summarise(metrics)
    data = {"run": str(out), "config": config.to_dict(), "summary": summary.to_dict("records")}
    return Answer(data, _describe(out, summary))


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
                    "scheme": scheme, "metric": metric, "first": first.mean(), "last": last.mean(),
                    "last_low": last.min(), "last_high": last.max(), "seeds": len(ends),
                }
            )  # fmt: skip
    columns = ["scheme", "metric", "first", "last", "last_low", "last_high", "seeds"]
    return pd.DataFrame(rows, columns=columns)


def _ends(run: pd.DataFrame, *, exact: bool) -> tuple[float, float]:
    values = run.sort_values("step")["value"].to_numpy()
    size = 1 if exact else max(1, len(values) // 10)
    return float(values[:size].mean()), float(values[-size:].mean())


def _describe(out: Path, summary: pd.DataFrame) -> str:
    words = {
        "success": "success on held-out prompts", "reward": "mean reward",
        "groups_all_wrong": "all-wrong groups", "groups_all_right": "all-right groups",
        "response_length": "response length",
    }  # fmt: skip
    rows: list[dict[str, Any]] = summary.to_dict("records")  # type: ignore[assignment]
    lines = [
        [
            resolve(row["scheme"]).label, words[row["metric"]], f"{row['first']:.3g}",
            f"{row['last']:.3g}", f"{row['last_low']:.3g} – {row['last_high']:.3g}",
        ]
        for row in rows
    ]  # fmt: skip
    header = ["scheme", "", "start", "end", "seeds' range at the end"]
    return "\n".join(
        [
            table(header, lines, right="llrrr"),
            "",
            f"Run folder: {out}   (figures: apw figures {out})",
        ]
    )
