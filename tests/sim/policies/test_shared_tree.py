"""The shared token tree: autodiff, enumeration, and the policies it becomes in its limits."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.groups import Group
from sim.learners import clipped_gradient
from sim.policies.levels import along_paths, through_choices
from sim.policies.log_linear import LogLinear
from sim.policies.shared_tree import SharedTree
from sim.policies.tree import Tree
from sim.policies.tree_shape import TreeShape
from sim.priors import make_prior
from sim.token_rule import TokenRule, choice_logits_by_level

PROMPTS, FEATURES = 3, 5
GENERATOR = np.random.default_rng(0)


def shared_tree(end=True, length=3, symbols=3):
    shape = TreeShape(length, symbols, end)
    nodes = shape.choices // symbols
    return SharedTree(
        jnp.asarray(GENERATOR.random((shape.answers, PROMPTS)) < 0.4),
        jnp.asarray(GENERATOR.standard_normal((shape.choices, PROMPTS))),
        jnp.asarray(GENERATOR.standard_normal((FEATURES, PROMPTS))),
        jnp.asarray(GENERATOR.standard_normal((FEATURES, nodes))),
        shape,
    ), jnp.asarray(GENERATOR.standard_normal((FEATURES, symbols)))


def written_out(policy, parameters):
    """ln π(y|x) of every answer, token by token from the definition."""
    shape, symbols = policy.shape, policy.shape.symbols
    by_depth = sorted(shape.nodes, key=lambda node: (len(node), node))
    place = {node: i for i, node in enumerate(by_depth)}
    total = np.zeros((shape.answers, PROMPTS))
    for row, sequence in enumerate(shape.sequences):
        for depth, symbol in enumerate(sequence):
            node = place[sequence[:depth]]
            hidden = np.asarray(policy.features) * np.asarray(policy.prefixes)[:, node, None]
            logits = np.asarray(policy.prior)[node * symbols : (node + 1) * symbols]
            logits = logits + np.asarray(parameters).T @ hidden
            total[row] += logits[symbol] - np.logaddexp.reduce(logits, axis=0)
    return total


@pytest.mark.parametrize("end", [False, True])
def test_answers_have_the_product_of_their_tokens_probabilities(end):
    policy, parameters = shared_tree(end)
    logs = policy.logits(parameters)
    np.testing.assert_allclose(logs, written_out(policy, parameters), atol=1e-12)
    np.testing.assert_allclose(np.exp(logs).sum(axis=0), 1, rtol=1e-12)
    success, _ = policy.success(parameters)
    expected = (np.exp(logs) * np.asarray(policy.correct)).sum(axis=0)
    np.testing.assert_allclose(success, expected, rtol=1e-12)
    assert policy.lengths.tolist() == [len(s) for s in policy.shape.sequences]


@pytest.mark.parametrize("end", [False, True])
def test_score_is_the_gradient_of_the_enumerated_objective(end):
    policy, parameters = shared_tree(end)
    weights = jnp.asarray(GENERATOR.standard_normal(policy.correct.shape))

    def objective(parameters):
        return (weights * policy.logits(parameters)).sum() / PROMPTS

    got = jax.jit(policy.score)(parameters, policy.masses(parameters), weights)
    np.testing.assert_allclose(got, jax.jit(jax.grad(objective))(parameters), atol=1e-12)


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize(("length", "symbols"), [(1, 3), (2, 2), (3, 3), (4, 2)])
def test_sums_by_level_are_those_of_the_matrix_of_answers_and_choices(length, symbols, end):
    shape = TreeShape(length, symbols, end)
    by_depth = sorted(range(len(shape.nodes)), key=lambda i: (len(shape.nodes[i]), shape.nodes[i]))
    columns = np.concatenate([np.arange(i * symbols, (i + 1) * symbols) for i in by_depth])
    matrix = shape.incidence[:, columns]
    values = GENERATOR.standard_normal((shape.choices, 2))
    np.testing.assert_allclose(along_paths(shape, values), matrix @ values, atol=1e-12)
    weights = GENERATOR.standard_normal((shape.answers, 2))
    np.testing.assert_allclose(through_choices(shape, weights), matrix.T @ weights, atol=1e-12)


def test_answers_of_one_token_make_it_the_log_linear_policy():
    policy, parameters = shared_tree(end=False, length=1, symbols=4)
    flat = LogLinear(policy.correct, policy.prior, policy.features * policy.prefixes)
    np.testing.assert_allclose(
        policy.logits(parameters), flat.log_probabilities(parameters), atol=1e-12
    )
    weights = jnp.asarray(GENERATOR.standard_normal(policy.correct.shape))
    got = policy.score(parameters, policy.masses(parameters), weights)
    expected = flat.score(parameters, flat.masses(parameters), weights)
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_a_feature_for_every_prompt_and_prefix_makes_prompts_independent():
    shape = TreeShape(2, 3, end=True)
    nodes = shape.choices // 3
    own = np.eye(PROMPTS * nodes).reshape(PROMPTS, nodes, -1)
    prior = jnp.asarray(GENERATOR.standard_normal((shape.choices, PROMPTS)))
    correct = jnp.zeros((shape.answers, PROMPTS), bool).at[0].set(True)
    shared = SharedTree(
        correct,
        prior,
        jnp.asarray(own.max(axis=1).T),
        jnp.asarray(own.max(axis=0).T),
        shape,
    )
    parameters = jnp.asarray(GENERATOR.standard_normal((PROMPTS * nodes, 3)))
    table = np.asarray(parameters).reshape(PROMPTS, nodes * 3).T + np.asarray(prior)
    # The tree's own order is by prefix, not by depth.
    by_depth = sorted(range(nodes), key=lambda i: (len(shape.nodes[i]), shape.nodes[i]))
    back = np.argsort(np.concatenate([np.arange(3 * i, 3 * i + 3) for i in by_depth]))
    alone, logits = Tree(correct, shape), jnp.asarray(table[back])
    np.testing.assert_allclose(shared.logits(parameters), alone.logits(logits), atol=1e-12)
    weights = jnp.asarray(GENERATOR.standard_normal(correct.shape))
    got = shared.score(parameters, shared.masses(parameters), weights)
    apart = np.asarray(alone.score(logits, alone.masses(logits), weights))
    by_node = apart[np.argsort(back)].T.reshape(PROMPTS * nodes, 3)
    np.testing.assert_allclose(got, by_node / PROMPTS, atol=1e-12)


@pytest.mark.parametrize("ratio", ["token", "response", "response_mean"])
@pytest.mark.parametrize("noisy", [False, True])
def test_clipped_gradient_is_that_of_the_surrogate_written_out(ratio, noisy):
    policy, sampled = shared_tree()
    parameters = sampled + 0.3 * jnp.asarray(GENERATOR.standard_normal(sampled.shape))
    weights = jnp.asarray(GENERATOR.standard_normal(policy.correct.shape))
    negative = jnp.minimum(weights, 0) - (0.5 * abs(weights) if noisy else 0)
    positive = weights - negative
    low, high = 0.1, 0.15
    lengths = policy.lengths[:, None]

    def surrogate(parameters):
        if ratio == "token":
            pairs = jnp.exp(policy.choices(parameters) - policy.choices(sampled))
            kept = [policy.through(part) for part in (positive, negative)]
        else:
            power = 1 / lengths if ratio == "response_mean" else 1.0
            pairs = jnp.exp((policy.logits(parameters) - policy.logits(sampled)) * power)
            kept = [positive, negative]
        clipped = jnp.clip(pairs, 1 - low, 1 + high)
        return sum(jnp.minimum(pairs * w, clipped * w).sum() for w in kept) / PROMPTS

    masses = policy.masses(parameters), policy.masses(sampled)
    group = Group(weights, weights[0], weights[0], None, negative if noisy else None)
    got = clipped_gradient(
        policy, parameters, masses[0], (sampled, masses[1]), group, (low, high), ratio
    )
    np.testing.assert_allclose(got, jax.jit(jax.grad(surrogate))(parameters), atol=1e-12)
    free = jax.grad(lambda p: (weights * policy.logits(p)).sum() / PROMPTS)(parameters)
    assert not np.allclose(got, free)  # something was clipped


def test_success_by_enumeration_is_that_of_samples():
    policy, parameters = shared_tree()
    draws = jnp.asarray(np.random.default_rng(1).random((4_000, 1, PROMPTS)))
    groups = jax.jit(jax.vmap(policy.sample, in_axes=(None, 0)))(parameters, draws)
    right = np.take_along_axis(np.asarray(policy.correct), np.asarray(groups)[:, 0], axis=0)
    success = np.asarray(policy.success(parameters)[0])
    assert np.all(np.abs(right.mean(axis=0) - success) < 4.5 * np.sqrt(success / 4_000))


def test_the_prior_is_the_one_asked_for_and_the_rule_can_be_learned():
    shape = TreeShape(4, 3, end=True)
    rule = TokenRule(shape, 16, prefix_sharing=0.25, length_bias=1.0, seed=3)
    half = shape.answers // 2
    common = {"answers": shape.answers, "correct_answers": half, "prior_spread": 2.0, "seed": 3}
    features = rule.prompt_features(200, 0)
    prior = rule.apply(make_prior(prompts=200, start="beta:1,3", **common), features, 1.0, 0)
    policy = SharedTree(
        jnp.asarray(prior.correct),
        jnp.asarray(choice_logits_by_level(shape, prior.log_probabilities)),
        jnp.asarray(features),
        jnp.asarray(rule.prefixes),
        shape,
    )
    nothing = jnp.zeros((16, 3))
    np.testing.assert_allclose(policy.logits(nothing), prior.log_probabilities, atol=1e-9)
    success = np.asarray(policy.success(nothing)[0])
    assert np.all(np.diff(success) > 0)
    # The rule's own output layer, scaled up, answers nearly every prompt.
    plain = TokenRule(shape, 16, prefix_sharing=0.25, length_bias=0.0, seed=3)
    hidden = np.random.default_rng((3, 0x70C3)).standard_normal((16, 3))
    order = plain.apply(make_prior(prompts=200, start="beta:1,3", **common), features, 1.0, 0)
    logits = jnp.asarray(choice_logits_by_level(shape, order.log_probabilities))
    learned = dataclasses.replace(policy, correct=jnp.asarray(order.correct), prior=logits)
    assert float(learned.success(jnp.asarray(8 * hidden))[0].mean()) > 0.85
    # A bias makes wrong answers the longer ones.
    lengths = np.array([len(sequence) for sequence in shape.sequences])[:, None]
    assert lengths.repeat(200, axis=1)[~prior.correct].mean() > (
        lengths.repeat(200, axis=1)[prior.correct].mean() + 0.1
    )
