"""Clocks: what a unit of training time costs at success probability ρ.

The flow dρ/dt = ω(ρ)v(ρ) is written in updates. A clock charges c(ρ) for each of them, so that
reaching a target costs T[ω] = ∫ c/(ωv) dρ.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

from theory._arrays import (
    Array,
    as_floating,
    check_interval,
    elementwise,
    is_traced,
    namespace,
)
from theory._binomial import whole_number
from theory._options import Option, split_reference


@dataclasses.dataclass(frozen=True)
class Clock:
    """A cost model c(ρ).

    Attributes:
        name: Registry name, or ``"custom"``.
        title: What is counted, in the few words that an axis or a legend has room for.
        formula: c(ρ).
        summary: One sentence on what is counted.
        options: Option values in force.
        metric: Metric of a simulation that adds up this cost; empty if none does.
    """

    name: str
    title: str
    formula: str
    summary: str
    options: Mapping[str, Option]
    metric: str
    _cost: Callable[..., Array] = dataclasses.field(repr=False)

    def __repr__(self) -> str:
        options = "".join(f", {option}={value}" for option, value in self.options.items())
        return f"<{self.name}: {self.formula}{options}>"

    @property
    def waits(self) -> bool:
        """Tell whether an update waits for a success, so that it costs more where they are rare."""
        if self.name == "affine":
            return self.options["response"] != 0
        return self.name in ("responses", "any_success", "mixed_group")

    @property
    def symmetric(self) -> bool:
        """Tell whether c(ρ) = c(1 − ρ), so that whichever of them has the digits will do."""
        return self.name == "mixed_group"

    def require_realised(self, group_size: int | None) -> None:
        """Refuse a clock that waits beside the weight ω_M of groups that did not.

        Raises:
            ValueError: A group size is given, and the clock waits.

        Source: theory.md, section 4.

        >>> CLOCKS["updates"].require_realised(16)
        """
        if group_size is not None and self.waits:
            raise ValueError(
                f"the clock {self.name} waits for a success, and the weight ω_M is that of "
                "groups that did not wait: no training loop pays for the one and makes the other; "
                "use theory.designs.excess with a sampling design, or the clock updates"
            )

    def cost(self, success: Array) -> Array:
        """Cost c(ρ) of one update; ∞ where an update never comes.

        Args:
            success: Success probability ρ, any shape, in [0, 1].

        Raises:
            ValueError: ``success`` outside [0, 1].

        Source: arXiv 2602.11128, regular and effective time; the rest as in the registry.

        >>> float(CLOCKS["responses"].cost(0.25))
        4.0
        """
        success = as_floating(success)
        check_interval("success", success)
        return self._cost(namespace(success), success, **self.options)


_PAPER = {"regular": "updates", "effective": "responses"}
"""What arXiv 2602.11128 calls its two clocks → their names here."""

CLOCKS: dict[str, Clock] = {}
"""Every named clock with its default options."""


def _register(
    name: str, title: str, formula: str, metric: str = ""
) -> Callable[[Callable[..., Array]], Callable[..., Array]]:
    def add(function: Callable[..., Array]) -> Callable[..., Array]:
        parameters = inspect.signature(function).parameters.values()
        options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        summary = inspect.getdoc(function) or ""
        CLOCKS[name] = Clock(name, title, formula, summary, options, metric, function)
        return function

    return add


@_register("updates", "updates", "1", "updates")
def _updates(xp: Any, success: Array) -> Array:
    """Counts updates."""
    return xp.ones_like(success)


@_register("responses", "responses, one correct per update", "1/ρ", "clock/first_success")
def _responses(xp: Any, success: Array) -> Array:
    """Counts responses when each update waits for one correct response."""
    return _reciprocal(xp, success)


@_register("affine", "updates and responses", "α + β/ρ")
def _affine(xp: Any, success: Array, *, update: float = 1.0, response: float = 1.0) -> Array:
    """Charges α (option ``update``) for an update and β (option ``response``) for a response."""
    if response == 0:
        return xp.full_like(success, update)
    return update + response * _reciprocal(xp, success)


@_register("any_success", "groups until one is correct", "1/(1 − (1−ρ)^M)", "clock/any_success")
def _any_success(xp: Any, success: Array, *, group_size: int = 16) -> Array:
    """Counts groups of M responses until one holds a correct response."""
    return _reciprocal(xp, _at_least_one(success, group_size))


@_register("mixed_group", "groups until one is mixed", "1/(1 − ρ^M − (1−ρ)^M)", "clock/mixed_group")
def _mixed_group(xp: Any, success: Array, *, group_size: int = 16) -> Array:
    """Counts groups of M responses until one is mixed: DAPO's resampling."""
    rare = xp.where(success < 0.5, success, 1 - success)
    return _reciprocal(xp, _at_least_one(rare, group_size) - rare**group_size)


