"""The sections of the demo's report: the ledger, then one per source from its run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from claims.entries import Entry
from claims.excess import design_words, excess_findings, excess_table
from claims.render.html import ledger_html
from claims.run_findings import simulation_findings, simulation_headline, training_findings
from claims.spec import SOURCE_NAMES, Source
from figures.catalogue import THEORY, run_pictures
from figures.picture import Picture
from figures.report import Section
from figures.style import title
from runs.folder import read_config, read_metrics
from runs.text import plural

_TIMES = "time_to_target"
"""Figure of the simulation that the page begins with."""

STARTS = (0.001, 0.01, 0.1, 0.4)


def theory_metrics(schemes: Sequence[str], *, target: float, group_size: int) -> pd.DataFrame:
    """Excess by design as metrics of a run folder.

    Args:
        schemes: Names of schemes.
        target: Success probability to reach.
        group_size: M.

    Returns:
        Columns scheme, seed, step, metric, value.

    >>> theory_metrics(["grpo"], target=0.9, group_size=16)["metric"][0]
    'excess/fixed/0.001'
    """
    table = excess_table(schemes, starts=STARTS, target=target, group_size=group_size)
    metric = "excess/" + table["design"] + "/" + table["start"].map("{:g}".format)
    tall = table.assign(seed=0, step=0, metric=metric, value=table["excess"])
    return tall[["scheme", "seed", "step", "metric", "value"]]


def ledger_section(entries: Sequence[Entry]) -> Section:
    """The published ledger, which a few minutes of runs neither confirm nor refute.

    Args:
        entries: The published ledger.
    """
    return Section(
        title="The ledger of claims",
        what=[
            "Every claim with its published verdict per source. The theory's were computed for "
            "this page; the others follow from evidence that comes with the package. The runs "
            "above are too short to change a verdict: apw reproduce tests every claim again."
        ],
        html=ledger_html(entries),
        commands=["apw claims", "apw claims --check", "apw reproduce"],
    )


def theory_section(folder: Path) -> Section:
    """What the mathematics says.

    Args:
        folder: Run folder of the demo's theory.

    Raises:
        FileNotFoundError: The folder holds no finished run.
    """
    config = read_config(folder)
    read_metrics(folder)
    schemes, target, size = config["schemes"], config["target"], config["group_size"]
    table = excess_table(schemes, starts=STARTS, target=target, group_size=size)
    wide = table.pivot(index=["design", "start"], columns="scheme", values="excess")
    order = list(dict.fromkeys(zip(table["design"], table["start"], strict=True)))
    shown = wide.loc[order, list(dict.fromkeys(table["scheme"]))].reset_index()
    shown["design"] = [design_words(design, size) for design in shown["design"]]
    shown["start"] = shown["start"].map("{:g}".format)
    shown = shown.rename(columns={"design": "sampling", "start": "from ρ₀"} | _titles(schemes))
    return Section(
        title="Theory: which prompts should count how much",
        what=[
            "A scheme gives the responses of a group advantages, by how many of them are correct. "
            "What reaches a target soonest, and with the least noise on the way, depends on what "
            "responses cost and on how groups are sampled. Excess is time times noise (path "
            "energy) over the least possible, that of the best table of advantages."
        ],
        findings=excess_findings(target=target, group_size=size),
        pictures=[THEORY[name]() for name in ("weights", "excess")],
        table=shown,
        table_caption=f"Excess on the way to {target:g}; 1 is optimal. Exact binomial sums and "
        "quadrature; in the population, time alone over the optimal weight's.",
        commands=[
            f"apw weights --start 0.01 --target {target:g} --group-size {size}",
            "apw figures",
        ],
        folder=f"{folder.name}/",
    )


def _titles(schemes: Sequence[str]) -> dict[str, str]:
    return {name: title(name) for name in schemes}


def headline(out: Path, simulation: Section | None) -> tuple[str, Picture]:
    """The finding in one sentence, and its figure: the simulation's, else the theory's.

    Args:
        out: Folder of the demo.
        simulation: Section of the simulation, if there is one.

    Raises:
        FileNotFoundError: The folder holds no finished run.
    """
    if simulation is None:
        config = read_config(out / "theory")
        found = excess_findings(target=config["target"], group_size=config["group_size"])
        return found[0], THEORY["optimal_weights"]()
    metrics, config = read_metrics(out / "sim"), read_config(out / "sim")
    lead = next(picture for picture in simulation.pictures if picture.name == _TIMES)
    return simulation_headline(metrics, config), lead


def simulation_section(folder: Path) -> Section:
    """What a cheap learner does.

    Args:
        folder: Run folder of the demo's simulation.

    Raises:
        FileNotFoundError: The folder holds no finished run.
    """
    metrics, config = read_metrics(folder), read_config(folder)
    names = ", ".join(title(name) for name in config["schemes"])
    return Section(
        title="Simulation: the same race with sampled responses",
        what=[
            f"{config['prompts']} prompts with {config['answers']} possible answers each, "
            f"{config['correct_answers']} of them correct, start at a success probability of "
            f"{config['start']:.0%}. {names} are trained with groups of {config['group_size']} "
            f"sampled responses and natural-gradient steps until the mean success probability is "
            f"{config['target']:g}, under {config['seeds']} seeds. Step sizes give every scheme "
            "the same update budget, as the theory has it."
        ],
        findings=simulation_findings(metrics, config),
        pictures=run_pictures(folder)[:2],
        commands=[_simulate_command(config)],
        folder=f"{folder.name}/",
    )


def training_section(folder: Path) -> Section:
    """What a language model does.

    Args:
        folder: Run folder of the demo's training.

    Raises:
        FileNotFoundError: The folder holds no finished run.
    """
    metrics, config = read_metrics(folder), read_config(folder)
    names = " and ".join(title(name) for name in config["schemes"])
    seeds = plural(config["seeds"], "seed")
    return Section(
        title="Language model: a small transformer through TRL",
        what=[
            f"A transformer of {config['layers']} layers and width {config['hidden_size']}, made "
            "from scratch and warmed up by supervised steps on a task of arithmetic until it is "
            f"right about {config['initial_success']:.0%} of the time, is trained by TRL's "
            f"GRPOTrainer with the advantages of {names}: {config['steps']} steps of "
            f"{config['prompts_per_step']} prompts with {config['group_size']} responses, "
            f"{seeds} each, all at the learning rate {config['learning_rate']:g}. Success on "
            "held-out prompts is computed exactly, not sampled.",
            "This is a short run at one learning rate. It shows that the whole loop works; it "
            "is no evidence for or against a scheme unless the sentences below say so.",
        ],
        findings=training_findings(metrics),
        pictures=run_pictures(folder)[:1],
        commands=[_train_command(config)],
        folder=f"{folder.name}/",
    )


def skipped_section(source: Source, reason: str) -> Section:
    """A section that says why a source was left out."""
    llm = ["pip install '.[llm]'"] if source == "llm" else []
    return Section(
        title=f"{SOURCE_NAMES[source].capitalize()}: not run",
        what=[f"This part was left out: {reason}."],
        commands=[*llm, "apw reproduce --quick"],
    )


def _simulate_command(config: dict[str, object]) -> str:
    schemes = " ".join(str(name) for name in config["schemes"])  # type: ignore[attr-defined]
    words = [f"apw simulate --schemes {schemes}"]
    words += [
        f"--{name.replace('_', '-')} {config[name]}"
        for name in (
            "start",
            "target",
            "group_size",
            "learner",
            "comparison",
            "learning_rate",
            "prompts",
            "seeds",
            "steps",
            "measure_every",
        )
    ]
    return " \\\n    ".join([words[0], " ".join(words[1:6]), " ".join(words[6:])])


def _train_command(config: dict[str, object]) -> str:
    return (
        f"apw train --recipe demo --steps {config['steps']} --seeds {config['seeds']} "
        "--out results/my-demo"
    )
