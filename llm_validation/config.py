"""Configuration of a training run: one frozen dataclass, read from TOML recipes and overrides."""

from __future__ import annotations

import dataclasses
import math
import tomllib
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from llm_validation.options import Options
from theory.schedules import Schedule, parse_schedule
from theory.schemes import resolve

RECIPES = Path(__file__).parent / "recipes"
"""Folder of the recipes that ship with the package, one TOML file each."""

_CHOICES = {
    "loss": ("dapo", "grpo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"),
    "learning_rate_schedule": ("constant", "constant_with_warmup", "linear", "cosine"),
    "engine": ("transformers", "vllm"),
    "vllm_mode": ("colocate", "server"),
    "dtype": ("float32", "mixed", "bfloat16"),
}


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """One RLVR run: a model, a task, the schemes to compare and how each is trained.

    Every scheme is trained once per seed. Runs with the same seed share the initial model, the
    order of the prompts and the random numbers that responses are sampled with.

    Attributes:
        schemes: Schemes to train, each a name in ``theory.schemes.SCHEMES`` with its options
            after a colon, such as ``"w_reinforce:reward=0.1"``.
        seeds: Number of seeds; they are first_seed, first_seed + 1, ...
        first_seed: The first seed.
        steps: Optimizer steps of each run.
        model: Folder or hub id of a causal language model, or ``"tiny"`` for a transformer that
            is made from scratch and warmed up (see ``llm_validation.tiny_model``).
        initial_success: Tiny model only: success probability ρ₀ the warm-up aims at, in (0, 1).
        warm_up_steps: Tiny model only: supervised steps before reinforcement.
        hidden_size: Tiny model only: width; a multiple of 32.
        layers: Tiny model only: number of layers.
        task: Name for ``llm_validation.tasks.load_task``.
        task_options: Options of the task, such as ``{kind = "memorise"}``; on the command line
            ``kind=memorise``, in place of all of the recipe's.
        train_path: File or hub id of the training rows; None for tasks that make their own.
        test_path: File or hub id of the held-out rows; None for none.
        task_limit: At most so many examples of each split; None for all.
        task_seed: Seed of generated tasks, the same for all seeds of the run.
        prompts_per_step: Prompts per optimizer step, over all processes.
        group_size: Responses per prompt, M.
        updates_per_generation: Optimizer steps made on one batch of responses; that batch has
            prompts_per_step × updates_per_generation prompts.
        micro_batch: Responses per forward and backward pass on one device; 0, or more than a
            device has, for a whole step.
        max_prompt_tokens: Longest prompt that is trained on, in tokens; longer ones are left out.
        max_response_tokens: Longest response, in tokens.
        temperature: Sampling temperature, above 0.
        top_p: Nucleus of sampling, in (0, 1].
        learning_rate: Step size of AdamW.
        learning_rate_schedule: ``constant``, ``constant_with_warmup``, ``linear`` or ``cosine``.
        learning_rate_warmup: Steps over which the learning rate rises from 0.
        weight_decay: Decoupled weight decay.
        max_grad_norm: Gradient norm is clipped here; 0 for no clipping.
        loss: How token losses are averaged, in TRL's names; ``dapo`` is the mean over all tokens.
        clip: Ratio clip ε, below and above 1.
        clip_high: Ratio clip above 1 if it differs (clip-higher); None for the same.
        kl: Coefficient of the KL divergence to the initial model.
        mask_truncated: Leave responses cut off at max_response_tokens out of the loss.
        schedules: Scheme options that change with the optimizer step, as ``theory.schedules``
            writes them, such as ``{zero_success = "warm_up:steps=50"}`` or
            ``{lam = "linear:start=1,end=0.1,steps=500"}``; each concerns the schemes that have
            the option.
        engine: What generates responses: ``transformers`` or ``vllm``.
        vllm_mode: ``colocate`` (in the training process) or ``server``.
        vllm_memory: Share of the GPU's memory that colocated vLLM takes.
        vllm_tensor_parallel: GPUs that one copy of the model is spread over in vLLM.
        vllm_host: Where the vLLM server of mode ``server`` listens.
        vllm_port: Its port.
        dtype: ``float32``; ``mixed``, float32 weights that are multiplied in bfloat16; or
            ``bfloat16`` for everything, whose eight bits lose AdamW's steps at learning rates
            below about 1e-4 (see the dry run).
        gradient_checkpointing: Recompute activations in the backward pass to save memory.
        cpu: Train on the CPU even where there is a GPU.
        threads: CPU threads of torch; 0 leaves its default.
        measure_every: Steps between measurements of the exact success probability (tiny model);
            0 measures at the start and the end only.
        stop_at: Tiny model only: end a run as soon as the measured success probability is this
            high, in (0, 1); None runs all steps.
        checkpoint_every: Steps between checkpoints; 0 for none before the end.
        save_models: Keep each trained model under ``models/`` in the run folder.
        description: What the recipe is for, in a sentence.
    """

    schemes: tuple[str, ...] = ("grpo", "sqrt_r")
    seeds: int = 2
    first_seed: int = 0
    steps: int = 200
    model: str = "tiny"
    initial_success: float = 0.01
    warm_up_steps: int = 400
    hidden_size: int = 64
    layers: int = 2
    task: str = "arithmetic"
    task_options: Options = dataclasses.field(default_factory=dict)
    train_path: str | None = None
    test_path: str | None = None
    task_limit: int | None = None
    task_seed: int = 0
    prompts_per_step: int = 16
    group_size: int = 16
    updates_per_generation: int = 1
    micro_batch: int = 0
    max_prompt_tokens: int = 1024
    max_response_tokens: int = 3
    temperature: float = 1.0
    top_p: float = 1.0
    learning_rate: float = 4.5e-4
    learning_rate_schedule: str = "constant"
    learning_rate_warmup: int = 0
    weight_decay: float = 0.0
    max_grad_norm: float = 1.0
    loss: str = "dapo"
    clip: float = 0.2
    clip_high: float | None = None
    kl: float = 0.0
    mask_truncated: bool = False
    schedules: Options = dataclasses.field(default_factory=dict)
    engine: str = "transformers"
    vllm_mode: str = "colocate"
    vllm_memory: float = 0.3
    vllm_tensor_parallel: int = 1
    vllm_host: str = "127.0.0.1"
    vllm_port: int = 8000
    dtype: str = "float32"
    gradient_checkpointing: bool = False
    cpu: bool = False
    threads: int = 0
    measure_every: int = 10
    stop_at: float | None = None
    checkpoint_every: int = 50
    save_models: bool = False
    description: str = ""

    def __post_init__(self) -> None:
        """Check every field; the first wrong one is named."""
        if isinstance(self.schemes, str):
            raise ValueError("schemes must be a list of names; got a single string")
        if not self.schemes:
            raise ValueError("schemes must name at least one scheme")
        object.__setattr__(self, "schemes", tuple(self.schemes))
        if len(set(self.schemes)) != len(self.schemes):
            raise ValueError(f"schemes must differ from each other; got {', '.join(self.schemes)}")
        _check_whole(self, 1, "seeds", "steps", "prompts_per_step", "updates_per_generation",
                     "max_prompt_tokens", "max_response_tokens", "warm_up_steps", "layers",
                     "vllm_tensor_parallel", "vllm_port")  # fmt: skip
        _check_whole(self, 0, "first_seed", "task_seed", "micro_batch", "learning_rate_warmup",
                     "threads", "measure_every", "checkpoint_every")  # fmt: skip
        _check_whole(self, 2, "group_size")
        if self.task_limit is not None:
            _check_whole(self, 1, "task_limit")
        _check_range(self, 0.0, math.inf, "learning_rate", "temperature", open_low=True)
        _check_range(self, 0.0, math.inf, "weight_decay", "max_grad_norm", "kl")
        _check_range(self, 0.0, 1.0, "top_p", "vllm_memory", "clip", open_low=True)
        if self.clip_high is not None:
            _check_range(self, 0.0, math.inf, "clip_high", open_low=True)
        if not 0 < self.initial_success < 1:
            raise ValueError(f"initial_success must lie in (0, 1); got {self.initial_success}")
        if self.stop_at is not None and not 0 < self.stop_at < 1:
            raise ValueError(f"stop_at must lie in (0, 1); got {self.stop_at}")
        if self.stop_at is not None and self.model != "tiny":
            raise ValueError("stop_at needs model = 'tiny', whose success is measured exactly")
        if self.hidden_size < 32 or self.hidden_size % 32:
            raise ValueError(f"hidden_size must be a multiple of 32; got {self.hidden_size}")
        for name, allowed in _CHOICES.items():
            if getattr(self, name) not in allowed:
                raise ValueError(
                    f"{name} must be one of {', '.join(allowed)}; got {getattr(self, name)!r}"
                )
        for scheme in self.schemes:
            resolve(scheme).check_group_size(self.group_size)
        for option, text in self.schedules.items():
            parse_schedule(str(text))
            if not any(option in resolve(scheme).options for scheme in self.schemes):
                raise ValueError(f"no scheme of this run has the scheduled option {option!r}")
        whole = self.responses_per_step
        if self.micro_batch and whole % min(self.micro_batch, whole):
            raise ValueError(
                f"micro_batch must divide prompts_per_step × group_size = {whole}; "
                f"got {self.micro_batch}"
            )

    @property
    def responses_per_step(self) -> int:
        """Responses that one optimizer step is made on, over all processes."""
        return self.prompts_per_step * self.group_size

    @property
    def generations(self) -> int:
        """Batches of responses generated in one run."""
        return math.ceil(self.steps / self.updates_per_generation)

    @property
    def checkpoint_steps(self) -> int:
        """Steps between checkpoints, rounded up so that no batch of responses is cut; 0 = none.

        A checkpoint inside such a batch would lose the responses it still has to train on.
        """
        every = self.updates_per_generation
        return math.ceil(self.checkpoint_every / every) * every

    def seed_range(self) -> range:
        """The seeds of the run."""
        return range(self.first_seed, self.first_seed + self.seeds)

    def schedules_of(self, scheme: str) -> dict[str, Schedule]:
        """Schedules of the options that a scheme has.

        >>> config = TrainConfig(schedules={"zero_success": "warm_up:steps=50"})
        >>> config.schedules_of("sqrt_r"), config.schedules_of("grpo")
        ({'zero_success': WarmUp(steps=50)}, {})
        """
        options = resolve(scheme).options
        return {o: parse_schedule(text) for o, text in self.schedules.items() if o in options}

    def to_dict(self) -> dict[str, Any]:
        """Every field, of JSON types."""
        values = dataclasses.asdict(self)
        values["schemes"] = list(self.schemes)
        return values

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "configuration") -> TrainConfig:
        """Build a configuration from a mapping such as a parsed TOML file.

        Args:
            values: Field names and values.
            where: What the values come from, for error messages.

        Raises:
            ValueError: A field that does not exist, of a wrong type, or out of its range.

        >>> TrainConfig.from_dict({"step": 3})
        Traceback (most recent call last):
            ...
        ValueError: configuration has no field 'step'; did you mean 'steps'?
        """
        hints = typing.get_type_hints(cls)
        for name, value in values.items():
            if name not in hints:
                raise ValueError(f"{where} has no field {name!r}; {_suggest(name, hints)}")
            if not _fits(value, hints[name]):
                raise ValueError(
                    f"{name} in {where} must be of type {_type_name(hints[name])}; got {value!r}"
                )
        try:
            return cls(**{name: _convert(value, hints[name]) for name, value in values.items()})
        except ValueError as error:
            raise ValueError(f"{where}: {error}") from error


