"""An advice as one page: the verdict, one figure, and then what it rests on."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from figures.advice import advice_picture, cost_picture
from figures.report import Section, write_report
from runs.environment import describe_environment
from theory.advice import Advice
from theory.schemes import resolve

GENERATOR = "apw advise"
"""The command whose pages these are."""


def write_advice(
    path: Path,
    advice: Advice,
    *,
    verdict: Sequence[str],
    prompts: Sequence[str],
    more: Sequence[str],
    lines: Mapping[str, str],
    assumptions: Sequence[str],
    command: Sequence[str],
) -> None:
    """Write the page.

    Args:
        path: The HTML file; only a page of ``apw advise`` is replaced.
        advice: What was advised.
        verdict: What to do, and what would change it, a sentence each.
        prompts: What is known of the prompts.
        more: Group size and plan.
        lines: Trainer → what to write there.
        assumptions: What the advice rests on.
        command: Words of the command, to be told.

    Raises:
        ValueError: A file that is there and no page of ``apw advise``.
    """
    costs = pd.DataFrame(
        {
            "scheme": [resolve(name).label for name in advice.cost],
            f"over {resolve(advice.present).label}": list(advice.cost.values()),
            "over the best table": [advice.excess_finite.get(name) for name in advice.cost],
            "in large groups": [advice.excess[name] for name in advice.cost],
        }
    )
    sections = [
        Section(title="Your prompts", what=prompts, pictures=[advice_picture(advice)]),
        Section(
            title="What schemes cost",
            what=[
                "Time times path energy to the target: over your scheme's, and over the least "
                "that any table of advantages can do, in your groups and in large ones."
            ],
            table=costs,
            table_caption="Costs of the schemes that were compared; less is better.",
        ),
        Section(title="Group size and plan", what=more),
        *(
            Section(title=f"In {trainer}", what=[], commands=[line])
            for trainer, line in lines.items()
        ),
        Section(
            title="What this assumes",
            what=[],
            findings=[f"{text}." for text in assumptions],
            commands=[shlex.join(command)],
        ),
    ]
    write_report(
        path,
        title=verdict[0],
        topic="Which prompt weighting to use",
        summary=[],
        changes=verdict[1:],
        sections=sections,
        environment=describe_environment(),
        lead=cost_picture(advice),
        generator=GENERATOR,
    )
