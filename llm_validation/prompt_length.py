"""Prompts that are too long to train on: left out, and counted in the task's report.

One long prompt decides the memory of a whole batch, which is padded to it: among the easiest
problems of MATH, of 40 tokens or so, some hold a drawing of 900.
"""

from __future__ import annotations

import dataclasses

from transformers import PreTrainedTokenizerBase

from llm_validation.generation import prompt_tokens
from llm_validation.tasks.task import Task


def without_long_prompts(task: Task, tokenizer: PreTrainedTokenizerBase, longest: int) -> Task:
    """The task without training prompts of more than ``longest`` tokens.

    Raises:
        ValueError: None is left, or chat messages for a model without a chat template.
    """
    lengths = [len(prompt_tokens(tokenizer, example.prompt)) for example in task.train]
    if max(lengths, default=0) <= longest:
        return task
    if min(lengths) > longest:
        raise ValueError(
            f"every training prompt of {task.name} is longer than max_prompt_tokens = {longest}; "
            f"the shortest has {min(lengths)} tokens"
        )
    pairs = list(zip(task.train, lengths, strict=True))
    reason = f"of the {len(pairs):,} to train on, longer than {longest} tokens"
    dropped = tuple(example.id for example, length in pairs if length > longest)
    return dataclasses.replace(
        task,
        train=[example for example, length in pairs if length <= longest],
        report=dataclasses.replace(
            task.report, dropped_ids={**task.report.dropped_ids, reason: dropped}
        ),
    )
