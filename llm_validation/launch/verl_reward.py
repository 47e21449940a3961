"""The reward function verl calls: the verifier of a recipe's task.

Named in verl by ``reward.custom_reward_function.path=pkg://llm_validation.launch.verl_reward``.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

from llm_validation.config import load_recipe
from llm_validation.tasks import Task, load_task

_LOCK = threading.Lock()


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: str,
    extra_info: Any = None,
    *,
    recipe: str,
    **_: Any,
) -> dict[str, Any]:
    """Score one response.

    Args:
        data_source: Name of the task; not used, since a run has one.
        solution_str: The response.
        ground_truth: The prompt's ``gold``.
        extra_info: The row's own; its ``problem`` is what was asked.
        recipe: Path of the run's recipe.

    Returns:
        ``score`` (1 or 0; verl has no way to leave out a response that cannot be scored) and the
        share of each outcome.
    """
    # verl calls from several threads, and a task's worker processes belong to one at a time.
    with _LOCK:
        problem = str((extra_info or {}).get("problem", ""))
        (outcome,) = _task(recipe).score([ground_truth], [solution_str], [problem])
    return {"score": float(outcome.reward or 0.0), "unscorable": float(outcome.reward is None)}


@functools.cache
def _task(recipe: str) -> Task:
    config = load_recipe(recipe)
    return load_task(
        config.task,
        train_path=config.train_path,
        test_path=config.test_path,
        limit=config.task_limit,
        seed=config.task_seed,
        **config.task_options,
    )
