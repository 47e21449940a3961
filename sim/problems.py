"""From a configuration and a seed to a policy, its initial parameters and held-out prompts."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from sim.config import SimulationConfig, tree_shape
from sim.policies.bandit import Bandit
from sim.policies.base import Policy
from sim.policies.log_linear import LogLinear
from sim.policies.shared_tree import SharedTree
from sim.policies.tree import Tree, choice_logits
from sim.priors import Prior, make_prior, rule_prior, scatter_answers
from sim.token_rule import TokenRule, choice_logits_by_level

Array = jax.Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Problem:
    """What is to be learned under one seed.

    Attributes:
        policy: The policy on the training prompts.
        held_out: The policy on held-out prompts, or none.
        parameters: Initial parameters.
    """

    policy: Policy
    held_out: Policy | None
    parameters: Array


def build(config: SimulationConfig, seed: int) -> Problem:
    """Build the problem of one seed; the same for every scheme.

    Args:
        config: What to build.
        seed: Seed of prompts, priors and features.
    """
    dtype = config.precision
    if config.policy == "bandit":
        prior = make_prior(**_common(config, config.answers), seed=seed)
        bandit = Bandit(config.answers, config.correct_answers)
        return Problem(bandit, None, _array(prior.log_probabilities, dtype))
    if config.policy == "tree":
        shape = tree_shape(config)
        prior = scatter_answers(make_prior(**_common(config, shape.answers), seed=seed), seed)
        logits = choice_logits(shape, prior.log_probabilities)
        tree = Tree(jnp.asarray(prior.correct), shape)
        return Problem(tree, None, _array(logits, dtype))
    if config.policy == "shared_tree":
        return _shared_tree(config, seed)
    if config.sharing is not None:
        prior = make_prior(**_common(config, config.answers), seed=seed)
        own = np.eye(config.prompts) * np.sqrt((1 - config.sharing) * config.prompts)
        features = np.concatenate([own, np.full((1, config.prompts), np.sqrt(config.sharing))])
        policy = _log_linear(prior, features, dtype)
    else:
        policy = _rule_policy(config, seed, 0, config.prompts)
    held_out = None
    if config.held_out_prompts:
        held_out = _rule_policy(config, seed, 1, config.held_out_prompts)
    parameters = _array(np.zeros((policy.features.shape[0], config.answers)), dtype)
    return Problem(policy, held_out, parameters)


def _shared_tree(config: SimulationConfig, seed: int) -> Problem:
    shape, dtype = tree_shape(config), config.precision
    rule = TokenRule(shape, config.features, config.prefix_sharing, config.length_bias, seed)

    def policy(prompts: int, stream: int) -> SharedTree:
        common = {**_common(config, shape.answers), "prompts": prompts}
        features = rule.prompt_features(prompts, stream)
        prior = make_prior(**common, seed=seed, stream=stream)
        prior = rule.apply(prior, features, config.rule, stream)
        return SharedTree(
            jnp.asarray(prior.correct),
            _array(choice_logits_by_level(shape, prior.log_probabilities), dtype),
            _array(features, dtype),
            _array(rule.prefixes, dtype),
            shape,
        )

    held_out = policy(config.held_out_prompts, 1) if config.held_out_prompts else None
    parameters = _array(np.zeros((config.features, config.symbols)), dtype)
    return Problem(policy(config.prompts, 0), held_out, parameters)


def _rule_policy(config: SimulationConfig, seed: int, stream: int, prompts: int) -> LogLinear:
    common = {**_common(config, config.answers), "prompts": prompts}
    prior, features = rule_prior(
        **common, features=config.features, rule=config.rule, seed=seed, stream=stream
    )
    return _log_linear(prior, features, config.precision)


def _log_linear(prior: Prior, features: np.ndarray, dtype: str) -> LogLinear:
    return LogLinear(
        jnp.asarray(prior.correct),
        _array(prior.log_probabilities, dtype),
        _array(features, dtype),
    )


def _array(values: np.ndarray, dtype: str) -> Array:
    """An array on the device; NumPy converts in less time than a program takes to be called."""
    return jnp.asarray(np.asarray(values, dtype))


def _common(config: SimulationConfig, answers: int) -> dict[str, Any]:
    return {
        "prompts": config.prompts,
        "answers": answers,
        "correct_answers": config.correct_answers,
        "start": config.first,
        "prior_spread": config.prior_spread,
        "decoys": config.decoys,
        "decoy_mass": config.decoy_mass,
    }
