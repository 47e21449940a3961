"""What a verifier remembers: no more than so many bytes, the oldest forgotten first."""

from __future__ import annotations

import sys
from collections import OrderedDict
from typing import Any, TypeVar

Value = TypeVar("Value")

_OVERHEAD = 250
"""Bytes an entry takes besides its texts."""


class Remembered(OrderedDict[Any, Value]):
    """A dictionary whose keys are texts, or tuples of them, and that stays below a size.

    Args:
        most: Bytes at most; an entry that is larger by itself is forgotten at once.

    >>> kept = Remembered(700)
    >>> kept["a"], kept["b"], kept["c"] = 1, 2, 3
    >>> list(kept), kept.bytes <= 700
    (['b', 'c'], True)
    """

    def __init__(self, most: int) -> None:
        super().__init__()
        self.most, self.bytes = most, 0

    def __setitem__(self, key: Any, value: Value) -> None:
        """Add or replace an entry, and forget the oldest ones while there is no room."""
        if key not in self:
            self.bytes += _size(key, value)
        super().__setitem__(key, value)
        while self.bytes > self.most:
            self.bytes -= _size(*self.popitem(last=False))


def _size(key: Any, value: Any) -> int:
    texts = key if isinstance(key, tuple) else (key,)
    # An outcome is one object for all.
    beside = (value,) if type(value) is str else ()
    return sum(map(sys.getsizeof, (*texts, *beside))) + _OVERHEAD
