"""The sections of the demo's report: the ledger, then one per source from its run folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from claims.entries import Entry
from claims.render.html import ledger_html
from claims.spec import SOURCE_NAMES, Source
from figures.catalogue import THEORY, run_pictures
from figures.findings import (
    simulation_findings,
    theory_findings,
    theory_table,
    training_findings,
)
from figures.report import Section
from figures.style import title
from runs.folder import read_config, read_metrics

STARTS = (0.001, 0.01, 0.1, 0.4)


def theory_metrics(schemes: Sequence[str], *, target: float, group_size: int) -> pd.DataFrame:
    """Excess times as metrics of a run folder.

    Args:
        schemes: Names of schemes.
        target: Success probability to reach.
        group_size: M of the finite-group times.

    Returns:
        Columns scheme, seed, step, metric, value.

    Raises:
        ValueError: An unknown scheme, or one without a weight.

    Source: theory.md, sections 3 and 4.

    >>> theory_metrics(["grpo"], target=0.9, group_size=16)["metric"][0]
    'excess/responses/M → ∞/0.001'
    """
    table = theory_table(schemes, starts=STARTS, target=target, group_size=group_size)
    tall = table.melt(id_vars=["start", "clock", "groups"], var_name="scheme")
    starts = tall["start"].map("{:g}".format)
    metric = "excess/" + tall["clock"] + "/" + tall["groups"] + "/" + starts
    return tall.assign(seed=0, step=0, metric=metric)[["scheme", "seed", "step", "metric", "value"]]


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
            "below are too short to change a verdict: apw reproduce tests every claim again."
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

    Source: arXiv 2602.11128; theory.md, sections 3 and 4.
    """
    config = read_config(folder)
    read_metrics(folder)
    schemes, target, size = config["schemes"], config["target"], config["group_size"]
    table = theory_table(schemes, starts=STARTS, target=target, group_size=size)
    shown = table.rename(
        columns={
            "start": "from ρ₀",
            "clock": "counted",
            "groups": "groups",
            **{name: title(name) for name in schemes},
        }
    )
    shown["from ρ₀"] = shown["from ρ₀"].map("{:g}".format)
    return Section(
        title="Theory: which prompts should count how much",
        what=[
            "A scheme gives every prompt a weight that depends on its success probability ρ. For a "
            "fixed update budget, the weight that reaches a target soonest can be computed; what "
            "it is depends on what costs: updates, or responses of which few are correct. The "
            "excess time of a scheme is the factor by which it is slower than that optimum."
        ],
        findings=theory_findings(target=target, group_size=size),
        pictures=[THEORY[name]() for name in ("weights", "optimal_weights", "excess_time")],
        table=shown,
        table_caption=f"Excess time to reach {target:g}; 1 is optimal. Exact integrals and, for "
        "finite groups, exact binomial sums; no sampling.",
        commands=[
            f"apw weights --start 0.01 --target {target:g} --group-size {size}",
            "apw figures",
        ],
        folder=f"{folder.name}/",
    )


def simulation_section(folder: Path) -> Section:
    """What a cheap learner does.

    Args:
        folder: Run folder of the demo's simulation.

    Raises:
        FileNotFoundError: The folder holds no finished run.

    Source: the run.
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

    Source: the run.
    """
    metrics, config = read_metrics(folder), read_config(folder)
    names = " and ".join(title(name) for name in config["schemes"])
    seeds = "one seed" if config["seeds"] == 1 else f"{config['seeds']} seeds"
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
