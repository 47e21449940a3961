"""Rules of spending: how often prompts are chosen, and in groups of what size, by their pass rates.

Chances and sizes take arrays of NumPy and JAX, so that theory and simulator share one definition.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Annotated

import numpy as np

from theory._arrays import Array, Floats, namespace
from theory._binomial import binomial_probabilities
from theory._options import (
    Allowed,
    Declared,
    Option,
    bind_options,
    declared_options,
    split_reference,
    write_options,
)
from theory._scheme import Scheme
from theory.tables import table_scheme

LARGEST_GROUP = 128
"""Largest group that a rule asks for."""

_HALVINGS = 40
"""Of the interval of prices, in logarithms."""

Probability = Annotated[float, Allowed(0.0, 1.0)]
Rounds = Annotated[int, Allowed(1, 1000, whole=True)]


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


def _all(success: Array, size: int) -> Array:
    return namespace(success).ones_like(success)


@dataclasses.dataclass(frozen=True)
class SpendingRule:
    """A way to spend responses on prompts whose success probabilities are known.

    Every response counts alike, so that a group of M_i has the scale w_i = M_i/M.

    Attributes:
        name: Name in :data:`SPENDING_RULES`.
        title: Name as it is printed.
        formula: What it changes of u, M and w, in symbols.
        source: Where it comes from.
        summary: One sentence on what it does.
        choice: From ρ, shape (prompts,), and M to u in [0, 1]; its keyword-only parameters are the
            rule's options.
        sizes: From ρ and M to M_i; none where all are M.
        design: Sampling design of its groups.
        refills: Whether other prompts take the place of dead groups until a batch is full.
        worth: From ρ, shape (prompts,), to the logarithms of what the third, fourth, … response of
            a group is worth, shape (prompts, sizes), falling along it; M_i are then those of the
            largest sum at a mean of M.
        weigh: From the share n_K of a set's groups with K right, shape (M + 1,), to the weights of
            such groups, whose advantages are centred and take the place of the scheme's.
        options: Option values in force.
    """

    name: str
    title: str
    formula: str
    source: str
    summary: str
    choice: Callable[..., Array] = dataclasses.field(default=_all, repr=False)
    sizes: Callable[[Array, int], Array] | None = dataclasses.field(default=None, repr=False)
    design: str = "fixed"
    refills: bool = False
    worth: Callable[[Array], Array] | None = dataclasses.field(default=None, repr=False)
    weigh: Callable[[Array], Array] | None = dataclasses.field(default=None, repr=False)
    options: Mapping[str, Option] = dataclasses.field(default_factory=dict)

    def __hash__(self) -> int:
        return hash((self.name, tuple(self.options.items())))

    @property
    def label(self) -> str:
        """Title with the options that differ from the defaults."""
        changed = write_options(self.options, _declared(self.choice)).replace(",", ", ")
        return f"{self.title} ({changed})" if changed else self.title

    def bind(self, **options: Option) -> SpendingRule:
        """The rule with some options changed.

        Raises:
            ValueError: An option it does not have, or a value it does not allow.
        """
        declared = _declared(self.choice)
        current = {option: known.default for option, known in declared.items()}
        bound = bind_options(self.name, declared, {**current, **self.options}, options)
        return dataclasses.replace(self, options=bound)

    def chance(self, success: Array, group_size: int) -> Array:
        """u of prompts at ρ, in [0, 1]."""
        return self.choice(success, group_size, **self.options)

    @property
    def varies(self) -> bool:
        """Whether group sizes differ."""
        return self.sizes is not None or self.worth is not None

    def group_sizes(self, success: Array, group_size: int) -> Array:
        """M_i of prompts at ρ, real numbers from 2 to the largest group."""
        xp = namespace(success)
        if self.worth is not None:
            return share_out(self.worth(success), group_size)
        if self.sizes is None:
            return xp.ones_like(success) * group_size
        return xp.clip(self.sizes(success, group_size), 2, max(group_size, LARGEST_GROUP))

    def allot(self, success: Floats, group_size: int) -> Allotment:
        """What every prompt of a set gets."""
        sizes = np.asarray(self.group_sizes(success, group_size))
        scheme = None
        if self.weigh is not None:
            shares = np.asarray(binomial_probabilities(group_size, success)).mean(axis=0)
            scheme = table_scheme(*centred(self.weigh(shares)), name=self.name)
        chance = np.asarray(self.chance(success, group_size))
        return Allotment(chance, sizes, sizes / group_size, scheme)


def resolve_rule(rule: str | SpendingRule) -> SpendingRule:
    """The rule a caller means; options follow a colon, as in ``pool:low=0.05,high=0.8``.

    Raises:
        ValueError: A name that is not in :data:`SPENDING_RULES`, or options it does not have.

    >>> resolve_rule("prioritised").formula, resolve_rule("pool:high=0.8").label
    ('u = 1 − ρ', 'Difficulty pool (high=0.8)')
    """
    if isinstance(rule, SpendingRule):
        return rule
    name, options = split_reference(rule)
    if name not in SPENDING_RULES:
        known = ", ".join(SPENDING_RULES)
        raise ValueError(f"a rule of spending must be one of {known}; got {rule!r}")
    return SPENDING_RULES[name].bind(**options)


@functools.cache
def _declared(choice: Callable[..., Array]) -> Mapping[str, Declared]:
    return declared_options(choice)


def chance_of_mixed(success: Array, size: int) -> Array:
    """1 − ρ^M − (1−ρ)^M, with its digits at the hard end.

    >>> float(chance_of_mixed(np.array(0.5), 2))
    0.5
    """
    xp = namespace(success)
    some_right = -xp.expm1(size * xp.log1p(-xp.clip(success, 0.0, 1 - 1e-7)))
    return xp.clip(some_right - success**size, 0.0, 1.0)


def _skip(success: Array, size: int) -> Array:
    return chance_of_mixed(success, size)


def _pool(success: Array, size: int, *, low: Probability = 0.1, high: Probability = 0.9) -> Array:
    xp = namespace(success)
    inside = (success >= low) & (success < high)
    return xp.where(inside, xp.ones_like(success), xp.zeros_like(success))


def _prioritised(success: Array, size: int) -> Array:
    return 1 - success


def _few_rounds(success: Array, size: int, *, rounds: Rounds = 4) -> Array:
    return 1 - (1 - chance_of_mixed(success, size)) ** rounds


def _equal_treatment(success: Array, size: int) -> Array:
    xp = namespace(success)
    hard = xp.clip(success, 1e-9, 0.5)
    return size * 0.5 / xp.sqrt(hard * (1 - hard))


def _hardness_weighted(success: Array, size: int) -> Array:
    xp = namespace(success)
    hard = xp.clip(success, 1e-9, 0.5)
    return size * xp.sqrt((1 - hard) / hard)


def _worth(success: Array) -> Array:
    """ln of what a response adds to (1 − ρ^M − (1−ρ)^M) ρ(1−ρ)², to groups of 2, 3, … of them."""
    xp = namespace(success)
    rho = xp.clip(success, 1e-12, 1 - 1e-7)[:, None]
    sizes = xp.ones_like(rho[:1]) * xp.arange(2, LARGEST_GROUP + 1)[None]
    right, wrong = xp.log(rho), xp.log1p(-rho)
    more = xp.logaddexp(sizes * right + wrong, sizes * wrong + right)
    return more + right + 2 * wrong


def share_out(worth: Array, size: int) -> Array:
    """Group sizes of the largest total worth, by a knapsack of M responses a prompt.

    What a further response is worth falls, so that all are bought that are worth a price; between
    two of them a prompt has a part of a response.

    Args:
        worth: Logarithms, shape (prompts, sizes), of the responses after the second.
        size: M, at least 2.

    Returns:
        M_i, shape (prompts,), with a mean of M to 1e-5, at most the largest group.

    >>> share_out(np.log([[0.4, 0.2, 0.1, 0.05], [0.04, 0.02, 0.01, 0.005]]), 3).round(2).tolist()
    [4.0, 2.0]
    """
    xp = namespace(worth)
    step = xp.maximum(worth[:, :-1] - worth[:, 1:], xp.ones_like(worth[:, 1:]) * 1e-9)

    def at(price: Array) -> Array:
        return 2 + xp.clip((worth[:, :-1] - price) / step, 0.0, 1.0).sum(axis=1)

    low, high = worth.min(), worth.max()
    for _ in range(_HALVINGS):
        price = (low + high) / 2
        enough = at(price).mean() >= size
        low, high = xp.where(enough, price, low), xp.where(enough, high, price)
    return at(low)


def _reverse_hazard(shares: Array) -> Array:
    """CurveRL's weights n_K/Σ_{J≤K} n_J of mixed groups, by how many there are."""
    xp = namespace(shares)
    inner = shares[1:-1]
    below = xp.cumsum(inner)
    weight = xp.where(below > 0, inner / xp.where(below > 0, below, xp.ones_like(below)), 0.0)
    none = xp.zeros_like(shares[:1])
    return xp.concat([none, weight, none])


