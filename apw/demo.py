"""The demo, ``apw reproduce --quick``: the published ledger, and all three sources run small."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from apw.command_line import Answer, say
from runs.environment import describe_environment
from runs.folder import Run, is_finished, is_run, read_config
from runs.terminal import Progress

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


def run_demo(out: Path, *, llm: bool = True) -> Answer:
    """Run theory, simulation and a small language model, and write one report.

    Args:
        out: Folder for runs, figures and report.html.
        llm: Train the language model.

    Returns:
        The answer of the command.

    Raises:
        ValueError: A run in the folder has other settings.
    """
    from llm_validation.config import load_recipe
    from sim.config import SimulationConfig

    began = time.monotonic()
    simulation = SimulationConfig(**SIMULATION)
    training = load_recipe("demo", **TRAINING)
    configs = {"theory": THEORY, "sim": simulation.to_dict()}
    if llm:
        configs["llm"] = training.to_dict()
    done = {name: _is_done(out / name, config) for name, config in configs.items()}

    _announce("[1/4] theory: optimal weights and excess times", done["theory"])
    if not done["theory"]:
        _theory(out / "theory")
    _announce("[2/4] sim: five schemes on simulated prompts", done["sim"])
    if not done["sim"]:
        from sim.run import simulate

        simulate(simulation, out / "sim")
    _announce("[3/4] llm: a small transformer through TRL's GRPOTrainer", done.get("llm", False))
    skipped = "" if llm else "it was not asked for"
    if not done.get("llm", True):
        try:
            from llm_validation.train import train

            train(training, out / "llm")
        except ImportError as error:
            skipped = f"{error}".rstrip(".")
    if skipped:
        say(f"      left out: {skipped}")
    say("[4/4] figures and report")
    report, counts, findings = _report(out, skipped)
    minutes = (time.monotonic() - began) / 60
    data = {"report": str(report), "verdicts": counts, "findings": findings}
    lines = [f"- {finding}" for part in findings.values() for finding in part]
    text = "\n".join([*lines, "", f"Done in {minutes:.1f} minutes. Open {report} in a browser."])
    return Answer({**data, "skipped": skipped, "minutes": minutes}, text)


def _announce(words: str, done: bool) -> None:
    say(words)
    if done:
        say("      already there")


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


def _report(out: Path, skipped: str) -> tuple[Path, str, dict[str, list[str]]]:
    from claims.entries import counting_sentence, ledger
    from figures import demo_report
    from figures.report import write_report

    entries = ledger()
    parts = {
        "theory": demo_report.theory_section(out / "theory"),
        "sim": demo_report.simulation_section(out / "sim"),
        "llm": demo_report.skipped_section(skipped)
        if skipped
        else demo_report.training_section(out / "llm"),
    }
    pictures = [(name, picture) for name, part in parts.items() for picture in part.pictures]
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
            "solved, is a choice. This page shows which claims about that choice hold, what the "
            "mathematics says, what a simulated learner does, and what a small language model "
            "does.",
            "The ledger is the published one. Every other number and sentence below was computed "
            "from the results beside this file.",
        ],
        sections=[demo_report.ledger_section(entries), *parts.values()],
        environment=describe_environment(),
    )
    found = {name: list(section.findings) for name, section in parts.items()}
    return report, counting_sentence(entries), found
