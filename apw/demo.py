"""The demo, ``apw reproduce --quick``: the published ledger, and all three sources run small."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apw.command_line import Answer, say
from claims.spec import SOURCES, Source
from runs.environment import describe_environment
from runs.folder import Run, is_finished, is_run, read_config
from runs.ownership import refuse_foreign_report
from runs.terminal import Progress

GENERATOR = "apw reproduce"
"""The command that writes the report and its figures."""

STAGES: Mapping[Source, str] = {
    "theory": "optimal weights and excess times",
    "sim": "five schemes on simulated prompts",
    "llm": "a small transformer through TRL's GRPOTrainer",
}
"""Source → what is done for it, in words."""

SCHEMES = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")

THEORY: dict[str, Any] = {"schemes": list(SCHEMES), "target": 0.9, "group_size": 16}
"""Configuration of the theory's run folder."""

SIMULATION: dict[str, Any] = {
    "schemes": SCHEMES,
    "start": 0.01,
    "target": 0.9,
    "group_size": 16,
    "learner": "natural",
    "comparison": "same_budget",
    "learning_rate": 0.01,
    "prompts": 64,
    "seeds": 8,
    "steps": 500,
    "measure_every": 5,
    "pass_k": (1, 4, 16),
}
"""Configuration of the simulation."""

TRAINING: dict[str, Any] = {"seeds": 5}
"""Changes to the recipe ``demo`` of the language model."""


NOT_ASKED = "it was not asked for"
"""Why a source is left out that the command did not name."""


def run_demo(out: Path, sources: Sequence[Source] = SOURCES) -> Answer:
    """Run theory, simulation and a small language model, and write one report.

    Args:
        out: Folder for runs, figures and report.html.
        sources: Which of the three.

    Returns:
        The answer of the command.

    Raises:
        ValueError: A run in the folder has other settings.
    """
    from llm_validation.config import load_recipe
    from sim.config import SimulationConfig

    refuse_foreign_report(out, GENERATOR)
    began = time.monotonic()
    simulation = SimulationConfig(**SIMULATION)
    training = load_recipe("demo", **TRAINING)
    configs = {"theory": THEORY, "sim": simulation.to_dict(), "llm": training.to_dict()}
    left_out = {source: NOT_ASKED for source in SOURCES if source not in sources}
    done = {
        source: source not in left_out and _is_done(out / source, configs[source])
        for source in SOURCES
    }

    def run(source: Source) -> None:
        if source == "theory":
            _theory(out / "theory")
        elif source == "sim":
            from sim.run import simulate

            simulate(simulation, out / "sim")
        else:
            from llm_validation.train import train

            train(training, out / "llm")

    for number, (source, words) in enumerate(STAGES.items(), start=1):
        say(f"[{number}/4] {source}: {words}")
        if done[source]:
            say("      already there")
        elif source not in left_out:
            try:
                run(source)
            except ImportError as error:
                if source != "llm":
                    raise
                left_out[source] = f"{error}".rstrip(".")
        if source in left_out:
            say(f"      left out: {left_out[source]}")
    say("[4/4] figures and report")
    report, counts, findings = _report(out, left_out)
    minutes = (time.monotonic() - began) / 60
    data = {"report": str(report), "verdicts": counts, "findings": findings}
    lines = [f"- {finding}" for part in findings.values() for finding in part]
    text = "\n".join([*lines, "", f"Done in {minutes:.1f} minutes. Open {report} in a browser."])
    return Answer({**data, "skipped": left_out.get("llm", ""), "minutes": minutes}, text)


def _is_done(folder: Path, config: dict[str, Any]) -> bool:
    """Tell whether a folder holds this run, finished."""
    if is_run(folder) and read_config(folder) != config:
        raise ValueError(f"{folder} holds a run with other settings; give --out another folder")
    return is_finished(folder)


def _theory(folder: Path) -> None:
    from figures.demo_report import theory_metrics

    run = Run.open(folder, THEORY, source="theory")
    run.log_table(theory_metrics(SCHEMES, target=0.9, group_size=16))
    run.finish()


def _report(out: Path, left_out: Mapping[Source, str]) -> tuple[Path, str, dict[Source, list[str]]]:
    from claims.entries import counting_sentence, ledger
    from figures import demo_report
    from figures.report import write_report

    entries = ledger()
    make = {
        "theory": demo_report.theory_section,
        "sim": demo_report.simulation_section,
        "llm": demo_report.training_section,
    }
    parts = {
        source: demo_report.skipped_section(source, left_out[source])
        if source in left_out
        else make[source](out / source)
        for source in SOURCES
    }
    simulation = None if "sim" in left_out else parts["sim"]
    finding, lead = demo_report.headline(out, simulation)
    pictures = [(name, picture) for name, part in parts.items() for picture in part.pictures]
    if simulation is None:
        pictures.append(("theory", lead))
    with Progress("figures", len(pictures), unit="pictures") as progress:
        for name, picture in pictures:
            picture.save(out / "figures" / name, generator=GENERATOR)
            progress.advance()
    report = out / "report.html"
    write_report(
        report,
        generator=GENERATOR,
        topic="Prompt weighting, from theory to a language model",
        title=finding,
        lead=lead,
        summary=[
            "Reinforcement learning with verifiable rewards samples a group of responses to every "
            "prompt and reinforces the correct ones. How much a prompt counts, by how often it is "
            "solved, is a choice. This page shows which claims about that choice hold, what the "
            "mathematics says, what a simulated learner does, and what a small language model "
            "does.",
            "The ledger at the end is the published one. Every other number and sentence was "
            "computed from the results beside this file.",
        ],
        sections=[*parts.values(), demo_report.ledger_section(entries)],
        environment=describe_environment(),
    )
    found = {name: list(section.findings) for name, section in parts.items()}
    return report, counting_sentence(entries), found
