"""Words of a command line as options: tyro sorts them and prints help, pydantic reads values."""

from __future__ import annotations

import contextlib
import dataclasses
import difflib
import io
import json
import tomllib
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro
from tyro.constructors import (
    ConstructorRegistry,
    PrimitiveConstructorSpec,
    StructConstructorSpec,
    StructFieldSpec,
    StructTypeInfo,
)

from apw.help import asked, below, hidden
from runs.configuration import Configuration, allowed, check, hints, may_be_none, shown
from runs.files import refuse_device
from runs.text import listed


class Words(tuple[str, ...]):
    """Words given for one option, not yet read."""


@dataclasses.dataclass(frozen=True)
class Gathered:
    """Options of one dataclass: values that stay as they were, and :class:`Words`."""

    kind: type
    values: Mapping[str, Any]

    def build(self, default: Any) -> Any:
        """The dataclass, with the words read; ``default`` is where other values come from."""
        known, values = hints(self.kind), {}
        for name, value in self.values.items():
            before = getattr(default, name, None)
            if isinstance(value, Words):
                values[name] = read(option(name), known[name], value)
                for path in values[name] if isinstance(values[name], tuple) else [values[name]]:
                    refuse_device(path)
            else:
                values[name] = value.build(before) if isinstance(value, Gathered) else value
        return self.kind(**values)


def gather(kind: type, words: Sequence[str], program: str, default: Any = None) -> Gathered:
    """Sort words by the options of a dataclass.

    Args:
        kind: Dataclass of options; fields that are dataclasses add theirs.
        words: The command line.
        program: The command's name in help.
        default: Instance that values which are not given come from.

    Raises:
        ValueError: An unknown option, or one without its value, in one sentence.
    """
    options = list(options_of(kind))
    left_out = hidden(kind, words, options)
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            gathered, unknown = tyro.cli(
                kind,
                args=["--help"] if asked(words) else list(words),
                prog=program,
                default=tyro.MISSING_NONPROP if default is None else default,
                return_unknown_args=True,
                registry=_registry(left_out),
            )
        except SystemExit as stopped:
            if not stopped.code:  # help was printed
                print(below(program, options, left_out, kind))
                raise
            raise ValueError(_without_value(words, kind)) from None
    if unknown:
        raise ValueError(_unknown(unknown, kind))
    return typing.cast(Gathered, gathered)


def read_ahead(kind: type, words: Sequence[str], name: str) -> str | None:
    """The word given for an option that the defaults of others come from, such as a recipe.

    Args:
        kind: Dataclass of options.
        words: The command line; errors in other options are reported later.
        name: The field, which takes one word.

    Returns:
        The word, or None if the option is not given.
    """
    with contextlib.redirect_stderr(io.StringIO()):
        try:
            gathered: Any = tyro.cli(
                kind,
                args=list(words),
                return_unknown_args=True,
                add_help=False,
                registry=_registry(),
            )
        except SystemExit:
            return None
    word = gathered[0].values[name]
    return word[0] if isinstance(word, Words) else None


def read(name: str, annotation: Any, words: Sequence[str]) -> Any:
    """The value that words stand for.

    Args:
        name: The option, for sentences.
        annotation: Type of its field.
        words: One word, or several for lists and for tables, whose words are NAME=VALUE.

    Raises:
        ValueError: No such value is allowed; the sentence says what is.

    >>> read("--steps", int, ["3"]), read("--rates", dict[str, float], ["grpo=0.5"])
    (3, {'grpo': 0.5})
    """
    core = bare(annotation)
    if typing.get_origin(core) is dict:
        return check(name, core, _table(name, words, typing.get_args(core)[1]), strict=False)
    if typing.get_origin(core) is tuple:
        return check(name, annotation, tuple(words), strict=False)
    if len(words) == 1 and words[0] in ("None", "none") and may_be_none(annotation):
        return None
    parts = typing.get_args(annotation) if may_be_none(annotation) else (annotation,)
    if annotation == (float | str):
        parts = (float, str)  # a number where it is one
    for part in (part for part in parts if part is not type(None)):
        several = typing.get_origin(bare(part)) is tuple
        with contextlib.suppress(ValueError):
            return check(name, part, tuple(words) if several else words[0], strict=False)
    raise ValueError(f"{name} must be {allowed(annotation)}; got {shown(' '.join(words))}")


