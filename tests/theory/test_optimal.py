"""Optimal weights: the published table, closed forms, and an optimiser that knows none of them."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, optimize
from scipy.special import expit, logit

from theory.clocks import CLOCKS, resolve_clock
from theory.crossover import predicted_speedup
from theory.dynamics import DYNAMICS, time_to_target, trajectory
from theory.kl_anchor import anchored_time
from theory.learning_time import Setting
from theory.optimal import BUDGETS, OptimalWeight, optimal_weight, weighted_schemes
from theory.population import optimal_population
from theory.schemes import SCHEMES

# Budget-normalised excess times, target 0.9, mirror flow, population limit (theory.md, section 3).
TABLE = {
    (0.001, "responses"): (15.53, 2.610, 1.061, 1, 1.061),
    (0.01, "responses"): (3.309, 1.555, 1.075, 1, 1.075),
    (0.1, "responses"): (1.195, 1.112, 1.086, 1, 1.086),
    (0.38, "responses"): (1.007, 1.016, 1.066, 1, 1.066),
    (0.01, "updates"): (1.145, 1, 1.954, 1.371, 1.145),
    (0.38, "updates"): (1.021, 1, 1.150, 1.015, 1.021),
}
COLUMNS = ("rloo", "grpo", "linear_r", "sqrt_r", "uniform_r")


@pytest.mark.parametrize(("start", "clock"), TABLE)
def test_excess_times_of_the_published_table(start, clock):
    excess = optimal_weight(start, 0.9, clock=clock).excess_of_all(COLUMNS)
    for scheme, expected in zip(COLUMNS, TABLE[start, clock], strict=True):
        # The table is rounded to four significant digits.
        assert excess[scheme] == pytest.approx(expected, rel=6e-4), scheme


@pytest.mark.parametrize(("start", "clock"), TABLE)
@pytest.mark.parametrize("scheme", COLUMNS)
def test_excess_times_by_plain_quadrature_in_the_success_probability(start, clock, scheme):
    """The same ratio from SciPy's quad in ρ, without logits, panels or closed forms."""
    weight, cost = SCHEMES[scheme].weight, CLOCKS[clock].cost

    def quad(function):
        return integrate.quad(function, start, 0.9, epsrel=1e-11, epsabs=0, limit=500)[0]

    time = quad(lambda p: float(cost(p) / (weight(p) * p * (1 - p))))
    budget = quad(lambda p: float(weight(p)))
    least = quad(lambda p: math.sqrt(cost(p) / (p * (1 - p)))) ** 2
    result = optimal_weight(start, 0.9, clock=clock).excess(scheme)
    assert result == pytest.approx(time * budget / least, rel=1e-9)


@pytest.mark.parametrize(("clock", "scheme"), [("updates", "grpo"), ("responses", "sqrt_r")])
@pytest.mark.parametrize("start", [0.001, 0.01, 0.38])
def test_a_numerical_optimiser_without_closed_forms_finds_the_named_scheme(clock, scheme, start):
    """Claims A1 and A2: minimise log T + log B over 60 free weights, from a random start.

    The product T·B does not depend on the scale of ω, so no constraint is needed.
    """
    edges = np.linspace(logit(start), logit(0.9), 61)
    success = expit((edges[1:] + edges[:-1]) / 2)
    width = np.diff(expit(edges))
    cost = np.asarray(CLOCKS[clock].cost(success))

    def objective(log_weight):
        weight = jnp.exp(log_weight)
        time = jnp.sum(cost * width / (weight * success * (1 - success)))
        return jnp.log(time) + jnp.log(jnp.sum(weight * width))

    found = optimize.minimize(
        jax.jit(jax.value_and_grad(objective)),
        np.random.default_rng(0).normal(size=60),
        jac=True,
        method="BFGS",
        options={"gtol": 1e-9, "maxiter": 2000},
    )
    named = np.log(SCHEMES[scheme].weight(success))
    difference = (found.x - found.x.mean()) - (named - named.mean())
    # A gradient of 1e-9 per weight over a curvature of about 1/60·ω-share bounds log ω to ~1e-5.
    assert np.abs(difference).max() < 1e-4
    assert found.fun == pytest.approx(float(objective(named)), abs=1e-10)


