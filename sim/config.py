"""What a simulation is: one frozen dataclass, complete, checked on construction."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from sim.policies.tree_shape import TreeShape
from sim.starts import check_start
from theory.schedules import parse_schedule
from theory.schemes import Scheme, resolve

LARGEST_SEED = 1 << 32
"""Seeds are 32 bits of the generator's key."""

SCHEDULABLE = ("lam", "zero_success", "alpha")
"""Options of schemes that may change during a run, see theory.schedules.scheme_at."""

LARGEST_FISHER = 1024
"""Most parameters of a log-linear policy whose Fisher matrix is solved at every update."""


@dataclasses.dataclass(frozen=True)
class SimulationConfig:
    """A simulation: prompts, a policy, a learner, and every scheme under every seed.

    Raises:
        ValueError: A value that is not allowed; the message is one sentence saying what is.
        FileNotFoundError: A start from a file that is not there.

    >>> SimulationConfig(schemes=("grpo", "sqrt_r"), prompts=8).schemes
    ('grpo', 'sqrt_r')
    """

    schemes: tuple[str, ...] = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")
    """Prompt-weighting schemes, each run under every seed; options may follow a colon, as in
    ``plateau_r:threshold=0.3``."""

    seeds: int = 5
    """Number of seeds. Seed number s has the same prompts and draws under every scheme."""

    seed: int = 0
    """First seed; the run uses seed, seed + 1, ..., all below 2³²."""

    prompts: int = 256
    """Number of training prompts."""

    held_out_prompts: int = 0
    """Number of prompts that are measured but never trained on; needs shared parameters."""

    policy: Literal["bandit", "tree", "log_linear"] = "bandit"
    """``bandit``: independent logits per prompt and answer; ``tree``: answers of several tokens,
    independent logits per prompt and prefix; ``log_linear``: logits linear in features that
    prompts share."""

    answers: int = 16
    """Number of possible answers to each prompt; the tree counts its own."""

    correct_answers: int = 2
    """How many of the answers are correct."""

    decoys: int = 0
    """Wrong answers in which the initial policy is confident."""

    decoy_mass: float = 0.8
    """Share of the wrong mass that the decoys have together."""

    symbols: int = 4
    """Tree: number of tokens V, the end token included."""

    length: int = 3
    """Tree: largest number of tokens L of an answer."""

    end_token: bool = True
    """Tree: whether the last symbol ends an answer, so that lengths differ."""

    features: int = 16
    """Log-linear: number of features φ; fewer features make prompts share more."""

    rule: float = 1.0
    """Log-linear: fraction of prompts whose correct answers follow from their features; the
    others can only be memorised."""

    sharing: float | None = None
    """Log-linear: if given, features and rule are replaced by a table in which a share s of what
    a prompt learns comes from the average of the batch and 1 − s from its own responses, and the
    same answers are correct everywhere: the setting of theory.learning_time."""

    prior_spread: float = 1.0
    """Standard deviation of the initial log-probabilities among the correct answers, and among
    the wrong ones; 0 makes each of the two kinds uniform."""

    start: float | str = 0.01
    """Initial success probability ρ₀: a number, ``beta:a,b``, ``loguniform:low,high``, or
    ``file:path`` with measured pass rates, CSV, JSON or Parquet."""

    target: float = 0.9
    """Mean success at which the clock is stopped."""

    group_size: int | None = 16
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

    batch: int | None = None
    """Prompts per update, drawn anew each time; none is all of them. Needs shared parameters:
    prompts that share nothing would only wait for their turn."""

    epochs: int = 4
    """ppo: gradient steps on each batch of responses."""

    clip_low: float = 0.2
    """ppo: ε of the lower clip 1 − ε."""

    clip_high: float = 0.2
    """ppo: ε of the upper clip 1 + ε; larger than clip_low is DAPO's clip-higher."""

    entropy_bonus: float = 0.0
    """Coefficient of the exact entropy in the objective of softmax and ppo."""

    kl_penalty: float = 0.0
    """Coefficient of the exact KL(π‖π₀) in the objective of softmax and ppo."""

    dynamic_attempts: int = 10
    """Scheme dapo: how often a group is sampled until it is mixed; 1 switches resampling off.
    Learner mirror samples nothing: its dapo is grpo."""

    schedules: dict[str, str] = dataclasses.field(default_factory=dict)
    """Schedules of the scheme options lam, zero_success and alpha, such as
    ``lam = "linear:start=1,end=0.1,steps=200"``; they apply to the schemes that have the option,
    see theory.schedules."""

    learning_rate: float = 1.0
    """Step size η of every scheme not named in ``learning_rates``."""

    learning_rates: dict[str, float] = dataclasses.field(default_factory=dict)
    """Step sizes of single schemes, by the name used in ``schemes``."""

    comparison: Literal["same_rate", "same_budget"] = "same_rate"
    """``same_rate``: step sizes as given; ``same_budget``: a scheme's step size is multiplied by
    ∫ω_GRPO dρ / ∫ω dρ (mean over prompts, from ρ₀ to the target), so that η ∫ω dρ is the same for
    all, the constraint under which theory.optimal compares."""

    steps: int = 400
    """Number of updates."""

    measure_every: int = 10
    """Updates between measurements; divides ``steps``."""

    checkpoint_every: int = 10
    """Measurements between checkpoints; what a killed run repeats at most."""

    pass_k: tuple[int, ...] = (1, 4, 16, 64, 256, 1024)
    """Numbers of samples k at which pass@k is measured."""

    precision: Literal["float32", "float64"] = "float32"
    """Floating type of the simulation."""

    generator: Literal["hash", "threefry"] = "hash"
    """Random bits: ``hash`` is the fast counter-based generator of sim.counter, ``threefry`` that
    of jax.random, slower and the reference."""

    def __post_init__(self) -> None:
        _check(self)