def _table(name: str, words: Sequence[str], value: Any) -> dict[str, Any]:
    """NAME=VALUE words; values are written as in TOML, or are text without quotes.

    >>> _table("--x", ["kind=rule", "levels=[4,5]", "download=true", 'seed="7"'], Any)
    {'kind': 'rule', 'levels': [4, 5], 'download': True, 'seed': '7'}
    """
    table: dict[str, Any] = {}
    for word in words:
        # Schemes may hold an equals sign; numbers do not.
        texts = value in (Any, str)
        key, equals, text = word.partition("=") if texts else word.rpartition("=")
        if not equals or not key:
            raise ValueError(f"{name} takes words NAME=VALUE, such as kind=rule; got {shown(word)}")
        if key in table:
            raise ValueError(f"{name} gives {key} twice")
        table[key] = toml_value(text) if value is Any else text
    return table


def toml_value(text: str) -> Any:
    """A value written as in TOML, or the text itself.

    >>> toml_value("[1, 2]"), toml_value("plain")
    ([1, 2], 'plain')
    """
    try:
        table = tomllib.loads(f"value = {text}")
    except (tomllib.TOMLDecodeError, RecursionError):
        return text
    value = table["value"]
    # Dates are no option of anything, and a line break would begin another entry.
    plain = isinstance(value, bool | int | float | str | list | dict)
    return value if plain and len(table) == 1 else text


def option(name: str) -> str:
    """A field's name on the command line.

    >>> option("group_size")
    '--group-size'
    """
    return f"--{name.replace('_', '-')}"


def bare(annotation: Any) -> Any:
    """An annotation without its marks.

    >>> bare(Annotated[int, "mark"])
    <class 'int'>
    """
    while typing.get_origin(annotation) is Annotated:
        annotation = typing.get_args(annotation)[0]
    return annotation


def _registry(left_out: frozenset[str] = frozenset()) -> ConstructorRegistry:
    """tyro's rules, but dataclasses are gathered instead of made, and words kept as they are.

    Args:
        left_out: Options that help does not show.
    """
    registry, inside = ConstructorRegistry(), False

    @registry.struct_rule
    def gathered(info: StructTypeInfo) -> StructConstructorSpec | None:
        nonlocal inside
        if inside or not dataclasses.is_dataclass(info.type):
            return None
        inside = True
        try:
            spec = ConstructorRegistry.get_struct_spec(info)
        finally:
            inside = False
        assert isinstance(spec, StructConstructorSpec)
        kind = typing.cast(type, info.type)

        def make(**values: Any) -> Gathered:
            return Gathered(kind, values)

        make.__doc__ = kind.__doc__
        known = hints(kind)
        fields = tuple(
            _out_of_sight(field) if option(field.name) in left_out else field
            for field in (_words_of(field, known[field.name], kind) for field in spec.fields)
        )
        return dataclasses.replace(spec, instantiate=make, fields=fields)

    return registry


def _words_of(field: StructFieldSpec, annotation: Any, kind: type) -> StructFieldSpec:
    """A field as tyro is to read it: a flag, a dataclass of its own, or words."""
    core = bare(annotation)
    if dataclasses.is_dataclass(core):
        return field
    if core is bool:
        pairs = issubclass(kind, Configuration)  # a recipe may have switched it on
        flag: Any = Annotated[bool, None if pairs else tyro.conf.FlagCreatePairsOff]
        return dataclasses.replace(field, type=flag, helptext=_help(field.helptext, annotation))
    several = _is_list(annotation)
    spec: PrimitiveConstructorSpec[Any] = PrimitiveConstructorSpec(
        nargs="*" if several else 1,
        metavar=_metavar(annotation),
        instance_from_str=Words,
        is_instance=lambda value: True,
        str_from_instance=_shown,
    )
    words: Any = Annotated[Any, spec]
    if tyro.conf.Positional in getattr(annotation, "__metadata__", ()):
        words = Annotated[words, tyro.conf.Positional]
    return dataclasses.replace(field, type=words, helptext=_help(field.helptext, annotation))


