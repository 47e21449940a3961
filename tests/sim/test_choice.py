"""Which prompts are taken: against quadrature, the plain simulator, and theory's rates."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats
from scipy.special import betaln, logit

from sim.choice import Choice, draw_batch
from sim.config import SimulationConfig
from sim.counter import draw
from sim.groups import Drawn
from sim.problems import build
from sim.run import rules_of, simulate
from sim.tables import scheme_table
from sim.update import initial_state, update
from theory._designs import DESIGNS
from theory._group_rates import group_rates
from theory.advantages import group_advantages
from theory.schemes import resolve
from theory.spending import resolve_rule

SMALL = {"schemes": ("grpo",), "seeds": 2, "prompts": 32, "steps": 8, "measure_every": 2}


def one_update(config, *, number=0):
    """Parameters before and after an update, success before, and the responses it took."""
    scheme = config.bound[config.schemes[0]]
    rules, problem = rules_of(config, scheme), build(config, 0)
    table = None if rules.scheme else scheme_table(scheme, config.group_size, config.precision)
    rate = 1.0 if config.learning_rate is None else config.learning_rate
    before = initial_state(rules, problem)
    after, costs, _ = update(
        rules, problem, table, jnp.asarray(rate), 0, before, jnp.uint32(number)
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


def test_rounds_until_signal_cost_what_theory_says():
    """Responses to the exact expectation M Σ (1 − (1−P)^n)/P, and groups mixed as often."""
    config = SimulationConfig(
        **{**SMALL, "prompts": 4096}, start="beta:0.3,0.5", spending="rounds:rounds=3", group_size=4
    )
    before, after, success, responses = one_update(config)
    success = success.astype(float)
    dead = success**4 + (1 - success) ** 4
    rounds = 1 + dead + dead**2
    left = 3 - rounds  # a sum of rounds of 1, 2 or 3
    assert abs(responses - 4 * rounds.sum()) < 4 * 4 * np.sqrt((left * (1 + left)).sum())
    moved = np.any(np.asarray(before.parameters != after.parameters), axis=0).sum()
    chosen = resolve_rule(config.spending).chance(success, 4)
    np.testing.assert_allclose(chosen, 1 - dead**3, atol=1e-9)
    assert abs(moved - chosen.sum()) < 4 * np.sqrt((chosen * (1 - chosen)).sum())


def test_other_prompts_take_the_place_of_dead_groups_until_a_batch_is_full():
    """Prompts alike: groups until the 32nd mixed one are negative binomial."""
    config = SimulationConfig(
        **{**SMALL, "prompts": 2048},
        policy="log_linear",
        batch=32,
        start=0.1,
        spending="dapo",
        group_size=4,
    )
    _, _, success, responses = zip(*(one_update(config, number=n) for n in range(3)), strict=True)
    mixed = 1 - success[0].astype(float) ** 4 - (1 - success[0].astype(float)) ** 4
    mean = mixed.mean()
    groups = np.array(responses) / 4
    assert np.all(groups >= 32)
    assert abs(groups.mean() - 32 / mean) < 4 * np.sqrt(32 * (1 - mean) / mean**2 / 3)


def test_a_batch_that_cannot_be_filled_costs_a_group_of_every_prompt():
    config = SimulationConfig(
        **SMALL, policy="log_linear", batch=32, start=1e-6, spending="dapo", group_size=4
    )
    before, after, _, responses = one_update(config)
    assert responses == 4 * 32
    np.testing.assert_array_equal(before.parameters, after.parameters)


def test_one_round_is_a_fixed_group_for_schemes_that_drop_dead_ones(tmp_path):
    runs = [
        simulate(SimulationConfig(**SMALL, spending=rule), tmp_path / str(k), progress=False)
        for k, rule in enumerate(("uniform", "rounds:rounds=1"))
    ]
    for name in ("success", "responses"):
        np.testing.assert_array_equal(*(values(metrics, name) for metrics in runs))


def test_a_knapsack_spends_the_batch_where_it_is_worth_most():
    config = SimulationConfig(
        **{**SMALL, "prompts": 512}, start="beta:0.3,0.5", spending="knapsack", group_size=8
    )
    rules, problem = rules_of(config, config.bound["grpo"]), build(config, 0)
    success = problem.policy.success(problem.parameters)[0]
    sizes = np.asarray(rules.choice.sizes(success, None, 8, jnp.full(512, 0.5)))
    exact = resolve_rule("knapsack").group_sizes(np.asarray(success, dtype=float), 8)
    assert exact.mean() == pytest.approx(8, abs=1e-4)
    assert np.abs(sizes - exact).max() < 0.6  # rounded
    _, _, _, responses = one_update(config)
    assert responses == pytest.approx(8 * 512, abs=4 * np.sqrt(512) / 2)


@pytest.mark.parametrize("counts", [((0, 2, 4), (4, 4, 4)), ((0, 0, 3), (0, 20, 8))])
def test_a_knapsack_by_counts_is_the_best_of_all_divisions(counts):
    """Expected worth under each posterior, by beta functions, against every division of 18."""
    correct, tries = np.array(counts, dtype=float)
    choice = Choice(resolve_rule("knapsack"), known=False, prior=(0.5, 1.5))
    right, wrong = 0.5 + correct, 1.5 + tries - correct

    def value(sizes):
        a, b, m = right, wrong, np.asarray(sizes, dtype=float)
        dead = np.exp(betaln(a + 1, b + 2 + m)) + np.exp(betaln(a + 1 + m, b + 2))
        return float(np.sum((np.exp(betaln(a + 1, b + 2)) - dead) / np.exp(betaln(a, b))))

    best = max(value(s) for s in itertools.product(range(2, 15), repeat=3) if sum(s) == 18)
    seen = jnp.array([correct, tries])
    less, more = (
        np.asarray(choice.sizes(jnp.zeros(3), seen, 6, jnp.full(3, part))) for part in (0.0, 0.999)
    )
    assert less.sum() <= 18 <= more.sum()
    assert np.all(more - less <= 1)
    assert value(less) <= best <= value(more)
    assert best > value([6, 6, 6])


def test_reverse_hazard_weights_are_those_of_the_scheme():
    """By the update's own groups: advantages of real rewards, which see the same groups."""
    choice = Choice(resolve_rule("curverl"), known=False)
    passed = jnp.array([0.0, 1, 1, 2, 3, 3, 3, 4])
    drawn = Drawn(jnp.zeros((2, 8)), passed, 4, None, 32.0, None)
    table = choice.table(jnp.zeros(8), drawn, 4)
    rewards = (np.arange(4)[None] < np.asarray(passed)[:, None]).astype(float)
    exact = group_advantages(rewards, "curverl")
    positive, negative = (np.asarray(part)[passed.astype(int)] for part in look_up_all(table))
    mine = np.where(rewards == 1, positive[:, None], -negative[:, None])
    ratio = exact[1, 0] / mine[1, 0]
    np.testing.assert_allclose(mine * ratio, exact, atol=1e-6)


def test_reverse_hazard_weights_by_true_rates_are_theory_s():
    config = SimulationConfig(**SMALL, start="beta:1,1", spending="curverl", group_size=6)
    rules, problem = rules_of(config, config.bound["grpo"]), build(config, 0)
    success = problem.policy.success(problem.parameters)[0]
    drawn = Drawn(jnp.zeros((2, 32)), jnp.zeros(32), 6, None, 0.0, None)
    table = rules.choice.table(success, drawn, 6)
    exact = resolve_rule("curverl").allot(np.asarray(success, dtype=float), 6).scheme.table(6)
    for mine, theirs in zip(look_up_all(table), exact, strict=True):
        np.testing.assert_allclose(np.asarray(mine), theirs, atol=1e-5)
    before, after, _, responses = one_update(config)
    assert responses == 6 * 32
    assert np.any(np.asarray(before.parameters != after.parameters))


def look_up_all(table):
    return table.positive, table.negative


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
        ({"spending": "dapo"}, "needs a batch"),
        ({"spending": "curverl", "schemes": ("rloo",)}, "schemes be grpo alone"),
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
