"""Schemes in files: kept by ``apw weights --save``, and named by their file where one is named."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from runs.files import read_json, write_json
from theory.schemes import Scheme, SchemeLike, reference, resolve

_OPTIONS = ("--schemes", "--scheme", "--against", "--reference")


def save_scheme(scheme: SchemeLike, path: Path | str, **beside: Any) -> None:
    """Keep a scheme in a file: the text that names it, and what else there is to tell of it.

    Args:
        scheme: The scheme, or its name.
        path: A ``.json`` file; an earlier scheme there is replaced, and nothing else.
        **beside: Numbers and arrays for people and other programs; reading needs none of them.

    Raises:
        ValueError: A function that cannot be imported again, or a file that is no such scheme.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_scheme("optimal:start=0.05", folder + "/late.json")
    ...     load_scheme(folder + "/late.json").label
    'Optimal (start=0.05)'
    """
    path, bound = Path(path), resolve(scheme)
    if path.suffix != ".json":
        raise ValueError(f"a scheme is kept in a .json file; got {path}")
    if path.exists():
        load_scheme(path)
    plain = {key: getattr(value, "tolist", lambda v=value: v)() for key, value in beside.items()}
    write_json(path, {"scheme": reference(bound), "label": bound.label, **plain})


def load_scheme(path: Path | str) -> Scheme:
    """Read a scheme that :func:`save_scheme` kept.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds no scheme, or one that this version does not know.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file")
    held = read_json(path)
    text = held.get("scheme") if isinstance(held, dict) else None
    if not isinstance(text, str):
        raise ValueError(f"{path} holds no scheme: apw weights --save writes such files")
    return resolve(text)


def with_files_read(words: Sequence[str]) -> list[str]:
    """Words of a command line, files of schemes among them replaced by the schemes' names.

    >>> with_files_read(["--schemes", "grpo", "--file", "recipe.json"])
    ['--schemes', 'grpo', '--file', 'recipe.json']
    """
    read, of_schemes = [], False
    for word in words:
        option, equals, value = word.partition("=")
        if word.startswith("--"):
            of_schemes = option in _OPTIONS
            if of_schemes and equals and value.endswith(".json"):
                word = f"{option}={reference(load_scheme(value))}"
        elif of_schemes and word.endswith(".json"):
            word = reference(load_scheme(word))
        read.append(word)
    return read
