"""Which prompts are taken: against quadrature, the plain simulator, and theory's rates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import logit

from sim.choice import Choice, draw_batch
from sim.config import SimulationConfig
from sim.counter import draw
from sim.problems import build
from sim.run import rules_of, simulate
from sim.tables import scheme_table
from sim.update import initial_state, update
from theory._designs import DESIGNS
from theory._group_rates import group_rates
from theory.schemes import resolve
from theory.spending import resolve_rule

SMALL = {"schemes": ("grpo",), "seeds": 2, "prompts": 32, "steps": 8, "measure_every": 2}


def one_update(config, *, number=0):
    """Parameters before and after an update, success before, and the responses it took."""
    scheme = config.bound[config.schemes[0]]
    rules, problem = rules_of(config, scheme), build(config, 0)
    table = None if rules.scheme else scheme_table(scheme, config.group_size, config.precision)
    before = initial_state(rules, problem)
    after, costs, _ = update(
        rules, problem, table, jnp.asarray(config.learning_rate), 0, before, jnp.uint32(number)
    )
    success = problem.policy.success(before.parameters)[0]
    return before, after, np.asarray(success), float(costs["responses"])


def values(metrics, name):
    rows = metrics[metrics.metric == name].sort_values(["seed", "step"])
    return rows.value.to_numpy()


@pytest.mark.parametrize(
    "setting", [{}, {"policy": "log_linear"}, {"policy": "log_linear", "batch": 8}]
)
def test_a_pool_of_all_prompts_is_no_choice(setting, tmp_path):
    """The batch is drawn by Gumbel keys, whose order is that of the uniforms."""
    runs = [
        simulate(
            SimulationConfig(**SMALL, **setting, spending=rule), tmp_path / str(k), progress=False
        )
        for k, rule in enumerate(("uniform", "pool:low=0,high=1"))
    ]
    for name in ("success", "responses", "entropy"):
        np.testing.assert_array_equal(*(values(metrics, name) for metrics in runs))


def test_prompts_outside_a_pool_neither_move_nor_cost():
    config = SimulationConfig(
        **SMALL, start="beta:1,1", spending="pool:low=0.2,high=0.6", learning_rate=2.0
    )
    before, after, success, responses = one_update(config)
    inside = (success >= 0.2) & (success < 0.6)
    moved = np.any(np.asarray(before.parameters != after.parameters), axis=0)
    assert responses == 16 * inside.sum()
    assert 0 < inside.sum() < 32
    assert not np.any(moved & ~inside)
    assert np.any(moved)


def test_prompts_are_skipped_as_often_as_their_groups_are_dead():
    config = SimulationConfig(
        **{**SMALL, "prompts": 4096}, start="beta:0.3,0.5", spending="skip", group_size=8
    )
    _, _, success, responses = one_update(config)
    success = success.astype(float)
    chance = 1 - success**8 - (1 - success) ** 8
    error = np.sqrt((chance * (1 - chance)).sum())
    assert abs(responses / 8 - chance.sum()) < 4 * error


def test_a_batch_is_drawn_in_proportion_and_without_those_of_no_chance():
    chance = jnp.array([0.0, 0.1, 0.2, 0.4, 0.3, 0.0])
    draws = draw("hash", 3, 0, 4000, 6)
    first, four = (
        np.asarray(jax.vmap(lambda row, n=n: draw_batch(chance, row, n))(draws)) for n in (1, 4)
    )
    found = np.bincount(first[:, 0], minlength=6) / 4000
    np.testing.assert_allclose(found, chance, atol=4 * np.sqrt(0.25 / 4000))
    np.testing.assert_array_equal(np.sort(four), np.tile([1, 2, 3, 4], (4000, 1)))


def test_a_batch_with_too_few_prompts_leaves_the_others_alone():
    config = SimulationConfig(
        **SMALL,
        policy="log_linear",
        batch=16,
        start="beta:1,1",
        spending="pool:low=0.45,high=0.55",
    )
    _, _, success, responses = one_update(config)
    inside = ((success >= 0.45) & (success < 0.55)).sum()
    assert 0 < inside < 16
    assert responses == 16 * inside


@pytest.mark.parametrize("counts", [(0, 0), (0, 16), (3, 16), (80, 160)])
@pytest.mark.parametrize("rule", ["pool:low=0.1,high=0.7", "skip", "prioritised"])
def test_chances_by_counts_are_averages_over_the_posterior(rule, counts):
    correct, tries = counts
    found = resolve_rule(rule)
    choice = Choice(found, known=False, prior=(0.5, 1.5))
    seen = jnp.array([[float(correct)], [float(tries)]])
    chance = float(choice.chance(jnp.zeros(1), seen, 8)[0])
    posterior = stats.beta(0.5 + correct, 1.5 + tries - correct)
    if rule.startswith("pool"):
        exact = posterior.cdf(0.7) - posterior.cdf(0.1)
    elif rule == "skip":
        draws = posterior.ppf((np.arange(20_000) + 0.5) / 20_000)
        exact = np.mean(1 - draws**8 - (1 - draws) ** 8)
    else:
        exact = 1 - posterior.mean()
    # A pool's edges fall between nodes a quarter apart, where a posterior is half as wide.
    assert chance == pytest.approx(exact, abs=0.04 if rule.startswith("pool") else 2e-3)


def test_counts_are_of_the_groups_that_were_drawn_and_fade():
    config = SimulationConfig(
        **SMALL, start="beta:1,1", spending="skip", spending_by="counts", spending_memory=0.5
    )
    scheme = config.bound["grpo"]
    rules, problem = rules_of(config, scheme), build(config, 0)
    table, state = scheme_table(scheme, 16, "float32"), initial_state(rules, problem)
    total = np.zeros(32)
    for number in range(3):
        before = state
        state, costs, _ = update(
            rules, problem, table, jnp.asarray(1e-3), 0, state, jnp.uint32(number)
        )
        new = np.asarray(state.seen) - 0.5 * np.asarray(before.seen)
        assert new[1].sum() == float(costs["responses"])
        assert set(np.unique(new[1])) <= {0.0, 16.0}
        assert np.all(new[0] <= new[1])
        total += new[0]
    assert total.sum() > 0


@pytest.mark.parametrize("rule", ["dars_et", "dars_hw"])
def test_groups_of_many_sizes_move_as_theory_says(rule):
    """Mean change of logit ρ of a natural step, against the exact drift at every prompt's size."""
    start = 0.13
    config = SimulationConfig(
        schemes=("grpo",),
        seeds=1,
        prompts=16_384,
        answers=2,
        correct_answers=1,
        prior_spread=0.0,
        start=start,
        group_size=6,
        learner="natural",
        learning_rate=1e-3,
        spending=rule,
        precision="float64",
        steps=10,
    )
    before, after, success, responses = one_update(config)
    np.testing.assert_allclose(success, start, rtol=1e-6)
    policy = build(config, 0).policy
    gained = (
        logit(np.asarray(policy.success(after.parameters)[0]))
        - logit(np.asarray(policy.success(before.parameters)[0]))
    ) / 1e-3
    wanted = float(resolve_rule(rule).group_sizes(np.array([start]), 6)[0])
    low, part = int(wanted), wanted - int(wanted)
    drift = [
        group_rates(resolve("grpo"), DESIGNS["fixed"], size, np.array([start]))[0, 0] * size / 6
        for size in (low, low + 1)
    ]
    exact = (1 - part) * drift[0] + part * drift[1]
    assert gained.mean() == pytest.approx(exact, abs=4 * gained.std() / 128)
    assert responses / 16_384 == pytest.approx(wanted, abs=0.02)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"spending": "lottery"}, "must be one of uniform"),
        ({"spending": "knapsack"}, "is simulated by uniform, skip"),
        ({"spending": "pool:low=2"}, r"low of pool must be a number in \[0, 1\]"),
        ({"spending": "skip", "learner": "mirror"}, "learner that samples"),
        ({"spending": "skip", "sampling": "until_any"}, "sampling must be fixed"),
        ({"spending": "skip", "schemes": ("dapo",)}, "dapo is none"),
        ({"spending": "skip", "schemes": ("lens",)}, "lens is none"),
        ({"spending_prior": (0.0, 1.0)}, "spending_prior"),
        ({"spending_memory": 1.5}, "spending_memory"),
    ],
)
def test_what_is_not_simulated_is_refused(setting, message):
    with pytest.raises(ValueError, match=message):
        SimulationConfig(**{**SMALL, **setting})
