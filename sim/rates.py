"""Step sizes that make schemes comparable."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from sim.bandit import prior_logits
from sim.config import SimulationConfig
from theory.schemes import resolve

_POINTS = 4001  # trapezoid in logit ρ; relative error below 1e-6 for every scheme


def learning_rates(config: SimulationConfig) -> dict[str, float]:
    """Step size of every scheme of a configuration.

    With ``comparison="same_budget"``, η_s = η · ∫ω_GRPO dρ / ∫ω_s dρ, both integrals meant over
    the prompts, from ρ₀ to the target: then η_s ∫ω_s dρ is the same for all schemes, which is the
    constraint of theory.optimal. ω is the weight that groups of this size realise.

    >>> config = SimulationConfig(schemes=("rloo", "grpo"), start=0.01, comparison="same_budget",
    ...                           group_size=None, learner="mirror", learning_rate=0.1)
    >>> {name: round(rate, 4) for name, rate in learning_rates(config).items()}
    {'rloo': 0.2582, 'grpo': 0.1}
    """
    rates = {s: float(config.learning_rates.get(s, config.learning_rate)) for s in config.schemes}
    if config.comparison == "same_rate":
        return rates
    reference = weight_budget(config, "grpo")
    return {s: rate * reference / weight_budget(config, s) for s, rate in rates.items()}


def weight_budget(config: SimulationConfig, scheme: str) -> float:
    """Mean over prompts of ∫ω dρ from ρ₀ to the target; prompts beyond the target count 0."""
    start = initial_successes(config)
    low = min(float(start.min()), config.target / 2)
    grid = np.linspace(logit(low), logit(config.target), _POINTS)
    success = expit(grid)
    integrand = _weight(scheme, config.group_size, success) * success * expit(-grid)
    steps = np.diff(grid) * (integrand[1:] + integrand[:-1]) / 2
    primitive = np.concatenate([[0.0], np.cumsum(steps)])
    below = np.interp(logit(np.minimum(start, config.target)), grid, primitive)
    return float(np.mean(primitive[-1] - below))


def initial_successes(config: SimulationConfig) -> np.ndarray:
    """Initial success of the prompts under the first seed."""
    logits = prior_logits(
        prompts=config.prompts, answers=2, correct_answers=1, start=config.start,
        prior_spread=0.0, seed=config.seed,
    )  # fmt: skip
    successes: np.ndarray = np.exp(logits[0])
    return successes


def _weight(scheme: str, group_size: int | None, success: np.ndarray) -> np.ndarray:
    bound = resolve(scheme)
    if group_size is None:
        return np.asarray(bound.weight(success), dtype=float)
    from scipy.stats import binom

    positive, negative = bound.table(group_size)
    hits = np.arange(group_size)[:, None]
    probability = binom.pmf(hits, group_size - 1, success[None, :])
    return np.asarray((positive[1:] + negative[:-1]) @ probability, dtype=float)
