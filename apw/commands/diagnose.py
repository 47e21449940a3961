"""``apw diagnose``: what a training run's rollouts say about prompt weighting."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import tyro

from apw.command_line import Answer, parse
from runs.files import read_json, write_json
from runs.ownership import refuse_file, refuse_foreign
from runs.text import listed

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

    DAILY: ClassVar[tuple[str, ...]] = (
        "paths",
        "scheme",
        "against",
        "prompt",
        "reward",
        "step",
        "response",
        "out",
        "fail_on",
        "json",
    )
    """What --help shows; --help-all shows the others too."""

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
    """Folder for the tables, the pass rates, a summary and the picture; or a name that ends in
    .html, for one page to be read by a colleague."""

    fail_on: tuple[str, ...] = ()
    """Findings that end the command with exit status 1, by their names, or any."""

    memory: float = 1.0
    """GiB of memory for sorting; the rest goes to disk."""

    threads: int | None = None
    """Cores to use; all by default."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw diagnose``."""
    options = parse(Options, arguments, command="diagnose")
    page = options.out if options.out is not None and options.out.suffix == ".html" else None
    folder = None if page else options.out
    # A log may take an hour to read: what cannot be done with it is said before.
    if page is not None:
        refuse_foreign(page, _GENERATOR)
    if folder is not None:
        refuse_file(folder)
        _own_files(folder)
    from rollouts.diagnosis import TARGET, diagnose
    from rollouts.layouts import ROLES

    _check_names(options.fail_on)
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
    failed = _failed(options.fail_on, diagnosis)
    rates = folder and folder / "pass_rates.csv"
    data = {
        **diagnosis.data(),
        "failed_on": failed,
        "advise": diagnosis.advise_call(rates),
    }
    words = [str(diagnosis), ""]
    if not diagnosis.grouped:
        words = words[:1]
    elif data["advise"] is None:
        words.append(
            f"Nearly every prompt has a pass rate of {TARGET:g} or more: take harder ones."
        )
    else:
        words.append(f"Next: {data['advise']}")
        if folder is None:
            words.append("With --out FOLDER the call takes every prompt's own pass rate.")
    if page is not None:
        from figures.diagnosis_page import write_diagnosis

        write_diagnosis(page, diagnosis, command=["apw", "diagnose", *arguments])
        data["written"] = [str(page)]
    if folder is not None:
        data["written"] = _write(folder, diagnosis, data)
    if "written" in data:
        words.append(f"Written: {', '.join(data['written'])}")
    if failed:
        words += ["", f"Failed on {listed(failed)}."]
    elif options.fail_on:
        words += ["", f"Passed: none of {listed(options.fail_on)} was found."]
    return Answer(data, "\n".join(words), 1 if failed else 0)


def _check_names(wanted: Sequence[str]) -> None:
    """Raise unless names are those of findings, or any.

    Raises:
        ValueError: A name of no finding.
    """
    from rollouts.findings import NAMES

    unknown = [name for name in wanted if name not in (*NAMES, "any")]
    if unknown:
        raise ValueError(
            f"--fail-on takes any, {listed(NAMES, 'or')}; got {listed([repr(n) for n in unknown])}"
        )


def _failed(wanted: Sequence[str], diagnosis: Diagnosis) -> list[str]:
    """Findings among those wanted that were raised.

    Raises:
        ValueError: One that this log does not hold the numbers for: a check that cannot be made
            must not pass.
    """
    raised = {finding.name: finding.raised for finding in diagnosis.findings}
    blind = [name for name in wanted if name not in (*raised, "any")]
    if blind:
        raise ValueError(
            f"{listed(blind)} cannot be looked for in this log: it does not hold the numbers that "
            f"takes; it can be asked for {listed(list(raised), 'or') or 'none'}"
        )
    return [name for name, found in raised.items() if found and ("any" in wanted or name in wanted)]


_GENERATOR, _SUMMARY = "apw diagnose", "summary.json"
_NAMES = {
    *(f"{name}.csv" for name in ("steps", "mass", "mass_overall", "credit", "ages")),
    *(f"diagnosis.{ending}" for ending in ("png", "svg", "csv", "txt")),
    *("lens_on_all_wrong.csv", "pass_rates.csv", _SUMMARY),
}
"""Files that a folder may get; a test holds them to what is written."""


def _own_files(out: Path) -> set[str]:
    """Files in a folder that an earlier call wrote; what it did not write is not replaced.

    Raises:
        ValueError: A file that would be replaced and is not among them.
    """
    there = {name for name in _NAMES if (out / name).exists() or (out / name).is_symlink()}
    own: set[str] = set()
    if _SUMMARY in there and (out / _SUMMARY).is_file():
        try:
            summary = read_json(out / _SUMMARY)
        except (OSError, ValueError):
            summary = None
        if isinstance(summary, dict) and summary.get("generator") == _GENERATOR:
            own = there.intersection(map(str, summary.get("files") or ()))
    if there - own:
        raise ValueError(
            f"{listed([str(out / name) for name in sorted(there - own)])} would be replaced and "
            f"{'is' if len(there - own) == 1 else 'are'} not by {_GENERATOR}; name another folder"
        )
    return own


def _write(out: Path, diagnosis: Diagnosis, data: Mapping[str, Any]) -> list[str]:
    from figures.diagnosis import MOST_STEPS, diagnosis_picture

    before = _own_files(out)
    written = diagnosis.write(out)
    if diagnosis.grouped:
        picture = diagnosis_picture(
            diagnosis.steps(MOST_STEPS), diagnosis.mass(), diagnosis.trained
        )
        written += picture.save(out)
    summary = {key: value for key, value in data.items() if key not in ("steps", "mass")}
    written.append(out / _SUMMARY)
    summary |= {"generator": _GENERATOR, "files": sorted(before | {file.name for file in written})}
    write_json(written[-1], json.loads(Answer(summary, "").as_json()))
    return [str(file) for file in written]
