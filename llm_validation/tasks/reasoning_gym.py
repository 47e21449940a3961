"""Any reasoning-gym dataset by name: ``reasoning_gym:chain_sum`` (arXiv 2505.24760).

Entries are made from a seed; a response is scored by the dataset's own function, in a process that
can do nothing else, since some of these functions evaluate the response as Python.
Those see only answers that are plain expressions (see ``answer_grammar``).
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping
from typing import Any

from llm_validation import sandbox
from llm_validation.answer_grammar import evaluates_text
from llm_validation.tasks._prompts import make_prompt
from llm_validation.tasks._select import select
from llm_validation.tasks.tagged import TaggedAnswer, WholeAnswer
from llm_validation.tasks.task import Example, Report, Task
from llm_validation.verifier import Verifier

INSTRUCTION = (
    "Work it out, then give the final answer, and nothing else, inside <answer> </answer> tags."
)
BARE_INSTRUCTION = "Give the final answer and nothing else."

_BROKEN = {
    # It compares truth values, and in Python the text "False" is true.
    "game_of_life_halting": "its scorer takes every answer that is not empty for correct",
    # It compares digits up to the end of the shorter number.
    "coin_flip": "its scorer takes 0 for correct whatever the probability is, unless it is 1",
}
"""Datasets that cannot be trained on, and why."""

_UNEVALUATED = re.compile(r"\b(Integral|Derivative|Limit|Sum|Product)\(")
"""Marks of a reference that only says the problem again, as SymPy leaves what it cannot do."""


def load(
    *,
    limit: int | None,
    seed: int,
    dataset: str = "chain_sum",
    train_size: int = 2000,
    test_size: int = 200,
    config: Mapping[str, Any] | None = None,
    threshold: float = 1.0,
    style: str = "chat",
    tags: bool = True,
    instruction: str | None = None,
    workers: int | None = None,
    timeout: float = 5.0,
) -> Task:
    """Make the entries.

    Args:
        limit: At most so many examples of each split.
        seed: Seed of the entries; the test split is the entries that follow the training ones.
        dataset: Name of a reasoning-gym dataset.
        train_size: Training entries to make.
        test_size: Held-out entries to make; a question of the training split is left out.
        config: Options of the dataset, such as ``{"min_terms": 2}``.
        threshold: Least score, in (0, 1], that counts as correct.
        style: ``"chat"`` or ``"plain"``.
        tags: Whether the answer is looked for in ``<answer>`` tags; else it is the whole response,
            which suits a small model that answers in a word.
        instruction: What follows the question; None for a sentence that asks for such an answer.
        workers: Worker processes; None for one per processor.
        timeout: Seconds for one answer.

    Raises:
        ImportError: reasoning-gym is not installed.
        ValueError: An unknown dataset (the message lists the nearest), a bad option or size.
    """
    if train_size < 1 or test_size < 0:
        raise ValueError(
            f"train_size must be at least 1 and test_size at least 0; got {train_size}, {test_size}"
        )
    if not 0 < threshold <= 1:
        raise ValueError(f"threshold must lie in (0, 1]; got {threshold}")
    if instruction is None:
        instruction = INSTRUCTION if tags else BARE_INSTRUCTION
    made = {"size": train_size + test_size, "seed": seed, **(config or {})}
    entries = _entries(dataset, made)
    examples = [
        Example(
            prompt=make_prompt(entry["question"], instruction, style),
            gold=json.dumps(_tagged({key: entry[key] for key in ("answer", "metadata")})),
            id=f"{dataset}/{seed}/{i}",
            metadata={"dataset": dataset},
        )
        for i, entry in enumerate(entries)
    ]
    asked = {entry["question"] for entry in entries[:train_size]}
    every = list(zip(examples, entries, strict=True))
    unevaluated = {e.id for e, entry in every if _UNEVALUATED.search(str(entry["answer"]))}
    held_out = [(example, entry["question"] in asked) for example, entry in every[train_size:]]
    repeats = {example.id for example, repeated in held_out if repeated}
    left = [example for example in examples if example.id not in repeats | unevaluated]
    trained = {example.id for example in examples[:train_size]}
    train = select([example for example in left if example.id in trained], limit, seed)
    test = select([example for example in left if example.id not in trained], limit, seed)
    verifier = Verifier(
        workers=workers,
        timeout=timeout,
        max_answer=20_000,
        judge="reasoning_gym",
        judge_options={"dataset": dataset, "config": made, "threshold": threshold},
    )
    dropped = {
        "test: leaked": tuple(e.id for e in examples if e.id in repeats - unevaluated),
        "reference not evaluated": tuple(e.id for e in examples if e.id in unevaluated),
    }
    return Task(
        name=f"reasoning_gym:{dataset}",
        train=train,
        test=test,
        licence="Apache-2.0 (reasoning-gym); generated",
        size=f"{len(train):,} training and {len(test):,} test entries of {dataset}",
        scorer=TaggedAnswer(verifier) if tags else WholeAnswer(verifier),
        report=Report(
            read={"train": train_size, "test": test_size},
            dropped_ids={why: ids for why, ids in dropped.items() if ids},
        ),
    )


def _tagged(value: Any) -> Any:
    """An entry's data in JSON types: tuples, and keys that are no strings, get a tag.

    Making the entry again in the worker would not do: some datasets depend on the hash seed.
    """
    if isinstance(value, tuple):
        return {"tuple!": [_tagged(item) for item in value]}
    if isinstance(value, list):
        return [_tagged(item) for item in value]
    if not isinstance(value, dict):
        return value
    if all(isinstance(key, str) for key in value):
        return {key: _tagged(item) for key, item in value.items()}
    return {"items!": [[_tagged(key), _tagged(item)] for key, item in value.items()]}


def _entries(dataset: str, config: Mapping[str, Any]) -> list[dict[str, Any]]:
    try:
        import reasoning_gym
        from reasoning_gym.factory import DATASETS
    except ImportError as error:
        raise ImportError("this task needs reasoning-gym: pip install '.[llm]'") from error
    if dataset not in DATASETS:
        near = difflib.get_close_matches(dataset, DATASETS, n=5, cutoff=0.4) or sorted(DATASETS)[:5]
        raise ValueError(
            f"unknown reasoning-gym dataset {dataset!r}; of the {len(DATASETS)} known ones the "
            f"nearest are: {', '.join(near)}"
        )
    if dataset in _BROKEN:
        raise ValueError(f"reasoning-gym's {dataset} cannot be used: {_BROKEN[dataset]}")
    try:
        made = reasoning_gym.create_dataset(dataset, **config)
    except (TypeError, AssertionError) as error:
        raise ValueError(f"reasoning-gym refuses the options of {dataset}: {error}") from error
    if not sandbox.available() and evaluates_text(made.score_answer):
        raise ValueError(
            f"the scorer of {dataset} evaluates answers: it is used on Linux with seccomp alone"
        )
    return [made[place] for place in range(config["size"])]
