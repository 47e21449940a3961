"""Numerical verdicts on the claims of the ledger that mathematics can decide.

Every check computes its number by means that share nothing with what it tests: an optimiser that
knows no closed form, plain quadrature in ρ, step-by-step simulation, sums over outcomes, exact
fractions, and derivatives by complex steps (f(x + ih) has the imaginary part h f′(x) to rounding).
A claim holds if the number lies within the tolerance of the prediction.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from scipy import integrate, optimize, stats
from scipy.special import expit, logit

from theory import lens
from theory._arrays import Floats
from theory.advantages import group_advantages
from theory.crossover import crossover
from theory.finite_group import expected_weight
from theory.logit_gradients import ESTIMATORS, nsr_logit_update, psr_logit_update
from theory.optimal import optimal_weight
from theory.schemes import SCHEMES

TARGET = 0.9
"""Success probability at which times are taken."""

EXCESS_TIMES = {
    (0.001, "effective"): (15.53, 2.610, 1.061, 1, 1.061),
    (0.01, "effective"): (3.309, 1.555, 1.075, 1, 1.075),
    (0.1, "effective"): (1.195, 1.112, 1.086, 1, 1.086),
    (0.38, "effective"): (1.007, 1.016, 1.066, 1, 1.066),
    (0.01, "regular"): (1.145, 1, 1.954, 1.371, 1.145),
    (0.38, "regular"): (1.021, 1, 1.150, 1.015, 1.021),
}
"""Excess times by ρ₀ and clock as theory.md section 3 tabulates them, one per entry of _WEIGHTS."""

_WEIGHTS: dict[str, Callable[[Any], Any]] = {
    "rloo": lambda p: 1.0 + 0 * p,
    "grpo": lambda p: 1 / np.sqrt(p * (1 - p)),
    "linear_r": lambda p: 1 / p,
    "sqrt_r": lambda p: 1 / (p * np.sqrt(1 - p)),
    "uniform_r": lambda p: 1 / (p * (1 - p)),
}
_COSTS: dict[str, Callable[[Any], Any]] = {
    "regular": lambda p: 1.0 + 0 * p,
    "effective": lambda p: 1 / p,
}

Outcome = tuple[float, float, float]
"""Prediction, measured number, tolerance."""


@dataclasses.dataclass(frozen=True)
class Verdict:
    """Outcome of one check.

    Attributes:
        id: Claim of the ledger, such as ``"A1"``.
        quantity: What was measured, in words.
        prediction: The number that the claim predicts.
        measured: The number found.
        tolerance: Largest difference at which the claim holds.
    """

    id: str
    quantity: str
    prediction: float
    measured: float
    tolerance: float

    @property
    def holds(self) -> bool:
        """Tell whether the number lies within the tolerance; NaN does not."""
        return abs(self.measured - self.prediction) <= self.tolerance


_CHECKS: dict[str, tuple[str, Callable[[], Outcome]]] = {}


def _checks(id: str, quantity: str) -> Callable[[Callable[[], Outcome]], Callable[[], Outcome]]:
    def add(function: Callable[[], Outcome]) -> Callable[[], Outcome]:
        _CHECKS[id] = (quantity, function)
        return function

    return add


def claim_ids() -> list[str]:
    """Ids of the claims that have a numerical check, in the order of the ledger.

    Source: the claims ledger of this package.

    >>> claim_ids()[:3]
    ['A1', 'A2', 'A3']
    """
    return list(_CHECKS)


def check(id: str) -> Verdict:
    """Compute the verdict on a claim; every check takes at most a few seconds.

    Args:
        id: One of :func:`claim_ids`.

    Raises:
        ValueError: A claim without a numerical check.

    Source: arXiv 2602.11128 (A), 2510.08696 (L), 2506.01347 (N); theory.md (O).

    >>> verdict = check("A6")
    >>> verdict.holds, round(verdict.measured, 3)
    (True, 0.86)
    """
    if id not in _CHECKS:
        raise ValueError(f"{id!r} has no numerical check; claims that do: {', '.join(_CHECKS)}")
    quantity, function = _CHECKS[id]
    prediction, measured, tolerance = function()
    return Verdict(id, quantity, float(prediction), float(measured), float(tolerance))


# Optimal weights ---------------------------------------------------------------------------------


def _optimised(clock: str, scheme: str) -> Outcome:
    """Distance of the best of all piecewise constant weights from the named one, in log ω.

    log T + log B does not depend on the scale of ω, and has one minimum in log ω.
    """
    edges = np.linspace(logit(0.01), logit(TARGET), 41)
    success = expit((edges[1:] + edges[:-1]) / 2)
    width = np.diff(expit(edges))
    slowness = _COSTS[clock](success) * width / (success * (1 - success))

    def objective(log_weight: Floats) -> tuple[float, Floats]:
        time, spent = slowness * np.exp(-log_weight), width * np.exp(log_weight)
        value = math.log(time.sum()) + math.log(spent.sum())
        return value, spent / spent.sum() - time / time.sum()

    minimise: Any = optimize.minimize
    found = minimise(
        objective, np.zeros(40), jac=True, method="BFGS", options={"gtol": 1e-9, "maxiter": 2000}
    )
    named = np.log(_WEIGHTS[scheme](success))
    gap = (found.x - found.x.mean()) - (named - named.mean())
    # A gradient of 1e-9 per weight over a curvature of 1/40 of its share bounds log ω to 1e-5.
    return 0.0, float(np.abs(gap).max()), 1e-4


@_checks("A1", "largest |ln ω − ln ω_GRPO| of the best weight on the regular clock, from 0.01")
def _a1() -> Outcome:
    return _optimised("regular", "grpo")


@_checks("A2", "largest |ln ω − ln ω_Sqrt-R| of the best weight on the effective clock, from 0.01")
def _a2() -> Outcome:
    return _optimised("effective", "sqrt_r")


def _quad(function: Callable[[float], float], start: float) -> float:
    return float(integrate.quad(function, start, TARGET, epsrel=1e-10, epsabs=0, limit=500)[0])


def _excess(weight: Callable[[float], float], start: float, clock: str) -> float:
    """Excess time of a weight, T·B/(T*B), by plain quadrature in ρ."""
    cost = _COSTS[clock]
    time = _quad(lambda p: cost(p) / (weight(p) * p * (1 - p)), start)
    least = _quad(lambda p: math.sqrt(cost(p) / (p * (1 - p))), start)
    return time * _quad(weight, start) / least**2


@_checks("A3", "largest relative difference of a tabulated excess time from its quadrature")
def _a3() -> Outcome:
    gaps = [
        abs(_excess(weight, start, clock) / tabulated - 1)
        for (start, clock), row in EXCESS_TIMES.items()
        for weight, tabulated in zip(_WEIGHTS.values(), row, strict=True)
    ]
    return 0.0, max(gaps), 5.1e-4  # the table has four significant digits


def _stepped(scheme: str, start: float) -> float:
    """Cost on the effective clock times budget of small mirror steps, logit ρ′ = logit ρ + ηω."""
    weight, step = _WEIGHTS[scheme], 1e-4
    odds, last, time, spent = float(logit(start)), start, 0.0, 0.0
    while last < TARGET:
        omega = float(weight(last))
        odds += step * omega
        success = 1 / (1 + math.exp(-odds))
        time += step / last
        spent += omega * (success - last)
        last = success
    return time * spent


def _speedup(start: float) -> float:
    return _stepped("grpo", start) / _stepped("sqrt_r", start)


@_checks("A4", "time of GRPO over that of Sqrt-R at equal budgets, effective clock, from 0.01")
def _a4() -> Outcome:
    best = optimal_weight(0.01, TARGET, clock="effective")
    return best.excess("grpo") / best.excess("sqrt_r"), _speedup(0.01), 0.01


@_checks("A5", "time of GRPO over that of Sqrt-R at equal budgets, effective clock, from 0.4")
def _a5() -> Outcome:
    return 1.0, _speedup(0.4), 0.05


@_checks("A6", "expected weight of Linear-R that all-wrong groups carry, M = 16, ρ = 0.01")
def _a6() -> Outcome:
    size, rho = 16, 0.01
    kept, dropped = (
        _weight_by_outcomes(f"linear_r:zero_success={word}", size, rho) for word in ("keep", "drop")
    )
    return (1 - rho) ** (size - 1), kept - dropped, 1e-12


def _weight_by_outcomes(scheme: str, size: int, rho: float) -> float:
    """Expected weight E[Σ_i A_i (r_i − ρ)]/(M ρ(1−ρ)), summed over the number of successes."""
    total = 0.0
    for correct in range(size + 1):
        rewards = np.array([1.0] * correct + [0.0] * (size - correct))
        chance = math.comb(size, correct) * rho**correct * (1 - rho) ** (size - correct)
        total += chance * float(group_advantages(rewards, scheme) @ (rewards - rho))
    return total / (size * rho * (1 - rho))


# LENS, PSR and NSR -------------------------------------------------------------------------------


def _gradient(function: Callable[..., Any], at: Floats, *constants: Any) -> Floats:
    """Gradient by complex steps, for functions that take complex numbers."""
    step = 1e-30
    moved = [function(at + 1j * step * unit, *constants) for unit in np.eye(len(at))]
    return np.array([value.imag / step for value in moved])


def _log_softmax(logits: Any) -> Any:
    shifted = logits - logits.real.max()
    return shifted - np.log(np.exp(shifted).sum())


def _lens_loss(logits: Any, policy: Floats, correctness: Floats, scale: float) -> Any:
    """Likelihood loss over answers drawn from a frozen policy."""
    log_policy = _log_softmax(logits)
    wrong = np.log1p(-np.exp(log_policy) / scale)
    return -(policy * (correctness * log_policy + (1 - correctness) * wrong)).sum()


def _lens_objective(logits: Any, correctness: Floats, scale: float) -> Any:
    """J = E[r*] − E[w(π/D)(1−r*)]."""
    policy = np.exp(_log_softmax(logits))
    penalty = -np.log1p(-policy / scale) * scale / policy - 1
    return (policy * (correctness - penalty * (1 - correctness))).sum()


@_checks("L1", "largest |difference| of the gradients of Theorems 1 and 2, and |∇J| at π = D p*")
def _l1() -> Outcome:
    worst = 0.0
    for problem in range(1, 6):
        place = np.arange(6) + 1.0
        logits, right = np.sin(problem * place), 0.5 + 0.4 * np.cos(1 + problem * place)
        log_policy = _log_softmax(logits)
        policy, scale = np.exp(log_policy), 1.3 * float(np.exp(log_policy).max())
        worth = policy * lens.gradient_coefficient(log_policy, right, scale)
        predicted = worth - policy * worth.sum()  # Σ π c ∇ln π of a softmax
        by_loss = -_gradient(_lens_loss, logits, policy, right, scale)
        by_objective = _gradient(_lens_objective, logits, right, scale)
        own = float(lens.exact_scale(right))
        at_rest = _gradient(_lens_objective, np.log(own * right), right, own)
        for gap in (by_loss - predicted, by_objective - predicted, at_rest):
            worst = max(worst, float(np.abs(gap).max()))
    return 0.0, worst, 1e-12


@_checks("L2", "largest violation of the bounds, the zero sum and the equation of w(z)")
def _l2() -> Outcome:
    worst = 0.0
    for shift, rewards in product((0.0, -3.0, -400.0), product((0.0, 1.0), repeat=4)):
        logs, size = np.array([-0.05, -0.7, -2.5, -9.0]) + shift, 4
        penalty = np.array(rewards) - lens.calibrated_rewards(np.array(rewards), logs)
        worst = max(worst, -penalty.min(), penalty.max() - 1 / size)
        if not any(rewards):
            advantages = group_advantages(np.array(rewards), "lens", log_confidence=logs)
            worst = max(worst, abs(advantages.sum()))
    for z in np.linspace(0.01, 0.95, 40):
        slope = float(
            _gradient(lambda x: (-np.log1p(-x) / x - 1)[0], np.array([z], dtype=np.float64))[0]
        )
        left = float(lens.penalty_weight(z)) + z * slope
        worst = max(worst, abs(left * (1 - z) / z - 1))
    return 0.0, worst, 1e-12


@_checks(
    "N1", "largest |difference| of PSR's and NSR's logit updates from derivatives of π and ln π"
)
def _n1() -> Outcome:
    worst = 0.0
    for problem, token in product(range(1, 4), range(5)):
        logits = 3 * np.sin(problem * (np.arange(5) + 1.0))
        for estimator in ESTIMATORS:
            logarithmic = estimator == "log_probability"

            def chosen(z: Any, y: int = token, logarithmic: bool = logarithmic) -> Any:
                log_probability = _log_softmax(z)[y]
                return log_probability if logarithmic else np.exp(log_probability)

            exact = _gradient(chosen, logits)
            raised = psr_logit_update(logits, token, estimator=estimator)
            lowered = nsr_logit_update(logits, token, estimator=estimator)
            worst = max(
                worst, float(np.abs(raised - exact).max()), float(np.abs(lowered + exact).max())
            )
    return 0.0, worst, 1e-14


# Finite groups and noise -------------------------------------------------------------------------


@_checks("O1", "largest relative difference of ω_M of Linear-R from the truncated likelihood's")
def _o1() -> Outcome:
    worst = 0.0
    for size, rho in product((1, 2, 5, 16, 64), (1e-9, 0.01, 0.3, 0.9)):
        for order, word in ((size, "keep"), (size - 1, "drop")):
            exact = sum(((1 - Fraction(rho)) ** k for k in range(order)), Fraction(0))
            found = float(expected_weight("linear_r", size, rho, zero_success=word))
            worst = max(worst, abs(found - float(exact)) / max(float(exact), 1.0))
    return 0.0, worst, 1e-12


@_checks("O2", "excess time of GRPO from 0.01 at M = 16 (1.555 in the limit), effective clock")
def _o2() -> Outcome:
    coefficients = _moment_tables("grpo", 16)[0]

    def weight(success: float) -> float:
        return float(stats.binom.pmf(np.arange(16), 15, success) @ coefficients)

    return 2.29, _excess(weight, 0.01, "effective"), 0.005


def _moment_tables(scheme: str, size: int) -> tuple[Floats, Floats]:
    """Values over K whose binomial means are ω_M and E[A²]."""
    positive, negative = SCHEMES[scheme].table(size)
    share = np.arange(size + 1) / size
    return positive[1:] + negative[:-1], share * positive**2 + (1 - share) * negative**2


@_checks("O3", "largest |difference| of ρ under PSR, NSR and W-REINFORCE after equal ω·t")
def _o3() -> Outcome:
    """Exact proximal steps π′ ∝ π exp(ηA) on a policy over six answers, two of them correct."""
    correct = np.array([1.0, 1, 0, 0, 0, 0])
    paths = []
    for positive, negative in ((1.0, 0.0), (0.0, 1.0), (0.1, 1.0)):
        advantage = correct * positive - (1 - correct) * negative
        policy = np.array([0.01, 0.02, 0.5, 0.2, 0.17, 0.1])
        path = []
        for _ in range(200):
            policy = policy * np.exp(0.05 / (positive + negative) * advantage)
            policy = policy / policy.sum()
            path.append(policy @ correct)
        paths.append(path)
    return 0.0, float(np.ptp(np.array(paths), axis=0).max()), 1e-12


@_checks("O4", "speed-up of Sqrt-R over GRPO at the score variance where it is predicted to be 1")
def _o4() -> Outcome:
    start, size = 0.003, 16
    found = crossover(
        "sqrt_r", "grpo", over="score_variance", low=0.1, high=1e4, start=start, target=TARGET,
        group_size=size, clock="regular",
    )  # fmt: skip
    if not (found.converged and found.speedup_low > 1 > found.speedup_high):
        return 1.0, math.nan, 2e-3
    slow, fast = (_least_time(s, start, size, found.value) for s in ("grpo", "sqrt_r"))
    return 1.0, slow / fast, 2e-3


def _least_time(scheme: str, start: float, size: int, score_variance: float) -> float:
    """Updates of one prompt at the best constant learning rate, by the trapezoidal rule."""
    odds = np.linspace(logit(start), logit(TARGET), 2001)
    success = expit(odds)
    coefficients, squares = _moment_tables(scheme, size)
    weight = stats.binom.pmf(np.arange(size), size - 1, success[:, None]) @ coefficients
    second = stats.binom.pmf(np.arange(size + 1), size, success[:, None]) @ squares
    harm = weight**2 * success * (1 - success) + score_variance * second / size

    def time(log_rate: float) -> float:
        rate = math.exp(log_rate)
        speed = rate * weight - rate**2 / 2 * harm
        if np.any(speed <= 0):
            return math.inf
        return float(integrate.trapezoid(1 / speed, odds))

    limit = math.log(float((2 * weight / harm).min()))
    rates = np.linspace(limit - 6, limit - 1e-3, 200)
    best = float(rates[int(np.argmin([time(rate) for rate in rates]))])
    return float(
        optimize.minimize_scalar(
            time, bounds=(best - 0.1, min(best + 0.1, limit)), method="bounded"
        ).fun
    )
