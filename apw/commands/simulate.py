"""``apw simulate``: a simulation, a sweep, or the simulations of the ledger's claims."""

from __future__ import annotations

import dataclasses
import math
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import tyro

from apw.command_line import Answer, parse, read_toml, split_option, table
from apw.runs import refuse_finished
from sim.config import SimulationConfig, from_dict, to_dict
from theory.schemes import resolve

Executor = Literal["local", "ray"]
Row = dict[str, Any]


@dataclasses.dataclass(frozen=True)
class Options:
    """Train prompt-weighting schemes on simulated prompts, and time them to a target.

    Writes a run folder; a killed run goes on with the same command. Draw it with apw figures.
    """

    config: tyro.conf.OmitArgPrefixes[SimulationConfig] = dataclasses.field(
        default_factory=SimulationConfig
    )

    out: Path | None = None
    """Run folder to write; results/simulate if not given, results/sweep for a sweep,
    results/claims-sim for presets."""

    file: Path | None = None
    """TOML file with some of the options below; options on the command line win."""

    preset: tuple[str, ...] = ()
    """Claims of the ledger to put to the test, such as A4 N3; ``all`` for every one, ``list`` to
    see which there are. They bring their own configurations."""

    quick: bool = False
    """Presets: the short version, seconds to a minute each, whose intervals are wider."""

    sweep: Path | None = None
    """TOML file of a sweep: tables base and regimes, learning_rates, tuning_seeds, clock."""

    ray: bool = False
    """Sweeps and presets: run the cells on the Ray cluster this machine belongs to."""

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
    _check(options)
    executor: Executor = "ray" if options.ray else "local"
    if options.preset:
        return _presets(options, executor)
    if options.sweep:
        return _sweep(options, options.sweep, executor)
    return _simulate(options)


def _check(options: Options) -> None:
    alone = "--preset" if options.preset else "--sweep"
    if options.preset and options.sweep:
        raise ValueError("--preset and --sweep exclude each other")
    if options.preset or options.sweep:
        if options.file or options.config != SimulationConfig():
            raise ValueError(
                f"{alone} brings its own configuration: give it no options of a simulation"
            )
    elif options.ray:
        raise ValueError("--ray runs the cells of a sweep: it needs --sweep or --preset")
    if options.quick and not options.preset:
        raise ValueError("--quick shortens presets: it needs --preset")


def _simulate(options: Options) -> Answer:
    out = options.out or Path("results/simulate")
    refuse_finished(out, overwrite=options.overwrite)

    from sim.run import simulate
    from sim.summary import time_to_target

    metrics = simulate(options.config, out, overwrite=options.overwrite)
    times = time_to_target(metrics, options.config.target, reference=options.reference)
    rows: list[Row] = times.to_dict("records")  # type: ignore[assignment]
    data = {
        "run": str(out),
        "config": to_dict(options.config),
        "target": options.config.target,
        "reference": options.reference,
        "times": rows,
    }
    text = [
        f"Time until the mean success probability of {options.config.prompts} prompts is "
        f"{options.config.target:g} (responses: per prompt, one correct per update).",
        "",
        _times(rows, options.reference, {}),
        "",
        f"Run folder: {out}   (figures: apw figures {out})",
    ]
    return Answer(data, "\n".join(text))


def _sweep(options: Options, file: Path, executor: Executor) -> Answer:
    import pandas as pd

    from sim.sweep import read_sweep, sweep, sweep_times

    config, out = read_sweep(file), options.out or Path("results/sweep")
    refuse_finished(out, overwrite=options.overwrite)
    metrics = sweep(config, out, overwrite=options.overwrite, executor=executor)
    tuning = pd.read_parquet(out / "tuning.parquet")
    times = sweep_times(config, metrics, tuning, reference=options.reference)
    rows: list[Row] = times.to_dict("records")  # type: ignore[assignment]
    data = {"run": str(out), "reference": options.reference, "times": rows}
    shown = {"regime": "regime", "learning_rate": "rate"}
    text = [
        "Time to the target, every scheme at its own best learning rate "
        "(responses: per prompt, one correct per update).",
        "",
        _times(rows, options.reference, shown),
        "",
    ]
    if times["at_edge"].any():
        text.append("* an end of the grid of learning rates: the best rate may lie beyond it.")
    text.append(f"Folder: {out}   (times.parquet, metrics.parquet, tuning.parquet)")
    return Answer(data, "\n".join(text))


