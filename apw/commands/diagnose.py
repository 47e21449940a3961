"""``apw diagnose``: what a training run's rollouts say about prompt weighting."""

from __future__ import annotations

import dataclasses
import math
import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import tyro

from apw.command_line import Answer, parse, table
from runs.files import write_json, write_text
from runs.text import listed
from theory.schemes import resolve

if TYPE_CHECKING:
    import pandas as pd

    from rollouts.reader import Reading
    from rollouts.tally import Rollouts

TARGET = 0.9
"""The target that ``apw advise`` takes if it is not told another."""

SHOWN_ROWS = 10
"""Rows of the printed table of steps."""


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
    _check(options)
    from rollouts.reader import open_rollouts
    from rollouts.sentences import available, sentences
    from rollouts.tables import lens_on_all_wrong, mass_table, step_table
    from rollouts.tally import Tally

    lens = [name for name in (options.scheme, *options.against) if resolve(name).needs_confidence]
    tally = Tally(resolve(lens[0]) if lens else None)
    given = {
        "prompt": options.prompt,
        **{
            role: (column,)
            for role in ("reward", "step", "response", "log_prob", "sampler_log_prob", "length")
            if (column := getattr(options, role)) is not None
        },
    }
    with open_rollouts(
        options.paths, given=given, threshold=options.threshold,
        mean_log_prob={"auto": None, "sum": False, "mean": True}[options.log_probs],
        memory=f"{int(options.memory * 1024)}MiB", threads=options.threads,
    ) as reading:  # fmt: skip
        for groups in reading.groups(every=options.every, progress=True):
            tally.add(groups)
    _refuse_empty(reading, options)
    reading.rewards.check()
    rollouts = tally.result()
    others = available(rollouts, [name for name in options.against if name != options.scheme])
    schemes = [options.scheme, *others]
    steps = step_table(rollouts, options.scheme)
    mass = mass_table(rollouts, schemes, rows=1)
    all_wrong = lens_on_all_wrong(rollouts)
    data: dict[str, Any] = {
        "files": [str(file.path) for file in reading.files],
        "format": reading.columns.layout.name,
        "columns": reading.columns.described(),
        "scheme": options.scheme,
        "rows": reading.rows,
        "broken": {
            code.name.lower(): count for code, count in sorted(reading.broken.items())
        },
        "broken_places": [
            {"file": str(place.file), "unit": place.unit, "number": place.row,
             "what": place.status.name.lower(), "value": place.value}
            for place in reading.places
        ],
        "rewards": _rewards(reading),
        "no_log_probability": reading.unusable,
        **_sizes(rollouts),
        "overall": _records(step_table(rollouts, options.scheme, rows=1))[0],
        "steps": _records(steps),
        "mass": _records(mass.drop(columns="step")),
        "lens_on_all_wrong": _records(all_wrong)[:1] if all_wrong is not None else None,
        "in_words": sentences(rollouts, options.scheme, others),
    }  # fmt: skip
    data["advise"] = _advise_call(rollouts, options, data["usual_group"])
    if options.out is not None:
        data["written"] = _write(options.out, rollouts, schemes, steps, mass, data)
    shown = step_table(rollouts, options.scheme, rows=SHOWN_ROWS)
    return Answer(data, _describe(options, reading, data, shown, mass))


def _check(options: Options) -> None:
    if not options.paths:
        raise ValueError("name at least one file or folder of rollouts")
    for name in (options.scheme, *options.against):
        resolve(name)
    if resolve(options.scheme).needs_baseline:
        raise ValueError(
            f"{options.scheme} needs a critic's values, which rollouts do not hold; name a scheme "
            "whose baseline is the group"
        )
    if options.every < 1:
        raise ValueError(f"every must be at least 1; got {options.every}")
    if not 0.1 <= options.memory < np.inf:
        raise ValueError(f"memory must be at least 0.1 GiB; got {options.memory:g}")
    if options.threshold is not None and not np.isfinite(options.threshold):
        raise ValueError(f"threshold must be a finite reward; got {options.threshold:g}")
    if options.threads is not None and options.threads < 1:
        raise ValueError(f"threads must be at least 1; got {options.threads}")


def _refuse_empty(reading: Reading, options: Options) -> None:
    broken = sum(reading.broken.values())
    if broken < reading.rows:
        return
    name = options.paths[0] if len(options.paths) == 1 else "the files"
    if not reading.rows:
        raise ValueError(f"{name} holds no rows")
    columns = reading.columns.described()
    raise ValueError(
        f"none of the {reading.rows:,} rows of {name} can be used: {_broken_words(reading)}; "
        f"the columns taken were {listed([f'{c} for the {r}' for r, c in columns.items()])}"
    )


