"""Whether a model can be had, found out in seconds and before anything is written."""

from __future__ import annotations

from pathlib import Path

from llm_validation.lora import base_of, is_adapter
from llm_validation.packaged_models import MODELS

_HUB_SECONDS = 5.0
"""How long the hub may take to answer; loading itself retries for most of a minute."""


def check_model(model: str) -> None:
    """Refuse a model that is no folder, not in the local cache, and not to be had from the hub.

    Args:
        model: Folder or hub id; ``"tiny"`` and empty are not looked for.

    Raises:
        FileNotFoundError: It cannot be had; the message says why.
        ValueError: It is an adapter that cannot be read.
    """
    if is_adapter(model):
        check_model(base_of(model))
    if model in ("", "tiny") or Path(model).expanduser().is_dir():
        return
    if model.startswith(("weights/", ".", "/", "~")):
        name = Path(model).name
        remedy = f"; `apw models fetch {name}` makes it" if name in MODELS else ""
        raise FileNotFoundError(f"the model folder {model} does not exist{remedy}")
    reason = _why_not_on_hub(model)
    if reason:
        raise FileNotFoundError(f"model {model} is no folder here, and {reason}")


def _why_not_on_hub(model: str) -> str:
    """Why a model cannot be fetched from the hub, or "" if it can or is in the local cache."""
    import huggingface_hub
    from huggingface_hub import errors

    try:
        if isinstance(huggingface_hub.try_to_load_from_cache(model, "config.json"), str):
            return ""
        huggingface_hub.HfApi().model_info(model, timeout=_HUB_SECONDS)
    except errors.HFValidationError:
        return "it is no name that the hub could have"
    except errors.GatedRepoError:
        return "the hub gives it only to those who have accepted its licence and logged in"
    except errors.RepositoryNotFoundError:
        return "the hub has no such model"
    except errors.OfflineModeIsEnabled:
        return "it is not in the local Hugging Face cache, which HF_HUB_OFFLINE confines us to"
    except Exception as error:
        return f"the hub cannot be reached ({type(error).__name__})"
    return ""
