"""Ways to spend responses: against single prompts, other modules' flows and enumeration."""

import itertools
import math

import numpy as np
import pytest
from scipy import stats
from scipy.special import expit, logit

from theory._designs import DESIGNS
from theory._group_rates import GroupRates, group_rates
from theory.advantages import group_advantages
from theory.designs import path
from theory.schemes import resolve
from theory.sharing import path_costs, spread_odds
from theory.spending import (
    SPENDING_RULES,
    SpendingRule,
    relative_spending,
    spending_cost,
)

SPREAD = np.clip(stats.beta(0.4, 0.6).ppf((np.arange(32) + 0.5) / 32), 1e-4, 1 - 1e-9)


def chosen(choice, design="fixed"):
    """A rule with groups of one size and a chance of one's own."""

    return SpendingRule(
        "mine", "Mine", "", "", "", lambda success, size: choice(success), None, design
    )


@pytest.mark.parametrize("scheme", ["grpo", "rloo", "sqrt_r"])
def test_one_prompt_takes_what_its_path_takes(scheme):
    """Quadrature along one path; energy is that of groups, hence 1/M of a response's."""
    way = path(scheme, design="fixed", group_size=8, start=0.05, target=0.8)
    cost = spending_cost("uniform", [0.05], 0.8, scheme=scheme, group_size=8)
    assert cost.responses == pytest.approx(way.time, rel=1e-4)
    assert cost.energy == pytest.approx(way.energy / 8, rel=1e-4)


def test_many_prompts_alike_are_the_mirror_flow_without_sharing():
    odds = spread_odds(0.1, 2.0, 32)
    schemes = ["rloo", "sqrt_r", "linear_r"]
    setting = {"kernel": "mirror", "sharing": 0.0, "target": 0.8, "group_size": 16}
    flow = path_costs(schemes, odds, **setting)[:, 0]
    mine = [spending_cost("uniform", expit(odds), 0.8, scheme=one).product for one in schemes]
    np.testing.assert_allclose(np.array(mine) / mine[0], flow / flow[0], rtol=2e-4)


def test_how_often_one_prompt_is_chosen_has_no_part_in_its_cost():
    plain = spending_cost("uniform", [0.03], 0.9)
    for choice in (lambda rho: 1 - rho, lambda rho: 0.1 + rho**2):
        other = spending_cost(chosen(choice), [0.03], 0.9)
        assert other.responses == pytest.approx(plain.responses, rel=1e-4)
        assert other.energy == pytest.approx(plain.energy, rel=1e-4)


def test_waiting_for_a_mixed_group_is_choosing_the_prompt_more_often():
    def mixed(success):
        return DESIGNS["until_mixed"].acceptance(16, success)

    fixed = spending_cost(chosen(lambda rho: 1 - rho), SPREAD, 0.6)
    waited = spending_cost(chosen(lambda rho: (1 - rho) * mixed(rho), "until_mixed"), SPREAD, 0.6)
    assert waited.product == pytest.approx(fixed.product, rel=1e-4)
    np.testing.assert_allclose(waited.success, fixed.success, atol=1e-4)


def test_skipping_one_round_and_waiting_bracket_a_few_rounds():
    """With one round, a prompt is updated as in fixed groups; each further round costs more."""
    ratios = relative_spending(["dapo", "rounds", "skip"], SPREAD, 0.6)
    assert ratios["skip"] < ratios["dapo"] < ratios["rounds"]
    assert ratios["dapo"] == 1


def test_a_part_of_a_response_is_a_chance_of_one():
    scheme, design = resolve("grpo"), DESIGNS["fixed"]
    success = np.array([1e-4, 0.0123, 0.4567, 0.99])
    sizes = np.array([2.0, 7.25, 16.5, 33.9])
    found = GroupRates(design).of(scheme, sizes, success)
    for place, (size, rho) in enumerate(zip(sizes, success, strict=True)):
        low, high = (
            group_rates(scheme, design, whole, np.array([rho]))[:, 0]
            for whole in (math.floor(size), math.floor(size) + 1)
        )
        mixture = low + (size - math.floor(size)) * (high - low)
        np.testing.assert_allclose(found[:, place], mixture, rtol=2e-5)


def test_rates_of_groups_are_those_of_sampled_groups():
    """Real groups of six: responses move ln π by A, which moves logit ρ by A/ρ and −A/(1−ρ)."""
    generator, rho, size = np.random.default_rng(0), 0.3, 6
    rewards = (generator.random((200_000, size)) < rho).astype(float)
    advantages = group_advantages(rewards, "grpo")
    score = np.where(rewards == 1, 1 - rho, -rho) / (rho * (1 - rho))
    drift, noise, taken = group_rates(
        resolve("grpo"), DESIGNS["fixed"], size, np.array([rho])
    ).ravel()
    moved = (advantages * score).mean(axis=1)
    assert moved.mean() == pytest.approx(drift, abs=4 * moved.std() / math.sqrt(moved.size))
    second = (advantages**2).mean(axis=1)
    assert second.mean() / size == pytest.approx(
        noise, abs=4 * second.std() / math.sqrt(second.size)
    )
    assert taken == size


