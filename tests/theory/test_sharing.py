"""Prompts that share parameters: the derived table, SciPy's integrator, and the single prompt."""

import numpy as np
import pytest
from scipy import integrate
from scipy.special import expit

from theory._kernel_flow import score_variances
from theory.designs import drift, path, second_moment
from theory.schemes import Scheme
from theory.sharing import block_kernel, path_costs, relative_cost, spread_odds
from theory.tables import table_scheme

SCHEMES = (
    "rloo",
    "sqrt_r",
    "sqrt_r:zero_success=drop",
    "linear_r",
    "uniform_r",
    "maxrl",
    Scheme.from_weight(lambda success: success**-0.5, "half"),
    Scheme.from_weight(lambda success: success ** (-1 / 3), "third"),
)

TABLE = {
    (0.01, 0, 0.3): (1.158, 1.099, 1.069, 1.426, 1.021, 1.366, 0.986, 0.987),
    (0.01, 1, 0): (1.205, 0.628, 0.571, 0.651, 0.947, 0.564, 0.640, 0.750),
    (0.01, 1, 0.5): (1.080, 1.044, 0.987, 1.234, 1.113, 1.147, 0.896, 0.906),
    (0.1, 2, 0.5): (1.010, 0.996, 0.968, 1.239, 1.160, 1.183, 0.873, 0.876),
    (0.1, 2, 1): (0.950, 1.436, 1.400, 2.061, 1.250, 1.995, 1.117, 1.014),
    (0.4, 2, 0): (1.051, 0.722, 0.721, 0.878, 1.110, 0.859, 0.718, 0.771),
    (0.4, 2, 0.5): (0.950, 0.930, 0.927, 1.169, 1.227, 1.159, 0.846, 0.849),
}
"""Start, spread and sharing → cost over GRPO's, from a derivation and quadrature elsewhere."""

STEPS = {
    (0.01, 1, 0): (1.180, 0.599, 0.548, 0.577, 0.962, 0.500, 0.608, 0.722),
    (0.01, 1, 1): (0.958, 1.199, 1.141, 1.289, 1.196, 1.222, 1.018, 0.984),
    (0.1, 2, 0): (1.129, 0.516, 0.483, 0.491, 0.971, 0.425, 0.542, 0.663),
    (0.1, 2, 0.5): (0.999, 0.934, 0.914, 1.057, 1.168, 1.017, 0.830, 0.848),
    (0.4, 2, 1): (0.942, 1.201, 1.196, 1.658, 1.242, 1.647, 1.043, 0.981),
}
"""The same with steps of equal size."""


@pytest.mark.parametrize("setting", TABLE)
def test_costs_are_those_of_the_derivation(setting):
    start, spread, sharing = setting
    odds = spread_odds(start, spread)
    costs = path_costs([*SCHEMES, "grpo"], odds, sharing=sharing, target=0.9, group_size=16)[:, 0]
    np.testing.assert_allclose(costs[:-1] / costs[-1], TABLE[setting], atol=6e-4)
    one = relative_cost("sqrt_r", start=start, spread=spread, sharing=sharing)
    assert one == pytest.approx(costs[1] / costs[-1], rel=1e-9)


@pytest.mark.parametrize("setting", STEPS)
def test_costs_of_steps_of_equal_size_are_those_of_the_derivation(setting):
    start, spread, sharing = setting
    costs = path_costs(
        [*SCHEMES, "grpo"],
        spread_odds(start, spread),
        sharing=sharing,
        target=0.9,
        group_size=16,
        budget="steps",
    )[:, 0]
    np.testing.assert_allclose(costs[:-1] / costs[-1], STEPS[setting], atol=6e-4)


def test_the_best_schedule_of_steps_is_never_dearer_than_constant_steps():
    """Cauchy and Schwarz: (∫√(c n) dt)² ≤ ∫c dt ∫n dt."""
    odds = spread_odds(0.05, 1.5, 16)
    setting = {"sharing": 0.3, "target": 0.8, "group_size": 8}
    schemes = ["grpo", "linear_r", "psr", "rloo"]
    constant = path_costs(schemes, odds, **setting)
    assert np.all(path_costs(schemes, odds, budget="steps", **setting) <= constant)


