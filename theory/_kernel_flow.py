"""Prompts on their way side by side, moved by a kernel, by the method of Runge and Kutta.

Rows are pairs of a scheme and a set of prompts, and are followed together, each with steps of its
own length, until its mean success is the target.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy.special import expit

from theory._arrays import Floats
from theory._designs import Design, outcomes_of, tables_of
from theory._scheme import Scheme
from theory.verifier_errors import RIGHT, VerifierErrors

_GRID = 0.01  # in logit; linear interpolation is then within 2e-5
_EASIEST = 30.0  # logit beyond which nothing is left to learn
_STEP = 0.3  # of the fastest prompt, in logit: products are then within 1e-5
_MOST_STEPS = 5_000
_PATIENCE = 100  # steps in which a mean success that rises at all rises by more than 1e-6

_Indices = np.ndarray[tuple[int, ...], np.dtype[np.intp]]
_Choice = np.ndarray[tuple[int, ...], np.dtype[np.bool_]]


@dataclasses.dataclass(frozen=True)
class Curves:
    """What a scheme does at each log-odds of a grid.

    Attributes:
        grid: ℓ, ascending in steps of one length.
        speed: e = P_S ω_S ρ(1−ρ), or P_S ω_S where the gradient is natural; P_S, ω_S and n_S are
            at the pass rate ρ̃ that the verifier reports, and ω_S has the factor J.
        second: P_S n_S, or the second moment of the scores that it weighs.
        second_at_0: the same of a prompt with ρ = 0.
    """

    grid: Floats
    speed: Floats
    second: Floats
    second_at_0: float

    @classmethod
    def of(
        cls,
        scheme: Scheme,
        design: Design,
        size: int,
        lowest: float,
        *,
        natural: bool,
        errors: VerifierErrors = RIGHT,
        concentration: tuple[float, float] = (0.0, 0.0),
    ) -> Curves:
        """Curves of a scheme from the log-odds ``lowest`` on; ``natural`` is the mirror flow's."""
        grid = np.arange(lowest, _EASIEST, _GRID)
        success = expit(grid)
        told = np.asarray(errors.observed(success))
        outcomes = outcomes_of(design, size, told)
        tables = tables_of(scheme, outcomes)
        accepted = design.acceptance(size, told)
        drift = errors.informedness * (accepted * outcomes.drift(*tables))
        # ρ(1−ρ) of log-odds loses no digits near 1.
        speed = drift if natural else drift * success * expit(-grid)
        right, wrong = score_variances(success, *concentration)
        # Of the responses called right some are wrong, and the other way round.
        missed, passed = errors.false_negative * success, errors.false_positive * expit(-grid)
        second = accepted * (
            ((success - missed) * right + passed * wrong) * (outcomes.right @ tables[0] ** 2)
            + ((expit(-grid) - passed) * wrong + missed * right) * (outcomes.wrong @ tables[1] ** 2)
        )
        at_0 = second_at_0(tables, design, size, errors)[1] * (1 - concentration[1])
        return cls(grid, speed, second, at_0)


def second_at_0(
    tables: tuple[Floats, Floats], design: Design, size: int, errors: VerifierErrors = RIGHT
) -> tuple[float, float]:
    """P_S and P_S n_S of prompts with ρ = 0, which pass by false positives alone.

    Args:
        tables: a⁺ and a⁻ for groups of M.
        design: A sampling design in which groups have one size.
        size: M.
        errors: How often the verifier errs.

    >>> from theory._designs import DESIGNS
    >>> second_at_0((np.zeros(3), np.ones(3)), DESIGNS["fixed"], 2)
    (1.0, 1.0)
    """
    passing = errors.false_positive
    used = float(design.acceptance(size, passing))
    if passing == 0:
        return used, used * float(tables[1][0]) ** 2
    outcomes = outcomes_of(design, size, np.array([passing]))
    return used, used * float(outcomes.second_moment(*tables)[0])


def score_variances(success: Floats, right: float, wrong: float) -> tuple[Floats, Floats]:
    """E|∇_z ln π|² of a right and of a wrong answer of a softmax over logits z.

    With h⁺ and h⁻ the collision probabilities Σq² of the right and of the wrong answers,

        D⁺ = 1 − 2ρh⁺ + s,   D⁻ = 1 − 2(1−ρ)h⁻ + s,   s = ρ²h⁺ + (1−ρ)²h⁻:

    1 for very many answers, 2(1−ρ)² and 2ρ² where there are two.

    Args:
        success: ρ.
        right: h⁺ in [0, 1].
        wrong: h⁻ in [0, 1].

    >>> [variance.tolist() for variance in score_variances(np.array([0.0, 0.5]), 1.0, 1.0)]
    [[2.0, 0.5], [0.0, 0.5]]
    """
    failure = 1 - success
    same = success**2 * right + failure**2 * wrong
    return 1 - 2 * success * right + same, 1 - 2 * failure * wrong + same


@dataclasses.dataclass(frozen=True)
class _Rows:
    """Rows that are still on their way, and the scheme of each."""

    row: _Indices
    scheme: _Indices

    def take(self, keep: _Choice) -> _Rows:
        return _Rows(self.row[keep], self.scheme[keep])


