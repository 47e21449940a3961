"""Step sizes that make schemes comparable."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import array_api_compat
import numpy as np
from scipy.special import expit, logit

from runs.pass_rates import Measured
from sim.config import SimulationConfig, finds_rates
from sim.starts import drawn_in_words, initial_success
from theory.designs import DesignName
from theory.finite_group import expected_weight
from theory.schemes import SCHEMES, Scheme
from theory.spending import resolve_rule

_POINTS = 4001  # trapezoid in logit ρ; relative error below 1e-6 for every scheme


def learning_rates(config: SimulationConfig) -> dict[str, float]:
    """Step size of every scheme of a configuration.

    With ``comparison="same_budget"``, η_s = η · ∫ω_GRPO dρ / ∫ω_s dρ, both integrals meant over
    the prompts, from ρ₀ to the target: then η_s ∫ω_s dρ is the same for all schemes, which is the
    constraint of theory.optimal. ω is the weight that groups of this size realise, and that of the
    groups DAPO keeps, where it samples again until they are mixed.

    >>> config = SimulationConfig(schemes=("rloo", "grpo"), start=0.01, comparison="same_budget",
    ...                           group_size=None, learner="mirror", learning_rate=0.1)
    >>> {name: round(rate, 4) for name, rate in learning_rates(config).items()}
    {'rloo': 0.2582, 'grpo': 0.1}
    """
    common = 1.0 if config.learning_rate is None else config.learning_rate
    rates = {s: float(config.learning_rates.get(s, common)) for s in config.schemes}
    if config.comparison != "same_budget":
        return rates
    reference = _budget(config, "grpo", SCHEMES["grpo"])
    return {
        name: rate * reference / _budget(config, name, config.bound[name])
        for name, rate in rates.items()
    }


def rate_name(rate: float) -> str:
    """A step size as a part of names.

    >>> rate_name(0.3)
    '0.3'
    """
    return f"{rate:.15g}"


def compared_at(config: Mapping[str, Any]) -> str:
    """At which learning rates a simulation compares its schemes, in words.

    Args:
        config: The configuration, as a run folder holds it.

    >>> compared_at(SimulationConfig().to_dict()), compared_at({"comparison": "same_budget"})
    ('own best rates', 'equal budgets')
    """
    if config.get("comparison") == "same_budget":
        return "equal budgets"
    if finds_rates(config):
        return "own best rates"
    own, common = config.get("learning_rates", {}), config.get("learning_rate")
    given = {own.get(scheme, common) for scheme in config.get("schemes", ())}
    return "one common rate" if len(given) <= 1 else "given rates"


def _budget(config: SimulationConfig, name: str, scheme: Scheme) -> float:
    budget = weight_budget(config, scheme)
    if not 0 < budget < math.inf:
        raise ValueError(
            f"comparison same_budget divides by ∫ω dρ from start {config.start} to target "
            f"{config.target:g}, which must be positive and finite; {name}'s is {budget:g}"
        )
    return budget


def weight_budget(config: SimulationConfig, scheme: Scheme) -> float:
    """Mean over prompts of ∫ω dρ from ρ₀ to the target; prompts beyond the target count 0."""
    start = initial_successes(config)
    low = min(float(start.min()), config.target / 2)
    grid = np.linspace(logit(low), logit(config.target), _POINTS)
    success = expit(grid)
    weight = _weight(scheme, config.group_size, success)
    attempts = dynamic_attempts(config, scheme)
    if attempts > 1 and config.group_size is not None:
        mixed = mixed_share(success, expit(-grid), config.group_size)
        weight = weight * kept_groups(mixed, attempts)
    integrand = weight * success * expit(-grid)
    steps = np.diff(grid) * (integrand[1:] + integrand[:-1]) / 2
    primitive = np.concatenate([[0.0], np.cumsum(steps)])
    below = np.interp(logit(np.minimum(start, config.target)), grid, primitive)
    return float(np.mean(primitive[-1] - below))


def sampling_of(config: SimulationConfig, scheme: Scheme) -> DesignName:
    """Sampling design of a scheme of the configuration; DAPO waits for mixed groups by itself.

    So does spending by rounds, a few times.

    >>> sampling_of(SimulationConfig(schemes=("grpo", "dapo")), SCHEMES["dapo"])
    'until_mixed'
    """
    samples = config.learner != "mirror" and config.group_size is not None
    dapo = samples and scheme.name == "dapo" and config.dynamic_attempts > 1
    waits = dapo or resolve_rule(config.spending).design == "until_mixed"
    return "until_mixed" if waits and config.sampling == "fixed" else config.sampling


def dynamic_attempts(config: SimulationConfig, scheme: Scheme) -> int:
    """How often a scheme of the configuration samples a group until its design accepts it.

    >>> dynamic_attempts(SimulationConfig(schemes=("grpo", "dapo")), SCHEMES["dapo"])
    10
    """
    rule = resolve_rule(config.spending)
    if rule.name == "rounds":
        rounds = rule.options["rounds"]
        assert isinstance(rounds, int)  # the rule sees to it
        return rounds
    return 1 if sampling_of(config, scheme) == "fixed" else config.dynamic_attempts


def mixed_share(success: Any, failure: Any, group_size: int) -> Any:
    """Share of groups that are mixed, 1 − ρ^M − (1−ρ)^M, to full precision for small ρ and 1 − ρ.

    >>> mixed_share(np.array([1e-20]), np.array([1.0]), 4).tolist()
    [4e-20]
    """
    xp = array_api_compat.array_namespace(success, failure)
    rare = xp.minimum(success, failure)
    return -xp.expm1(group_size * xp.log1p(-rare)) - rare**group_size


def kept_groups(accepted: Any, attempts: int) -> Any:
    """Accepted groups per update over those of one attempt, (1 − (1−p)ⁿ)/p.

    Args:
        accepted: p, the share of groups that the design accepts, an array of NumPy or JAX.
        attempts: n, how often a group is sampled until it is accepted.

    Returns:
        Factor in [1, n] by which resampling raises the weight ω_M.

    >>> kept_groups(np.array([0.5]), 3).tolist()  # 1 + 1/2 + 1/4
    [1.75]
    """
    xp = array_api_compat.array_namespace(accepted)
    none = xp.clip(1 - accepted, 0.0, 1.0)
    some = xp.where(accepted > 0, accepted, xp.ones_like(accepted))
    return xp.where(
        accepted > 0, (1 - none**attempts) / some, xp.full_like(accepted, float(attempts))
    )


def initial_successes(config: SimulationConfig) -> np.ndarray:
    """Initial success of the training prompts under the first seed."""
    generator = np.random.default_rng((config.seed, 0x5EED, 0))
    return initial_success(config.first, config.prompts, generator)


def start_in_words(config: SimulationConfig) -> list[str]:
    """What a file of measured prompts says, and what became of zeros; nothing for other starts."""
    read = config.first
    if not isinstance(read, Measured):
        return []
    return drawn_in_words(read, initial_successes(config), config.target)


def _weight(scheme: Scheme, group_size: int | None, success: np.ndarray) -> np.ndarray:
    if group_size is None:
        return np.asarray(scheme.weight(success), dtype=float)
    return np.asarray(expected_weight(scheme, group_size, success), dtype=float)
