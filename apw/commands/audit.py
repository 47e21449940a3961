"""``apw audit``: where the reward that a run logged and our verifier disagree."""

from __future__ import annotations

import csv
import dataclasses
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import tyro

from apw.command_line import Answer, parse
from runs.files import Replacing
from runs.ownership import refuse_foreign
from runs.terminal import Progress, table
from runs.text import percent

if TYPE_CHECKING:
    from rollouts.reader import Reading

COLUMNS = ("file", "row", "step", "reward", "verifier", "gold", "response")
"""Columns of a row on which they disagree."""

LONGEST = 2000
"""Characters of a response, from its end, that are shown or written."""


@dataclasses.dataclass(frozen=True)
class Options:
    """Judge logged responses again and say where the logged reward and our verifier disagree.

    Needs a log with responses, rewards and reference answers, as verl, open-instruct, apw evaluate
    and most others write. Answers are compared by math-verify under the strict rules of this
    package, in processes with limits.
    """

    paths: tyro.conf.Positional[tuple[Path, ...]]
    """Files and folders of one kind, as for apw diagnose."""

    gold: str | None = None
    """Column of the reference answer; found by its name, such as gts, ground_truth or solution."""

    reward: str | None = None
    """Column of the reward. In JSON lines, info.score is the field score of info."""

    response: str | None = None
    """Column of the response's text."""

    prompt: str | None = None
    """Column of the prompt's id or text."""

    threshold: float | None = None
    """Reward from which on a response counts as correct; needed unless rewards are 0 and 1, or −1
    and 1."""

    require_box: bool = False
    """Take an answer that is in no box for none."""

    timeout: float = 5.0
    """Seconds for one answer."""

    workers: int | None = None
    """Processes that judge; one per core by default."""

    examples: int = 3
    """Disagreements of each kind that are shown."""

    out: Path | None = None
    """CSV file for every row on which they disagree; an earlier one is replaced, and nothing
    else."""

    json: bool = False
    """Print one JSON object."""


