"""One array namespace for NumPy, JAX and torch, and the checks public functions start with."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import array_api_compat
import numpy as np

Array = Any
"""A NumPy array, a JAX array or a torch tensor; Python numbers and lists become NumPy float64."""

Floats = np.ndarray[tuple[int, ...], np.dtype[np.float64]]
"""A NumPy array of float64."""


def as_array(values: Array) -> Array:
    """Return ``values`` unchanged if it is an array of a known kind, else as NumPy float64.

    Raises:
        ValueError: Something that is no array of real numbers.
    """
    if not array_api_compat.is_array_api_obj(values):
        try:
            values = np.asarray(values, dtype=np.float64)
        except (TypeError, ValueError) as error:
            raise ValueError(
                f"expected real numbers in an array of one shape; got {_short(values)}"
            ) from error
    if not namespace(values).isdtype(values.dtype, ("bool", "integral", "real floating")):
        raise ValueError(f"expected real numbers; got an array of dtype {values.dtype}")
    return values


def _short(values: object) -> str:
    text = repr(values)
    return text if len(text) <= 60 else text[:57] + "..."


def namespace(*arrays: Array) -> Any:
    """Return the array-API namespace shared by ``arrays`` (numpy, jax.numpy or torch).

    Raises:
        ValueError: Arrays of different kinds.
    """
    if all(type(array) is np.ndarray for array in arrays):
        return np  # NumPy 2 is such a namespace itself; the compatibility layer only adds calls
    try:
        return array_api_compat.array_namespace(*arrays)
    except TypeError as error:
        kinds = ", ".join(sorted({type(array).__module__.split(".")[0] for array in arrays}))
        raise ValueError(
            f"arrays must all be NumPy, all JAX or all torch; got a mixture of {kinds}"
        ) from error


def as_floating(values: Array) -> Array:
    """Return ``values`` as a floating array, keeping its kind, device and floating dtype.

    Integers and booleans become the namespace's default float (float64 for NumPy).
    """
    values = as_array(values)
    xp = namespace(values)
    if xp.isdtype(values.dtype, ("real floating",)):
        return values
    return xp.astype(values, xp.asarray(0.5).dtype)


def widened(values: Array) -> Array:
    """Return 16-bit floats as float32 and everything else unchanged.

    Pass rates such as 1/3 have two or three digits in 16 bits, too few to sum a group with.
    """
    xp = namespace(values)
    if str(values.dtype).endswith("float16"):
        return xp.astype(values, xp.float32)
    return values


def is_traced(values: Array) -> bool:
    """Tell whether the numbers of ``values`` cannot be looked at: a JAX tracer, torch's vmap."""
    if array_api_compat.is_torch_array(values):
        import torch

        return bool(torch._C._functorch.is_functorch_wrapped_tensor(values))
    if not array_api_compat.is_jax_array(values):
        return False
    import jax

    return isinstance(values, jax.core.Tracer)


def elementwise(function: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """Make a caller's function of one number or of an array one of arrays of any shape.

    A constant counts as the same everywhere. A function that fails on an array, as one with an
    ``if`` or with ``math`` does, is called number by number.
    """

    def call(values: Array) -> Array:
        if not isinstance(values, np.ndarray | np.generic | float):
            return function(values)
        points = np.asarray(values, dtype=np.float64)
        try:
            result = np.asarray(function(points), dtype=np.float64)
            return np.broadcast_to(result, points.shape) + 0.0
        except (TypeError, ValueError):
            each = [float(function(point)) for point in points.ravel().tolist()]
            return np.array(each, dtype=np.float64).reshape(points.shape)

    return call


def counting(like: Array, count: int) -> Array:
    """Return 0, 1, ..., count − 1 in the namespace, dtype and device of ``like``."""
    xp = namespace(like)
    if array_api_compat.is_torch_array(like):
        return xp.arange(count, dtype=like.dtype, device=like.device)
    return xp.arange(count, dtype=like.dtype)


def check_interval(
    name: str, values: Array, *, low: float = 0.0, high: float = 1.0, open_ends: bool = False
) -> None:
    """Raise a ``ValueError`` naming the first entry of ``values`` outside [low, high].

    Values under ``jax.jit`` and ``torch.func.vmap`` are not looked at. NaN counts as outside, and
    so does an infinity even where the interval has no end.

    Raises:
        ValueError: ``success must lie in [0, 1]; got 1.2 at index 3``.
    """
    if is_traced(values):
        return
    xp = namespace(values)
    inside = (values > low) & (values < high) if open_ends else (values >= low) & (values <= high)
    if math.isinf(low) or math.isinf(high):
        inside = inside & xp.isfinite(values)
    if bool(xp.all(inside)):
        return
    shape = tuple(values.shape)
    flat = int(xp.argmin(xp.astype(xp.reshape(inside, (-1,)), xp.int8)))
    value = float(xp.reshape(values, (-1,))[flat])
    left = "(" if open_ends or math.isinf(low) else "["
    right = ")" if open_ends or math.isinf(high) else "]"
    index = np.unravel_index(flat, shape)
    place = "" if not shape else f" at index {', '.join(str(int(i)) for i in index)}"
    raise ValueError(f"{name} must lie in {left}{low:g}, {high:g}{right}; got {value:g}{place}")