@settings(max_examples=60)
@given(
    start=st.floats(1e-6, 0.5),
    gap=st.floats(0.05, 0.45),
    clock=st.sampled_from(["updates", "responses", "affine", "any_success", "mixed_group"]),
    dynamics=st.sampled_from(sorted(DYNAMICS)),
    budget=st.sampled_from(BUDGETS),
)
def test_no_scheme_beats_the_optimum(start, gap, clock, dynamics, budget):
    best = optimal_weight(start, start + gap, clock=clock, dynamics=dynamics, budget_density=budget)
    assert best.converged
    assert min(best.excess_of_all().values()) >= 1 - 1e-9
    assert best.excess(best.weight) == pytest.approx(1, rel=1e-9)


@settings(max_examples=60)
@given(
    start=st.floats(1e-6, 0.5),
    gap=st.floats(0.01, 0.49),
    update=st.floats(0, 10),
    response=st.floats(1e-3, 10),
    dynamics=st.sampled_from(sorted(DYNAMICS)),
)
def test_closed_forms_agree_with_quadrature(start, gap, update, response, dynamics):
    clock = resolve_clock("affine", update=update, response=response)
    options = {"clock": clock, "dynamics": dynamics}
    closed = optimal_weight(start, start + gap, **options)
    numerical = optimal_weight(start, start + gap, budget_density=np.ones_like, **options)
    assert closed.time == pytest.approx(numerical.time, rel=1e-9)


@pytest.mark.parametrize("dynamics", DYNAMICS)
@pytest.mark.parametrize("clock", ["updates", "responses"])
def test_named_closed_forms_agree_with_quadrature(dynamics, clock):
    for start, target in [(1e-6, 0.9), (0.01, 0.99), (0.4, 0.400001)]:
        closed = optimal_weight(start, target, clock=clock, dynamics=dynamics)
        numerical = optimal_weight(
            start, target, clock=clock, dynamics=dynamics, budget_density=np.ones_like
        )
        assert closed.time == pytest.approx(numerical.time, rel=1e-9)


def test_the_time_is_what_the_optimal_weight_takes_and_the_budget_what_it_spends():
    best = optimal_weight(0.02, 0.8, clock="affine:update=1,response=0.1", budget=3.0)
    taken = time_to_target(best.weight, 0.02, 0.8, clock="affine:update=1,response=0.1")
    spent = integrate.quad(lambda p: float(best.weight(p)), 0.02, 0.8, epsrel=1e-11)[0]
    assert taken.value == pytest.approx(best.time, rel=1e-9)
    assert spent == pytest.approx(3.0, rel=1e-9)


def test_the_scale_of_a_weight_does_not_matter():
    best = optimal_weight(0.01, 0.9)
    grpo = SCHEMES["grpo"].weight
    assert best.excess(lambda p: 7 * grpo(p)) == pytest.approx(best.excess("grpo"), rel=1e-12)


def test_ends_that_are_integrable_and_ends_that_are_not():
    whole = optimal_weight(0.0, 1.0, clock="updates")
    assert whole.time == pytest.approx(math.pi**2, rel=1e-9)
    assert whole.excess("grpo") == pytest.approx(1, rel=1e-9)
    assert whole.excess("rloo") == math.inf
    from_zero = optimal_weight(0.0, 0.9, clock="responses")
    assert not from_zero.converged
    assert from_zero.time == math.inf
    assert "diverges at success = 0" in from_zero.message
    with pytest.raises(ValueError, match="no weight reaches the target in finite time"):
        from_zero.excess("grpo")


def test_the_weight_is_defined_at_both_ends():
    weight = optimal_weight(0.1, 0.9, clock="updates").weight(np.array([0.0, 0.5, 1.0]))
    assert weight[0] == weight[2] == math.inf
    assert 0 < weight[1] < math.inf


def test_every_scheme_with_a_weight_is_compared():
    excess = optimal_weight(0.1, 0.9).excess_of_all()
    assert list(excess) == weighted_schemes()
    assert all(math.isfinite(value) for value in excess.values())


@pytest.mark.parametrize("group_size", [1, 2, 16])
def test_every_scheme_with_a_table_is_compared_at_a_group_size(group_size):
    best = optimal_weight(0.1, 0.9, clock="updates")
    excess = best.excess_of_all(group_size=group_size)
    assert list(excess) == weighted_schemes(group_size)
    for scheme, value in excess.items():
        assert value == pytest.approx(best.excess(scheme, group_size=group_size), rel=1e-9)
        assert value >= 1 - 1e-9


