"""Low-rank adapters (LoRA, arXiv 2106.09685): a frozen model, and what is trained beside it.

Every linear layer but the output's, or those named, gets W x + (α / r) B A x, with A of r rows and
B zero at first. Only plain adapters are read: rank, α and layer names are taken from their
configuration, and nothing that it asks to import.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_validation.extras import require
from llm_validation.model_files import readable
from runs.files import read_json
from runs.seeds import sequence

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from llm_validation.config import TrainConfig

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
"""Files of an adapter."""
_PLAIN: dict[str, tuple[Any, ...]] = {
    "peft_type": ("LORA",),
    "bias": ("none", None),
    "modules_to_save": (None, []),
    "rank_pattern": ({}, None),
    "alpha_pattern": ({}, None),
    "use_dora": (False, None),
    "use_rslora": (False, None),
    "fan_in_fan_out": (False, None),
}
"""Options of an adapter that change what it computes, with the values that are understood here."""


def is_adapter(model: str) -> bool:
    """Whether a model is a folder with an adapter instead of a whole model's weights."""
    return bool(model) and (Path(model).expanduser() / CONFIG).is_file()


def base_of(folder: str) -> str:
    """Folder or hub id of the model that an adapter belongs to.

    Raises:
        ValueError: Its configuration names none, or is that of another kind of adapter.
    """
    return str(_read(folder)["base_model_name_or_path"])


def wrap(model: PreTrainedModel, config: TrainConfig, seed: int) -> Any:
    """A model with fresh adapters, which alone are trained; the same seed gives the same ones.

    Adapters of half-precision weights are kept in float32.

    Raises:
        MissingExtraError: peft is not installed.
        ValueError: ``lora_targets`` names no linear layer of the model.
    """
    import torch

    require("peft", "peft")
    from peft import get_peft_model

    settings = _settings(model, config.lora_rank, config.lora_scale, config.lora_targets)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(sequence(seed, "adapters").generate_state(1)[0]))
        return get_peft_model(model, settings)


def check_targets(config: TrainConfig) -> None:
    """Refuse layers that the model lacks before anything is written, without reading its weights.

    Raises:
        MissingExtraError: peft is not installed.
        ValueError: ``lora_targets`` names no linear layer of the model.
    """
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    from llm_validation.tiny_model import character_tokenizer, tiny_llama

    require("peft", "peft")
    if config.model == "tiny":
        model: Any = tiny_llama(
            character_tokenizer(), hidden_size=config.hidden_size, layers=config.layers
        )
    else:
        with readable(config.model, "configuration"):
            described = AutoConfig.from_pretrained(config.model, trust_remote_code=False)
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(described, trust_remote_code=False)
    _settings(model, config.lora_rank, config.lora_scale, config.lora_targets)


def attach(folder: str, base: PreTrainedModel) -> PreTrainedModel:
    """Put the adapter of a folder beside its model's layers, in place.

    The weights are not merged: in bfloat16 a merged weight would lose most of what was learned.

    Args:
        folder: The adapter.
        base: Its model; of one on the meta device only names and shapes are checked.

    Raises:
        MissingExtraError: peft is not installed.
        ValueError: A tensor is missing, too many, or has another shape.
    """
    require("peft", "peft")
    from peft import get_peft_model, get_peft_model_state_dict, set_peft_model_state_dict
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    given = _read(folder)
    settings = _settings(base, given["r"], given["lora_alpha"], tuple(given["target_modules"]))
    wrapped = get_peft_model(base, settings)
    path = Path(folder).expanduser() / WEIGHTS
    try:
        tensors = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"the adapter {path} cannot be read: {error}") from error
    wanted = {name: t.shape for name, t in get_peft_model_state_dict(wrapped).items()}
    found = {name: t.shape for name, t in tensors.items()}
    for name in sorted(wanted.keys() | found.keys()):
        if wanted.get(name) != found.get(name):
            fault = "lacks" if name not in found else "has another shape of, or should not have,"
            raise ValueError(f"the adapter {folder} {fault} {name}")
    if base.device.type != "meta":
        set_peft_model_state_dict(wrapped, tensors)
    inner: PreTrainedModel = wrapped.get_base_model()
    return inner


def _settings(model: PreTrainedModel, rank: int, scale: float, targets: Sequence[str]) -> Any:
    from peft import LoraConfig

    known = {
        name.rpartition(".")[2]
        for name, module in model.named_modules()
        if type(module).__name__ == "Linear" and module is not model.get_output_embeddings()
    }
    if not set(targets) <= known or not known:
        raise ValueError(
            f"lora_targets must be linear layers of the model, {', '.join(sorted(known))}; got "
            f"{', '.join(targets)}"
        )
    return LoraConfig(
        r=rank,
        lora_alpha=scale,  # type: ignore[arg-type]  # fractions are as good
        target_modules=sorted(targets or known),
        task_type="CAUSAL_LM",
    )


def _read(folder: str) -> dict[str, Any]:
    path = Path(folder).expanduser() / CONFIG
    given = read_json(path)
    if not isinstance(given, dict):
        raise ValueError(f"{path} must hold a JSON object")
    for option, allowed in _PLAIN.items():
        if option in given and given[option] not in allowed:
            raise ValueError(f"{path}: {option} must be {allowed[0]!r}; got {given[option]!r}")
    base, targets = given.get("base_model_name_or_path"), given.get("target_modules")
    rank, scale = given.get("r"), given.get("lora_alpha")
    if not (isinstance(base, str) and base):
        raise ValueError(f"{path} does not name the model that it belongs to")
    if not (isinstance(targets, list) and targets and all(isinstance(t, str) for t in targets)):
        raise ValueError(f"{path}: target_modules must be a list of names; got {targets!r}")
    if not (isinstance(rank, int) and 1 <= rank <= 4096):
        raise ValueError(f"{path}: r must be a whole number from 1 to 4096; got {rank!r}")
    if not (isinstance(scale, int | float) and 0 < scale < 1e6):
        raise ValueError(f"{path}: lora_alpha must be a positive number; got {scale!r}")
    return given
