"""Which scheme and group size suit a set of prompts and what an update of them costs."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from theory._arrays import Array, Floats, check_interval
from theory.clocks import resolve_clock
from theory.finite_group import moments
from theory.optimal import OptimalWeight, weighted_schemes
from theory.population import shared_weight
from theory.schemes import SCHEMES, SchemeLike, name_of, resolve

if TYPE_CHECKING:
    import pandas as pd

GROUP_SIZES = (2, 4, 8, 16, 32, 64, 128)

ENOUGH = 0.9
"""Of what the best group size gets for its cost; the smallest that gets so much is recommended."""

CLOSE = 1.05
"""Schemes within this factor of the best are called equally good."""

SAMPLINGS = {"fixed": None, "until_any": "any_success", "until_mixed": "mixed_group"}
"""How groups are drawn → the clock that counts them."""


@dataclasses.dataclass(frozen=True)
class Costs:
    """What an update of a prompt costs.

    Attributes:
        update: α, apart from sampling.
        response: β, of every response.
        sampling: A key of ``SAMPLINGS``.
    """

    update: float
    response: float
    sampling: str = "fixed"

    def clock(self, group_size: int) -> Callable[[Array], Array]:
        """Expected cost of an update as a function of ρ: α + βM·groups drawn.

        >>> float(Costs(1.0, 0.5, "until_any").clock(2)(0.5))  # 4/3 groups are drawn
        2.333333333333333
        """
        name = SAMPLINGS[self.sampling]
        if name is None:
            return lambda success: self.update + self.response * group_size + 0 * success
        groups = resolve_clock(name, group_size=group_size).cost
        return lambda success: self.update + self.response * group_size * groups(success)


class GroupSizes(NamedTuple):
    """Group sizes that progress most for their cost.

    Attributes:
        recommended: The smallest with nearly the best squared signal-to-noise of an update.
        information: The best in that, where noise limits the learning rate.
        drift: The best at a fixed learning rate, which the drift decides.
    """

    recommended: int
    information: int
    drift: int


def group_sizes(scheme: SchemeLike, success: float, costs: Costs) -> GroupSizes:
    """Best of the group sizes 2, 4, ..., 128 for a scheme at one success probability.

    At a fixed learning rate an update is worth its drift, which grows like ω_M. Where noise bounds
    the learning rate it is worth its squared signal-to-noise, M·ω_M²ρ(1−ρ)/E[A²].

    >>> group_sizes("rloo", 0.3, Costs(0.0, 1.0))  # (M − 1)/M of the information per response
    GroupSizes(recommended=16, information=128, drift=2)
    """
    bound = resolve(scheme)
    sizes = np.array([size for size in GROUP_SIZES if size >= bound.minimum_group])
    exact = [moments(bound, int(size), success) for size in sizes]
    weight = np.array([float(m.weight) for m in exact])
    noise = np.array([float(m.second_moment) for m in exact])
    cost = np.array([float(costs.clock(int(size))(success)) for size in sizes])
    signal = weight**2 * success * (1 - success)
    information = np.divide(sizes * signal, noise * cost, out=0 * noise, where=noise > 0)
    enough = information >= ENOUGH * information.max()
    return GroupSizes(
        recommended=int(sizes[np.argmax(enough)]),
        information=int(sizes[_first_best(information)]),
        drift=int(sizes[_first_best(weight / cost)]),
    )


def _first_best(values: np.ndarray) -> int:
    """Index of the first value that is the largest up to rounding."""
    return int(np.argmax(values >= values.max() * (1 - 1e-12)))


@dataclasses.dataclass(frozen=True)
class Advice:
    """Which scheme and group size suit prompts and costs.

    Attributes:
        success: ρ of the prompts below the target, in increasing order.
        target: ρ that all of them are to reach.
        group_size: M.
        costs: What an update of a prompt costs.
        best: The optimal weight that the prompts share.
        excess: Scheme → time over the optimum at the same update budget, for large groups.
        excess_finite: The same for groups of M, the best first.
        sizes: Group sizes for the best scheme at the median prompt.
    """

    success: Floats = dataclasses.field(repr=False)
    target: float
    group_size: int
    costs: Costs
    best: OptimalWeight = dataclasses.field(repr=False)
    excess: Mapping[str, float] = dataclasses.field(repr=False)
    excess_finite: Mapping[str, float] = dataclasses.field(repr=False)
    sizes: GroupSizes

    @property
    def recommended(self) -> str:
        """The scheme that gets there soonest with groups of M."""
        return next(iter(self.excess_finite))

    @property
    def equally_good(self) -> list[str]:
        """Schemes within a factor ``CLOSE`` of it."""
        least = CLOSE * self.excess_finite[self.recommended]
        return [name for name, excess in self.excess_finite.items() if excess <= least]

    @property
    def nearest(self) -> str:
        """The scheme whose weight is nearest to the optimal one, for large groups."""
        return min(self.excess, key=self.excess.__getitem__)

    @property
    def table(self) -> pd.DataFrame:
        """One row per scheme: excess times, and cost per prompt for a unit of update budget."""
        import pandas as pd

        names = list(self.excess_finite)
        return pd.DataFrame(
            {
                "scheme": [resolve(name).label for name in names],
                "excess": [self.excess[name] for name in names],
                "excess_finite": [self.excess_finite[name] for name in names],
                "time": [self.best.time * self.excess_finite[name] for name in names],
            }
        )

    def __str__(self) -> str:
        return (
            f"{resolve(self.recommended).label} from a median pass rate of "
            f"{np.median(self.success):.3g} to {self.target:g} with groups of {self.group_size}\n"
            f"{self.table.to_string(index=False, float_format='{:.3f}'.format)}"
        )

    def _repr_html_(self) -> str:
        return str(self.table.to_html(index=False, float_format="{:.3f}".format))


def advise(
    success: Array,
    target: float = 0.9,
    *,
    group_size: int = 16,
    schemes: Iterable[SchemeLike] = (),
    update_cost: float = 1.0,
    response_cost: float = 1.0,
    sampling: str = "fixed",
) -> Advice:
    """Advise on a scheme and a group size: least cost until every prompt reaches the target.

    All schemes spend the same update budget; an update of a prompt costs α + βM for every group
    drawn. Prompts that have reached the target already are left out.

    Args:
        success: Success probability ρ of each prompt, or of all of them, in (0, 1).
        target: ρ to reach, in (0, 1).
        group_size: M, at least 2.
        schemes: Schemes to compare; all that have a table by default.
        update_cost: α, at least 0.
        response_cost: β, at least 0; one of the two is positive.
        sampling: ``"fixed"``, ``"until_any"`` or ``"until_mixed"``.

    Returns:
        The schemes with their times over the optimum, and group sizes.

    Raises:
        ValueError: Values outside these ranges, an unknown scheme, or no prompt below the target.

    >>> advice = advise([0.01, 0.05, 0.3], update_cost=0.0, sampling="until_any")
    >>> advice.recommended in advice.equally_good, advice.excess["grpo"] >= 1
    (True, True)
    """
    if not 0 < target < 1:
        raise ValueError(f"target must lie in (0, 1); got {target:g}")
    if sampling not in SAMPLINGS:
        raise ValueError(f"sampling must be one of {', '.join(SAMPLINGS)}; got {sampling!r}")
    if not (min(update_cost, response_cost) >= 0 and 0 < update_cost + response_cost < math.inf):
        raise ValueError("costs must be at least 0 and finite, and one of them positive")
    probabilities = np.atleast_1d(np.asarray(success, dtype=np.float64)).reshape(-1)
    check_interval("success", probabilities)
    below = np.sort(probabilities[probabilities < target])
    if below.size == 0:
        raise ValueError(f"every prompt has reached the target {target:g} already")
    SCHEMES["grpo"].check_group_size(group_size)
    names = [name_of(scheme) for scheme in schemes] or weighted_schemes(group_size)
    costs = Costs(update_cost, response_cost, sampling)
    best = shared_weight(below, target, clock=costs.clock(group_size))
    finite = best.excess_of_all(names, group_size=group_size)
    ranked = dict(sorted(finite.items(), key=lambda item: item[1]))
    sizes = group_sizes(next(iter(ranked)), float(np.median(below)), costs)
    limit = best.excess_of_all(names)
    return Advice(below, target, group_size, costs, best, limit, ranked, sizes)
