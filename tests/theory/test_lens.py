"""LENS: Theorems 1 and 2 by autodiff on enumerable problems, bounds and consistency."""

import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from theory import lens
from theory.advantages import group_advantages


def random_problem(seed, answers=7):
    """Logits of a policy, correctness p* of every answer and a D above every π."""
    generator = np.random.default_rng(seed)
    logits = jnp.asarray(generator.normal(size=answers))
    correctness = jnp.asarray(generator.uniform(0, 1, answers))
    scale = float(jax.nn.softmax(logits).max()) * generator.uniform(1.05, 3)
    return logits, correctness, scale


def likelihood_loss(log_probability, outcome, scale, preference=1.0):
    """−(1/n) Σ { r ln π + (1−r) ln(1 − π/(Dρ)) }, of which the module has the gradient."""
    model = jnp.exp(log_probability) / scale / preference
    return -jnp.mean(outcome * log_probability + (1 - outcome) * jnp.log1p(-model), axis=-1)


# The penalty ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "ratio", [1e-300, 1e-20, 1e-9, 1e-3, 0.0999999, 0.1, 0.5, 0.99, 1 - 1e-10, 1 - 2**-53]
)
def test_penalty_is_its_formula_to_rounding(ratio, backend):
    """Against the series of exact fractions for small z, and logarithms of 1 − z for large."""
    z = Fraction(ratio)
    if ratio < 0.2:
        exact = float(sum(z**k / (k + 1) for k in range(1, 40)))
    else:
        exact = -math.log(float(1 - z)) / ratio - 1
    computed = backend.numpy(lens.penalty_weight(backend.array([ratio])))
    np.testing.assert_allclose(computed, [exact], rtol=2e-14)


def test_penalty_is_zero_at_zero_and_infinite_at_one():
    assert lens.penalty_weight(np.array([0.0, 1.0])).tolist() == [0, math.inf]


@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(1e-12, 1 - 1e-6), min_size=1, max_size=8))
def test_penalty_solves_its_differential_equation(ratios):
    """w(z) + z w′(z) = z/(1−z)."""
    slope = jax.vmap(jax.grad(lens.penalty_weight))
    z = np.array((ratios * 8)[:8])  # one shape, so that JAX compiles once
    left = lens.penalty_weight(z) + z * np.asarray(slope(jnp.asarray(z)))
    np.testing.assert_allclose(left, z / (1 - z), rtol=1e-9)


