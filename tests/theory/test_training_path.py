"""Training paths: drawn groups with everything at once, and each part alone."""

import numpy as np
import pytest
from scipy import integrate
from scipy.special import expit, logit

from theory.advantages import group_advantages
from theory.designs import path
from theory.finite_group import expected_weight
from theory.kl_anchor import anchored_time
from theory.training_path import training_path
from theory.verifier_errors import VerifierErrors

ERRORS = VerifierErrors(0.02, 0.1)


@pytest.mark.parametrize("design", ["fixed", "until_any", "until_mixed", "first_success"])
def test_a_right_verifier_equal_lengths_and_no_anchor_change_nothing(design):
    setting = {"start": 0.05, "target": 0.8, "group_size": 8, "design": design}
    assert training_path("linear_r", **setting) == path("linear_r", **setting)


@pytest.mark.parametrize("design", ["fixed", "until_any", "until_mixed"])
def test_updates_of_drawn_groups_have_the_drift_noise_and_tokens_of_the_path(design):
    """On a short way the integrals are the rates at its middle: both from 200,000 groups."""
    rho, size, count, ratio = 0.1, 8, 200_000, 3.0
    way = training_path(
        "grpo",
        errors=ERRORS,
        length_ratio=ratio,
        start=rho - 1e-4,
        target=rho + 1e-4,
        design=design,
        group_size=size,
    )
    generator = np.random.default_rng(3)
    truth = generator.random((count, size)) < rho
    draws = generator.random((count, size))
    told = np.where(truth, draws >= ERRORS.false_negative, draws < ERRORS.false_positive)
    passed = told.sum(-1)
    least, most = {"fixed": (0, size), "until_any": (1, size), "until_mixed": (1, size - 1)}[design]
    used = (passed >= least) & (passed <= most)
    advantages = group_advantages(told[used].astype(float), "grpo")
    gains = np.mean(advantages * (truth[used] - rho), -1)
    error = gains.std() / np.sqrt(used.sum())
    assert 2e-4 / way.updates == pytest.approx(gains.mean(), abs=4 * error)
    assert way.responses / way.updates == pytest.approx(size * count / used.sum(), rel=0.01)
    assert way.energy / way.updates == pytest.approx(np.mean(advantages**2), rel=0.02)
    tokens = np.where(truth, 1.0, ratio).sum() / used.sum()
    assert way.time / way.updates == pytest.approx(tokens, rel=0.01)


def test_an_anchor_slows_the_path_and_stops_it_as_it_does_without_groups():
    setting = {"start": 0.02, "target": 0.6, "group_size": 8, "coefficient": 0.2}
    way = training_path("grpo", **setting)
    assert way.updates == pytest.approx(anchored_time("grpo", **_alone(setting)).value, rel=1e-9)
    held = training_path("rloo", **{**setting, "coefficient": 1.0})
    assert held.time == np.inf
    assert "anchor" in held.message
    lost = training_path("grpo", errors=VerifierErrors(0.6, 0.6), **setting)
    assert lost.time == np.inf
    assert "teaches nothing right" in lost.message


def test_everything_at_once_is_one_plain_quadrature():
    def slowness(odds):
        rho = expit(odds)
        told = 0.02 + 0.88 * rho
        net = 0.88 * float(expected_weight("linear_r", 4, told)) - 0.05 * (odds - logit(0.02))
        return (2.0 + 0.5 * 4 * (rho + 3 * (1 - rho))) / net

    expected = integrate.quad(slowness, logit(0.02), logit(0.7), epsrel=1e-11)[0]
    way = training_path(
        "linear_r",
        start=0.02,
        target=0.7,
        group_size=4,
        update_cost=2.0,
        response_cost=0.5,
        length_ratio=3.0,
        errors=ERRORS,
        coefficient=0.05,
    )
    assert way.time == pytest.approx(expected, rel=1e-9)


def test_a_verifier_that_passes_everything_teaches_nothing():
    way = training_path("nsr", errors=VerifierErrors(1.0, 0.0), start=0.1, target=0.5, group_size=4)
    assert way.time == np.inf


def _alone(setting):
    return {k: setting[k] for k in ("start", "target", "group_size", "coefficient")}