def _presets(options: Options, executor: Executor) -> Answer:
    from sim.claims.registry import CLAIMS, check_claim, claim_sentence

    names = [name.upper() for name in options.preset]
    if names == ["LIST"]:
        presets = [{"id": name, "claim": claim_sentence(name)} for name in CLAIMS]
        rows = [[preset["id"], preset["claim"]] for preset in presets]
        return Answer({"presets": presets}, table(["preset", "claim"], rows))
    if names == ["ALL"]:
        names = list(CLAIMS)
    for name in names:
        if name not in CLAIMS:
            raise ValueError(
                f"no preset {name.lower()!r}; there are {', '.join(CLAIMS)}, all and list"
            )
    out = options.out or Path("results/claims-sim")
    anew: set[Path] | None = set() if options.overwrite else None
    findings, texts = [], []
    for name in dict.fromkeys(names):
        started = time.monotonic()
        found = check_claim(
            name, out, quick=options.quick, executor=executor, progress=True, anew=anew
        )
        seconds = time.monotonic() - started
        print(f"{name}: {found.verdict}, after {seconds:.0f} s", file=sys.stderr)
        findings.append(found.to_dict())
        texts.append(_finding(findings[-1]))
    folder = out / ("quick" if options.quick else "full")
    data = {"folder": str(folder), "findings": findings}
    return Answer(data, "\n\n".join([*texts, f"Folder: {folder}"]))


def _finding(found: Mapping[str, Any]) -> str:
    """A claim, its verdict and its checks."""
    signs = {"near": "≈", "above": ">", "below": "<"}
    rows = [
        [
            check["verdict"],
            check["name"],
            _number(check["measurement"]),
            f"{_number(check['low'])} – {_number(check['high'])}",
            f"{signs[check['relation']]} {_number(check['prediction'])}",
        ]
        for check in found["checks"]
    ]
    header = ["verdict", "check", "measured", "95% interval", "predicted"]
    return "\n".join(
        [
            f"{found['id']}, {found['verdict']}{' (quick)' if found['quick'] else ''}: "
            f"{found['claim']}",
            "",
            table(header, rows, right="llrrl"),
            "",
            *found["regimes"],
        ]
    )


def _times(rows: Sequence[Row], reference: str, columns: Mapping[str, str]) -> str:
    """Times on two clocks as a table; ``columns`` are further ones to show, by their headings."""
    shown = [row for row in rows if row["clock"] in ("updates", "effective")]
    order = sorted(shown, key=lambda row: (row.get("regime", ""), row["clock"], row["mean"]))
    lines = [
        [
            *(_column(row, name) for name in columns),
            resolve(row["scheme"]).label,
            {"updates": "updates", "effective": "responses"}[row["clock"]],
            _number(row["mean"]),
            f"{_number(row['low'])} – {_number(row['high'])}",
            f"{row['reached']} of {row['seeds']}",
            _ratio(row),
        ]
        for row in order
    ]
    header = [
        *columns.values(), "scheme", "clock", "mean", "95% interval", "seeds there",
        f"relative to {resolve(reference).label}",
    ]  # fmt: skip
    return table(header, lines, right="l" * (len(columns) + 2) + "rrrr")


def _column(row: Row, name: str) -> str:
    if name == "learning_rate":
        return f"{row[name]:g}{'*' if row['at_edge'] else ''}"
    return str(row[name])


def _ratio(row: Row) -> str:
    if math.isnan(row["ratio"]):
        return "–"
    return f"{row['ratio']:.2f} ({row['ratio_low']:.2f} – {row['ratio_high']:.2f})"


def _number(value: float | str) -> str:
    """A number, or what stands for one that is not finite."""
    value = float(value)
    if math.isnan(value):
        return "–"
    return f"{value:.4g}" if math.isfinite(value) else "never"