# The theorems -----------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(5))
def test_theorem_1_the_gradient_of_the_loss_weighs_scores_by_the_coefficient(seed):
    logits, correctness, scale = random_problem(seed)
    generator = np.random.default_rng(seed)
    sample = generator.integers(0, len(logits), 50)
    outcome = jnp.asarray(generator.random(50) < np.asarray(correctness)[sample], float)

    def log_policy(z):
        return jax.nn.log_softmax(z)[sample]

    loss = jax.grad(lambda z: likelihood_loss(log_policy(z), outcome, scale))(logits)
    coefficient = lens.gradient_coefficient(log_policy(logits), outcome, scale)
    score = jax.jacobian(log_policy)(logits)
    np.testing.assert_allclose(loss, -(coefficient @ score) / 50, rtol=1e-10, atol=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_theorem_2_the_on_policy_gradient_is_that_of_the_objective(seed):
    logits, correctness, scale = random_problem(seed)
    frozen = jax.nn.softmax(logits)

    def expected_loss(z):
        """E over answers drawn from the frozen policy, enumerated; r = p* is its mean."""
        per_answer = likelihood_loss(jax.nn.log_softmax(z)[:, None], correctness[:, None], scale)
        return jnp.sum(frozen * per_answer)

    objective = jax.grad(lambda z: lens.objective(jax.nn.softmax(z), correctness, scale))
    np.testing.assert_allclose(
        jax.grad(expected_loss)(logits), -objective(logits), rtol=1e-9, atol=1e-14
    )


@pytest.mark.parametrize("seed", range(5))
def test_consistency_the_gradient_vanishes_at_the_calibrated_policy(seed):
    correctness = np.random.default_rng(seed).uniform(0.05, 0.8, 6)
    scale = lens.exact_scale(correctness)
    calibrated = jnp.asarray(np.log(scale * correctness))
    assert float(jnp.exp(calibrated).sum()) == pytest.approx(1)
    gradient = jax.grad(
        lambda z: lens.objective(jax.nn.softmax(z), jnp.asarray(correctness), float(scale))
    )
    np.testing.assert_allclose(gradient(calibrated), 0, atol=1e-13)
    away = gradient(calibrated.at[0].add(-0.5))
    assert float(jnp.abs(away).max()) > 1e-3


def test_maximum_of_the_objective_is_the_calibrated_policy_when_answers_are_certain():
    """With one answer certainly right and D = 1, everything goes there."""
    correctness = jnp.asarray([1.0, 0.0, 0.0])
    assert float(lens.objective(jnp.asarray([1.0, 0, 0]), correctness, 1.0)) == 1.0
    assert float(lens.objective(jnp.asarray([0.9, 0.1, 0]), correctness, 1.0)) < 0.9


def test_uniform_weights_are_the_preference_aware_form_with_the_policy_as_preference():
    log_policy = np.log([0.5, 0.3, 0.2])
    outcome = np.array([1.0, 0.0, 0.0])
    coefficient = lens.gradient_coefficient(log_policy, outcome, 3.0, preference=np.exp(log_policy))
    np.testing.assert_allclose(coefficient, [1, -0.5, -0.5], rtol=1e-12)  # 1/(D−1)
    plain = lens.gradient_coefficient(log_policy, outcome, 3.0)
    same = lens.gradient_coefficient(log_policy, outcome, 3.0, preference=np.ones(3))
    np.testing.assert_array_equal(plain, same)
    np.testing.assert_allclose(plain, [1, -0.3 / 2.7, -0.2 / 2.8], rtol=1e-12)


def test_preference_aware_gradient_is_that_of_its_loss():
    logits, correctness, _ = random_problem(1)
    preference = jnp.asarray(np.random.default_rng(2).uniform(0.5, 2, len(logits)))

    def loss(z):
        log_policy = jax.nn.log_softmax(z)
        return likelihood_loss(log_policy, correctness, 3.0, preference=preference)

    log_policy = jax.nn.log_softmax(logits)
    coefficient = lens.gradient_coefficient(log_policy, correctness, 3.0, preference=preference)
    score = jax.jacobian(jax.nn.log_softmax)(logits)
    np.testing.assert_allclose(
        jax.grad(loss)(logits), -(coefficient @ score) / len(logits), rtol=1e-10, atol=1e-14
    )


def test_exact_scale_is_one_over_the_mass_of_correct_answers(backend):
    correctness = backend.array([[1.0, 0.5, 0.5], [0.2, 0.2, 0.1]])
    np.testing.assert_allclose(backend.numpy(lens.exact_scale(correctness)), [0.5, 2.0])


# Calibrated rewards of a group ------------------------------------------------------------------


def calibrated_by_hand(rewards, confidence, scale="practical", inside=None):
    """The paper's three lines, in plain floating point."""
    size = len(rewards)
    inside = confidence if inside is None else inside
    largest = 2 * max(confidence)
    importance = sum(r / p for r, p in zip(rewards, inside, strict=True) if r > 0) / size
    estimate = 1 / importance if importance else largest
    d = {"practical": max(estimate, largest), "importance": estimate, "largest": largest}[scale]
    return [r - (1 - r) * p / (d - p) / size for r, p in zip(rewards, confidence, strict=True)]


confidences = st.floats(1e-6, 1.0)
fractions = st.just(0.0) | st.floats(1e-100, 1)  # by hand, smaller ones overflow 1/r


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(fractions, confidences), min_size=1, max_size=10))
def test_penalties_lie_between_zero_and_one_over_the_group_size(group):
    rewards, confidence = (np.array(column) for column in zip(*group, strict=True))
    calibrated = lens.calibrated_rewards(rewards, np.log(confidence))
    penalty = rewards - calibrated
    assert np.all(penalty >= -1e-15)
    assert np.all(penalty <= (1 - rewards) / len(rewards) + 1e-15)
    np.testing.assert_allclose(
        calibrated, calibrated_by_hand(rewards, confidence), rtol=1e-9, atol=1e-12
    )


