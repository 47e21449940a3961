"""Reading a model's files, broken or hostile as they may be, with a sentence for what is amiss."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from llm_validation.memory_errors import is_of_memory


@contextmanager
def readable(model: str, part: str) -> Iterator[None]:
    """Say of a model's files that cannot be read what is amiss, whatever their reader raises.

    Readers of hostile or broken files raise errors of every kind, such as KeyError.

    Args:
        model: Folder or hub id.
        part: What is read, such as "tokenizer".

    Raises:
        ValueError: It cannot be read. Errors of the disk, of memory and of what is not installed,
            and sentences of the readers' own, stay what they are.

    >>> with readable("weights/x", "tokenizer"):
    ...     {}["added_tokens"]
    Traceback (most recent call last):
        ...
    ValueError: the tokenizer of the model weights/x cannot be read: KeyError: 'added_tokens'
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, OSError | ValueError | ImportError) or is_of_memory(error):
            raise
        said = " ".join(str(error).split())
        raise ValueError(
            f"the {part} of the model {model} cannot be read: {type(error).__name__}: {said:.200}"
        ) from error