def test_hard_prompts_get_the_advantages_of_a_half():
    """Σ|A| of a group is 2M√(ρ(1−ρ)) under GRPO in large groups."""
    success = np.array([0.05, 0.2, 0.5, 0.8])
    equal = SPENDING_RULES["dars_et"].allot(success, 16)
    total = 2 * equal.group_size * np.sqrt(success * (1 - success))
    np.testing.assert_allclose(total[:3], 16, rtol=1e-12)
    hard = SPENDING_RULES["dars_hw"].allot(success, 16)
    total = 2 * hard.group_size * np.sqrt(success * (1 - success))
    np.testing.assert_allclose(total[:3], 16 * 2 * (1 - success[:3]), rtol=1e-12)
    assert equal.group_size[3] == hard.group_size[3] == 16


def test_the_knapsack_is_the_best_of_all_divisions():
    success, size = np.array([0.03, 0.3, 0.9]), 6

    def value(sizes):
        sizes = np.asarray(sizes, dtype=float)
        mixed = 1 - success**sizes - (1 - success) ** sizes
        return float(np.sum(mixed * success * (1 - success) ** 2))

    sizes = SPENDING_RULES["knapsack"].allot(success, size).group_size
    assert sizes.mean() == pytest.approx(size, abs=1e-6)
    best = max(value(s) for s in itertools.product(range(2, 17), repeat=3) if sum(s) == 3 * size)
    whole = np.floor(sizes)
    assert value(whole) <= best
    assert value(np.ceil(sizes)) >= best > value([size] * 3)


def test_reverse_hazard_weights_are_those_of_the_scheme():
    """ρ = ½ and M = 3: as many groups with one right response as with two."""
    given = SPENDING_RULES["curverl"].allot(np.array([0.5, 0.5]), 3)
    positive, negative = given.scheme.table(3)
    rewards = np.array([[1.0, 0, 0], [1, 1, 0]])
    real = group_advantages(rewards, "curverl")
    assert real[0, 0] / real[1, 0] == pytest.approx(positive[1] / positive[2])
    assert real[0, 1] / real[1, 2] == pytest.approx(negative[1] / negative[2])


def test_prompts_that_are_never_or_always_solved_stay():
    cost = spending_cost("uniform", [0.0, 0.3, 1.0], 0.5)
    assert cost.success[0] == 0
    assert cost.success[2] == 1
    assert cost.success.mean() == pytest.approx(0.5, abs=1e-5)


def test_a_target_out_of_reach_takes_for_ever():
    assert spending_cost("uniform", [0.0, 0.3], 0.8).responses == math.inf
    assert spending_cost("pool", [0.01, 0.3], 0.8).product == math.inf
    with pytest.raises(ValueError, match="Difficulty pool does not reach"):
        relative_spending(["uniform"], [0.01, 0.3], 0.8, reference="pool")


def test_longer_wrong_responses_cost_their_length():
    plain = spending_cost("uniform", [0.2, 0.5], 0.7)
    longer = spending_cost("uniform", [0.2, 0.5], 0.7, length_ratio=3.0)
    assert plain.responses < longer.responses < 3 * plain.responses
    assert longer.energy == pytest.approx(plain.energy, rel=1e-5)


@pytest.mark.parametrize(
    ("rule", "start", "target", "message"),
    [
        ("everything", [0.5], 0.9, "must be one of uniform, dapo"),
        ("uniform", [0.5], 0.4, "above the mean start, 0.5"),
        ("uniform", [0.5], 1.0, "below 1"),
        ("uniform", [1.5], 0.9, r"\[0, 1\]"),
    ],
)
def test_what_cannot_be_spent_is_refused(rule, start, target, message):
    with pytest.raises(ValueError, match=message):
        spending_cost(rule, start, target)


def test_log_odds_of_the_end_are_those_of_the_flow():
    """With Uniform-R in large groups every prompt gains the same log-odds."""
    start = np.array([0.2, 0.5])
    scheme = resolve("dr_grpo")  # ω = 1 up to (M − 1)/M, for every ρ
    end = spending_cost("uniform", start, 0.6, scheme=scheme, group_size=64).success
    gained = logit(end) - logit(start)
    assert gained[0] == pytest.approx(gained[1], rel=1e-4)
