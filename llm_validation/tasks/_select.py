"""Drawing a subset of a split."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import numpy as np

from llm_validation.tasks.task import Example


def select(examples: Sequence[Example], limit: int | None, seed: int) -> tuple[Example, ...]:
    """At most ``limit`` of the examples, drawn with ``seed``, in their own order."""
    if limit is None or len(examples) <= limit:
        return tuple(examples)
    kept = np.random.default_rng(seed).choice(len(examples), size=limit, replace=False)
    return tuple(examples[i] for i in np.sort(kept))


def select_evenly(
    examples: Sequence[Example], limit: int | None, seed: int, key: str
) -> tuple[Example, ...]:
    """Examples of every value of a metadata key in turns, each value's in an order drawn by seed.

    Those without a value are left out. The first n are the same whatever the limit.
    """
    groups: dict[Any, list[Example]] = {}
    for example in examples:
        if example.metadata.get(key) is not None:
            groups.setdefault(example.metadata[key], []).append(example)
    drawn = [
        np.random.default_rng((seed, turn)).permutation(len(groups[value]))
        for turn, value in enumerate(sorted(groups), start=1)
    ]
    turns = itertools.zip_longest(*drawn)
    pairs = itertools.chain.from_iterable(zip(sorted(groups), turn, strict=True) for turn in turns)
    ordered = (groups[value][place] for value, place in pairs if place is not None)
    return tuple(itertools.islice(ordered, limit))
