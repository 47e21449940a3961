"""Empirical Bayes with a history: simulator and trainer give the advantages of one definition."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import apw
from llm_validation.prompt_history import PromptHistory
from sim.config import SimulationConfig
from sim.problems import build
from sim.run import rules_of
from sim.update import initial_state, update
from tests.llm_validation.test_trainer import GROUP, make, watched
from theory.empirical_bayes import History, observed, prior_from, with_prior
from theory.schemes import resolve

SCHEME = "empirical_bayes:a=0.3,b=1.2,keep=0.8"

pytestmark = pytest.mark.usefixtures("one_thread")


def test_the_trainer_weighs_by_what_it_has_seen_of_each_prompt(tiny_folder, tmp_path, monkeypatch):
    settings = {"max_steps": 3, "save_strategy": "steps", "save_steps": 1}
    trainer = make(tiny_folder, tmp_path, scheme=SCHEME, config=settings)
    trainer.train_dataset = trainer.train_dataset.select(range(6))  # the same prompts every step
    seen: History = History(np.zeros(6), np.zeros(6))
    for batch in watched(trainer, monkeypatch):
        keys = [
            trainer.processing_class.decode(ids, skip_special_tokens=True)
            for ids in batch["output"]["prompt_ids"][::GROUP]
        ]
        order = np.argsort(keys)
        rewards = batch["rewards"][:, 0].reshape(-1, GROUP).numpy()
        valid = ~np.isnan(rewards)
        told = np.where(valid, rewards, 0.0)
        # with_prior has no mask: an unscored response neither counts nor is given an advantage.
        a, b = (x[np.argsort(order)] for x in prior_from(0.3, 1.2, seen))
        total = (a + b)[:, None] + valid.sum(1, keepdims=True) - 1
        baseline = (a[:, None] + told.sum(1, keepdims=True) - told) / total
        expected = np.where(valid, told - baseline, 0.0)
        ours = batch["ours"].reshape(-1, GROUP).numpy()
        np.testing.assert_allclose(ours, expected, atol=1e-6)
        if valid.all():
            np.testing.assert_allclose(ours, with_prior(rewards, a, b), atol=1e-6)
        seen = observed(seen, told.sum(1)[order], valid.sum(1)[order], keep=0.8)
    # Step t + 1 counts what step t saw a little less; a checkpoint holds it all.
    state = json.loads((tmp_path / "checkpoint-3" / "apw_state.json").read_text())["prompts_seen"]
    kept = PromptHistory(resolve(SCHEME))
    kept.remember(state)
    assert kept.state() == trainer._history.state() == state
    assert sum(n for _, n, _ in state.values()) == pytest.approx(seen.tries.sum())


def test_the_simulator_has_the_same_advantages():
    """Gradients of a bandit by its logits show the weights N_a A_a / M of every answer."""
    config = SimulationConfig(
        schemes=(SCHEME,), prompts=5, answers=3, correct_answers=1, group_size=4, start=0.3
    )
    scheme = config.bound[SCHEME]
    rules, problem = rules_of(config, scheme), build(config, 0)
    assert rules.scheme == scheme
    state = initial_state(rules, problem)
    step = jax.jit(functools.partial(update, rules, problem, None, jnp.float32(1.0), jnp.uint32(7)))
    seen = History(np.zeros(5), np.zeros(5))
    for number in range(3):
        masses = np.asarray(problem.policy.masses(state.parameters))
        chance = masses / masses.sum(0)
        new, _, _ = step(state, jnp.uint32(number))
        correct = np.asarray(new.history[0] - 0.8 * state.history[0])  # K, from what is remembered
        a, b = prior_from(0.3, 1.2, seen)
        rewards = (np.arange(4) < correct.round()[:, None]).astype(float)
        advantages = with_prior(rewards, a, b)
        # d/d logit of Σ_i A_i ln π(y_i)/M for the correct answer: Σ_right A/M − π ΣA/M.
        right = (advantages * rewards).mean(1)
        expected = right - chance[0] * advantages.mean(1)
        moved = np.asarray(new.parameters - state.parameters)[0]
        np.testing.assert_allclose(moved, expected, atol=1e-5)
        seen = observed(seen, correct.round(), 4, keep=0.8)
        np.testing.assert_allclose(np.asarray(new.history), np.stack(seen), rtol=1e-5)
        state = new
    assert np.ptp(seen.correct) > 0


def test_a_simulation_keeps_the_history_of_batches_and_refuses_what_has_none():
    small = {"schemes": [SCHEME], "seeds": 1, "prompts": 12, "steps": 2, "measure_every": 2}
    shared = {"policy": "log_linear", "batch": 4, "features": 3, "answers": 4, "pass_k": (1,)}
    metrics = apw.simulate(**small, **shared, start=0.3, progress=False).metrics
    assert np.isfinite(metrics.query("metric == 'success'")["value"]).all()
    with pytest.raises(ValueError, match="no table of advantages"):
        apw.simulate(**small, learner="mirror")


def test_a_resumed_trainer_remembers(tiny_folder, tmp_path):
    settings = {"max_steps": 2, "save_strategy": "steps", "save_steps": 1}
    first, again = (make(tiny_folder, tmp_path, scheme=SCHEME, config=settings) for _ in range(2))
    first.train()
    again.train(str(tmp_path / "checkpoint-1"))
    assert again._history.state() == first._history.state()
