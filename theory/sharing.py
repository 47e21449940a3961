"""Prompts that start unequal and share parameters: what an update of one does to the others.

Ascending Σ_j F(ρ_j)/N in parameters that prompts share moves the log-odds ℓ_i = logit ρ_i by the
inner products of their gradients. A fraction s, the *sharing*, acts on all prompts alike:

    dℓ_i/dt = (1 − s) e(ρ_i) + s mean_j e(ρ_j),   e = ω_S(ρ) ρ(1−ρ)  (kernel "softmax"),

from prompts that learn each by itself, s = 0, to prompts that move in one direction, s = 1. With
the kernel "mirror", of the natural gradient, ω_S stands where e does. All prompts are trained side
by side until their mean success is the target. On the way they cost T = ∫ mean_j c(ρ_j) dt, and
their advantages have the energy E = ∫ mean_j n_S(ρ_j) dt; T·E does not depend on the scale of a
scheme.

Drift and second moment are those of a sampling design (:mod:`theory.designs`). One that draws again
draws another prompt, as DAPO does: prompts take part in updates in proportion to P_S(ρ), so that
P_S ω_S and P_S n_S stand for ω_S and n_S, and a group drawn costs c = α P_S + βM. For equal
prompts that is the design's T·E.

These are predictions of a deterministic flow with a positive kernel: no noise, no interference.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from scipy import optimize
from scipy.special import expit, logit, ndtri

from theory._arrays import Floats
from theory._designs import (
    Design,
    check_problem,
    checked_group_size,
    finite_design,
    outcomes_of,
    tables_of,
)
from theory.schemes import SchemeLike, resolve

Kernel = Literal["softmax", "mirror"]
KERNELS: tuple[Kernel, ...] = ("softmax", "mirror")

PROMPTS = 64
"""Prompts that stand for a spread of pass rates: its quantiles (i − ½)/64."""

_GRID = 0.01  # in logit; linear interpolation is then within 2e-5
_EASIEST = 30.0  # logit beyond which nothing is left to learn
_STEP = 0.3  # of the fastest prompt, in logit: products are then within 1e-5
_MOST_STEPS = 5_000


def relative_cost(
    scheme: SchemeLike,
    *,
    start: float,
    spread: float,
    sharing: float,
    target: float = 0.9,
    group_size: int = 16,
    reference: SchemeLike = "grpo",
    kernel: Kernel = "softmax",
) -> float:
    """Time times energy of a scheme over that of another, for prompts spread over pass rates.

    The prompts start at log-odds m + spread·Φ⁻¹((i − ½)/64), with m such that their mean success is
    ``start``; groups have a fixed size.

    Args:
        scheme: Scheme with a table, or its name.
        start: Mean success at the start, in (0, 1).
        spread: Standard deviation of the log-odds, at least 0.
        sharing: s in [0, 1].
        target: Mean success to reach, above ``start`` and below 1.
        group_size: M.
        reference: The scheme to compare with.
        kernel: ``"softmax"`` or ``"mirror"``.

    Returns:
        The ratio; below 1 the scheme is the better one, ∞ if it does not arrive.

    Raises:
        ValueError: Values outside these ranges, or a scheme without a table.

    Source: section "Prompts that share" of docs/theory.md.

    >>> round(relative_cost("sqrt_r", start=0.1, spread=2.0, sharing=0.0), 3)
    0.526
    >>> round(relative_cost("sqrt_r", start=0.1, spread=2.0, sharing=1.0), 3)
    1.436
    """
    check_problem(start, target, 0.0, 1.0)
    if not 0 <= spread < math.inf:
        raise ValueError(f"spread must be a finite number of at least 0; got {spread:g}")
    odds = spread_odds(start, spread)
    first, second = path_costs(
        [scheme, reference],
        odds,
        sharing=sharing,
        target=target,
        group_size=group_size,
        kernel=kernel,
    )[:, 0]
    return float(first / second)


def spread_odds(start: float, spread: float, prompts: int = PROMPTS) -> Floats:
    """Log-odds m + spread·Φ⁻¹((i − ½)/N) whose mean success is ``start``.

    >>> spread_odds(0.5, 1.0, 2).round(3).tolist()
    [-0.674, 0.674]
    """
    shape = spread * ndtri((np.arange(prompts) + 0.5) / prompts)
    if np.ptp(shape) == 0:
        return np.full(prompts, float(logit(start)))
    ends = float(logit(start)) - shape[[-1, 0]]
    middle = optimize.brentq(
        lambda m: float(np.mean(expit(m + shape))) - start, ends[0], ends[1], xtol=1e-13
    )
    return np.asarray(middle + shape)


def path_costs(
    schemes: Sequence[SchemeLike],
    odds: Floats,
    *,
    sharing: float,
    target: float,
    group_size: int,
    design: str | Design = "fixed",
    unsolvable: Floats | float = 0.0,
    kernel: Kernel = "softmax",
    update_cost: float = 0.0,
    response_cost: float = 1.0,
) -> Floats:
    """Time times energy of schemes for sets of prompts, until each set's mean is at the target.

    Args:
        schemes: Schemes with a table.
        odds: logit ρ of the prompts at the start, shape (prompts,) or (sets, prompts).
        sharing: s in [0, 1].
        target: Mean success of these prompts to reach, in (0, 1).
        group_size: M.
        design: A sampling design in which groups have one size.
        unsolvable: Share of further prompts with ρ = 0, in [0, 1), one number or one per set. They
            never move and do not count in the mean, but groups of them are noise if a scheme gives
            all-wrong groups an advantage.
        kernel: ``"softmax"`` or ``"mirror"``.
        update_cost: α ≥ 0, the cost of an update of a prompt.
        response_cost: β ≥ 0, the cost of a response; not both are 0.

    Returns:
        T·E, shape (schemes, sets); 0 where the mean is at the target from the start, ∞ where it
        never gets there.

    Raises:
        ValueError: Values outside these ranges, unknown names, a scheme without a table.

    >>> path_costs(["grpo"], np.zeros(2), sharing=0.0, target=0.9, group_size=16).round(1).tolist()
    [[499.1]]
    """
    found = finite_design(design)
    size = checked_group_size(found, group_size)
    if found.name == "first_success":
        raise ValueError("groups of one size are needed; until the first success sizes differ")
    if kernel not in KERNELS:
        raise ValueError(f"kernel must be {' or '.join(KERNELS)}; got {kernel!r}")
    if not 0 <= sharing <= 1:
        raise ValueError(f"sharing must lie in [0, 1]; got {sharing:g}")
    starts = np.atleast_2d(np.asarray(odds, dtype=np.float64))
    hopeless = np.broadcast_to(np.asarray(unsolvable, dtype=np.float64), starts.shape[:1])
    if not np.all((hopeless >= 0) & (hopeless < 1)):
        raise ValueError("unsolvable must lie in [0, 1)")
    if starts.size == 0 or not np.all(np.isfinite(starts)):
        raise ValueError("odds must be finite numbers, one per prompt at least")
    hardest = float(starts.min())
    check_problem(float(expit(min(hardest, logit(target) - 1))), target, update_cost, response_cost)
    curves = [_Curves.of(s, found, size, hardest, kernel) for s in schemes]
    grid = curves[0].grid
    cost = update_cost * found.acceptance(size, expit(grid)) + response_cost * size
    cost_at_0 = update_cost * (not found.drops_all_wrong) + response_cost * size
    sets = len(starts)
    which = np.repeat(np.arange(len(schemes)), sets)
    flow = _Flow(
        np.stack([np.stack([c.speed, c.second, cost], axis=-1) for c in curves]),
        float(grid[0]),
        np.array([c.second_at_0 for c in curves])[which],
        np.tile(hopeless, len(schemes)),
        cost_at_0,
        sharing,
    )
    return flow.products(np.tile(starts, (len(schemes), 1)), which, target).reshape(-1, sets)


@dataclasses.dataclass(frozen=True)
class _Curves:
    """What a scheme does at each log-odds of a grid."""

    grid: Floats
    speed: Floats
    second: Floats
    second_at_0: float

    @classmethod
    def of(
        cls, scheme: SchemeLike, design: Design, size: int, hardest: float, kernel: Kernel
    ) -> _Curves:
        # Prompts rise unless a scheme's drift is negative; 5 below the hardest is as far as such
        # a scheme is followed.
        grid = np.arange(hardest - 5, _EASIEST, _GRID)
        success = expit(grid)
        bound = resolve(scheme)
        outcomes = outcomes_of(design, size, success)
        tables = tables_of(bound, outcomes)
        accepted = design.acceptance(size, success)
        drift = accepted * outcomes.drift(*tables)
        # ρ(1−ρ) of log-odds loses no digits near 1.
        speed = drift * success * expit(-grid) if kernel == "softmax" else drift
        second = accepted * outcomes.second_moment(*tables)
        at_0 = 0.0 if design.drops_all_wrong else float(tables[1][0]) ** 2
        return cls(grid, speed, second, at_0)


_Indices = np.ndarray[tuple[int, ...], np.dtype[np.intp]]


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Rows that are still on their way, and the scheme of each."""

    row: _Indices
    scheme: _Indices

    def take(self, keep: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> _Rows:
        return _Rows(self.row[keep], self.scheme[keep])


@dataclasses.dataclass(frozen=True)
class _Flow:
    """Sets of prompts on their way, one row each, by the method of Runge and Kutta.

    ``curves`` has speed, second moment and cost by scheme and log-odds.
    """

    curves: Floats
    lowest: float
    second_at_0: Floats
    hopeless: Floats
    cost_at_0: float
    sharing: float

    def rates(self, odds: Floats, rows: _Rows) -> tuple[Floats, Floats, Floats]:
        """dℓ/dt of every prompt, and the mean second moment and cost of every row."""
        place = np.clip((odds - self.lowest) / _GRID, 0, self.curves.shape[1] - 1.001)
        index = place.astype(np.intp)
        part = (place - index)[..., None]
        scheme = rows.scheme[:, None]
        values = (1 - part) * self.curves[scheme, index] + part * self.curves[scheme, index + 1]
        able = 1 - self.hopeless[rows.row]
        speed, second, cost = values[..., 0], values[..., 1].mean(axis=1), values[..., 2].mean(1)
        shared = self.sharing * able * speed.mean(axis=1)
        moved = (1 - self.sharing) * speed + shared[:, None]
        noise = able * second + (1 - able) * self.second_at_0[rows.row]
        return moved, noise, able * cost + (1 - able) * self.cost_at_0

    def step(self, odds: Floats, length: Floats, rows: _Rows) -> tuple[Floats, Floats]:
        """Log-odds after a step of each row, and the time and energy that it takes."""
        h = length[:, None]
        slopes: list[Floats] = []
        spent: list[Floats] = []
        for fraction in (0.0, 0.5, 0.5, 1.0):
            at = odds + fraction * h * slopes[-1] if slopes else odds
            slope, noise, cost = self.rates(at, rows)
            slopes.append(slope)
            spent.append(np.stack([cost, noise]))
        weights = np.array([1, 2, 2, 1]) / 6
        moved = sum(w * slope for w, slope in zip(weights, slopes, strict=True))
        paid = sum(w * part for w, part in zip(weights, spent, strict=True))
        return odds + h * moved, length * paid

    def products(self, odds: Floats, scheme: _Indices, target: float) -> Floats:
        """Time times energy of every row until its mean success is the target."""
        done = np.full(len(odds), math.inf)
        rows = _Rows(np.arange(len(odds)), scheme)
        there = expit(odds).mean(axis=1) >= target
        done[there] = 0.0
        spent = np.zeros((2, len(odds)))
        rows, odds, spent = rows.take(~there), odds[~there], spent[:, ~there]
        for _ in range(_MOST_STEPS):
            if not len(odds):
                break
            speed = self.rates(odds, rows)[0]
            rising = np.any(speed > 0, axis=1)
            if not np.all(rising):  # who falls everywhere never arrives
                rows, odds, spent = rows.take(rising), odds[rising], spent[:, rising]
                continue
            fastest = np.abs(speed).max(axis=1)
            length = _STEP / fastest
            new, paid = self.step(odds, length, rows)
            there = expit(new).mean(axis=1) >= target
            if np.any(there):
                last = rows.take(there)
                ended = spent[:, there] + self._last(odds[there], length[there], last, target)
                done[last.row] = ended[0] * ended[1]
            keep = ~there
            rows, odds, spent = rows.take(keep), new[keep], (spent + paid)[:, keep]
        return done

    def _last(self, odds: Floats, length: Floats, rows: _Rows, target: float) -> Floats:
        """Time and energy of the part of a step that ends at the target, by regula falsi."""
        low, high = np.zeros_like(length), length
        below = expit(odds).mean(axis=1) - target
        above = expit(self.step(odds, high, rows)[0]).mean(axis=1) - target
        for _ in range(6):
            tried = low - below * (high - low) / (above - below)
            moved, paid = self.step(odds, tried, rows)
            missing = expit(moved).mean(axis=1) - target
            short = missing < 0
            low, below = np.where(short, tried, low), np.where(short, missing, below)
            high, above = np.where(short, high, tried), np.where(short, above, missing)
            if np.all(np.abs(missing) < 1e-12):
                break
        return paid
