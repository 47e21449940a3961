"""The parameters that a probe moves: weights by their names, or LoRA adapters."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, PreTrainedModel

from llm_validation.config import TrainConfig
from llm_validation.extras import require
from llm_validation.lora import wrap
from llm_validation.probe.config import ProbeConfig
from llm_validation.tiny_model import character_tokenizer, tiny_llama


def choose_parameters(
    model: PreTrainedModel, config: ProbeConfig
) -> tuple[PreTrainedModel, dict[str, torch.nn.Parameter]]:
    """Let gradients reach the chosen parameters alone.

    LoRA adapters begin at B = 0, where gradients by A vanish and those by B are the full weights'
    seen through the random matrix A.

    Args:
        model: The model; LoRA layers are put into it in place.
        config: Which parameters, and the seed of the adapters.

    Returns:
        The model, wrapped where it has adapters, and the parameters by their names.

    Raises:
        ValueError: No parameter has such a name.
        MissingExtraError: peft is not installed.
    """
    found: Any = model
    if config.lora_rank:
        found = wrap(model, TrainConfig(lora_rank=config.lora_rank), config.seed)
        chosen = {n: p for n, p in found.named_parameters() if "lora_B" in n}
    else:
        names = set(_named_like(found, config.parameters))
        chosen = {n: p for n, p in found.named_parameters() if n in names}
    for name, parameter in found.named_parameters():
        parameter.requires_grad_(name in chosen)
    return found.eval(), chosen


def check_parameters(config: ProbeConfig) -> None:
    """Refuse names that no parameter has before any weights are read.

    Raises:
        ValueError: No parameter has such a name.
        OSError: No such model.
        MissingExtraError: peft is not installed.
    """
    if config.lora_rank:
        require("peft", "peft")
        return
    if config.model == "tiny":
        tokenizer = character_tokenizer()
        shape: Any = tiny_llama(tokenizer, hidden_size=config.hidden_size, layers=config.layers)
    else:
        with torch.device("meta"):
            shape = AutoModelForCausalLM.from_config(
                AutoConfig.from_pretrained(config.model, trust_remote_code=False)
            )
    _named_like(shape, config.parameters)


def _named_like(model: Any, pattern: str) -> list[str]:
    """Names of the parameters in which a pattern is found.

    Raises:
        ValueError: There are none.
    """
    names = [name for name, _ in model.named_parameters()]
    found = [name for name in names if re.search(pattern, name)]
    if not found:
        raise ValueError(f"no parameter has a name like {pattern!r}; one of them is {names[0]}")
    return found


def coordinates(parameters: Sequence[torch.nn.Parameter]) -> int:
    """How many numbers the parameters are together."""
    return sum(parameter.numel() for parameter in parameters)
