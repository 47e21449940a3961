"""Exact measurements against brute force over answers, attempts and groups."""

import itertools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from sim.config import SimulationConfig
from sim.measure import by_name, measure
from sim.policies.bandit import Bandit
from sim.problems import build
from sim.rates import kept_groups, mixed_share
from sim.tables import expected_weight, scheme_table
from sim.update import Rules
from theory import finite_group
from theory.advantages import group_advantages
from theory.schemes import resolve

MEASURE = jax.jit(measure, static_argnames=("rules", "pass_k"))
# A program compiles sooner than its operations one by one.
GROUP = 4
PROBABILITIES = np.random.default_rng(0).dirichlet(np.ones(5), size=3).T
"""Five answers to three prompts; the first two answers are correct."""


def measured(probabilities=PROBABILITIES, pass_k=(1, 3), table=None, rate=0.5, **options):
    policy, rules = Bandit(len(probabilities), 2), Rules("softmax", GROUP, **options)
    return named(policy, jnp.log(jnp.asarray(probabilities)), rules, pass_k, table, rate)


def named(policy, parameters, rules, pass_k, *scheme):
    found = MEASURE(policy, parameters, rules, pass_k, *scheme)
    of_one_cell = {name: np.asarray(value)[None] for name, value in found.items()}
    return {name: float(value[0]) for name, value in by_name(of_one_cell, pass_k).items()}


def test_pass_at_k_and_groups_are_those_of_enumerated_draws():
    got, count = measured(pass_k=(1, 3)), PROBABILITIES.shape[1]
    solved, wrong, right = 0.0, 0.0, 0.0
    for draws in itertools.product(range(5), repeat=GROUP):
        chance = PROBABILITIES[list(draws)].prod(axis=0).sum() / count
        hits = [answer < 2 for answer in draws]
        wrong += chance * (not any(hits))
        right += chance * all(hits)
        solved += chance * any(hits[:3])
    assert got["pass@3"] == pytest.approx(solved, rel=1e-12)
    assert got["pass@1"] == pytest.approx(got["success"], rel=1e-12)
    assert got["success"] == pytest.approx(PROBABILITIES[:2].sum(axis=0).mean(), rel=1e-12)
    assert got["all_wrong"] == pytest.approx(wrong, rel=1e-12)
    assert got["all_right"] == pytest.approx(right, rel=1e-12)
    assert got["mixed"] == pytest.approx(1 - wrong - right, rel=1e-12)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.float64])
def test_entropies_of_a_confident_policy_count_its_likeliest_answer(dtype):
    """Of H, rest is −ln(1 − rest): 5 % of it here, though 1 − rest rounds to 1."""
    rest = np.array([1e-9, 5e-10])
    probabilities = np.append(rest, 1 - rest.sum())[[0, 2, 1], None]  # correct ones first
    policy = Bandit(3, 2)
    logits = jnp.log(jnp.asarray(probabilities, dtype))
    got = MEASURE(policy, logits, Rules("softmax", GROUP), (1,))
    every = rest.sum() - (rest * np.log(rest)).sum()
    right = rest[0] - rest[0] * np.log(rest[0])
    # Logarithms of float32 near −21 are known to 1e-7 of themselves, masses to 21 times that.
    tolerance = 1e-5 if dtype == jnp.float32 else 1e-9
    assert float(got["entropy"]) == pytest.approx(every, rel=tolerance)
    assert float(got["entropy_correct"]) == pytest.approx(right, rel=tolerance)


def test_entropies_are_those_of_scipy():
    got = measured()
    assert got["entropy"] == pytest.approx(stats.entropy(PROBABILITIES).mean(), rel=1e-12)
    among = stats.entropy(PROBABILITIES[:2])  # SciPy normalises
    assert got["entropy_correct"] == pytest.approx(among.mean(), rel=1e-12)


def enumerated_weight(scheme, success, attempts=1):
    """E[(1/M) Σ A_i (r_i − ρ)] of the groups that are kept, one prompt."""
    total, mixed = 0.0, 1 - success**GROUP - (1 - success) ** GROUP
    for rewards in itertools.product((0.0, 1.0), repeat=GROUP):
        hits = int(sum(rewards))
        chance = success**hits * (1 - success) ** (GROUP - hits)
        if attempts > 1 and 0 < hits < GROUP:
            # Kept at the first attempt that is mixed.
            chance *= sum((1 - mixed) ** n for n in range(attempts))
        options = {"baseline": np.array([success])} if resolve(scheme).needs_baseline else {}
        advantages = group_advantages(np.array(rewards), scheme, **options)
        total += chance * (advantages * (np.array(rewards) - success)).mean()
    return total


