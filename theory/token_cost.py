"""Responses of unequal length: what an update costs in tokens, and the weight that suits it.

If a wrong response has k times the tokens of a right one, the M/P_S responses that an update takes
cost, discarded groups included,

    c = α + β (M/P_S)(ρ + k(1−ρ)),

β being the cost of a right response: by Wald's identity the mean length of a response does not
depend on when sampling stops. For fixed groups and α = 0 the optimal weight is

    ω* ∝ √((ρ + k(1−ρ))/(ρ(1−ρ))),

GRPO's times √(ρ + k(1−ρ)), which falls from √k at ρ = 0 to 1 at ρ = 1: asymmetric without any
waiting, but by no more than √k.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from theory._arrays import Array, Floats, as_floating, check_interval
from theory._designs import Design, check_costs, resolve_design
from theory.schemes import Scheme

__all__ = ["mean_length", "token_clock", "token_scheme", "tokens_per_update"]


def mean_length(success: Array, length_ratio: float) -> Array:
    """Mean length ρ + k(1−ρ) of a response, in lengths of a right one.

    Args:
        success: ρ, any shape, in [0, 1].
        length_ratio: k > 0, the tokens of a wrong response over those of a right one.

    Returns:
        The mean length, of the shape of ``success``.

    Raises:
        ValueError: Values outside these ranges.

    Source: theory.md, section 8 "Token clock".

    >>> mean_length(np.array([0.0, 0.5, 1.0]), 3.0).tolist()
    [3.0, 2.0, 1.0]
    """
    check_length_ratio(length_ratio)
    success = as_floating(success)
    check_interval("success", success)
    return 1 + (length_ratio - 1) * (1 - success)  # exactly 1 for equal lengths


def tokens_per_update(
    success: Array,
    length_ratio: float,
    *,
    design: str | Design = "fixed",
    group_size: int | None = None,
) -> Floats:
    """Expected tokens of an update, discarded groups included, in lengths of a right response.

    Args:
        success: ρ, any shape, in [0, 1].
        length_ratio: k > 0.
        design: Sampling design, by name.
        group_size: M; not used by ``"first_success"`` and ``"population"``.

    Returns:
        (M/P_S)(ρ + k(1−ρ)); ∞ where no group is ever accepted.

    Raises:
        ValueError: Values outside these ranges.

    Source: theory.md, section 8 "Token clock".

    >>> float(tokens_per_update(0.25, 2.0, design="first_success"))  # three wrong and a right one
    7.0
    """
    responses = resolve_design(design).responses(group_size, success)
    return np.asarray(responses * np.asarray(mean_length(success, length_ratio)))


def token_clock(
    length_ratio: float, *, update_cost: float = 0.0, response_cost: float = 1.0
) -> Callable[[Array], Array]:
    """Cost c(ρ) = α + β(ρ + k(1−ρ)) of an update with fixed groups, as a clock.

    Args:
        length_ratio: k > 0.
        update_cost: α ≥ 0.
        response_cost: β ≥ 0, the cost of M right responses; not both are 0.

    Returns:
        A function that is taken wherever a clock is.

    Raises:
        ValueError: Values outside these ranges.

    Source: theory.md, section 8 "Token clock".

    >>> from theory.optimal import optimal_weight
    >>> best = optimal_weight(0.01, 0.9, clock=token_clock(4.0))
    >>> [round(best.excess(name), 3) for name in ("grpo", "sqrt_r", "rloo")]
    [1.026, 1.225, 1.271]
    """
    check_length_ratio(length_ratio)
    check_costs(update_cost, response_cost)
    return lambda success: update_cost + response_cost * mean_length(success, length_ratio)


def token_scheme(length_ratio: float) -> Scheme:
    """The scheme with the optimal weight ω = √((ρ + k(1−ρ))/(ρ(1−ρ))) of fixed groups at α = 0.

    Args:
        length_ratio: k > 0; at 1 the scheme is GRPO.

    Returns:
        A centred scheme.

    Raises:
        ValueError: ``length_ratio`` that is not positive.

    Source: theory.md, section 8 "Token clock".

    >>> float(token_scheme(4.0).weight(0.5).round(4)), float(token_scheme(1.0).weight(0.5))
    (3.1623, 2.0)
    """
    check_length_ratio(length_ratio)
    return Scheme.from_weight(
        lambda success: (
            ((success + length_ratio * (1 - success)) / (success * (1 - success))) ** 0.5
        ),
        "token_optimal",
        title=f"optimal at length ratio {length_ratio:g}",
        formula="√((ρ + k(1−ρ))/(ρ(1−ρ)))",
    )


def check_length_ratio(length_ratio: float) -> None:
    """Raise a ``ValueError`` unless k is a positive number.

    >>> check_length_ratio(2.0)
    """
    if isinstance(length_ratio, bool) or not 0 < length_ratio < math.inf:
        raise ValueError(f"length_ratio must be a positive number; got {length_ratio}")
