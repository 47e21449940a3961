"""Updates against exact enumeration, and the exact learner against theory's flow."""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.config import SimulationConfig
from sim.counter import draw
from sim.groups import table_group, weigh_by_confidence
from sim.learners import Regulariser, clipped_weights
from sim.policies.bandit import Bandit
from sim.problems import build
from sim.run import rules_of, simulate
from sim.tables import scheme_table
from sim.update import State, update
from theory.advantages import group_advantages
from theory.clocks import resolve_clock
from theory.dynamics import trajectory
from theory.schemes import resolve

PROBABILITY = np.array([0.15, 0.25, 0.6])
GROUP, COPIES = 3, 20_000
POLICY = Bandit(3, 1)


def exact_gradient(scheme):
    """E[(1/M) Σ A_i ∇ln π(y_i)] over all groups, by enumeration."""
    total = np.zeros(3)
    for group in itertools.product(range(3), repeat=GROUP):
        rewards = np.array([a == 0 for a in group], float)
        confidence = np.log(PROBABILITY[list(group)])
        extra = {"log_confidence": confidence} if resolve(scheme).needs_confidence else {}
        advantages = group_advantages(rewards, scheme, **extra)
        score = sum(
            A * (np.eye(3)[a] - PROBABILITY) for a, A in zip(group, advantages, strict=True)
        )
        total += math.prod(PROBABILITY[list(group)]) * score / GROUP
    return total


@pytest.mark.parametrize("scheme", ["grpo", "sqrt_r", "nsr", "w_reinforce", "maxrl", "lens"])
def test_sampled_gradient_has_the_enumerated_expectation(scheme):
    masses = jnp.asarray(np.tile(PROBABILITY[:, None], COPIES))

    @jax.jit
    def sampled(masses):
        uniforms = draw("hash", 11, 0, GROUP, COPIES, dtype=jnp.float64)
        if resolve(scheme).needs_confidence:
            group, _ = weigh_by_confidence(POLICY, masses, uniforms, resolve(scheme))
        else:
            group = table_group(
                POLICY, masses, uniforms, scheme_table(resolve(scheme), GROUP, "float64")
            )
        return group, POLICY.score(jnp.log(masses), masses, group.weights, group.total)

    group, gradients = jax.tree.map(np.asarray, sampled(masses))
    np.testing.assert_allclose(group.total, group.weights.sum(axis=0), atol=1e-12)
    error = gradients.std(axis=1) / math.sqrt(COPIES) + 1e-12
    z = (gradients.mean(axis=1) - exact_gradient(scheme)) / error
    assert np.abs(z).max() < 4.5


@pytest.mark.parametrize("schemes", [("grpo",), ("sqrt_r",)])
def test_mirror_run_converges_to_the_flow_at_first_order(tmp_path, schemes):
    """Euler steps of d logit ρ/dt = ω err by O(η): halving the step halves the error."""
    horizon, errors = 0.4, []
    exact = float(trajectory(schemes[0], 0.05, np.array([horizon]))[-1])
    for steps in (40, 80, 160):
        config = SimulationConfig(
            schemes=schemes,
            seeds=1,
            prompts=2,
            answers=3,
            correct_answers=1,
            start=0.05,
            group_size=None,
            learner="mirror",
            learning_rate=horizon / steps,
            steps=steps,
            measure_every=steps,
            pass_k=(1,),
            precision="float64",
        )
        metrics = simulate(config, tmp_path / f"{steps}", progress=False)
        final = metrics.query(f"metric == 'success' and step == {steps}")["value"].iloc[0]
        errors.append(abs(final - exact))
    order = np.polyfit(np.log([40, 80, 160]), np.log(errors), 1)[0]
    assert -1.15 < order < -0.85


