"""Distributions of the success probability over prompts: nodes and weights."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
from scipy import linalg

from theory._arrays import Array, Floats, check_interval
from theory._binomial import whole_number
from theory._quadrature import gauss_legendre


@dataclasses.dataclass(frozen=True)
class PassRates:
    """Success probabilities of a set of prompts, or quadrature nodes of a density.

    Attributes:
        success: ρ of each prompt or node, shape (n,), in [0, 1].
        share: Share of prompts at each, shape (n,), summing to 1.
    """

    success: Floats
    share: Floats

    def __post_init__(self) -> None:
        """Check the numbers and make the shares sum to 1."""
        success = np.atleast_1d(np.array(self.success, dtype=np.float64))
        share = np.atleast_1d(np.array(self.share, dtype=np.float64))
        if success.ndim != 1 or success.shape != share.shape or success.size == 0:
            raise ValueError(
                f"success and share must be lists of one length; got {success.shape} and "
                f"{share.shape}"
            )
        check_interval("success", success)
        if not np.all(np.isfinite(share)) or np.any(share < 0) or share.sum() <= 0:
            raise ValueError("share must hold finite numbers of at least 0, one of them positive")
        object.__setattr__(self, "success", success)
        object.__setattr__(self, "share", share / share.sum())

    @classmethod
    def beta(cls, a: float, b: float, nodes: int = 64) -> PassRates:
        """Gauss-Jacobi nodes of ρ ~ Beta(a, b).

        Polynomials in ρ of degree below 2·``nodes`` are averaged exactly, hence every
        finite-group expectation with M < 2·``nodes``.

        Args:
            a: First parameter, positive; successes seen before.
            b: Second parameter, positive; failures seen before.
            nodes: Number of nodes.

        Raises:
            ValueError: Parameters that are not positive.

        >>> rates = PassRates.beta(1.0, 3.0)
        >>> round(rates.mean(), 12)
        0.25
        """
        if not (a > 0 and b > 0 and np.isfinite(a) and np.isfinite(b)):
            raise ValueError(f"a and b of a Beta distribution must be positive; got {a} and {b}")
        return cls(*_beta_nodes(a, b, whole_number("nodes", nodes, least=1)))

    @classmethod
    def uniform(cls, low: float = 0.0, high: float = 1.0, nodes: int = 256) -> PassRates:
        """Gauss-Legendre nodes of the uniform distribution on [low, high].

        Args:
            low: Lower end, in [0, 1).
            high: Upper end, above ``low``, at most 1.
            nodes: Number of nodes.

        Raises:
            ValueError: Ends outside [0, 1] or not increasing.

        >>> round(PassRates.uniform(0.2, 0.6).mean(), 12)
        0.4
        """
        if not 0 <= low < high <= 1:
            raise ValueError(f"low and high must satisfy 0 <= low < high <= 1; got {low}, {high}")
        points, weights = gauss_legendre(whole_number("nodes", nodes, least=1))
        return cls(low + (high - low) * (1 + points) / 2, weights)

    def check_target(self, target: float) -> None:
        """Raise a ``ValueError`` unless a mean success to reach lies above the present one.

        >>> PassRates([0.1, 0.3], [1.0, 1.0]).check_target(0.5)
        """
        if not self.mean() < target < 1:
            raise ValueError(
                f"target must lie above the mean start, {self.mean():g}, and below 1; "
                f"got {target:g}"
            )

    def mean(self, function: Callable[[Floats], Floats] | None = None) -> float:
        """Average of a function of ρ over the prompts; of ρ itself by default.

        Args:
            function: Maps ρ of shape (n,) to values of that shape.

        >>> PassRates(np.array([0.0, 1.0]), np.array([1.0, 3.0])).mean()
        0.75
        """
        values = self.success if function is None else np.asarray(function(self.success))
        return float(self.share @ values)


def _beta_nodes(a: float, b: float, nodes: int) -> tuple[Floats, Floats]:
    """Gauss nodes and weights of Beta(a, b) from the eigenvalues of its Jacobi matrix.

    Golub and Welsch's method knows the weights up to the total mass alone, here 1: the Beta
    function, which overflows for large a and b, does not enter.
    """
    k = np.arange(nodes, dtype=np.float64)
    c = a + b - 2 + 2 * k
    # Recurrence of the Jacobi polynomials on [0, 1]; k = 0 and 1 have removable singularities.
    with np.errstate(divide="ignore", invalid="ignore"):
        diagonal = 0.5 + (a - b) * (a + b - 2) / (2 * c * (c + 2))
        squares = (k * (k + a - 1) * (k + b - 1) * (k + a + b - 2) / (c**2 * (c**2 - 1)))[1:]
    diagonal[0] = a / (a + b)
    if nodes > 1:
        squares[0] = a * b / ((a + b) ** 2 * (a + b + 1))
    success, vectors = linalg.eigh_tridiagonal(diagonal, np.sqrt(squares))
    return np.clip(success, 0.0, 1.0), vectors[0] ** 2


def as_pass_rates(rates: PassRates | Array) -> PassRates:
    """Return pass rates from a number, a list of one per prompt, or a :class:`PassRates`.

    Raises:
        ValueError: Numbers outside [0, 1].

    >>> as_pass_rates([0.1, 0.3]).share.tolist()
    [0.5, 0.5]
    """
    if isinstance(rates, PassRates):
        return rates
    success = np.atleast_1d(np.asarray(rates, dtype=np.float64))
    return PassRates(success, np.ones_like(success))
