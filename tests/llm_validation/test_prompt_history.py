"""Empirical Bayes with a history: simulator and trainer give the advantages of one definition."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import optimize, special, stats

import apw
from llm_validation.prompt_history import PromptHistory
from llm_validation.verl_plugin import estimator
from sim.config import SimulationConfig
from sim.problems import build
from sim.run import rules_of
from sim.update import initial_state, update
from tests.llm_validation.test_trainer import GROUP, make, watched
from theory.empirical_bayes import History, Prior, observed, prior_from, with_prior
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
        a, b = (x[np.argsort(order)] for x in prior_from(Prior(0.3, 1.2), seen)[:2])
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
    tries = [n for _, n, *_ in state["prompts"].values()]
    assert sum(tries) == pytest.approx(seen.tries.sum())


@pytest.mark.parametrize("scheme_name", [SCHEME, "empirical_bayes:a=0.3,b=1.2,never=0.4,keep=0.8"])
def test_the_simulator_has_the_trainers_advantages_on_the_same_counts(scheme_name):
    """Gradients of a bandit by its logits show the weights N_a A_a / M of every answer."""
    config = SimulationConfig(
        schemes=(scheme_name,), prompts=6, answers=3, correct_answers=1, group_size=4, start=0.1
    )
    scheme = config.bound[scheme_name]
    rules, problem = rules_of(config, scheme), build(config, 0)
    assert rules.scheme == scheme
    state = initial_state(rules, problem)
    step = jax.jit(functools.partial(update, rules, problem, None, jnp.float32(1.0), jnp.uint32(7)))
    trainers = PromptHistory(scheme)
    unsolved = 0
    for number in range(5):
        masses = np.asarray(problem.policy.masses(state.parameters))
        chance = masses / masses.sum(0)
        new, _, _ = step(state, jnp.uint32(number))
        correct = np.asarray(new.history[0] - 0.8 * state.history[0])  # K, from what is remembered
        rewards = (np.arange(4) < correct.round()[:, None]).astype(float)
        trainers.begin([{"prompt": f"{i}"} for i in range(6) for _ in range(4)], 4, number)
        advantages = trainers.advantages(rewards, None)
        trainers.add(rewards, np.ones_like(rewards, dtype=bool))
        # d/d logit of Σ_i A_i ln π(y_i)/M for the correct answer: Σ_right A/M − π ΣA/M.
        right = (advantages * rewards).mean(1)
        expected = right - chance[0] * advantages.mean(1)
        moved = np.asarray(new.parameters - state.parameters)[0]
        np.testing.assert_allclose(moved, expected, atol=1e-5)
        seen = np.array([counts[:2] for counts in trainers.state()["prompts"].values()])
        np.testing.assert_allclose(np.asarray(new.history), seen.T, rtol=1e-5)
        unsolved += number > 0 and bool(np.any((seen[:, 0] == 0) & (correct == 0)))
        state = new
    assert np.ptp(seen[:, 0]) > 0
    assert unsolved  # where a mass at 0 makes a difference


def test_a_simulation_keeps_the_history_of_batches_and_refuses_what_has_none():
    small = {"schemes": [SCHEME], "seeds": 1, "prompts": 12, "steps": 2, "measure_every": 2}
    shared = {"policy": "log_linear", "batch": 4, "features": 3, "answers": 4, "pass_k": (1,)}
    metrics = apw.simulate(**small, **shared, start=0.3, learning_rate=1.0, progress=False).metrics
    assert np.isfinite(metrics.query("metric == 'success'")["value"]).all()
    with pytest.raises(ValueError, match="no table of advantages"):
        apw.simulate(**small, learner="mirror")


@pytest.mark.parametrize("never", [0.0, 0.5])
def test_the_prior_is_refitted_to_the_last_group_of_every_prompt(never):
    """Prompts of Beta(1, 2), half of them never solved: SciPy's likeliest prior is the baseline."""
    random = np.random.default_rng(3)
    kept = PromptHistory(resolve("empirical_bayes:a=5,b=5,refit=2"))
    rates, last = random.beta(1.0, 2.0, 200) * (random.random(200) >= never), np.zeros(200)
    for step in range(3):
        for batch in np.split(np.arange(200), 2):  # two batches in a step
            kept.begin([{"prompt": f"{i}"} for i in batch for _ in range(8)], 8, step)
            assert (kept.prior == (5, 5, 0)) == (step < 2)
            rewards = (random.random((100, 8)) < rates[batch, None]).astype(float)
            found = kept.advantages(rewards, None)
            kept.add(rewards, np.ones_like(rewards, dtype=bool))
            if step == 2:
                break
            last[batch] = rewards.sum(1)

    def unlikely(unknown):
        z = special.expit(unknown[2]) if never else 0.0
        chance = (1 - z) * stats.betabinom.pmf(last, 8, *np.exp(unknown[:2])) + z * (last == 0)
        return -np.log(chance).sum()

    best = optimize.minimize(unlikely, [0.0] * 3, method="Nelder-Mead", options={"xatol": 1e-6}).x
    expected = [*np.exp(best[:2]), special.expit(best[2]) if never else 0.0]
    np.testing.assert_allclose(kept.prior, expected, rtol=1e-3)
    np.testing.assert_allclose(found, with_prior(rewards, *kept.prior), atol=1e-12)  # keep is 0
    told = {f"prior_{name}": value for name, value in kept.prior._asdict().items()}
    assert kept.metrics() == told
    again = PromptHistory(resolve("empirical_bayes:a=5,b=5,refit=2"))
    again.remember(json.loads(json.dumps(kept.state())))
    assert again.state() == kept.state()


def test_counts_that_leave_the_prior_open_leave_it_as_it_was():
    kept = PromptHistory(resolve("empirical_bayes:a=5,b=5,refit=1"))
    every = np.ones((2, 4), dtype=bool)
    for step in range(3):
        kept.begin([{"prompt": f"{i}"} for i in range(2) for _ in range(4)], 4, step)
        kept.add(np.zeros((2, 4)), every)
    assert kept.prior == (5, 5, 0)


def test_a_trainer_that_refits_resumes_with_the_same_prior(tiny_folder, tmp_path):
    scheme = "empirical_bayes:a=0.3,b=1.2,keep=0.8,refit=1"
    settings = {"max_steps": 3, "save_strategy": "steps", "save_steps": 1, "logging_steps": 1}
    first, again = (make(tiny_folder, tmp_path, scheme=scheme, config=settings) for _ in range(2))
    first.train()
    again.train(str(tmp_path / "checkpoint-2"))
    assert again._history.state() == first._history.state()
    assert again._history.prior[:2] != (0.3, 1.2)
    same = {"prior_a", "prior_b", "loss", "advantage_square"}
    rows = [[row for row in trainer.record if row[1] in same] for trainer in (first, again)]
    assert rows[0] == rows[1]
    assert len({row[2] for row in rows[0] if row[1] == "prior_a"}) > 1


def test_what_cannot_refit_says_so():
    scheme = "empirical_bayes:a=0.3,b=1.2,refit=5"
    with pytest.raises(ValueError, match="leave refit at 0"):
        SimulationConfig(schemes=(scheme,))
    with pytest.raises(ValueError, match="leave keep and refit at 0"):
        estimator(scheme)
    with pytest.raises(ValueError, match="leave keep and refit at 0"):
        estimator(SCHEME)
