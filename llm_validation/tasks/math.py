r"""MATH: competition problems with answers in LaTeX, by level and subject (arXiv 2103.03874).

Rows need ``problem`` and ``answer``, or a ``solution`` that ends in a box. The options ``levels``
and ``subjects`` need ``level`` (a number or "Level 5"), and ``subject`` or ``type``. Data sets on
the hub with these columns: ``hub:DigitalLearningGmbH/MATH-lighteval`` (train, test) and
``hub:HuggingFaceH4/MATH-500@test``.

Left out of training, and counted in the task's report:

- ``leaked``: problems that stand in the test split too, up to white space. There are two in the
  published data; they are known by their digest even where the test split is not loaded.
- ``empty answer``: rows whose box is empty, two in the published data.
"""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from llm_validation.boxed import last_boxed
from llm_validation.tasks._prompts import BOXED, make_prompt
from llm_validation.tasks._select import select, select_evenly
from llm_validation.tasks.rows import BadRowError, Reader, Row
from llm_validation.tasks.task import Example, Report, Task
from llm_validation.verifier import Verifier

SUBJECTS = (
    "Algebra",
    "Counting & Probability",
    "Geometry",
    "Intermediate Algebra",
    "Number Theory",
    "Prealgebra",
    "Precalculus",
)
LICENCE = (
    "MIT for the data set (Dan Hendrycks, 2021); the problems were written for competitions, and "
    "their authors' terms are not stated"
)
_LEAKED = frozenset({"4328802e750374c6", "779ae121626bedc5"})
"""Digests of the training problems that equal a test problem up to white space."""


def load(
    *,
    train_path: str | Path | None,
    test_path: str | Path | None,
    limit: int | None,
    seed: int,
    levels: Sequence[int] | None = None,
    subjects: Sequence[str] | None = None,
    style: str = "chat",
    instruction: str = BOXED,
    keep_leaked: bool = False,
    strict: bool = True,
    download: bool = False,
    workers: int | None = None,
    timeout: float = 5.0,
    require_box: bool = False,
    refuse_restated: bool = True,
    balanced: bool = False,
) -> Task:
    """Read the problems and start nothing: the verifier's workers come with the first answer.

    Args:
        train_path: Training rows; None for no training split.
        test_path: Held-out rows, of MATH or MATH-500; None for no test split.
        limit: At most so many examples of each split, after filtering.
        seed: Seed of the draw of ``limit``.
        levels: Keep these levels, 1 to 5; None for all, rows without a level included.
        subjects: Keep these subjects; None for all.
        style: ``"chat"`` or ``"plain"``.
        instruction: What follows the problem.
        keep_leaked: Train on problems of the test split too.
        strict: Raise for bad rows; else report them and go on.
        download: Whether data sets on the hub may be fetched.
        workers: Worker processes of the verifier; None for one per processor.
        timeout: Seconds for one answer.
        require_box: Whether an answer outside a box is unparsable.
        refuse_restated: Whether an answer that only says the problem again, or leaves it to be
            worked out, is wrong.
        balanced: Whether levels take turns, in an order drawn by ``seed``, and problems without a
            level are left out; of a balanced draw the first problems are a smaller one.

    Raises:
        ValueError: No path, bad rows, an unknown level, subject or style, or nothing left.
        FileNotFoundError: A file that is not there.
    """
    if train_path is None and test_path is None:
        raise ValueError(
            "math reads its problems from files: give train_path, test_path or both, each a .jsonl "
            "or .parquet file or a data set on the hub such as hub:HuggingFaceH4/MATH-500@test"
        )
    _check_known("levels", levels, (1, 2, 3, 4, 5))
    _check_known("subjects", subjects, SUBJECTS)
    reader = Reader(strict=strict, download=download)

    def make(row: Row) -> tuple[Example, str]:
        problem = row.text("problem", "question")
        answer = row.values.get("answer")
        if not isinstance(answer, str):
            answer = last_boxed(row.text("solution"))
            if answer is None:
                raise BadRowError(f"{row.where}: the solution ends in no \\boxed{{}}")
        example = Example(
            prompt=make_prompt(problem, instruction, style),
            gold=answer,
            id=str(row.values.get("unique_id") or f"row/{row.place}"),
            metadata={"level": _level(row, levels), "subject": _subject(row, subjects)},
        )
        return example, digest(problem)

    read: dict[str, int] = {}
    splits: dict[str, list[tuple[Example, str]]] = {}
    for split, path in (("train", train_path), ("test", test_path)):
        before = reader.read
        splits[split] = [] if path is None else reader.examples(path, split, make)
        read[split] = reader.read - before

    dropped: dict[str, list[str]] = {}
    held_out = _LEAKED | {found for _, found in splits["test"]}

    def keep(example: Example, found: str, split: str) -> bool:
        reason = None
        if levels is not None and example.metadata["level"] not in levels:
            reason = f"{split}: other level"
        elif subjects is not None and example.metadata["subject"] not in subjects:
            reason = f"{split}: other subject"
        elif not example.gold.strip():
            reason = f"{split}: empty answer"
        elif split == "train" and not keep_leaked and found in held_out:
            reason = f"{split}: leaked"
        if reason is not None:
            dropped.setdefault(reason, []).append(example.id)
        return reason is None

    kept = {
        split: [example for example, found in examples if keep(example, found, split)]
        for split, examples in splits.items()
    }
    for split, examples in kept.items():
        if splits[split] and not examples:
            raise ValueError(f"no {split} problem of MATH has such a level and subject")
    draw = functools.partial(select_evenly, key="level") if balanced else select
    train, test = draw(kept["train"], limit, seed), draw(kept["test"], limit, seed)
    return Task(
        name="math",
        train=train,
        test=test,
        licence=LICENCE,
        size=f"{len(train):,} training and {len(test):,} test problems (MATH has 7,500 and 5,000)",
        scorer=Verifier(
            workers=workers,
            timeout=timeout,
            require_box=require_box,
            refuse_restated=refuse_restated,
        ),
        report=Report(
            read=read,
            dropped_ids={reason: tuple(ids) for reason, ids in dropped.items()},
            bad_rows=tuple(reader.bad_rows),
        ),
    )