@settings(max_examples=50, deadline=None)
@given(st.lists(confidences, min_size=2, max_size=10))
def test_negative_groups_sum_to_zero_and_rank_by_confidence(confidence):
    rewards = np.zeros(len(confidence))
    advantages = group_advantages(rewards, "lens", log_confidence=np.log(confidence))
    assert abs(advantages.sum()) < 1e-14
    order = np.argsort(confidence)
    assert np.all(np.diff(advantages[order]) <= 1e-15)
    if max(confidence) > 1.01 * min(confidence):
        assert advantages[order[-1]] < 0 < advantages[order[0]]


@pytest.mark.parametrize("scale", lens.SCALES)
def test_every_estimator_of_the_scale_is_its_formula(scale, backend):
    rewards = [1.0, 1.0, 0.0, 0.0]
    confidence = [0.9, 0.6, 0.3, 0.1]
    computed = lens.calibrated_rewards(
        backend.array(rewards), backend.array(np.log(confidence)), scale=scale
    )
    np.testing.assert_allclose(
        backend.numpy(computed), calibrated_by_hand(rewards, confidence, scale), rtol=1e-12
    )


def test_importance_estimate_may_use_whole_responses():
    rewards, confidence = [1.0, 0.0], [0.5, 0.5]
    whole = np.log([0.4, 0.01])
    computed = lens.calibrated_rewards(
        np.array(rewards),
        np.log(confidence),
        scale="importance",
        importance="full",
        log_probability=whole,
    )
    by_hand = calibrated_by_hand(rewards, confidence, "importance", np.exp(whole))
    np.testing.assert_allclose(computed, by_hand, rtol=1e-12)
    # Whole responses have tiny probabilities, for which the larger of the two is 2 max π̄.
    practical = lens.calibrated_rewards(
        np.array(rewards),
        np.log(confidence),
        importance="full",
        log_probability=np.array([-700.0, -9000.0]),
    )
    assert practical.tolist() == [1.0, -0.5]
    through_scheme = group_advantages(
        np.array(rewards),
        "lens:importance=full",
        log_confidence=np.log(confidence),
        log_probability=whole,
    )
    np.testing.assert_allclose(through_scheme, [1, -1], rtol=1e-12)


def test_all_wrong_groups_have_no_importance_estimate_and_use_the_largest():
    logs = np.log([0.5, 0.25])
    for scale in lens.SCALES:
        calibrated = lens.calibrated_rewards(np.zeros(2), logs, scale=scale)
        np.testing.assert_allclose(calibrated, [-0.5, -1 / 6], rtol=1e-12)


def test_only_ratios_of_confidences_matter_so_extreme_ones_are_fine(backend):
    """exp(−1e4) is zero in floating point; its ratios to its neighbours are not."""
    rewards = np.array([[0.0, 0, 0], [1, 0, 0], [1, 0, 1]])
    logs = np.log([0.5, 0.25, 0.1])
    usual = lens.calibrated_rewards(rewards, np.broadcast_to(logs, (3, 3)))
    far = backend.array(np.broadcast_to(logs - 1e4, (3, 3)))
    moved = backend.numpy(lens.calibrated_rewards(backend.array(rewards), far))
    np.testing.assert_allclose(moved, usual, rtol=1e-11)
    spread = lens.calibrated_rewards(backend.array(rewards), backend.array([[-1e4, 0.0, -5.0]] * 3))
    spread = backend.numpy(spread)
    assert np.all(np.isfinite(spread))
    assert spread[0].tolist() == pytest.approx([0, -1 / 3, -math.exp(-5) / (2 - math.exp(-5)) / 3])
    # The only correct response is all but impossible: the estimate of D is tiny, 2 max π̄ wins.
    np.testing.assert_allclose(spread[1], [1, spread[0, 1], spread[0, 2]], rtol=1e-12)


