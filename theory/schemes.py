"""Prompt-weighting schemes: the tables a⁺, a⁻ that turn a group's rewards into advantages.

A group of M responses to one prompt has K successes and the pass rate ρ̂ = K/M. Every method with
a binary reward is a pair of coefficients, a⁺ for a correct response and −a⁻ for a wrong one:

    A_i = r_i a⁺(ρ̂) − (1 − r_i) a⁻(ρ̂).

*Centred* methods have one weight ω, with a⁺ = ω(1−ρ̂) and a⁻ = ωρ̂, so that A_i = ω(r_i − ρ̂).
In the population limit M → ∞ the method ascends E[F(ρ)] with F′ = ω = a⁺ + a⁻.

Each scheme is written once (in ``theory._definitions``), as a function of ρ̂, the variance of the
group's rewards and M, in the array namespace it is called with; tables, weights and advantages
all derive from that function. Options and the values they allow are in ``theory._scheme_options``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping

import numpy as np
from scipy import integrate

from theory._arrays import Array, as_floating, check_interval, is_traced, namespace
from theory._binomial import check_group_size
from theory._definitions import DEFINITIONS
from theory._options import Option, split_reference
from theory._scheme_options import ZERO_SUCCESS, checked_options

__all__ = ["SCHEMES", "ZERO_SUCCESS", "Option", "Scheme", "finite_coefficients", "resolve"]


@dataclasses.dataclass(frozen=True)
class Scheme:
    """A prompt-weighting scheme with its options bound.

    Attributes:
        name: Registry name, such as ``"sqrt_r"``.
        title: Name as it is printed, such as ``"Sqrt-R"``.
        formula: The population weight ω(ρ), or the coefficients where there is no single weight.
        source: Citation key in ``theory.citations``.
        summary: One sentence on what the scheme does.
        options: Option values in force.
        centred: Advantages of a mixed group sum to zero.
        graded: Defined for rewards anywhere in [0, 1], not only for 0 and 1.
        needs_confidence: Advantages depend on the responses' probabilities (LENS).
        needs_baseline: Advantages depend on a critic's value (PPO).
        minimum_group: Smallest group the scheme is defined for.

    Source: one notation for arXiv 2602.11128, 2506.01347, 2510.08696 and their relatives.

    >>> SCHEMES["sqrt_r"].title, SCHEMES["sqrt_r"].formula, SCHEMES["sqrt_r"].source
    ('Sqrt-R', '1/(ρ√(1−ρ))', 'apw')
    """

    name: str
    title: str
    formula: str
    source: str
    summary: str
    options: Mapping[str, Option]
    centred: bool
    graded: bool
    needs_confidence: bool
    needs_baseline: bool
    minimum_group: int
    _coefficients: Callable[..., tuple[Array, Array]] | None = dataclasses.field(repr=False)
    _surrogate: Callable[..., Array | None] | None = dataclasses.field(repr=False)

    def __hash__(self) -> int:
        # Options are a dictionary, which has no hash; static arguments of jit need one.
        return hash((self.name, tuple(self.options.items())))

    def bind(self, **options: Option) -> Scheme:
        """Return the scheme with some options changed.

        ``engine="trl"`` stands for that training library's values (see ``theory.engines``).

        Raises:
            ValueError: An option this scheme does not have, or a value it does not allow.

        >>> SCHEMES["plateau_r"].bind(threshold=0.3).options["threshold"]
        0.3
        """
        bound = checked_options(self.name, self.options, options)
        return dataclasses.replace(self, options=bound)

    @property
    def label(self) -> str:
        """Title with the options that differ from the defaults, as used in legends."""
        defaults = SCHEMES[self.name].options if self.name in SCHEMES else {}
        changed = [f"{k}={v}" for k, v in self.options.items() if defaults.get(k) != v]
        return f"{self.title} ({', '.join(changed)})" if changed else self.title

    @property
    def has_table(self) -> bool:
        """Tell whether advantages are a table over K, and need rewards alone."""
        return self._coefficients is not None and not self.needs_baseline

    def coefficients(
        self, mean: Array, variance: Array, group_size: Array | float
    ) -> tuple[Array, Array]:
        """Coefficients (a⁺, a⁻) of groups with the given mean reward and reward variance.

        They may be infinite where no response uses them (a⁺ at ρ̂ = 0).

        Args:
            mean: Mean reward ρ̂ of each group, in [0, 1].
            variance: Population variance of the rewards of each group; ρ̂(1−ρ̂) if binary.
            group_size: M, a number or one per group; ``math.inf`` for the population limit.

        Raises:
            ValueError: The scheme has no table (LENS, and PPO for a finite group).
        """
        if self._coefficients is None:
            raise ValueError(
                f"{self.name} has no table: its advantages depend on the responses' confidences; "
                "use group_advantages(rewards, 'lens', log_confidence=...)"
            )
        xp = namespace(mean)
        return self._coefficients(xp, mean, variance, group_size, **self.options)

    def table(self, group_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Tables a⁺_K and a⁻_K for K = 0..M.

        a⁺_0 and a⁻_M belong to no response and are 0.

        Returns:
            Two float64 arrays of length M + 1.

        Raises:
            ValueError: M below the smallest group the scheme is defined for, or no table.

        >>> positive, negative = SCHEMES["linear_r"].table(4)
        >>> positive.tolist(), negative.tolist()
        ([0.0, 3.0, 1.0, 0.3333333333333333, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0])
        """
        self.check_group_size(group_size)
        mean = np.arange(group_size + 1) / group_size
        positive, negative = self.coefficients(mean, mean * (1 - mean), group_size)
        positive, negative = finite_coefficients(positive, negative)
        positive, negative = np.array(positive, dtype=float), np.array(negative, dtype=float)
        positive[0] = negative[-1] = 0.0
        return positive, negative

    def check_group_size(self, group_size: int) -> None:
        """Raise a ``ValueError`` unless the scheme is defined for groups of ``group_size``."""
        check_group_size(group_size)
        if group_size < self.minimum_group and self.options.get("singleton") != "raw":
            raise ValueError(
                f"{self.name} compares the responses of a group and needs group_size of at least "
                f"{self.minimum_group}; got {group_size}"
            )
        for option in ("order", "k"):
            largest = self.options.get(option)
            if isinstance(largest, int) and group_size < largest:
                raise ValueError(
                    f"{option} of {self.name} must be at most the group size, {group_size}; "
                    f"got {largest}"
                )

    def weight(self, success: Array) -> Array:
        """Population weight ω(ρ) = a⁺(ρ) + a⁻(ρ); its limit (possibly ∞) at 0 and 1.

        >>> float(SCHEMES["grpo"].weight(0.5)), float(SCHEMES["linear_r"].weight(0.0))
        (2.0, inf)
        """
        success, positive, negative = self._population(success)
        return positive + negative

    def effective_weight(self, success: Array) -> Array:
        """Effective weight e(ρ) = ω(ρ) ρ(1−ρ), the drift of ρ under the mirror flow.

        >>> float(SCHEMES["sqrt_r"].effective_weight(0.0))
        1.0
        """
        success, positive, negative = self._population(success)
        if not self.centred:
            return success * (1 - success) * (positive + negative)
        # e = (1−ρ)a⁻ = ρa⁺, and each coefficient is finite at the end where the other is not.
        xp = namespace(success)
        low, zero = success < 0.5, xp.zeros_like(success)
        return xp.where(
            low,
            (1 - success) * xp.where(low, negative, zero),
            success * xp.where(low, zero, positive),
        )

    def _population(self, success: Array) -> tuple[Array, Array, Array]:
        success = as_floating(success)
        check_interval("success", success)
        return success, *self.coefficients(success, success * (1 - success), math.inf)

    def surrogate(self, success: Array) -> Array:
        """Surrogate objective F(ρ) with F′ = ω, in the constant of integration of the papers.

        The few options that leave no closed form (ε of 0.5 and more) are integrated numerically,
        with F(1/2) = 0.

        >>> round(float(SCHEMES["grpo"].surrogate(0.5)), 6)  # 2 arcsin √ρ = π/2
        1.570796
        """
        success = as_floating(success)
        check_interval("success", success)
        xp = namespace(success)
        closed = None
        if self._surrogate is not None:
            with np.errstate(divide="ignore"):
                closed = self._surrogate(xp, success, **self.options)
        if closed is not None:
            return closed
        if self._coefficients is None:
            raise ValueError(f"{self.name} has no surrogate objective of the success probability")
        if is_traced(success):
            raise ValueError(f"{self.label} has no closed-form surrogate to trace under jit")
        points = [float(point) for point in xp.reshape(success, (-1,))]
        values = [
            integrate.quad(lambda t: float(self.weight(t)), 0.5, point, limit=200)[0]
            for point in points
        ]
        flat = xp.asarray(values, dtype=success.dtype)
        return xp.reshape(flat, tuple(success.shape))


