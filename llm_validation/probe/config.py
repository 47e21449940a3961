"""Configuration of a probe: one frozen dataclass, read from TOML recipes and overrides."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval

from runs.configuration import (
    Configuration,
    Count,
    Positive,
    Probability,
    Seed,
    Share,
    Steps,
    Threads,
    Whole,
    read_toml,
)
from runs.recipes import recipe_file, recipe_names
from theory.schemes import Scheme, keep_schemes, schemes_by_name

RECIPES = Path(__file__).parent / "recipes"
"""Folder of the recipes that ship with the package, one TOML file each."""

Optimizer = Literal["sgd", "adam"]


@dataclasses.dataclass(frozen=True)
class ProbeConfig(Configuration):
    """Rollouts of some prompts, the kernel between them, and one step by each scheme."""

    model: str = "tiny"
    """Folder or hub id of a causal language model, or ``"tiny"`` for a transformer that is made
    from scratch and warmed up, whose success is known exactly."""

    initial_success: Probability = 0.4
    """Tiny model only: success probability ρ₀ the warm-up aims at, in (0, 1)."""

    warm_up_steps: Steps = 400
    """Tiny model only: supervised steps of the warm-up."""

    hidden_size: Annotated[int, Interval(ge=32, le=8192)] = 64
    """Tiny model only: width; a multiple of 32."""

    layers: Annotated[int, Interval(ge=1, le=128)] = 2
    """Tiny model only: number of layers."""

    task: str = "arithmetic"
    """Name for ``llm_validation.tasks.load_task``."""

    task_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the task, such as ``{levels = [1]}``; on the command line ``levels=[1]``."""

    train_path: str | None = None
    """File or hub id of the training rows; None for tasks that make their own."""

    task_seed: Seed = 0
    """Seed of generated tasks and of the draw of prompts."""

    samples_path: str | None = None
    """``samples.parquet`` of an evaluation at temperature 1 to read responses from instead of
    generating any; the task has to be the same."""

    prompts: Annotated[int, Interval(ge=2, le=1024)] = 32
    """Training prompts to probe."""

    group_size: Annotated[int, Interval(ge=2, le=4096)] = 16
    """Responses of a group, M."""

    groups: Annotated[int, Interval(ge=2, le=1024)] = 2
    """Groups of each prompt: the steps are taken on the first, and measured on the others."""

    max_response_tokens: Count = 3
    """Longest response, in tokens."""

    batch: Count = 128
    """Responses generated at once."""

    schemes: tuple[str, ...] = ("grpo", "sqrt_r", "linear_r", "nsr", "lens")
    """Schemes to take a step by, each a name in ``theory.schemes.SCHEMES`` with its options after a
    colon, or one of your own as ``module:function``."""

    optimizers: tuple[Optimizer, ...] = ("sgd", "adam")
    """Optimizers that take the steps; none to measure the kernel alone."""

    sizes: tuple[Positive, ...] = (0.03, 0.1, 0.3)
    """Sizes of the steps: root mean square over held-out responses of the change of their
    log-probability, in nats and to first order. A step has this size whatever its scheme."""

    parameters: str = ""
    """Regular expression that is found in the names of the parameters to probe; empty for all."""

    lora_rank: Annotated[int, Interval(ge=0, le=1024)] = 0
    """Probe LoRA adapters of this rank on all linear layers instead; 0 for the weights."""

    projection: Annotated[int, Interval(ge=0, le=1 << 20)] = 0
    """Coordinates that gradients are projected to at random; 0 to keep them whole, for tiny
    models. Inner products then err by about 1/√projection of the norms."""

    dtype: Literal["float32", "bfloat16"] = "float32"
    """Type of the weights while responses are sampled and gradients taken; steps are measured in
    float32 always."""

    hard: Share = 0.25
    """Prompts are hard if their group has at most this pass rate."""

    training_prompts: Whole = 0
    """Prompts of the training set that sharing is told for too; 0 for those of the probe."""

    resamples: Annotated[int, Interval(ge=100, le=100_000)] = 2000
    """Resamples of the prompts that intervals come from."""

    level: Probability = 0.95
    """Coverage of the intervals, in (0, 1)."""

    cpu: bool = False
    """Use the CPU even where there is a GPU."""

    threads: Threads = 0
    """CPU threads of torch; 0 leaves its default."""

    seed: Seed = 0
    """Seed of the tiny model, of sampling, of the projection and of the resamples."""

    description: str = ""
    """What the recipe is for, in a sentence."""

    def __post_init__(self) -> None:
        """Keep schemes as text that a run's configuration can hold, then check every field."""
        keep_schemes(self)
        super().__post_init__()

    def check_together(self) -> None:
        """Check what concerns several fields."""
        if not self.schemes:
            raise ValueError("schemes must name at least one scheme")
        for scheme in self.bound.values():
            scheme.check_group_size(self.group_size)
            if scheme.needs_baseline:
                raise ValueError(f"{scheme.name} needs a critic, which a probe does not have")
        for name in ("schemes", "optimizers", "sizes"):
            values = getattr(self, name)
            if len(set(values)) != len(values):
                raise ValueError(f"{name} must differ from each other; got {values}")
        if self.optimizers and not self.sizes:
            raise ValueError("sizes must name at least one size of a step")
        if self.hidden_size % 32:
            raise ValueError(f"hidden_size must be a multiple of 32; got {self.hidden_size}")
        try:
            re.compile(self.parameters)
        except re.error as error:
            raise ValueError(f"parameters must be a regular expression: {error}") from error
        if self.parameters and self.lora_rank:
            raise ValueError("give parameters or lora_rank, and not both")
        if self.model == "tiny" and self.task != "arithmetic":
            raise ValueError("the tiny model knows the characters of the arithmetic task alone")
        if self.model == "tiny" and self.samples_path:
            raise ValueError("samples_path needs the model that they were sampled from")

    @property
    def bound(self) -> dict[str, Scheme]:
        """The schemes by their names."""
        return schemes_by_name(self.schemes)

    @property
    def responses(self) -> int:
        """Responses of each prompt."""
        return self.group_size * self.groups


def list_recipes() -> list[str]:
    """Names of the recipes that ship with the package."""
    return recipe_names(RECIPES)


def load_recipe(name: str | Path) -> ProbeConfig:
    """Read a recipe.

    Args:
        name: Name of a shipped recipe, or path of a TOML file.

    Raises:
        FileNotFoundError: No such recipe (the message lists the shipped ones) or file.
        ValueError: Not TOML, or a field that is wrong.

    >>> load_recipe("tiny").model
    'tiny'
    """
    path = recipe_file(name, RECIPES)
    return ProbeConfig.from_dict(read_toml(path), where=str(path))
