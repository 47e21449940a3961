"""What a simulation is: one frozen dataclass, complete, checked on construction."""

from __future__ import annotations

import dataclasses
import functools
from typing import Annotated, Literal

from annotated_types import Interval

from runs.configuration import (
    Configuration,
    Count,
    GroupSize,
    NotNegative,
    Positive,
    Probability,
    Seed,
    Share,
    Steps,
    Whole,
)
from sim.policies.tree_shape import LONGEST, TreeShape
from sim.starts import Start, read_start
from theory.schedules import parse_schedule
from theory.schemes import SCHEMES, Scheme, keep_schemes, schemes_by_name

LARGEST_SEED = 1 << 32
"""Seeds are 32 bits of the generator's key."""

SCHEDULABLE = ("lam", "zero_success", "alpha")
"""Options of schemes that may change during a run, see theory.schedules.scheme_at."""

LARGEST_ARRAY = 1 << 30
"""Most numbers in one array of a simulation, 4 GiB: responses of an update, or parameters."""

LARGEST_FISHER = 1024
"""Most parameters of a log-linear policy whose Fisher matrix is solved at every update."""


@dataclasses.dataclass(frozen=True)
class SimulationConfig(Configuration):
    """A simulation: prompts, a policy, a learner, and every scheme under every seed.

    Raises:
        ValueError: A value that is not allowed; the message is one sentence saying what is.
        FileNotFoundError: A start from a file that is not there.

    >>> SimulationConfig(schemes=("grpo", "sqrt_r"), prompts=8).schemes
    ('grpo', 'sqrt_r')
    """

    schemes: tuple[str, ...] = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")
    """Prompt-weighting schemes, each run under every seed; options may follow a colon, as in
    ``plateau_r:threshold=0.3``. One of your own is ``module:function``."""

    seeds: Annotated[int, Interval(ge=1, le=10_000)] = 5
    """Number of seeds. Seed number s has the same prompts and draws under every scheme."""

    seed: Seed = 0
    """First seed; the run uses seed, seed + 1, ..., all below 2³²."""

    prompts: Count = 256
    """Number of training prompts."""

    held_out_prompts: Whole = 0
    """Number of prompts that are measured but never trained on; needs shared parameters."""

    policy: Literal["bandit", "tree", "log_linear"] = "bandit"
    """``bandit``: independent logits per prompt and answer; ``tree``: answers of several tokens,
    independent logits per prompt and prefix; ``log_linear``: logits linear in features that
    prompts share."""

    answers: Annotated[int, Interval(ge=2, le=65_536)] = 16
    """Number of possible answers to each prompt; the tree counts its own."""

    correct_answers: Count = 2
    """How many of the answers are correct."""

    decoys: Whole = 0
    """Wrong answers in which the initial policy is confident."""

    decoy_mass: Probability = 0.8
    """Share of the wrong mass that the decoys have together."""

    symbols: Annotated[int, Interval(ge=2, le=65_536)] = 4
    """Tree: number of tokens V, the end token included."""

    length: Annotated[int, Interval(ge=1, le=LONGEST)] = 3
    """Tree: largest number of tokens L of an answer."""

    end_token: bool = True
    """Tree: whether the last symbol ends an answer, so that lengths differ."""

    features: Annotated[int, Interval(ge=1, le=65_536)] = 16
    """Log-linear: number of features φ; fewer features make prompts share more."""

    rule: Share = 1.0
    """Log-linear: fraction of prompts whose correct answers follow from their features; the
    others can only be memorised."""

    sharing: Share | None = None
    """Log-linear: if given, features and rule are replaced by a table in which a share s of what
    a prompt learns comes from the average of the batch and 1 − s from its own responses, and the
    same answers are correct everywhere: the setting of theory.learning_time."""

    prior_spread: Annotated[float, Interval(ge=0, le=100)] = 1.0
    """Standard deviation of the initial log-probabilities among the correct answers, and among
    the wrong ones; 0 makes each of the two kinds uniform."""

    start: float | str = 0.01
    """Initial success probability ρ₀: a number, ``beta:a,b``, ``loguniform:low,high``, or
    ``file:path`` with what was measured, a prompt a row: correct responses and responses, or pass
    rates, in .csv, .json, .jsonl, .parquet or text."""

    column: str = "pass_rate"
    """Column of the pass rates in the file of ``start``."""

    tries: Annotated[int, Interval(ge=1, le=1_000_000)] | None = None
    """Responses that measured each pass rate of that file, where it does not say it; known tries
    make every prompt start at a draw from its posterior, see theory.beta_binomial."""

    target: Probability = 0.9
    """Mean success at which the clock is stopped."""

    group_size: GroupSize | None = 16
    """Responses per prompt and update, M; none is the population limit M → ∞, which only the
    exact mirror learner knows."""

    learner: Literal["mirror", "natural", "softmax", "ppo"] = "softmax"
    """``mirror``: exact KL-proximal step with expected advantages; ``natural``: natural gradient
    from sampled groups, whose expectation is the mirror step (log_linear: what of it the features
    can express, nearest in the Fisher metric); ``softmax``: REINFORCE, the sampled
    policy gradient on the parameters; ``ppo``: several epochs of the clipped surrogate on each
    batch of responses."""

    optimizer: Literal["sgd", "adam"] = "sgd"
    """What softmax and ppo do with their gradient."""

    batch: Count | None = None
    """Prompts per update, drawn again each time; none is all of them. Needs shared parameters:
    prompts that share nothing would only wait for their turn."""

    epochs: Annotated[int, Interval(ge=1, le=10_000)] = 4
    """ppo: gradient steps on each batch of responses."""

    clip_low: Probability = 0.2
    """ppo: ε of the lower clip 1 − ε."""

    clip_high: Positive = 0.2
    """ppo: ε of the upper clip 1 + ε; larger than clip_low is DAPO's clip-higher."""

    entropy_bonus: NotNegative = 0.0
    """Coefficient of the exact entropy in the objective of softmax and ppo."""

    kl_penalty: NotNegative = 0.0
    """Coefficient of the exact KL(π‖π₀) in the objective of softmax and ppo."""

    dynamic_attempts: Annotated[int, Interval(ge=1, le=10_000)] = 10
    """Scheme dapo: how often a group is sampled until it is mixed; 1 switches resampling off.
    Learner mirror samples nothing: its dapo is grpo."""

    schedules: dict[str, str] = dataclasses.field(default_factory=dict)
    """Schedules of the scheme options lam, zero_success and alpha, such as
    ``lam = "linear:start=1,end=0.1,steps=200"``; they apply to the schemes that have the option,
    see theory.schedules."""

    learning_rate: Positive = 1.0
    """Step size η of every scheme not named in ``learning_rates``."""

    learning_rates: dict[str, Positive] = dataclasses.field(default_factory=dict)
    """Step sizes of single schemes, by the name used in ``schemes``."""

    comparison: Literal["same_rate", "same_budget"] = "same_rate"
    """``same_rate``: step sizes as given; ``same_budget``: a scheme's step size is multiplied by
    ∫ω_GRPO dρ / ∫ω dρ (mean over prompts, from ρ₀ to the target), so that η ∫ω dρ is the same for
    all, the constraint under which theory.optimal compares."""

    steps: Steps = 400
    """Number of updates."""

    measure_every: Steps = 10
    """Updates between measurements; divides ``steps``."""

    checkpoint_every: Steps = 10
    """Measurements between checkpoints; what a killed run repeats at most."""

    pass_k: tuple[Annotated[int, Interval(ge=1, le=1 << 30)], ...] = (1, 4, 16, 64, 256, 1024)
    """Numbers of samples k at which pass@k is measured."""

    precision: Literal["float32", "float64"] = "float32"
    """Floating type of the simulation."""

    generator: Literal["hash", "threefry"] = "hash"
    """Random bits: ``hash`` is the fast counter-based generator of sim.counter, ``threefry`` that
    of jax.random, slower and the reference."""

    def __post_init__(self) -> None:
        """Keep schemes as text that a run's configuration can hold, then check every field."""
        keep_schemes(self)
        super().__post_init__()

    @functools.cached_property
    def bound(self) -> dict[str, Scheme]:
        """The schemes by their names."""
        return schemes_by_name(self.schemes)

    @property
    def first(self) -> Start:
        """The start, with what was measured read from its file."""
        return read_start(self.start, self.column, self.tries)

    def check_together(self) -> None:
        """Check what concerns several fields."""
        _check(self)


