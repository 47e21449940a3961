"""One recommendation for a set of prompts: which scheme, or that yours is as good as any.

What decides is time times path energy until the target (:mod:`theory.designs`), which does not
depend on the learning rate. For prompts that all start alike it is the sampling design's own; for
unequal ones it is that of prompts trained side by side which share parameters
(:mod:`theory.sharing`). A scheme is recommended in place of the present one if it saves at least
``WORTH_IT`` of that; otherwise the advice is to keep what there is.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from theory._arrays import Array
from theory._comparison import WORTH_IT, Change, Comparison, decide
from theory._designs import Design, finite_design, outcomes_of, resolve_design, tables_of
from theory._kernel_flow import second_at_0
from theory.intervals import Interval
from theory.optimal import OptimalWeight, weighted_schemes
from theory.population import shared_weight
from theory.prompt_sets import PromptSet, known_set, measured_set
from theory.schemes import SCHEMES, SchemeLike, name_of, resolve
from theory.token_cost import mean_length
from theory.training_path import USUAL, Conditions
from theory.verifier_errors import RIGHT, VerifierErrors

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["WORTH_IT", "Advice", "Change", "GroupSizes", "advise", "group_sizes"]

GROUP_SIZES = (2, 4, 8, 16, 32, 64, 128)

ENOUGH = 0.9
"""Of what the best group size gets for its cost; the smallest that gets so much is recommended."""

FURTHER = ("sqrt_r:zero_success=drop",)
"""Compared by default, besides every scheme with a table."""


class GroupSizes(NamedTuple):
    """Group sizes that progress most for their cost, by the drift and noise of their design.

    Attributes:
        recommended: The smallest with nearly the best squared signal-to-noise for its cost.
        information: The best in that, where noise limits the learning rate.
        drift: The best in drift for its cost, at a fixed learning rate.
    """

    recommended: int
    information: int
    drift: int


@dataclasses.dataclass(frozen=True)
class Advice:
    """Which scheme and group size suit prompts and costs.

    Attributes:
        prompts: The prompts at the start.
        target: ρ that is to be reached, by each prompt or as a mean.
        group_size: M.
        sampling: Sampling design.
        costs: α and β, of an update of a prompt and of a response.
        present: The scheme that is compared with.
        best: The optimal weight for large groups that the prompts share.
        excess: Scheme → time over the optimum at the same weight budget, for large groups.
        excess_finite: Scheme → time times energy over the best table of the design, each prompt
            going its own way to the target; empty for the population design.
        cost: Scheme → what decides, over the present scheme's, the best first; over the best one's
            if the present one stops short of the target, ∞ for those that do.
        saving: What following the advice saves, a share in [0, 1), with a 95 % interval: 0 if the
            present scheme is kept.
        changes: What would change the recommendation.
        sizes: Group sizes for the recommended scheme.
        conditions: Errors of the verifier, lengths of responses, and the KL coefficient.
    """

    prompts: PromptSet = dataclasses.field(repr=False)
    target: float
    group_size: int
    sampling: str
    costs: tuple[float, float]
    present: str
    best: OptimalWeight = dataclasses.field(repr=False)
    excess: Mapping[str, float] = dataclasses.field(repr=False)
    excess_finite: Mapping[str, float] = dataclasses.field(repr=False)
    cost: Mapping[str, float] = dataclasses.field(repr=False)
    saving: Interval
    changes: tuple[Change, ...] = dataclasses.field(repr=False)
    sizes: GroupSizes
    conditions: Conditions = USUAL

    @property
    def candidate(self) -> str:
        """The scheme that costs least, whether or not it is worth changing to."""
        return next(iter(self.cost))

    @property
    def recommended(self) -> str:
        """The scheme to use: the present one, unless another saves ``WORTH_IT``."""
        return decide(self.cost, self.present)

    @property
    def keep(self) -> bool:
        """Whether the advice is to keep the present scheme."""
        return self.recommended == self.present

    @property
    def margin(self) -> float:
        """What the candidate would save over the present scheme."""
        return 1 - self.cost[self.candidate] / self.cost[self.present]

    @property
    def stopped(self) -> list[str]:
        """Schemes that do not reach the target."""
        return [name for name, cost in self.cost.items() if not math.isfinite(cost)]

    @property
    def all_wrong(self) -> float:
        """Expected share of groups in which no response passes."""
        return self.prompts.all_wrong(self.group_size, self.conditions.errors)

    @property
    def table(self) -> pd.DataFrame:
        """One row per scheme: cost over the present scheme's, and excess over the best possible."""
        import pandas as pd

        names = list(self.cost)
        return pd.DataFrame(
            {
                "scheme": [resolve(name).label for name in names],
                "cost": [self.cost[name] for name in names],
                "excess": [self.excess[name] for name in names],
                "excess_finite": [self.excess_finite.get(name, math.nan) for name in names],
            }
        )

    def __str__(self) -> str:
        label = resolve(self.recommended).label
        verdict = f"Keep {label}" if self.keep else f"Use {label}"
        return (
            f"{verdict}: from a median pass rate of {np.median(self.prompts.success):.3g} to "
            f"{self.target:g} with groups of {self.group_size}\n"
            f"{self.table.to_string(index=False, float_format='{:.3f}'.format)}"
        )

    def _repr_html_(self) -> str:
        return str(self.table.to_html(index=False, float_format="{:.3f}".format))


