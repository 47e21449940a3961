"""The best table of a sampling design: no other a⁺, a⁻ reaches the target with less energy.

Both the time T = Σ u c/ω_S and the energy E = Σ u n_S/ω_S of a path are convex in the 2M entries a
of a table, as ω_S is linear in them and n_S a sum of squares: 1/linear and square/linear are
convex where ω_S > 0. Scaling a table by s turns T + E into T/s + sE, whose least value is 2√(TE).
So the table with the least T + E has the least T·E, the problem is convex, and a point at which
the gradient vanishes is the optimum.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable

import numpy as np
from scipy import linalg
from scipy.special import expit, logit

from theory._arrays import Array, Floats
from theory._definitions import DEFINITIONS
from theory._designs import (
    Design,
    Outcomes,
    Starts,
    finite_design,
    outcomes_of,
    tables_of,
)
from theory._notebook import html_table
from theory._problem import Problem
from theory._quadrature import gauss_legendre
from theory._scheme import Scheme
from theory._velocity import Dynamics
from theory.tables import table_scheme

_ORDER = 16
_ITERATIONS = 200
_TOLERANCE = 1e-10  # a tenth of it is rounding at M = 16
_STARTS = ("grpo", "reinforce", "uniform_r")


@dataclasses.dataclass(frozen=True)
class BestTable:
    """The table of least time times energy, and the certificate that it is.

    It is scaled so that its second moment is 1 on average over the updates of the path, as GRPO's
    is in mixed groups.

    Attributes:
        design: The sampling design.
        group_size: M; none where responses come one by one.
        start: ρ₀, of several prompts the lowest.
        target: ρ₁.
        correct: Correct responses of each outcome.
        size: Responses of each outcome.
        positive: a⁺ of each outcome, in fixed groups a⁺_K for K = 0..M; 0 where no response has it.
        negative: a⁻ of each outcome.
        product: Time times energy.
        gradient: Largest entry of the gradient of ln(T·E), each entry measured in the units of
            its own noise.
        spread: Largest relative difference between the products found from several starts.
        converged: The gradient is below 1e-8 and the starts agree to 1e-9.
        message: What went wrong; empty if nothing did.
    """

    design: Design
    group_size: int | None
    start: float
    target: float
    correct: Floats = dataclasses.field(repr=False)
    size: Floats = dataclasses.field(repr=False)
    positive: Floats = dataclasses.field(repr=False)
    negative: Floats = dataclasses.field(repr=False)
    product: float
    gradient: float
    spread: float
    converged: bool
    message: str

    def _repr_html_(self) -> str:
        columns = {"correct": self.correct, "of": self.size, "a⁺": self.positive}
        return html_table({**columns, "a⁻": self.negative}, repr(self))

    def drift(self, success: Array) -> Floats:
        """ω_S of the table, shape of ``success``, which must lie in (0, 1)."""
        points = np.asarray(success, dtype=np.float64)
        outcomes = outcomes_of(self.design, self.group_size, points.ravel())
        if outcomes.size.size != self.size.size:
            raise ValueError("sizes are summed up to another largest one outside of the path")
        return outcomes.drift(self.positive, self.negative).reshape(points.shape)

    def scheme(self, name: str = "best_table") -> Scheme:
        """The table as a scheme, for groups of M responses.

        Raises:
            ValueError: Sizes differ from update to update.
        """
        if self.group_size is None:
            raise ValueError("a table over groups of one size is needed; sizes differ here")
        return table_scheme(
            self.positive, self.negative, name=name, title=f"best table ({self.design.name})"
        )


def best_table(
    *,
    start: Array,
    target: float,
    design: str | Design = "fixed",
    group_size: int | None = None,
    update_cost: float = 0.0,
    response_cost: float = 1.0,
    dynamics: str | Dynamics | Callable[[Array], Array] = "mirror",
) -> BestTable:
    """The best of all tables under a sampling design, by Newton's method on T + E.

    Args:
        start: ρ₀ in (0, 1), or that of each of several prompts, whose mean is taken.
        target: Above ``start``, below 1.
        design: A sampling design other than the population.
        group_size: M; not used by ``"first_success"``.
        update_cost: α ≥ 0.
        response_cost: β ≥ 0; not both are 0.
        dynamics: The velocity v, see :mod:`theory.dynamics`.

    Returns:
        The table with its certificate.

    Raises:
        ValueError: As :func:`theory.designs.path`.

    Source: section "Sampling designs" of docs/theory.md.

    >>> best = best_table(start=0.01, target=0.9, group_size=16)
    >>> best.converged, round(float(best.negative[0] / best.positive[8]), 2)
    (True, 0.2)
    """
    found = finite_design(design)
    costs = update_cost, response_cost
    return solved_table(Problem.of(start, target, found, group_size, *costs, dynamics))


@functools.lru_cache(maxsize=64)
def solved_table(problem: Problem) -> BestTable:
    """The best table of a problem, solved once for all who ask.

    >>> solved_table(Problem.of(0.1, 0.9, "fixed", 4)) is solved_table(
    ...     Problem.of(0.1, 0.9, "fixed", 4)
    ... )
    True
    """
    success, width = _nodes(problem.starts, problem.target)
    outcomes = problem.outcomes(success)
    share = width * success * (1 - success) / problem.velocity(success)
    objective = _Objective.of(outcomes, share, problem.cost(success))
    schemes = [DEFINITIONS[name] for name in _STARTS]
    starts = [
        objective.packed(*tables_of(scheme, outcomes))
        for scheme in schemes
        if scheme.minimum_group <= outcomes.size.max()
    ]
    solved = [objective.solve(entries) for entries in starts]
    values = [value for _, value, _ in solved]
    entries, value, gradient = min(solved, key=lambda item: item[1])
    spread = max(values) / value - 1
    message = ""
    if gradient > 1e-8:
        message = f"Newton's method ended at a gradient of {gradient:.1e}"
    elif spread > 1e-9:
        message = f"several starts disagree by {spread:.1e}"
    positive, negative = objective.unpacked(entries)
    omega = outcomes.drift(positive, negative)
    mean = float(share @ (outcomes.second_moment(positive, negative) / omega)) / float(
        share @ (1 / omega)
    )
    scale = 1 / math.sqrt(mean)
    tables = (outcomes.correct, outcomes.size, scale * positive, scale * negative)
    for table in tables:
        table.setflags(write=False)  # one result serves whoever asks the same
    return BestTable(
        problem.design,
        problem.group_size,
        problem.start,
        problem.target,
        *tables,
        (value / 2) ** 2,
        gradient,
        spread,
        not message,
        message,
    )


def _nodes(starts: Starts, target: float) -> tuple[Floats, Floats]:
    """Gauss-Legendre nodes in logit ρ, as success probabilities, and their widths in logit.

    A node's width counts by the share of the prompts that pass through it.
    """
    edges = logit(np.array([starts.knots[0], *starts.breaks(target), target]))
    order = _ORDER if starts.knots.size == 1 else _ORDER // 2  # panels are then many and narrow
    nodes, weights = gauss_legendre(order)
    half = np.diff(edges)[:, None] / 2
    points = expit(((edges[1:] + edges[:-1])[:, None] / 2 + half * nodes).ravel())
    return points, (half * weights).ravel() * starts.share(points)


@dataclasses.dataclass(frozen=True)
class _Objective:
    """T + E = Σ_q u_q (c_q + Σ_j s_qj a_j²)/(Σ_j f_qj a_j) over the entries j that occur."""

    features: Floats
    squares: Floats
    share: Floats
    cost: Floats
    used: np.ndarray

    @classmethod
    def of(cls, outcomes: Outcomes, share: Floats, cost: Floats) -> _Objective:
        rho = outcomes.success[:, None]
        features = np.hstack([outcomes.right, outcomes.wrong])
        squares = np.hstack([rho * outcomes.right, (1 - rho) * outcomes.wrong])
        # Entries of outcomes that never happen are left at 0: they change nothing.
        used = squares.max(axis=0) > 1e-200
        return cls(features[:, used], squares[:, used], share, cost, used)

    def packed(self, positive: Floats, negative: Floats) -> Floats:
        entries: Floats = np.concatenate([positive, negative])[self.used]
        return entries

    def unpacked(self, entries: Floats) -> tuple[Floats, Floats]:
        every = np.zeros(self.used.size)
        every[self.used] = entries
        positive, negative = np.split(every, 2)
        return positive, negative

    def parts(self, entries: Floats) -> tuple[float, float]:
        """T and E; ∞ where the drift is not positive everywhere."""
        omega = self.features @ entries
        if omega.min() <= 0:
            return math.inf, math.inf
        slowness = self.share / omega
        return float(slowness @ self.cost), float(slowness @ (self.squares @ entries**2))

    def solve(self, entries: Floats) -> tuple[Floats, float, float]:
        """Newton's method with backtracking; entries, T + E and the scaled gradient there."""
        value, gradient = math.inf, math.inf
        for _ in range(_ITERATIONS):
            time, energy = self.parts(entries)
            entries = entries * math.sqrt(time / energy)  # the best scale: T = E
            value = 2 * math.sqrt(time * energy)
            slope, curvature, unit = self._derivatives(entries)
            gradient = float(np.abs(slope).max()) / value
            if gradient < _TOLERANCE:
                break
            step = linalg.solve(
                curvature + 1e-14 * np.eye(slope.size), -slope, assume_a="pos", check_finite=False
            )
            length = 1.0
            while length > 1e-10:
                tried = sum(self.parts(entries + length * step * unit))
                if tried <= value + 1e-4 * length * float(slope @ step):
                    break
                length /= 2
            if length <= 1e-10:
                break
            entries = entries + length * step * unit
        return entries, value, gradient

    def _derivatives(self, entries: Floats) -> tuple[Floats, Floats, Floats]:
        """Gradient and Hessian in units in which every entry's own noise has curvature 2."""
        omega = self.features @ entries
        slowness = self.share / omega
        total = self.cost + self.squares @ entries**2
        noise = self.squares.T @ slowness
        unit = 1 / np.sqrt(noise)
        slope = 2 * entries * noise - self.features.T @ (slowness / omega * total)
        steep = self.features * np.sqrt(2 * slowness * total)[:, None] / omega[:, None]
        mixed = (
            -2 * entries[:, None] * (self.squares.T @ (self.features * (slowness / omega)[:, None]))
        )
        curvature = steep.T @ steep + mixed + mixed.T + 2 * np.diag(noise)
        return slope * unit, curvature * unit[:, None] * unit, unit