def _check(config: SimulationConfig) -> None:
    if config.seed + config.seeds > LARGEST_SEED:
        raise ValueError(f"seeds must be below 2³²; got {config.seeds} from {config.seed}")
    if config.steps % config.measure_every:
        raise ValueError(
            f"measure_every must divide steps; got {config.measure_every} and {config.steps}"
        )
    _check_size(config)
    _check_learner(config)
    _check_policy(config)
    if not config.pass_k:
        raise ValueError("pass_k must name at least one number of samples")
    read_start(config.start, config.column, config.tries)
    _check_schemes(config)


def _check_size(config: SimulationConfig) -> None:
    prompts = config.prompts + config.held_out_prompts
    rows = {"answers": prompts * config.answers, "group_size": prompts * (config.group_size or 1)}
    for name, size in rows.items():
        if config.seeds * size > LARGEST_ARRAY:
            raise ValueError(
                f"seeds × prompts × {name} must be at most {LARGEST_ARRAY:,}, which must fit into "
                f"memory; got {config.seeds * size:,}"
            )


def _check_policy(config: SimulationConfig) -> None:
    answers = config.answers
    if config.policy == "tree":
        answers = tree_shape(config).answers
    if config.correct_answers >= answers:
        raise ValueError(
            f"correct_answers must be below answers, so that a wrong answer exists; got "
            f"{config.correct_answers} of {answers}"
        )
    wrong = answers - config.correct_answers
    if config.decoys and config.decoys >= wrong:
        raise ValueError(f"decoys must be below the {wrong} wrong answers; got {config.decoys}")
    if config.policy != "log_linear":
        for name in ("held_out_prompts", "batch", "sharing"):
            if getattr(config, name) not in (None, 0) or (name, config.sharing) == ("sharing", 0):
                raise ValueError(
                    f"{name} needs prompts that share parameters: set policy to log_linear"
                )
    elif config.batch is not None and config.batch > config.prompts:
        raise ValueError(f"batch must be at most prompts, {config.prompts}; got {config.batch}")
    if config.sharing is not None and config.held_out_prompts:
        raise ValueError("sharing gives every prompt a row of its own: there is nothing held out")


