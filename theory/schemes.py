"""Prompt-weighting schemes: the tables a⁺, a⁻ that turn a group's rewards into advantages.

A group of M responses to one prompt has K successes and the pass rate ρ̂ = K/M. Every method with
a binary reward is a pair of coefficients, a⁺ for a correct response and −a⁻ for a wrong one:

    A_i = r_i a⁺(ρ̂) − (1 − r_i) a⁻(ρ̂).

*Centred* methods have one weight ω, with a⁺ = ω(1−ρ̂) and a⁻ = ωρ̂, so that A_i = ω(r_i − ρ̂).
In the population limit M → ∞ the method ascends E[F(ρ)] with F′ = ω = a⁺ + a⁻.

Each scheme is written once, as a function of ρ̂, the variance of the group's rewards and M, in the
array namespace it is called with; tables, weights and advantages all derive from that function.
"""

from __future__ import annotations

import dataclasses
import inspect
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from scipy import integrate

from theory._arrays import Array, as_floating, check_interval, namespace

Option = float | int | str | None
Coefficients = Callable[..., tuple[Array, Array]]

ZERO_SUCCESS = ("keep", "drop")
"""What a group without a correct response does: penalise every response, or nothing."""


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
        minimum_group: Smallest group the scheme is defined for.
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
    minimum_group: int
    _coefficients: Coefficients | None = dataclasses.field(repr=False)
    _surrogate: Callable[..., Array] | None = dataclasses.field(repr=False)

    def bind(self, **options: Option) -> Scheme:
        """Return the scheme with some options changed.

        Raises:
            ValueError: An option this scheme does not have, or a value it does not allow.

        >>> SCHEMES["plateau_r"].bind(threshold=0.3).options["threshold"]
        0.3
        """
        unknown = sorted(set(options) - set(self.options))
        if unknown:
            allowed = ", ".join(self.options) or "none"
            raise ValueError(
                f"{self.name} has no option {unknown[0]!r}; its options are: {allowed}"
            )
        for option, value in options.items():
            _check_option(self.name, option, value)
        return dataclasses.replace(self, options={**self.options, **options})

    @property
    def label(self) -> str:
        """Title with the options that differ from the defaults, as used in legends."""
        defaults = SCHEMES[self.name].options if self.name in SCHEMES else {}
        changed = [f"{k}={v}" for k, v in self.options.items() if defaults.get(k) != v]
        return f"{self.title} ({', '.join(changed)})" if changed else self.title

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
            ValueError: The scheme needs confidences and hence has no such coefficients.
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
            ValueError: M below the smallest group the scheme is defined for.

        Source: theory of finite groups; a± as in arXiv 2602.11128, section 2.

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
        if int(group_size) != group_size or group_size < 1:
            raise ValueError(f"group_size must be a whole number of at least 1; got {group_size}")
        if group_size < self.minimum_group:
            raise ValueError(
                f"{self.name} compares the responses of a group and needs group_size of at least "
                f"{self.minimum_group}; got {group_size}"
            )

    def weight(self, success: Array) -> Array:
        """Population weight ω(ρ) = a⁺(ρ) + a⁻(ρ); its limit (possibly ∞) at 0 and 1.

        >>> float(SCHEMES["grpo"].weight(0.5)), float(SCHEMES["linear_r"].weight(0.0))
        (2.0, inf)
        """
        success = as_floating(success)
        check_interval("success", success)
        positive, negative = self.coefficients(success, success * (1 - success), math.inf)
        return positive + negative

    def effective_weight(self, success: Array) -> Array:
        """Effective weight e(ρ) = ω(ρ) ρ(1−ρ), the drift of ρ under the mirror flow.

        >>> float(SCHEMES["sqrt_r"].effective_weight(0.0))
        1.0
        """
        success = as_floating(success)
        check_interval("success", success)
        positive, negative = self.coefficients(success, success * (1 - success), math.inf)
        xp = namespace(success)
        # Each coefficient is finite at one end; for the other the product is a 0·∞.
        low = success < 0.5
        if self.centred:
            finite_positive = xp.where(low, 0.0, positive)
            finite_negative = xp.where(low, negative, 0.0)
            return xp.where(low, (1 - success) * finite_negative, success * finite_positive)
        return success * (1 - success) * (positive + negative)

    def surrogate(self, success: Array) -> Array:
        """Surrogate objective F(ρ) with F′ = ω, in the constant of integration of the papers.

        Schemes whose options leave no closed form are integrated from ρ = 1/2.

        >>> round(float(SCHEMES["grpo"].surrogate(0.5)), 6)  # 2 arcsin √ρ = π/2
        1.570796
        """
        success = as_floating(success)
        check_interval("success", success)
        closed = None
        if self._surrogate is not None:
            with np.errstate(divide="ignore"):
                closed = self._surrogate(namespace(success), success, **self.options)
        if closed is not None:
            return closed
        points = np.asarray(success, dtype=float)
        values = [
            integrate.quad(lambda t: float(self.weight(t)), 0.5, point, limit=200)[0]
            for point in np.ravel(points)
        ]
        return np.reshape(np.asarray(values), points.shape)


