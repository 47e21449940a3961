"""Updates to a target when sampling noise bounds the learning rate: where asymmetry pays.

One update averages the gradients of B prompts with M responses each. In the model of this module,
with a constant learning rate η, the log-odds ℓ of prompt x move by

    E Δℓ_x = η a_x − ½ η² L q_x,
    a_x = |δ_x| [(1−s) f_x + s f̄],
    q_x = (1−s)(f_x² + D n_x/M) + s(f̄² + D n̄/(B M)),

where f_x = ω_M(ρ_x)√v(ρ_x) is the length of the expected gradient of prompt x, |δ_x| = √v/(ρ(1−ρ))
how far a unit of gradient moves its log-odds, n_x = E[A²] and bars are averages over prompts.

The first term follows from the flow. The second is a postulate, the quadratic model of
McCandlish et al. (arXiv 1812.06162): an exact mirror step without noise has no such harm.

Assumptions, all of them: scores are measured in coordinates where the success direction has
variance 1 and the score as a whole variance D (``score_variance``); a share s (``sharing``) of what
a prompt learns comes from the average of the batch, the rest from its own M responses, so only the
shared part is averaged over B; the second-order harm L (``curvature``) is the same in every
direction and for every prompt; every prompt is visited in every update; fluctuations enter through
their mean effect alone. s = 0 is a table with a row per prompt, s = 1 one direction for all; under
the mirror flow easy prompts then reach ρ = 1 in finite time and stay there.

L rescales η and the time alike and so leaves ratios of times alone. The two regimes
of claim O4: harm by η²f² dominates where D(1−s + s/B) ≪ M, harm by noise where it is ≫ M.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy.special import expit, logit

from theory._arrays import Array, Floats
from theory._notebook import html_fields
from theory._quadrature import gauss_legendre
from theory.clocks import Clock, resolve_clock
from theory.dynamics import Dynamics, resolve_dynamics
from theory.finite_group import moments
from theory.pass_rates import PassRates, as_pass_rates
from theory.schemes import Scheme, SchemeLike, resolve

_EDGE = 30.0  # log-odds beyond which nothing moves
_GRID = 12001  # nodes of ω_M and E[A²]; linear interpolation errs by less than 4e-6 of them
_COARSE_RATES, _COARSE_STEPS = 49, 24
_FINE_RATES, _FINE_STEPS, _ZOOMS = 9, 80, 4
_PANELS = 64
_WINDOWS = 12  # of six decades each


@dataclasses.dataclass(frozen=True)
class Setting:
    """What an update is made of.

    Attributes:
        group_size: M, responses per prompt.
        prompts: B, prompts per update.
        sharing: s in [0, 1].
        score_variance: D, at least 0; 0 switches noise off.
        curvature: L, positive.
        clock: What an update costs at ρ, averaged over prompts; none that waits for a success.
        dynamics: The update rule.
    """

    group_size: int = 16
    prompts: float = 1.0
    sharing: float = 0.0
    score_variance: float = 1.0
    curvature: float = 1.0
    clock: str | Clock = "updates"
    dynamics: str | Dynamics = "mirror"

    def __post_init__(self) -> None:
        """Check the numbers."""
        if not 0 <= self.sharing <= 1:
            raise ValueError(f"sharing must lie in [0, 1]; got {self.sharing}")
        if not (self.prompts >= 1 and math.isfinite(self.prompts)):
            raise ValueError(f"prompts must be a number of at least 1; got {self.prompts}")
        if not (self.score_variance >= 0 and math.isfinite(self.score_variance)):
            raise ValueError(f"score_variance must be at least 0; got {self.score_variance}")
        if not (self.curvature > 0 and math.isfinite(self.curvature)):
            raise ValueError(f"curvature must be positive; got {self.curvature}")
        resolve_clock(self.clock).require_realised(self.group_size)


@dataclasses.dataclass(frozen=True)
class LearningTime:
    """Least time of a scheme over constant learning rates.

    Attributes:
        time: Cost on the clock per prompt until the mean success reaches the target; ∞ if no
            learning rate gets there.
        updates: Number of updates.
        learning_rate: η at which the time is least.
        noise_share: Share of the second-order harm that is noise, averaged over updates; above
            ½ the scheme is noise-dominated.
        converged: The target is reached and the best learning rate lies inside the range searched.
        message: What went wrong, empty if nothing did.
    """

    time: float
    updates: float
    learning_rate: float
    noise_share: float
    converged: bool
    message: str

    def _repr_html_(self) -> str:
        return html_fields(
            {
                "time": self.time,
                "updates": self.updates,
                "learning rate": self.learning_rate,
                "share of noise": self.noise_share,
                "converged": self.converged,
                "message": self.message,
            },
            "Least time over constant learning rates",
        )


def learning_time(
    scheme: SchemeLike,
    start: PassRates | Array,
    target: float,
    setting: Setting = Setting(),
) -> LearningTime:
    """Time to a mean success of ``target`` at the scheme's own best constant learning rate.

    Args:
        scheme: Scheme, or its name with options.
        start: ρ₀: a number, one per prompt, or :class:`PassRates`; in (0, 1).
        target: Mean success to reach, above the mean of ``start`` and below 1.
        setting: Group size, prompts per update, sharing, noise, clock and dynamics.

    Returns:
        The least time and the learning rate it needs.

    Raises:
        ValueError: Probabilities outside (0, 1), a target that is not above the start, unknown
            names, a group too small.

    Source: theory.md, section 4 "Noise"; McCandlish et al., arXiv 1812.06162, for one step.

    >>> result = learning_time("rloo", 0.1, 0.9, Setting(score_variance=0.0))
    >>> result.converged, result.noise_share
    (True, 0.0)
    """
    rates = as_pass_rates(start)
    if np.any(rates.success <= 0) or np.any(rates.success >= 1):
        raise ValueError("start must lie in (0, 1) for every prompt")
    if min(rates.success.min(), 1 - max(rates.success.max(), target)) < expit(-_EDGE):
        raise ValueError("start and target must lie in [1e-13, 1 − 1e-13], the range of the tables")
    rates.check_target(target)
    flow = _Flow(resolve(scheme), rates, setting)
    top = flow.largest_rate()
    if top == 0:
        return _failed("the mean success falls at the start at every learning rate")
    # The start allows rates like 1/ρ₀, the way to the target far smaller ones: the window moves
    # down until the best rate lies inside it.
    for _ in range(_WINDOWS):
        coarse = np.geomspace(1e-6 * top, top, _COARSE_RATES)
        times = flow.run(target, coarse, _COARSE_STEPS)[0]
        place = int(np.argmin(times)) if np.any(np.isfinite(times)) else 0
        if place > 0:
            break
        top = float(coarse[1])
    if not np.any(np.isfinite(times)):
        return _failed("no learning rate reaches the target: the drift turns against it on the way")
    low, high = coarse[max(place - 1, 0)], coarse[min(place + 1, _COARSE_RATES - 1)]
    for _ in range(_ZOOMS):
        fine = np.geomspace(low, high, _FINE_RATES)
        time, updates, noise = flow.run(target, fine, _FINE_STEPS)
        best = int(np.argmin(time))
        low, high = fine[max(best - 1, 0)], fine[min(best + 1, _FINE_RATES - 1)]
    if not math.isfinite(time[best]):
        return _failed("the target is reached only at the edge of what the learning rates allow")
    message = "" if place > 0 else "the best learning rate lies below the range searched"
    return LearningTime(
        float(time[best]),
        float(updates[best]),
        float(fine[best]),
        float(noise[best]),
        place > 0,
        message,
    )


def _failed(message: str) -> LearningTime:
    return LearningTime(math.inf, math.inf, math.nan, math.nan, False, message)


class _Flow:
    """The expected flow of the log-odds of all prompts, for many learning rates at once."""

    def __init__(self, scheme: Scheme, rates: PassRates, setting: Setting) -> None:
        self.setting = setting
        success, place = np.unique(rates.success, return_inverse=True)
        self.share = np.bincount(place, weights=rates.share)
        self.start = logit(success)
        self.clock = resolve_clock(setting.clock)
        self.odds = np.linspace(-_EDGE, _EDGE, _GRID)
        success = expit(self.odds)
        velocity = np.asarray(resolve_dynamics(setting.dynamics).velocity(success))
        exact = moments(scheme, setting.group_size, success)
        with np.errstate(divide="ignore"):
            cost = np.asarray(self.clock.cost(success))
        root = np.sqrt(velocity)
        self.tables = (
            exact.weight * root,
            root / (success * expit(-self.odds)),
            exact.second_moment,
            cost,
        )

    def rates(self, odds: Floats) -> tuple[Floats, Floats, Floats, Floats]:
        """Drift a and harms L f², L·noise per prompt, and the cost per update, of (H, n) odds."""
        position = (np.clip(odds, -_EDGE, _EDGE) + _EDGE) * ((_GRID - 1) / (2 * _EDGE))
        index = np.minimum(position.astype(np.int64), _GRID - 2)
        part = position - index
        length, reach, noise, cost = (
            table[index] * (1 - part) + table[index + 1] * part for table in self.tables
        )
        s, group = self.setting.sharing, self.setting.group_size
        mean_length, mean_noise = ((values @ self.share)[:, None] for values in (length, noise))
        drift = reach * ((1 - s) * length + s * mean_length)
        scale = self.setting.score_variance / group
        curve = self.setting.curvature
        by_drift = curve * ((1 - s) * length**2 + s * mean_length**2)
        by_noise = curve * scale * ((1 - s) * noise + s * mean_noise / self.setting.prompts)
        return drift, by_drift, by_noise, cost @ self.share

    def largest_rate(self) -> float:
        """The learning rate at which the mean success stops rising at the start."""
        odds = self.start[None, :]
        drift, by_drift, by_noise, _ = self.rates(odds)
        slope = expit(odds) * expit(-odds)
        gain = float((slope * drift)[0] @ self.share)
        harm = float((slope * (by_drift + by_noise))[0] @ self.share)
        return max(0.0, 2 * gain / harm) if harm > 0 else 0.0

    def run(
        self, target: float, learning_rates: Floats, steps: int
    ) -> tuple[Floats, Floats, Floats]:
        """Time, updates and noise share by learning rate; ∞ where the mean success stalls.

        The mean success is monotone where it arrives at all, so its log-odds u replace time as the
        variable of integration, and every learning rate arrives at the same u.
        """
        if len(self.start) == 1:
            return self._run_one(target, learning_rates)
        eta = learning_rates[:, None]
        mean = float(expit(self.start) @ self.share)
        first, last = float(logit(mean)), float(logit(target))
        step = (last - first) / steps
        odds = np.repeat(self.start[None, :], len(learning_rates), axis=0)
        totals = np.zeros((3, len(learning_rates)))
        alive = np.ones(len(learning_rates), dtype=bool)

        def slopes(u: float, odds: Floats) -> tuple[Floats, Floats]:
            drift, by_drift, by_noise, cost = self.rates(odds)
            speed = eta * drift - eta**2 / 2 * (by_drift + by_noise)
            success = expit(odds)
            rise = (success * expit(-odds) * speed) @ self.share
            alive[rise <= 0] = False
            pace = expit(u) * expit(-u) / np.where(rise > 0, rise, np.inf)
            harm = (by_drift + by_noise) @ self.share
            noise = np.divide(by_noise @ self.share, harm, out=np.zeros_like(harm), where=harm > 0)
            return speed * pace[:, None], np.stack([cost * pace, pace, noise * pace])

        for number in range(steps):
            u = first + number * step
            k1, t1 = slopes(u, odds)
            k2, t2 = slopes(u + step / 2, odds + step / 2 * k1)
            k3, t3 = slopes(u + step / 2, odds + step / 2 * k2)
            k4, t4 = slopes(u + step, odds + step * k3)
            odds = odds + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            totals += step / 6 * (t1 + 2 * t2 + 2 * t3 + t4)
            if not alive.any():
                break
        time, updates, noise = totals
        share = np.divide(noise, updates, out=np.zeros_like(noise), where=updates > 0)
        dead = ~alive
        return np.where(dead, np.inf, time), np.where(dead, np.inf, updates), share

    def _run_one(self, target: float, learning_rates: Floats) -> tuple[Floats, Floats, Floats]:
        """The same for prompts that are all alike, whose path is known: a plain quadrature."""
        nodes, weights = gauss_legendre(8)
        edges = np.linspace(float(self.start[0]), float(logit(target)), _PANELS + 1)
        half = np.diff(edges) / 2
        odds = (edges[:-1, None] + half[:, None] * (1 + nodes)).ravel()
        drift, by_drift, by_noise, cost = self.rates(odds[:, None])
        drift, by_drift, by_noise = drift[:, 0], by_drift[:, 0], by_noise[:, 0]
        eta, harm = learning_rates[:, None], by_drift + by_noise
        speed = eta * drift - eta**2 / 2 * harm
        dead = np.any(speed <= 0, axis=1)
        pace = (half[:, None] * weights).ravel() / np.where(speed > 0, speed, np.inf)
        noise = np.divide(by_noise, harm, out=np.zeros_like(harm), where=harm > 0)
        time, updates = pace @ cost, pace.sum(axis=1)
        share = np.divide(pace @ noise, updates, out=np.zeros_like(updates), where=updates > 0)
        return np.where(dead, np.inf, time), np.where(dead, np.inf, updates), share