def _reciprocal(xp: Any, values: Array) -> Array:
    zero = values == 0
    return xp.where(zero, xp.full_like(values, math.inf), 1 / xp.where(zero, 1.0 + values, values))


def _at_least_one(success: Array, count: int) -> Array:
    """1 − (1−ρ)^M by doubling: no term is negative, so small ρ keeps its digits; no logarithm."""
    some, power = 0 * success, success
    while count:
        if count % 2:
            some = some + power * (1 - some)
        count //= 2
        if count:
            power = power * (2 - power)
    return some


def resolve_clock(clock: str | Clock | Callable[[Array], Array], **options: Option) -> Clock:
    """Return the clock a caller means, with options bound.

    Args:
        clock: A :class:`Clock`, a name in ``CLOCKS`` (options may follow a colon, as in
            ``"affine:update=1,response=0.1"``), the paper's ``"regular"`` or ``"effective"`` for
            ``"updates"`` and ``"responses"``, or a function from ρ to the cost c(ρ) > 0.
        **options: Further options; they win over those in the string.

    Raises:
        ValueError: An unknown clock (the message lists the known ones) or option, a negative
            cost, or a group size the clock is not defined for.

    Source: arXiv 2602.11128, regular and effective time.

    >>> float(resolve_clock("affine:update=1,response=0.5").cost(0.5))
    2.0
    """
    if callable(clock) and not isinstance(clock, Clock):
        words = "custom", "cost", "user function", "A cost given by the caller."
        clock = Clock(*words, {}, "", _custom(clock))
    elif isinstance(clock, str):
        name, written = split_reference(clock)
        name = _PAPER.get(name, name)
        if name not in CLOCKS:
            raise ValueError(f"unknown clock {name!r}; known clocks: {', '.join(CLOCKS)}")
        clock, options = CLOCKS[name], {**written, **options}
    if not isinstance(clock, Clock):
        raise ValueError(f"a clock is a Clock, a name or a function; got {clock!r}")
    unknown = sorted(set(options) - set(clock.options))
    if unknown:
        allowed = ", ".join(clock.options) or "none"
        raise ValueError(f"clock {clock.name} has no option {unknown[0]!r}; it has: {allowed}")
    bound = {**clock.options, **options}
    return dataclasses.replace(clock, options=_checked_options(clock.name, bound))


def _checked_options(name: str, options: Mapping[str, Option]) -> Mapping[str, Option]:
    if name == "affine":
        costs = [options["update"], options["response"]]
        if not all(isinstance(c, int | float) and 0 <= c < math.inf for c in costs) or not any(
            costs
        ):
            raise ValueError(
                "affine needs costs update and response of at least 0, one of them positive; "
                f"got update={options['update']}, response={options['response']}"
            )
    least = {"any_success": 1, "mixed_group": 2}.get(name)
    if least is not None:
        size = whole_number(f"group_size of {name}", options.get("group_size"), least=least)
        return {**options, "group_size": size}
    return options


def _custom(function: Callable[[Array], Array]) -> Callable[..., Array]:
    function = elementwise(function)

    def cost(xp: Any, success: Array) -> Array:
        values = xp.asarray(function(success)) + 0 * success
        if not is_traced(values) and not bool(xp.all(values > 0)):
            raise ValueError("the cost of a clock must be positive at every success probability")
        return values

    return cost
