"""Tables whose expected weight is a given ω: exact for polynomials, best approximations otherwise.

A group of M sees ω only through ω_M(ρ) = Σ_J c_J Bin(J; M−1, ρ), a polynomial of degree below M.
Any such polynomial is reached exactly by its Bernstein coefficients c_J; how c_J = a⁺_{J+1} + a⁻_J
is split decides the variance:

- ``"minimum_variance"``: a⁺_{J+1} = c_J E[1−ρ|J], a⁻_J = c_J E[ρ|J], with J the correct ones among
  the other M − 1 responses: the least E[A²] of all splits, a leave-one-out posterior baseline;
- ``"centred"``: advantages of mixed groups sum to zero and a⁺_M = 0. This leaves no choice:
  a⁻_0 = (−1)^{M−1}·[ρ^{M−1}]ω, so all-wrong groups are penalised exactly if ω has full degree
  (Linear-R: a⁻_0 = 1), and mixed groups alone reach every degree below M − 1;
- ``"uncentred"``: a⁺_{J+1} = c_J, a⁻ = 0, positive reinforcement alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import comb
from typing import Any

import numpy as np
from scipy import optimize

from theory._arrays import Array, Floats
from theory._binomial import (
    binomial_expectation,
    binomial_probabilities,
    check_group_size,
)
from theory.pass_rates import PassRates
from theory.schemes import Scheme, resolve
from theory.tables import table_scheme

SPLITS = ("minimum_variance", "centred", "uncentred")
NORMS = ("l2", "minimax")

Target = str | Scheme | Callable[[Floats], Floats]


@dataclasses.dataclass(frozen=True)
class Approximation:
    """A table for a target weight, and how good it is on the stated distribution of pass rates.

    Attributes:
        group_size: M.
        positive: a⁺_K, shape (M + 1,).
        negative: a⁻_K, shape (M + 1,).
        coefficients: c_J, the Bernstein coefficients of ω_M, shape (M,).
        sup_error: Largest |ω_M − ω| on the nodes; 0 for an exact table.
        rms_error: Root mean square of ω_M − ω over the distribution.
        noise: E[A²] over the distribution.
        condition: Condition number of the least-squares problem; large values say that many
            coefficients fit alike, and that rounding of ω is amplified.
        split: How c_J was divided.
        converged: The optimum was found (always for an exact or least-squares table).
        message: What went wrong, empty if nothing did.
    """

    group_size: int
    positive: Floats
    negative: Floats
    coefficients: Floats
    sup_error: float
    rms_error: float
    noise: float
    condition: float
    split: str
    converged: bool
    message: str

    @property
    def scheme(self) -> Scheme:
        """The table as a scheme for groups of exactly M responses."""
        return table_scheme(self.positive, self.negative, name=f"table_{self.split}")

    def weight(self, success: Array) -> Array:
        """Expected weight ω_M(ρ) of the table.

        Args:
            success: ρ, any shape, in [0, 1].

        Raises:
            ValueError: ``success`` outside [0, 1].

        Source: theory.md, section 4.

        >>> round(float(unbiased_table([1.0], 4).weight(0.3)), 12)
        1.0
        """
        return binomial_expectation(self.coefficients[:, None], success)[..., 0]


def unbiased_table(
    polynomial: Sequence[float] | np.polynomial.Polynomial,
    group_size: int,
    *,
    split: str = "centred",
    rates: PassRates | None = None,
) -> Approximation:
    """Table with ω_M = ω exactly, for a polynomial ω of degree below M.

    Computed in rational arithmetic and rounded once. Coefficients and noise can be enormous (the
    centred split solves a recursion that amplifies by binomial coefficients): see ``noise``.

    Args:
        polynomial: Coefficients of 1, ρ, ρ², …, or a polynomial in ρ.
        group_size: M.
        split: ``"centred"``, ``"minimum_variance"`` or ``"uncentred"``.
        rates: Distribution of ρ for ``noise`` and the minimum-variance split; uniform by default.

    Returns:
        The table; its errors are 0.

    Raises:
        ValueError: A degree of M or more, coefficients that are not finite, an unknown split, or
            a centred table for M = 1, which has no mixed groups.

    Source: theory.md, section 4 "Unbiased weights".

    >>> table = unbiased_table([2.0, -1.0], 2)  # 1 + (1−ρ): Linear-R
    >>> table.positive.tolist(), table.negative.tolist()
    ([0.0, 1.0, 0.0], [1.0, 1.0, 0.0])
    """
    group_size = _checked_size(group_size, split)
    if isinstance(polynomial, np.polynomial.Polynomial):
        polynomial = list(polynomial.convert().coef)
    powers = [float(value) for value in polynomial]
    if not np.all(np.isfinite(powers)):
        raise ValueError("polynomial must have finite coefficients")
    exact = [Fraction(value) for value in powers]
    while len(exact) > 1 and exact[-1] == 0:
        exact.pop()
    if len(exact) > group_size:
        raise ValueError(
            f"groups of {group_size} reach polynomials of degree up to {group_size - 1}; "
            f"got degree {len(exact) - 1}; use best_table for an approximation"
        )
    degree = group_size - 1
    coefficients = [
        sum(
            (
                Fraction(comb(j, i), comb(degree, i)) * value
                for i, value in enumerate(exact[: j + 1])
            ),
            Fraction(0),
        )
        for j in range(group_size)
    ]
    distribution = rates if rates is not None else PassRates.uniform()
    measure = _Measure(distribution, group_size)
    rounded = np.array([float(c) for c in coefficients])
    if split == "centred":
        table = _centred_split(coefficients)
    else:
        table = _split_map(split, measure) @ rounded
    return _result(table, rounded, measure, split, condition=1.0)


def best_table(
    target: Target,
    group_size: int,
    *,
    rates: PassRates | None = None,
    norm: str = "l2",
    ridge: float = 0.0,
    split: str = "minimum_variance",
) -> Approximation:
    """Table whose expected weight comes closest to ω, with its variance held down.

    ``l2`` minimises E[(ω_M − ω)²] + λ E[A²] over the distribution of ρ; ``minimax`` minimises
    max |ω_M − ω| over its nodes, plus λ E[A²].

    Args:
        target: ω: a scheme (its population weight) or a function of ρ.
        group_size: M.
        rates: Distribution of ρ; by default uniform on [0.01, 0.99], away from the ends where
            most weights diverge.
        norm: ``"l2"`` or ``"minimax"``.
        ridge: λ ≥ 0. With 0 and a large M the coefficients can be wild: look at ``noise``.
        split: ``"minimum_variance"``, ``"centred"`` or ``"uncentred"``.

    Returns:
        The table with its errors, variance and condition number.

    Raises:
        ValueError: ω infinite at a node, unknown norm or split, a negative λ.

    Source: theory.md, section 4 "Unbiased weights".

    >>> wild, tame = (best_table("sqrt_r", 8, ridge=ridge) for ridge in (0.0, 1e-2))
    >>> wild.rms_error < tame.rms_error, wild.noise > tame.noise
    (True, True)
    """
    group_size = _checked_size(group_size, split)
    if norm not in NORMS:
        raise ValueError(f"norm must be one of {', '.join(NORMS)}; got {norm!r}")
    if not (np.isfinite(ridge) and ridge >= 0):
        raise ValueError(f"ridge must be a number of at least 0; got {ridge}")
    distribution = rates if rates is not None else PassRates.uniform(0.01, 0.99)
    weight = target if _is_function(target) else resolve(target).weight
    wanted = np.asarray(weight(distribution.success), dtype=np.float64)  # type: ignore[operator]
    if wanted.shape != distribution.success.shape or not np.all(np.isfinite(wanted)):
        raise ValueError(
            "target must be finite at every node of rates; choose rates away from 0 and 1"
        )
    measure = _Measure(distribution, group_size)
    tables = _split_map(split, measure)
    to_coefficients = tables[0, 1:] + tables[1, :-1]
    design = binomial_probabilities(group_size - 1, distribution.success) @ to_coefficients
    # E[A²] = |spread @ parameters|².
    spread = (np.sqrt(measure.mass)[..., None] * tables).reshape(-1, group_size)
    root = np.sqrt(distribution.share)
    stacked = np.concatenate([root[:, None] * design, np.sqrt(ridge) * spread])
    padded = np.concatenate([root * wanted, np.zeros(len(spread))])
    found, _, _, singular = np.linalg.lstsq(stacked, padded, rcond=None)
    condition = float(singular[0] / singular[-1]) if singular[-1] > 0 else float("inf")
    converged, message = True, ""
    if norm == "minimax":
        found, converged, message = _minimax(design, wanted, spread, ridge, found)
    result = _result(tables @ found, to_coefficients @ found, measure, split, condition)
    error = design @ found - wanted
    return dataclasses.replace(
        result,
        sup_error=float(np.abs(error).max()),
        rms_error=float(np.sqrt(distribution.share @ error**2)),
        converged=converged,
        message=message,
    )


class _Measure:
    """Mass of each entry of a table in E[A²], and the posterior of ρ given the other responses."""

    def __init__(self, rates: PassRates, group_size: int) -> None:
        counts = rates.share @ binomial_probabilities(group_size, rates.success)
        correct = np.arange(group_size + 1) / group_size
        self.group_size = group_size
        self.mass = np.stack([correct, 1 - correct]) * counts
        joint = rates.share[:, None] * binomial_probabilities(group_size - 1, rates.success)
        total = joint.sum(axis=0)
        # Where no node ever shows J correct ones, the pass rate J/(M−1) stands in.
        plain = np.arange(group_size) / max(group_size - 1, 1)
        self.success_given_others = np.divide(
            rates.success @ joint, total, out=plain.astype(np.float64), where=total > 0
        )


def _split_map(split: str, measure: _Measure) -> Floats:
    """Linear map from free parameters to the tables (a⁺, a⁻), shape (2, M + 1, M).

    The parameters are c_J, and for the centred split a⁻_0 and the weights ω_K of mixed groups:
    solving for them from c_J would amplify rounding by binomial coefficients.
    """
    size = measure.group_size
    table = np.zeros((2, size + 1, size))
    others = np.arange(size)
    if split == "centred":
        mixed = others[1:]
        table[1, 0, 0] = 1.0
        table[0, mixed, mixed] = 1 - mixed / size
        table[1, mixed, mixed] = mixed / size
        return table
    baseline = np.zeros(size) if split == "uncentred" else measure.success_given_others
    table[0, others + 1, others] = 1 - baseline
    table[1, others, others] = baseline
    return table


def _centred_split(coefficients: Sequence[Fraction]) -> Floats:
    """Solve (M−1−J) t_{J+1} + J t_J = c_J with a⁺_K = (M−K) t_K and a⁻_K = K t_K, from J = M−1."""
    size = len(coefficients)
    t = [Fraction(0)] * (size + 1)
    for j in range(size - 1, 0, -1):
        t[j] = (coefficients[j] - (size - 1 - j) * t[j + 1]) / j
    positive = [(size - k) * t[k] for k in range(size + 1)]
    negative = [k * t[k] for k in range(size + 1)]
    positive[0] = negative[size] = Fraction(0)
    negative[0] = coefficients[0] - positive[1]
    return np.array([[float(value) for value in side] for side in (positive, negative)])


def _minimax(
    design: Floats, wanted: Floats, spread: Floats, ridge: float, start: Floats
) -> tuple[Floats, bool, str]:
    """Minimise t + λ|spread c|² subject to |design c − wanted| ≤ t."""
    size = design.shape[1]
    ones = np.ones((design.shape[0], 1))
    bounds = np.concatenate(
        [np.concatenate([design, -ones], axis=1), np.concatenate([-design, -ones], axis=1)]
    )
    limits = np.concatenate([wanted, -wanted])
    if ridge == 0:
        cost = np.zeros(size + 1)
        cost[-1] = 1.0
        # Bernstein polynomials are all but dependent: the programme is solved for coordinates in an
        # orthonormal basis of what they span, and for the correction to least squares.
        basis, singular, back = np.linalg.svd(design, full_matrices=False)
        kept = singular > 1e-13 * singular[0]
        basis = basis[:, kept] * np.sqrt(len(design))
        rest = wanted - design @ start
        scale = max(float(np.abs(rest).max()), 1e-300)
        linear: Any = optimize.linprog(
            cost[-1 - int(kept.sum()) :],
            A_ub=np.block([[basis, -ones], [-basis, -ones]]),
            b_ub=np.concatenate([rest, -rest]) / scale,
            bounds=[(None, None)] * (int(kept.sum()) + 1),
            method="highs",
        )
        if linear.x is None:
            return start, False, f"the linear programme failed: {linear.message}"
        step = linear.x[:-1] * scale * np.sqrt(len(design)) / singular[kept]
        return start + back[kept].T @ step, bool(linear.success), ""
    quadratic = ridge * spread.T @ spread
    first = np.append(start, np.abs(design @ start - wanted).max())
    scale = max(float(first[-1]), 1e-12)
    minimise: Any = optimize.minimize
    found = minimise(
        lambda x: (x[-1] + x[:-1] @ quadratic @ x[:-1]) / scale,
        first,
        jac=lambda x: np.append(2 * quadratic @ x[:-1], 1.0) / scale,
        constraints={
            "type": "ineq",
            "fun": lambda x: (limits - bounds @ x) / scale,
            "jac": lambda x: -bounds / scale,
        },
        method="SLSQP",
        options={"maxiter": 500, "ftol": 1e-10},
    )
    return found.x[:-1], bool(found.success), "" if found.success else str(found.message)


def _result(
    table: Floats, coefficients: Floats, measure: _Measure, split: str, condition: float
) -> Approximation:
    return Approximation(
        group_size=measure.group_size,
        positive=table[0],
        negative=table[1],
        coefficients=coefficients,
        sup_error=0.0,
        rms_error=0.0,
        noise=float(np.sum(measure.mass * table**2)),
        condition=condition,
        split=split,
        converged=True,
        message="",
    )


def _is_function(target: object) -> bool:
    return callable(target) and not isinstance(target, Scheme)


def _checked_size(group_size: int, split: str) -> int:
    group_size = check_group_size(group_size)
    if split not in SPLITS:
        raise ValueError(f"split must be one of {', '.join(SPLITS)}; got {split!r}")
    if split == "centred" and group_size == 1:
        raise ValueError("a centred table needs group_size of at least 2; got 1")
    return group_size