def to_dict(config: SimulationConfig) -> dict[str, Any]:
    """The configuration as JSON types; ``from_dict`` reads it back."""
    values = dataclasses.asdict(config)
    return {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}


def from_dict(values: Mapping[str, Any]) -> SimulationConfig:
    """Build a configuration from JSON or TOML values; omitted fields keep their defaults.

    Where a field may be none, the text ``"none"`` says so.

    Raises:
        ValueError: An unknown field, a value of the wrong type, or one that is not allowed.
        FileNotFoundError: A start from a file that is not there.

    >>> from_dict({"schemes": ["grpo"], "steps": 20}).steps
    20
    """
    hints = typing.get_type_hints(SimulationConfig)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise ValueError(f"unknown field {unknown[0]!r}; a simulation has: {', '.join(hints)}")
    read: dict[str, Any] = {}
    for name, value in values.items():
        value = tuple(value) if isinstance(value, list) else value
        if value == "none" and _has_type(None, hints[name]):
            value = None  # TOML has no other word for it
        if not _has_type(value, hints[name]):
            raise ValueError(f"{name} must be of type {_type_name(hints[name])}; got {value!r}")
        read[name] = value
    return SimulationConfig(**read)


def _check(config: SimulationConfig) -> None:
    at_least = {"seeds": 1, "seed": 0, "prompts": 1, "held_out_prompts": 0, "answers": 2,
                "correct_answers": 1, "decoys": 0, "symbols": 2, "length": 1, "features": 1,
                "epochs": 1, "dynamic_attempts": 1, "steps": 1, "measure_every": 1,
                "checkpoint_every": 1}  # fmt: skip
    for name, least in at_least.items():
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}; got {value!r}")
    for name, value in _choices(config).items():
        allowed = typing.get_args(typing.get_type_hints(SimulationConfig)[name])
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")
    if config.seed + config.seeds > LARGEST_SEED:
        raise ValueError(f"seeds must be below 2³²; got {config.seeds} from {config.seed}")
    if config.steps % config.measure_every:
        raise ValueError(
            f"measure_every must divide steps; got {config.measure_every} and {config.steps}"
        )
    _check_learner(config)
    _check_policy(config)
    if not 0 <= config.prior_spread < float("inf"):
        raise ValueError(f"prior_spread must be at least 0; got {config.prior_spread}")
    if not 0 < config.target < 1:
        raise ValueError(f"target must lie in (0, 1); got {config.target}")
    if not config.pass_k or any(k < 1 for k in config.pass_k):
        raise ValueError(f"pass_k must name whole numbers of at least 1; got {config.pass_k}")
    check_start(config.start)
    _check_schemes(config)


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
    if not 0 < config.decoy_mass < 1:
        raise ValueError(f"decoy_mass must lie in (0, 1); got {config.decoy_mass}")
    if not 0 <= config.rule <= 1:
        raise ValueError(f"rule must lie in [0, 1]; got {config.rule}")
    if config.sharing is not None and not 0 <= config.sharing <= 1:
        raise ValueError(f"sharing must lie in [0, 1]; got {config.sharing}")
    if config.policy != "log_linear":
        for name in ("held_out_prompts", "batch", "sharing"):
            if getattr(config, name) not in (None, 0) or (name, config.sharing) == ("sharing", 0):
                raise ValueError(
                    f"{name} needs prompts that share parameters: set policy to log_linear"
                )
    elif config.batch is not None and not 1 <= config.batch <= config.prompts:
        raise ValueError(
            f"batch must be a whole number of at least 1 and at most prompts, {config.prompts}; "
            f"got {config.batch}"
        )
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
    for name in ("clip_low", "clip_high"):
        if not 0 < getattr(config, name) < float("inf"):
            raise ValueError(f"{name} must be positive; got {getattr(config, name)}")
    if config.clip_low >= 1:
        raise ValueError(f"clip_low must be below 1; got {config.clip_low}")
    for name in ("entropy_bonus", "kl_penalty"):
        if not 0 <= getattr(config, name) < float("inf"):
            raise ValueError(f"{name} must be at least 0; got {getattr(config, name)}")
    for option, text in config.schedules.items():
        parse_schedule(text)
        if option not in SCHEDULABLE:
            raise ValueError(f"schedules may change {', '.join(SCHEDULABLE)}; got {option!r}")
        if not any(option in resolve(scheme).options for scheme in config.schemes):
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
    for scheme in config.schemes:
        bound = resolve(scheme)
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
    for rate in (config.learning_rate, *config.learning_rates.values()):
        if not 0 < rate < float("inf"):
            raise ValueError(f"a learning rate must be positive and finite; got {rate}")


def _check_budget(config: SimulationConfig, scheme: Scheme) -> None:
    if config.group_size is not None:
        resolve("grpo").check_group_size(config.group_size)  # its budget is the measure
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


def _choices(config: SimulationConfig) -> dict[str, Any]:
    hints = typing.get_type_hints(SimulationConfig)
    return {
        name: getattr(config, name)
        for name, hint in hints.items()
        if typing.get_origin(hint) is Literal
    }


def _has_type(value: Any, hint: Any) -> bool:
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is Literal:
        return True  # the value itself is checked on construction
    if origin in (typing.Union, types.UnionType):
        return any(_has_type(value, option) for option in inner)
    if origin is tuple:
        return isinstance(value, tuple) and all(_has_type(item, inner[0]) for item in value)
    if origin is dict:
        return isinstance(value, dict) and all(_has_type(item, inner[1]) for item in value.values())
    if hint is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if hint is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, hint)


def _type_name(hint: Any) -> str:
    return hint.__name__ if isinstance(hint, type) else str(hint).replace("typing.", "")
