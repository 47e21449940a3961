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
from collections.abc import Callable, Sequence

import numpy as np
from scipy import integrate, optimize
from scipy.special import expit, logit

from theory._arrays import Array, Floats
from theory._binomial import binomial_probabilities, check_group_size
from theory._designs import finite_design
from theory._group_rates import GroupRates
from theory.pass_rates import PassRates, as_pass_rates
from theory.schemes import Scheme, resolve
from theory.tables import table_scheme
from theory.token_cost import check_length_ratio, mean_length

__all__ = [
    "LARGEST_GROUP",
    "SPENDING_RULES",
    "Allotment",
    "SpendingCost",
    "SpendingRule",
    "relative_spending",
    "resolve_rule",
    "spending_cost",
]

LARGEST_GROUP = 128
"""Largest group that a rule asks for."""

_END = 20.0  # log-odds at which a prompt is done: 1 − ρ = 2e-9
_LONGEST = 1e9  # updates per prompt after which a target counts as out of reach
_TOLERANCE = 1e-6


@dataclasses.dataclass(frozen=True)
class Allotment:
    """What the prompts of a set get.

    Attributes:
        choice: u_i ≥ 0, in proportion to the chance that a prompt is drawn, shape (prompts,).
        group_size: M_i ≥ 1; 4.3 stands for groups of 4, three in ten of them with one more.
        scale: w_i > 0, factors of the advantages.
        scheme: Scheme whose advantages they multiply, if not the one asked for.
    """

    choice: Floats
    group_size: Floats
    scale: Floats
    scheme: Scheme | None = None


Allot = Callable[[Floats, int], Allotment]


@dataclasses.dataclass(frozen=True)
class SpendingRule:
    """A way to spend responses on prompts whose success probabilities are known.

    Attributes:
        name: Name in :data:`SPENDING_RULES`.
        title: Name as it is printed.
        formula: What it changes of u, M and w, in symbols.
        source: Where it comes from.
        summary: One sentence on what it does.
        allot: From ρ, shape (prompts,), and a group size to the allotment.
        design: Sampling design of its groups.
    """

    name: str
    title: str
    formula: str
    source: str
    summary: str
    allot: Allot = dataclasses.field(repr=False)
    design: str = "fixed"


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
            there.
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
    if not rates.mean() < target < 1:
        raise ValueError(
            f"target must lie above the mean start, {rates.mean():g}, and below 1; got {target:g}"
        )
    moving = np.flatnonzero((rates.success > 0) & (rates.success < expit(_END)))
    share = rates.share[moving]
    fixed = float(rates.share @ rates.success) - float(share @ rates.success[moving])

    rated = GroupRates(design)

    def slope(_: float, state: Floats) -> Floats:
        success = expit(state[:-2])
        given = found.allot(success, size)
        drift, noise, taken = rated.of(given.scheme or bound, given.group_size, success)
        chosen = np.where(state[:-2] < _END, given.choice, 0.0)
        taken = taken * np.asarray(mean_length(success, length_ratio))
        with np.errstate(invalid="ignore"):
            paid = np.where(chosen > 0, chosen * taken, 0.0)
        spread = chosen * given.scale**2 * noise
        return np.concatenate([chosen * given.scale * drift, [share @ paid, share @ spread]])

    def missing(_: float, state: Floats) -> float:
        return float(share @ expit(state[:-2])) + fixed - target

    missing.terminal = True  # type: ignore[attr-defined]
    state = np.concatenate([logit(rates.success[moving]), [0.0, 0.0]])
    flow = integrate.solve_ivp(
        slope,
        (0.0, _LONGEST),
        state,
        method="RK23",
        events=missing,
        rtol=_TOLERANCE,
        atol=_TOLERANCE,
    )
    end = rates.success.copy()
    end[moving] = expit(flow.y[:-2, -1])
    if flow.status != 1:
        return SpendingCost(math.inf, math.inf, end)
    return SpendingCost(float(flow.y[-2, -1]), float(flow.y[-1, -1]), end)


