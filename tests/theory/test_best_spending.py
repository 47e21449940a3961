"""The cheapest way to spend: a brute search, the flow itself, and the population's optimum."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from theory._designs import DESIGNS
from theory._group_rates import group_rates
from theory.best_spending import best_spending
from theory.population import optimal_population
from theory.schemes import resolve
from theory.spending import SPENDING_RULES, spending_cost

SPREAD = np.clip(stats.beta(0.4, 0.6).ppf((np.arange(32) + 0.5) / 32), 1e-4, 1 - 1e-9)


def test_no_choice_of_ends_is_cheaper():
    """Every pair of ends of three prompts on a grid, with lengths by SciPy's quadrature."""
    start, target, size = np.array([0.02, 0.2, 0.7]), 0.6, 8

    def terms(rho):
        drift, noise, taken = group_rates(
            resolve("grpo"), DESIGNS["fixed"], size, np.array([rho])
        ).ravel()
        speed = drift * rho * (1 - rho)
        return taken / speed, noise / speed

    def spent(low, high):
        return np.array([integrate.quad(lambda p, k=k: terms(p)[k], low, high)[0] for k in (0, 1)])

    best = best_spending(start, target, sizes=size)
    ends = [np.linspace(one, 0.97, 14) for one in start[:2]]
    rows = [
        [spent(one, float(end)) for end in grid] for one, grid in zip(start, ends, strict=False)
    ]
    products = []
    for first, second in itertools.product(range(14), repeat=2):
        third = 3 * target - ends[0][first] - ends[1][second]
        if 0.7 <= third < 0.999:
            responses, energy = rows[0][first] + rows[1][second] + spent(0.7, third)
            products.append(responses * energy / 9)
    assert best.product <= min(products) * (1 + 1e-6)
    assert best.product == pytest.approx(min(products), rel=0.03)  # a grid of steps of 0.07
    assert best.gap < 0.05  # it shrinks like 1/prompts


def test_the_flow_of_the_rule_costs_what_the_optimum_costs():
    for target in (0.55, 0.7):
        best = best_spending(SPREAD, target, sizes=16)
        # The rule stops each prompt at the common end, so that the last of it takes for ever.
        flow = spending_cost(best.rule(), SPREAD, target - 1e-5)
        assert flow.product == pytest.approx(best.product, rel=1e-3)


@settings(max_examples=8, deadline=None)
@given(
    st.lists(st.floats(0.01, 0.9), min_size=3, max_size=8),
    st.floats(0.05, 0.5),
    st.sampled_from(["grpo", "rloo", "sqrt_r:zero_success=drop"]),
)
def test_no_rule_is_cheaper(start, part, scheme):
    target = float(np.mean(start)) + part * (0.95 - float(np.mean(start)))
    if not np.mean(start) < target:
        return
    best = best_spending(start, target, scheme=scheme, free_scale=True)
    fixed = best_spending(start, target, scheme=scheme, sizes=16)
    for name in SPENDING_RULES:
        if name != "curverl":  # which has weights of its own
            found = spending_cost(name, start, target, scheme=scheme).product
            assert best.product <= found * (1 + 1e-4)
    for name in ("uniform", "skip", "rounds", "pool", "prioritised"):
        assert fixed.product <= spending_cost(name, start, target, scheme=scheme).product * 1.0001
    assert best.product <= fixed.product * (1 + 1e-6)


def test_large_groups_with_free_scales_are_the_optimum_of_the_population():
    best = best_spending(SPREAD, 0.6, sizes=1024, free_scale=True, scheme="dr_grpo")
    population = optimal_population(SPREAD, 0.6, clock="updates")
    assert best.product == pytest.approx(population.time * 1024 / 1023, rel=1e-3)
    np.testing.assert_allclose(best.end, population.end, atol=0.02)


def test_any_scheme_of_pass_rates_is_as_good_when_its_scale_is_free():
    """n/ω² = ρ(1−ρ) in large groups, whatever ω is."""
    products = [
        best_spending(SPREAD, 0.6, sizes=512, free_scale=True, scheme=name).product
        for name in ("grpo", "dr_grpo", "linear_r:zero_success=drop")
    ]
    np.testing.assert_allclose(products, products[0], rtol=0.02)


@pytest.mark.parametrize("length_ratio", [1.0, 4.0])
def test_sizes_are_those_with_the_least_noise_for_their_cost(length_ratio):
    """M_i ∝ ω_i √(ρ_i(1−ρ_i)/τ_i), the least Σ ω²ρ(1−ρ)/M at Σ τM, in large groups."""
    sizes = np.unique(np.geomspace(64, 1024, 60).round().astype(int)).tolist()
    best = best_spending(
        [0.1, 0.3, 0.5], 0.8, scheme="dr_grpo", sizes=sizes, length_ratio=length_ratio
    )
    success = np.array([0.1, 0.25, 0.5])
    tokens = success + length_ratio * (1 - success)
    wanted = np.sqrt(success * (1 - success) / tokens)
    found = best.group_size(success) / best.group_size(success)[-1]
    inside = (best.group_size(success) > 64) & (best.group_size(success) < 1024)
    assert inside.sum() >= 2
    # Sizes stand 5 % apart.
    np.testing.assert_allclose(found[inside], (wanted / wanted[-1])[inside], rtol=0.06)


def test_with_the_best_choice_weights_add_next_to_nothing():
    chosen = best_spending(SPREAD, 0.6, sizes=16)
    weighed = best_spending(SPREAD, 0.6, sizes=16, free_scale=True)
    assert weighed.product <= chosen.product
    assert weighed.product == pytest.approx(chosen.product, rel=0.01)
    assert chosen.product < 0.7 * spending_cost("uniform", SPREAD, 0.6).product


def test_scales_are_one_at_a_half_and_of_a_fixed_scheme():
    best = best_spending(SPREAD, 0.6, sizes=16, free_scale=True)
    assert best.scale([0.5]).tolist() == pytest.approx([1.0])
    assert best_spending(SPREAD, 0.6, sizes=16).scale([0.1, 0.5]).tolist() == [1, 1]


def test_a_notebook_shows_the_pool():
    shown = best_spending([0.001, 0.2, 0.6, 0.95], 0.6, sizes=16)._repr_html_()
    assert "Best spending" in shown
    assert "0.2 to 0.725" in shown


def test_prompts_that_are_never_solved_are_left_alone():
    best = best_spending([0.0, 0.2, 0.4], 0.5, sizes=8)
    assert best.end[0] == 0
    assert best.end.mean() == pytest.approx(0.5, abs=1e-6)
    assert best.price == pytest.approx(best.responses / best.energy, rel=1e-3)


@pytest.mark.parametrize(
    ("start", "target", "setting", "message"),
    [
        ([0.5], 0.4, {}, "above the mean start"),
        ([0.0, 0.5], 0.6, {}, "cannot bring the mean to 0.6"),
        ([0.5], 0.9, {"sizes": []}, "a group size at least"),
        ([0.5], 0.9, {"sizes": [0]}, "group_size"),
        ([0.5], 0.9, {"scheme": "lens"}, "lens"),
        ([0.5], 0.9, {"response_cost": -1.0}, "at least 0"),
        ([0.5], 0.9, {"length_ratio": 0.0}, "length_ratio"),
    ],
)
def test_what_cannot_be_planned_is_refused(start, target, setting, message):
    with pytest.raises(ValueError, match=message):
        best_spending(start, target, **setting)
