"""The model a run starts from: made and warmed up here, or loaded from a folder or the hub."""

from __future__ import annotations

import contextlib
import shutil
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
from llm_validation.tasks.task import Task
from llm_validation.tiny_model import character_tokenizer, tiny_llama
from llm_validation.warm_up import warm_up


def is_tiny(config: TrainConfig) -> bool:
    """Tell whether the run's model is made from scratch."""
    return config.model == "tiny"


def prepare(config: TrainConfig, task: Task, seed: int, folder: Path) -> str:
    """Make sure the initial model of a seed exists; return what ``load`` takes.

    A tiny model is made and warmed up once, then kept in ``folder``, so that every scheme and
    every restart begins with the same weights.
    """
    if not is_tiny(config):
        return config.model
    target = folder / f"seed={seed}"
    if not target.exists():
        tokenizer = character_tokenizer()
        model = tiny_llama(
            tokenizer, hidden_size=config.hidden_size, layers=config.layers, seed=seed
        )
        warm_up(
            model,
            tokenizer,
            task.train,
            initial_success=config.initial_success,
            steps=config.warm_up_steps,
            seed=seed,
        )
        save(model, tokenizer, target)
    return str(target)


def load_tokenizer(config: TrainConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of the model a configuration names, before there is a model.

    Raises:
        OSError: No such folder, or a hub id that cannot be fetched.
    """
    return character_tokenizer() if is_tiny(config) else generation.load_tokenizer(config.model)


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
