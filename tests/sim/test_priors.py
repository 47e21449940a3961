"""Initial policies: masses are what was asked for, and a rule reaches prompts not trained on."""

import numpy as np
import pytest

from sim.config import SimulationConfig
from sim.priors import make_prior, rule_prior, scatter_answers
from sim.run import simulate

COMMON = {
    "prompts": 40,
    "answers": 12,
    "correct_answers": 3,
    "start": "loguniform:0.001,0.5",
    "seed": 3,
}


def test_correct_answers_share_the_start_unequally():
    prior = make_prior(**COMMON, prior_spread=1.5)
    masses = np.exp(prior.log_probabilities)
    np.testing.assert_allclose(masses.sum(axis=0), 1, rtol=1e-12)
    success = np.where(prior.correct, masses, 0).sum(axis=0)
    assert np.all(np.diff(success) > 0)
    assert 0.001 <= success[0] < 0.0013
    assert 0.4 < success[-1] <= 0.5
    # Differences of log-masses within a kind have variance 2σ².
    for kind in (slice(0, 3), slice(3, 12)):
        differences = np.diff(prior.log_probabilities[kind], axis=0)[::2].ravel()
        assert 0.8 < differences.std() / (np.sqrt(2) * 1.5) < 1.2
    even = np.exp(make_prior(**COMMON, prior_spread=0).log_probabilities)
    np.testing.assert_allclose(even[:3], np.broadcast_to(even[0], (3, 40)), rtol=1e-12)


def test_decoys_are_wrong_and_confident():
    prior = make_prior(**COMMON, prior_spread=1.0, decoys=2, decoy_mass=0.6)
    masses = np.exp(prior.log_probabilities)
    wrong = masses[3:].sum(axis=0)
    np.testing.assert_allclose(masses[3:5], np.broadcast_to(0.3 * wrong, (2, 40)), rtol=1e-12)
    assert not prior.correct[3:5].any()
    assert np.all(masses[3] > masses[5:].mean(axis=0))
    np.testing.assert_allclose(masses.sum(axis=0), 1, rtol=1e-12)


def test_scattered_answers_keep_their_masses_and_verdicts():
    prior = make_prior(**COMMON, prior_spread=1.0)
    scattered = scatter_answers(prior, seed=3)
    for right in (True, False):
        kept = [
            np.sort(p.log_probabilities[p.correct[:, 7] == right, 7]) for p in (prior, scattered)
        ]
        np.testing.assert_array_equal(*kept)
    assert scattered.correct.any(axis=1).all()  # no answer is wrong everywhere


def test_held_out_prompts_have_the_rule_and_features_of_their_own():
    options = {**COMMON, "features": 6, "prior_spread": 1.0}
    (train, train_features), (held, held_features) = (
        rule_prior(**options, rule=1.0, stream=stream) for stream in (0, 1)
    )
    assert not np.array_equal(train_features, held_features)
    assert np.mean(train_features**2) * 6 == pytest.approx(1, abs=0.2)
    # One linear map from features to scores, fitted to the training prompts, tells the held-out
    # prompts' correct answers far better than chance, 3 of 12.
    fitted, *_ = np.linalg.lstsq(train_features.T, train.correct.T.astype(float), rcond=None)
    best = np.argmax(fitted.T @ held_features, axis=0)
    hits = held.correct[best, np.arange(40)].mean()
    assert hits > 0.5
    random, features = rule_prior(**options, rule=0.0, stream=1)
    best = np.argmax(fitted.T @ features, axis=0)
    assert random.correct[best, np.arange(40)].mean() < 0.5


def test_training_moves_held_out_prompts_where_there_is_a_rule(tmp_path):
    gains = {}
    for rule in (0.0, 1.0):
        config = SimulationConfig(
            schemes=("grpo",),
            seeds=3,
            prompts=96,
            held_out_prompts=96,
            policy="log_linear",
            answers=6,
            correct_answers=1,
            features=6,
            rule=rule,
            start=0.2,
            learning_rate=30.0,
            steps=60,
            measure_every=60,
            pass_k=(1,),
        )
        metrics = simulate(config, tmp_path / f"{rule}", progress=False)
        held = metrics[metrics["metric"] == "held_out/success"].groupby("step")["value"].mean()
        gains[rule] = held[60] - held[0]
    assert gains[1.0] > 0.2
    assert abs(gains[0.0]) < 0.1