def _rewards(reading: Reading) -> dict[str, Any]:
    rewards = reading.rewards
    return {
        "threshold": rewards.threshold,
        "signed": rewards.signed,
        "neither_0_nor_1": rewards.others + rewards.minus_ones,
        "lowest": rewards.lowest,
        "highest": rewards.highest,
    }


def _sizes(rollouts: Rollouts) -> dict[str, int]:
    counted = rollouts.outcomes.groupby("size")["groups"].sum()
    sizes, groups = counted.index.to_numpy(), counted.to_numpy()
    usual = int(sizes[groups.argmax()])
    return {
        "groups": int(groups.sum()),
        "responses": int((sizes * groups).sum()),
        "usual_group": usual,
        "smaller_groups": int(groups[sizes < usual].sum()),
        "larger_groups": int(groups[sizes > usual].sum()),
    }


def _records(frame: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {str(key): value.item() if isinstance(value, np.generic) else value
         for key, value in row.items()}
        for row in frame.to_dict("records")
    ]  # fmt: skip


def _advise_call(rollouts: Rollouts, options: Options, size: int) -> str | None:
    """The ``apw advise`` call for the latest pass rates; None if they have all but arrived."""
    recent = rollouts.recent
    tries = int(recent["responses"].median())
    # As apw advise takes them with --tries: the posterior mean under Jeffreys' prior.
    smoothed = (recent["pass_rate"].to_numpy() * tries + 0.5) / (tries + 1)
    below = smoothed[smoothed < TARGET]
    if not below.size:
        return None
    rates = (
        ["--start", f"{np.median(below):.3g}"]
        if options.out is None
        else ["--rates", str(options.out / "pass_rates.csv"), "--tries", str(tries)]
    )
    sampling = ["--sampling", "until_mixed"] if resolve(options.scheme).name == "dapo" else []
    return shlex.join(["apw", "advise", *rates, "--group-size", str(max(size, 2)), *sampling])


def _write(
    out: Path,
    rollouts: Rollouts,
    schemes: Sequence[str],
    steps: pd.DataFrame,
    mass: pd.DataFrame,
    data: dict[str, Any],
) -> list[str]:
    from figures.diagnosis_picture import MOST_STEPS, diagnosis_picture
    from rollouts.tables import MOST_ROWS, lens_on_all_wrong, mass_table, step_table

    if out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; name a folder with --out")
    tables = {
        "steps": steps,
        "mass": mass_table(rollouts, schemes),
        "mass_overall": mass.drop(columns="step"),
        "pass_rates": rollouts.recent,
    }
    lens = lens_on_all_wrong(rollouts, rows=MOST_ROWS)
    if lens is not None:
        tables["lens_on_all_wrong"] = lens
    written = []
    for name, frame in tables.items():
        written.append(out / f"{name}.csv")
        write_text(written[-1], frame.to_csv(index=False, float_format="%.10g"))
    drawn = step_table(rollouts, schemes[0], rows=MOST_STEPS)
    written += diagnosis_picture(drawn, mass, schemes[0]).save(out)
    written.append(out / "summary.json")
    summary = {key: value for key, value in data.items() if key not in ("steps", "mass")}
    write_json(written[-1], json_plain(summary))
    return [str(file) for file in written]


def json_plain(value: Any) -> Any:
    """Values as JSON can write them: what is not finite becomes null.

    >>> json_plain({"k3": float("inf"), "n": [1]})
    {'k3': None, 'n': [1]}
    """
    import json

    return json.loads(Answer({"value": value}, "").as_json())["value"]


def _describe(
    options: Options,
    reading: Reading,
    data: dict[str, Any],
    steps: pd.DataFrame,
    mass: pd.DataFrame,
) -> str:
    files = f"{len(data['files'])} files" if len(data["files"]) > 1 else data["files"][0]
    columns = ", ".join(f"{role} ← {what}" for role, what in data["columns"].items())
    parts = [
        f"{files}: {data['format']}; {columns}.",
        _size_words(data),
        *_notes(reading, data),
        "",
        _step_words(steps),
        "",
        _mass_words(mass),
        "",
        *data["in_words"],
        "",
    ]
    if data["advise"] is None:
        parts.append(
            f"Nearly every prompt has a pass rate of {TARGET:g} or more: take harder ones."
        )
    else:
        parts.append(f"Next: {data['advise']}")
        if options.out is None:
            parts.append("With --out FOLDER the call takes every prompt's own pass rate.")
    if "written" in data:
        parts.append(f"Written: {', '.join(data['written'])}")
    return "\n".join(parts)


