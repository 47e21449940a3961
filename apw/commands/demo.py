"""``apw demo``: theory, simulation and a small language model in one report."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from apw.command_line import Answer, parse, say
from runs.environment import describe_environment
from runs.folder import Run, is_finished, read_config
from runs.terminal import Progress

SCHEMES = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")
THEORY = {"schemes": list(SCHEMES), "target": 0.9, "group_size": 16}


@dataclasses.dataclass(frozen=True)
class Options:
    """Run the three arms, small, and write a report that opens in any browser.

    Takes a few minutes on two CPU cores. If it is stopped, the same command goes on where it was.
    """

    out: Path = Path("results/demo")
    """Folder for runs, figures and report.html."""

    quick: bool = False
    """A still smaller simulation and training, for a first look within a minute."""

    overwrite: bool = False
    """Run everything again, whatever the folder holds."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw demo``."""
    options = parse(Options, arguments, command="demo")
    began = time.monotonic()
    stages: list[tuple[str, str, Callable[[Path, bool, bool], None]]] = [
        ("theory", "optimal weights and excess times", _theory),
        ("sim", "five schemes on simulated prompts", _simulate),
        ("llm", "a small transformer through TRL's GRPOTrainer", _train),
    ]
    skipped: dict[str, str] = {}
    for number, (name, what, stage) in enumerate(stages, start=1):
        folder = options.out / name
        say(f"[{number}/4] {name}: {what}")
        try:
            stage(folder, options.quick, options.overwrite)
        except ImportError as error:
            skipped[name] = str(error)
            say(f"      left out: {error}")
    say("[4/4] figures and report")
    report, findings = _report(options.out, skipped)
    minutes = (time.monotonic() - began) / 60
    data = {"report": str(report), "findings": findings, "skipped": skipped, "minutes": minutes}
    lines = [f"- {finding}" for part in findings.values() for finding in part]
    text = "\n".join([*lines, "", f"Done in {minutes:.1f} minutes. Open {report} in a browser."])
    return Answer(data, text)


def _theory(folder: Path, quick: bool, overwrite: bool) -> None:
    from figures.demo_report import theory_metrics

    if _is_done(folder, THEORY, overwrite):
        return
    run = Run.open(folder, THEORY, source="theory", overwrite=overwrite)
    run.log_table(theory_metrics(SCHEMES, target=0.9, group_size=16))
    run.finish()


def _simulate(folder: Path, quick: bool, overwrite: bool) -> None:
    from sim.config import SimulationConfig

    config = SimulationConfig(
        schemes=SCHEMES, start=0.01, target=0.9, group_size=16, learner="natural",
        comparison="same_budget", learning_rate=0.05 if quick else 0.01,
        prompts=16 if quick else 64, seeds=2 if quick else 8, steps=100 if quick else 500,
        measure_every=5, pass_k=(1, 4, 16),
    )  # fmt: skip
    if _is_done(folder, config.to_dict(), overwrite):
        return
    from sim.run import simulate

    simulate(config, folder, overwrite=overwrite)


def _train(folder: Path, quick: bool, overwrite: bool) -> None:
    from llm_validation.config import load_recipe

    reduced: dict[str, Any] = (
        {"steps": 4, "seeds": 1, "warm_up_steps": 5} if quick else {"seeds": 5}
    )
    config = load_recipe("demo", **reduced)
    if _is_done(folder, config.to_dict(), overwrite):
        return
    from llm_validation.train import train

    train(config, folder, overwrite=overwrite)


def _is_done(folder: Path, config: dict[str, Any], overwrite: bool) -> bool:
    done = not overwrite and is_finished(folder) and read_config(folder) == config
    if done:
        say("      already there")
    return done


def _report(out: Path, skipped: dict[str, str]) -> tuple[Path, dict[str, list[str]]]:
    from figures import demo_report
    from figures.report import write_report

    makers = {
        "theory": demo_report.theory_section,
        "sim": demo_report.simulation_section,
        "llm": demo_report.training_section,
    }
    sections = {
        name: demo_report.skipped_section(skipped[name]) if name in skipped else make(out / name)
        for name, make in makers.items()
    }
    pictures = [(name, picture) for name, part in sections.items() for picture in part.pictures]
    with Progress("figures", len(pictures), unit="pictures") as progress:
        for name, picture in pictures:
            picture.save(out / "figures" / name)
            progress.advance()
    report = out / "report.html"
    write_report(
        report,
        title="Prompt weighting, from theory to a language model",
        summary=[
            "Reinforcement learning with verifiable rewards samples a group of responses to every "
            "prompt and reinforces the correct ones. How much a prompt counts, by how often it is "
            "solved, is a choice. This page shows what the mathematics says about that choice, "
            "what a simulated learner does, and what a small language model does.",
            "Every number and sentence below was computed from the results beside this file.",
        ],
        sections=list(sections.values()),
        environment=describe_environment(),
    )
    return report, {name: list(section.findings) for name, section in sections.items()}