def test_a_correct_response_of_extreme_confidence_makes_penalties_vanish():
    rewards, logs = np.array([1e-300, 0.0]), np.array([0.0, -1.0])
    np.testing.assert_allclose(lens.calibrated_rewards(rewards, logs), [1e-300, 0], atol=1e-299)


def test_responses_to_leave_out_may_be_a_list():
    calibrated = lens.calibrated_rewards([1, 0, 0], [-1, -2, -3], [True, True, False])
    pair = lens.calibrated_rewards([1, 0], [-1, -2])
    np.testing.assert_allclose(calibrated, [*pair, 0], rtol=1e-14)


def test_duplicates_and_ties_get_equal_rewards():
    calibrated = lens.calibrated_rewards(np.array([1.0, 0, 0, 0]), np.log([0.5, 0.2, 0.2, 0.2]))
    assert len(set(calibrated[1:].tolist())) == 1
    advantages = group_advantages(np.zeros(3), "lens", log_confidence=np.full(3, -0.3))
    np.testing.assert_allclose(advantages, 0, atol=1e-16)


def test_a_fractional_reward_is_a_probability_of_being_correct():
    """r̃ = r − (1−r)·penalty, in mixed and in graded groups."""
    rewards, confidence = [0.7, 0.2, 0.0], [0.5, 0.4, 0.3]
    np.testing.assert_allclose(
        lens.calibrated_rewards(rewards, np.log(confidence)),
        calibrated_by_hand(rewards, confidence),
        rtol=1e-12,
    )
    advantages = group_advantages(rewards, "lens", log_confidence=np.log(confidence))
    expected = np.array(calibrated_by_hand(rewards, confidence))
    np.testing.assert_allclose(advantages, (expected - expected.mean()) / expected.std(), rtol=1e-9)


# The scheme -------------------------------------------------------------------------------------


def test_each_kind_of_group_is_treated_as_the_paper_says():
    rewards = np.array([[1.0, 1, 1, 1], [1, 0, 0, 1], [0, 0, 0, 0]])
    confidence = np.random.default_rng(0).uniform(0.1, 0.9, (3, 4))
    calibrated = np.array(
        [calibrated_by_hand(r, p) for r, p in zip(rewards, confidence, strict=True)]
    )
    logs = np.log(confidence)
    centred = calibrated - calibrated.mean(axis=1, keepdims=True)
    full = group_advantages(rewards, "lens", log_confidence=logs)
    assert full[0].tolist() == [0, 0, 0, 0]
    np.testing.assert_allclose(full[1], centred[1] / calibrated[1].std(), rtol=1e-12)
    np.testing.assert_allclose(full[2], 0.25 * centred[2], rtol=1e-12, atol=1e-17)
    mixed = group_advantages(rewards, "lens:parts=mixed", log_confidence=logs)
    assert mixed[2].tolist() == [0, 0, 0, 0]
    np.testing.assert_array_equal(mixed[:2], full[:2])
    negative = group_advantages(rewards, "lens:parts=negative,alpha=0.5", log_confidence=logs)
    np.testing.assert_allclose(negative[1], [1, -1, -1, 1], rtol=1e-12)
    np.testing.assert_allclose(negative[2], 2 * full[2], rtol=1e-12, atol=1e-17)


def test_engine_conventions_apply_to_the_mixed_groups_of_lens():
    rewards, logs = np.array([1.0, 0, 0]), np.log([0.5, 0.4, 0.3])
    calibrated = np.array(calibrated_by_hand(rewards, np.exp(logs)))
    ours = group_advantages(rewards, "lens", log_confidence=logs, engine="trl")
    expected = (calibrated - calibrated.mean()) / (calibrated.std(ddof=1) + 1e-4)
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


