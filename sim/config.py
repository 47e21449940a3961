"""What a simulation is: one frozen dataclass, complete, checked on construction."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from sim.starts import check_start
from theory.schemes import resolve


@dataclasses.dataclass(frozen=True)
class SimulationConfig:
    """A simulation: prompts, a policy, a learner, and every scheme under every seed.

    Raises:
        ValueError: A value that is not allowed; the message is one sentence saying what is.

    >>> SimulationConfig(schemes=("grpo", "sqrt_r"), prompts=8).schemes
    ('grpo', 'sqrt_r')
    """

    schemes: tuple[str, ...] = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")
    """Prompt-weighting schemes, each run under every seed; options may follow a colon, as in
    ``plateau_r:threshold=0.3``."""

    seeds: int = 5
    """Number of seeds. Seed number s has the same prompts and draws under every scheme."""

    seed: int = 0
    """First seed; the run uses seed, seed + 1, ..."""

    prompts: int = 256
    """Number of training prompts."""

    answers: int = 16
    """Number of possible answers to each prompt."""

    correct_answers: int = 2
    """How many of the answers are correct."""

    prior_spread: float = 1.0
    """Standard deviation of the initial log-probabilities among the correct answers, and among
    the wrong ones; 0 makes each of the two kinds uniform."""

    start: float | str = 0.01
    """Initial success probability ρ₀: a number, ``beta:a,b``, ``loguniform:low,high``, or
    ``file:path`` with measured pass rates."""

    target: float = 0.9
    """Mean success at which the clock is stopped."""

    group_size: int | None = 16
    """Responses per prompt and update, M; none is the population limit M → ∞, which only the
    exact mirror learner knows."""

    learner: Literal["mirror", "natural", "softmax"] = "softmax"
    """``mirror``: exact KL-proximal step with expected advantages; ``natural``: natural gradient
    from sampled groups, whose expectation is the mirror step; ``softmax``: sampled policy
    gradient on the logits."""

    learning_rate: float = 0.1
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

    Raises:
        ValueError: An unknown field, a value of the wrong type, or one that is not allowed.

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
        if not _has_type(value, hints[name]):
            raise ValueError(f"{name} must be of type {_type_name(hints[name])}; got {value!r}")
        read[name] = value
    return SimulationConfig(**read)


def _check(config: SimulationConfig) -> None:
    at_least = {"seeds": 1, "seed": 0, "prompts": 1, "answers": 2, "correct_answers": 1,
                "steps": 1, "measure_every": 1, "checkpoint_every": 1}  # fmt: skip
    for name, least in at_least.items():
        value = getattr(config, name)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ValueError(f"{name} must be a whole number of at least {least}; got {value!r}")
    for name, value in _choices(config).items():
        allowed = typing.get_args(typing.get_type_hints(SimulationConfig)[name])
        if value not in allowed:
            raise ValueError(f"{name} must be one of {', '.join(allowed)}; got {value!r}")
    if config.correct_answers >= config.answers:
        raise ValueError(
            f"correct_answers must be below answers, so that a wrong answer exists; got "
            f"{config.correct_answers} of {config.answers}"
        )
    if config.steps % config.measure_every:
        raise ValueError(
            f"measure_every must divide steps; got {config.measure_every} and {config.steps}"
        )
    if not 0 <= config.prior_spread < float("inf"):
        raise ValueError(f"prior_spread must be at least 0; got {config.prior_spread}")
    if not 0 < config.target < 1:
        raise ValueError(f"target must lie in (0, 1); got {config.target}")
    if not config.pass_k or any(k < 1 for k in config.pass_k):
        raise ValueError(f"pass_k must name whole numbers of at least 1; got {config.pass_k}")
    check_start(config.start)
    _check_schemes(config)


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
        if bound.needs_confidence and config.learner == "mirror":
            raise ValueError(
                f"{bound.name} has no expected advantage in closed form; use a sampling learner"
            )
    unknown = sorted(set(config.learning_rates) - set(config.schemes))
    if unknown:
        raise ValueError(
            f"learning_rates names {unknown[0]!r}, which is not among schemes: "
            f"{', '.join(config.schemes)}"
        )
    for rate in (config.learning_rate, *config.learning_rates.values()):
        if not 0 < rate < float("inf"):
            raise ValueError(f"a learning rate must be positive and finite; got {rate}")


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