@pytest.mark.parametrize(
    ("scheme", "attempts"),
    [("grpo", 1), ("linear_r", 1), ("psr", 1), ("w_reinforce", 1), ("ppo", 1), ("dapo", 3)],
)
def test_effective_weight_is_what_enumerated_groups_realise(scheme, attempts):
    bound = resolve(scheme)
    given = (
        {"scheme": bound}
        if bound.needs_baseline
        else {"table": scheme_table(resolve(scheme), GROUP, "float64")}
    )
    sampling = "until_mixed" if attempts > 1 else "fixed"
    got = measured(**given, attempts=attempts, sampling=sampling)["effective_weight"]
    success = PROBABILITIES[:2].sum(axis=0)
    expected = np.mean([enumerated_weight(scheme, rho, attempts) for rho in success])
    assert got == pytest.approx(expected, rel=1e-10)


def test_effective_weight_of_the_population_limit_is_the_schemes():
    policy, success = Bandit(5, 2), PROBABILITIES[:2].sum(axis=0)
    rules = Rules("mirror", None, resolve("sqrt_r"))
    values = MEASURE(policy, jnp.log(PROBABILITIES), rules, (1,), None, 0.5)
    assert float(values["effective_weight"]) == pytest.approx(np.sqrt(1 - success).mean())
    assert "mixed" not in values


def test_no_effective_weight_is_claimed_where_confidences_decide():
    assert "effective_weight" not in measured(scheme=resolve("lens"))


def test_kept_groups_has_its_limits():
    ends = np.array([0.0, 1.0, 1e-12, 0.5])
    got = kept_groups(mixed_share(ends, 1 - ends, 64), 10)
    np.testing.assert_allclose(got, [10, 10, 10, 1], rtol=1e-6)


@pytest.mark.parametrize("scheme", ["grpo", "uniform_r", "nsr", "maxrl"])
def test_traced_weight_is_that_of_the_theory(scheme):
    success = np.array([0.0, 1e-9, 0.01, 0.5, 0.99, 1.0])
    got = expected_weight(scheme_table(resolve(scheme), 16, "float64"), success, 1 - success)
    np.testing.assert_allclose(got, finite_group.expected_weight(scheme, 16, success), rtol=1e-8)


def test_small_rates_keep_their_digits_in_single_precision():
    rho = 1e-7
    column = np.array([[rho / 2], [rho / 2], [1 - rho]], np.float32)
    values = named(Bandit(3, 2), jnp.log(column), Rules("softmax", GROUP), (1, 1024))
    assert values["pass@1"] == pytest.approx(rho, rel=1e-5)
    assert values["mixed"] == pytest.approx(GROUP * rho, rel=1e-5)
    assert values["pass@1024"] == pytest.approx(-math.expm1(1024 * math.log1p(-rho)), rel=1e-5)


@pytest.mark.parametrize("prompts", [13, 4])
def test_fifths_are_of_initial_difficulty_hardest_first(prompts):
    config = SimulationConfig(
        schemes=("grpo",), prompts=prompts, start="loguniform:0.01,0.9", precision="float64"
    )
    problem = build(config, 0)
    success = np.asarray(problem.policy.success(problem.parameters)[0])
    assert np.all(np.diff(success) > 0)
    got = named(problem.policy, problem.parameters, Rules("softmax", GROUP), (1, 8))
    if prompts < 5:
        assert not [name for name in got if "/" in name]
        return
    solved = 1 - (1 - success) ** 8
    edges = [round(prompts * n / 5) for n in range(6)]
    for fifth in range(5):
        part = slice(edges[fifth], edges[fifth + 1])
        np.testing.assert_allclose(got[f"success/q{fifth + 1}"], success[part].mean(), rtol=1e-10)
        np.testing.assert_allclose(got[f"pass@8/q{fifth + 1}"], solved[part].mean(), rtol=1e-10)