def test_one_block_is_a_sharing_and_blocks_learn_by_themselves():
    setting = {"target": 0.8, "group_size": 4}
    odds = np.array([-2.0, -1.0, 0.0])
    shared = path_costs(["sqrt_r"], odds, sharing=0.4, **setting)
    block = path_costs(["sqrt_r"], odds, kernel=block_kernel([3], 0.4), **setting)
    assert block == pytest.approx(shared, rel=1e-6)
    apart = path_costs(["sqrt_r"], odds, sharing=0.0, **setting)
    blocks = path_costs(["sqrt_r"], odds, kernel=block_kernel([1, 1, 1], 0.4), **setting)
    assert blocks == pytest.approx(apart, rel=1e-6)


def test_prompts_lose_where_a_kernel_is_negative():
    """Two prompts of a policy in which one loses half of what the other learns, by SciPy."""
    kernel, odds, size, target = np.array([[2.0, -1.0], [-0.5, 3.0]]), np.array([-2.0, 0.5]), 4, 0.8

    def slope(_, state):
        rho = expit(state[:2])
        speed = drift("grpo", rho, design="fixed", group_size=size) * rho * (1 - rho)
        noise = second_moment("grpo", rho, design="fixed", group_size=size).mean()
        return [*(kernel @ speed / 2), size, noise, np.sqrt(size * noise)]

    def there(_, state):
        return expit(state[:2]).mean() - target

    there.terminal = True
    solved = integrate.solve_ivp(
        slope, (0, 1000), [*odds, 0, 0, 0], events=there, rtol=1e-9, atol=1e-10, method="DOP853"
    )
    time, energy, length = solved.y_events[0][0][2:]
    for budget, cost in (("energy", time * energy), ("steps", length**2)):
        found = path_costs(
            ["grpo"], odds, kernel=kernel, target=target, group_size=size, budget=budget
        )
        assert found[0, 0] == pytest.approx(cost, rel=1e-4)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"kernel": np.ones((2, 2))}, r"shape \(3, 3\); got \(2, 2\)"),
        ({"kernel": np.full((3, 3), np.nan)}, "finite numbers"),
        ({"kernel": np.eye(3), "sharing": 0.5}, "sharing is 0"),
        ({"kernel": np.eye(3), "unsolvable": 0.1}, "unsolvable is 0"),
        ({"concentration": (0.5, 1.5)}, "two numbers in \\[0, 1\\]"),
        ({"budget": "weight"}, "budget must be energy or steps"),
    ],
)
def test_what_is_no_kernel_is_refused(change, sentence):
    with pytest.raises(ValueError, match=sentence):
        path_costs(["grpo"], np.zeros(3), **{"target": 0.9, "group_size": 4, **change})


def test_score_variances_are_those_of_a_softmax():
    """E|e_a − π|² over right and over wrong answers, summed answer by answer."""
    right, wrong = np.array([0.5, 0.3, 0.2]), np.array([0.6, 0.3, 0.1, 0.0])
    for rho in (0.0, 0.01, 0.4, 1.0):
        policy = np.concatenate([rho * right, (1 - rho) * wrong])
        score = np.square(np.eye(7) - policy).sum(axis=1)
        found = score_variances(np.array([rho]), np.sum(right**2), np.sum(wrong**2))
        assert found[0][0] == pytest.approx(right @ score[:3], rel=1e-12)
        assert found[1][0] == pytest.approx(wrong @ score[3:], rel=1e-12)


def test_few_answers_make_no_noise_where_prompts_are_solved():
    setting = {"sharing": 0.5, "target": 0.9, "group_size": 16}
    odds = spread_odds(0.05, 4.0, 16)
    many, few = (
        path_costs(["rloo", "sqrt_r", "grpo"], odds, concentration=(h, h), **setting)[:, 0]
        for h in (0.0, 1.0)
    )
    # Sqrt-R's weights lie on hard prompts, which two answers leave without noise as well.
    assert few[1] / few[2] < 0.9 < 1 < many[1] / many[2]


def test_blocks_without_prompts_are_refused():
    with pytest.raises(ValueError, match="a prompt each at least"):
        block_kernel([2, 0], 0.5)


def test_the_natural_gradient_keeps_grpo_where_prompts_move_together():
    third = SCHEMES[-1]
    values = [
        relative_cost(third, start=start, spread=2.0, sharing=1.0, kernel="mirror")
        for start in (0.1, 0.4)
    ]
    assert 1 < max(values) < 1.45


