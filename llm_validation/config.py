"""Configuration of a training run: one frozen dataclass, read from TOML recipes and overrides."""

from __future__ import annotations

import dataclasses
import functools
import math
from pathlib import Path
from typing import Annotated, Any, Literal

from annotated_types import Interval

from llm_validation.dead_groups import DeadGroups
from llm_validation.reward_split import RewardMode
from runs.configuration import (
    Configuration,
    Count,
    NotNegative,
    Nucleus,
    Positive,
    Probability,
    Seed,
    Steps,
    Threads,
    Whole,
    read_toml,
)
from runs.recipes import recipe_file, recipe_names
from theory.schedules import Schedule, parse_schedule
from theory.schemes import Scheme, keep_schemes, schemes_by_name

RECIPES = Path(__file__).parent / "recipes"
"""Folder of the recipes that ship with the package, one TOML file each."""

LARGEST_BATCH = 1 << 22
"""Most responses that are sampled at once."""


@dataclasses.dataclass(frozen=True)
class TrainConfig(Configuration):
    """One RLVR run: a model, a task, the schemes to compare and how each is trained.

    Every scheme is trained once per seed. Runs with the same seed share the initial model, the
    order of the prompts and the random numbers that responses are sampled with.
    """

    schemes: tuple[str, ...] = ("grpo", "sqrt_r")
    """Schemes to train, each a name in ``theory.schemes.SCHEMES`` with its options after a colon,
    such as ``"w_reinforce:reward=0.1"``, or one of your own as ``module:function``."""

    seeds: Annotated[int, Interval(ge=1, le=10_000)] = 2
    """Number of seeds; they are first_seed, first_seed + 1, ..."""

    first_seed: Seed = 0
    """The first seed."""

    steps: Steps = 200
    """Optimizer steps of each run."""

    model: str = "tiny"
    """Folder or hub id of a causal language model, or ``"tiny"`` for a transformer that is made
    from scratch and warmed up (see ``llm_validation.tiny_model``)."""

    initial_success: Probability = 0.01
    """Tiny model only: success probability ρ₀ the warm-up aims at, in (0, 1); on small_countdown
    the share of right demonstrations, of which a model learns less than all in few steps."""

    warm_up_steps: Steps = 400
    """Tiny model only: supervised steps before reinforcement."""

    hidden_size: Annotated[int, Interval(ge=32, le=8192)] = 64
    """Tiny model only: width; a multiple of 32."""

    layers: Annotated[int, Interval(ge=1, le=128)] = 2
    """Tiny model only: number of layers."""

    initial_seed: Seed | None = None
    """Tiny model only: seed of its weights and warm-up; None for the seed of each training."""

    initial_folder: str | None = None
    """Tiny model only: folder of initial models, shared by all runs that name it; None keeps them
    in the run's own folder."""

    task: str = "arithmetic"
    """Name for ``llm_validation.tasks.load_task``."""

    task_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    """Options of the task, such as ``{kind = "memorise"}``; on the command line ``kind=memorise``,
    in place of all of the recipe's."""

    train_path: str | None = None
    """File or hub id of the training rows; None for tasks that make their own."""

    test_path: str | None = None
    """File or hub id of the held-out rows; None for none."""

    task_limit: Annotated[int, Interval(ge=1, le=100_000_000)] | None = None
    """At most so many examples of each split; None for all."""

    task_seed: Seed = 0
    """Seed of generated tasks, the same for all seeds of the run."""

    prompts_per_step: Count = 16
    """Prompts per optimizer step, over all processes."""

    group_size: Annotated[int, Interval(ge=2, le=65_536)] = 16
    """Responses per prompt, M."""

    updates_per_generation: Annotated[int, Interval(ge=1, le=10_000)] = 1
    """Optimizer steps made on one batch of responses; that batch has prompts_per_step ×
    updates_per_generation prompts."""

    micro_batch: Whole = 0
    """Responses per forward and backward pass on one device; 0, or more than a device has, for a
    whole step."""

    max_prompt_tokens: Count = 1024
    """Longest prompt that is trained on, in tokens; longer ones are left out."""

    max_response_tokens: Count = 3
    """Longest response, in tokens."""

    temperature: Annotated[float, Interval(gt=0, le=100)] = 1.0
    """Sampling temperature, above 0."""

    top_p: Nucleus = 1.0
    """Nucleus of sampling, in (0, 1]."""

    learning_rate: Annotated[float, Interval(gt=0, le=1000)] = 4.5e-4
    """Step size of AdamW."""

    lora_rank: Annotated[int, Interval(ge=0, le=4096)] = 0
    """Rank of low-rank adapters (LoRA), which are then trained instead of the model; 0 for none."""

    lora_alpha: Positive | None = None
    """Scale of the adapters: what they add is times lora_alpha / lora_rank; None for twice the
    rank."""

    lora_targets: tuple[str, ...] = ()
    """Names of the linear layers that get adapters, such as q_proj; none for all but the output."""

    learning_rate_schedule: Literal["constant", "constant_with_warmup", "linear", "cosine"] = (
        "constant"
    )
    """``constant``, ``constant_with_warmup``, ``linear`` or ``cosine``."""

    learning_rate_warmup: Annotated[int, Interval(ge=0, le=100_000_000)] = 0
    """Steps over which the learning rate rises from 0."""

    weight_decay: NotNegative = 0.0
    """Decoupled weight decay."""

    max_grad_norm: NotNegative = 1.0
    """Gradient norm is clipped here; 0 for no clipping."""

    loss: Literal["dapo", "grpo", "dr_grpo", "bnpo", "cispo", "sapo", "luspo", "vespo"] = "dapo"
    """How token losses are averaged, in TRL's names; ``dapo`` is the mean over all tokens."""

    clip: Nucleus = 0.2
    """Ratio clip ε, below and above 1."""

    clip_high: Positive | None = None
    """Ratio clip above 1 if it differs (clip-higher); None for the same."""

    kl: NotNegative = 0.0
    """Coefficient of the KL divergence to the initial model."""

    length_penalty: NotNegative = 0.0
    """Taken off a response's reward for its length: length_penalty × tokens / max_response_tokens.
    It is shaping, beside the outcome that the scheme weighs."""

    shaping: RewardMode = "gate"
    """How shaping enters the advantages: ``gate``, centred in its group where a response is
    correct; ``add``, in every group; ``apart``, standardised by itself (GDPO); ``total``, the
    scheme takes outcome and shaping together, as TRL and verl do."""

    dead_groups: DeadGroups = "keep"
    """Groups whose responses are all right or all wrong: ``keep`` them, ``drop`` them from the
    loss, ``resample`` their prompts, or ``refill`` the batch with other prompts."""

    resample_tries: Annotated[int, Interval(ge=1, le=1000)] = 4
    """How often dead groups are sampled again in a step, before they are left out of the loss."""

    plan_every: Annotated[int, Interval(ge=0, le=1_000_000)] = 0
    """Batches of responses after which it is planned anew which prompts to take how often, by the
    outcomes so far (see ``llm_validation.prompt_planner``); 0 takes all in shuffled order."""

    plan_by: Literal["counts", "rates"] = "counts"
    """Whether plans go by counts of outcomes, or by every prompt's true pass rate, which is known
    exactly for the tiny model: what nobody has in practice, and counts are compared with."""

    plan_target: Probability = 0.9
    """Mean success that a plan is made for, of the prompts in reach, in (0, 1)."""

    plan_memory: Positive | None = None
    """Batches after which a response counts 1/e of a new one in a plan; None for those of an
    epoch."""

    plan_counts: str | None = None
    """File of correct responses and tries by prompt, as ``apw advise`` reads it, that the first
    plan is made from; its names are the ids of the task's prompts."""

    mask_truncated: bool = False
    """Leave responses cut off at max_response_tokens out of the loss."""

    schedules: dict[str, str] = dataclasses.field(default_factory=dict)
    """Scheme options that change with the optimizer step, as ``theory.schedules`` writes them, such
    as ``{zero_success = "warm_up:steps=50"}`` or ``{lam = "linear:start=1,end=0.1,steps=500"}``;
    each concerns the schemes that have the option."""

    engine: Literal["transformers", "vllm"] = "transformers"
    """What generates responses: ``transformers`` or ``vllm``."""

    vllm_mode: Literal["colocate", "server"] = "colocate"
    """``colocate`` (in the training process) or ``server``."""

    vllm_memory: Nucleus = 0.3
    """Share of the GPU's memory that colocated vLLM takes."""

    vllm_tensor_parallel: Annotated[int, Interval(ge=1, le=1024)] = 1
    """GPUs that one copy of the model is spread over in vLLM."""

    vllm_host: str = "127.0.0.1"
    """Where the vLLM server of mode ``server`` listens."""

    vllm_port: Annotated[int, Interval(ge=1, le=65_535)] = 8000
    """Its port."""

    dtype: Literal["float32", "mixed", "bfloat16"] = "float32"
    """``float32``; ``mixed``, float32 weights that are multiplied in bfloat16; or ``bfloat16`` for
    everything, whose eight bits lose AdamW's steps at learning rates below about 1e-4 (see the dry
    run)."""

    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass to save memory."""

    cpu: bool = False
    """Train on the CPU even where there is a GPU."""

    threads: Threads = 0
    """CPU threads of torch; 0 leaves its default."""

    measure_every: Annotated[int, Interval(ge=0, le=100_000_000)] = 10
    """Steps between measurements of the exact success probability (tiny model); 0 measures at the
    start and the end only."""

    stop_at: Probability | None = None
    """Tiny model only: end a run as soon as the measured success probability is this high, in (0,
    1); None runs all steps."""

    checkpoint_every: Annotated[int, Interval(ge=0, le=100_000_000)] = 50
    """Steps between checkpoints; 0 for none before the end."""

    save_models: bool = False
    """Keep each trained model under ``models/`` in the run folder."""

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
        if len(set(self.schemes)) != len(self.schemes):
            raise ValueError(f"schemes must differ from each other; got {', '.join(self.schemes)}")
        if self.first_seed + self.seeds > 1 << 32:
            raise ValueError(f"seeds must be below 2³²; got {self.seeds} from {self.first_seed}")
        if self.stop_at is not None and self.model != "tiny":
            raise ValueError("stop_at needs model = 'tiny', whose success is measured exactly")
        if self.hidden_size % 32:
            raise ValueError(f"hidden_size must be a multiple of 32; got {self.hidden_size}")
        if (self.lora_alpha or self.lora_targets) and not self.lora_rank:
            raise ValueError("lora_alpha and lora_targets need a lora_rank of at least 1")
        for scheme in self.bound.values():
            scheme.check_group_size(self.group_size)
        rates = self.plan_by == "rates"
        if not self.plan_every and (self.plan_memory or self.plan_counts or rates):
            raise ValueError(
                "plan_memory, plan_counts and plan_by are of plans: they need plan_every of at "
                "least 1"
            )
        if rates and (self.plan_counts or self.model != "tiny"):
            raise ValueError(
                "plan_by = 'rates' needs model = 'tiny', whose pass rates are known exactly, and "
                "no plan_counts"
            )
        if self.length_penalty and self.shaping == "total":
            for name, scheme in self.bound.items():
                if not scheme.shift_invariant:
                    raise ValueError(
                        f"shaping = 'total' is for schemes that take rewards of any scale; {name} "
                        "weighs the outcome"
                    )
        for option, text in self.schedules.items():
            parse_schedule(text)
            if not any(option in scheme.options for scheme in self.bound.values()):
                raise ValueError(f"no scheme of this run has the scheduled option {option!r}")
        whole = self.responses_per_step
        if whole * self.updates_per_generation > LARGEST_BATCH:
            raise ValueError(
                "prompts_per_step × group_size × updates_per_generation must be at most "
                f"{LARGEST_BATCH:,}; got {whole * self.updates_per_generation:,}"
            )
        if self.micro_batch and whole % min(self.micro_batch, whole):
            raise ValueError(
                f"micro_batch must divide prompts_per_step × group_size = {whole}; "
                f"got {self.micro_batch}"
            )

    @functools.cached_property
    def bound(self) -> dict[str, Scheme]:
        """The schemes by their names."""
        return schemes_by_name(self.schemes)

    @property
    def critics(self) -> list[str]:
        """Names of the schemes that need a critic."""
        return [name for name, scheme in self.bound.items() if scheme.needs_baseline]

    @property
    def lora_scale(self) -> float:
        """α of the adapters."""
        return self.lora_alpha or 2.0 * self.lora_rank

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

    def schedules_of(self, scheme: Scheme) -> dict[str, Schedule]:
        """Schedules of the options that a scheme has.

        >>> config = TrainConfig(schedules={"zero_success": "warm_up:steps=50"})
        >>> config.schedules_of(config.bound["sqrt_r"]), config.schedules_of(config.bound["grpo"])
        ({'zero_success': WarmUp(steps=50)}, {})
        """
        schedules = self.schedules.items()
        return {o: parse_schedule(text) for o, text in schedules if o in scheme.options}


def list_recipes() -> list[str]:
    """Names of the recipes that ship with the package."""
    return recipe_names(RECIPES)


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
    path = recipe_file(name, RECIPES)
    changed = {field: value for field, value in overrides.items() if value is not None}
    return TrainConfig.from_dict({**read_toml(path), **changed}, where=str(path))
