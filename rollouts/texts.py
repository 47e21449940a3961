"""Streams what responses said beside the answer they were judged by, as text, row by row."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from rollouts import database
from rollouts.columns import Columns
from rollouts.query import row_values
from rollouts.reader import Reading
from rollouts.sample import Sample
from runs.text import listed

GOLDS = (
    "gts",
    "ground_truth",
    "ground_truths",
    "gold",
    "gold_answer",
    "reference_answer",
    "expected_answer",
    "correct_answer",
    "reference",
    "expected",
    "target",
    "answer",
    "solution",
    "label",
)
"""Names by which the reference answer is recognised, the likeliest first."""

BATCH = 1 << 11
"""Responses that are handed over at a time: they are judged one by one, and a bar should move."""


@dataclasses.dataclass(frozen=True)
class Texts:
    """Some responses of a log, one item each.

    Attributes:
        total: Rows that were read for them, those without answer, text or reward included.
        file: File it stands in.
        row: Its number among the responses of that file, from 1.
        step: Training step; 0 where none is known.
        gold: The reference answer.
        response: What was said; the last message of several.
        prompt: What stands for the prompt, its text or its id; empty where several columns do.
        reward: As logged.
    """

    total: int
    file: list[str]
    row: list[int]
    step: np.ndarray
    gold: list[str]
    response: list[str]
    prompt: list[str]
    reward: np.ndarray


def gold_column(columns: Columns, sample: Sample, name: str) -> str:
    """The column of the reference answers, by its name.

    Raises:
        ValueError: There is none.

    >>> from rollouts.columns import Columns
    >>> rows = ({"gts": "4", "output": "so 4", "score": 1},)
    >>> from rollouts.layouts import TABLE
    >>> columns = Columns(TABLE, {"response": ("output",)}, {}, False, False)
    >>> gold_column(columns, Sample(rows), "the log")
    'gts'
    """
    taken = {column for names in columns.roles.values() for column in names}
    names = list(dict.fromkeys([*sample.fields, *sample.leaves()]))
    for known in GOLDS:
        for found in names:
            if found.lower().rpartition(".")[2] == known and found not in taken:
                return found
    raise ValueError(
        f"{name} has no column that looks like a reference answer; it has: "
        f"{listed(names[:30]) or 'none'}; name one with --gold"
    )


def texts_query(reading: Reading, gold: str, source: str) -> str:
    """Statement for file, step, gold, response and reward of every row."""
    if reading.table.kind != "jsonl" and gold.partition(".")[0] not in reading.table.types:
        raise ValueError(
            f"there is no column {gold!r} (--gold); there are: {listed(reading.table.columns[:30])}"
        )
    if not reading.columns.has("response"):
        raise ValueError("no column holds the responses' texts; name one with --response")
    values, value, source = row_values(reading.table, reading.columns, source, also=[gold])
    fields = {"__file": "__file", "step": "0.0"}
    if reading.columns.step_from_name:
        fields["step"] = "CAST(regexp_extract(__file, '([0-9]+)-[0-9]+[.][a-z.]+$', 1) AS DOUBLE)"
    elif (step := value("step")) is not None:
        fields["step"] = step.number
    asked = value("prompt") if len(reading.columns.roles.get("prompt", ())) == 1 else None
    fields["prompt"] = "''" if asked is None else f"coalesce({asked.written}, '')"
    for name, found in (("gold", values[gold]), ("response", value("response"))):
        assert found is not None
        fields[name] = found.written
    reward = value("reward")
    assert reward is not None
    fields["reward"] = reward.number
    turns = "rollout" in reading.columns.formulas
    if turns:
        fields |= {name: reading.columns.formulas[name] for name in ("rollout", "turn")}
    inner = ", ".join(f"{sql} AS {name}" for name, sql in fields.items())
    rows = f"SELECT {inner} FROM {source}"
    if not turns:
        return rows
    # Of a rollout's turns the last has the answer and the reward.
    kept = ("prompt", "gold", "response", "reward")
    last = ", ".join(f"arg_max({name}, turn) AS {name}" for name in kept)
    return f"SELECT __file, step, {last} FROM ({rows}) GROUP BY __file, step, rollout"


def last_message(text: str) -> str:
    """What was said, of a text, a list of texts or a list of messages.

    >>> last_message('[{"role": "assistant", "content": "so 4"}]'), last_message("[1, 2)")
    ('so 4', '[1, 2)')
    >>> last_message('[["so 4"]]'), last_message('"4"')
    ('so 4', '4')
    """
    if text[:1] not in ("[", "{", '"'):
        return text
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        return text
    while isinstance(found, list) and found:
        if all(isinstance(item, int | float) for item in found):
            return text
        found = found[-1]
    if isinstance(found, dict):
        found = found.get("content")
    return found if isinstance(found, str) else text


def count_rows(reading: Reading, gold: str) -> int:
    """Rows that :func:`read_texts` goes through."""
    with reading.connected() as (connection, links):
        query = texts_query(reading, gold, links.source(reading.table))
        return int(connection.sql(f"SELECT count(*) FROM ({query})").fetchall()[0][0])


def read_texts(reading: Reading, gold: str) -> Iterator[Texts]:
    """Every response that has a reference answer and a reward, in the order of the files.

    Args:
        reading: An opened log.
        gold: Column of the reference answers.

    Raises:
        ValueError: There is no column of responses, or a file cannot be read.
    """
    with reading.connected(threads=1) as (connection, links):
        files = {str(link): str(file.path) for link, file in links.pairs}
        query = texts_query(reading, gold, links.source(reading.table))
        seen: Counter[str] = Counter()
        for batch in database.batches(connection, query, BATCH):
            yield _texts(batch, files, seen)


def _texts(batch: Mapping[str, np.ndarray], files: Mapping[str, str], seen: Counter[str]) -> Texts:
    rows = []
    for link in batch["__file"].tolist():
        seen[link] += 1
        rows.append(seen[link])
    known = [
        place
        for place, (gold, response, reward) in enumerate(
            zip(batch["gold"], batch["response"], batch["reward"], strict=True)
        )
        if isinstance(gold, str) and gold and isinstance(response, str) and np.isfinite(reward)
    ]
    return Texts(
        total=len(rows),
        file=[files[str(batch["__file"][place])] for place in known],
        row=[rows[place] for place in known],
        step=np.nan_to_num(batch["step"][known]).astype(np.int64),
        gold=[last_message(batch["gold"][place]) for place in known],
        response=[last_message(batch["response"][place]) for place in known],
        prompt=[last_message(batch["prompt"][place]) for place in known],
        reward=batch["reward"][known].astype(np.float64),
    )
