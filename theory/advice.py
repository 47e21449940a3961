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
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.special import expit

from theory._arrays import Array
from theory._designs import Design, finite_design, outcomes_of, resolve_design, tables_of
from theory.clocks import Clock, resolve_clock
from theory.designs import excess_of_all
from theory.intervals import Interval
from theory.optimal import OptimalWeight, weighted_schemes
from theory.population import shared_weight
from theory.prompt_sets import PromptSet, known_set, measured_set
from theory.schemes import SCHEMES, SchemeLike, name_of, resolve
from theory.sharing import Kernel, path_costs, spread_odds

if TYPE_CHECKING:
    import pandas as pd

WORTH_IT = 0.05
"""Saving below which the present scheme is kept: less is lost in what the theory leaves out."""

GROUP_SIZES = (2, 4, 8, 16, 32, 64, 128)

ENOUGH = 0.9
"""Of what the best group size gets for its cost; the smallest that gets so much is recommended."""

SPREAD = "prompts were unequal (log-odds spread by 2)"

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


class Change(NamedTuple):
    """What would change the recommendation.

    Attributes:
        condition: What would have to be so, in words.
        recommended: The scheme that would then be recommended.
        saving: What it would save over the present one.
    """

    condition: str
    recommended: str
    saving: float


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
        cost: Scheme → what decides, over the present scheme's, the best first.
        saving: What following the advice saves, a share in [0, 1), with a 95 % interval: 0 if the
            present scheme is kept.
        changes: What would change the recommendation.
        sizes: Group sizes for the recommended scheme.
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

    @property
    def candidate(self) -> str:
        """The scheme that costs least, whether or not it is worth changing to."""
        return next(iter(self.cost))

    @property
    def recommended(self) -> str:
        """The scheme to use: the present one, unless another saves ``WORTH_IT``."""
        return _decide(self.cost, self.present)

    @property
    def keep(self) -> bool:
        """Whether the advice is to keep the present scheme."""
        return self.recommended == self.present

    @property
    def margin(self) -> float:
        """What the candidate would save over the present scheme."""
        return 1 - self.cost[self.candidate]

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
        response_cost: β, of a response, at least 0; one of the two is positive.
        sampling: A sampling design by name.
        sharing: s in [0, 1], how much of an update of one prompt acts on all alike; it matters
            where prompts are unequal.

    Returns:
        The advice.

    Raises:
        ValueError: Values outside these ranges, an unknown scheme, or prompts that have reached
            the target already.

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
    if prompts.success.mean() >= target:
        raise ValueError(f"the prompts in reach have reached the target {target:g} already")
    SCHEMES["grpo"].check_group_size(group_size)
    own = name_of(present)
    least = 2 if design.name == "first_success" else group_size  # sizes then begin with 2
    names = [name_of(scheme) for scheme in schemes] or [*weighted_schemes(least), *FURTHER]
    if own not in names:
        names.append(own)
    problem = _Problem(prompts, target, group_size, design, update_cost, response_cost, sharing)
    below = prompts.success[prompts.success < target]
    best = shared_weight(below, target, clock=problem.clock)
    excess = best.excess_of_all(names)
    finite = {} if design.name == "population" else problem.excess(names)
    cost = problem.relative(names, own, finite or excess)
    chosen = _decide(cost, own)
    return Advice(
        prompts,
        target,
        group_size,
        design.name,
        (update_cost, response_cost),
        own,
        best,
        excess,
        finite,
        cost,
        problem.saving(chosen, own, cost),
        tuple(problem.changes(names, own, chosen)),
        group_sizes(chosen, prompts, design, update_cost, response_cost),
    )