def test_importance_alone_is_refused_where_it_has_no_penalty():
    rewards, logs = np.array([1.0, 0.0]), np.log([0.1, 0.9])  # D = 0.2 < 0.9
    with pytest.raises(ValueError, match="does not exceed the confidence of a wrong response"):
        lens.calibrated_rewards(rewards, logs, scale="importance")
    assert np.all(np.isfinite(lens.calibrated_rewards(rewards, logs)))


PAIR, LOGS = np.array([1.0, 0.0]), np.array([-1.0, -2.0])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lens.penalty_weight(1.5), r"ratio must lie in \[0, 1\]"),
        (lambda: lens.exact_scale([0.0, 0.0]), "positive for some answer"),
        (lambda: lens.exact_scale([2.0]), r"correctness must lie in \[0, 1\]"),
        (lambda: lens.gradient_coefficient(LOGS, PAIR, 0.1), "scale must exceed the probability"),
        (lambda: lens.gradient_coefficient([0.5], [1.0], 1.0), "log_probability must lie in"),
        (lambda: lens.gradient_coefficient(LOGS, [0.0, 2.0], 1.0), r"outcome must lie in \[0, 1\]"),
        (lambda: lens.objective([0.5, 0.5], PAIR, 0.25), "ratio must lie in"),
        (lambda: lens.objective([0.5, 0.5], PAIR, 0.0), "scale must be positive"),
        (lambda: lens.objective([0.5, 0.5], [1.0], 1.0), "correctness must have the shape of prob"),
        (lambda: lens.gradient_coefficient(LOGS, PAIR, 0.0), "scale must be positive"),
        (
            lambda: lens.gradient_coefficient(LOGS, [1.0], 1.0),
            "outcome must have the shape of log_prob",
        ),
        (
            lambda: lens.gradient_coefficient(LOGS, PAIR, 1.0, preference=np.zeros(2)),
            "preference must be positive",
        ),
        (lambda: lens.calibrated_rewards(PAIR, LOGS, [True]), "valid must have the shape of rewar"),
        (
            lambda: lens.calibrated_rewards(PAIR, LOGS, pytest.importorskip("torch").ones(2)),
            "a mixture of numpy, torch",
        ),
        (lambda: lens.calibrated_rewards([2.0, 0], LOGS), "rewards must lie in"),
        (lambda: lens.calibrated_rewards(PAIR, [-1.0, 0.1]), "log_confidence must lie in"),
        (lambda: lens.calibrated_rewards(PAIR, [-1.0, -np.inf]), "got -inf at index 1"),
        (lambda: lens.calibrated_rewards(PAIR, [np.nan, -1.0]), "got nan at index 0"),
        (lambda: lens.calibrated_rewards(PAIR, [-1.0]), "log_confidence must have the shape"),
        (
            lambda: lens.calibrated_rewards(PAIR, pytest.importorskip("torch").tensor(LOGS)),
            "arrays must all be",
        ),
        (lambda: lens.calibrated_rewards(PAIR, LOGS, scale="max"), "scale must be one of"),
        (lambda: lens.calibrated_rewards(PAIR, LOGS, importance="both"), "importance must be"),
        (
            lambda: lens.calibrated_rewards(PAIR, LOGS, importance="full"),
            "importance='full' needs log_probability",
        ),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_penalty_has_the_digits_of_single_precision_where_the_series_ends():
    """At z = 0.1 the closed form takes 1 from 1.05 and loses a factor of 20 in accuracy."""
    ratio = np.linspace(0.05, 0.9, 2001, dtype=np.float32)
    exact = -np.log1p(-ratio.astype(np.float64)) / ratio - 1
    assert np.abs(lens.penalty_weight(ratio) / exact - 1).max() < 6 * np.finfo(np.float32).eps