def _out_of_sight(field: StructFieldSpec) -> StructFieldSpec:
    """A field that help does not show; only help is printed with it, so nothing reads its words."""
    unseen: Any = Annotated[field.type, tyro.conf.Suppress]
    return dataclasses.replace(field, type=unseen)


def _is_list(annotation: Any) -> bool:
    core = bare(annotation)
    parts = typing.get_args(core) if may_be_none(core) else (core,)
    return any(typing.get_origin(bare(part)) in (tuple, dict) for part in parts)


def _metavar(annotation: Any) -> str:
    """What help shows for a value.

    >>> _metavar(Literal["a", "b"] | None), _metavar(tuple[int, ...])
    ('{a,b,none}', 'INT ...')
    """
    core = bare(annotation)
    origin, inner = typing.get_origin(core), typing.get_args(core)
    if origin is Literal:
        return f"{{{','.join(map(str, inner))}}}"
    if origin is tuple:
        return f"{_metavar(inner[0])} ..."
    if origin is dict:
        return "NAME=VALUE ..."
    if inner:  # a union
        parts = [_metavar(part) for part in inner if part is not type(None)]
        if may_be_none(core):
            parts = [f"{parts[0][:-1]},none}}"] if parts[0][:1] == "{" else [*parts, "none"]
        return "|".join(parts)
    return {int: "INT", float: "FLOAT", Path: "PATH"}.get(core, "TEXT")


def _help(text: Any, annotation: Any) -> Callable[[], str | None]:
    """A field's docstring as one paragraph, with the range of its values if it has one."""
    words = allowed(annotation)
    ranged = any(character.isdigit() for character in words)

    def helped() -> str | None:
        found = text() if callable(text) else text
        # Lines of the source would be broken again where the terminal ends.
        found = " ".join(found.split()) if found else found
        return f"{found} Takes {words}." if found and ranged else found

    return helped


def _shown(value: Any) -> list[str]:
    """A default as help shows it.

    >>> _shown({"levels": [4, 5]}), _shown(("a", "b")), _shown(None)
    (['levels=[4, 5]'], ['a', 'b'], ['none'])
    """
    if isinstance(value, dict):
        return [f"{name}={_text(item)}" for name, item in value.items()]
    if isinstance(value, tuple):
        return [str(item) for item in value]
    return ["none" if value is None else str(value)]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def options_of(kind: type) -> dict[str, Any]:
    """Every option with the annotation of its field, those of inner dataclasses among them."""
    found: dict[str, Any] = {}
    for name, annotation in hints(kind).items():
        core = bare(annotation)
        if dataclasses.is_dataclass(core):
            found |= options_of(typing.cast(type, core))
        else:
            found[option(name)] = annotation
    return found


def _unknown(words: Sequence[str], kind: type) -> str:
    known = options_of(kind)
    for word in words:
        name = option(word.partition("=")[0].removeprefix("--"))
        if word.startswith("--") and name not in known:
            close = difflib.get_close_matches(name, known, n=3)
            advice = f"; perhaps you meant {listed(close, 'or')}" if close else ""
            return f"unrecognized option {word.partition('=')[0]}{advice}"
    return f"unexpected word {shown(words[0])}"


def _without_value(words: Sequence[str], kind: type) -> str:
    """Of all that stops tyro, what is left to others here: an option without its value."""
    known = options_of(kind)
    for word, following in zip(words, [*words[1:], "--"], strict=True):
        name = option(word.removeprefix("--"))
        single = name in known and bare(known[name]) is not bool and not _is_list(known[name])
        if word.startswith("--") and single and following.startswith("-"):
            return f"{name} needs a value: {allowed(known[name])}"
    return "the options cannot be read"
