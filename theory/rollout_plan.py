"""Which prompts to choose how often, and in groups of what size, from what counts say of them.

An update of a prompt with M responses moves its success by d(M) = E[ω_M(ρ) ρ(1−ρ)], averaged over
what is known of ρ. Of one budget, Σ_i q_i M_i responses per chosen prompt, the plan takes

    M_i = argmax_M d_i(M) − λM,   q_i ∝ d_i(M_i):

group sizes at which one more response adds λ to the drift of any prompt, and chances in proportion
to the drift. Those are the chances with the largest Σ q_i d_i − ½ d̄ Σ (q_i − 1/N)²N: the most drift
for a given distance from choosing all prompts alike. A prompt that was never solved keeps the share
that its posterior gives it, neither none nor everything.

It is a plan for the next updates: pass rates move, and a learning rate is taken as given.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from scipy.special import expit

from theory._arrays import Array, Floats
from theory._binomial import check_group_size
from theory._designs import Design, finite_design, outcomes_of, tables_of
from theory.beta_binomial import Posterior
from theory.schemes import Scheme, SchemeLike, resolve

LARGEST_GROUP = 128
_CELLS = 240
_ODDS = 14.0  # of the cells that posteriors are averaged over: 8e-7 from either end


@dataclasses.dataclass(frozen=True)
class RolloutPlan:
    """Chance and group size of each prompt.

    Attributes:
        probability: q_i, the chance that a prompt of the batch is this one; sums to 1.
        group_size: M_i, whole numbers.
        gain: Expected drift of the mean success per response, over that of the same number of
            responses in equal groups for all prompts alike.
    """

    probability: Floats
    group_size: np.ndarray[tuple[int, ...], np.dtype[np.intp]]
    gain: float


def plan_rollouts(
    posterior: Posterior,
    scheme: SchemeLike = "grpo",
    group_size: int = 16,
    *,
    design: str | Design = "fixed",
    largest: int = LARGEST_GROUP,
) -> RolloutPlan:
    """Chances and group sizes with the drift of mean success per response in mind.

    Args:
        posterior: What is known of each prompt.
        scheme: Scheme with a table.
        group_size: M, the responses per chosen prompt on average, at least 2.
        design: A sampling design in which groups have one size. Groups that it does not accept
            teach nothing and cost their responses.
        largest: Largest group.

    Returns:
        The plan; Σ q_i M_i is at most M and within one prompt's step of it.

    Raises:
        ValueError: A group size outside [2, ``largest``], a scheme without a table, no prompt.

    >>> from theory.beta_binomial import PassRateModel
    >>> known = PassRateModel(0.3, 1.0).posterior([0, 2, 8], 8)
    >>> plan = plan_rollouts(known, "grpo", 8)
    >>> plan.probability.round(2).tolist(), plan.gain > 1
    ([0.08, 0.59, 0.33], True)
    """
    bound, found = resolve(scheme), finite_design(design)
    size, least = check_group_size(group_size), max(2, bound.minimum_group)
    if not least <= size <= largest:
        raise ValueError(f"group_size must lie in [{least}, {largest}]; got {size}")
    sizes = np.arange(least, largest + 1)
    pairs, place = np.unique(
        np.stack(dataclasses.astuple(posterior), axis=1), axis=0, return_inverse=True
    )
    if not len(pairs):
        raise ValueError("a plan needs a prompt at least")
    drift = _drift(Posterior(*pairs.T), bound, found, sizes)
    place = place.ravel()
    uniform = float(drift[place, size - least].mean())
    if uniform <= 0:
        raise ValueError(f"{bound.label} does not raise the success of these prompts")
    few, many = _sizes_at(drift, sizes, place, size)
    # Between the two group sizes of a prompt, as many prompts have the larger as the budget allows.
    low, high = 0, place.size
    while high - low > 1:
        middle = (low + high) // 2
        chosen = np.where(np.arange(place.size) < middle, many[place], few[place])
        low, high = (middle, high) if _cost(drift, chosen, place, sizes) <= size else (low, middle)
    chosen = np.where(np.arange(place.size) < low, many[place], few[place])
    moved = np.maximum(drift[place, chosen], 0.0)
    probability = moved / moved.sum()
    return RolloutPlan(probability, sizes[chosen], float(probability @ moved) / uniform)


def _drift(posterior: Posterior, scheme: Scheme, design: Design, sizes: Array) -> Floats:
    """E[P_S ω_S ρ(1−ρ)] of every posterior at every group size, shape (posteriors, sizes)."""
    edges = expit(np.linspace(-_ODDS, _ODDS, _CELLS + 1))
    middles = expit((np.arange(_CELLS) + 0.5) * (2 * _ODDS / _CELLS) - _ODDS)
    chance = np.diff(posterior.below(edges), axis=1)
    drift = []
    for size in sizes:
        outcomes = outcomes_of(design, int(size), middles)
        omega = outcomes.drift(*tables_of(scheme, outcomes))
        drift.append(design.acceptance(int(size), middles) * omega * middles * (1 - middles))
    return np.asarray(chance @ np.stack(drift, axis=1))


_Indices = np.ndarray[tuple[int, ...], np.dtype[np.intp]]


def _cost(drift: Floats, chosen: _Indices, place: _Indices, sizes: Array) -> float:
    """Σ q_i M_i with q in proportion to the drift."""
    moved = np.maximum(drift[place, chosen], 0.0)
    return float(moved @ sizes[chosen] / moved.sum())


def _sizes_at(
    drift: Floats, sizes: Array, place: _Indices, budget: int
) -> tuple[_Indices, _Indices]:
    """Sizes at the least price λ that keeps to the budget, and at a price just below it."""

    def at(price: float) -> _Indices:
        return np.asarray(np.argmax(drift - price * sizes, axis=1))

    low, high = -60.0, 0.0  # of ln λ; drift of success is below 1
    if _cost(drift, at(np.exp(low))[place], place, sizes) <= budget:
        return at(np.exp(low)), at(np.exp(low))
    for _ in range(60):
        middle = (low + high) / 2
        dear = _cost(drift, at(np.exp(middle))[place], place, sizes) <= budget
        low, high = (low, middle) if dear else (middle, high)
    return at(np.exp(high)), at(np.exp(low))
