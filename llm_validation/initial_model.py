"""The model a run starts from: made and warmed up here, or loaded from a folder or the hub."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import torch
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from llm_validation import generation
from llm_validation.checkpoints import put_in_place, whole_or_gone
from llm_validation.config import TrainConfig
from llm_validation.imitation import imitate
from llm_validation.tasks import arithmetic, small_countdown
from llm_validation.tasks.task import Task
from llm_validation.tiny_model import character_tokenizer, tiny_llama
from llm_validation.warm_up import warm_up

CHARACTERS: dict[str, Callable[..., str]] = {
    "arithmetic": lambda **_: arithmetic.CHARACTERS,
    "small_countdown": small_countdown.characters,
}
"""Tasks that the tiny model can read, and their characters given the task's options."""


def is_tiny(config: TrainConfig) -> bool:
    """Tell whether the run's model is made from scratch."""
    return config.model == "tiny"


def prepare(config: TrainConfig, task: Task, seed: int, folder: Path) -> str:
    """Make sure the initial model of a seed exists; return what ``load`` takes.

    A tiny model is made and warmed up once, then kept in ``folder``, or in the folder that the
    configuration names for several runs, so that every scheme and every restart begins with the
    same weights.
    """
    if not is_tiny(config):
        return config.model
    seed = seed if config.initial_seed is None else config.initial_seed
    target = folder / f"seed={seed}"
    if config.initial_folder is not None:
        target = Path(config.initial_folder) / f"{config.task}-{_digest(config)}-seed={seed}"
    if target.exists():
        return str(target)
    tokenizer = _tiny_tokenizer(config)
    width = config.hidden_size
    sums = config.task == "arithmetic"
    model = tiny_llama(
        tokenizer,
        hidden_size=width,
        layers=config.layers,
        seed=seed,
        # Countdown is learned several times sooner from weights that keep the size of activations.
        initial_scale=0.02 if sums else width**-0.5,
    )
    steps = config.warm_up_steps
    success = config.initial_success
    if sums:
        warm_up(model, tokenizer, task.train, initial_success=success, steps=steps, seed=seed)
    else:
        whole = task
        if config.task_limit is not None:
            # Which of the prompts are trained on afterwards makes no other start.
            options = config.task_options or {}
            whole = small_countdown.load(limit=None, seed=config.task_seed, **options)
        imitate(model, tokenizer, whole.train, shown_success=success, steps=steps, seed=seed)
    save(model, tokenizer, target)
    return str(target)


def _digest(config: TrainConfig) -> str:
    """What an initial model depends on beside its seed, in a few characters."""
    limit = None if config.task == "small_countdown" else config.task_limit
    task = (config.task_options, config.task_seed, limit)
    start = (config.initial_success, config.warm_up_steps, config.hidden_size, config.layers)
    values = [*task, *start]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def _tiny_tokenizer(config: TrainConfig) -> PreTrainedTokenizerFast:
    characters = CHARACTERS.get(config.task)
    if characters is None:
        raise ValueError(
            f"the tiny model reads {' and '.join(CHARACTERS)}; got the task {config.task!r}"
        )
    return character_tokenizer(characters(**(config.task_options or {})))


def load_tokenizer(config: TrainConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of the model a configuration names, before there is a model.

    Raises:
        OSError: No such folder, or a hub id that cannot be fetched.
        ValueError: A task that the tiny model cannot read.
    """
    return _tiny_tokenizer(config) if is_tiny(config) else generation.load_tokenizer(config.model)


def load(source: str, config: TrainConfig) -> tuple[PreTrainedModel, PreTrainedTokenizerBase]:
    """Load a causal language model and its tokenizer, padding on the left.

    Raises:
        OSError: No such folder, or a hub id that cannot be fetched.
        ValueError: A tensor is missing or has another shape.
    """
    tokenizer = generation.load_tokenizer(source)
    dtype = torch.bfloat16 if config.dtype == "bfloat16" else torch.float32
    return generation.load_weights(source, dtype), tokenizer


def save(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase | PreTrainedTokenizerFast, to: Path
) -> None:
    """Write weights (safetensors) and tokenizer as a whole: under another name, then renamed."""
    temporary = to.parent / f".{to.name}.unfinished"
    with contextlib.suppress(FileNotFoundError):
        shutil.rmtree(temporary)
    with whole_or_gone(temporary):
        temporary.mkdir(parents=True)
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
    put_in_place(temporary, to)
