"""All policies through one interface: scores against autodiff, trees against flattened bandits."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.linalg

from sim.groups import Group
from sim.learners import clipped_weights
from sim.measure import entropy_of
from sim.policies.bandit import Bandit
from sim.policies.log_linear import LogLinear
from sim.policies.tree import Tree, choice_logits
from sim.policies.tree_shape import TreeShape

GENERATOR = np.random.default_rng(0)
PROMPTS = 3


def bandit():
    return Bandit(5, 2), jnp.asarray(GENERATOR.standard_normal((5, PROMPTS)))


def tree(end=True):
    shape = TreeShape(3, 3, end)
    correct = jnp.asarray(GENERATOR.random((shape.answers, PROMPTS)) < 0.3)
    parameters = GENERATOR.standard_normal((shape.incidence.shape[1], PROMPTS))
    return Tree(correct, shape), jnp.asarray(parameters)


def log_linear():
    correct = jnp.asarray(GENERATOR.random((5, PROMPTS)) < 0.4)
    prior = jnp.asarray(GENERATOR.standard_normal((5, PROMPTS)))
    features = jnp.asarray(GENERATOR.standard_normal((4, PROMPTS)))
    policy = LogLinear(correct, prior, features)
    return policy, jnp.asarray(GENERATOR.standard_normal((4, 5)))


POLICIES = [bandit, tree, log_linear]


@pytest.mark.parametrize("make", POLICIES)
def test_score_is_the_gradient_of_the_log_probabilities(make):
    policy, parameters = make()
    weights = jnp.asarray(GENERATOR.standard_normal(policy.logits(parameters).shape))

    def objective(parameters):
        total = (weights * policy.log_probabilities(parameters)).sum()
        return total / PROMPTS if policy.shared else total

    expected = jax.grad(objective)(parameters)
    masses = policy.masses(parameters)
    got = policy.score(parameters, masses, weights)
    np.testing.assert_allclose(got, expected, rtol=1e-10, atol=1e-12)
    given = policy.score(parameters, masses, weights, weights.sum(axis=0), masses.sum(axis=0))
    np.testing.assert_allclose(given, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("make", POLICIES)
def test_success_and_entropy_are_those_of_the_enumerated_distribution(make):
    policy, parameters = make()
    probabilities = np.exp(np.asarray(policy.log_probabilities(parameters)))
    np.testing.assert_allclose(probabilities.sum(axis=0), 1, rtol=1e-12)
    one = jnp.ones(PROMPTS)
    verdicts = np.asarray(policy.by_verdict(one, 0 * one)) > 0
    success, failure = policy.success(parameters)
    np.testing.assert_allclose(success, (probabilities * verdicts).sum(axis=0), rtol=1e-12)
    np.testing.assert_allclose(failure, 1 - success, atol=1e-12)
    entropy = -(probabilities * np.log(probabilities)).sum(axis=0)
    np.testing.assert_allclose(entropy_of(policy.masses(parameters)), entropy, rtol=1e-12)


@pytest.mark.parametrize("make", POLICIES)
def test_samples_follow_the_distribution(make):
    policy, parameters = make()
    draws = jnp.asarray(np.random.default_rng(1).random((5_000, 4, PROMPTS)))
    groups = jax.jit(jax.vmap(policy.sample, in_axes=(None, 0)))(parameters, draws)
    answers = np.asarray(groups).reshape(-1, PROMPTS)
    probabilities = np.exp(np.asarray(policy.log_probabilities(parameters)))
    for prompt in range(PROMPTS):
        share = np.bincount(answers[:, prompt], minlength=len(probabilities)) / len(answers)
        deviation = np.sqrt(probabilities[:, prompt] / len(answers))
        assert np.all(np.abs(share - probabilities[:, prompt]) < 5 * deviation + 1e-9)


@pytest.mark.parametrize("end", [False, True])
def test_tree_is_its_flattened_bandit(end):
    policy, parameters = tree(end)
    flat = policy.log_probabilities(parameters)
    # Back from the answers' distribution to the same tree.
    again = jnp.asarray(choice_logits(policy.shape, np.asarray(flat)))
    np.testing.assert_allclose(policy.log_probabilities(again), flat, atol=1e-12)
    # Autoregressive: π(y) is the product of the choices along the sequence.
    choices = np.asarray(policy.choices(parameters)).reshape(-1, 3, PROMPTS)
    index = {node: i for i, node in enumerate(policy.shape.nodes)}
    for row, sequence in enumerate(policy.shape.sequences):
        steps = [choices[index[sequence[:d]], symbol] for d, symbol in enumerate(sequence)]
        np.testing.assert_allclose(flat[row], sum(steps), atol=1e-12)
    # A step of the distribution is the bandit's step.
    direction = jnp.asarray(GENERATOR.standard_normal(flat.shape))
    moved = policy.log_probabilities(policy.moved(parameters, direction))
    np.testing.assert_allclose(moved, jax.nn.log_softmax(flat + direction, axis=0), atol=1e-10)


def test_gradient_of_the_tree_is_the_flattened_one_through_the_chain_rule():
    policy, parameters = tree()
    weights = jnp.asarray(GENERATOR.standard_normal(policy.correct.shape))
    flat = Bandit(policy.shape.answers, 1)
    logits = policy.logits(parameters)
    upstream = flat.score(logits, flat.masses(logits), weights)
    _, pull_back = jax.vjp(policy.logits, parameters)
    expected = pull_back(upstream)[0]
    got = policy.score(parameters, policy.masses(parameters), weights)
    np.testing.assert_allclose(got, expected, atol=1e-10)


def test_clipped_score_of_the_tree_is_the_gradient_of_the_surrogate_token_by_token():
    policy, sampled = tree()
    parameters = sampled + 0.4 * jnp.asarray(GENERATOR.standard_normal(sampled.shape))
    weights = jnp.asarray(GENERATOR.standard_normal(policy.correct.shape))
    low, high = 0.2, 0.3
    index = {node: i for i, node in enumerate(policy.shape.nodes)}

    def surrogate(parameters):
        ratios = jnp.exp(policy.choices(parameters) - policy.choices(sampled))
        ratios = ratios.reshape(-1, 3, PROMPTS)
        total = 0.0
        for weight, sequence in zip(weights, policy.shape.sequences, strict=True):
            for depth, symbol in enumerate(sequence):
                ratio = ratios[index[sequence[:depth]], symbol]
                clipped = jnp.clip(ratio, 1 - low, 1 + high)
                total = total + jnp.minimum(ratio * weight, clipped * weight).sum()
        return total

    ratios = np.exp(policy.choices(parameters) - policy.choices(sampled))
    assert (ratios < 1 - low).any()
    assert (ratios > 1 + high).any()
    got = jax.jit(policy.clipped_score)(parameters, sampled, weights, low, high)
    np.testing.assert_allclose(got, jax.jit(jax.grad(surrogate))(parameters), atol=1e-10)
    # Where nothing is clipped yet it is the score.
    same = policy.clipped_score(sampled, sampled, weights, low, high)
    expected = policy.score(sampled, policy.masses(sampled), weights)
    np.testing.assert_allclose(same, expected, atol=1e-10)


def test_clipping_by_token_and_by_answer_agree_on_answers_of_one_token():
    shape = TreeShape(1, 5)
    sampled = jnp.asarray(GENERATOR.standard_normal((5, PROMPTS)))
    parameters = sampled + 0.4 * jnp.asarray(GENERATOR.standard_normal((5, PROMPTS)))
    weights = jnp.asarray(GENERATOR.standard_normal((5, PROMPTS)))
    policy, flat = Tree(jnp.zeros((5, PROMPTS), bool), shape), Bandit(5, 1)
    group = Group(weights, weights.sum(axis=0), weights[0])
    old, new = flat.masses(sampled), flat.masses(parameters)
    expected = flat.score(parameters, new, clipped_weights(group, new, old, 0.2, 0.3))
    got = policy.clipped_score(parameters, sampled, weights, 0.2, 0.3)
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_lengths_of_a_tree_with_an_end_token():
    shape = TreeShape(3, 3, end=True)
    policy = Tree(jnp.zeros((shape.answers, 1), bool), shape)
    assert policy.lengths.tolist() == [len(s) for s in shape.sequences]
    assert all(s[-1] == 2 for s in shape.sequences if len(s) < 3)
    assert shape.answers == 1 + 2 + 4 + 8


@pytest.mark.parametrize("end", [False, True])
@pytest.mark.parametrize(("length", "symbols"), [(1, 2), (4, 2), (3, 3), (2, 5)])
def test_answers_and_choices_of_a_tree_are_counted_without_building_it(length, symbols, end):
    shape = TreeShape(length, symbols, end)
    assert shape.answers == len(shape.sequences) == len(set(shape.sequences))
    assert shape.choices == len(shape.nodes) * symbols
    np.testing.assert_array_equal(
        shape.incidence.sum(axis=1), [len(sequence) for sequence in shape.sequences]
    )


@pytest.mark.parametrize(("length", "symbols"), [(0, 2), (2, 1), (20, 4)])
def test_trees_that_cannot_be_are_refused(length, symbols):
    with pytest.raises(ValueError, match="a tree"):
        TreeShape(length, symbols)


def test_natural_step_with_a_feature_of_its_own_per_prompt_is_the_step_of_the_distribution():
    policy, _ = log_linear()
    own = LogLinear(policy.correct, policy.prior, 2.0 * jnp.eye(PROMPTS))
    direction = 0.3 * jnp.asarray(GENERATOR.standard_normal((5, PROMPTS)))
    moved = own.log_probabilities(own.moved(jnp.zeros((PROMPTS, 5)), direction))
    # Shared features average over prompts: nothing is shared here, so the mean must cancel out.
    expected = jax.nn.log_softmax(policy.prior + direction, axis=0)
    # The ridge, 1.5e-8 of the mean eigenvalue, shortens the step where probabilities are small.
    np.testing.assert_allclose(moved, expected, atol=1e-5)


def test_natural_step_is_the_nearest_in_the_fisher_metric_whatever_the_features_are_called():
    policy, parameters = log_linear()
    policy = dataclasses.replace(policy, features=jnp.asarray(GENERATOR.standard_normal((2, 3))))
    parameters = parameters[:2]
    direction = jnp.asarray(GENERATOR.standard_normal((5, PROMPTS)))
    step = policy.moved(parameters, direction) - parameters
    changed = np.asarray(step.T @ policy.features)
    # Least squares over all prompts with rows √F_x, by SciPy's pseudo-inverse.
    probabilities = np.exp(np.asarray(policy.log_probabilities(parameters)))
    rows, wanted = [], []
    for x in range(PROMPTS):
        p = probabilities[:, x]
        root = np.real(scipy.linalg.sqrtm(np.diag(p) - np.outer(p, p)))
        rows.append(np.kron(np.asarray(policy.features[:, x])[None], root))
        wanted.append(root @ np.asarray(direction[:, x]))
    solved = np.linalg.lstsq(np.concatenate(rows), np.concatenate(wanted), rcond=1e-8)[0]
    nearest = solved.reshape(2, 5).T @ np.asarray(policy.features)

    def centred(values):
        return values - (probabilities * values).sum(axis=0)

    np.testing.assert_allclose(centred(changed), centred(nearest), atol=1e-4)
    # Other names for the same features change the parameters, not the policy.
    mix = jnp.asarray([[2.0, 1.0], [0.0, 0.5]])
    renamed = dataclasses.replace(policy, features=mix @ policy.features)
    start = jnp.linalg.inv(mix).T @ parameters
    again = (renamed.moved(start, direction) - start).T @ renamed.features
    np.testing.assert_allclose(centred(np.asarray(again)), centred(changed), atol=1e-4)