def relative_spending(
    rules: Sequence[str | SpendingRule],
    start: PassRates | Array,
    target: float,
    *,
    reference: str | SpendingRule = "uniform",
    **setting: object,
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
    base = spending_cost(reference, start, target, **setting).product  # type: ignore[arg-type]
    if not math.isfinite(base):
        raise ValueError(
            f"{resolve_rule(reference).title} does not reach a mean success of {target:g}"
        )
    found = [resolve_rule(rule) for rule in rules]
    return {
        rule.name: spending_cost(rule, start, target, **setting).product / base  # type: ignore[arg-type]
        for rule in found
    }


def resolve_rule(rule: str | SpendingRule) -> SpendingRule:
    """The rule a caller means.

    Raises:
        ValueError: A name that is not in :data:`SPENDING_RULES`.

    >>> resolve_rule("prioritised").formula
    'u = 1 − ρ'
    """
    if isinstance(rule, SpendingRule):
        return rule
    if rule not in SPENDING_RULES:
        known = ", ".join(SPENDING_RULES)
        raise ValueError(f"a rule of spending must be one of {known}; got {rule!r}")
    return SPENDING_RULES[rule]


def _mixed(success: Floats, size: int) -> Floats:
    return np.asarray(finite_design("until_mixed").acceptance(size, success))


def _even(success: Floats, size: int) -> Allotment:
    return _chosen(np.ones_like(success), size)


def _chosen(choice: Floats, size: int) -> Allotment:
    return Allotment(choice, np.full(choice.shape, float(size)), np.ones_like(choice))


def _sized(sizes: Floats, size: int) -> Allotment:
    """Groups of several sizes, every response with the same share of the loss."""
    kept = np.clip(sizes, 2, max(size, LARGEST_GROUP))
    return Allotment(np.ones_like(sizes), kept, kept / size)


def _pool(success: Floats, size: int) -> Allotment:
    return _chosen(np.where((success > 0.1) & (success < 0.9), 1.0, 0.0), size)


def _few_rounds(success: Floats, size: int) -> Allotment:
    return _chosen(-np.expm1(4 * np.log1p(-_mixed(success, size))), size)


def _equal_treatment(success: Floats, size: int) -> Allotment:
    hard = np.minimum(success, 0.5)
    return _sized(size * 0.5 / np.sqrt(hard * (1 - hard)), size)


def _hardness_weighted(success: Floats, size: int) -> Allotment:
    hard = np.minimum(success, 0.5)
    return _sized(size * np.sqrt((1 - hard) / hard), size)


def _knapsack(success: Floats, size: int) -> Allotment:
    """Sizes of the largest Σ (1 − ρ^M − (1−ρ)^M) ρ(1−ρ)² at a mean of M."""
    sizes = np.arange(2.0, LARGEST_GROUP + 1)
    rho = success[:, None]
    with np.errstate(under="ignore"):
        # What a further response adds to the chance of a mixed group falls with their number.
        more = rho**sizes * (1 - rho) + (1 - rho) ** sizes * rho
    worth = np.log(np.maximum(more * rho * (1 - rho) ** 2, 1e-300))

    def at(log_price: float) -> Floats:
        return np.array([np.interp(-log_price, -row, sizes) for row in worth])

    price = optimize.brentq(lambda price: float(np.mean(at(price))) - size, -700.0, 0.0, xtol=1e-9)
    return _sized(at(price), size)


def _reverse_hazard(success: Floats, size: int) -> Allotment:
    """CurveRL's weights n_K/Σ_{J≤K} n_J by the mixed groups that the whole set has on average."""
    number = np.asarray(binomial_probabilities(size, success)).mean(axis=0)
    number[0] = number[-1] = 0
    below = np.cumsum(number)
    weight = np.divide(number, below, out=np.zeros_like(number), where=below > 0)
    mean = np.arange(size + 1) / size
    scheme = table_scheme(weight * (1 - mean), weight * mean, name="curverl")
    return dataclasses.replace(_even(success, size), scheme=scheme)


_RULES = (
    SpendingRule(
        "uniform", "Uniform", "u = w = 1, M", "", "All prompts alike, in groups of M.", _even
    ),
    SpendingRule(
        "dapo",
        "Dynamic sampling",
        "u = w = 1, M",
        "arXiv 2503.14476",
        "Other prompts are drawn in the place of dead groups (DAPO): a set is spent on as before.",
        _even,
    ),
    SpendingRule(
        "rounds",
        "Rounds until signal",
        "until mixed, u = 1 − (1−P)⁴",
        "arXiv 2510.04996",
        "Up to four rounds until a group is mixed, else none (after Reinforce-Ada).",
        _few_rounds,
        "until_mixed",
    ),
    SpendingRule(
        "skip",
        "Skip dead groups",
        "u = 1 − ρ^M − (1−ρ)^M",
        "arXiv 2506.02177",
        "Prompts are passed over with the chance that their group would be dead (after GRESO).",
        lambda success, size: _chosen(_mixed(success, size), size),
    ),
    SpendingRule(
        "pool",
        "Difficulty pool",
        "u = [0.1 < ρ < 0.9]",
        "arXiv 2504.03380",
        "Only prompts of middling difficulty are chosen.",
        _pool,
    ),
    SpendingRule(
        "prioritised",
        "Prioritised",
        "u = 1 − ρ",
        "arXiv 2501.12599",
        "Prompts are chosen in proportion to their failures (Kimi k1.5).",
        lambda success, size: _chosen(1 - success, size),
    ),
    SpendingRule(
        "dars_et",
        "DARS, equal treatment",
        "M_i = M/(2√(ρ(1−ρ))) below ½",
        "arXiv 2508.13755",
        "Hard prompts get as many responses as make their sum of |advantages| that of a half.",
        _equal_treatment,
    ),
    SpendingRule(
        "dars_hw",
        "DARS, hardness weighted",
        "M_i = M√((1−ρ)/ρ) below ½",
        "arXiv 2508.13755",
        "Hard prompts get responses until their sum of |advantages| is 2(1−ρ) that of a half.",
        _hardness_weighted,
    ),
    SpendingRule(
        "knapsack",
        "Knapsack",
        "max Σ P_mixed(M_i) ρ(1−ρ)²",
        "arXiv 2509.25849",
        "One budget of responses by the chance of a mixed group times ρ(1−ρ)².",
        _knapsack,
    ),
    SpendingRule(
        "curverl",
        "CurveRL",
        "w = f(ρ̂)/F(ρ̂)",
        "arXiv 2605.24331",
        "Groups weighted by the reverse hazard rate of the set's pass rates.",
        _reverse_hazard,
    ),
)
SPENDING_RULES = {rule.name: rule for rule in _RULES}
"""Ways to spend by name, each with the success probabilities known."""
