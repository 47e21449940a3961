"""``apw evaluate``: pass@k of a model on a task, unbiased, with intervals."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import tyro

from apw.command_line import Answer, figures_hint, parse
from llm_validation.evaluate_config import EvaluateConfig
from runs.folder import read_finished
from runs.terminal import table
from runs.text import interval, number


@dataclasses.dataclass(frozen=True)
class Options:
    """Sample responses to a task's problems and report pass@k, unbiased, with intervals.

    Writes a run folder that keeps every response; a killed evaluation goes on with the same
    command, a finished one answers it again; --samples-path summarises responses sampled before.
    """

    DAILY: ClassVar[tuple[str, ...]] = (
        "model",
        "task",
        "data",
        "samples",
        "max_response_tokens",
        "temperature",
        "limit",
        "engine",
        "seed",
        "samples_path",
        "out",
        "overwrite",
        "json",
    )
    """What --help shows; --help-all shows the others too."""

    config: tyro.conf.OmitArgPrefixes[EvaluateConfig]

    data: Path | None = None
    """JSONL or Parquet file with the problems; the same as --test-path."""

    out: Path = Path("results/evaluate")
    """Run folder to write."""

    overwrite: bool = False
    """Replace a run that the folder holds."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw evaluate``."""
    options = parse(Options, arguments, command="evaluate")
    config = options.config
    if options.data is not None:
        if not options.data.exists():
            raise FileNotFoundError(f"{options.data} does not exist; --data names a file")
        changed: dict[str, Any] = {f"{config.split}_path": str(options.data)}
        config = dataclasses.replace(config, **changed)
    # Before what takes seconds to load; evaluate asks again.
    read_finished(options.out, config.to_dict(), overwrite=options.overwrite)

    from llm_validation.evaluate import evaluate

    evaluation = evaluate(config, options.out, overwrite=options.overwrite)
    rows: list[dict[str, Any]] = evaluation.summary.to_dict("records")  # type: ignore[assignment]
    return Answer({"run": str(options.out), **evaluation.to_dict()}, _describe(options, rows))


def _describe(options: Options, rows: Sequence[dict[str, Any]]) -> str:
    lines = [
        [
            str(row["group"]),
            f"pass@{row['k']}" if row["metric"] == "pass" else str(row["metric"]),
            number(row["estimate"]),
            "" if math.isnan(row["low"]) else interval(row["low"], row["high"]),
            str(row["problems"]),
        ]
        for row in rows
    ]
    header = ["problems", "measure", "estimate", f"{options.config.level:.0%} interval", "number"]
    return "\n".join(
        [
            table(header, lines, right="llrrr"),
            "",
            figures_hint(options.out),
        ]
    )
