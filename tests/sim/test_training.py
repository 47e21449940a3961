"""What training adds to the theory, against what the theory says of it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim.config import SimulationConfig
from sim.counter import draw
from sim.critic import fitted, initial_critic, value
from sim.groups import (
    draw_again,
    draw_first_success,
    draw_fixed,
    table_group,
    weigh_by_scheme,
    weigh_by_table,
)
from sim.measure import measure
from sim.optimizers import clip_norm, within_divergence
from sim.policies.bandit import Bandit
from sim.policies.tree import Tree
from sim.policies.tree_shape import TreeShape
from sim.problems import Problem, build
from sim.run import rules_of, simulate
from sim.tables import scheme_table
from sim.update import Rules, State, _normalised, update
from sim.verifier import Verifier
from theory.advantages import group_advantages
from theory.designs import DESIGNS, drift
from theory.noise import noise_dose
from theory.schemes import resolve
from theory.staleness import stale_drift
from theory.verifier_errors import VerifierErrors

GROUP, COPIES = 4, 40_000
POLICY = Bandit(3, 1)


def masses_at(success, copies=COPIES):
    """A right answer and two wrong ones, the same for many prompts."""
    column = jnp.asarray([success, 0.4 * (1 - success), 0.6 * (1 - success)])
    return jnp.tile(column[:, None], copies)


def uniforms(stream, rows=GROUP, copies=COPIES, seed=3):
    return draw("hash", seed, 0, rows, copies, stream=stream, dtype=jnp.float64)


def drift_of(weights, success):
    """Estimates of E[Σ_a W_a (r_a − ρ)]/(ρ(1−ρ)), one per prompt."""
    weights = np.asarray(weights)
    moved = weights[0] * (1 - success) - weights[1:].sum(axis=0) * success
    return moved / (success * (1 - success))


def near(samples, expected, deviations=4.5):
    error = samples.std() / np.sqrt(len(samples)) + 1e-12
    return abs(samples.mean() - expected) < deviations * error


@pytest.mark.parametrize("scheme", ["grpo", "sqrt_r", "w_reinforce"])
def test_wrong_verdicts_make_the_pass_rate_and_the_drift_that_theory_says(scheme):
    success, errors = 0.2, (0.1, 0.25)
    verifier, told = Verifier(*errors), VerifierErrors(*errors)
    table = scheme_table(resolve(scheme), GROUP, "float64")

    @jax.jit
    def sampled(masses):
        drawn = draw_fixed(POLICY, masses, uniforms(0), verifier)
        return drawn, weigh_by_table(POLICY, drawn, table, verifier)

    drawn, group = sampled(masses_at(success))
    assert near(np.asarray(drawn.passed) / GROUP, float(told.observed(success)))
    assert np.all(np.asarray(verifier.by_answer(drawn.counts)).sum(axis=0) == GROUP)
    expected = float(told.weight(scheme, GROUP)(success))
    assert near(drift_of(group.weights, success), expected)
    # A single prompt's responses: those of one answer may be praised and blamed at once.
    assert np.all(np.asarray(group.negative) <= 0)
    assert np.all(np.asarray(group.weights - group.negative) >= 0)
    np.testing.assert_allclose(group.total, group.weights.sum(axis=0), atol=1e-12)
    # The metric has the same drift, and the dose of the noise the theory's.
    rules = Rules("softmax", GROUP, verifier=verifier)
    one = masses_at(success, 1)
    got = jax.jit(measure, static_argnums=(2, 3))(POLICY, jnp.log(one), rules, (1,), table, 0.5)
    weighed = expected * success * (1 - success)
    assert float(got["effective_weight"]) == pytest.approx(weighed, rel=1e-10)
    assert float(got["all_wrong"]) == pytest.approx((1 - told.observed(success)) ** GROUP)


def test_a_verifier_that_never_errs_changes_no_bit():
    table, masses = scheme_table(resolve("grpo"), GROUP, "float64"), masses_at(0.3, 64)
    draws = uniforms(0, copies=64)
    sample = jax.jit(table_group, static_argnums=(0, 4))
    plain = sample(POLICY, masses, draws, table)
    also = sample(POLICY, masses, draws, table, Verifier(0.0, 0.0))
    np.testing.assert_array_equal(plain.weights, also.weights)
    assert also.negative is None


@pytest.mark.parametrize("scheme", ["grpo", "linear_r", "rloo"])
@pytest.mark.parametrize("design", ["until_any", "until_mixed", "first_success"])
def test_designs_cost_the_responses_and_have_the_drift_that_theory_says(scheme, design):
    success, attempts, copies = 0.3, 60, 20_000
    bound, draws = resolve(scheme), functools.partial(uniforms, copies=copies)

    @jax.jit
    def sampled(masses):
        if design == "first_success":
            drawn = draw_first_success(POLICY, masses, draws, attempts)
            return drawn, weigh_by_scheme(POLICY, drawn, bound)
        drawn = draw_again(POLICY, masses, draws, attempts, mixed=design == "until_mixed")
        table = scheme_table(bound, GROUP, "float64", design)
        return drawn, weigh_by_table(POLICY, drawn, table)

    drawn, group = sampled(masses_at(success, copies))
    assert np.asarray(drawn.accepted).all()
    per_update = float(drawn.responses) / copies
    expected = float(DESIGNS[design].responses(GROUP, success))
    # A geometric number of attempts has a standard deviation below its mean.
    assert abs(per_update - expected) < 4.5 * expected / np.sqrt(copies)
    told = float(drift(scheme, success, design=design, group_size=GROUP))
    assert near(drift_of(group.weights, success), told)


def test_groups_that_are_never_accepted_teach_nothing():
    masses = masses_at(0.02, 256)
    for design, scheme in (("until_any", "sqrt_r"), ("until_mixed", "nsr")):

        @jax.jit
        def sampled(masses, design=design, scheme=scheme):
            draws = functools.partial(uniforms, copies=256)
            drawn = draw_again(POLICY, masses, draws, 1, mixed=design == "until_mixed")
            return drawn, weigh_by_scheme(POLICY, drawn, resolve(scheme))

        drawn, group = sampled(masses)
        rejected = ~np.asarray(drawn.accepted)
        assert rejected.sum() > 200
        assert np.all(np.asarray(group.weights)[:, rejected] == 0)
        assert float(drawn.responses) == 256 * GROUP


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("scheme", ["grpo", "sqrt_r"])
def test_old_responses_move_the_policy_as_theory_says(scheme, weighted):
    """Two answers: the logits' difference moves by 2ρ(1−ρ) times the drift of the log-odds."""
    old, now = 0.15, 0.4
    config = SimulationConfig(
        schemes=(scheme,),
        prompts=COPIES,
        answers=2,
        correct_answers=1,
        group_size=GROUP,
        sync_every=4,
        learner="ppo" if weighted else "softmax",
        epochs=1,
        # Clips this wide leave importance weights alone.
        clip_low=0.999,
        clip_high=1e5,
        precision="float64",
    )
    bound = resolve(scheme)

    def logits(success):
        return jnp.tile(jnp.log(jnp.asarray([[success], [1 - success]])), COPIES)

    problem = Problem(Bandit(2, 1), None, logits(old))
    step = jax.jit(update, static_argnums=0)
    state = State(logits(now), (), None, logits(old))
    table = scheme_table(bound, GROUP, "float64")
    rules, rate = rules_of(config, bound), jnp.asarray(1.0)
    # Update 2 of 4 still has the samples of the old policy, update 4 those of the new.
    for number, sampled in ((2, old), (4, now)):
        after, _, _ = step(rules, problem, table, rate, jnp.uint32(0), state, jnp.uint32(number))
        moved = np.asarray(after.parameters - state.parameters)
        told = stale_drift(scheme, now, sampled, group_size=GROUP, importance_weights=weighted)
        assert near(moved[0] - moved[1], 2 * now * (1 - now) * float(told))
        kept = np.asarray(after.sampler)
        np.testing.assert_array_equal(kept, logits(old) if number == 2 else state.parameters)


