"""What the numerical checks share: means that no scheme of theory/ uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from theory._arrays import Floats
from theory.schemes import SCHEMES

TARGET = 0.9
"""Success probability at which times are taken."""

Comparison = tuple[float, float, float]
"""Prediction, measured number, tolerance."""


def gradient(function: Callable[..., Any], at: Floats, *constants: Any) -> Floats:
    """Gradient by complex steps, for functions that take complex numbers."""
    step = 1e-30
    moved = [function(at + 1j * step * unit, *constants) for unit in np.eye(len(at))]
    return np.array([value.imag / step for value in moved])


def log_softmax(logits: Any) -> Any:
    """Logarithm of a softmax, of complex logits too."""
    shifted = logits - logits.real.max()
    return shifted - np.log(np.exp(shifted).sum())


def moment_tables(scheme: str, size: int) -> tuple[Floats, Floats]:
    """Values over K whose binomial means are ω_M and E[A²]."""
    positive, negative = SCHEMES[scheme].table(size)
    share = np.arange(size + 1) / size
    return positive[1:] + negative[:-1], share * positive**2 + (1 - share) * negative**2