def _check_learner(config: SimulationConfig) -> None:
    exact = config.learner in ("mirror", "natural")
    if config.policy == "log_linear" and config.learner == "mirror":
        raise ValueError(
            "learner mirror moves every prompt's distribution by itself, which shared parameters "
            "do not allow: use natural, its sampled projection on the features, softmax or ppo"
        )
    if config.policy == "log_linear" and config.learner == "natural":
        rows = config.prompts + 1 if config.sharing is not None else config.features
        if rows * config.answers > LARGEST_FISHER:
            raise ValueError(
                "learner natural solves for features × answers parameters of a log_linear policy, "
                f"at most {LARGEST_FISHER:,}; got {rows} × {config.answers}"
            )
    if exact and (config.optimizer != "sgd" or config.entropy_bonus or config.kl_penalty):
        raise ValueError(
            f"learner {config.learner} takes plain steps: optimizer, entropy_bonus and kl_penalty "
            "belong to softmax and ppo"
        )
    for option, text in config.schedules.items():
        parse_schedule(text)
        if option not in SCHEDULABLE:
            raise ValueError(f"schedules may change {', '.join(SCHEDULABLE)}; got {option!r}")
        if not any(option in scheme.options for scheme in config.bound.values()):
            raise ValueError(f"schedules names {option!r}, which no scheme of the run has")
    if config.schedules and config.learner == "mirror":
        raise ValueError(
            "schedules need a learner that samples, natural, softmax or ppo: mirror takes the "
            "expected step of a scheme that stays the same"
        )


def tree_shape(config: SimulationConfig) -> TreeShape:
    """Answers of the configuration's tree."""
    return TreeShape(config.length, config.symbols, config.end_token)


def _check_schemes(config: SimulationConfig) -> None:
    if not config.schemes:
        raise ValueError("schemes must name at least one scheme")
    if len(set(config.schemes)) < len(config.schemes):
        raise ValueError(f"schemes must differ from each other; got {', '.join(config.schemes)}")
    if config.group_size is None and config.learner != "mirror":
        raise ValueError(
            f"learner {config.learner} samples groups and needs a group_size; only mirror has a "
            "population limit"
        )
    for bound in config.bound.values():
        if config.group_size is not None:
            bound.check_group_size(config.group_size)
        if config.learner == "mirror" and (bound.needs_confidence or bound.needs_baseline):
            raise ValueError(
                f"{bound.name} has no table of advantages, which the mirror learner needs; use a "
                "sampling learner"
            )
        if config.comparison == "same_budget":
            _check_budget(config, bound)
    unknown = sorted(set(config.learning_rates) - set(config.schemes))
    if unknown:
        raise ValueError(
            f"learning_rates names {unknown[0]!r}, which is not among schemes: "
            f"{', '.join(config.schemes)}"
        )


def _check_budget(config: SimulationConfig, scheme: Scheme) -> None:
    if config.group_size is not None:
        SCHEMES["grpo"].check_group_size(config.group_size)  # its budget is the measure
    if scheme.needs_confidence or scheme.needs_baseline:
        raise ValueError(
            f"comparison same_budget integrates the weight of a table, which {scheme.name} has "
            "not: use same_rate, with learning_rates"
        )
    if any(option in scheme.options for option in config.schedules):
        raise ValueError(
            f"comparison same_budget needs a weight that stays the same, and schedules change "
            f"{scheme.name}'s: use same_rate, with learning_rates"
        )
