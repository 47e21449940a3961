"""Tasks by name: what a language model is asked, and how its answers are scored."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_type_hints

from llm_validation.outcomes import Outcome
from llm_validation.tasks.task import Example, Prompt, Report, Scorer, Task
from runs.configuration import check

__all__ = [
    "TASKS",
    "Example",
    "Outcome",
    "Prompt",
    "Report",
    "Scorer",
    "Task",
    "check_options",
    "load_task",
]

TASKS = {
    "math": "competition mathematics in LaTeX, levels 1-5 (MATH; MATH-500 as a test file)",
    "gsm8k": "grade-school word problems with a number as the answer",
    "countdown": "reach a target from given numbers with + - * /",
    "small_countdown": "Countdown for a tiny character model, with all right expressions known",
    "arithmetic": "two-digit strings for a tiny character model: a rule to find or sums to learn",
    "reasoning_gym": "any reasoning-gym dataset, as reasoning_gym:NAME",
}
"""Known tasks and what they ask; each is the module ``llm_validation.tasks.<name>``."""


def load_task(
    name: str,
    *,
    train_path: str | Path | None = None,
    test_path: str | Path | None = None,
    limit: int | None = None,
    seed: int = 0,
    **options: Any,
) -> Task:
    """Load a task.

    Args:
        name: A name in ``TASKS``; ``"reasoning_gym:chain_sum"`` picks a reasoning-gym dataset.
        train_path: Training rows, a local ``.jsonl`` or ``.parquet`` file, or a dataset on the
            hub as ``hub:owner/name[:config][@split]``. Generated tasks take no paths.
        test_path: Held-out rows, likewise.
        limit: Keep at most so many examples of each split, drawn with ``seed``.
        seed: Seed of everything random: generated prompts and the draw of ``limit``.
        **options: The task's own options (see its module's ``load``).

    Returns:
        The task; close it, or use it as a context manager, when it is no longer needed.

    Raises:
        ValueError: An unknown task or option (the message lists the known ones), or bad rows.
        FileNotFoundError: A file that is not there.

    >>> task = load_task("arithmetic", seed=1, limit=2)
    >>> len(task.train), [str(o) for o in task.score([task.train[0].gold], ["no idea"])]
    (2, ['wrong'])
    """
    if limit is not None and (isinstance(limit, bool) or int(limit) != limit or limit < 1):
        raise ValueError(f"limit must be a whole number of at least 1; got {limit!r}")
    load = check_options(name, options)
    parameters = inspect.signature(load).parameters
    name, _, variant = name.partition(":")
    if variant:
        options["dataset"] = variant
    paths = {"train_path": train_path, "test_path": test_path}
    if "train_path" not in parameters:
        given = [path for path, value in paths.items() if value is not None]
        if given:
            raise ValueError(f"{name} generates its prompts and takes no {given[0]}")
        paths = {}
    task: Task = load(**paths, limit=limit, seed=seed, **options)
    return task


def check_options(name: str, options: Mapping[str, Any]) -> Callable[..., Task]:
    """The function that loads a task, once its name and its options are known to be right.

    Options have the names and types of the function's parameters.

    Raises:
        ValueError: An unknown task, variant or option, of which the message lists the known ones,
            or a value of another type.

    >>> check_options("math", {"levels": 1})
    Traceback (most recent call last):
    ...
    ValueError: the task option levels must be a list, each item a whole number or none; got 1
    """
    name, _, variant = name.partition(":")
    if name not in TASKS:
        raise ValueError(f"unknown task {name!r}; known tasks: {', '.join(TASKS)}")
    load: Callable[..., Task] = importlib.import_module(f"llm_validation.tasks.{name}").load
    parameters = inspect.signature(load).parameters
    if variant and "dataset" not in parameters:
        raise ValueError(f"{name} has no variants; got {name}:{variant}")
    known = [p for p in parameters if p not in ("train_path", "test_path", "limit", "seed")]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(
            f"task {name} has no option {unknown[0]!r}; its options are: {', '.join(known)}"
        )
    types = get_type_hints(load)
    for option, value in options.items():
        check(f"the task option {option}", types[option], value)
    return load