def test_first_epoch_of_ppo_is_the_policy_gradient_and_clipping_stops_it():
    masses = jnp.asarray(np.tile(PROBABILITY[:, None], 4))
    table = scheme_table(resolve("grpo"), GROUP, "float64")
    uniforms = draw("hash", 0, 0, GROUP, 4, dtype=jnp.float64)
    group = jax.jit(table_group)(POLICY, masses, uniforms, table)
    same = clipped_weights(group, masses, masses, 0.2, 0.2)
    np.testing.assert_allclose(same, group.weights)
    # Far along its advantage an answer has no gradient left; against it, it keeps one.
    moved = masses * jnp.exp(jnp.where(group.weights > 0, 2.0, 0.0))
    ratio = np.asarray(moved / moved.sum(axis=0)[None] / masses)
    weights = np.asarray(clipped_weights(group, moved, masses, 0.2, 0.2))
    assert np.all(weights[(np.asarray(group.weights) > 0) & (ratio > 1.2)] == 0)
    assert np.all(weights[(np.asarray(group.weights) < 0) & (ratio < 0.8)] == 0)


def test_entropy_and_kl_weights_are_gradients():
    logits = jnp.asarray(np.random.default_rng(0).standard_normal((3, 2)))
    initial = jnp.asarray(np.random.default_rng(1).standard_normal((3, 2)))

    def objective(logits):
        logs = jax.nn.log_softmax(logits, axis=0)
        reference = jax.nn.log_softmax(initial, axis=0)
        entropy = -(jnp.exp(logs) * logs).sum()
        return 0.3 * entropy - 0.7 * (jnp.exp(logs) * (logs - reference)).sum()

    masses = POLICY.masses(logits)
    weights = Regulariser(0.3, 0.7).weights(masses, initial)
    got = POLICY.score(logits, masses, weights)
    np.testing.assert_allclose(got, jax.grad(objective)(logits), atol=1e-12)


def test_dapo_counts_every_response_and_leaves_only_mixed_groups():
    config = SimulationConfig(
        schemes=("dapo",),
        seeds=1,
        prompts=512,
        answers=2,
        correct_answers=1,
        start=0.5,
        group_size=2,
        dynamic_attempts=30,
        precision="float64",
    )
    rules = rules_of(config, resolve("dapo"))
    assert rules.attempts == 30
    problem = build(config, 0)
    state = State(problem.parameters)
    (moved, *_), costs, _ = jax.jit(update, static_argnums=0)(
        rules,
        problem,
        scheme_table(resolve("dapo"), 2, "float64"),
        jnp.asarray(1.0),
        jnp.uint32(0),
        state,
        jnp.uint32(0),
    )
    # Half of the groups of two are mixed: 2 attempts expected, with standard deviation √2.
    attempts = float(costs["responses"]) / 2 / 512
    assert abs(attempts - 2) < 5 * math.sqrt(2 / 512)
    assert np.all(np.asarray(moved[0]) > np.asarray(problem.parameters[0]))


def test_waiting_for_mixed_groups_keeps_its_cost_as_success_nears_one():
    """ρ in single precision is 1, or rounds above it; 1 − ρ has all its digits."""
    config = SimulationConfig(schemes=("grpo",), answers=16, correct_answers=8, prompts=256)
    rules = rules_of(config, resolve("grpo"))
    rest = np.logspace(-12, -3, 256)
    right = np.random.default_rng(0).dirichlet(np.ones(8), size=256).T
    probabilities = np.concatenate([right * (1 - rest), np.tile(rest / 8, (8, 1))])
    logits = jnp.asarray(np.log(probabilities), jnp.float32)
    problem = dataclasses.replace(build(config, 0), policy=Bandit(16, 8), parameters=logits)
    table = scheme_table(resolve("grpo"), 16, "float32")
    rate, seed, number = jnp.float32(1), jnp.uint32(0), jnp.uint32(0)
    _, costs, _ = update(rules, problem, table, rate, seed, State(logits), number)
    wanted = resolve_clock("mixed_group", group_size=16).cost(rest)
    np.testing.assert_allclose(costs["clock/mixed_group"], wanted, rtol=1e-4)