@dataclasses.dataclass
class Tally:
    """How often the log and the verifier said what."""

    counts: Counter[tuple[bool, str]] = dataclasses.field(default_factory=Counter)
    examples: dict[tuple[bool, str], list[dict[str, Any]]] = dataclasses.field(default_factory=dict)
    rows: int = 0
    boxed: int = 0
    restated: int = 0
    unboxed: int = 0

    @property
    def judged(self) -> int:
        """Responses whose reference answer could be read."""
        return sum(count for (_, said), count in self.counts.items() if said != "error")

    @property
    def disagreements(self) -> dict[tuple[bool, str], int]:
        """What the log and the verifier said → how often, where they differ."""
        return {
            pair: count
            for pair, count in sorted(self.counts.items(), reverse=True)
            if _differ(*pair)
        }


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw audit``."""
    options = parse(Options, arguments, command="audit")
    if options.examples < 0:
        raise ValueError(f"--examples must be 0 or more; got {options.examples}")
    if options.out is not None:
        refuse_foreign(options.out, "apw audit", begins=",".join(COLUMNS))
    from rollouts.reader import open_rollouts
    from rollouts.texts import gold_column

    given = {
        role: [name]
        for role in ("prompt", "reward", "response")
        if (name := getattr(options, role)) is not None
    }
    tally = Tally()
    with open_rollouts(options.paths, given=given, threshold=options.threshold) as reading:
        gold = options.gold or gold_column(reading.columns, reading.sample, str(options.paths[0]))
        if options.out is None:
            _judge(reading, gold, options, tally, None)
        else:
            with (
                Replacing(options.out) as name,
                open(name, "w", newline="", encoding="utf-8") as stream,
            ):
                _judge(reading, gold, options, tally, stream)
        data = {
            "layout": reading.columns.layout.name,
            "files": len(reading.files),
            "columns": {**reading.columns.described(), "gold": gold},
            "rows": tally.rows,
            "judged": tally.judged,
            "unreadable_references": sum(tally.counts.values()) - tally.judged,
            "agreement": 1 - sum(tally.disagreements.values()) / tally.judged
            if tally.judged
            else None,
            "boxed_and_correct": tally.boxed,
            "restated": tally.restated,
            "unboxed": tally.unboxed,
            "counts": [
                {"logged": _logged(right), "verifier": said, "responses": count}
                for (right, said), count in sorted(tally.counts.items(), reverse=True)
            ],
            "disagreements": [
                {
                    "logged": _logged(right),
                    "verifier": said,
                    "responses": count,
                    "examples": tally.examples.get((right, said), []),
                }
                for (right, said), count in tally.disagreements.items()
            ],
            "notes": reading.columns.notes,
        }
    if options.out is not None:
        data["written"] = str(options.out)
    return Answer(data, _words(data))


def _differ(right: bool, said: str) -> bool:
    """Whether log and verifier disagree; a reference that cannot be read says nothing."""
    return said != "error" and right != (said == "correct")


def _logged(right: bool) -> str:
    return "correct" if right else "wrong"


def _judge(
    reading: Reading, gold: str, options: Options, tally: Tally, stream: TextIO | None
) -> None:
    """Judge every response, count, and write the rows on which log and verifier disagree."""
    from llm_validation.boxed import last_boxed
    from llm_validation.restated import restates
    from llm_validation.verifier import Verifier
    from rollouts.texts import count_rows, read_texts

    writer = None if stream is None else csv.DictWriter(stream, COLUMNS)
    if writer is not None:
        writer.writeheader()
    judge = Verifier(
        workers=options.workers, timeout=options.timeout, require_box=options.require_box
    )
    total = count_rows(reading, gold)
    with judge, Progress("judging", total, unit="responses") as bar:
        for texts in read_texts(reading, gold):
            rights = reading.rewards.count(texts.reward)
            reading.rewards.check()
            outcomes = judge.score(texts.gold, texts.response)
            for place, (right, outcome) in enumerate(zip(rights, outcomes, strict=True)):
                pair = bool(right), str(outcome)
                tally.counts[pair] += 1
                box = last_boxed(texts.response[place]) if pair[1] == "correct" else None
                if box is not None:
                    tally.boxed += 1
                    wanted = texts.gold[place].strip().strip("$")
                    tally.restated += restates(texts.prompt[place], wanted, box)
                if not _differ(*pair):
                    continue
                tally.unboxed += pair[1] == "correct" and box is None
                row = {
                    "file": texts.file[place],
                    "row": texts.row[place],
                    "step": int(texts.step[place]),
                    "reward": float(texts.reward[place]),
                    "verifier": pair[1],
                    "gold": texts.gold[place],
                    "response": texts.response[place][-LONGEST:],
                }
                if len(examples := tally.examples.setdefault(pair, [])) < options.examples:
                    examples.append(row)
                if writer is not None:
                    writer.writerow(row)
            tally.rows += texts.total
            bar.advance(texts.total, disagreements=f"{sum(tally.disagreements.values()):,}")
    if not tally.counts:
        raise ValueError(
            f"{options.paths[0]}: no row has a reward, a response and a reference answer ({gold})"
        )


def _words(data: dict[str, Any]) -> str:
    lines = [
        f"{data['layout']}: {data['rows']:,} rows; reference answers from "
        f"{data['columns']['gold']}, rewards from {data['columns']['reward']}.",
        *data["notes"],
    ]
    if data["agreement"] is not None:
        lines.append(
            f"Log and verifier agree on {percent(data['agreement'])} of {data['judged']:,} "
            "responses."
        )
    if data["unreadable_references"]:
        lines.append(
            f"{data['unreadable_references']:,} responses have a reference answer that cannot be "
            "read as mathematics."
        )
    if data["boxed_and_correct"]:
        share = percent(data["restated"] / data["boxed_and_correct"])
        lines.append(
            f"{data['restated']:,} of {data['boxed_and_correct']:,} boxed answers that the "
            f"verifier calls correct ({share}) only say the problem again or leave it to be "
            "worked out."
        )
    if data["unboxed"]:
        lines.append(
            f"{data['unboxed']:,} of the responses that the log calls wrong and the verifier "
            "correct have no box: what looks like an answer may be taken from anywhere near the "
            "end. --require-box takes such for none."
        )
    cells = [[row["logged"], row["verifier"], f"{row['responses']:,}"] for row in data["counts"]]
    lines += ["", table(["logged", "verifier", "responses"], cells, right="llr")]
    for kind in data["disagreements"]:
        if kind["examples"]:
            lines += ["", f"Logged {kind['logged']}, verifier says {kind['verifier']}:"]
        for row in kind["examples"]:
            said = " ".join(row["response"].split())
            said = said if len(said) <= 120 else f"…{said[-119:]}"
            lines.append(
                f"  {Path(row['file']).name}:{row['row']}  step {row['step']}  reward "
                f"{row['reward']:g}  gold {row['gold'][:60]!r}  response {said!r}"
            )
    if "written" in data:
        lines += ["", f"Written: {data['written']}"]
    return "\n".join(lines)
