"""Which prompts of a population are trained, and how far: the ends with the least total length.

The cost of moving a prompt from s to e is the length ∫ₛᵉ m dρ with the margin m = g·b. Water poured
over the sorted starts lifts the hardest prompts to one level; leaving the hardest of all dry, or
lifting one of them part of the way, are the other candidates for an optimum.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
from scipy import optimize
from scipy.interpolate import CubicHermiteSpline
from scipy.special import expit, logit

from theory._arrays import Array, Floats
from theory._quadrature import gauss_legendre

TOP = 20.0
"""Log-odds of the highest end considered: 1 − ρ = 2e-9, known to 1e-7 in float64."""

_CELLS = 4000
# One prompt may be trained part of the way: tried at every cut-off of a small population, and near
# the best one of a large population, where it changes the cost by less than 1/prompts.
_SMALL, _NEIGHBOURS = 64, 3
_PARTIAL = 257  # ends of a partly trained prompt that are compared before the best is refined


class Path:
    """The length ∫m dρ of a way, as a function of log-odds, and integrals like it."""

    def __init__(
        self, margin: Callable[[Floats], Floats], lowest: float, cells: int = _CELLS
    ) -> None:
        self.margin = margin
        self.odds = np.linspace(float(logit(lowest)) - 1e-9, TOP, cells + 1)
        (self.length,) = self.primitives(lambda success: margin(success)[None])
        self.success = expit(self.odds)
        self.lengths = self.length(self.odds)

    def primitives(self, integrands: Callable[[Floats], Floats]) -> list[CubicHermiteSpline]:
        """Integrals over ρ from the lowest start, as functions of log-odds."""
        nodes, weights = gauss_legendre(6)
        half = np.diff(self.odds) / 2
        points = self.odds[:-1, None] + half[:, None] * (1 + nodes)

        def in_odds(odds: Floats) -> Floats:
            success = expit(odds)
            return np.asarray(integrands(success)) * success * expit(-odds)

        values = in_odds(points.ravel()).reshape(-1, *points.shape)
        steps = np.einsum("mcn,n,c->mc", values, weights, half)
        slopes = in_odds(self.odds)
        return [
            CubicHermiteSpline(self.odds, np.concatenate([[0.0], np.cumsum(s)]), d)
            for s, d in zip(steps, slopes, strict=True)
        ]

    def has_one_minimum(self) -> bool:
        """Tell whether m falls and then rises."""
        margin = self.margin(self.success)
        turns = np.sign(np.diff(margin))[np.abs(np.diff(margin)) > 1e-9 * margin[1:]]
        return bool(np.all(np.diff(turns) >= 0))


class Levels:
    """Ends of prompts sorted from hardest to easiest: none below a cut-off, one level above it."""

    def __init__(self, start: Floats, share: Floats, path: Path) -> None:
        self.start, self.share, self.path = start, share, path
        self.length = path.length(logit(start))
        self.shares = np.concatenate([[0.0], np.cumsum(share)])
        self.mass = np.concatenate([[0.0], np.cumsum(share * start)])
        self.lengths = np.concatenate([[0.0], np.cumsum(share * self.length)])

    def fill(self, cut: Array, need: Array) -> tuple[Floats, Floats]:
        """Common level and cost if prompts from ``cut`` on are lifted by ``need`` in total.

        The level is that of water poured over the starts; ∞ cost if it would reach 1.
        """
        cut, need = np.broadcast_arrays(np.asarray(cut), np.asarray(need, dtype=np.float64))
        low, high = cut + 1, np.full(cut.shape, len(self.start))
        # Bisection for the number of prompts under water: lifting those below ``middle`` to the
        # start of prompt ``middle`` takes no more than what is there.
        while np.any(low < high):
            middle = (low + high) // 2
            at = self.start[np.minimum(middle, len(self.start) - 1)]
            takes = at * (self.shares[middle] - self.shares[cut]) - (
                self.mass[middle] - self.mass[cut]
            )
            under = (takes < need) & (low < high)
            low, high = np.where(under, middle + 1, low), np.where(under, high, middle)
        low = np.minimum(low, len(self.start))
        wet = self.shares[low] - self.shares[cut]
        level = (need + self.mass[low] - self.mass[cut]) / wet
        inside = level < expit(TOP)
        length = self.path.length(logit(np.where(inside, level, 0.5)))
        cost = length * wet - (self.lengths[low] - self.lengths[cut])
        return level, np.where(inside, cost, np.inf)

    def least(self, need: float) -> float:
        """Least cost with no prompt trained part of the way: an upper bound, and near it."""
        return float(self.fill(np.arange(len(self.start)), need)[1].min())

    def solve(self, need: float, *, partly: bool = True) -> tuple[Floats, float]:
        """Ends with the least cost, and their common level.

        Args:
            need: Mean success to gain.
            partly: One prompt may be trained part of the way.
        """
        count = len(self.start)
        cost = self.fill(np.arange(count), need)[1]
        best = int(np.argmin(cost))
        least, cut, partial = float(cost[best]), best, math.nan
        near = range(max(0, best - _NEIGHBOURS), min(count - 1, best + _NEIGHBOURS + 1))
        for trial in () if not partly else range(count - 1) if count <= _SMALL else near:
            found, end = self._partial(trial, need)
            if found < least * (1 - 1e-12):
                least, cut, partial = found, trial, end
        ends = self.start.copy()
        if not math.isnan(partial):
            ends[cut] = partial
            need = need - float(self.share[cut]) * (partial - float(self.start[cut]))
            cut += 1
        level = float(self.fill(cut, need)[0])
        ends[cut:] = np.maximum(self.start[cut:], level)
        return ends, level

    def _partial(self, cut: int, need: float) -> tuple[float, float]:
        """Least cost, and the end of prompt ``cut``, if that prompt stops below the level.

        The easier prompts are lifted by what it leaves over, so that its end lies between the
        least that lets them bring the rest and the level at which all of them would meet.
        """
        share, start = float(self.share[cut]), float(self.start[cut])
        highest = min(float(self.fill(cut, need)[0]), float(expit(TOP)))
        room = float(self.share[cut + 1 :] @ np.maximum(expit(TOP) - self.start[cut + 1 :], 0.0))
        lowest = start + max(0.0, need - room) / share
        if not lowest < highest:
            return math.inf, start

        def cost(odds: Array) -> Floats:
            end = np.clip(expit(np.asarray(odds, dtype=np.float64)), lowest, highest)
            own = share * (self.path.length(logit(end)) - self.length[cut])
            rest = np.maximum(need - share * (end - start), 0.0)
            return np.asarray(own + self.fill(cut + 1, rest)[1])

        # The cost has several minima: all that the grid can tell apart are refined.
        grid = np.linspace(float(logit(lowest)), float(logit(highest)), _PARTIAL)
        padded = np.concatenate([[np.inf], cost(grid), [np.inf]])
        valleys = np.flatnonzero((padded[1:-1] <= padded[:-2]) & (padded[1:-1] <= padded[2:]))
        best = math.inf, start
        for place in valleys[np.isfinite(padded[1:-1][valleys])]:
            bounds = grid[max(place - 1, 0)], grid[min(place + 1, _PARTIAL - 1)]
            found = optimize.minimize_scalar(
                lambda odds: float(cost(odds)),
                bounds=bounds,
                method="bounded",
                options={"xatol": 1e-12},
            )
            best = min(best, (float(found.fun), float(expit(found.x))))
        return best

    def dual_bound(self, need: float, level: float) -> float:
        """Largest Lagrangian lower bound on Σ w G over prices near the margin at ``level``."""
        path = self.path
        place = np.searchsorted(path.odds, logit(self.start))

        def bound(log_price: float) -> float:
            price = math.exp(log_price)
            net = path.lengths - price * path.success
            best_above = np.minimum.accumulate(net[::-1])[::-1]
            stay = self.length - price * self.start
            gain = np.minimum(best_above[np.minimum(place, len(net) - 1)] - stay, 0.0)
            return float(self.share @ gain) + price * need

        centre = math.log(float(path.margin(np.array([level]))[0]))
        found = optimize.minimize_scalar(
            lambda log_price: -bound(log_price), bounds=(centre - 2, centre + 2), method="bounded"
        )
        return max(bound(centre), -float(found.fun))
