"""The kernel of log-odds, against its closed form and against what a small step does."""

import numpy as np
import pytest

from sim.config import SimulationConfig
from sim.kernel import collisions, log_odds_kernel
from sim.problems import build

CONFIG = SimulationConfig(
    policy="log_linear",
    prompts=6,
    answers=5,
    correct_answers=2,
    features=3,
    start="beta:1,2",
    precision="float64",
)


def test_kernel_of_a_log_linear_policy_is_that_of_features_times_that_of_answers():
    """∇ℓ_i = φ_i ⊗ (q⁺_i − q⁻_i) with q± the right and the wrong answers among themselves."""
    problem = build(CONFIG, 3)
    correct = np.asarray(problem.policy.correct)
    share = np.exp(np.asarray(problem.policy.prior, float))
    right, wrong = (np.where(kind, share, 0) for kind in (correct, ~correct))
    apart = right / right.sum(0) - wrong / wrong.sum(0)
    features = np.asarray(problem.policy.features, float)
    expected = (features.T @ features) * (apart.T @ apart)
    found = log_odds_kernel(problem.policy, problem.parameters)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert (found < 0).any()
    squares = [(((kind / kind.sum(0)) ** 2).sum(0)).mean() for kind in (right, wrong)]
    assert collisions(problem.policy, problem.parameters) == pytest.approx(squares, rel=1e-6)


@pytest.mark.parametrize("sharing", [0.0, 0.4, 1.0])
def test_dialled_sharing_is_the_constant_kernel_of_the_theory_times_that_of_answers(sharing):
    from theory.sharing import block_kernel

    config = SimulationConfig(
        policy="log_linear", prompts=4, answers=4, correct_answers=1, sharing=sharing, start=0.2
    )
    problem = build(config, 0)
    prior = np.exp(np.asarray(problem.policy.prior, float))
    correct = np.asarray(problem.policy.correct)
    right, wrong = (np.where(kind, prior, 0) for kind in (correct, ~correct))
    apart = right / right.sum(0) - wrong / wrong.sum(0)
    expected = block_kernel([4], sharing) * (apart.T @ apart)
    found = log_odds_kernel(problem.policy, problem.parameters)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


def test_prompts_that_share_nothing_have_a_diagonal_kernel():
    problem = build(SimulationConfig(prompts=3, answers=4, correct_answers=1, start=0.3), 0)
    found = log_odds_kernel(problem.policy, problem.parameters)
    assert np.count_nonzero(found - np.diag(np.diag(found))) == 0
    assert (np.diag(found) > 0).all()