def test_tokens_are_the_lengths_of_the_responses_drawn_and_normalise_their_gradients():
    shape = TreeShape(3, 3, end=True)
    tree = Tree(jnp.zeros((shape.answers, 50), bool).at[::2].set(True), shape)
    choices = jnp.asarray(np.random.default_rng(0).normal(size=(shape.choices, 50)))
    table, draws = scheme_table(resolve("grpo"), GROUP, "float64"), uniforms(0, copies=50)

    @jax.jit
    def sampled(choices):
        drawn = draw_fixed(tree, tree.masses(choices), draws)
        group = weigh_by_table(tree, drawn, table)
        by = [
            _normalised(Rules("ppo", GROUP, length_normalisation=name), tree, group, drawn).weights
            for name in ("response", "batch")
        ]
        return drawn.counts, drawn.tokens, group.weights, by

    counts, tokens, weights, (by_response, by_batch) = jax.tree.map(np.asarray, sampled(choices))
    lengths = np.array([len(sequence) for sequence in shape.sequences])
    np.testing.assert_allclose(tokens, lengths @ counts)
    np.testing.assert_allclose(by_response, weights / lengths[:, None])
    np.testing.assert_allclose(by_batch, weights / ((lengths @ counts).sum() / counts.sum()))


def test_a_step_is_shortened_to_its_divergence_and_norm():
    generator = np.random.default_rng(0)
    old = jnp.asarray(generator.standard_normal((3, 20)))
    step = jnp.asarray(generator.standard_normal((3, 20)) * np.geomspace(0.001, 30, 20))
    limited = jax.jit(within_divergence, static_argnums=(0, 3))(POLICY, old, old + step, 0.05)

    def divergence(new):
        before, after = (np.asarray(jax.nn.log_softmax(x, axis=0)) for x in (old, new))
        return (np.exp(before) * (before - after)).sum(axis=0)

    asked, found = divergence(old + step), divergence(limited)
    assert np.all(found <= 0.05 * 1.0101)
    near_enough = asked <= 0.05
    assert near_enough.any()
    np.testing.assert_allclose(limited[:, near_enough], (old + step)[:, near_enough], rtol=1e-12)
    assert np.all(found[~near_enough] > 0.03)  # not much shorter than it has to be
    share = (np.asarray(limited) - np.asarray(old)) / np.asarray(step)
    np.testing.assert_allclose(share, share[:1].repeat(3, axis=0), rtol=1e-6)
    gradient = np.asarray(clip_norm(step, 2.0))
    assert np.linalg.norm(gradient) == pytest.approx(2.0)
    np.testing.assert_array_equal(clip_norm(step, 1e6), step)
    np.testing.assert_array_equal(clip_norm(step, None), step)


