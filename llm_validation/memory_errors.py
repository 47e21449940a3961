"""Memory that does not suffice, in a sentence: where, what was asked for, and what takes less."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from runs.text import listed

if TYPE_CHECKING:
    from llm_validation.config import TrainConfig
    from llm_validation.evaluate_config import EvaluateConfig

_SIGNS = ("DefaultCPUAllocator", "out of memory", "not enough memory", "ALLOC_FAILED")
"""What torch, CUDA and cuBLAS say; torch's own error is a RuntimeError too."""
_ASKED = re.compile(r"allocate ([0-9.]+) ?(bytes|[KMGTPE]i?B)", re.I)


class ExplainedMemoryError(MemoryError):
    """Memory did not suffice; the message says where and what to do."""


@contextmanager
def explained(place: str | Callable[[], str], work: str, advice: Sequence[str]) -> Iterator[None]:
    """Say of memory that does not suffice where that was, and which options take less.

    Args:
        place: Where the work is, such as "in step 3 of grpo, seed 0", or what tells it when asked.
        work: What the work was, in the numbers that decide its size.
        advice: Options that take less memory, in the order they should be tried.

    Raises:
        ExplainedMemoryError: Instead of Python's, NumPy's or torch's own error.

    >>> with explained("in step 3", "8 responses at once", ["--micro-batch 4"]):
    ...     raise MemoryError("Unable to allocate 7.28 TiB for an array")
    Traceback (most recent call last):
        ...
    llm_validation.memory_errors.ExplainedMemoryError: out of memory in step 3, which asked for \
7.28 TiB more, with 8 responses at once; less is taken with --micro-batch 4
    """
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, ExplainedMemoryError) or not is_of_memory(error):
            raise
        asked, where = _asked(str(error)), place if isinstance(place, str) else place()
        raise ExplainedMemoryError(
            f"out of memory {where}{f', which asked for {asked} more' if asked else ''}, with "
            f"{work}; less is taken with {listed(advice, 'or')}"
        ) from error


def is_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory did not suffice."""
    return isinstance(error, MemoryError) or any(sign in str(error) for sign in _SIGNS)


def _asked(said: str) -> str:
    """The memory that could not be had, in the units people count memory in.

    >>> _asked("DefaultCPUAllocator: can't allocate memory: you tried to allocate 8589934592 bytes")
    '8.00 GiB'
    """
    match = _ASKED.search(said)
    if match is None:
        return ""
    if match[2].lower() != "bytes":
        return f"{match[1]} {match[2]}"
    size, units = float(match[1]), ["bytes", "KiB", "MiB", "GiB", "TiB", "PiB"]
    while size >= 1024 and len(units) > 1:
        size /= 1024
        units.pop(0)
    return f"{size:.2f} {units[0]}"


def training_work(config: TrainConfig) -> tuple[str, list[str]]:
    """What a step of a training holds at once, and which options make it less.

    >>> from llm_validation.config import TrainConfig
    >>> training_work(TrainConfig(prompts_per_step=4, group_size=8))[0]
    '32 responses of up to 3 tokens a step, 32 at once'
    """
    batch = config.prompts_per_step * config.group_size
    at_once = min(config.micro_batch or batch, batch)
    work = (
        f"{batch:,} responses of up to {config.max_response_tokens:,} tokens a step, "
        f"{at_once:,} at once"
    )
    advice = [f"--micro-batch {at_once // 2}"] if at_once > 1 else []
    if not config.gradient_checkpointing:
        advice.append("--gradient-checkpointing")
    if config.engine == "vllm":
        advice.append("a smaller --vllm-memory")
    if config.dtype == "float32":
        advice.append("--dtype mixed")
    if not config.lora_rank and config.model != "tiny":
        advice.append("--lora-rank 16")
    advice += ["a smaller --max-response-tokens, --group-size or --prompts-per-step"]
    return work, advice


def evaluation_work(config: EvaluateConfig) -> tuple[str, list[str]]:
    """What an evaluation holds at once, and which options make it less."""
    work = f"{config.batch:,} responses of up to {config.max_response_tokens:,} tokens at once"
    advice = [f"--batch {config.batch // 2}"] if config.batch > 1 else []
    if config.dtype not in ("bfloat16", "float16"):
        advice.append("--dtype bfloat16")
    return work, [*advice, "a smaller --max-response-tokens"]