def group_sizes(
    scheme: SchemeLike,
    prompts: PromptSet | Array,
    sampling: str | Design = "fixed",
    update_cost: float = 0.0,
    response_cost: float = 1.0,
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

    >>> group_sizes("rloo", 0.3)  # (M − 1)/M of the information per response
    GroupSizes(recommended=16, information=128, drift=2)
    """
    found = prompts if isinstance(prompts, PromptSet) else known_set(prompts)
    design, bound = resolve_design(sampling), resolve(scheme)
    if design.name in ("population", "first_success"):
        design = finite_design("fixed")
    sizes = [size for size in GROUP_SIZES if size >= bound.minimum_group]
    rows = [_drift_noise_cost(bound, found, design, s, update_cost, response_cost) for s in sizes]
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
    scheme: Any, prompts: PromptSet, design: Design, size: int, update: float, response: float
) -> tuple[float, float, float]:
    rho, able = prompts.success, 1 - prompts.out_of_reach
    outcomes = outcomes_of(design, size, rho)
    tables = tables_of(scheme, outcomes)
    used = design.acceptance(size, rho)
    drift = float(np.mean(used * outcomes.drift(*tables) * rho * (1 - rho)))
    noise = float(np.mean(used * outcomes.second_moment(*tables)))
    hopeless = (1 - able) * (not design.drops_all_wrong)
    noise = able * noise + hopeless * float(tables[1][0]) ** 2
    groups = able * float(np.mean(used)) + hopeless
    return able * drift, noise, update * groups + response * size


def _first_best(values: np.ndarray) -> int:
    """Index of the first value that is the largest up to rounding."""
    return int(np.argmax(values >= values.max() * (1 - 1e-12)))


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


def _decide(cost: Mapping[str, float], present: str) -> str:
    """The present scheme, unless the best one saves enough."""
    best = min(cost, key=cost.__getitem__)
    return best if cost[best] <= (1 - WORTH_IT) * cost[present] else present


@dataclasses.dataclass(frozen=True)
class _Problem:
    """What schemes are compared on."""

    prompts: PromptSet
    target: float
    size: int
    design: Design
    update: float
    response: float
    sharing: float

    @property
    def equal(self) -> bool:
        """Whether prompts do not differ, or the design has no groups of one size."""
        return np.ptp(self.prompts.success) == 0 or self.design.name in (
            "first_success",
            "population",
        )

    @property
    def clock(self) -> Clock:
        """Cost of an update of large groups: the same for every prompt, unless one waits."""
        if self.design.name in ("first_success", "population"):
            return resolve_clock("affine", update=self.update, response=self.response)
        return resolve_clock("affine", update=self.update + self.response * self.size, response=0)

    def excess(self, names: Sequence[str], design: Design | None = None) -> dict[str, float]:
        """Time times energy over that of the best table, each prompt going its own way."""
        success = self.prompts.success
        return excess_of_all(
            names,
            design=design or self.design,
            group_size=self.size,
            start=success[success < self.target],
            target=self.target,
            update_cost=self.update,
            response_cost=self.response,
        )

    def relative(
        self,
        names: Sequence[str],
        present: str,
        excess: Mapping[str, float],
        *,
        sharing: float | None = None,
        kernel: Kernel = "softmax",
    ) -> dict[str, float]:
        """What decides, over the present scheme's, the best first."""
        values = excess if self.equal else self.side_by_side(names, sharing, kernel)
        own = values[present]
        if not math.isfinite(own):
            raise ValueError(f"{resolve(present).label} does not reach the target at all")
        ranked = sorted(names, key=lambda name: (values[name], name != present))
        return {name: values[name] / own for name in ranked}

    def side_by_side(
        self, names: Sequence[str], sharing: float | None, kernel: Kernel
    ) -> dict[str, float]:
        costs = self._costs([self.prompts], names, sharing, kernel)
        return dict(zip(names, map(float, costs[:, 0]), strict=True))

    def _costs(
        self,
        sets: Sequence[PromptSet],
        names: Sequence[str],
        sharing: float | None = None,
        kernel: Kernel = "softmax",
    ) -> np.ndarray:
        return path_costs(
            names,
            np.stack([one.odds for one in sets]),
            sharing=self.sharing if sharing is None else sharing,
            target=self.target,
            group_size=self.size,
            design=self.design,
            unsolvable=np.array([one.out_of_reach for one in sets]),
            kernel=kernel,
            update_cost=self.update,
            response_cost=self.response,
        )

    def saving(self, chosen: str, present: str, cost: Mapping[str, float]) -> Interval:
        """1 − cost, with an interval by the sets that the counts allow, on the log scale."""
        value = 1 - cost[chosen] / cost[present]
        if chosen == present:
            return Interval(0.0, 0.0, 0.0)
        if self.equal or not self.prompts.draws:
            return Interval(value, value, value)
        first, second = self._costs(self.prompts.draws, [chosen, present])
        there = (first > 0) & (second > 0) & np.isfinite(first) & np.isfinite(second)
        logs = np.log(first[there] / second[there])
        if logs.size < 2:
            return Interval(value, -math.inf, 1.0)
        half = 1.96 * float(logs.std(ddof=1))
        centre = math.log(1 - value)
        return Interval(value, 1 - math.exp(centre + half), 1 - math.exp(centre - half))

    def changes(self, names: Sequence[str], present: str, chosen: str) -> list[Change]:
        """Settings near this one in which another scheme would be recommended."""
        found = []
        for words, costs in self._alternatives(names, present):
            other = _decide(costs, present)
            if other != chosen:
                found.append(Change(words, other, 1 - costs[other]))
        return found

    def _alternatives(
        self, names: Sequence[str], present: str
    ) -> list[tuple[str, Mapping[str, float]]]:
        if self.design.name in ("first_success", "population"):
            return []
        if self.equal:
            others = [
                (f"groups were sampled {name}", self._over(names, present, name))
                for name in ("fixed", "until_any", "until_mixed")
                if name != self.design.name
            ]
            return [*others, (SPREAD, self._spread(names, present))]
        settings: list[tuple[str, float | None, Kernel]] = [
            ("each prompt learned by itself (sharing 0)", 0.0, "softmax"),
            ("all prompts moved together (sharing 1)", 1.0, "softmax"),
            ("updates followed the natural gradient", None, "mirror"),
        ]
        return [
            (words, self.relative(names, present, {}, sharing=sharing, kernel=kernel))
            for words, sharing, kernel in settings
        ]

    def _spread(self, names: Sequence[str], present: str) -> dict[str, float]:
        start = float(self.prompts.success[0])
        unequal = dataclasses.replace(self.prompts, success=expit(spread_odds(start, 2.0)))
        problem = dataclasses.replace(self, prompts=unequal)
        return problem.relative(names, present, {})

    def _over(self, names: Sequence[str], present: str, design: str) -> dict[str, float]:
        values = self.excess(names, resolve_design(design))
        return {name: value / values[present] for name, value in values.items()}
