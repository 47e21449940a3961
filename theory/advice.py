"""What an update costs under a way of drawing groups, and which group size pays for itself."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from theory._arrays import Array
from theory.clocks import resolve_clock
from theory.finite_group import moments
from theory.schemes import SchemeLike, resolve

GROUP_SIZES = (2, 4, 8, 16, 32, 64, 128)

ENOUGH = 0.9
"""Of what the best group size gets for its cost; the smallest that gets so much is recommended."""

SAMPLINGS = {"fixed": None, "until_correct": "any_success", "until_mixed": "mixed_group"}
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

        >>> float(Costs(1.0, 0.5, "until_correct").clock(2)(0.5))  # 4/3 groups are drawn
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
