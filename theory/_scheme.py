"""The class of a scheme: its tables, weights and surrogate objective from one function."""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import integrate

from theory._arrays import Array, as_floating, check_interval, is_traced, namespace
from theory._binomial import check_group_size
from theory._options import (
    ZERO_SUCCESS,
    Declared,
    Option,
    bind_options,
    declared_options,
    write_options,
)
from theory._weight_coefficients import WeightCoefficients

Coefficients = Callable[..., tuple[Array, Array]]
Surrogate = Callable[..., Array | None]


@dataclasses.dataclass(frozen=True, repr=False)
class Scheme:
    """A prompt-weighting scheme with its options bound.

    Attributes:
        name: Registry name, such as ``"sqrt_r"``.
        title: Name as it is printed, such as ``"Sqrt-R"``.
        formula: The population weight ω(ρ), or the coefficients where there is no single weight.
        source: Citation key in ``theory.citations``, or a source with its arXiv number.
        summary: One sentence on what the scheme does.
        options: Option values in force.
        centred: Advantages of a mixed group sum to zero.
        graded: Defined for rewards anywhere in [0, 1], not only for 0 and 1.
        shift_invariant: A constant added to all rewards of a group changes nothing, since ω depends
            on their differences alone; such schemes take rewards of any scale.
        needs_confidence: Advantages depend on the responses' probabilities (LENS).
        needs_baseline: Advantages depend on a critic's value (PPO).
        needs_length: Advantages depend on the responses' lengths (OPO).
        needs_batch: Advantages depend on the pass rates of the batch's other prompts (CurveRL).
        history: Advantages may depend on what was seen of the prompt before (empirical Bayes), by
            the option ``keep``.
        scaled_like: Scheme whose mean square over a batch the advantages are to have; none for
            their own.
        minimum_group: Smallest group the scheme is defined for.
        color: Colour of its lines in figures, as #rrggbb.
        dash: ``solid``, ``dash``, ``short``, ``dot``, ``dash_dot`` or ``dash_dot_dot``.
        marker: Matplotlib marker.
        declared: What each option may be, with its default.
        surrogate_formula: F(ρ) in closed form, given the array namespace, ρ and the options.
        check: Raises a ``ValueError`` unless the options it is given agree with each other.
        traits: Fields that depend on the options it is given, such as ``graded``.

    Source: one notation for arXiv 2602.11128, 2506.01347, 2510.08696 and their relatives.

    >>> Scheme.from_weight(lambda success: 1 / success, "inverse").table(2)[0].tolist()
    [0.0, 1.0, 0.0]
    """

    name: str
    title: str
    formula: str
    source: str
    summary: str
    options: Mapping[str, Option]
    centred: bool = True
    graded: bool = True
    shift_invariant: bool = False
    needs_confidence: bool = False
    needs_baseline: bool = False
    needs_length: bool = False
    needs_batch: bool = False
    history: bool = False
    scaled_like: str | None = None
    minimum_group: int = 1
    color: str = "#000000"
    dash: str = "short"
    marker: str = "x"
    _coefficients: Coefficients = dataclasses.field(kw_only=True)
    surrogate_formula: Surrogate | None = None
    declared: Mapping[str, Declared] = dataclasses.field(default_factory=dict)
    check: Callable[..., None] | None = None
    traits: Callable[..., Mapping[str, Any]] | None = None

    @classmethod
    def from_coefficients(cls, function: Coefficients, name: str, **fields: Any) -> Scheme:
        """Make a scheme of a function from a group to its coefficients (a⁺, a⁻).

        Args:
            function: Takes the array namespace, the mean ρ̂ and the population variance of a
                group's rewards and its size M (``math.inf`` for the population limit). Its
                keyword-only parameters are the scheme's options, ranges beside their defaults
                (``Allowed``), and the first line of its docstring is the summary.
            name: Registry name.
            **fields: Other fields of :class:`Scheme`; ``surrogate_formula`` is F(ρ).
        """
        return cls._declaring(declared_options(function), function, function, name, fields)

    @classmethod
    def from_weight(
        cls, function: Callable[..., Array], name: str | None = None, **fields: Any
    ) -> Scheme:
        """Make a centred scheme of its population weight ω(ρ): a⁺ = ω(1−ρ̂), a⁻ = ωρ̂.

        A group without a correct response is penalised by the limit of ωρ at 0 where that is
        finite and by nothing where it is not, as the asymmetric schemes of the paper are; the
        option ``zero_success`` keeps a share of it. An all-correct group gets nothing.

        Args:
            function: ω, from an array of ρ in (0, 1) to finite weights of at least 0. NumPy and
                operators are enough everywhere, ``jax.numpy`` serves only JAX. Its keyword-only
                parameters are options of the scheme.
            name: Name in messages and results; the function's own name by default.
            **fields: ``title``, ``formula``, ``source``, ``summary``, ``color``, ``dash`` and
                ``marker``, as in :class:`Scheme`.

        Raises:
            ValueError: No function, or one whose values are not finite or negative.

        Source: arXiv 2602.11128, centred schemes by their weight.

        >>> half = Scheme.from_weight(lambda success: success**-0.5, "half")
        >>> float(half.weight(0.25)), half.effective_weight([0.0, 1.0]).tolist()
        (2.0, [0.0, 0.0])
        """
        if not callable(function):
            raise ValueError(f"a weight is a function of the success probability; got {function!r}")
        own = getattr(function, "__name__", type(function).__name__)
        name = name or ("custom" if own == "<lambda>" else own)
        declared = {**_own_options(function), "zero_success": ZERO_SUCCESS}
        made = cls._declaring(declared, WeightCoefficients(function, name), function, name, fields)
        made.weight(np.array([0.25, 0.5, 0.75]))  # refused here, not inside a run
        return made

    @classmethod
    def _declaring(
        cls,
        declared: Mapping[str, Declared],
        coefficients: Coefficients,
        documented: Callable[..., Any],
        name: str,
        fields: Mapping[str, Any],
    ) -> Scheme:
        summary = (inspect.getdoc(documented) or "").split("\n\n")[0]
        return cls(
            name=name,
            options={option: known.default for option, known in declared.items()},
            _coefficients=coefficients,
            declared=declared,
            **{"title": name, "formula": "", "source": "", "summary": summary, **fields},
        )

    def __hash__(self) -> int:
        # Options are a dictionary, which has no hash; static arguments of jit need one.
        return hash((self.name, tuple(self.options.items())))

    def __repr__(self) -> str:
        return f"<{self.label}: {self.formula or self.summary or 'a scheme'}>"

    def bind(self, **options: Option) -> Scheme:
        """Return the scheme with some options changed.

        ``engine="trl"`` stands for that training library's values (see ``theory.engines``).

        Raises:
            ValueError: An option this scheme does not have, or a value it does not allow.

        >>> from theory.schemes import SCHEMES
        >>> SCHEMES["plateau_r"].bind(threshold=0.3).options["threshold"]
        0.3
        """
        bound = bind_options(self.name, self.declared, self.options, options)
        if self.check is not None:
            self.check(**bound)
        changed: Mapping[str, Any] = self.traits(**bound) if self.traits else {}
        return dataclasses.replace(self, options=bound, **changed)

    @property
    def label(self) -> str:
        """Title with the options that differ from the defaults, as used in legends."""
        changed = write_options(self.options, self.declared).replace(",", ", ")
        return f"{self.title} ({changed})" if changed else self.title

    @property
    def defaults(self) -> dict[str, Option]:
        """Option values where nothing else is asked for."""
        return {option: known.default for option, known in self.declared.items()}

    def renamed(self, name: str, **fields: Any) -> Scheme:
        """The scheme under another name, with other fields of a printed scheme."""
        title = name if self.title == self.name else self.title
        made_of = self._coefficients
        if isinstance(made_of, WeightCoefficients):
            made_of = dataclasses.replace(made_of, name=name)
        fields = {"name": name, "title": title, **fields}
        return dataclasses.replace(self, _coefficients=made_of, **fields)

    @property
    def function(self) -> Callable[..., Array] | None:
        """The weight function that a user's own scheme was made of."""
        made_of = self._coefficients
        return made_of.function if isinstance(made_of, WeightCoefficients) else None

    @property
    def has_table(self) -> bool:
        """Tell whether advantages are a table over K, and need rewards alone."""
        more = self.needs_confidence, self.needs_baseline, self.needs_length, self.needs_batch
        return not (any(more) or self.keeps_history)

    @property
    def has_weight(self) -> bool:
        """Tell whether there is a population weight ω(ρ): PPO and OPO have one, but no table."""
        return not (self.needs_confidence or self.needs_batch)

    @property
    def keeps_history(self) -> bool:
        """Tell whether the loop that trains has to hand over the counts of earlier steps."""
        return self.history and bool(self.options["keep"] or self.options["refit"])

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
            ValueError: The scheme has no table (LENS, CurveRL, and PPO and OPO for a finite group).
        """
        xp = namespace(mean)
        return self._coefficients(xp, mean, variance, group_size, **self.options)

    def table(self, group_size: int) -> tuple[np.ndarray, np.ndarray]:
        """Tables a⁺_K and a⁻_K for K = 0..M.

        a⁺_0 and a⁻_M belong to no response and are 0.

        Returns:
            Two float64 arrays of length M + 1.

        Raises:
            ValueError: M below the smallest group the scheme is defined for, or no table.

        >>> from theory.schemes import SCHEMES
        >>> positive, negative = SCHEMES["linear_r"].table(4)
        >>> positive.tolist(), negative.tolist()
        ([0.0, 3.0, 1.0, 0.3333333333333333, 0.0], [1.0, 1.0, 1.0, 1.0, 0.0])
        """
        group_size = self.check_group_size(group_size)
        mean = np.arange(group_size + 1) / group_size
        positive, negative = self.coefficients(mean, mean * (1 - mean), group_size)
        positive, negative = finite_coefficients(positive, negative)
        positive, negative = np.array(positive, dtype=float), np.array(negative, dtype=float)
        positive[0] = negative[-1] = 0.0
        return positive, negative

    def check_group_size(self, group_size: int) -> int:
        """Return M as a Python integer; a ``ValueError`` unless the scheme is defined for it."""
        group_size = check_group_size(group_size)
        if group_size < self.minimum_group and self.options.get("singleton") != "raw":
            raise ValueError(
                f"{self.name} compares the responses of a group and needs group_size of at least "
                f"{self.minimum_group}; got {group_size}"
            )
        only = self.options.get("group_size")
        if only not in (None, group_size):
            raise ValueError(f"{self.label} is for groups of {only}; got groups of {group_size}")
        for option in ("order", "k"):
            largest = self.options.get(option)
            if isinstance(largest, int) and group_size < largest:
                raise ValueError(
                    f"{option} of {self.name} must be at most the group size, {group_size}; "
                    f"got {largest}"
                )
        return group_size

    def weight(self, success: Array) -> Array:
        """Population weight ω(ρ) = a⁺(ρ) + a⁻(ρ); its limit (possibly ∞) at 0 and 1.

        >>> from theory.schemes import SCHEMES
        >>> float(SCHEMES["grpo"].weight(0.5)), float(SCHEMES["linear_r"].weight(0.0))
        (2.0, inf)
        """
        success, positive, negative = self._population(success)
        return positive + negative

    def effective_weight(self, success: Array) -> Array:
        """Effective weight e(ρ) = ω(ρ) ρ(1−ρ), the drift of ρ under the mirror flow.

        >>> from theory.schemes import SCHEMES
        >>> float(SCHEMES["sqrt_r"].effective_weight(0.0))
        1.0
        """
        success, positive, negative = self._population(success)
        xp = namespace(success)
        if not self.centred:
            variance = success * (1 - success)
            inside = variance > 0  # at the ends a⁺ + a⁻ may be infinite, but is below 1/variance
            weight = xp.where(inside, positive + negative, xp.zeros_like(variance))
            return variance * weight
        # e = (1−ρ)a⁻ = ρa⁺, and each coefficient is finite at the end where the other is not.
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

        >>> from theory.schemes import SCHEMES
        >>> round(float(SCHEMES["grpo"].surrogate(0.5)), 6)  # 2 arcsin √ρ = π/2
        1.570796
        """
        success = as_floating(success)
        check_interval("success", success)
        xp = namespace(success)
        closed = None
        if self.surrogate_formula is not None:
            with np.errstate(divide="ignore"):
                closed = self.surrogate_formula(xp, success, **self.options)
        if closed is not None:
            return closed
        if not self.has_weight:
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


def _own_options(function: Callable[..., Array]) -> dict[str, Declared]:
    # The keywords of a ufunc are NumPy's (``out``, ``where``), not options of a scheme.
    return {} if isinstance(function, np.ufunc) else declared_options(function)


def finite_coefficients(positive: Array, negative: Array) -> tuple[Array, Array]:
    """Replace infinite coefficients by 0: they multiply deviations that are zero.

    A coefficient of a group is infinite only if no response uses it (a⁺ at K = 0) or if all
    rewards are equal, where every centred advantage vanishes.

    Source: arXiv 2602.11128, where a group without reward variance has no centred advantage.

    >>> finite_coefficients(np.array([np.inf, 2.0]), np.array([1.0, np.inf]))
    (array([0., 2.]), array([1., 0.]))
    """
    xp = namespace(positive, negative)
    zero = xp.zeros_like(positive)
    return (
        xp.where(xp.isfinite(positive), positive, zero),
        xp.where(xp.isfinite(negative), negative, zero),
    )