SCHEMES: dict[str, Scheme] = {
    name: Scheme(
        name=name,
        title=definition.title,
        formula=definition.formula,
        source=definition.source,
        summary=definition.summary,
        options=definition.options,
        centred=definition.centred,
        graded=definition.graded,
        needs_confidence=definition.needs_confidence,
        needs_baseline=definition.needs_baseline,
        minimum_group=definition.minimum_group,
        _coefficients=definition.coefficients,
        _surrogate=definition.surrogate,
    )
    for name, definition in DEFINITIONS.items()
}
"""Every scheme by name, with its default options."""


def finite_coefficients(positive: Array, negative: Array) -> tuple[Array, Array]:
    """Replace infinite coefficients by 0: they multiply deviations that are zero.

    A coefficient of a group is infinite only if no response uses it (a⁺ at K = 0) or if all
    rewards are equal, where every centred advantage vanishes.

    Source: arXiv 2602.11128, where a group without reward variance has no centred advantage.

    >>> import numpy as np
    >>> finite_coefficients(np.array([np.inf, 2.0]), np.array([1.0, np.inf]))
    (array([0., 2.]), array([1., 0.]))
    """
    xp = namespace(positive, negative)
    zero = xp.zeros_like(positive)
    return (
        xp.where(xp.isfinite(positive), positive, zero),
        xp.where(xp.isfinite(negative), negative, zero),
    )


def resolve(scheme: str | Scheme, **options: Option) -> Scheme:
    """Return the scheme a caller means, with options bound.

    Args:
        scheme: A :class:`Scheme`, a name in ``SCHEMES``, or a name with options as written on a
            command line: ``"plateau_r:threshold=0.3,zero_success=drop"``.
        **options: Further options; they win over those in the string.

    Raises:
        ValueError: An unknown scheme (the message lists the known ones) or option.

    Source: the names of the papers, in lower case.

    >>> resolve("w_reinforce:lam=0.2").label
    'W-REINFORCE (lam=0.2)'
    >>> resolve("grpo", engine="trl").label
    'GRPO (ddof=1, eps=0.0001)'
    """
    if isinstance(scheme, Scheme):
        return scheme.bind(**options) if options else scheme
    if not isinstance(scheme, str):
        raise ValueError(f"a scheme is a Scheme or a name; got {scheme!r}")
    name, written = split_reference(scheme)
    if name not in SCHEMES:
        raise ValueError(f"unknown scheme {name!r}; known schemes: {', '.join(SCHEMES)}")
    changes = {**written, **options}
    return SCHEMES[name].bind(**changes) if changes else SCHEMES[name]