def advise(
    success: PromptSet | Array,
    target: float = 0.9,
    *,
    tries: Array | None = None,
    group_size: int = 16,
    schemes: Iterable[SchemeLike] = (),
    present: SchemeLike = "grpo",
    update_cost: float = 0.0,
    response_cost: float = 1.0,
    sampling: str = "fixed",
    sharing: float = 0.5,
    false_positive: float = 0.0,
    false_negative: float = 0.0,
    length_ratio: float = 1.0,
    kl_coefficient: float = 0.0,
) -> Advice:
    """Advise on a scheme and a group size, by time times energy until the target.

    Args:
        success: Success probability ρ of each prompt, or of all of them, in [0, 1]; or a
            :class:`~theory.prompt_sets.PromptSet`.
        target: ρ to reach, in (0, 1): of all prompts alike, or the mean of those in reach.
        tries: Responses that measured each of them, or all: then ``success`` are pass rates, and
            what they leave open is taken into account.
        group_size: M, at least 2.
        schemes: Schemes to compare; by default all that have a table, and Sqrt-R with all-wrong
            groups dropped.
        present: The scheme in use, which is kept unless another saves ``WORTH_IT``.
        update_cost: α, of an update of a prompt, at least 0.
        response_cost: β, of a correct response, at least 0; one of the two is positive.
        sampling: A sampling design by name.
        sharing: s in [0, 1], how much of an update of one prompt acts on all alike; it matters
            where prompts are unequal.
        false_positive: f₀ in [0, 1), share of wrong responses that the verifier passes. Measured
            pass rates are then taken as its own.
        false_negative: f₁ in [0, 1), share of correct responses that it fails.
        length_ratio: k > 0, tokens of a wrong response over those of a correct one.
        kl_coefficient: β ≥ 0 of a KL penalty to the policy as it is, per unit of advantage. It is
            measured against a scheme's own advantages, so that their scale counts.

    Returns:
        The advice.

    Raises:
        ValueError: Values outside these ranges, an unknown scheme, prompts that have reached the
            target already, a verifier that passes wrong responses as often as correct ones, or a
            KL penalty against which no scheme reaches the target.

    >>> advice = advise(0.01)
    >>> advice.recommended, round(advice.excess_finite["grpo"], 3)
    ('grpo', 1.023)
    >>> advise([0.001, 0.01, 0.1, 0.4, 0.8] * 9, present="linear_r").keep
    False
    """
    prompts = _prompt_set(success, tries)
    if not 0 < target < 1:
        raise ValueError(f"target must lie in (0, 1); got {target:g}")
    design = resolve_design(sampling)
    if not (min(update_cost, response_cost) >= 0 and 0 < update_cost + response_cost < math.inf):
        raise ValueError("costs must be at least 0 and finite, and one of them positive")
    if not 0 <= sharing <= 1:
        raise ValueError(f"sharing must lie in [0, 1]; got {sharing:g}")
    conditions = Conditions(
        VerifierErrors(false_positive, false_negative), length_ratio, kl_coefficient
    )
    prompts = _believed(prompts, conditions.errors)
    if kl_coefficient and design.name == "population":
        raise ValueError(
            "a KL coefficient is measured against advantages of groups: take another sampling "
            "design than population"
        )
    if prompts.success.mean() >= target:
        raise ValueError(f"the prompts in reach have reached the target {target:g} already")
    SCHEMES["grpo"].check_group_size(group_size)
    own = name_of(present)
    least = 2 if design.name == "first_success" else group_size  # sizes then begin with 2
    names = [name_of(scheme) for scheme in schemes] or _usual(least)
    if own not in names:
        names.append(own)
    costs = update_cost, response_cost
    problem = Comparison(prompts, target, group_size, design, *costs, sharing, conditions)
    below = prompts.success[prompts.success < target]
    best = shared_weight(below, target, clock=problem.clock)
    if conditions.errors == RIGHT:
        excess = best.excess_of_all(names)
    else:
        excess = {name: best.excess(conditions.errors.weight(name)) for name in names}
    finite = {} if design.name == "population" else problem.excess(names)
    cost = problem.relative(names, own, finite or excess)
    chosen = decide(cost, own)
    return Advice(
        prompts,
        target,
        group_size,
        design.name,
        costs,
        own,
        best,
        excess,
        finite,
        cost,
        problem.saving(chosen, own, cost),
        tuple(problem.changes(names, own, chosen)),
        group_sizes(chosen, prompts, design, *costs, conditions=conditions),
        conditions,
    )


