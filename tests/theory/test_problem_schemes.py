"""Schemes made for a problem: they are what theory.designs and the theorem say."""

import math

import numpy as np
import pytest
from scipy import integrate

from theory.advantages import group_advantages
from theory.best_tables import best_table
from theory.designs import excess
from theory.finite_group import expected_weight
from theory.optimal import optimal_weight
from theory.schemes import SCHEMES, reference, register, resolve


@pytest.mark.parametrize(
    ("design", "size"), [("fixed", 16), ("fixed", 1), ("until_any", 4), ("until_mixed", 8)]
)
def test_the_best_table_loses_nothing_to_itself_and_others_do(design, size):
    problem = {"start": 0.02, "target": 0.8, "design": design, "group_size": size}
    text = f"best_table:start=0.02,target=0.8,design={design},group_size={size}"
    assert excess(text, **problem) == pytest.approx(1, abs=1e-9)
    assert excess(f"best_table:start=0.02,target=0.8,design={design}", **problem) == pytest.approx(
        1, abs=1e-9
    )
    best = best_table(**problem)
    np.testing.assert_array_equal(resolve(text).table(size), (best.positive, best.negative))
    if size > 1:
        assert excess("grpo", **problem) > 1.01
        assert excess("best_table:start=0.3,target=0.8", **problem) > 1 + 1e-6


@pytest.mark.parametrize("costs", [(0.0, 1.0), (1.0, 0.0), (1.0, 0.25)])
def test_in_the_population_the_optimal_scheme_is_the_theorem_s_weight(costs):
    update, response = costs
    clock = f"affine:update={update},response={response}"
    exact = optimal_weight(0.02, 0.8, clock=clock)
    scheme = resolve(
        f"optimal:start=0.02,target=0.8,design=population,update_cost={update},"
        f"response_cost={response}"
    )
    success = np.array([1e-9, 0.02, 0.3, 0.8, 0.999])
    np.testing.assert_allclose(scheme.weight(success), exact.weight(success), rtol=1e-9)
    assert exact.excess(scheme) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("design", ["fixed", "until_any", "until_mixed", "first_success"])
def test_the_optimal_weight_of_a_design_spends_a_unit_of_budget_and_follows_its_clock(design):
    responses = {
        "fixed": lambda p: 8.0,
        "until_any": lambda p: 8 / (1 - (1 - p) ** 8),
        "until_mixed": lambda p: 8 / (1 - (1 - p) ** 8 - p**8),
        "first_success": lambda p: 1 / p,
    }[design]
    scheme = resolve(f"optimal:start=0.05,target=0.7,design={design},group_size=8")
    budget, _ = integrate.quad(lambda p: float(scheme.weight(p)), 0.05, 0.7, epsabs=1e-12)
    assert budget == pytest.approx(1, rel=1e-9)
    at = np.array([0.05, 0.2, 0.7])
    shape = np.array([math.sqrt((responses(p)) / (p * (1 - p))) for p in at])
    np.testing.assert_allclose(scheme.weight(at) / shape, scheme.weight(0.2) / shape[1], rtol=1e-9)


def test_groups_that_a_design_does_not_use_teach_nothing():
    wrong = [[0, 0, 0, 0]]
    for design in ("until_any", "until_mixed"):
        for name in ("optimal", "best_table"):
            assert not np.any(group_advantages(wrong, f"{name}:design={design}"))
    assert np.all(group_advantages(wrong, "best_table") < 0)


def test_a_reference_leads_back_and_names_are_taken():
    for text in (
        "optimal:start=0.05,design=until_mixed,group_size=8",
        "best_table:target=0.7,update_cost=2",
        "optimal",
    ):
        assert reference(resolve(text)) == text
        assert resolve(resolve(text).label) == resolve(text)
        assert hash(resolve(text)) == hash(resolve(text))
    assert not {"optimal", "best_table"} & set(SCHEMES)
    with pytest.raises(ValueError, match="there is a scheme called 'optimal'"):
        register(lambda success: 1 / success, "optimal")


@pytest.mark.parametrize("kind", ["numpy", "jax", "torch"])
def test_every_kind_of_array_gets_the_same_advantages(kind):
    rewards = np.array([[1.0, 0, 0, 0], [0, 0, 0, 0], [1, 1, 0, 1]])
    if kind == "numpy":
        given = rewards
    elif kind == "jax":
        jax = pytest.importorskip("jax")
        given = jax.numpy.asarray(rewards)
    else:
        given = pytest.importorskip("torch").tensor(rewards)
    for name in ("optimal:design=first_success", "best_table:start=0.05"):
        positive, negative = resolve(name).table(4)
        correct = rewards.sum(axis=1).astype(int)[:, None]
        expected = np.where(rewards == 1, positive[correct], -negative[correct])
        np.testing.assert_allclose(np.asarray(group_advantages(given, name)), expected, rtol=1e-6)
        found = group_advantages(given, f"{name},group_size=4", valid=given == given)
        np.testing.assert_allclose(np.asarray(found), expected, rtol=1e-6)


def test_under_jit_the_group_size_is_that_of_the_rewards():
    jax = pytest.importorskip("jax")
    rewards = jax.numpy.asarray([[1.0, 0, 0, 0], [0, 0, 0, 0]])
    for name in ("optimal:design=until_any", "best_table"):
        plain = np.asarray(group_advantages(rewards, name))
        traced = jax.jit(lambda r, name=name: group_advantages(r, name))(rewards)
        np.testing.assert_allclose(np.asarray(traced), plain, rtol=1e-6)


@pytest.mark.parametrize(
    ("use", "sentence"),
    [
        (lambda: resolve("optimal:start=0.9,target=0.1"), "target must lie above start"),
        (lambda: resolve("best_table:start=0"), "a path starts above 0 and ends below 1"),
        (lambda: resolve("best_table:design=population"), "must be one of fixed, until_any"),
        (lambda: resolve("optimal:design=always"), "must be one of fixed, until_any"),
        (lambda: resolve("best_table:update_cost=0,response_cost=0"), "not both 0"),
        (lambda: resolve("best_table:group_size=4").table(8), "is for groups of 4; got groups of"),
        (lambda: resolve("best_table").weight(0.3), "made for groups of one size"),
        (lambda: resolve("optimal:design=until_any").weight(0.3), "made for groups of one size"),
        (lambda: resolve("best_table:design=until_mixed").table(1), "groups of at least 2"),
    ],
)
def test_refusals(use, sentence):
    with pytest.raises(ValueError, match=sentence):
        use()


def test_the_drift_of_the_best_table_is_that_of_its_coefficients():
    best = best_table(start=0.01, target=0.9, group_size=16)
    success = np.array([0.01, 0.3, 0.9])
    realised = expected_weight("best_table:start=0.01,target=0.9", 16, success)
    np.testing.assert_allclose(realised, best.drift(success), rtol=1e-12)
