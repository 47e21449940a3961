"""Options that change during training: λ of W-REINFORCE, and the warm-up of all-wrong groups.

A schedule maps the training step (and the policy's entropy, for the one that listens to it) to a
number. Every schedule traces under ``jax.jit`` when the step is traced, and returns a Python float
for a Python number. As text, as in recipes: ``"linear:start=1,end=0.1,steps=500"``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Protocol

import array_api_compat

from theory._arrays import Array, as_floating, check_interval, namespace
from theory._options import split_reference
from theory.schemes import Scheme, SchemeLike, resolve


class Schedule(Protocol):
    """A value that depends on the training step.

    Source: λ by training stage is named as an open direction around arXiv 2506.01347.

    >>> schedule: Schedule = Constant(0.1)
    >>> schedule(7)
    0.1
    """

    def __call__(self, step: Array | int, *, entropy: Array | float | None = None) -> Any:
        """Value at ``step`` ≥ 0, given the policy's mean entropy in nats."""
        ...  # pragma: no cover


@dataclasses.dataclass(frozen=True)
class Constant:
    """The same value at every step.

    Attributes:
        value: The value, at least 0.

    Source: arXiv 2506.01347 uses λ = 0.1 throughout.

    >>> Constant(0.1)(1000)
    0.1
    """

    value: float = 0.1

    def __post_init__(self) -> None:
        _check_values(self)

    def __call__(self, step: Array | int, *, entropy: Array | float | None = None) -> Any:
        """Return the value."""
        return self.value


@dataclasses.dataclass(frozen=True)
class Linear:
    """From ``start`` to ``end`` in equal steps, then ``end``: start + (end − start)·min(t/n, 1).

    Attributes:
        start: Value at step 0, at least 0.
        end: Value from step n on, at least 0.
        steps: n, at least 1.

    >>> Linear(start=1.0, end=0.0, steps=4)(1)
    0.75
    """

    start: float = 1.0
    end: float = 0.1
    steps: int = 100

    def __post_init__(self) -> None:
        _check_values(self)

    def __call__(self, step: Array | int, *, entropy: Array | float | None = None) -> Any:
        """Return the value at ``step``."""
        return self.start + (self.end - self.start) * _progress(step, self.steps)


@dataclasses.dataclass(frozen=True)
class Cosine:
    """From ``start`` to ``end`` along half a cosine, flat at both ends, then ``end``.

    The value is end + (start − end)(1 + cos πs)/2 with s = min(t/n, 1).

    Attributes:
        start: Value at step 0, at least 0.
        end: Value from step n on, at least 0.
        steps: n, at least 1.

    >>> round(Cosine(start=1.0, end=0.0, steps=4)(2), 12)
    0.5
    """

    start: float = 1.0
    end: float = 0.1
    steps: int = 100

    def __post_init__(self) -> None:
        _check_values(self)

    def __call__(self, step: Array | int, *, entropy: Array | float | None = None) -> Any:
        """Return the value at ``step``."""
        progress = _progress(step, self.steps)
        if isinstance(progress, float):
            share = math.sin(math.pi * progress / 2) ** 2
        else:
            share = namespace(progress).sin(math.pi / 2 * progress) ** 2
        # sin² rather than (1 − cos)/2, and weights that sum to one: both ends come out exact.
        return self.start * (1 - share) + self.end * share


@dataclasses.dataclass(frozen=True)
class ByEntropy:
    """From ``low`` at little entropy to ``high`` at much, linearly in between.

    Positive reinforcement is what lowers the entropy, so λ falls as the policy narrows:
    λ = low + (high − low)·clip((H − H₀)/(H₁ − H₀), 0, 1).

    Attributes:
        low: Value at and below the entropy ``entropy_low``, at least 0.
        high: Value at and above ``entropy_high``, at least 0.
        entropy_low: H₀ in nats per token.
        entropy_high: H₁ in nats per token, above H₀.

    Source: a schedule of this package, after the entropy findings of arXiv 2506.01347.

    >>> ByEntropy(low=0.0, high=1.0, entropy_low=0.2, entropy_high=0.6)(0, entropy=0.5)
    0.75
    """

    low: float = 0.05
    high: float = 1.0
    entropy_low: float = 0.1
    entropy_high: float = 0.5

    def __post_init__(self) -> None:
        _check_values(self)
        if not self.entropy_low < self.entropy_high:
            raise ValueError(
                f"entropy_high must exceed entropy_low, {self.entropy_low}; got {self.entropy_high}"
            )

    def __call__(self, step: Array | int, *, entropy: Array | float | None = None) -> Any:
        """Return the value at the given entropy.

        Raises:
            ValueError: No entropy given, or one that is negative or not finite.
        """
        if entropy is None:
            raise ValueError("this schedule follows the policy's entropy; pass entropy=")
        entropy = _number(entropy)
        check_interval("entropy", as_floating(entropy), high=math.inf)
        share = _clip((entropy - self.entropy_low) / (self.entropy_high - self.entropy_low))
        return self.low + (self.high - self.low) * share


