"""What a run would take, worked out without a model, a GPU or a download."""

from __future__ import annotations

import dataclasses
import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llm_validation.config import TrainConfig
from llm_validation.shapes import Shape, model_shape
from llm_validation.tasks import check_options
from runs.text import duration, number

if TYPE_CHECKING:
    from llm_validation.calibration import Seconds

GIB = 2**30
_PROGRAM = 0.5
"""Gibibytes of Python with torch, transformers and TRL; on a GPU they are not the GPU's."""
_PROMPT_TOKENS = 256
"""Prompt length that memory is estimated with at most; competition problems are rarely longer."""


@dataclasses.dataclass(frozen=True)
class Plan:
    """What a run would take.

    Attributes:
        runs: Trainings: schemes × seeds.
        prompts: Prompts seen in one training, repetitions included.
        responses: Responses generated in one training.
        tokens: Tokens generated in one training at most.
        total_responses: Responses of all trainings.
        total_tokens: Tokens of all trainings at most.
        parameters: Weights of the model; None if its shape is not known here.
        memory: Gibibytes by purpose, for all devices together; empty without a shape.
        missing: One sentence per thing that is not here.
        notes: One sentence per thing to know before starting.
        seconds: What it takes on this machine; None where that was not measured.
    """

    runs: int
    prompts: int
    responses: int
    tokens: int
    total_responses: int
    total_tokens: int
    parameters: int | None
    memory: dict[str, float]
    missing: tuple[str, ...]
    notes: tuple[str, ...] = ()
    seconds: Seconds | None = None

    @property
    def total_memory(self) -> float:
        """Gibibytes at the most: responses are generated before, not while, they are learned."""
        update = sum(self.memory.get(name, 0.0) for name in ("activations", "logits"))
        return sum(self.memory.values()) - min(update, self.memory.get("key-value cache", 0.0))

    def to_dict(self) -> dict[str, Any]:
        """Everything, of JSON types."""
        return {
            **dataclasses.asdict(self),
            "missing": list(self.missing),
            "notes": list(self.notes),
            "total_memory": self.total_memory,
        }

    def describe(self) -> str:
        """Lines for a person."""
        trainings = "1 training with" if self.runs == 1 else f"{self.runs} trainings, each with"
        lines = [
            f"{trainings} {self.prompts:,} prompts, {self.responses:,} "
            f"responses and at most {self.tokens:,} tokens",
            f"all together: {self.total_responses:,} responses, at most {self.total_tokens:,} "
            "tokens",
        ]
        if self.parameters is not None:
            parts = ", ".join(f"{name} {gib:.2f}" for name, gib in self.memory.items())
            lines.append(
                f"memory in GiB over all devices, estimated for {self.parameters / 1e6:,.1f} M "
                f"parameters: {parts}; together {self.total_memory:.2f}"
            )
        if self.seconds is not None:
            found = self.seconds
            parts = ", ".join(
                f"{name} {number(getattr(found, name), 2)}"
                for name in ("generation", "scoring", "update", "other")
                if getattr(found, name)
            )
            lines.append(
                "time on this machine, if all responses have full length: "
                f"{number(found.step, 2)} s a step ({parts}), {duration(found.total)} in all"
            )
        lines += [f"missing: {sentence}" for sentence in self.missing] or ["nothing is missing"]
        lines += [f"note: {sentence}" for sentence in self.notes]
        return "\n".join(lines)


def plan(config: TrainConfig, *, calibrated: bool = False) -> Plan:
    """Work out what a run would take and what is missing for it here.

    Args:
        config: The run.
        calibrated: Whether to try a few steps, or parts of one, and tell the time that all take;
            left out where something is missing, a download too, and where vLLM generates.

    Returns:
        Counts, an estimate of memory, what is missing and what is worth knowing.

    Raises:
        ValueError: What the run itself would refuse of the task: unknown options, rows that lack
            what they need, nothing to train on. Or a model folder of another kind.

    >>> plan(TrainConfig(schemes=("grpo",), seeds=1, steps=10)).responses
    2560
    """
    check_options(config.task, config.task_options)
    shape = model_shape(config.model, hidden_size=config.hidden_size, layers=config.layers)
    prompts = config.generations * config.updates_per_generation * config.prompts_per_step
    responses = prompts * config.group_size
    tokens = responses * config.max_response_tokens
    runs = len(config.schemes) * config.seeds
    missing, notes = find_missing(config, shape), find_notes(config, shape)
    seconds = None
    if calibrated and not missing and not config.critics and config.engine == "transformers":
        from llm_validation.calibration import calibrate

        seconds = calibrate(config)
        if config.dead_groups in ("resample", "refill"):
            notes.append("groups that are sampled again take time on top of that")
    elif calibrated:
        notes.append(
            "time was not estimated: that needs everything here, and transformers to generate"
        )
    return Plan(
        runs=runs,
        prompts=prompts,
        responses=responses,
        tokens=tokens,
        total_responses=runs * responses,
        total_tokens=runs * tokens,
        parameters=shape.parameters if shape else None,
        memory=estimate_memory(config, shape) if shape else {},
        missing=tuple(missing),
        notes=tuple(notes),
        seconds=seconds,
    )


