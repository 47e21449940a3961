"""Weights by difficulty that users asked training libraries for: MGPO, DGPO, HA-DW, OPO, CurveRL.

Three are tables over a group's counts, as those of :mod:`theory._definitions` are. OPO also needs
the responses' lengths, and CurveRL the pass rates of the other prompts of the batch.
"""

from __future__ import annotations

import math
from typing import Annotated, Any

from theory._arrays import Array
from theory._coefficients import Pair, divide, in_population, sample_deviation
from theory._definitions import DEFINITIONS
from theory._options import Allowed
from theory._registry import BLUE, GREEN, ORANGE, PURPLE, RED, Ddof, Eps, define

__all__ = ["DEFINITIONS"]

_TERMS = 80
"""Terms of the exponential integral's series: 10⁸⁰/80! is below 1e-38."""


def _log(xp: Any, values: Array) -> Array:
    """Logarithm where it is finite, for products with a factor that is 0 where it is not."""
    return xp.log(xp.where(values > 0, values, xp.ones_like(values)))


@define(
    "mgpo",
    "MGPO",
    "exp(−λ KL(ρ‖p₀))/√(ρ(1−ρ))",
    "mgpo",
    (ORANGE, "dash", "2"),
    graded=False,
    minimum_group=2,
)
def _mgpo(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    strength: Annotated[float | Array, Allowed(0.0, traced=True, aliases=("mgpo_lambda",))] = 1.0,
    goal: Annotated[float, Allowed(1e-6, 1 - 1e-6)] = 0.5,
    ddof: Ddof = 0,
    eps: Eps = 0.0,
) -> Pair:
    """GRPO with more weight on prompts whose pass rate is near a half.

    GRPO's advantages times exp(−λ KL(ρ̂‖p₀)), with the divergence of Bernoulli distributions and
    p₀ = ``goal``. The report prints another first term, which is no divergence; this is the one its
    words describe. It gives no λ: the default of ``strength`` is ours, and 0 is GRPO.
    """
    divergence = mean * (_log(xp, mean) - math.log(goal))
    divergence = divergence + (1 - mean) * (_log(xp, 1 - mean) - math.log1p(-goal))
    weight = xp.exp(-strength * divergence)
    deviation = sample_deviation(xp, variance, group_size, ddof, eps)
    return divide(xp, weight * (1 - mean), deviation), divide(xp, weight * mean, deviation)


def _dgpo_surrogate(
    xp: Any, success: Array, *, temperature: float | None, eps: float
) -> Array | None:
    """Half the log-odds; with e^(−ρ/T) two exponential integrals, by their series."""
    if eps:
        return None
    if temperature is None:
        return (xp.log(success) - xp.log1p(-success)) / 2
    below, above = -success / temperature, (1 - success) / temperature
    term_below, term_above = xp.ones_like(success), xp.ones_like(success)
    left, right = xp.log(success), xp.log1p(-success)
    for n in range(1, _TERMS):
        term_below, term_above = term_below * below / n, term_above * above / n
        left, right = left + term_below / n, right + term_above / n
    return (left - math.exp(-1 / temperature) * right) / 2


@define(
    "dgpo",
    "DGPO",
    "e^(−ρ/T)/(2ρ(1−ρ))",
    "dgpo",
    (PURPLE, "dash", "3"),
    graded=False,
    minimum_group=2,
    surrogate_formula=_dgpo_surrogate,
)
def _dgpo(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    temperature: Annotated[float | None, Allowed(0.1, none=True)] = 2.0,
    eps: Eps = 0.0,
) -> Pair:
    """Rewards divided by the group's mean absolute deviation, harder prompts first.

    The mean absolute deviation of binary rewards is 2ρ̂(1−ρ̂), so that every mixed group has the
    same Σ|A|; then the weight e^(−ρ̂/T), which ``temperature=none`` leaves out. The authors' code
    divides it by its mean over the mixed groups of the batch; that factor, common to all prompts,
    is a matter of the learning rate and left out here, as is their balancing of token counts.
    """
    weight = xp.ones_like(mean) if temperature is None else xp.exp(-mean / temperature)
    if in_population(group_size) and eps == 0:  # where a⁺ and a⁻ have limits that 0/0 has not
        return divide(xp, weight / 2, mean), divide(xp, weight / 2, 1 - mean)
    deviation = 2 * mean * (1 - mean) + eps
    return divide(xp, weight * (1 - mean), deviation), divide(xp, weight * mean, deviation)


@define(
    "ha_dw",
    "HA-DW",
    "s((1−ρ)e^(C−ρ) + ρe^(ρ−C))/√(ρ(1−ρ))",
    "ha_dw",
    (GREEN, "solid", "4"),
    centred=False,
    graded=False,
    minimum_group=2,
)
def _ha_dw(
    xp: Any,
    mean: Array,
    variance: Array,
    group_size: Array | float,
    *,
    anchor: Annotated[float | Array, Allowed(0.0, 1.0, traced=True)] = 0.5,
    scale: Annotated[float | Array, Allowed(0.0, traced=True)] = 1.5,
    ddof: Ddof = 0,
    eps: Eps = 0.0,
) -> Pair:
    """GRPO with correct responses to prompts harder than an anchor raised, and wrong ones lowered.

    GRPO's advantages times s·exp(−sgn(A) sgn(ρ̂ − C)|ρ̂ − C|): e^(C−ρ̂) for correct responses and
    its inverse for wrong ones. The anchor C is the mean pass rate of recent batches in the authors'
    code; here it is an option, which a schedule may change from step to step.
    """
    deviation = sample_deviation(xp, variance, group_size, ddof, eps)
    factor = xp.exp(anchor - mean)
    positive = divide(xp, scale * factor * (1 - mean), deviation)
    return positive, divide(xp, scale * mean / factor, deviation)


@define(
    "opo",
    "OPO",
    "1",
    "opo",
    (BLUE, "dot", "H"),
    shift_invariant=True,
    centred=False,
    needs_length=True,
    minimum_group=2,
    surrogate_formula=lambda xp, p: p,
)
def _opo(xp: Any, mean: Array, variance: Array, group_size: Array | float) -> Pair:
    """Rewards minus their mean weighted by the responses' lengths, which has the least variance.

    A_i = r_i − Σ_j L_j r_j / Σ_j L_j, so that Σ_i L_i A_i = 0 over the tokens of a group; with
    equal lengths it is Dr. GRPO. In the population limit lengths are taken to be alike.
    """
    if not in_population(group_size):
        raise ValueError(
            "opo has no table: its baseline depends on the responses' lengths; "
            "use group_advantages(rewards, 'opo', length=...)"
        )
    return 1 - mean, mean


@define(
    "curverl",
    "CurveRL",
    "f(ρ)/F(ρ) over the batch",
    "curverl",
    (RED, "dash_dot", "+"),
    graded=False,
    needs_batch=True,
    minimum_group=2,
)
def _curverl(xp: Any, mean: Array, variance: Array, group_size: Array | float) -> Pair:
    """Weight by the reverse hazard rate of the batch's pass rates; mixed groups only.

    A group with K of M right among n_J mixed groups of the batch with J right has the weight
    n_K / Σ_{J≤K} n_J. The authors take the pass rates of the ten batches before, and those of the
    current batch at the first step; here they are always the current batch's, as with their
    ``curverl_pool_num=0``.
    """
    raise ValueError(
        "curverl has no table: its weights depend on the pass rates of all prompts of the batch; "
        "use group_advantages(rewards, 'curverl') with rewards of shape (prompts, group)"
    )