def _size_words(data: dict[str, Any]) -> str:
    usual = data["usual_group"]
    words = f"{data['responses']:,} responses in {data['groups']:,} groups of {usual}"
    strange = []
    if data["smaller_groups"]:
        strange.append(f"{data['smaller_groups']:,} smaller")
    if data["larger_groups"]:
        strange.append(
            f"{data['larger_groups']:,} larger (a prompt drawn twice at a step is one group)"
        )
    if strange:
        words += f", of which {listed(strange)}"
    if usual == 1:
        words += ": if groups should be larger, name the prompt's column with --prompt"
    return words + "."


def _notes(reading: Reading, data: dict[str, Any]) -> list[str]:
    """Whatever was done to the data, in sentences."""
    notes, rewards = [], data["rewards"]
    if not reading.columns.has("step") and not reading.columns.step_from_name:
        notes.append("There is no column of steps (--step): everything counts as one step.")
    if rewards["signed"]:
        notes.append("Rewards are −1 and 1 and were taken for 0 and 1.")
    elif rewards["threshold"] is not None:
        notes.append(
            f"Rewards of {rewards['threshold']:g} and more count as correct; "
            f"{rewards['neither_0_nor_1']:,} of {data['responses']:,} were neither 0 nor 1."
        )
    if reading.unusable:
        notes.append(
            f"Responses without a usable log-probability: {reading.unusable:,}; LENS, confidence "
            "and entropy leave them out."
        )
    if reading.broken:
        notes.append(
            f"{sum(reading.broken.values()):,} of {reading.rows:,} rows were left out: "
            f"{_broken_words(reading)}."
        )
        notes += [
            f"  {place.file}, {place.unit} {place.row}: {place.status.words}"
            + (f": {place.value!r}" if place.value is not None else "")
            for place in reading.places
        ]
    return notes


def _broken_words(reading: Reading) -> str:
    return listed([f"{count:,} {code.words}" for code, count in sorted(reading.broken.items())])


def _step_words(steps: pd.DataFrame) -> str:
    from rollouts.sentences import percent

    shares = {
        "pass_rate": "pass rate", "all_wrong": "all wrong", "mixed": "mixed",
        "all_right": "all right", "untaught": "untaught", "repeated": "repeated",
    }  # fmt: skip
    means = {"length": "length", "confidence": "confidence", "entropy": "entropy", "k3": "k3"}
    header = ["steps", "groups"]
    ends = zip(steps["step"], steps["last_step"], steps["groups"], strict=True)
    rows = [
        [f"{first}" if first == last else f"{first}–{last}", f"{groups:,}"]
        for first, last, groups in ends
    ]
    for name, words in (shares | means).items():
        if name in steps:
            header.append(words)
            form = percent if name in shares else (lambda value: f"{value:.3g}")
            for row, value in zip(rows, steps[name], strict=True):
                row.append("–" if np.isnan(value) else form(value))
    header.append("pass rates 0…1")
    for row, counts in zip(rows, steps.filter(regex="^groups ").to_numpy(), strict=True):
        row.append(histogram(counts))
    return table(header, rows, right="r" * len(header))


def histogram(counts: Iterable[float]) -> str:
    """Bars of a character each, the highest for the largest count and a dot for none.

    >>> histogram([8, 0, 1, 4])
    '█·▁▄'
    """
    numbers = list(counts)
    most = max(numbers, default=0)
    return "".join("▁▂▃▄▅▆▇█"[math.ceil(8 * n / most) - 1] if n else "·" for n in numbers)


def _mass_words(mass: pd.DataFrame) -> str:
    from rollouts.outcomes import DIFFICULTIES
    from rollouts.sentences import percent

    first = mass[mass["scheme"] == mass["scheme"].iloc[0]].set_index("difficulty")
    total = first["groups"].sum()
    rows = [["all groups", *(percent(first["groups"][d] / total) for d in DIFFICULTIES), ""]]
    for name, part in mass.groupby("scheme", sort=False):
        share = part.set_index("difficulty")["share"]
        untaught = percent(part["untaught"].sum() / part["responses"].sum())
        cells = ["–" if np.isnan(share[d]) else percent(share[d]) for d in DIFFICULTIES]
        rows.append([resolve(str(name)).label, *cells, untaught])
    heading = "Share of the gradient mass Σ|A| by pass rate of the group, and responses with A = 0:"
    columns = ["scheme", *DIFFICULTIES, "untaught"]
    return f"{heading}\n{table(columns, rows, right='l' + 'r' * (len(columns) - 1))}"