@dataclasses.dataclass(frozen=True)
class KernelFlow:
    """dℓ_i/dt = (1/N) Σ_j K_ij e(ρ_j), what it costs and the noise it meets.

    Attributes:
        curves: Speed, second moment and cost by scheme and log-odds, shape (schemes, grid, 3); with
            an anchor also what it takes from the speed per unit of log-odds above the start.
        lowest: Log-odds at the start of the grid.
        starts: Log-odds at the start, shape (rows, prompts).
        second_at_0: Second moment of each row's prompts that cannot be solved.
        unsolvable: Share of such prompts, by row.
        cost_at_0: Cost of one of them.
        kernel: s of the kernel N(1 − s)·1 + s, or K/N as a matrix of shape (prompts, prompts).
    """

    curves: Floats
    lowest: float
    starts: Floats
    second_at_0: Floats
    unsolvable: Floats
    cost_at_0: float
    kernel: float | Floats

    def rates(self, odds: Floats, rows: _Rows) -> tuple[Floats, Floats, Floats]:
        """dℓ/dt of every prompt, and the mean second moment and cost of every row."""
        place = np.clip((odds - self.lowest) / _GRID, 0, self.curves.shape[1] - 1.001)
        index = place.astype(np.intp)
        part = (place - index)[..., None]
        scheme = rows.scheme[:, None]
        values = (1 - part) * self.curves[scheme, index] + part * self.curves[scheme, index + 1]
        able = 1 - self.unsolvable[rows.row]
        speed, second, cost = values[..., 0], values[..., 1].mean(axis=1), values[..., 2].mean(1)
        if values.shape[-1] > 3:
            speed = speed - values[..., 3] * (odds - self.starts[rows.row])
        if isinstance(self.kernel, float):
            shared = self.kernel * able * speed.mean(axis=1)
            moved = (1 - self.kernel) * speed + shared[:, None]
        else:
            moved = speed @ self.kernel.T
        noise = able * second + (1 - able) * self.second_at_0[rows.row]
        return moved, noise, able * cost + (1 - able) * self.cost_at_0

    def spent(self, scheme: _Indices, target: float) -> Floats:
        """Time ∫ c dt, energy ∫ n dt and length ∫ √(c n) dt of each row, shape (3, rows).

        Nothing is spent where the mean success is the target from the start; ∞ where it never is.
        """
        odds = self.starts
        done = np.full((3, len(odds)), math.inf)
        rows = _Rows(np.arange(len(odds)), scheme)
        there = expit(odds).mean(axis=1) >= target
        done[:, there] = 0.0
        rows, odds = rows.take(~there), odds[~there]
        spent = np.zeros((3, len(odds)))
        seen = np.full(len(done[0]), -1.0)  # mean success of each row when last looked at
        for number in range(_MOST_STEPS):
            if self.curves.shape[-1] > 3 and number % _PATIENCE == _PATIENCE - 1:
                # An anchor lets prompts come to rest; steps then go to and fro.
                mean = expit(odds).mean(axis=1)
                moving = mean > seen[rows.row] + 1e-6
                seen[rows.row] = mean
                rows, odds, spent = rows.take(moving), odds[moving], spent[:, moving]
            if not len(odds):
                break
            speed = self.rates(odds, rows)[0]
            rising = np.any(speed > 0, axis=1)
            if not np.all(rising):  # who falls everywhere never arrives
                rows, odds, spent = rows.take(rising), odds[rising], spent[:, rising]
                continue
            length = _STEP / np.abs(speed).max(axis=1)
            new, paid = self._step(odds, length, rows)
            there = expit(new).mean(axis=1) >= target
            if np.any(there):
                last = rows.take(there)
                done[:, last.row] = spent[:, there] + self._last(
                    odds[there], length[there], last, target
                )
            keep = ~there
            rows, odds, spent = rows.take(keep), new[keep], (spent + paid)[:, keep]
        return done

    def _step(self, odds: Floats, length: Floats, rows: _Rows) -> tuple[Floats, Floats]:
        """Log-odds after a step of each row, and what it takes."""
        h = length[:, None]
        slopes: list[Floats] = []
        spent: list[Floats] = []
        for fraction in (0.0, 0.5, 0.5, 1.0):
            at = odds + fraction * h * slopes[-1] if slopes else odds
            slope, noise, cost = self.rates(at, rows)
            slopes.append(slope)
            spent.append(np.stack([cost, noise, np.sqrt(cost * noise)]))
        weights = np.array([1, 2, 2, 1]) / 6
        moved = sum(w * slope for w, slope in zip(weights, slopes, strict=True))
        paid = sum(w * part for w, part in zip(weights, spent, strict=True))
        return odds + h * moved, length * paid

    def _last(self, odds: Floats, length: Floats, rows: _Rows, target: float) -> Floats:
        """What the part of a step that ends at the target takes, by regula falsi."""
        low, high = np.zeros_like(length), length
        below = expit(odds).mean(axis=1) - target
        above = expit(self._step(odds, high, rows)[0]).mean(axis=1) - target
        for _ in range(6):
            tried = low - below * (high - low) / (above - below)
            moved, paid = self._step(odds, tried, rows)
            missing = expit(moved).mean(axis=1) - target
            short = missing < 0
            low, below = np.where(short, tried, low), np.where(short, missing, below)
            high, above = np.where(short, high, tried), np.where(short, above, missing)
            if np.all(np.abs(missing) < 1e-12):
                break
        return paid
