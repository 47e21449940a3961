"""References with options, as written on a command line: ``name:option=value,option=value``."""

from __future__ import annotations

Option = float | int | str | None


def split_reference(text: str) -> tuple[str, dict[str, Option]]:
    """Split ``"affine:update=1,response=0.1"`` into its name and its options.

    Raises:
        ValueError: An item without an equals sign.
    """
    name, _, rest = text.partition(":")
    options: dict[str, Option] = {}
    for item in filter(None, rest.split(",")):
        option, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f"options are written option=value, separated by commas; got {item!r}")
        options[option.strip()] = _parse_value(value.strip())
    return name, options


def _parse_value(text: str) -> Option:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None if text == "none" else text
