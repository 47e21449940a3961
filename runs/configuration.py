"""Configurations: frozen dataclasses whose fields pydantic checks, read from tables and TOML."""

from __future__ import annotations

import dataclasses
import difflib
import functools
import math
import tomllib
import types
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import pydantic
import pydantic_core
from annotated_types import Interval

Seed = Annotated[int, Interval(ge=0, lt=1 << 32)]
Count = Annotated[int, Interval(ge=1, le=1_000_000)]
Whole = Annotated[int, Interval(ge=0, le=1_000_000)]
Steps = Annotated[int, Interval(ge=1, le=100_000_000)]
GroupSize = Annotated[int, Interval(ge=1, le=65_536)]
Threads = Annotated[int, Interval(ge=0, le=4096)]
Probability = Annotated[float, Interval(gt=0, lt=1)]
Share = Annotated[float, Interval(ge=0, le=1)]
Nucleus = Annotated[float, Interval(gt=0, le=1)]
Positive = Annotated[float, Interval(gt=0, le=1e6)]
NotNegative = Annotated[float, Interval(ge=0, le=1e6)]

_UNIONS = (typing.Union, types.UnionType)


class Configuration:
    """Base of frozen dataclasses that are checked field by field, then as a whole.

    Types are strict: a truth value is no number, a text is none either, NaN and ±∞ are refused.
    Ranges stand in the annotations, as ``Annotated[int, Interval(ge=1, le=9)]``.

    >>> @dataclasses.dataclass(frozen=True)
    ... class Run(Configuration):
    ...     steps: Steps = 3
    >>> Run.from_dict({"step": 1})
    Traceback (most recent call last):
    ...
    ValueError: unknown field 'step'; did you mean 'steps'?
    """

    def __post_init__(self) -> None:
        """Check every field; the first wrong one is named."""
        for name, annotation in hints(type(self)).items():
            value = check(name, annotation, getattr(self, name))
            object.__setattr__(self, name, value)
        self.check_together()

    def check_together(self) -> None:
        """Check what concerns several fields."""

    @classmethod
    def from_dict(cls, values: Mapping[str, Any], *, where: str = "") -> Self:
        """Build a configuration from values of JSON or TOML; omitted fields keep their defaults.

        Args:
            values: Fields; where one may be none, the text ``"none"`` says so, as TOML has no
                other word for it.
            where: What the values come from, such as a file, for the sentences of errors.

        Raises:
            ValueError: An unknown field, a wrong type, or a value that is not allowed.
        """
        known = hints(cls)
        if not isinstance(values, Mapping):
            raise ValueError(f"{where or cls.__name__} must be a table; got {shown(values)}")
        for name in values:
            if name not in known:
                unknown = f"{where} has no field" if where else "unknown field"
                raise ValueError(f"{unknown} {name!r}; {nearest(str(name), known)}")
        try:
            read = {name: _read(name, known[name], value) for name, value in values.items()}
            return cls(**read)
        except ValueError as error:
            raise ValueError(f"{where}: {error}" if where else str(error)) from error

    def to_dict(self) -> dict[str, Any]:
        """Every field, of JSON types; ``from_dict`` reads it back."""
        values: dict[str, Any] = pydantic_core.to_jsonable_python(
            dataclasses.asdict(self)  # type: ignore[call-overload]
        )
        return values


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is not TOML.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file")
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not valid TOML: {error}") from error


def hints(cls: type) -> dict[str, Any]:
    """Annotation of each field of a dataclass, by its name."""
    found = typing.get_type_hints(cls, include_extras=True)
    return {field.name: found[field.name] for field in dataclasses.fields(cls)}


def check(name: str, annotation: Any, value: Any, *, strict: bool = True) -> Any:
    """A value as its annotation wants it.

    Args:
        name: What the sentence calls it.
        annotation: Type with ranges, as in the field of a configuration.
        value: The value; lists serve as tuples.
        strict: Whether text is no number.

    Raises:
        ValueError: It is not allowed; the sentence says what is.

    >>> check("steps", Annotated[int, Interval(ge=1, le=9)], 0)
    Traceback (most recent call last):
    ...
    ValueError: steps must be a whole number from 1 to 9; got 0
    """
    if isinstance(annotation, type) and issubclass(annotation, Configuration):
        if not isinstance(value, annotation):
            raise ValueError(f"{name} must be a table; got {shown(value)}")
        return value
    if isinstance(value, list):
        value = tuple(value)
    try:
        read = _adapter(annotation, strict).validate_python(value)
    except pydantic.ValidationError as error:
        found = error.errors(include_url=False, include_context=False)[0]["input"]
        raise ValueError(f"{name} must be {allowed(annotation)}; got {shown(found)}") from None
    _refuse_infinite(name, read)
    return read