def list_recipes() -> list[str]:
    """Names of the recipes that ship with the package."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load_recipe(name: str | Path, **overrides: Any) -> TrainConfig:
    """Read a recipe and change some of its fields.

    Args:
        name: Name of a shipped recipe, or path of a TOML file.
        **overrides: Fields that win over the file's; None leaves a field alone.

    Raises:
        FileNotFoundError: No such recipe (the message lists the shipped ones) or file.
        ValueError: Not TOML, or a field that is wrong.

    >>> load_recipe("tiny-from-scratch", steps=5).steps
    5
    """
    path = Path(name)
    if path.suffix != ".toml":
        path = RECIPES / f"{name}.toml"
        if not path.is_file():
            raise FileNotFoundError(
                f"no recipe {str(name)!r}; the recipes are {', '.join(list_recipes())}, "
                "or give the path of a .toml file"
            )
    elif not path.is_file():
        raise FileNotFoundError(f"{path} is not a file")
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from error
    changed = {field: value for field, value in overrides.items() if value is not None}
    return TrainConfig.from_dict({**values, **changed}, where=str(path))


def _fits(value: Any, hint: Any) -> bool:
    origin = typing.get_origin(hint)
    if origin in (types.UnionType, typing.Union):
        return any(_fits(value, part) for part in typing.get_args(hint))
    if hint is type(None):
        return value is None
    if origin is tuple:
        return isinstance(value, list | tuple) and all(isinstance(item, str) for item in value)
    if origin is dict:
        return isinstance(value, dict)
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _convert(value: Any, hint: Any) -> Any:
    if typing.get_origin(hint) is tuple:
        return tuple(value)
    wants_float = hint is float or float in typing.get_args(hint)
    return float(value) if wants_float and isinstance(value, int) else value


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")


def _suggest(name: str, known: Mapping[str, Any]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"its fields are: {', '.join(known)}"


def _check_whole(config: TrainConfig, low: int, *names: str) -> None:
    for name in names:
        value = getattr(config, name)
        if isinstance(value, bool) or int(value) != value or value < low:
            raise ValueError(f"{name} must be a whole number of at least {low}; got {value!r}")


def _check_range(
    config: TrainConfig, low: float, high: float, *names: str, open_low: bool = False
) -> None:
    for name in names:
        value = getattr(config, name)
        above = low < value if open_low else low <= value
        if not (above and value <= high) or math.isinf(value):
            left = "(" if open_low else "["
            right = "∞)" if math.isinf(high) else f"{high:g}]"
            raise ValueError(f"{name} must lie in {left}{low:g}, {right}; got {value!r}")