def estimate_memory(config: TrainConfig, shape: Shape) -> dict[str, float]:
    """Gibibytes by purpose, for one process that holds the whole model.

    Weights, gradients and AdamW's two moments have the weights' type, which is float32 for
    ``mixed``. With adapters the weights stand still, and gradients and moments are the adapters',
    in float32. Logits of the responses' tokens are held four times over: themselves, divided by the
    temperature, and the gradients of both. Activations are counted as in arXiv 2205.05198, for a
    fused attention and a gated feed-forward: of a token, 7 h + 4 i numbers a layer in the type of
    the products and 2 h in float32 for the norms, h and i the widths of residual stream and
    feed-forward; only the layer's input with checkpointing. Adapters beside layers of 16 bit keep
    these layers' inputs in float32 as well. vLLM takes the share of a GPU that ``vllm_memory``
    says, which is not known here; its weights are counted.
    """
    weights = shape.parameters * (2 if config.dtype == "bfloat16" else 4) / GIB
    adapters = shape.adapter_parameters(config.lora_rank, config.lora_targets) * 4 / GIB
    trained = adapters if config.lora_rank else weights
    width = 4 if config.dtype == "float32" else 2
    length = min(_PROMPT_TOKENS, config.max_prompt_tokens) + config.max_response_tokens
    if config.model == "tiny":
        length = 6 + config.max_response_tokens
    micro = min(config.micro_batch or config.responses_per_step, config.responses_per_step)
    layer = width * (7 * shape.hidden + 4 * shape.intermediate) + 8 * shape.hidden
    if config.lora_rank and width < 4:
        layer += 4 * shape.adapter_inputs(config.lora_targets)
    kept = width * shape.hidden if config.gradient_checkpointing else layer
    activations = micro * length * (shape.layers * kept + layer) / GIB
    rows = config.responses_per_step * config.updates_per_generation
    cache = rows * length * shape.layers * 2 * shape.key_heads * shape.head * width / GIB
    memory = {
        "program": _PROGRAM if config.cpu else 0.0,
        "weights": weights + adapters,
        "gradients": trained,
        "optimizer": 2 * trained,
        "reference model": weights if config.kl and not config.lora_rank else 0.0,
        "activations": activations,
        "logits": 4 * micro * config.max_response_tokens * shape.vocabulary * width / GIB,
        "key-value cache": cache if config.engine == "transformers" else 0.0,
        "vLLM weights": shape.parameters * width / GIB if config.engine == "vllm" else 0.0,
    }
    return {name: gib for name, gib in memory.items() if gib}


def find_missing(config: TrainConfig, shape: Shape | None) -> list[str]:
    """One sentence per package, file or device that the run needs and that is not here."""
    missing = []
    wanted = ["torch", "transformers", "trl", "datasets", "accelerate"]
    extras = {
        "llm": wanted,
        "vllm": ["vllm"] if config.engine == "vllm" else [],
        "peft": ["peft"] if config.lora_rank else [],
    }
    for extra, modules in extras.items():
        absent = [module for module in modules if importlib.util.find_spec(module) is None]
        if absent:
            missing.append(f"packages {', '.join(absent)}: pip install '.[{extra}]'")
    paths = {"train_path": config.train_path, "test_path": config.test_path}
    absent_data = False
    for field, path in paths.items():
        if path is None or Path(path).is_file():
            continue
        absent_data = True
        on_hub = path.startswith("hub:")
        reason = "is on the hub: it needs a network" if on_hub else "is not a file"
        missing.append(f"{field} {path} {reason}")
    if not absent_data:
        # Whether the run would take the data, only reading it tells.
        from llm_validation.train import load_training_task

        try:
            load_training_task(config).close()
        except ImportError as error:
            missing.append(str(error))
    if config.model != "tiny" and not Path(config.model).is_dir():
        looks_local = config.model.startswith((".", "/", "weights/"))
        missing.append(
            f"model folder {config.model}"
            if looks_local
            else f"model {config.model} is on the hub: it needs a network, and its licence accepted"
        )
    if shape is None:
        missing.append("the model's shape, hence no estimate of memory")
    if not config.cpu and not _has_gpu():
        missing.append("a GPU")
    return missing


def find_notes(config: TrainConfig, shape: Shape | None) -> list[str]:
    """One sentence per thing that is worth knowing before such a run is started."""
    notes = []
    if config.critics:
        notes.append(
            f"{', '.join(config.critics)} needs a critic: it runs in verl, see --launch verl"
        )
    if config.engine == "vllm" and config.vllm_mode == "server":
        notes.append(
            f"a vLLM server must listen at {config.vllm_host}:{config.vllm_port}, on GPUs of its "
            f"own: trl vllm-serve --model {config.model} --port {config.vllm_port}, or --launch, "
            "which writes a script that starts it"
        )
        if config.cpu:
            notes.append("vLLM's server mode needs GPUs: it hands weights over by NCCL")
    largest = 2**9 * config.learning_rate
    whole = config.dtype == "bfloat16" and not config.lora_rank  # adapters are in float32
    if whole and shape is not None and largest < shape.hidden**-0.5:
        notes.append(
            f"bfloat16 has eight significant bits: AdamW's steps of {config.learning_rate:g} are "
            f"rounded away in weights above {largest:.1g}, and typical ones are "
            f'{shape.hidden**-0.5:.1g}; dtype = "mixed" keeps them'
        )
    return notes


def _has_gpu() -> bool:
    """Whether the driver shows a GPU; asked of the system, so that torch need not be there."""
    return Path("/dev/nvidia0").exists() or Path("/dev/kfd").exists()