def test_custom_functions_are_problems_too():
    best = optimal_weight(
        0.1, 0.9, clock=lambda p: 1 / p, dynamics=lambda p: p * (1 - p), budget_density=np.ones_like
    )
    assert isinstance(best, OptimalWeight)
    assert best.time == pytest.approx(optimal_weight(0.1, 0.9, clock="responses").time, rel=1e-9)


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: optimal_weight(0.9, 0.1), "target must lie above start"),
        (lambda: optimal_weight(0.1, 1.5), r"target must lie in \[0, 1\]; got 1.5"),
        (lambda: optimal_weight(0.1, 0.9, budget=0.0), "budget must be a positive number"),
        (lambda: optimal_weight(0.1, 0.9, budget=True), "budget must be a positive number"),
        (
            lambda: optimal_weight(0.1, 0.9, budget_density="flops"),
            "unknown budget density 'flops'",
        ),
        (lambda: optimal_weight(0.1, 0.9).excess("lens"), "depend on the responses' confidences"),
        (lambda: optimal_weight(0.1, 0.9).weight(2.0), r"success must lie in \[0, 1\]; got 2"),
    ],
)
def test_bad_input_says_what_is_allowed(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


def test_a_clock_with_an_integrable_singularity_has_an_optimum():
    """√(c/v) grows like |ρ − ½|^(−¼), which is integrable; quadrature in halves knows where."""

    def clock(rho):
        with np.errstate(divide="ignore"):
            return np.abs(rho - 0.5) ** -0.5

    halves = [
        integrate.quad(lambda r: (r * (1 - r)) ** -0.5, low, high, weight="alg", wvar=ends)[0]
        for low, high, ends in ((0.1, 0.5, (0, -0.25)), (0.5, 0.9, (-0.25, 0)))
    ]
    best = optimal_weight(0.1, 0.9, clock=clock)
    assert best.converged
    assert best.time == pytest.approx(sum(halves) ** 2, rel=1e-9)
    assert best.time == pytest.approx(9.1614, abs=5e-5)
    assert best.excess("grpo") > 1


@pytest.mark.parametrize("weight", [lambda rho: -1 / rho, lambda rho: rho - 0.5, lambda rho: -1])
def test_a_weight_that_is_not_positive_has_no_excess(weight):
    assert optimal_weight(0.1, 0.9).excess(weight) == math.inf


def test_budget_densities_of_one_number_are_taken_and_must_be_positive():
    plain = optimal_weight(0.01, 0.9)
    one = optimal_weight(0.01, 0.9, budget_density=lambda rho: 1.0)
    assert one.time == pytest.approx(plain.time, rel=1e-9)
    assert one.excess("grpo") == pytest.approx(plain.excess("grpo"), rel=1e-9)
    with pytest.raises(ValueError, match="budget density must be positive"):
        optimal_weight(0.01, 0.9, budget_density=lambda rho: rho - 0.5)


@pytest.mark.parametrize("clock", ["responses", "affine:update=1,response=0.1", "any_success"])
def test_groups_that_did_not_wait_are_not_charged_for_waiting(clock):
    best = optimal_weight(0.01, 0.9, clock=clock)
    many = optimal_population([0.01, 0.2], 0.9, clock=clock)
    setting = {"clock": clock, "group_size": 16}
    for refused in (
        lambda: best.excess("grpo", 16),
        lambda: best.excess_of_all(["grpo"], 16),
        lambda: many.excess("grpo", 16),
        lambda: time_to_target("grpo", 0.01, 0.9, **setting),
        lambda: trajectory("grpo", 0.01, [1.0], **setting),
        lambda: anchored_time("grpo", 0.01, 0.9, coefficient=0.1, **setting),
        lambda: Setting(**setting),
        lambda: predicted_speedup("sqrt_r", "grpo", start=0.01, target=0.9, **setting),
    ):
        with pytest.raises(ValueError, match=r"waits for a success.* use theory\.designs\.excess"):
            refused()


@pytest.mark.parametrize("clock", ["updates", "affine:update=1,response=0", lambda p: 2 + p])
def test_a_clock_that_does_not_wait_takes_groups_as_they_come(clock):
    assert optimal_weight(0.01, 0.9, clock=clock).excess("grpo", 16) >= 1