def finite_coefficients(positive: Array, negative: Array) -> tuple[Array, Array]:
    """Replace infinite coefficients by 0: they multiply deviations that are zero.

    A coefficient of a group is infinite only if no response uses it (a⁺ at K = 0) or if all
    rewards are equal, where every centred advantage vanishes.
    """
    xp = namespace(positive, negative)
    zero = xp.zeros_like(positive)
    return (
        xp.where(xp.isfinite(positive), positive, zero),
        xp.where(xp.isfinite(negative), negative, zero),
    )


def _check_option(scheme: str, option: str, value: Option) -> None:
    choices: dict[str, tuple[str, ...]] = {
        "zero_success": ZERO_SUCCESS,
    }
    ranges: dict[str, tuple[float, float]] = {
        "threshold": (0.0, 1.0),
        "eps": (0.0, math.inf),
        "penalty": (0.0, math.inf),
        "reward": (0.0, math.inf),
        "alpha": (0.0, math.inf),
    }
    if option in choices and value not in choices[option]:
        raise ValueError(
            f"{option} of {scheme} must be one of {', '.join(choices[option])}; got {value!r}"
        )
    if option in ranges:
        low, high = ranges[option]
        if not isinstance(value, int | float) or not low <= value <= high:
            raise ValueError(f"{option} of {scheme} must lie in [{low:g}, {high:g}]; got {value!r}")
    if option == "ddof" and value not in (0, 1):
        raise ValueError(f"ddof of {scheme} must be 0 or 1; got {value!r}")


def _divide(xp: Any, numerator: Array, denominator: Array) -> Array:
    """Quotient with x/0 = ∞ and 0/0 = 0, without warnings."""
    with np.errstate(divide="ignore", invalid="ignore"):
        quotient = numerator / denominator
    return xp.where(numerator == 0, xp.zeros_like(quotient), quotient)


def _drop_zero_success(xp: Any, mean: Array, negative: Array, zero_success: Option) -> Array:
    return (
        xp.where(mean > 0, negative, xp.zeros_like(negative))
        if zero_success == "drop"
        else negative
    )


def _no_gain_when_all_right(xp: Any, mean: Array, positive: Array) -> Array:
    return xp.where(mean < 1, positive, xp.zeros_like(positive))


SCHEMES: dict[str, Scheme] = {}
"""Every scheme by name, with its default options."""