def centred(weight: Array) -> tuple[Array, Array]:
    """a⁺_K and a⁻_K of advantages w_K (r − K/M), each of shape (M + 1,).

    >>> [part.tolist() for part in centred(np.array([0.0, 2.0, 0.0]))]
    [[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]]
    """
    xp = namespace(weight)
    mean = xp.cumsum(xp.ones_like(weight)) - 1
    mean = mean / mean[-1]
    return weight * (1 - mean), weight * mean


_RULES = (
    SpendingRule("uniform", "Uniform", "u = w = 1, M", "", "All prompts alike, in groups of M."),
    SpendingRule(
        "dapo",
        "Dynamic sampling",
        "u = w = 1, M",
        "arXiv 2503.14476",
        "Other prompts are drawn in the place of dead groups (DAPO): a set is spent on as before.",
        refills=True,
    ),
    SpendingRule(
        "rounds",
        "Rounds until signal",
        "until mixed, u = 1 − (1−P)⁴",
        "arXiv 2510.04996",
        "Some rounds until a group is mixed, else none (after Reinforce-Ada).",
        _few_rounds,
        design="until_mixed",
    ),
    SpendingRule(
        "skip",
        "Skip dead groups",
        "u = 1 − ρ^M − (1−ρ)^M",
        "arXiv 2506.02177",
        "Prompts are passed over with the chance that their group would be dead (after GRESO).",
        _skip,
    ),
    SpendingRule(
        "pool",
        "Difficulty pool",
        "u = [0.1 ≤ ρ < 0.9]",
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
        _prioritised,
    ),
    SpendingRule(
        "dars_et",
        "DARS, equal treatment",
        "M_i = M/(2√(ρ(1−ρ))) below ½",
        "arXiv 2508.13755",
        "Hard prompts get as many responses as make their sum of |advantages| that of a half.",
        sizes=_equal_treatment,
    ),
    SpendingRule(
        "dars_hw",
        "DARS, hardness weighted",
        "M_i = M√((1−ρ)/ρ) below ½",
        "arXiv 2508.13755",
        "Hard prompts get responses until their sum of |advantages| is 2(1−ρ) that of a half.",
        sizes=_hardness_weighted,
    ),
    SpendingRule(
        "knapsack",
        "Knapsack",
        "max Σ P_mixed(M_i) ρ(1−ρ)²",
        "arXiv 2509.25849",
        "One budget of responses by the chance of a mixed group times ρ(1−ρ)².",
        worth=_worth,
    ),
    SpendingRule(
        "curverl",
        "CurveRL",
        "w = f(ρ̂)/F(ρ̂)",
        "arXiv 2605.24331",
        "Groups weighted by the reverse hazard rate of the set's pass rates.",
        weigh=_reverse_hazard,
    ),
)
SPENDING_RULES = {rule.name: rule.bind() for rule in _RULES}
"""Ways to spend by name, each with the success probabilities known."""