@pytest.mark.parametrize(("kernel", "design"), [("softmax", "until_any"), ("mirror", "fixed")])
def test_costs_agree_with_an_integrator_of_scipy(kernel, design):
    odds, sharing, size, target, unsolvable = np.array([-3.0, -1.0, 0.5]), 0.4, 4, 0.8, 0.25
    able = 1 - unsolvable
    setting = {"design": design, "group_size": size}

    def slope(_, state):
        rho = expit(state[:3])
        used = 1 - (1 - rho) ** size if design == "until_any" else np.ones(3)
        speed = used * drift("linear_r", rho, **setting)
        if kernel == "softmax":
            speed = speed * rho * (1 - rho)
        noise = used * second_moment("linear_r", rho, **setting)
        moved = (1 - sharing) * speed + sharing * able * speed.mean()
        # An all-wrong group of Linear-R is used, with every advantage −1, or it is not.
        all_wrong = design == "fixed"
        updates = able * used.mean() + (1 - able) * all_wrong
        return [*moved, 2 * updates + 0.5 * size, able * noise.mean() + (1 - able) * all_wrong]

    def there(_, state):
        return expit(state[:3]).mean() - target

    there.terminal = True
    solved = integrate.solve_ivp(
        slope, (0, 1000), [*odds, 0, 0], events=there, rtol=1e-9, atol=1e-10, method="DOP853"
    )
    time, energy = solved.y_events[0][0][3:]
    found = path_costs(
        ["linear_r"],
        odds,
        sharing=sharing,
        target=target,
        unsolvable=unsolvable,
        kernel=kernel,
        update_cost=2.0,
        response_cost=0.5,
        **setting,
    )
    assert found[0, 0] == pytest.approx(time * energy, rel=1e-4)


@pytest.mark.parametrize("design", ["fixed", "until_mixed"])
def test_equal_prompts_are_one_prompt(design):
    setting = {"design": design, "group_size": 8}
    for kernel, dynamics in (("mirror", "mirror"), ("softmax", lambda p: (p * (1 - p)) ** 2)):
        one = path("sqrt_r", start=0.05, target=0.9, dynamics=dynamics, **setting)
        for sharing in (0.0, 1.0):
            found = path_costs(
                ["sqrt_r"],
                spread_odds(0.05, 0.0),
                sharing=sharing,
                target=0.9,
                kernel=kernel,
                **setting,
            )
            assert found[0, 0] == pytest.approx(one.product("energy"), rel=1e-4)


def test_sets_are_followed_side_by_side():
    sets = np.array([[-2.0, 0.0], [-3.0, -1.0], [5.0, 5.0]])
    together = path_costs(["grpo", "psr"], sets, sharing=0.5, target=0.7, group_size=4)
    for place, one in enumerate(sets):
        alone = path_costs(["grpo", "psr"], one, sharing=0.5, target=0.7, group_size=4)
        np.testing.assert_allclose(together[:, place], alone[:, 0], rtol=1e-4)
    assert together[:, 2].tolist() == [0, 0]  # there from the start


def test_prompts_that_cannot_be_solved_are_noise_only_to_who_penalises_them():
    setting = {"sharing": 0.0, "target": 0.9, "group_size": 8, "unsolvable": [0.0, 0.5]}
    odds = np.zeros((2, 4))
    grpo, linear = path_costs(["grpo", "linear_r"], odds, **setting)
    # Half of the energy, and as much time: it is a mean over twice as many prompts.
    assert grpo[1] == pytest.approx(grpo[0] / 2, rel=1e-9)
    assert linear[1] > linear[0]


def test_who_unlearns_never_arrives():
    against = table_scheme(-np.ones(17), np.zeros(17), name="against", title="against")
    assert relative_cost(against, start=0.3, spread=1.0, sharing=0.5) == np.inf


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"start": 0.0}, "a path starts above 0"),
        ({"target": 0.01}, "0.01"),
        ({"spread": -1.0}, "spread must be"),
        ({"sharing": 1.5}, "sharing must lie in"),
        ({"kernel": "other"}, "kernel must be softmax or mirror or a matrix"),
        ({"scheme": "lens"}, "lens"),
        ({"group_size": 1.5}, "group"),
    ],
)
def test_what_is_no_setting_is_refused(change, sentence):
    setting = {"scheme": "rloo", "start": 0.1, "spread": 1.0, "sharing": 0.5} | change
    with pytest.raises(ValueError, match=sentence):
        relative_cost(setting.pop("scheme"), **setting)