def group_sizes(
    scheme: SchemeLike,
    prompts: PromptSet | Array,
    sampling: str | Design = "fixed",
    update_cost: float = 0.0,
    response_cost: float = 1.0,
    *,
    conditions: Conditions = USUAL,
) -> GroupSizes:
    """Best of the group sizes 2, 4, ..., 128 for a scheme under a sampling design.

    With d and n the means over prompts of P_S ω_S ρ(1−ρ) and P_S n_S, a group drawn moves the mean
    success by d at a cost of α P_S + βM. At a fixed learning rate d for the cost counts; where
    noise bounds the learning rate, the squared signal-to-noise M d²/n for the cost does.

    Args:
        scheme: Scheme with a table.
        prompts: Prompts, or their success probabilities.
        sampling: A sampling design; where groups do not have one size, ``"fixed"`` is meant.
        update_cost: α.
        response_cost: β.
        conditions: Errors of the verifier and lengths of responses. An anchor does not pull yet
            where training begins.

    >>> group_sizes("rloo", 0.3)  # (M − 1)/M of the information per response
    GroupSizes(recommended=16, information=128, drift=2)
    """
    found = prompts if isinstance(prompts, PromptSet) else known_set(prompts)
    design, bound = resolve_design(sampling), resolve(scheme)
    if not design.grouped:
        design = finite_design("fixed")
    sizes = [size for size in GROUP_SIZES if size >= bound.minimum_group]
    costs = update_cost, response_cost
    rows = [_drift_noise_cost(bound, found, design, s, costs, conditions) for s in sizes]
    drift, noise, cost = np.array(rows).T
    information = np.divide(
        np.array(sizes) * drift**2, noise * cost, out=0 * noise, where=noise > 0
    )
    enough = information >= ENOUGH * information.max()
    return GroupSizes(
        recommended=sizes[int(np.argmax(enough))],
        information=sizes[_first_best(information)],
        drift=sizes[_first_best(drift / cost)],
    )


def _drift_noise_cost(
    scheme: Any,
    prompts: PromptSet,
    design: Design,
    size: int,
    costs: tuple[float, float],
    conditions: Conditions,
) -> tuple[float, float, float]:
    able, errors = 1 - prompts.out_of_reach, conditions.errors
    share = able / prompts.success.size
    # Prompts out of reach show the pass rate f₀, with groups that are noise alone.
    rho, weight = prompts.success, np.full(prompts.success.size, share)
    told = np.asarray(errors.observed(rho))
    outcomes = outcomes_of(design, size, told)
    tables = tables_of(scheme, outcomes)
    used = design.acceptance(size, told)
    drift = errors.informedness * float(weight @ (used * outcomes.drift(*tables) * rho * (1 - rho)))
    noise, groups = float(weight @ (used * outcomes.second_moment(*tables))), float(weight @ used)
    length = float(weight @ np.asarray(mean_length(rho, conditions.length_ratio)))
    if able < 1:
        hopeless, hopeless_noise = second_at_0(tables, design, size, errors)
        groups += (1 - able) * hopeless
        noise += (1 - able) * hopeless_noise
        length += (1 - able) * conditions.length_ratio
    return drift, noise, costs[0] * groups + costs[1] * size * length


def _first_best(values: np.ndarray) -> int:
    """Index of the first value that is the largest up to rounding."""
    return int(np.argmax(values >= values.max() * (1 - 1e-12)))


def _usual(least: int) -> list[str]:
    """Schemes compared by default; the power law is Sqrt-R without all-wrong groups."""
    return [*(name for name in weighted_schemes(least) if name != "power"), *FURTHER]


def _prompt_set(success: PromptSet | Array, tries: Array | None) -> PromptSet:
    if isinstance(success, PromptSet):
        return success
    if tries is None:
        return known_set(success)
    rates, n = np.broadcast_arrays(
        np.atleast_1d(np.asarray(success, dtype=np.float64)), np.asarray(tries, dtype=np.float64)
    )
    correct = np.rint(rates * n)
    if np.any(np.abs(rates * n - correct) > 0.05):
        raise ValueError("success must be pass rates of so many tries")
    return measured_set(correct, n)


def _believed(prompts: PromptSet, errors: VerifierErrors) -> PromptSet:
    """Prompts by their true success, if the verifier is of any use."""
    gain = errors.informedness
    if gain <= 0:
        raise ValueError(
            f"with false positives of {errors.false_positive:g} and false negatives of "
            f"{errors.false_negative:g} a correct response passes "
            + ("less often than" if gain < 0 else "as often as")
            + f" a wrong one (J = 1 − f₀ − f₁ = {gain:g}): every scheme "
            + ("unlearns" if gain < 0 else "learns nothing")
            + "; mend the verifier first"
        )
    measured = prompts.posterior is not None
    return prompts.behind(errors) if measured and errors != RIGHT else prompts
