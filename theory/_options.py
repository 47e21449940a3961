"""Options of schemes and clocks: what each may be, and the references that name them.

A function declares its options as keyword-only parameters, their range beside their default:
``threshold: Annotated[float, Allowed(0, 1)] = 0.5``. A reference is written as on a command line:
``name:option=value,option=value``.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
import numbers
import typing
from collections.abc import Callable, Mapping
from typing import Any

import array_api_compat

from theory._arrays import is_traced
from theory.engines import PRESETS

Option = float | int | str | None


@dataclasses.dataclass(frozen=True)
class Allowed:
    """The values an option may take.

    Attributes:
        low: Smallest number.
        high: Largest number.
        words: Words that are allowed besides numbers, or instead of them without ``numbers``.
        numbers: Whether numbers are allowed.
        whole: Only whole numbers.
        none: ``None`` is allowed too.
        traced: A scalar array is allowed too, traced or not: schedules change the option.
        aliases: Other names of the option.
    """

    low: float = -math.inf
    high: float = math.inf
    words: tuple[str, ...] = ()
    numbers: bool = True
    whole: bool = False
    none: bool = False
    traced: bool = False
    aliases: tuple[str, ...] = ()

    def check(self, what: str, value: Any) -> Any:
        """Return ``value``, whole numbers as ``int``, or raise a ``ValueError`` naming ``what``."""
        if self.traced and array_api_compat.is_array_api_obj(value):
            if tuple(value.shape) != ():
                raise ValueError(f"{what} must be one number; got shape {value.shape}")
            if is_traced(value):
                return value
            self.check(what, float(value))
            return value
        if (value is None and self.none) or (isinstance(value, str) and value in self.words):
            return value
        number = self.numbers and isinstance(value, numbers.Real) and not isinstance(value, bool)
        if number and self.low <= value <= self.high and math.isfinite(value):
            if not self.whole:
                return value
            if value == int(value):
                return int(value)
        raise ValueError(f"{what} must be {self}; got {value!r}")

    def __str__(self) -> str:
        choices = [f"one of {', '.join(self.words)}"] if self.words else []
        if self.whole and self.high - self.low == 1:
            choices.append(f"{self.low:g} or {self.high:g}")
        elif self.whole and math.isinf(self.high):
            choices.append(f"a whole number of at least {self.low:g}")
        elif self.numbers:
            left = "(-inf" if math.isinf(self.low) else f"[{self.low:g}"
            right = "inf)" if math.isinf(self.high) else f"{self.high:g}]"
            whole = "whole " if self.whole else ""
            choices.append(f"a {whole}number in {left}, {right}")
        return " or ".join([*choices, *(["none"] if self.none else [])])


@dataclasses.dataclass(frozen=True)
class Declared:
    """An option as its function declares it: its default and what it may be."""

    default: Option
    allowed: Allowed


ZERO_SUCCESS = Declared("keep", Allowed(0.0, 1.0, words=("keep", "drop"), traced=True))
"""What a group without a correct response does: penalise every response, or nothing.

A number in [0, 1] is the share of the penalty that is kept; schedules use it for a warm-up.
"""


def declared_options(function: Callable[..., Any]) -> dict[str, Declared]:
    """Return the keyword-only parameters of ``function`` that have a default.

    Without an :class:`Allowed` in its annotation an option may be any finite number, or a word
    if its default is one.
    """
    try:
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError):  # annotations of a user's function may name anything
        hints = {}
    found: dict[str, Declared] = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY and parameter.default is not parameter.empty:
            extras = getattr(hints.get(parameter.name), "__metadata__", ())
            allowed = next((extra for extra in extras if isinstance(extra, Allowed)), None)
            if allowed is None:
                word = isinstance(parameter.default, str)
                allowed = Allowed(words=(parameter.default,) if word else (), numbers=not word)
            found[parameter.name] = Declared(parameter.default, allowed)
    return found


def bind_options(
    owner: str,
    declared: Mapping[str, Declared],
    current: Mapping[str, Any],
    changes: Mapping[str, Any],
) -> dict[str, Any]:
    """Return ``current`` options with ``changes`` made, aliases and engine presets expanded.

    Raises:
        ValueError: An option that is not declared, or a value that is not allowed.
    """
    bound = dict(current)
    for option, value in _expanded(owner, declared, changes).items():
        if option not in declared:
            allowed = ", ".join(declared) or "none"
            raise ValueError(f"{owner} has no option {option!r}; its options are: {allowed}")
        bound[option] = declared[option].allowed.check(f"{option} of {owner}", value)
    return bound


def _expanded(
    owner: str, declared: Mapping[str, Declared], changes: Mapping[str, Any]
) -> dict[str, Any]:
    engine = None if "engine" in declared else changes.get("engine")
    names = {alias: name for name, option in declared.items() for alias in option.allowed.aliases}
    explicit = {
        names.get(option, option): value
        for option, value in changes.items()
        if option != "engine" or option in declared
    }
    if engine is None:
        return explicit
    if engine not in PRESETS:
        raise ValueError(f"engine must be one of {', '.join(PRESETS)}; got {engine!r}")
    preset = {k: v for k, v in PRESETS[engine].options(owner).items() if k in declared}
    if not preset:
        raise ValueError(f"{owner} is the same in every engine; leave engine out")
    return {**preset, **explicit}


def split_reference(text: str, *, code: bool = False) -> tuple[str, dict[str, Option]]:
    """Split ``"affine:update=1,response=0.1"`` into its name and its options.

    A printed label, such as ``"Plateau-R (threshold=0.3)"``, is split in the same way. With
    ``code`` the name holds a colon itself: ``module:function:option=value``.

    Raises:
        ValueError: An item without an equals sign.
    """
    if text.endswith(")") and " (" in text:
        name, _, rest = text[:-1].partition(" (")
    else:
        parts = text.split(":", 2 if code else 1)
        name, rest = ":".join(parts[: 1 + code]), "".join(parts[1 + code :])
    options: dict[str, Option] = {}
    for item in filter(None, rest.split(",")):
        option, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f"options are written option=value, separated by commas; got {item!r}")
        options[option.strip()] = _parse_value(value.strip())
    return name.strip(), options


def write_options(options: Mapping[str, Any], declared: Mapping[str, Declared]) -> str:
    """Options that differ from their defaults, as :func:`split_reference` reads them."""
    changed = {k: v for k, v in options.items() if declared[k].default != v}
    return ",".join(f"{k}={'none' if v is None else v}" for k, v in changed.items())


def _parse_value(text: str) -> Option:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None if text == "none" else text