@dataclasses.dataclass(frozen=True)
class WarmUp:
    """0 for the first n steps, 1 from then on; as ``zero_success`` it delays all-wrong groups.

    Attributes:
        steps: n, at least 0.

    Source: arXiv 2602.11128, which used 50 and 100 steps on GSM8K.

    >>> WarmUp(50)(49), WarmUp(50)(50)
    (0.0, 1.0)
    """

    steps: int = 50

    def __post_init__(self) -> None:
        _check_values(self)

    def __call__(self, step: Array | int, *, entropy: Array | float | None = None) -> Any:
        """Return 0 or 1."""
        step = _number(step)
        _check_step(step)
        if isinstance(step, float):
            return float(step >= self.steps)
        xp = namespace(step)
        return xp.where(step >= self.steps, xp.ones_like(step), xp.zeros_like(step))


SCHEDULES: Mapping[str, type[Constant | Linear | Cosine | ByEntropy | WarmUp]] = {
    "constant": Constant,
    "linear": Linear,
    "cosine": Cosine,
    "entropy": ByEntropy,
    "warm_up": WarmUp,
}
"""Schedules by the name they have in recipes."""


def parse_schedule(text: str | float | Schedule) -> Schedule:
    """Return the schedule that a recipe names.

    Args:
        text: ``"cosine:start=1,end=0.1,steps=500"``, a number (constant), or a schedule.

    Raises:
        ValueError: An unknown schedule or field, or a value it does not allow.

    >>> parse_schedule("linear:start=1,end=0.1,steps=500")
    Linear(start=1, end=0.1, steps=500)
    >>> parse_schedule(0.2)
    Constant(value=0.2)
    """
    if callable(text):
        return text
    if isinstance(text, int | float):
        return Constant(text)
    if not isinstance(text, str):
        raise ValueError(f"a schedule is written as text or a number; got {text!r}")
    try:
        return Constant(float(text))
    except ValueError:
        name, fields = split_reference(text)
    if name not in SCHEDULES:
        raise ValueError(f"unknown schedule {name!r}; known schedules: {', '.join(SCHEDULES)}")
    known = [field.name for field in dataclasses.fields(SCHEDULES[name])]
    for field in fields:
        if field not in known:
            raise ValueError(f"{name} has no field {field!r}; its fields are: {', '.join(known)}")
    return SCHEDULES[name](**fields)  # type: ignore[arg-type]


def scheme_at(
    scheme: SchemeLike,
    schedules: Mapping[str, Schedule],
    step: Array | int,
    *,
    entropy: Array | float | None = None,
) -> Scheme:
    """Return the scheme with its scheduled options at their values of this step.

    Args:
        scheme: A scheme or its name.
        schedules: Schedule of each option that changes: ``lam``, ``zero_success`` or ``alpha``.
        step: Training step, from 0.
        entropy: Mean entropy of the policy in nats per token, if a schedule follows it.

    Raises:
        ValueError: An option that the scheme does not have.

    Source: zero-success warm-up as in arXiv 2602.11128.

    >>> early = scheme_at("linear_r", {"zero_success": WarmUp(50)}, step=10)
    >>> early.table(2)[1].tolist()
    [0.0, 1.0, 0.0]
    """
    values = {option: schedule(step, entropy=entropy) for option, schedule in schedules.items()}
    return resolve(scheme, **values)


def _number(value: Array | float) -> Any:
    """Return a Python number as float and an array as a floating array."""
    if array_api_compat.is_array_api_obj(value):
        return as_floating(value)
    return float(value)


def _check_step(step: Any) -> None:
    check_interval("step", as_floating(step), high=math.inf)


def _progress(step: Array | int, steps: int) -> Any:
    """Share of the schedule that is over, min(t/n, 1)."""
    step = _number(step)
    _check_step(step)
    return _clip(step / steps)


def _clip(share: Any) -> Any:
    if isinstance(share, float):
        return min(max(share, 0.0), 1.0)
    return namespace(share).clip(share, 0.0, 1.0)


def _check_values(schedule: Any) -> None:
    for field in dataclasses.fields(schedule):
        value = getattr(schedule, field.name)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"{field.name} must be a number; got {value!r}")
        if field.name == "steps":
            least = 0 if isinstance(schedule, WarmUp) else 1
            if value != int(value) or value < least:
                raise ValueError(f"steps must be a whole number of at least {least}; got {value}")
        elif not (math.isfinite(value) and value >= 0):
            raise ValueError(f"{field.name} must be a finite number of at least 0; got {value}")
