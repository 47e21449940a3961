"""One array namespace for NumPy, JAX and torch, and the checks public functions start with."""

from __future__ import annotations

from typing import Any

import array_api_compat
import numpy as np

_NUMPY = array_api_compat.array_namespace(np.zeros(1))

Array = Any
"""A NumPy array, a JAX array or a torch tensor; Python numbers and lists become NumPy float64."""


def as_array(values: Array) -> Array:
    """Return ``values`` unchanged if it is an array of a known kind, else as NumPy float64."""
    if array_api_compat.is_array_api_obj(values):
        return values
    return np.asarray(values, dtype=np.float64)


def namespace(*arrays: Array) -> Any:
    """Return the array-API namespace shared by ``arrays`` (numpy, jax.numpy or torch)."""
    if all(type(array) is np.ndarray for array in arrays):
        return _NUMPY  # the usual case, without a look at every array's class
    return array_api_compat.array_namespace(*arrays)


def as_floating(values: Array) -> Array:
    """Return ``values`` as a floating array, keeping its kind, device and floating dtype.

    Integers and booleans become the namespace's default float (float64 for NumPy).
    """
    values = as_array(values)
    xp = namespace(values)
    if xp.isdtype(values.dtype, ("real floating",)):
        return values
    return xp.astype(values, xp.asarray(0.5).dtype)


def is_traced(values: Array) -> bool:
    """Tell whether ``values`` is a JAX tracer, whose numbers cannot be looked at."""
    if not array_api_compat.is_jax_array(values):
        return False
    import jax

    return isinstance(values, jax.core.Tracer)


def check_interval(
    name: str, values: Array, *, low: float = 0.0, high: float = 1.0, open_ends: bool = False
) -> None:
    """Raise a ``ValueError`` naming the first entry of ``values`` outside [low, high].

    Values under ``jax.jit`` are not looked at. NaN counts as outside.

    Raises:
        ValueError: ``success must lie in [0, 1]; got 1.2 at index 3``.
    """
    if is_traced(values):
        return
    xp = namespace(values)
    inside = (values > low) & (values < high) if open_ends else (values >= low) & (values <= high)
    if bool(xp.all(inside)):
        return
    shape = tuple(values.shape)
    flat = int(xp.argmin(xp.astype(xp.reshape(inside, (-1,)), xp.int8)))
    value = float(xp.reshape(values, (-1,))[flat])
    interval = f"({low:g}, {high:g})" if open_ends else f"[{low:g}, {high:g}]"
    index = np.unravel_index(flat, shape)
    place = "" if not shape else f" at index {', '.join(str(int(i)) for i in index)}"
    raise ValueError(f"{name} must lie in {interval}; got {value:g}{place}")
