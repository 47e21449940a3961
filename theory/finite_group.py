"""Exact finite groups: what M sampled responses do in expectation, and how much they scatter.

K ~ Bin(M, ρ) of the M responses are correct, and a method is a pair of tables a⁺_K, a⁻_K. Every
expectation is therefore a finite sum of binomial probabilities, taken here in log space so that it
holds for M up to thousands and for ρ as close to 0 or 1 as float64 can say.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from theory._arrays import Array, Floats, as_floating, check_interval
from theory._binomial import (
    binomial_expectation,
    binomial_expectation_of,
    check_group_size,
)
from theory._options import Option
from theory.schemes import SchemeLike, resolve


def expected_weight(
    scheme: SchemeLike, group_size: int, success: Array, **options: Option
) -> Array:
    """Expected weight ω_M(ρ) of a scheme in groups of M responses.

    ω_M(ρ) = E[A|r=1] − E[A|r=0] = Σ_{J=0}^{M−1} Bin(J; M−1, ρ)(a⁺_{J+1} + a⁻_J), so that the
    expected drift is dρ/dt = ω_M v. Works on NumPy, JAX (also under ``jit``) and torch.

    Args:
        scheme: Scheme, or its name; options may follow a colon.
        group_size: M, at least the scheme's smallest group.
        success: Success probability ρ, any shape, in [0, 1].
        **options: Options of the scheme, such as ``zero_success="drop"``.

    Returns:
        ω_M, an array of the shape of ``success``. It is per sampled group: DAPO, which samples
        until a group is mixed, moves by ω_M/(1 − ρ^M − (1−ρ)^M) per group it keeps.

    Raises:
        ValueError: Unknown scheme or option, a scheme without a table (LENS), a group too small,
            ``success`` outside [0, 1].

    Source: theory.md, section 4. Linear-R gives MaxRL's order-M weight (arXiv 2602.02710).

    >>> round(float(expected_weight("linear_r", 4, 0.5)), 6)  # (1 − (1−ρ)^M)/ρ
    1.875
    >>> round(float(expected_weight("grpo", 16, 0.01)), 3)
    3.733
    """
    coefficients = weight_coefficients(scheme, group_size, **options)
    return binomial_expectation(coefficients[:, None], success)[..., 0]


def expected_weights(
    schemes: Sequence[SchemeLike], group_size: int, success: Array
) -> dict[str, Array]:
    """Expected weights of many schemes, which share one matrix of binomial probabilities.

    Args:
        schemes: Schemes, or their names with options after a colon.
        group_size: M.
        success: ρ, any shape, in [0, 1].

    Returns:
        ω_M by name (as written in ``schemes``), each of the shape of ``success``.

    Raises:
        ValueError: As :func:`expected_weight`.

    Source: theory.md, section 4.

    >>> both = expected_weights(["psr", "reinforce"], 8, 0.3)
    >>> {name: round(float(weight), 6) for name, weight in both.items()}
    {'psr': 1.0, 'reinforce': 2.0}
    """
    names = [scheme if isinstance(scheme, str) else resolve(scheme).label for scheme in schemes]
    table = np.stack([weight_coefficients(scheme, group_size) for scheme in schemes], axis=-1)
    weights = binomial_expectation(table, success)
    return {name: weights[..., column] for column, name in enumerate(names)}


def weight_coefficients(scheme: SchemeLike, group_size: int, **options: Option) -> Floats:
    """Bernstein coefficients c_J = a⁺_{J+1} + a⁻_J, J = 0..M−1, of the expected weight ω_M.

    Args:
        scheme: Scheme, or its name; options may follow a colon.
        group_size: M.
        **options: Options of the scheme.

    Returns:
        M coefficients.

    Raises:
        ValueError: As :func:`expected_weight`.

    Source: theory.md, section 4.

    >>> weight_coefficients("linear_r", 4).round(4).tolist()
    [4.0, 2.0, 1.3333, 1.0]
    """
    positive, negative = resolve(scheme, **options).table(check_group_size(group_size))
    coefficients: Floats = positive[1:] + negative[:-1]
    return coefficients


def expected_advantages(
    scheme: SchemeLike, group_size: int | None, success: Array, **options: Option
) -> tuple[Array, Array]:
    """Expected advantages E[A|r=1] and E[A|r=0] of a right and of a wrong response.

    Σ_J Bin(J; M−1, ρ) a⁺_{J+1} and −Σ_J Bin(J; M−1, ρ) a⁻_J, whose difference is ω_M.

    Args:
        scheme: Scheme, or its name; options may follow a colon.
        group_size: M; ``None`` for the population limit.
        success: ρ, any shape, in [0, 1].
        **options: Options of the scheme.

    Returns:
        Two arrays of the shape of ``success``.

    Raises:
        ValueError: As :func:`expected_weight`.

    Source: theory.md, section 4.

    >>> right, wrong = expected_advantages("rloo", 4, 0.25)
    >>> float(right), float(wrong)
    (0.75, -0.25)
    """
    bound = resolve(scheme, **options)
    if group_size is None:
        rho = as_floating(success)
        check_interval("success", rho)
        positive, negative = bound.coefficients(rho, rho * (1 - rho), math.inf)
        return positive, -negative
    positive, negative = bound.table(check_group_size(group_size))
    both = binomial_expectation(np.stack([positive[1:], -negative[:-1]], axis=-1), success)
    return both[..., 0], both[..., 1]


def surrogate(scheme: SchemeLike, group_size: int, success: Array, **options: Option) -> Array:
    """Surrogate objective F_M(ρ) = ∫₀^ρ ω_M that groups of M responses ascend; F_M(0) = 0.

    Bernstein polynomials integrate in closed form: F_M(ρ) = E[S_K] with K ~ Bin(M, ρ) and
    S_K = (1/M) Σ_{J<K} c_J, the score of a group with K correct responses.

    Args:
        scheme: Scheme, or its name; options may follow a colon.
        group_size: M.
        success: ρ, any shape, in [0, 1].
        **options: Options of the scheme.

    Returns:
        F_M, an array of the shape of ``success``.

    Raises:
        ValueError: As :func:`expected_weight`.

    Source: theory.md, section 4; Davis and Recht, arXiv 2510.13651, for the reading as a score.

    >>> float(surrogate("linear_r", 2, 0.5))  # ∫ (2 − ρ) dρ
    0.875
    """
    coefficients = weight_coefficients(scheme, group_size, **options)
    scores = np.concatenate([[0.0], np.cumsum(coefficients)]) / group_size
    return binomial_expectation(scores[:, None], success)[..., 0]


@dataclasses.dataclass(frozen=True)
class Moments:
    """Exact moments of a scheme in groups of M responses; every field has the shape of ρ.

    The *gradient coefficient* of a group is G = (1/M) Σ_i A_i (r_i − ρ): the group's gradient
    along the difference of the mean scores of correct and wrong responses.

    Attributes:
        weight: ω_M.
        mean: E[A] of one response.
        second_moment: E[A²] = Σ_K Bin(K; M, ρ)[K a⁺_K² + (M−K) a⁻_K²]/M.
        variance: Var A.
        coefficient: E[G] = ρ(1−ρ) ω_M, the finite-group effective weight.
        coefficient_variance: Var G.
    """

    weight: Floats
    mean: Floats
    second_moment: Floats
    variance: Floats
    coefficient: Floats
    coefficient_variance: Floats

    @property
    def signal_to_noise(self) -> Floats:
        """E[G]/√Var G of one group; 0 where both vanish."""
        deviation = np.sqrt(self.coefficient_variance)
        ratio = np.divide(
            self.coefficient,
            deviation,
            out=np.full_like(self.coefficient, math.inf),
            where=deviation > 0,
        )
        return np.where(self.coefficient == 0, 0.0, ratio)


def moments(scheme: SchemeLike, group_size: int, success: Array, **options: Option) -> Moments:
    """Moments of the advantages and of the gradient coefficient of a scheme.

    Variances are sums of squared deviations, not differences of moments, so they keep their
    relative accuracy where the advantage is almost constant (NSR at small ρ).

    Args:
        scheme: Scheme, or its name; options may follow a colon.
        group_size: M.
        success: ρ, any shape, in [0, 1].
        **options: Options of the scheme.

    Returns:
        The moments, NumPy float64 arrays of the shape of ``success``.

    Raises:
        ValueError: As :func:`expected_weight`.

    Source: theory.md, section 4.

    >>> exact = moments("dr_grpo", 4, 0.5)  # E[A²] = ρ(1−ρ)(M−1)/M
    >>> round(float(exact.second_moment), 6), round(float(exact.weight), 6)
    (0.1875, 0.75)
    """
    bound = resolve(scheme, **options)
    group_size = check_group_size(group_size)
    positive, negative = bound.table(group_size)
    points = np.asarray(success, dtype=np.float64)
    check_interval("success", points)
    correct = np.arange(group_size + 1) / group_size
    wrong = 1 - correct
    sums = np.stack(
        [correct * positive - wrong * negative, correct * positive**2 + wrong * negative**2], -1
    )
    averages = binomial_expectation(sums, points)
    mean = averages[..., 0]
    weight = np.asarray(expected_weight(bound, group_size, points))
    coefficient = points * (1 - points) * weight

    def squared_deviations(rho: Floats, expected: Floats, centre: Floats) -> Floats:
        advantage = correct * (positive - expected) ** 2 + wrong * (negative + expected) ** 2
        gradient = correct * positive * (1 - rho) + wrong * negative * rho
        return np.stack([advantage, (gradient - centre) ** 2], -1)

    variances = binomial_expectation_of(squared_deviations, group_size, points, mean, coefficient)
    return Moments(
        weight=weight,
        mean=mean,
        second_moment=averages[..., 1],
        variance=variances[..., 0],
        coefficient=coefficient,
        coefficient_variance=variances[..., 1],
    )
