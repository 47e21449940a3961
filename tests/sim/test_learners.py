"""What is sampled and how it is weighed: trees with confidences per token, schedules, pairing."""

import dataclasses
import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.config import SimulationConfig
from sim.counter import draw
from sim.groups import weigh_by_confidence
from sim.policies.tree import Tree
from sim.policies.tree_shape import TreeShape
from sim.problems import build
from sim.run import rules_of, simulate
from sim.tables import scheme_table
from sim.update import Rules, State, _normalised, update
from sim.verifier import Verifier
from theory.advantages import group_advantages
from theory.schemes import resolve

COPIES = 20_000


@pytest.mark.parametrize("scheme", ["lens", "lens:parts=negative"])
def test_confidence_of_a_tree_is_per_token(scheme):
    """Mean weights of sampled pairs against all pairs, enumerated, with π^{1/length}."""
    shape = TreeShape(2, 2, end=True)  # answers of one and of two tokens
    choices = jnp.asarray(np.random.default_rng(0).standard_normal((shape.choices, 1)))
    correct = np.zeros((shape.answers, 1), bool)
    correct[1] = True
    one = Tree(jnp.asarray(correct), shape)
    logs = np.asarray(one.log_probabilities(choices))[:, 0]
    lengths = np.asarray(one.lengths)
    assert len(set(lengths.tolist())) == 2
    expected = np.zeros(shape.answers)
    for pair in itertools.product(range(shape.answers), repeat=2):
        drawn = list(pair)
        advantages = group_advantages(
            correct[drawn, 0].astype(float), scheme, log_confidence=logs[drawn] / lengths[drawn]
        )
        np.add.at(expected, drawn, math.exp(logs[drawn].sum()) * advantages / 2)
    many = Tree(jnp.asarray(np.repeat(correct, COPIES, axis=1)), shape)

    @jax.jit
    def sampled(masses):
        uniforms = draw("hash", 5, 0, 2, COPIES, dtype=jnp.float64)
        return weigh_by_confidence(many, masses, uniforms, resolve(scheme))[0].weights

    weights = np.asarray(sampled(jnp.tile(one.masses(choices), (1, COPIES))))
    error = weights.std(axis=1) / math.sqrt(COPIES) + 1e-12
    assert np.abs((weights.mean(axis=1) - expected) / error).max() < 4.5
    assert np.abs(expected).max() > 0.01


@pytest.mark.parametrize("errors", [(0.0, 0.0), (0.2, 0.3)])
def test_groups_weighed_by_confidence_are_counted_and_normalised_like_others(errors):
    shape, verifier, copies = TreeShape(2, 2, end=True), Verifier(*errors), 50
    tree = Tree(jnp.zeros((shape.answers, copies), bool).at[1].set(True), shape)
    choices = jnp.asarray(np.random.default_rng(0).standard_normal((shape.choices, copies)))
    rules = Rules("ppo", 4, verifier=verifier, length_normalisation="batch")

    @jax.jit
    def sampled(masses):
        uniforms = draw("hash", 5, 0, 4, copies, dtype=jnp.float64)
        group, drawn = weigh_by_confidence(
            tree, masses, uniforms, resolve("lens:parts=negative"), verifier
        )
        passed = verifier.passed(tree, drawn.counts)
        by_answer = verifier.by_answer(drawn.counts)
        return (
            group,
            drawn.passed,
            passed,
            drawn.tokens,
            by_answer,
            _normalised(rules, tree, group, drawn),
        )

    found = jax.tree.map(np.asarray, sampled(tree.masses(choices)))
    group, told, passed, tokens, counts, normalised = found
    lengths = np.array([len(sequence) for sequence in shape.sequences])
    np.testing.assert_array_equal(counts.sum(axis=0), 4)
    np.testing.assert_array_equal(told, passed)
    np.testing.assert_array_equal(tokens, lengths @ counts)
    mean = (lengths @ counts).sum() / counts.sum()
    np.testing.assert_allclose(normalised.weights, group.weights / mean, rtol=1e-12)
    np.testing.assert_allclose(normalised.total, group.total / mean, atol=1e-12)


@pytest.mark.parametrize("step", [0, 3, 20])
def test_a_schedule_is_the_scheme_with_its_value_of_the_step(step):
    config = SimulationConfig(
        schemes=("w_reinforce",),
        seeds=1,
        prompts=32,
        answers=4,
        correct_answers=1,
        start=0.3,
        group_size=4,
        precision="float64",
        schedules={"lam": "linear:start=1,end=0.2,steps=8"},
    )
    rules = rules_of(config, resolve("w_reinforce"))
    value = 1 - 0.8 * min(step / 8, 1)
    fixed = dataclasses.replace(config, schedules={})
    problem = build(config, 0)

    def moved(rules, table):
        state = State(problem.parameters)
        (after, *_), *_ = jax.jit(update, static_argnums=0)(
            rules, problem, table, jnp.asarray(1.0), jnp.uint32(0), state, jnp.uint32(step)
        )
        return after

    scheduled = moved(rules, None)
    table = scheme_table(resolve(f"w_reinforce:lam={value}"), 4, "float64")
    np.testing.assert_allclose(
        scheduled, moved(rules_of(fixed, resolve("w_reinforce")), table), rtol=1e-12
    )


def test_seeds_are_paired_same_prompts_and_same_draws_under_every_scheme(tmp_path):
    """Two names of one table are one run; other tables differ from the first update on."""
    config = SimulationConfig(
        schemes=("reinforce", "w_reinforce:lam=1", "nsr"),
        seeds=2,
        prompts=16,
        answers=4,
        correct_answers=1,
        start="beta:1,3",
        group_size=4,
        steps=6,
        measure_every=3,
        pass_k=(1,),
    )
    metrics = simulate(config, tmp_path / "run", progress=False)
    wide = metrics[metrics["metric"] == "success"].pivot_table(
        index=["seed", "step"], columns="scheme", values="value"
    )
    np.testing.assert_array_equal(wide["reinforce"], wide["w_reinforce:lam=1"])
    start = wide.xs(0, level="step")
    assert start.nunique(axis=1).eq(1).all()
    assert (wide["nsr"] != wide["reinforce"])[wide.index.get_level_values("step") > 0].all()


def test_a_tree_under_mirror_steps_is_its_bandit(tmp_path):
    """Exact steps of the distribution do not see how it is parametrised."""
    common = {
        "schemes": ("sqrt_r",),
        "seeds": 1,
        "prompts": 3,
        "correct_answers": 2,
        "start": 0.05,
        "group_size": None,
        "learner": "mirror",
        "learning_rate": 0.05,
        "steps": 30,
        "measure_every": 5,
        "pass_k": (1, 8),
        "precision": "float64",
    }
    curves = []
    for policy in ({"policy": "tree", "symbols": 3, "length": 2}, {"answers": 7}):
        metrics = simulate(
            SimulationConfig(**common, **policy), tmp_path / str(len(curves)), progress=False
        )
        curves.append(metrics[metrics["metric"].isin(["success", "pass@8"])]["value"].to_numpy())
    np.testing.assert_allclose(*curves, rtol=1e-10)
    assert curves[0][-1] > 2 * curves[0][0]
