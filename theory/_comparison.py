"""What schemes are compared by for a set of prompts: time times path energy until the target.

Prompts that do not differ have the paths of their sampling design (:mod:`theory.training_path`);
unequal ones are trained side by side and share parameters (:mod:`theory.sharing`).
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.special import expit

from theory._arrays import Array, Floats
from theory._designs import DESIGNS, Design
from theory._problem import Problem
from theory.best_tables import solved_table
from theory.clocks import Clock, resolve_clock
from theory.intervals import Interval
from theory.prompt_sets import PromptSet
from theory.schemes import resolve
from theory.sharing import Kernel, path_costs, spread_odds
from theory.token_cost import mean_length
from theory.training_path import USUAL, Conditions, TrainingProblem
from theory.verifier_errors import RIGHT

WORTH_IT = 0.05
"""Saving below which the present scheme is kept: less is lost in what the theory leaves out."""

SPREAD = "prompts were unequal (log-odds spread by 2)"


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


class TargetOutOfReachError(ValueError):
    """No scheme that was compared reaches the target."""


def decide(cost: Mapping[str, float], present: str) -> str:
    """The present scheme, unless the best one saves ``WORTH_IT``.

    >>> decide({"maxrl": 0.97, "grpo": 1.0}, "grpo"), decide({"maxrl": 0.5, "grpo": 1.0}, "grpo")
    ('grpo', 'maxrl')
    """
    best = min(cost, key=cost.__getitem__)
    return best if cost[best] <= (1 - WORTH_IT) * cost[present] else present


@dataclasses.dataclass(frozen=True)
class Comparison:
    """What schemes are compared on.

    Attributes:
        prompts: The prompts at the start.
        target: ρ to reach.
        size: M.
        design: The sampling design.
        update: α.
        response: β.
        sharing: s.
        conditions: Errors of the verifier, lengths of responses, and the KL coefficient.
        kernel: How updates of one prompt act on others, as :func:`theory.sharing.path_costs` takes
            it.
    """

    prompts: PromptSet
    target: float
    size: int
    design: Design
    update: float
    response: float
    sharing: float
    conditions: Conditions = USUAL
    kernel: Kernel = "softmax"

    @property
    def equal(self) -> bool:
        """Whether prompts do not differ, or the design has no groups of one size."""
        return np.ptp(self.prompts.success) == 0 or not self.design.grouped

    @property
    def clock(self) -> Clock:
        """Cost of an update of large groups: the same for every prompt, unless one waits."""
        waits = not self.design.grouped
        ratio, size = self.conditions.length_ratio, 1 if waits else self.size
        if ratio == 1:
            if waits:
                return resolve_clock("affine", update=self.update, response=self.response)
            return resolve_clock("affine", update=self.update + self.response * size, response=0)

        def cost(success: Array) -> Array:
            responses = size / np.asarray(success) if waits else size
            return self.update + self.response * (responses * mean_length(success, ratio))

        return resolve_clock(cost)

    def excess(self, names: Sequence[str]) -> dict[str, float]:
        """Time times energy over that of the best table, each prompt going its own way.

        There is no anchor here: the best table against one is as large as can be, and outruns it.
        """
        free = dataclasses.replace(self.conditions, coefficient=0.0)
        starts = self.prompts.success[self.prompts.success < self.target]
        problem = self._problem(starts, free)
        ways = {name: problem.way(resolve(name)) for name in names}
        least = solved_table(problem).product
        return {
            name: way.product("energy") / least if math.isfinite(way.time) else math.inf
            for name, way in ways.items()
        }

    def _problem(self, starts: Array, conditions: Conditions) -> TrainingProblem:
        costs = self.update, self.response
        plain = Problem.of(starts, self.target, self.design, self.size, *costs)
        return TrainingProblem.under(conditions, plain)

    def relative(
        self,
        names: Sequence[str],
        present: str,
        excess: Mapping[str, float] | None = None,
    ) -> dict[str, float]:
        """What decides, over the present scheme's, the best first.

        Args:
            names: Schemes.
            present: The one in use. If it stops short of the target, costs are over the best
                one's, and its own is ∞.
            excess: What :meth:`excess` found, if it was asked.

        Raises:
            TargetOutOfReachError: No scheme reaches the target.
        """
        if not self.equal:
            values: Mapping[str, float] = self._side_by_side(names)
        elif self.conditions.coefficient:
            values = self._anchored(names)
        else:
            values = excess or self.excess(names)
        own = values[present]
        if not math.isfinite(own):
            own = min(values.values())
        if not math.isfinite(own):
            raise TargetOutOfReachError(self._nobody(present))
        ranked = sorted(names, key=lambda name: (values[name], name != present))
        return {name: values[name] / own for name in ranked}

    def _nobody(self, present: str) -> str:
        label, beta = resolve(present).label, self.conditions.coefficient
        if not beta:
            return f"{label} does not reach the target at all, and nothing that was compared does"
        words = (
            f"against a KL coefficient of {beta:g}, per unit of advantage, no scheme that was "
            f"compared reaches the target {self.target:g}"
        )
        if np.ptp(self.prompts.success) == 0:
            problem = self._problem(self.prompts.success[:1], self.conditions)
            words += f"; {label} does below {problem.largest_coefficient(resolve(present)):.3g}"
        return words

    def _anchored(self, names: Sequence[str]) -> dict[str, float]:
        """Time times energy against an anchor at each prompt's own start."""
        below = self.prompts.success[self.prompts.success < self.target]
        starts, counts = np.unique(below, return_counts=True)
        problems = [self._problem(start, self.conditions) for start in starts]
        products = {}
        for name in names:
            ways = [problem.way(resolve(name)) for problem in problems]
            spent = np.array([[way.time, way.energy] for way in ways])
            time, energy = counts @ spent / counts.sum()
            products[name] = float(time * energy)
        return products

    def _side_by_side(self, names: Sequence[str]) -> dict[str, float]:
        costs = self._costs([self.prompts], names)
        return dict(zip(names, map(float, costs[:, 0]), strict=True))

    def _costs(self, sets: Sequence[PromptSet], names: Sequence[str]) -> Floats:
        return path_costs(
            names,
            np.stack([one.odds for one in sets]),
            sharing=self.sharing,
            target=self.target,
            group_size=self.size,
            design=self.design,
            unsolvable=np.array([one.out_of_reach for one in sets]),
            kernel=self.kernel,
            update_cost=self.update,
            response_cost=self.response,
            conditions=self.conditions,
        )

    def saving(self, chosen: str, present: str, cost: Mapping[str, float]) -> Interval:
        """1 − cost, with an interval by the sets that the counts allow, on the log scale."""
        value = 1 - cost[chosen] / cost[present]
        if chosen == present:
            return Interval(0.0, 0.0, 0.0)
        if self.equal or not self.prompts.draws or not math.isfinite(cost[present]):
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
        for words, problem in self._alternatives():
            try:
                costs = problem.relative(names, present)
            except TargetOutOfReachError:
                continue
            other = decide(costs, present)
            if other != chosen:
                found.append(Change(words, other, 1 - costs[other] / costs[present]))
        return found

    def _alternatives(self) -> list[tuple[str, Comparison]]:
        """The problem with one thing changed, and what that is in words."""
        if not self.design.grouped:
            return []
        settings: list[tuple[str, dict[str, Any]]] = self._usual()
        if self.equal:
            settings += [
                (f"groups were sampled {design.name}", {"design": design})
                for design in DESIGNS.values()
                if design.grouped and design != self.design
            ]
            start = float(self.prompts.success[0])
            unequal = dataclasses.replace(self.prompts, success=expit(spread_odds(start, 2.0)))
            settings.append((SPREAD, {"prompts": unequal}))
        else:
            settings += [
                ("each prompt learned by itself (sharing 0)", {"sharing": 0.0}),
                ("all prompts moved together (sharing 1)", {"sharing": 1.0}),
                ("updates followed the natural gradient", {"kernel": "mirror"}),
            ]
        return [(words, dataclasses.replace(self, **change)) for words, change in settings]

    def _usual(self) -> list[tuple[str, dict[str, Any]]]:
        """Each of the problem's conditions as it usually is, in turn."""
        found: list[tuple[str, dict[str, Any]]] = []
        here = self.conditions
        if here.errors != RIGHT:
            found.append(("the verifier never erred", {"errors": RIGHT}))
        if here.length_ratio != 1:
            found.append(("wrong responses were as long as correct ones", {"length_ratio": 1.0}))
        if here.coefficient:
            found.append(("there were no KL penalty", {"coefficient": 0.0}))
        return [
            (words, {"conditions": dataclasses.replace(here, **change)}) for words, change in found
        ]
