"""How large groups should be: progress per response as a function of M."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable

import numpy as np

from theory._arrays import Floats, check_interval
from theory._binomial import check_group_size
from theory._options import Option
from theory.dynamics import Dynamics, resolve_dynamics
from theory.finite_group import moments
from theory.schemes import Scheme, resolve


@dataclasses.dataclass(frozen=True)
class GroupSizeAdvice:
    """Progress of one prompt by group size; arrays of shape (sizes,).

    Attributes:
        group_sizes: M.
        drift: ω_M(ρ)v(ρ), the expected change of ρ per update and unit learning rate.
        cost: What an update of one prompt costs, α + βM.
        drift_per_cost: Drift per unit of cost at a fixed learning rate: the measure where the
            learning rate is bounded by the step itself (clipping, curvature).
        efficiency: ω_M²ρ(1−ρ)/E[A²] in [0, 1], the share of the information in the responses
            that the scheme turns into signal; 1 is the advantage r − ρ with ρ known.
        information_per_cost: M·efficiency/(α + βM): squared signal-to-noise per unit of cost,
            the measure where noise bounds the learning rate.
        best_drift: M with the largest drift per cost.
        best_information: M with the largest information per cost.
    """

    group_sizes: np.ndarray[tuple[int, ...], np.dtype[np.int64]]
    drift: Floats
    cost: Floats
    drift_per_cost: Floats
    efficiency: Floats
    information_per_cost: Floats
    best_drift: int
    best_information: int


def group_size_advice(
    scheme: str | Scheme,
    success: float,
    *,
    group_sizes: Iterable[int] = range(2, 65),
    update_cost: float = 0.0,
    response_cost: float = 1.0,
    dynamics: str | Dynamics = "mirror",
    **options: Option,
) -> GroupSizeAdvice:
    """Compare group sizes for one prompt under a cost of α per update and β per response.

    At a fixed learning rate the gain of an update is ω_M v, so per response small groups win
    unless updates cost something. Where noise bounds the learning rate, an update is worth its
    squared signal-to-noise M·ω_M²ρ(1−ρ)/E[A²], and larger groups win by their better baseline.

    Args:
        scheme: Scheme, or its name with options.
        success: ρ in (0, 1).
        group_sizes: Sizes M to compare, each at least the scheme's smallest group.
        update_cost: α, at least 0.
        response_cost: β, at least 0; not both 0.
        dynamics: The update rule.
        **options: Options of the scheme.

    Returns:
        The comparison; ties go to the smaller group.

    Raises:
        ValueError: ``success`` outside (0, 1), no group sizes, negative costs, unknown names.

    Source: theory.md, section 4.

    >>> advice = group_size_advice("rloo", 0.01, group_sizes=[2, 4, 8], update_cost=4.0)
    >>> advice.best_drift, advice.best_information
    (2, 8)
    >>> advice.efficiency.round(3).tolist()  # (M−1)/M
    [0.5, 0.75, 0.875]
    """
    if np.ndim(success):
        raise ValueError(f"success must be one number; got shape {np.shape(success)}")
    check_interval("success", np.asarray(success, dtype=np.float64), open_ends=True)
    given = list(group_sizes)
    if not given:
        raise ValueError("group_sizes must name at least one group size")
    for size in given:
        check_group_size(size)
    sizes = np.array(given, dtype=np.int64)
    if min(update_cost, response_cost) < 0 or not math.isfinite(update_cost + response_cost):
        raise ValueError("update_cost and response_cost must be finite numbers of at least 0")
    if update_cost + response_cost == 0:
        raise ValueError("one of update_cost and response_cost must be positive")
    bound = resolve(scheme, **options)
    velocity = float(resolve_dynamics(dynamics).velocity(np.asarray(success)))
    exact = [moments(bound, int(size), success) for size in sizes]
    weight = np.array([float(m.weight) for m in exact])
    noise = np.array([float(m.second_moment) for m in exact])
    signal = weight**2 * success * (1 - success)
    efficiency = np.divide(signal, noise, out=np.zeros_like(signal), where=noise > 0)
    cost = update_cost + response_cost * sizes.astype(np.float64)
    drift = weight * velocity
    information = sizes * efficiency / cost
    return GroupSizeAdvice(
        group_sizes=sizes,
        drift=drift,
        cost=cost,
        drift_per_cost=drift / cost,
        efficiency=efficiency,
        information_per_cost=information,
        best_drift=int(sizes[_first_best(drift / cost)]),
        best_information=int(sizes[_first_best(information)]),
    )


def _first_best(values: Floats) -> int:
    """Index of the first value that is the largest up to rounding."""
    return int(np.argmax(values >= values.max() * (1 - 1e-12)))