def _refuse_infinite(name: str, value: Any) -> None:
    """Raise for NaN and ±∞ in tables and lists whose values may be anything."""
    if isinstance(value, list | tuple):
        value = dict(enumerate(value))
    for key, item in value.items() if isinstance(value, dict) else ():
        _refuse_infinite(f"{name}.{key}", item)
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{name} must be a finite number; got {value}")


def allowed(annotation: Any) -> str:
    """What an annotation allows, in words.

    >>> allowed(Probability), allowed(Literal["a", "b"] | None)
    ('a number in (0, 1)', 'one of a, b or none')
    """
    bounds = Interval()
    if typing.get_origin(annotation) is Annotated:
        bounds = next((m for m in annotation.__metadata__ if isinstance(m, Interval)), bounds)
        annotation = typing.get_args(annotation)[0]
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in _UNIONS:
        return " or ".join(allowed(part) for part in inner)
    if origin is Literal:
        return f"one of {', '.join(map(str, inner))}"
    if origin in (tuple, Sequence):
        return f"a list, each item {allowed(inner[0])}"
    if origin in (dict, Mapping):
        return "a table" if inner[1] is Any else f"a table, each value {allowed(inner[1])}"
    words = {bool: "true or false", str: "text", Path: "a path", type(None): "none", Any: "a value"}
    if annotation is int:
        return f"a whole number{_whole_range(bounds)}"
    if annotation is float:
        return f"a{_range(bounds)}" if bounds != Interval() else "a finite number"
    return words.get(annotation, "a table")


def may_be_none(annotation: Any) -> bool:
    """Whether an annotation allows None.

    >>> may_be_none(int | None), may_be_none(int)
    (True, False)
    """
    return type(None) in typing.get_args(annotation)


def nearest(name: str, known: Mapping[str, Any]) -> str:
    """Advice for a name that is not known.

    >>> nearest("step", {"steps": 1, "seed": 2})
    "did you mean 'steps'?"
    """
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {close[0]!r}?" if close else f"its fields are: {', '.join(known)}"


@functools.lru_cache(maxsize=1024)
def _adapter(annotation: Any, strict: bool) -> pydantic.TypeAdapter[Any]:
    config = pydantic.ConfigDict(strict=strict, allow_inf_nan=False)
    return pydantic.TypeAdapter(annotation, config=config)


def _read(name: str, annotation: Any, value: Any) -> Any:
    if isinstance(annotation, type) and issubclass(annotation, Configuration):
        return annotation.from_dict(value, where=name)
    return None if value == "none" and may_be_none(annotation) else value


def shown(value: Any) -> str:
    """A value as sentences quote it, cut where it is long.

    >>> shown("a" * 100)[-3:], shown(0.5)
    ('aa…', '0.5')
    """
    text = repr(value.item() if hasattr(value, "item") else value)
    return text if len(text) <= 80 else f"{text[:79]}…"


def _whole_range(bounds: Interval) -> str:
    low: Any = bounds.ge
    high: Any = bounds.le if bounds.lt is None else bounds.lt - 1  # type: ignore[operator]
    if low is None:
        return ""
    return f" of at least {low:,}" if high is None else f" from {low:,} to {high:,}"


def _range(bounds: Interval) -> str:
    low: Any = bounds.gt if bounds.ge is None else bounds.ge
    high: Any = bounds.lt if bounds.le is None else bounds.le
    low, high = (-math.inf if low is None else low), (math.inf if high is None else high)
    left, right = "[" if bounds.ge is not None else "(", "]" if bounds.le is not None else ")"
    return f" number in {left}{low:,.15g}, {high:,.15g}{right}"
