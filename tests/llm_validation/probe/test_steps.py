"""Steps: their direction, their first order, and importance weights against exact success."""

import contextlib
import copy
import itertools

import numpy as np
import pytest
import torch

from llm_validation.probe.scores import log_probabilities, response_score
from llm_validation.probe.steps import (
    change_of_success,
    direction,
    effective_share,
    first_order_change,
    moved,
)


def test_directions_are_those_of_torchs_optimizers():
    update = torch.tensor([0.5, -2.0, 0.0, 1e-3])
    torch.testing.assert_close(direction(update, "sgd"), update)
    found = direction(update, "adam")
    torch.testing.assert_close(found, torch.sign(update), atol=1e-4, rtol=0)
    # Whatever the scale of an update, the way is the same.
    torch.testing.assert_close(direction(1e-6 * update, "adam"), found)
    assert torch.equal(direction(torch.zeros(3), "adam"), torch.zeros(3))


def test_parameters_come_back_exactly_whatever_happens(world):
    before = [p.detach().clone() for p in world.parameters]
    step = torch.randn(sum(p.numel() for p in before), generator=torch.Generator().manual_seed(0))
    with contextlib.suppress(RuntimeError), moved(world.parameters, step):
        pairs = zip(world.parameters, before, strict=True)
        change = torch.cat([(p - b).flatten() for p, b in pairs]).detach()
        raise RuntimeError("something fails")
    torch.testing.assert_close(change, step, atol=1e-5, rtol=1e-4)
    assert all(torch.equal(p, b) for p, b in zip(world.parameters, before, strict=True))


def test_log_probabilities_at_once_are_those_one_by_one(world):
    chosen = [0, 5, 100, 1500, 2000]  # of one to three tokens
    responses = [world.responses[r] for r in chosen]
    for prompt, probability in zip(world.prompts, world.probability, strict=True):
        apart = [response_score(world.model, world.parameters, prompt, r)[0] for r in responses]
        for rows in (2, 64):
            found = log_probabilities(world.model, prompt, responses, rows)
            np.testing.assert_allclose(found, apart, atol=3e-5)
            np.testing.assert_allclose(found, np.log(probability[chosen]), atol=3e-5)
        only = log_probabilities(world.model, prompt, [responses[0]])
        np.testing.assert_allclose(only, apart[:1], atol=3e-5)


def test_the_rewarded_score_is_the_gradient_of_success(world):
    """E[r S] of the one right response, against the gradient of exact success."""
    for i, exact in enumerate(world.success_gradients()):
        right = int(np.flatnonzero(world.right[i])[0])
        log, parts = response_score(
            world.model, world.parameters, world.prompts[i], world.responses[right]
        )
        score = torch.cat([p.flatten() for p in parts]).double().numpy()
        assert log == pytest.approx(np.log(world.probability[i, right]), abs=1e-5)
        found = world.probability[i, right] * score
        np.testing.assert_allclose(found, exact, atol=1e-5 * np.abs(exact).max())


def test_the_weighted_change_is_unbiased_by_counting_all_draws():
    before, after = np.array([0.5, 0.3, 0.2]), np.array([0.3, 0.6, 0.1])
    right, log_ratio = np.array([0.0, 1.0, 0.0]), np.log(after / before)
    for n in (2, 3, 5):
        draws = np.array(list(itertools.product(range(3), repeat=n)))
        chance = before[draws].prod(axis=1)
        found = change_of_success(right[draws], log_ratio[draws])
        assert chance @ found == pytest.approx(0.3, rel=1e-12)
        # First order: a change of log-probabilities whose mean is 0 moves success by its share.
        score = right - before @ right
        first = first_order_change(right[draws], score[draws])
        assert chance @ first == pytest.approx(0.3 * 0.7, rel=1e-12)
    assert change_of_success(right[draws], 0 * log_ratio[draws]).any() == 0


def test_the_control_variates_save_most_of_the_variance(world):
    """Against plain importance weights, on draws of the transformer after a small step."""
    generator = np.random.default_rng(0)
    p, right = world.probability[0], world.right[0].astype(float)
    draws = generator.choice(len(p), size=(2000, 16), p=p / p.sum())
    log_ratio = 0.05 * generator.normal(size=len(p))
    log_ratio -= np.log(p @ np.exp(log_ratio) / p.sum())
    exact = p @ (right * np.expm1(log_ratio))
    found = change_of_success(right[draws], log_ratio[draws])
    plain = (right[draws] * np.exp(log_ratio[draws])).mean(axis=1) - p @ right
    assert abs(found.mean() - exact) < 4 * found.std() / np.sqrt(len(draws))
    assert found.var() < 0.1 * plain.var()


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_the_weighted_change_of_a_step_is_the_exact_one(world, drawn, optimizer):
    """One step on the transformer: importance weights of 4,000 responses against exact success."""
    update = torch.from_numpy(world.success_gradients().mean(axis=0)).float()
    step = direction(update, optimizer)
    step = step / step.norm() * 0.01
    before = world.success().detach().numpy()
    with moved(world.parameters, step):
        after = world.success().detach().numpy()
        logs = [
            log_probabilities(world.model, prompt, [world.responses[r] for r in np.unique(row)])
            for prompt, row in zip(world.prompts, drawn.chosen, strict=True)
        ]
    rewards = drawn.rewards.reshape(len(world.prompts), -1)
    for i, row in enumerate(drawn.chosen):
        known = dict(zip(np.unique(row).tolist(), logs[i].tolist(), strict=True))
        ratio = np.array([known[r] - np.log(world.probability[i, r]) for r in row.ravel().tolist()])
        found = change_of_success(rewards[i : i + 1], ratio[None])[0]
        each = (rewards[i] - rewards[i].mean()) * np.expm1(ratio)
        error = each.std() / np.sqrt(each.size)
        assert abs(found - (after - before)[i]) < 4 * error
        assert error < abs((after - before)[i]) / 8
        assert 0.5 < effective_share(ratio[None]) < 1


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_what_is_left_of_the_first_order_falls_with_the_square_of_the_step(world, optimizer):
    fine = copy.copy(world)
    fine.model = copy.deepcopy(world.model).double()
    exact = torch.from_numpy(fine.success_gradients())
    way = direction(exact.mean(dim=0), optimizer)
    way = way / way.norm()
    # Smaller ones are lost in the norms' float32, and larger ones hold terms of third order.
    sizes = 0.002 * 2.0 ** -np.arange(3)
    before = fine.success().detach()
    left = []
    for size in sizes:
        with moved(fine.parameters, size * way):
            change = fine.success().detach() - before
        left.append(float((change - size * exact @ way).norm()))
    order = np.polyfit(np.log(sizes), np.log(left), 1)[0]
    assert order == pytest.approx(2.0, abs=0.3)  # a wrong first order leaves 1
