"""Where a scheme starts and stops paying: the prediction that claim O4 puts to the test."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from scipy import optimize

from theory._arrays import Array
from theory.clocks import Clock
from theory.dynamics import Dynamics
from theory.learning_time import Setting, learning_time
from theory.pass_rates import PassRates
from theory.schemes import SchemeLike

PARAMETERS = ("start", "prompts", "sharing", "score_variance", "group_size")
"""What a crossover can be sought in."""


def predicted_speedup(
    scheme: SchemeLike,
    reference: SchemeLike,
    *,
    start: PassRates | Array,
    target: float,
    group_size: int = 16,
    prompts: float = 1.0,
    sharing: float = 0.0,
    score_variance: float = 1.0,
    clock: str | Clock = "updates",
    dynamics: str | Dynamics = "mirror",
) -> float:
    """Time of the reference over time of the scheme, each at its own best learning rate.

    Args:
        scheme: Scheme, or its name with options.
        reference: What to compare with.
        start: ρ₀: a number, one per prompt, or :class:`~theory.pass_rates.PassRates`.
        target: Mean success to reach.
        group_size: M, responses per prompt.
        prompts: B, prompts per update.
        sharing: s in [0, 1], share of an update that acts on all prompts alike.
        score_variance: D, variance of the score over that of its success direction; 0 is
            noiseless.
        clock: What an update costs; none that waits for a success, as these groups do not.
        dynamics: The update rule.

    Returns:
        Above 1 if the scheme is sooner; ∞ if only the scheme reaches the target, 0 if only the
        reference does, NaN if neither does.

    Raises:
        ValueError: As :func:`theory.learning_time.learning_time`.

    Source: theory.md, section 4 "Noise"; assumptions in ``theory.learning_time``.

    >>> quiet = predicted_speedup("sqrt_r", "grpo", start=0.01, target=0.9, score_variance=0.0)
    >>> noisy = predicted_speedup("sqrt_r", "grpo", start=0.01, target=0.9, score_variance=1e4)
    >>> quiet > 1 > noisy
    True
    """
    setting = Setting(
        group_size=group_size,
        prompts=prompts,
        sharing=sharing,
        score_variance=score_variance,
        clock=clock,
        dynamics=dynamics,
    )
    mine = learning_time(scheme, start, target, setting).time
    other = learning_time(reference, start, target, setting).time
    if math.isinf(mine):
        return math.nan if math.isinf(other) else 0.0
    return other / mine


@dataclasses.dataclass(frozen=True)
class Crossover:
    """Where the predicted speed-up passes 1.

    Attributes:
        parameter: What was varied.
        value: Where the speed-up is 1; NaN if it is not within the range.
        low: Lower end of the range.
        high: Upper end of the range.
        speedup_low: Speed-up at the lower end.
        speedup_high: Speed-up at the upper end.
        converged: The speed-up passes 1 inside the range, and where is known to 1 %.
        message: What was found instead, empty if ``converged``.
    """

    parameter: str
    value: float
    low: float
    high: float
    speedup_low: float
    speedup_high: float
    converged: bool
    message: str


def crossover(
    scheme: SchemeLike,
    reference: SchemeLike,
    *,
    over: str,
    low: float,
    high: float,
    start: PassRates | Array = 0.01,
    target: float = 0.9,
    group_size: int = 16,
    prompts: float = 1.0,
    sharing: float = 0.0,
    score_variance: float = 1.0,
    clock: str | Clock = "updates",
    dynamics: str | Dynamics = "mirror",
) -> Crossover:
    """Find where a scheme stops being sooner than the reference, in one parameter.

    Args:
        scheme: Scheme, or its name with options.
        reference: What to compare with.
        over: ``"start"``, ``"prompts"``, ``"sharing"``, ``"score_variance"`` or ``"group_size"``;
            its own keyword below is then ignored.
        low: Lower end of the range searched.
        high: Upper end.
        start: As in :func:`predicted_speedup`.
        target: Mean success to reach.
        group_size: M.
        prompts: B.
        sharing: s.
        score_variance: D.
        clock: What an update costs; none that waits for a success, as these groups do not.
        dynamics: The update rule.

    Returns:
        The crossover; for group sizes, the smallest M on the other side. A range without one is
        reported, not raised.

    Raises:
        ValueError: An unknown parameter, a range that does not increase, or as
            :func:`predicted_speedup`.

    Source: theory.md, section 4 "Noise".

    >>> found = crossover("sqrt_r", "grpo", over="start", low=0.01, high=0.3)
    >>> found.converged, 0.015 < found.value < 0.025
    (True, True)
    """
    if over not in PARAMETERS:
        raise ValueError(f"over must be one of {', '.join(PARAMETERS)}; got {over!r}")
    if not low < high:
        raise ValueError(f"low must lie below high; got {low} and {high}")
    fixed = {
        "start": start,
        "group_size": group_size,
        "prompts": prompts,
        "sharing": sharing,
        "score_variance": score_variance,
    }

    def lead(value: float) -> float:
        chosen = {**fixed, over: round(value) if over == "group_size" else value}
        speedup = predicted_speedup(
            scheme,
            reference,
            target=target,
            clock=clock,
            dynamics=dynamics,
            **chosen,  # type: ignore[arg-type]
        )
        # Bounded, so that an end where only one scheme arrives still has a sign to search by.
        return math.nan if math.isnan(speedup) else float(np.clip(_log(speedup), -9.0, 9.0))

    ends = [lead(low), lead(high)]
    speedups = [math.exp(end) for end in ends]
    if math.isnan(ends[0] * ends[1]):
        message = "at an end of the range neither scheme reaches the target"
    elif ends[0] == ends[1] == 0:
        message = "both schemes take the same time at both ends of the range"
    elif ends[0] * ends[1] > 0:
        word = "sooner" if ends[0] > 0 else "later"
        message = f"the scheme is {word} than the reference at both ends of the range"
    elif over == "group_size":
        below, above = round(low), round(high)
        while above - below > 1:
            middle = (below + above) // 2
            if lead(middle) * ends[0] > 0:
                below = middle
            else:
                above = middle
        return Crossover(over, above, low, high, speedups[0], speedups[1], True, "")
    else:
        logarithmic = over != "sharing" and low > 0
        forward, back = (math.log, math.exp) if logarithmic else (float, float)
        value = back(
            optimize.brentq(lambda t: lead(back(t)), forward(low), forward(high), xtol=2e-3)
        )
        return Crossover(over, value, low, high, speedups[0], speedups[1], True, "")
    return Crossover(over, math.nan, low, high, speedups[0], speedups[1], False, message)


def _log(ratio: float) -> float:
    return math.log(ratio) if ratio > 0 else -math.inf
