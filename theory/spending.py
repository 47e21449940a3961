"""Ways to spend responses on prompts: choose a prompt more often, sample it more, weigh it more.

An update draws prompt i with a chance in proportion to u_i, samples M_i responses of it by a
sampling design, and multiplies its advantages by w_i; all three may depend on the success
probabilities ρ of the prompts. Prompts are independent and move by the mirror flow. Per update and
prompt of the set,

    dℓ_i/dt = u_i w_i ω_i,   dR/dt = mean_i u_i M_i/P_i,   dE/dt = mean_i u_i w_i² n_i/M_i,

with ℓ = logit ρ, and ω, P and n the drift, acceptance and second moment of groups of M_i
(:mod:`theory.designs`). R counts responses. E is the path energy of the prompts' mean gradients,
whose noise is that of one response over M. The learning rate multiplies all w_i: R falls with it as
E rises, and R·E is what does not depend on it. So ratios of R·E are ratios of responses at equal
path energy.

Along the path of one prompt,

    dR/dρ = M/(P w ω v),   dE/dρ = w n/(M ω v):

how often it is chosen has left. Choosing decides which prompts arrive where, and nothing else. For
advantages that are 0 in groups that a design rejects, ω = ω_all/P and n = n_all/P, and P leaves,
too: **waiting for a good group, giving up after a few tries, and skipping prompts whose groups
would be dead differ in how often prompts are updated, and are otherwise the same**. A chance u of
fixed groups is a chance u·P of groups that are waited for.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import integrate
from scipy.special import expit, logit

from theory._arrays import Array, Floats
from theory._binomial import check_group_size
from theory._designs import finite_design
from theory._group_rates import GroupRates
from theory._spending_rules import (
    LARGEST_GROUP,
    SPENDING_RULES,
    SpendingRule,
    centred,
    resolve_rule,
    share_out,
)
from theory.pass_rates import PassRates, as_pass_rates
from theory.schemes import Scheme, resolve
from theory.token_cost import check_length_ratio, mean_length

__all__ = [
    "LARGEST_GROUP",
    "SPENDING_RULES",
    "SpendingCost",
    "SpendingRule",
    "centred",
    "relative_spending",
    "resolve_rule",
    "share_out",
    "spending_cost",
]

_END = 20.0  # log-odds at which a prompt is done: 1 − ρ = 2e-9
_NEVER = 1e-9  # stands for ρ = 0
_LONGEST = 1e9  # updates per prompt after which a target counts as out of reach
_TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class SpendingCost:
    """What it takes to bring the mean success of a set of prompts to a target.

    Attributes:
        responses: R per prompt of the set at w = 1; ∞ where the target is not reached.
        energy: E at w = 1.
        success: ρ of each prompt at the end, in the order given.
    """

    responses: float
    energy: float
    success: Floats = dataclasses.field(repr=False)

    @property
    def product(self) -> float:
        """R·E, which does not depend on the learning rate."""
        return self.responses * self.energy


def spending_cost(
    rule: str | SpendingRule,
    start: PassRates | Array,
    target: float,
    *,
    scheme: str | Scheme = "grpo",
    group_size: int = 16,
    length_ratio: float = 1.0,
) -> SpendingCost:
    """Responses and path energy until the mean success of independent prompts is the target.

    Args:
        rule: A rule, or its name in :data:`SPENDING_RULES`.
        start: ρ₀ of every prompt, or :class:`~theory.pass_rates.PassRates`; prompts at 0 stay
            there, and cost what is spent on them.
        target: Mean success to reach, above the mean of ``start``.
        scheme: Scheme with a table.
        group_size: M, that rules change from prompt to prompt.
        length_ratio: k, the tokens of a wrong response over those of a right one; R is then counted
            in lengths of a right response.

    Returns:
        The cost; R and E are ∞ where the flow does not get there.

    Raises:
        ValueError: Unknown names, values outside these ranges.

    >>> start = [0.05, 0.2, 0.6, 0.95]
    >>> plain, pool = (spending_cost(rule, start, 0.7) for rule in ("uniform", "pool"))
    >>> bool(pool.product < plain.product)
    True
    """
    found, bound = resolve_rule(rule), resolve(scheme)
    design, size = finite_design(found.design), check_group_size(group_size)
    check_length_ratio(length_ratio)
    rates = as_pass_rates(start)
    rates.check_target(target)
    # Prompts that are never or always solved stay, but those that are chosen cost their responses.
    floor = np.clip(rates.success, _NEVER, expit(_END))
    moves = (rates.success > 0) & (rates.success < expit(_END))
    share, rated = rates.share, GroupRates(design)

    def slope(_: float, state: Floats) -> Floats:
        success = expit(state[:-2])
        given = found.allot(success, size)
        drift, noise, taken = rated.of(given.scheme or bound, given.group_size, success)
        taken = taken * np.asarray(mean_length(success, length_ratio))
        with np.errstate(invalid="ignore"):
            paid = np.where(given.choice > 0, given.choice * taken, 0.0)
        moved = np.where(moves & (state[:-2] < _END), given.choice * given.scale * drift, 0.0)
        spread = given.choice * given.scale**2 * noise
        return np.concatenate([moved, [share @ paid, share @ spread]])

    def missing(_: float, state: Floats) -> float:
        return float(share @ np.where(moves, expit(state[:-2]), rates.success)) - target

    missing.terminal = True  # type: ignore[attr-defined]
    state = np.concatenate([logit(floor), [0.0, 0.0]])
    flow = integrate.solve_ivp(
        slope,
        (0.0, _LONGEST),
        state,
        method="RK45",
        events=missing,
        rtol=_TOLERANCE,
        atol=_TOLERANCE,
    )
    end = np.where(moves, expit(flow.y[:-2, -1]), rates.success)
    if flow.status != 1:
        return SpendingCost(math.inf, math.inf, end)
    return SpendingCost(float(flow.y[-2, -1]), float(flow.y[-1, -1]), end)


def relative_spending(
    rules: Sequence[str | SpendingRule],
    start: PassRates | Array,
    target: float,
    *,
    reference: str | SpendingRule = "uniform",
    **setting: Any,
) -> dict[str, float]:
    """Responses of each rule at equal path energy, over those of a reference.

    Args:
        rules: Rules, or their names.
        start: ρ₀ of every prompt.
        target: Mean success to reach.
        reference: Rule in whose responses the others are counted.
        **setting: Scheme, group size and length ratio of :func:`spending_cost`.

    Raises:
        ValueError: As :func:`spending_cost`, or the reference does not reach the target.

    >>> ratios = relative_spending(["uniform", "pool"], [0.05, 0.2, 0.6, 0.95], 0.7)
    >>> ratios["uniform"], ratios["pool"] < 1
    (1.0, True)
    """
    base = spending_cost(reference, start, target, **setting).product
    if not math.isfinite(base):
        raise ValueError(
            f"{resolve_rule(reference).title} does not reach a mean success of {target:g}"
        )
    found = [resolve_rule(rule) for rule in rules]
    return {
        rule.name: spending_cost(rule, start, target, **setting).product / base for rule in found
    }
