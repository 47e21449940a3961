"""Drawing a subset of a split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from llm_validation.tasks.task import Example


def select(examples: Sequence[Example], limit: int | None, seed: int) -> tuple[Example, ...]:
    """At most ``limit`` of the examples, drawn with ``seed``, in their own order."""
    if limit is None or len(examples) <= limit:
        return tuple(examples)
    kept = np.random.default_rng(seed).choice(len(examples), size=limit, replace=False)
    return tuple(examples[i] for i in np.sort(kept))
