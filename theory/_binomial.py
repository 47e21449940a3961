"""Binomial probabilities and expectations, in log space, for NumPy, JAX and torch."""

from __future__ import annotations

import functools
import math
import numbers
from collections.abc import Callable
from typing import Any

import array_api_compat
import numpy as np

from theory._arrays import Array, Floats, as_floating, check_interval, namespace

_EXACT = 2000
_CHUNK = 2**20  # binomial probabilities held at a time: 8 MiB in float64


def binomial_probabilities(trials: int, success: Array) -> Array:
    """Probabilities Bin(k; n, ρ) for k = 0..n, in log space.

    Args:
        trials: n, at least 0.
        success: ρ, any shape, in [0, 1]; NumPy, JAX or torch.

    Returns:
        Array of shape (*success.shape, n + 1).

    Raises:
        ValueError: A negative number of trials, ``success`` outside [0, 1].

    >>> binomial_probabilities(2, 0.5).tolist()
    [0.25, 0.5, 0.25]
    """
    trials = whole_number("trials", trials, least=0)
    success = as_floating(success)
    check_interval("success", success)
    xp = namespace(success)
    shape = tuple(success.shape)
    rho = xp.reshape(success, (-1, 1))
    counts = np.arange(trials + 1, dtype=np.float64)[None, :]
    log_choose = like(_log_choose(trials)[None, :], success)
    hits, misses = like(counts, success), like(trials - counts, success)
    never, always = rho == 0, rho == 1
    inside = xp.where(never | always, 0 * rho + 0.5, rho)
    logs = log_choose + hits * xp.log(inside) + misses * xp.log1p(-inside)
    probabilities = xp.exp(logs)
    # At the ends the one possible outcome is certain, and 0·ln 0 never has to be taken. To first
    # order in ρ there is one other outcome, which automatic differentiation must know of.
    none, one, most, every = (
        like(1.0 * (counts == k), success) for k in (0, 1, trials - 1, trials)
    )
    ends = xp.where(
        never,
        none + trials * rho * (one - none),
        every + trials * (1 - rho) * (most - every),
    )
    return xp.reshape(xp.where(never | always, ends, probabilities), (*shape, trials + 1))


def binomial_expectation(values: Floats, success: Array) -> Array:
    """Expectations E[f(k)] = Σ_k Bin(k; n, ρ) f(k) of several functions at once.

    Args:
        values: f(k), shape (n + 1, functions).
        success: ρ, any shape, in [0, 1]; NumPy, JAX or torch.

    Returns:
        Array of shape (*success.shape, functions). Memory is O(points × functions) beyond a
        matrix of bounded size.

    Raises:
        ValueError: ``success`` outside [0, 1].

    >>> binomial_expectation(np.array([[0.0], [1.0], [2.0]]), 0.25).tolist()  # E[k] = nρ
    [0.5]
    """
    success = as_floating(success)
    check_interval("success", success)
    xp = namespace(success)
    flat = xp.reshape(success, (-1,))
    trials = values.shape[0] - 1
    table = like(values, success)
    rows = max(1, _CHUNK // (trials + 1))
    parts = [
        xp.matmul(binomial_probabilities(trials, flat[first : first + rows]), table)
        for first in range(0, max(1, flat.shape[0]), rows)
    ]
    joined = parts[0] if len(parts) == 1 else xp.concat(parts, axis=0)
    return xp.reshape(joined, (*success.shape, values.shape[1]))


def binomial_expectation_of(
    function: Callable[[Floats, Floats, Floats], Floats],
    trials: int,
    success: Floats,
    *centres: Floats,
) -> Floats:
    """Expectations of functions of k that depend on ρ, given per chunk as (points, n + 1, m)."""
    flat = [np.reshape(a, (-1, 1)) for a in (success, *centres)]
    rows = max(1, _CHUNK // (trials + 1))
    parts = []
    for first in range(0, max(1, flat[0].shape[0]), rows):
        rho, *means = (a[first : first + rows] for a in flat)
        probabilities = binomial_probabilities(trials, rho[:, 0])
        parts.append(np.einsum("pk,pkm->pm", probabilities, function(rho, *means)))
    joined = np.concatenate(parts)
    return joined.reshape(*success.shape, joined.shape[-1])


@functools.lru_cache(maxsize=64)
def _log_choose(trials: int) -> Floats:
    """Logarithms of C(n, k).

    From exact integers, as log-gammas lose digits at n of hundreds; beyond ``_EXACT`` these would
    take time and memory like n², and their logarithms are summed in extended precision instead.
    """
    if trials > _EXACT:
        steps = np.arange(trials // 2, dtype=np.longdouble)
        half = [0.0, *np.cumsum(np.log((trials - steps) / (steps + 1))).astype(np.float64)]
    else:
        chosen, half = 1, [0.0]
        for k in range(trials // 2):
            chosen = chosen * (trials - k) // (k + 1)
            half.append(math.log(chosen))
    logs = np.array(half + half[: (trials + 1) // 2][::-1])
    logs.setflags(write=False)
    return logs


def whole_number(name: str, value: Any, *, least: int) -> int:
    """Return a whole number of any kind (16, 16.0, a NumPy integer) as a Python integer.

    Narrow NumPy integers overflow in what is computed from them, and floats index nothing.

    Raises:
        ValueError: What is not a whole number of at least ``least``; True and False are not.
    """
    number = isinstance(value, numbers.Real) and not isinstance(value, bool | np.bool_)
    if not (number and float(value).is_integer() and value >= least):
        raise ValueError(f"{name} must be a whole number of at least {least}; got {value}")
    return int(value)


def check_group_size(group_size: Any) -> int:
    """Return M as a Python integer.

    Raises:
        ValueError: Unless it is a whole number of at least 1.
    """
    return whole_number("group_size", group_size, least=1)


def like(values: Floats, reference: Array) -> Array:
    """Return constants as an array of the kind, dtype and device of ``reference``."""
    if array_api_compat.is_torch_array(reference):
        return namespace(reference).asarray(
            np.array(values), dtype=reference.dtype, device=reference.device
        )
    return namespace(reference).asarray(values, dtype=reference.dtype)
