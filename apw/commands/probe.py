"""``apw probe``: the drift law on a real model, from one set of rollouts."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import tyro

from apw.command_line import Answer, figures_hint, parse_recipe
from llm_validation.probe.config import ProbeConfig, list_recipes, load_recipe
from runs.folder import read_finished
from runs.terminal import table
from runs.text import interval, number, percent, plural
from theory.schemes import resolve

if TYPE_CHECKING:
    from llm_validation.probe.report import Probe


@dataclasses.dataclass(frozen=True)
class Options:
    """Measure how prompts share parameters, and what one step by each scheme does to success.

    Starts from a recipe; options on the command line win over it. Writes a run folder; a killed
    probe goes on with the same command, and a finished one answers it again.
    """

    DAILY: ClassVar[tuple[str, ...]] = (
        "model",
        "task",
        "data",
        "recipe",
        "prompts",
        "group_size",
        "groups",
        "schemes",
        "out",
        "overwrite",
        "json",
    )
    """What --help shows; --help-all shows the others too."""

    SHIPPED: ClassVar[Mapping[str, Callable[[], list[str]]]] = {"recipe": list_recipes}
    """Options that take names of what ships with the package."""

    config: tyro.conf.OmitArgPrefixes[ProbeConfig] = dataclasses.field(default_factory=ProbeConfig)

    recipe: str | None = None
    """Shipped recipe, or path of a .toml file."""

    data: Path | None = None
    """JSONL or Parquet file with the problems; the same as --train-path."""

    out: Path | None = None
    """Run folder to write; results/probe/ and the recipe's name by default."""

    overwrite: bool = False
    """Replace a run that the folder holds."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw probe``."""
    options, recipe = parse_recipe(
        Options, arguments, command="probe", load=load_recipe, names=list_recipes
    )
    config = options.config
    name = Path(recipe).name.removesuffix(".toml")
    out = options.out or Path("results/probe") / name
    # Before what takes seconds to load; probe asks again.
    read_finished(out, config.to_dict(), overwrite=options.overwrite)

    from llm_validation.probe.run import probe

    found = probe(config, out, overwrite=options.overwrite)
    return Answer(found.to_dict(), _describe(found))


def _describe(found: Probe) -> str:
    summary = found.summary
    lines = [
        f"{plural(summary['prompts_probed'], 'prompt')} × "
        f"{summary['responses'] // summary['prompts_probed']} responses, pass rate "
        f"{percent(summary['pass_rate'])}, {percent(summary['mixed'])} of the prompts with both "
        f"right and wrong responses; gradients of {summary['parameters']:,} parameters"
        + (f", projected to {summary['width']:,}." if summary["projection_error"] else "."),
        "",
        table(
            ["", "estimate", f"{summary['config']['level']:.0%} interval"],
            [
                [words, *_cells(summary[key])]
                for key, words in (
                    ("spread", "spread of log-odds"),
                    ("ratio", "kernel between prompts over that of a prompt"),
                    ("sharing", f"sharing among {summary['prompts_probed']:,} prompts"),
                    (
                        "sharing_in_training",
                        f"sharing among {summary['training_prompts']:,} prompts",
                    ),
                    ("norm_exponent", "exponent of ‖∇ρ‖ in ρ(1−ρ)"),
                )
                if key != "sharing_in_training"
                or summary["training_prompts"] != summary["prompts_probed"]
            ],
            right="lrr",
        ),
        "",
        _schemes(found),
        "",
    ]
    if len(found.steps):
        lines += [_steps(found), ""]
    lines.append(figures_hint(found.path))
    if (found.path / "kernel.csv").exists():
        lines.append(f"Which weight suits: {shlex.join(advice(found))}")
    return "\n".join(lines)


def advice(found: Probe) -> list[str]:
    """The command that says which weight suits what was measured.

    Args:
        found: A probe with a kernel.
    """
    files = str(found.path / "prompts.csv"), str(found.path / "kernel.csv")
    return ["apw", "advise", files[0], "--kernel", files[1]]


def _cells(ends: dict[str, float | None], digits: int = 3) -> list[str]:
    estimate, low, high = (math.nan if v is None else v for v in ends.values())
    return [number(estimate, digits), "–" if math.isnan(low) else interval(low, high, digits)]


def _schemes(found: Probe) -> str:
    wanted = {
        "gain": "gain of mean success",
        "hard": "of hard prompts",
        "noise": "noise",
        "cost": "cost over the first's",
        "hard_cost": "on hard prompts",
    }
    columns = found.schemes.pivot(index="scheme", columns="quantity", values="estimate")
    ranges = found.schemes.set_index(["scheme", "quantity"])
    rows = []
    for scheme in dict.fromkeys(found.schemes["scheme"]):
        cells = []
        for key in wanted:
            cell = number(float(columns.loc[scheme, key]), 3)
            if key in ("cost", "hard_cost"):
                row = ranges.loc[(scheme, key)]
                low, high = float(row["low"]), float(row["high"])
                cell += "" if math.isnan(low) else f" ({interval(low, high, 2)})"
            cells.append(cell)
        rows.append([resolve(str(scheme)).label, *cells])
    head = "An update at rate 1, to first order; cost is (noise/gain)² over GRPO's."
    wanted["cost"] = "cost"
    return f"{head}\n\n" + table(["scheme", *wanted.values()], rows, right="l" + "r" * len(wanted))


def _steps(found: Probe) -> str:
    chosen = found.steps[found.steps["group"] == "all"]
    names = [n for n in ("law", "predicted", "measured", "exact") if chosen[n].notna().any()]
    rows: list[list[str]] = []
    for row in chosen.to_dict("records"):
        record: dict[str, Any] = {str(key): value for key, value in row.items()}
        rows.append(
            [
                resolve(record["scheme"]).label,
                record["optimizer"],
                number(record["size"], 3),
                *(number(record[name], 3) for name in names),
                interval(record["measured_low"], record["measured_high"], 2),
            ]
        )
    head = "Change of mean success by one step, whose size is in nats."
    header = ["scheme", "optimizer", "size", *names, "interval of measured"]
    return f"{head}\n\n" + table(header, rows, right="llr" + "r" * (len(names) + 1))
