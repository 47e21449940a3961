"""Options written NAME=VALUE on a command line, for tables such as ``task_options``."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from typing import Annotated, Any

import tyro


def parse_options(words: Sequence[str]) -> dict[str, Any]:
    """Read NAME=VALUE words; values are written as in TOML, or are text without quotes.

    Args:
        words: Such as ``kind=rule``, ``levels=[4,5]``, ``download=true``, ``timeout=2.5``.

    Raises:
        ValueError: A word without ``=`` or without a name, or a name given twice.

    >>> parse_options(["kind=rule", "levels=[4,5]", "download=true", 'seed="7"'])
    {'kind': 'rule', 'levels': [4, 5], 'download': True, 'seed': '7'}
    """
    options: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise ValueError(f"options are written NAME=VALUE, such as kind=rule; got {word!r}")
        if name in options:
            raise ValueError(f"option {name} is given twice")
        options[name] = _value(text)
    return options


def write_options(options: dict[str, Any]) -> list[str]:
    """The words that :func:`parse_options` reads back.

    >>> write_options({"kind": "rule", "levels": [4, 5], "download": True})
    ['kind=rule', 'levels=[4, 5]', 'download=true']
    """
    return [f"{name}={_text(value)}" for name, value in options.items()]


def to_toml(value: Any) -> str:
    r"""A value of JSON types, None aside, in TOML.

    >>> to_toml({"levels": [1, 2.0], "style": 'a "plain" one'})
    '{ levels = [1, 2.0], style = "a \\"plain\\" one" }'
    """
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(to_toml, value))}]"
    if isinstance(value, dict):
        pairs = ", ".join(f"{_key(name)} = {to_toml(item)}" for name, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    raise TypeError(f"TOML has no {type(value).__name__}")


def _value(text: str) -> Any:
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value = table["value"]
    # Dates are no option of anything, and a line break would begin another entry.
    plain = isinstance(value, bool | int | float | str | list | dict)
    return value if plain and len(table) == 1 else text


def _text(value: Any) -> str:
    """A value as :func:`_value` reads it, quoted only where it would be something else."""
    if isinstance(value, str) and _value(value) == value:
        return value
    return to_toml(value)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08X}" for c in escaped) + '"'


def _key(name: str) -> str:
    bare = name.replace("-", "").replace("_", "")
    return name if bare.isascii() and bare.isalnum() else _quoted(name)


def _is_options(value: Any) -> bool:
    return isinstance(value, dict)


Options = Annotated[
    dict[str, Any],
    tyro.constructors.PrimitiveConstructorSpec(
        nargs="*",
        metavar="NAME=VALUE",
        instance_from_str=parse_options,
        is_instance=_is_options,
        str_from_instance=write_options,
    ),
]
"""A table of options whose command line is words NAME=VALUE."""
