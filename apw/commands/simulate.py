"""``apw simulate``: train schemes on a bandit of prompts and answers, with intervals."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tyro

from apw.command_line import Answer, parse, read_toml, split_option, table
from apw.runs import refuse_finished
from sim.config import SimulationConfig, from_dict, to_dict
from theory.schemes import resolve


@dataclasses.dataclass(frozen=True)
class Options:
    """Train prompt-weighting schemes on simulated prompts, and time them to a target.

    Writes a run folder; a killed run goes on with the same command. Draw it with apw figures.
    """

    config: tyro.conf.OmitArgPrefixes[SimulationConfig] = dataclasses.field(
        default_factory=SimulationConfig
    )

    out: Path = Path("results/simulate")
    """Run folder to write."""

    file: Path | None = None
    """TOML file with some of the options below; options on the command line win."""

    reference: str = "grpo"
    """Scheme that times are compared with."""

    overwrite: bool = False
    """Replace a run that the folder holds."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw simulate``."""
    file = split_option(arguments, "--file")
    default = Options(config=from_dict(read_toml(Path(file)))) if file else None
    options = parse(Options, arguments, command="simulate", default=default)
    resolve(options.reference)
    refuse_finished(options.out, overwrite=options.overwrite)

    from sim.run import simulate
    from sim.summary import time_to_target

    metrics = simulate(options.config, options.out, overwrite=options.overwrite)
    times = time_to_target(metrics, options.config.target, reference=options.reference)
    rows: list[dict[str, Any]] = times.to_dict("records")  # type: ignore[assignment]
    data = {
        "run": str(options.out),
        "config": to_dict(options.config),
        "target": options.config.target,
        "reference": options.reference,
        "times": rows,
    }
    return Answer(data, _describe(options, rows))


def _describe(options: Options, rows: Sequence[dict[str, Any]]) -> str:
    config = options.config
    reference = resolve(options.reference).label
    shown = [row for row in rows if row["clock"] in ("updates", "effective")]
    lines = [
        [
            resolve(row["scheme"]).label,
            {"updates": "updates", "effective": "responses"}[row["clock"]],
            _number(row["mean"]),
            f"{_number(row['low'])} – {_number(row['high'])}",
            f"{row['reached']} of {row['seeds']}",
            _ratio(row),
        ]
        for row in sorted(shown, key=lambda row: (row["clock"], row["mean"]))
    ]
    header = ["scheme", "clock", "mean", "95% interval", "seeds there", f"relative to {reference}"]
    return "\n".join(
        [
            f"Time until the mean success probability of {config.prompts} prompts is "
            f"{config.target:g} (responses: per prompt, one correct per update).",
            "",
            table(header, lines, right="llrrrr"),
            "",
            f"Run folder: {options.out}   (figures: apw figures {options.out})",
        ]
    )


def _ratio(row: dict[str, Any]) -> str:
    if math.isnan(row["ratio"]):
        return "–"
    return f"{row['ratio']:.2f} ({row['ratio_low']:.2f} – {row['ratio_high']:.2f})"


def _number(value: float) -> str:
    return f"{value:.4g}" if math.isfinite(value) else "never"
