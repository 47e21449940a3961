"""What the options of the schemes may be, with one sentence for what they may not."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any

import array_api_compat

from theory._arrays import is_traced
from theory.engines import PRESETS

ZERO_SUCCESS = ("keep", "drop")
"""What a group without a correct response does: penalise every response, or nothing.

A number in [0, 1] is the share of the penalty that is kept; schedules use it for a warm-up.
"""

CHOICES: Mapping[str, tuple[str, ...]] = {
    "zero_success": ZERO_SUCCESS,
    "singleton": ("refuse", "raw"),
    "parts": ("full", "mixed", "negative"),
    "scale": ("practical", "importance", "largest"),
    "importance": ("normalised", "full"),
}
"""Options that are one of several words."""

_RANGES: Mapping[str, tuple[float, float]] = {
    "threshold": (0.0, 1.0),
    "eps": (0.0, math.inf),
    "lam": (0.0, math.inf),
    "alpha": (0.0, math.inf),
    "zero_success": (0.0, 1.0),
}
_SCHEDULED = ("lam", "zero_success", "alpha")
_COUNTS = ("order", "k")
_ALIASES: Mapping[str, str] = {"reward": "lam", "positive_advantage_weight": "lam"}


def checked_options(
    scheme: str, current: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    """Return ``current`` options with ``changes`` made, engine presets and aliases expanded.

    Raises:
        ValueError: An option the scheme does not have, or a value it does not allow.
    """
    bound = dict(current)
    for option, value in _expanded(scheme, current, changes).items():
        if option not in current:
            allowed = ", ".join(current) or "none"
            raise ValueError(f"{scheme} has no option {option!r}; its options are: {allowed}")
        _check(scheme, option, value)
        bound[option] = value
    return bound


def _expanded(
    scheme: str, current: Mapping[str, Any], changes: Mapping[str, Any]
) -> dict[str, Any]:
    explicit = {
        _ALIASES[option] if option not in current and _ALIASES.get(option) in current else option:
        value
        for option, value in changes.items()
        if option != "engine"
    }  # fmt: skip
    engine = changes.get("engine")
    if engine is None:
        return explicit
    if engine not in PRESETS:
        raise ValueError(f"engine must be one of {', '.join(PRESETS)}; got {engine!r}")
    preset = {k: v for k, v in PRESETS[engine].options().items() if k in current}
    if not preset:
        raise ValueError(f"{scheme} is the same in every engine; leave engine out")
    return {**preset, **explicit}


def _check(scheme: str, option: str, value: Any) -> None:
    if option in _SCHEDULED and array_api_compat.is_array_api_obj(value):
        if tuple(value.shape) != ():
            raise ValueError(f"{option} of {scheme} must be one number; got shape {value.shape}")
        if is_traced(value):
            return
        value = float(value)
    words = CHOICES.get(option)
    if words and isinstance(value, str) and value in words:
        return
    if option in _RANGES:
        low, high = _RANGES[option]
        if _is_number(value) and low <= value <= high and math.isfinite(value):
            return
        interval = f"[{low:g}, {high:g}{')' if math.isinf(high) else ']'}"
        choice = f"one of {', '.join(words)} or a number" if words else "a number"
        raise ValueError(f"{option} of {scheme} must be {choice} in {interval}; got {value!r}")
    if words:
        raise ValueError(f"{option} of {scheme} must be one of {', '.join(words)}; got {value!r}")
    if option == "ddof" and not (_is_number(value) and value in (0, 1)):
        raise ValueError(f"ddof of {scheme} must be 0 or 1; got {value!r}")
    if option in _COUNTS and not (value is None and option == "order"):
        whole = _is_number(value) and isinstance(value, numbers.Integral) and int(value) >= 1
        if not whole:
            also = " or none" if option == "order" else ""
            raise ValueError(
                f"{option} of {scheme} must be a whole number of at least 1{also}; got {value!r}"
            )


def _is_number(value: Any) -> bool:
    return isinstance(value, numbers.Real) and not isinstance(value, bool)
