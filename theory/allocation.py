"""How many responses each prompt gets, if their number may differ.

Prompt i is trained with the weight ω_i at success probability ρ_i and a response of it costs τ_i.
The noise of the average gradient is Σ ω_i² ρ_i(1−ρ_i)/M_i; at a cost Σ τ_i M_i = C it is least for

    M_i = C ω_i √(ρ_i(1−ρ_i)/τ_i) / Σ_j ω_j √(ρ_j(1−ρ_j) τ_j),

as Cauchy and Schwarz say. At equal costs GRPO's weight wants equal groups, and Sqrt-R's wants
M_i ∝ ρ_i^−½: a scheme that favours hard prompts scatters there, and needs more responses of them.
"""

from __future__ import annotations

import math

import numpy as np

from theory._arrays import Array, Floats, check_interval
from theory.dynamics import Weight, weight_function

__all__ = ["allocate", "allocation_noise"]


def allocate(scheme: Weight, success: Array, *, budget: float, cost: Array = 1.0) -> Floats:
    """Responses M_i of each prompt that scatter least at a total cost.

    Args:
        scheme: A scheme, its name, or a function from ρ to ω(ρ).
        success: ρ_i of each prompt, shape (prompts,), in (0, 1).
        budget: C > 0.
        cost: τ_i > 0 of a response, a number or one per prompt.

    Returns:
        M_i, shape (prompts,), real numbers; whoever samples rounds them.

    Raises:
        ValueError: Values outside these ranges, or a weight that is not finite and positive.

    Source: theory.md, section 8 "Allocation".

    >>> allocate("grpo", [0.01, 0.5], budget=32).round(6).tolist()
    [16.0, 16.0]
    >>> allocate("sqrt_r", [0.01, 0.25], budget=36).round(6).tolist()  # ∝ ρ^−½
    [30.0, 6.0]
    """
    spread, price = _spread(scheme, success, cost)
    if isinstance(budget, bool) or not 0 < budget < math.inf:
        raise ValueError(f"budget must be a positive number; got {budget}")
    share = spread / np.sqrt(price)
    return np.asarray(budget * share / float(share @ price))


def allocation_noise(scheme: Weight, success: Array, responses: Array) -> float:
    """Noise Σ ω_i² ρ_i(1−ρ_i)/M_i of the summed gradient of all prompts.

    Args:
        scheme: A scheme, its name, or a function from ρ to ω(ρ).
        success: ρ_i, shape (prompts,), in (0, 1).
        responses: M_i > 0, of the same shape or one number.

    Raises:
        ValueError: Values outside these ranges.

    Source: theory.md, section 8 "Allocation".

    >>> round(allocation_noise("grpo", [0.01, 0.5], 16), 6)
    0.125
    """
    spread, count = _spread(scheme, success, responses)
    return float(np.sum(spread**2 / count))


def _spread(scheme: Weight, success: Array, each: Array) -> tuple[Floats, Floats]:
    rho = np.atleast_1d(np.asarray(success, dtype=np.float64))
    check_interval("success", rho, open_ends=True)
    numbers = np.asarray(each, dtype=np.float64)
    if rho.ndim != 1 or numbers.shape not in ((), rho.shape):
        raise ValueError(
            f"success must list a number per prompt, beside it one number or as many; got shapes "
            f"{rho.shape} and {numbers.shape}"
        )
    numbers = np.broadcast_to(numbers, rho.shape)
    check_interval("costs and responses", numbers, high=math.inf, open_ends=True)
    weight = np.asarray(weight_function(scheme)(rho), dtype=np.float64)
    check_interval("the weight", weight, high=math.inf, open_ends=True)
    return weight * np.sqrt(rho * (1 - rho)), numbers