def _register(
    name: str,
    title: str,
    formula: str,
    source: str,
    *,
    centred: bool,
    graded: bool,
    minimum_group: int = 1,
    surrogate: Callable[..., Array | None] | None = None,
) -> Callable[[Coefficients], Coefficients]:
    def add(function: Coefficients) -> Coefficients:
        parameters = inspect.signature(function).parameters.values()
        options = {p.name: p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
        SCHEMES[name] = Scheme(
            name=name,
            title=title,
            formula=formula,
            source=source,
            summary=(inspect.getdoc(function) or "").split("\n\n")[0],
            options=options,
            centred=centred,
            graded=graded,
            needs_confidence=False,
            minimum_group=minimum_group,
            _coefficients=function,
            _surrogate=surrogate,
        )
        return function

    return add


@_register("rloo", "RLOO", "1", "rloo", centred=True, graded=True, minimum_group=2,
           surrogate=lambda xp, p: p)  # fmt: skip
def _rloo(xp: Any, mean: Array, variance: Array, group_size: float) -> tuple[Array, Array]:
    """REINFORCE with the mean of the other responses as baseline."""
    others = 1.0 if group_size is math.inf else group_size / (group_size - 1)
    return (1 - mean) * others, mean * others


@_register("reinforce", "REINFORCE", "a⁺ = 1, a⁻ = 1", "reinforce", centred=False, graded=True,
           surrogate=lambda xp, p: 2 * p)  # fmt: skip
def _reinforce(xp: Any, mean: Array, variance: Array, group_size: float) -> tuple[Array, Array]:
    """Rewards +1 and −1 without a baseline."""
    return xp.ones_like(mean), xp.ones_like(mean)


def _grpo_surrogate(
    xp: Any, success: Array, *, ddof: Option, eps: Option, **_: Option
) -> Array | None:
    return 2 * xp.asin(xp.sqrt(success)) if eps == 0 else None


def _standardised(
    xp: Any, mean: Array, variance: Array, group_size: float, ddof: float, eps: float
) -> tuple[Array, Array]:
    if ddof and group_size is not math.inf:
        variance = variance * group_size / (group_size - ddof)
    deviation = xp.sqrt(variance) + eps
    return _divide(xp, 1 - mean, deviation), _divide(xp, mean, deviation)


@_register("grpo", "GRPO", "1/√(ρ(1−ρ))", "grpo", centred=True, graded=True, minimum_group=2,
           surrogate=_grpo_surrogate)  # fmt: skip
def _grpo(
    xp: Any, mean: Array, variance: Array, group_size: float, *, ddof: float = 0, eps: float = 0.0
) -> tuple[Array, Array]:
    """Rewards standardised by the group's mean and standard deviation."""
    return _standardised(xp, mean, variance, group_size, ddof, eps)


@_register("dr_grpo", "Dr. GRPO", "1", "dr_grpo", centred=True, graded=True, minimum_group=2,
           surrogate=lambda xp, p: p)  # fmt: skip
def _dr_grpo(xp: Any, mean: Array, variance: Array, group_size: float) -> tuple[Array, Array]:
    """Rewards minus the group's mean, without the standard deviation."""
    return 1 - mean, mean


@_register("dapo", "DAPO", "1/√(ρ(1−ρ)), mixed groups only", "dapo", centred=True, graded=True,
           minimum_group=2, surrogate=_grpo_surrogate)  # fmt: skip
def _dapo(
    xp: Any, mean: Array, variance: Array, group_size: float, *, ddof: float = 0, eps: float = 0.0
) -> tuple[Array, Array]:
    """GRPO's advantages; groups without variation are sampled again (the mixed-group clock)."""
    return _standardised(xp, mean, variance, group_size, ddof, eps)


@_register("linear_r", "Linear-R", "1/ρ", "apw", centred=True, graded=True,
           surrogate=lambda xp, p, **_: xp.log(p))  # fmt: skip
def _linear_r(
    xp: Any, mean: Array, variance: Array, group_size: float, *, zero_success: str = "keep"
) -> tuple[Array, Array]:
    """Effective weight 1 − ρ, falling linearly from the hardest prompts to the easiest."""
    positive = _divide(xp, 1 - mean, mean)
    return positive, _drop_zero_success(xp, mean, xp.ones_like(mean), zero_success)


@_register("sqrt_r", "Sqrt-R", "1/(ρ√(1−ρ))", "apw", centred=True, graded=True,
           surrogate=lambda xp, p, **_: -2 * xp.atanh(xp.sqrt(1 - p)))  # fmt: skip
def _sqrt_r(
    xp: Any, mean: Array, variance: Array, group_size: float, *, zero_success: str = "keep"
) -> tuple[Array, Array]:
    """Effective weight √(1−ρ): time-optimal when responses are what costs."""
    root = xp.sqrt(1 - mean)
    negative = _divide(xp, xp.ones_like(mean), root)
    return _divide(xp, root, mean), _drop_zero_success(xp, mean, negative, zero_success)


def _plateau_surrogate(xp: Any, success: Array, *, threshold: float, **_: Option) -> Array:
    below = xp.log(success) - xp.log1p(-xp.where(success < threshold, success, 0.0 * success))
    if threshold == 1.0:
        return xp.log(success) - xp.log1p(-success)
    if threshold == 0.0:
        return xp.log(success)
    above = math.log(threshold / (1 - threshold)) + xp.log(
        xp.where(success < threshold, 0 * success + threshold, success) / threshold
    ) / (1 - threshold)
    return xp.where(success < threshold, below, above)


@_register("plateau_r", "Plateau-R", "min(1, (1−ρ)/(1−τ)) / (ρ(1−ρ))", "apw", centred=True,
           graded=True, surrogate=_plateau_surrogate)  # fmt: skip
def _plateau_r(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: float,
    *,
    threshold: float = 0.5,
    zero_success: str = "keep",
) -> tuple[Array, Array]:
    """Effective weight 1 up to a threshold τ, then falling to 0 at ρ = 1.

    The paper names the shape; the threshold τ is a parameter of this package. τ = 0 is Linear-R
    and τ = 1 is Uniform-R.
    """
    inverse = _divide(xp, xp.ones_like(mean), 1 - mean)
    if threshold < 1:
        ceiling = xp.full_like(mean, 1 / (1 - threshold))
        inverse = xp.where(inverse < ceiling, inverse, ceiling)
    # e/ρ with e = (1−ρ)·inverse; at ρ = 1 and τ = 1 the product is the 0·∞ that means 1.
    effective = xp.where(xp.isfinite(inverse), (1 - mean), xp.ones_like(mean)) * xp.where(
        xp.isfinite(inverse), inverse, xp.ones_like(mean)
    )
    positive = _divide(xp, effective, mean)
    if group_size is not math.inf:
        positive = _no_gain_when_all_right(xp, mean, positive)
    return positive, _drop_zero_success(xp, mean, inverse, zero_success)


@_register("uniform_r", "Uniform-R", "1/(ρ(1−ρ))", "apw", centred=True, graded=True,
           surrogate=lambda xp, p, **_: xp.log(p) - xp.log1p(-p))  # fmt: skip
def _uniform_r(
    xp: Any, mean: Array, variance: Array, group_size: float, *, zero_success: str = "keep"
) -> tuple[Array, Array]:
    """Effective weight 1 on every prompt."""
    one = xp.ones_like(mean)
    positive = _divide(xp, one, mean)
    if group_size is not math.inf:
        positive = _no_gain_when_all_right(xp, mean, positive)
    return positive, _drop_zero_success(xp, mean, _divide(xp, one, 1 - mean), zero_success)


@_register("psr", "PSR", "a⁺ = 1, a⁻ = 0", "nsr", centred=False, graded=False,
           surrogate=lambda xp, p: p)  # fmt: skip
def _psr(xp: Any, mean: Array, variance: Array, group_size: float) -> tuple[Array, Array]:
    """Positive reinforcement alone: correct responses are rewarded, wrong ones ignored."""
    return xp.ones_like(mean), xp.zeros_like(mean)


@_register("nsr", "NSR", "a⁺ = 0, a⁻ = 1", "nsr", centred=False, graded=False,
           surrogate=lambda xp, p: p)  # fmt: skip
def _nsr(xp: Any, mean: Array, variance: Array, group_size: float) -> tuple[Array, Array]:
    """Negative reinforcement alone: wrong responses are penalised, correct ones ignored."""
    return xp.zeros_like(mean), xp.ones_like(mean)


@_register("w_reinforce", "W-REINFORCE", "a⁺ = λ, a⁻ = 1", "nsr", centred=False, graded=False,
           surrogate=lambda xp, p, *, reward: (1 + reward) * p)  # fmt: skip
def _w_reinforce(
    xp: Any, mean: Array, variance: Array, group_size: float, *, reward: float = 0.1
) -> tuple[Array, Array]:
    """NSR plus λ times PSR; the option ``reward`` is λ, and λ = 1 is REINFORCE."""
    return xp.full_like(mean, reward), xp.ones_like(mean)


@_register("maxrl", "MaxRL", "1/ρ, but 0 for K = 0", "maxrl", centred=True, graded=False,
           surrogate=lambda xp, p: xp.log(p))  # fmt: skip
def _maxrl(xp: Any, mean: Array, variance: Array, group_size: float) -> tuple[Array, Array]:
    """Truncated maximum likelihood: rewards centred and divided by the pass rate, 0 if K = 0."""
    return _divide(xp, 1 - mean, mean), xp.where(mean > 0, xp.ones_like(mean), xp.zeros_like(mean))


def resolve(scheme: str | Scheme, **options: Option) -> Scheme:
    """Return the scheme a caller means, with options bound.

    Args:
        scheme: A :class:`Scheme`, a name in ``SCHEMES``, or a name with options as written on a
            command line: ``"plateau_r:threshold=0.3,zero_success=drop"``.
        **options: Further options; they win over those in the string.

    Raises:
        ValueError: An unknown scheme (the message lists the known ones) or option.

    >>> resolve("w_reinforce:reward=0.2").label
    'W-REINFORCE (reward=0.2)'
    """
    if isinstance(scheme, Scheme):
        return scheme.bind(**options) if options else scheme
    name, _, text = scheme.partition(":")
    if name not in SCHEMES:
        raise ValueError(f"unknown scheme {name!r}; known schemes: {', '.join(SCHEMES)}")
    written: dict[str, Option] = {}
    for item in filter(None, text.split(",")):
        option, equals, value = item.partition("=")
        if not equals:
            raise ValueError(f"options are written option=value, separated by commas; got {item!r}")
        written[option.strip()] = _parse_value(value.strip())
    changed = {**written, **options}
    return SCHEMES[name].bind(**changed) if changed else SCHEMES[name]


def _parse_value(text: str) -> Option:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return None if text == "none" else text


SCHEMES["lens"] = Scheme(
    name="lens",
    title="LENS",
    formula="a⁻ grows with the confidence of the wrong response",
    source="lens",
    summary="Wrong responses are penalised by their confidence; all-wrong groups teach too.",
    options={"parts": "full", "alpha": 0.25, "ddof": 0, "eps": 0.0},
    centred=True,
    graded=True,
    needs_confidence=True,
    minimum_group=2,
    _coefficients=None,
    _surrogate=None,
)