def test_a_critic_learns_the_pass_rates():
    rates = jnp.asarray([0.1, 0.5, 0.9])
    critic = initial_critic(POLICY, 3, jnp.float64)
    np.testing.assert_array_equal(value(POLICY, critic), 0.5)
    step = jax.jit(lambda critic: fitted(POLICY, critic, rates, 1.0))
    for _ in range(200):
        critic = step(critic)
    np.testing.assert_allclose(value(POLICY, critic), rates, atol=1e-4)


def test_rescaled_weights_have_the_mean_square_of_the_other_scheme():
    masses = jnp.concatenate([masses_at(p, 30) for p in (0.1, 0.4, 0.8)], axis=1)
    draws = uniforms(0, copies=90)
    sample = jax.jit(table_group, static_argnums=0)
    told, weights, like = (
        sample(POLICY, masses, draws, scheme_table(resolve(name), GROUP, "float64"))
        for name in ("rescaled:weights=sqrt_r,scale=grpo", "sqrt_r", "grpo")
    )
    hits = np.asarray(told.correct)[:, None]
    rewards = (np.arange(GROUP) < hits).astype(float)
    squares = [(group_advantages(rewards, name) ** 2).sum() for name in ("sqrt_r", "grpo")]
    factor = np.sqrt(squares[1] / squares[0])
    np.testing.assert_allclose(told.weights, factor * np.asarray(weights.weights), rtol=1e-12)
    assert not np.allclose(told.weights, like.weights)


def test_a_run_with_everything_that_training_adds(tmp_path):
    config = SimulationConfig(
        schemes=("ppo",),
        seeds=1,
        policy="shared_tree",
        symbols=3,
        length=3,
        correct_answers=7,
        prompts=12,
        held_out_prompts=5,
        batch=6,
        features=4,
        start=0.3,
        group_size=GROUP,
        learner="ppo",
        epochs=2,
        ratio="response_mean",
        optimizer="adam",
        learning_rate=0.05,
        gradient_clip=1.0,
        kl_limit=0.02,
        length_normalisation="response",
        critic="learned",
        false_positives=0.02,
        false_negatives=0.05,
        sync_every=2,
        evaluation_temperature=0.6,
        steps=20,
        measure_every=10,
        pass_k=(1, 8),
    )
    metrics = simulate(config, tmp_path / "run", progress=False)
    last = metrics[metrics["step"] == 20].set_index(["scheme", "metric"])["value"]
    assert np.isfinite(metrics["value"]).all()
    assert last["ppo", "responses"] == 20 * 6 * GROUP
    assert 20 * 6 * GROUP < last["ppo", "tokens"] < 3 * 20 * 6 * GROUP
    assert 0 < last["ppo", "held_out/success"] < 1


def test_a_lower_temperature_sharpens_what_is_measured_and_not_the_groups():
    logits = jnp.asarray([[2.0, 0.5], [1.0, 1.0], [0.0, 0.2]])
    measured = jax.jit(measure, static_argnums=(2, 3))
    warm, cool = (
        measured(POLICY, logits, Rules("softmax", GROUP, evaluation_temperature=t), (1,))
        for t in (1.0, 0.5)
    )
    masses = np.exp(np.asarray(logits) / 0.5)
    assert float(cool["success"]) == pytest.approx((masses[0] / masses.sum(axis=0)).mean())
    assert cool["entropy"] < warm["entropy"]
    assert cool["all_wrong"] == warm["all_wrong"]


def test_dose_along_a_run_is_the_theorys(tmp_path):
    config = SimulationConfig(
        schemes=("sqrt_r",),
        seeds=1,
        policy="log_linear",
        prompts=8,
        batch=4,
        group_size=GROUP,
        start="beta:1,2",
        learning_rate=0.3,
        steps=1,
        measure_every=1,
        precision="float64",
    )
    metrics = simulate(config, tmp_path / "run", progress=False)
    problem = build(config, 0)
    rates = np.asarray(problem.policy.success(problem.parameters)[0])
    told = noise_dose("sqrt_r", rates, GROUP, learning_rate=0.3, batch=4)
    measured = metrics.query("metric == 'noise_dose' and step == 0")["value"].iloc[0]
    assert measured == pytest.approx(told, rel=1e-5)