def digest(problem: str) -> str:
    r"""Digest of a problem without its white space, by which leaks are found.

    >>> digest("Find $x$.") == digest(" Find  $x$.\n")
    True
    """
    return hashlib.sha256("".join(problem.split()).encode("utf-8", "replace")).hexdigest()[:16]


def _subject(row: Row, wanted: Sequence[str] | None) -> str | None:
    """The subject; None if the row has none and nobody asks for it."""
    known = any(row.values.get(name) is not None for name in ("subject", "type"))
    return row.text("subject", "type") if known or wanted is not None else None


def _level(row: Row, wanted: Sequence[int] | None) -> int | None:
    """The level, from 5, "5" or "Level 5"; None if the row does not know it."""
    if wanted is not None and "level" not in row.values:
        raise BadRowError(f"{row.where}: the option levels needs the column 'level'")
    level = row.values.get("level")
    if level is None:
        return None
    match = re.fullmatch(r"(?:Level )?([1-5?])", str(level))
    if match is None or isinstance(level, bool):
        raise BadRowError(f"{row.where}: 'level' must be 1 to 5 or 'Level 1' to 5; it is {level!r}")
    return None if match[1] == "?" else int(match[1])


def _check_known(name: str, given: Iterable[object] | None, known: Sequence[object]) -> None:
    if given is None:
        return
    items = [given] if isinstance(given, str) else list(given)
    unknown = [item for item in items if item not in known]
    if unknown or not items:
        raise ValueError(
            f"{name} of MATH are {', '.join(map(str, known))}; got "
            f"{repr(unknown[0]) if unknown else 'none'}"
        )
