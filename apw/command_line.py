"""What the commands share: options from dataclasses, errors in a sentence, answers as data."""

from __future__ import annotations

import dataclasses
import json
import math
import shlex
import sys
import typing
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from apw.options import gather, read_ahead

Options = TypeVar("Options")


@dataclasses.dataclass(frozen=True)
class Answer:
    """What a command has to say.

    Attributes:
        data: For ``--json``; JSON types and NumPy arrays.
        text: For people.
        status: Exit status; 1 where a question has the answer no.
    """

    data: Mapping[str, Any]
    text: str
    status: int = 0

    def as_json(self) -> str:
        """One JSON object on one line; numbers that JSON cannot write (∞, NaN) become null.

        >>> Answer({"time": math.inf, "weight": [1.5]}, "").as_json()
        '{"time": null, "weight": [1.5]}'
        """
        return json.dumps(_plain(self.data), ensure_ascii=False, allow_nan=False)


def parse(
    kind: type[Options],
    arguments: Sequence[str],
    *,
    command: str,
    default: Options | None = None,
) -> Options:
    """Read a command's options.

    Args:
        kind: Dataclass whose fields are the options.
        arguments: Words after the command's name.
        command: The command's name.
        default: Where options that are not given come from.

    Raises:
        ValueError: Options that cannot be read, in one sentence.
    """
    try:
        gathered = gather(kind, arguments, f"apw {command}", default)
        return typing.cast(Options, gathered.build(default))
    except ValueError as error:
        raise ValueError(f"{error} (see apw {command} --help)") from error


def parse_recipe(
    kind: type[Options],
    arguments: Sequence[str],
    *,
    command: str,
    load: Callable[[str], Any],
    names: Callable[[], Sequence[str]],
) -> tuple[Options, str]:
    """Read the options of a command that begins with a recipe.

    The dataclass has the fields ``config``, which the recipe gives and other options change,
    ``recipe``, and ``data``, which is the training file of the configuration.

    Args:
        kind: Dataclass whose fields are the options.
        arguments: Words after the command's name.
        command: The command's name.
        load: Reads a recipe by its name or path.
        names: The recipes that ship with the package.

    Returns:
        The options, and the recipe's name or path.

    Raises:
        ValueError: Options that cannot be read, or no recipe.
        FileNotFoundError: No such recipe, or no such file of data.
    """
    recipe = read_ahead(kind, arguments, "recipe")
    start: Any = kind
    default = start(config=load(recipe), recipe=recipe) if recipe else None
    options: Any = parse(kind, arguments, command=command, default=default)
    if options.recipe is None:
        raise ValueError(f"name a recipe with --recipe: {', '.join(names())}, or a file")
    if options.data is not None:
        if not options.data.exists():
            raise FileNotFoundError(f"{options.data} does not exist; --data names a file")
        config = dataclasses.replace(options.config, train_path=str(options.data))
        options = dataclasses.replace(options, config=config)
    return typing.cast(Options, options), str(options.recipe)


def say(words: str) -> None:
    """Tell how far a command is, beside its answer: on standard error, at once."""
    print(words, file=sys.stderr, flush=True)


def figures_hint(folder: Path) -> str:
    """Where a run is, and the command that draws it, as a shell reads it.

    >>> figures_hint(Path("my runs/a"))
    "Run folder: my runs/a   (figures: apw figures 'my runs/a')"
    """
    return f"Run folder: {folder}   (figures: {shlex.join(['apw', 'figures', str(folder)])})"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
