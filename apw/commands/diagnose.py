"""``apw diagnose``: what a training run's rollouts say about prompt weighting."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import tyro

from apw.command_line import Answer, parse
from runs.files import write_json

if TYPE_CHECKING:
    from rollouts.diagnosis import Diagnosis


@dataclasses.dataclass(frozen=True)
class Options:
    """What the rollouts of a training run say about prompt weighting.

    Shares of groups that teach nothing, gradient mass by difficulty under this and other schemes,
    what LENS would do, drift, repetitions, mismatch of trainer and sampler.

    Reads TRL's completions, verl's rollout_data_dir, prime-rl's rollouts, samples of apw evaluate,
    and any table (.parquet, .csv, .jsonl, text also .gz) with a prompt and a reward. A group is
    all rows of one prompt at one step, wherever they stand.
    """

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """Files and folders of one kind."""

    scheme: str = "grpo"
    """Scheme that the run was trained with; options may follow, as in grpo:engine=trl."""

    against: tuple[str, ...] = ("rloo", "linear_r", "sqrt_r", "maxrl", "w_reinforce", "lens")
    """Schemes to compare it with; lens takes part if log-probabilities and lengths are known."""

    prompt: tuple[str, ...] = ()
    """Column of the prompt's id or text, or several that together name it."""

    reward: str | None = None
    """Column of the reward. In JSON lines, info.score is the field score of info."""

    step: str | None = None
    """Column of the training step."""

    response: str | None = None
    """Column of the response's text, to find repetitions."""

    log_prob: str | None = None
    """Column of the response's log-probability under the trainer: a number, or a list of one per
    token."""

    sampler_log_prob: str | None = None
    """Column of the response's log-probability as the sampler reported it."""

    length: str | None = None
    """Column of the response's number of tokens."""

    threshold: float | None = None
    """Reward from which on a response counts as correct; needed unless rewards are 0 and 1, or −1
    and 1."""

    log_probs: Literal["auto", "sum", "mean"] = "auto"
    """Whether a log-probability that is a number is the sum over the response's tokens or their
    mean; auto: the sum, unless the format says otherwise."""

    every: int = 1
    """Steps that are reported together."""

    out: Path | None = None
    """Folder for the tables, the pass rates, a summary and the picture."""

    memory: float = 1.0
    """GiB of memory for sorting; the rest goes to disk."""

    threads: int | None = None
    """Cores to use; all by default."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw diagnose``."""
    options = parse(Options, arguments, command="diagnose")
    from rollouts.diagnosis import TARGET, diagnose
    from rollouts.layouts import ROLES

    diagnosis = diagnose(
        options.paths,
        scheme=options.scheme,
        against=options.against,
        columns={role: column for role in ROLES if (column := getattr(options, role))},
        threshold=options.threshold,
        mean_log_prob={"auto": None, "sum": False, "mean": True}[options.log_probs],
        every=options.every,
        memory=options.memory,
        threads=options.threads,
        progress=True,
    )
    rates = options.out and options.out / "pass_rates.csv"
    data = {**diagnosis.data(), "advise": diagnosis.advise_call(rates)}
    words = [str(diagnosis), ""]
    if not diagnosis.grouped:
        words = words[:1]
    elif data["advise"] is None:
        words.append(
            f"Nearly every prompt has a pass rate of {TARGET:g} or more: take harder ones."
        )
    else:
        words.append(f"Next: {data['advise']}")
        if options.out is None:
            words.append("With --out FOLDER the call takes every prompt's own pass rate.")
    if options.out is not None:
        data["written"] = _write(options.out, diagnosis, data)
        words.append(f"Written: {', '.join(data['written'])}")
    return Answer(data, "\n".join(words))


def _write(out: Path, diagnosis: Diagnosis, data: Mapping[str, Any]) -> list[str]:
    from figures.diagnosis import MOST_STEPS, diagnosis_picture

    written = diagnosis.write(out)
    if diagnosis.grouped:
        picture = diagnosis_picture(
            diagnosis.steps(MOST_STEPS), diagnosis.mass(), diagnosis.trained
        )
        written += picture.save(out)
    summary = {key: value for key, value in data.items() if key not in ("steps", "mass")}
    written.append(out / "summary.json")
    write_json(written[-1], json.loads(Answer(summary, "").as_json()))
    return [str(file) for file in written]
