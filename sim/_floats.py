"""Limits of floating types, as Python numbers that take part in traced arithmetic."""

from __future__ import annotations

import jax
import numpy as np


def tiny(like: jax.Array) -> float:
    """Smallest normal number of the type of ``like``."""
    return float(np.finfo(like.dtype).tiny)


def epsilon(like: jax.Array) -> float:
    """Distance from 1 to the next number of the type of ``like``."""
    return float(np.finfo(like.dtype).eps)
