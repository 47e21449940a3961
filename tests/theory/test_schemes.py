"""Schemes: formulas of the papers, limits, expected weights by enumeration, refusals."""

import itertools
import math
from fractions import Fraction

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import integrate

from theory.schemes import (
    SCHEMES,
    Scheme,
    finite_coefficients,
    resolve,
    schemes_by_name,
)

GRID = np.array([1e-9, 1e-4, 0.01, 0.3, 0.5, 0.7, 0.99, 1 - 1e-9])

# ω and F as the papers write them; F is None where only its derivative is checked.
FORMULAS = {
    "rloo": (lambda p: 1 + 0 * p, lambda p: p),
    "dr_grpo": (lambda p: 1 + 0 * p, lambda p: p),
    "ppo": (lambda p: 1 + 0 * p, lambda p: p),
    "psr": (lambda p: 1 + 0 * p, lambda p: p),
    "nsr": (lambda p: 1 + 0 * p, lambda p: p),
    "reinforce": (lambda p: 2 + 0 * p, lambda p: 2 * p),
    "w_reinforce": (lambda p: 1.1 + 0 * p, lambda p: 1.1 * p),
    "w_reinforce:lam=1": (lambda p: 2 + 0 * p, lambda p: 2 * p),
    "grpo": (lambda p: 1 / np.sqrt(p * (1 - p)), lambda p: 2 * np.arcsin(np.sqrt(p))),
    "dapo": (lambda p: 1 / np.sqrt(p * (1 - p)), lambda p: 2 * np.arcsin(np.sqrt(p))),
    "grpo:eps=0.01": (lambda p: 1 / (np.sqrt(p * (1 - p)) + 0.01), None),
    "linear_r": (lambda p: 1 / p, np.log),
    "sqrt_r": (lambda p: 1 / (p * np.sqrt(1 - p)), lambda p: -2 * np.arctanh(np.sqrt(1 - p))),
    "uniform_r": (lambda p: 1 / (p * (1 - p)), lambda p: np.log(p / (1 - p))),
    "plateau_r": (lambda p: np.minimum(1, (1 - p) / 0.5) / (p * (1 - p)), None),
    "plateau_r:threshold=0": (lambda p: 1 / p, np.log),
    "plateau_r:threshold=1": (lambda p: 1 / (p * (1 - p)), lambda p: np.log(p / (1 - p))),
    "maxrl": (lambda p: 1 / p, np.log),
    "maxrl:order=1": (lambda p: 1 + 0 * p, lambda p: p - 1),
    "maxrl:order=3": (lambda p: 1 + (1 - p) + (1 - p) ** 2, None),
    "maxrl:eps=0.01": (lambda p: 1 / (p + 0.01), lambda p: np.log(p + 0.01)),
    "pass_at_k:k=1": (lambda p: 1 + 0 * p, lambda p: p),
    "pass_at_k": (lambda p: 4 * (1 - p) ** 3, lambda p: 1 - (1 - p) ** 4),
    "mgpo": (lambda p: p ** (-p) * (1 - p) ** (p - 1) / 2 / np.sqrt(p * (1 - p)), None),
    "mgpo:strength=0": (lambda p: 1 / np.sqrt(p * (1 - p)), None),
    "dgpo": (lambda p: np.exp(-p / 2) / (2 * p * (1 - p)), None),
    "dgpo:temperature=0.3": (lambda p: np.exp(-p / 0.3) / (2 * p * (1 - p)), None),
    "dgpo:temperature=none": (lambda p: 1 / (2 * p * (1 - p)), lambda p: np.log(p / (1 - p)) / 2),
    "ha_dw": (
        lambda p: 1.5 * ((1 - p) * np.exp(0.5 - p) + p * np.exp(p - 0.5)) / np.sqrt(p * (1 - p)),
        None,
    ),
    "ha_dw:anchor=0.2,scale=1": (
        lambda p: ((1 - p) * np.exp(0.2 - p) + p * np.exp(p - 0.2)) / np.sqrt(p * (1 - p)),
        None,
    ),
    "opo": (lambda p: 1 + 0 * p, lambda p: p),
    "grpo:zero=0.25": (lambda p: 1 / np.sqrt(p * (1 - p)), lambda p: 2 * np.arcsin(np.sqrt(p))),
}
TABLE_SCHEMES = [name for name, scheme in SCHEMES.items() if scheme.has_table]
VARIANTS = [
    *(name for name in TABLE_SCHEMES if name != "pass_at_k"),
    "grpo:ddof=1,eps=0.0001",
    "linear_r:zero_success=drop",
    "sqrt_r:zero_success=0.3",
    "plateau_r:threshold=0.2",
    "plateau_r:threshold=1",
    "w_reinforce:lam=0.5",
    "maxrl:order=1",
    "maxrl:order=2",
    "pass_at_k:k=1",
    "pass_at_k:k=2",
    "grpo:zero=0.25",
    "rloo:zero=1",
    "power:a=1.5,b=1.25",
]


def test_every_scheme_of_the_specification_is_there():
    named = ["rloo", "reinforce", "grpo", "dr_grpo", "dapo", "linear_r", "sqrt_r", "plateau_r"]
    named += ["uniform_r", "psr", "nsr", "w_reinforce", "maxrl", "lens", "ppo", "pass_at_k"]
    named += ["mgpo", "dgpo", "ha_dw", "opo", "curverl"]
    assert set(named) == set(SCHEMES)
    for name, scheme in SCHEMES.items():
        assert scheme.name == name
        assert scheme.summary.endswith(".")


@pytest.mark.parametrize("name", FORMULAS)
def test_weight_and_surrogate_are_the_papers_formulas(name):
    weight, surrogate = FORMULAS[name]
    scheme = resolve(name)
    np.testing.assert_allclose(scheme.weight(GRID), weight(GRID), rtol=1e-12)
    np.testing.assert_allclose(
        scheme.effective_weight(GRID), weight(GRID) * GRID * (1 - GRID), rtol=1e-12
    )
    if surrogate is not None:
        np.testing.assert_allclose(scheme.surrogate(GRID), surrogate(GRID), rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", [name for name in FORMULAS if resolve(name).surrogate_formula])
def test_surrogate_has_the_weight_as_derivative(name):
    scheme = resolve(name)

    slope = jax.jit(jax.vmap(jax.grad(scheme.surrogate)))

    @settings(max_examples=10, deadline=None)
    @given(arrays(np.float64, 32, elements=st.floats(1e-6, 1 - 1e-6)))
    def check(success):
        # 1 − ρ is known to 1e-16, hence functions of it to 1e-10 at 1 − ρ = 1e-6.
        np.testing.assert_allclose(slope(success), scheme.weight(success), rtol=1e-9, atol=1e-12)

    check()


# The limits at 0 and 1: (ω(0), ω(1)), (e(0), e(1)).
INFINITE = math.inf
ENDS = {
    "rloo": ((1, 1), (0, 0)),
    "reinforce": ((2, 2), (0, 0)),
    "grpo": ((INFINITE, INFINITE), (0, 0)),
    "grpo:eps=0.5": ((2, 2), (0, 0)),
    "dr_grpo": ((1, 1), (0, 0)),
    "dapo": ((INFINITE, INFINITE), (0, 0)),
    "ppo": ((1, 1), (0, 0)),
    "linear_r": ((INFINITE, 1), (1, 0)),
    "linear_r:zero_success=drop": ((INFINITE, 1), (1, 0)),
    "sqrt_r": ((INFINITE, INFINITE), (1, 0)),
    "plateau_r": ((INFINITE, 2), (1, 0)),
    "plateau_r:threshold=0": ((INFINITE, 1), (1, 0)),
    "plateau_r:threshold=1": ((INFINITE, INFINITE), (1, 1)),
    "uniform_r": ((INFINITE, INFINITE), (1, 1)),
    "psr": ((1, 1), (0, 0)),
    "nsr": ((1, 1), (0, 0)),
    "w_reinforce": ((1.1, 1.1), (0, 0)),
    "maxrl": ((INFINITE, 1), (1, 0)),
    "maxrl:eps=0.1": ((10, 1 / 1.1), (0, 0)),
    "maxrl:order=5": ((5, 1), (0, 0)),
    "pass_at_k": ((4, 0), (0, 0)),
    "pass_at_k:k=1": ((1, 1), (0, 0)),
    "mgpo": ((INFINITE, INFINITE), (0, 0)),
    "dgpo": ((INFINITE, INFINITE), (0.5, math.exp(-0.5) / 2)),
    "dgpo:temperature=none": ((INFINITE, INFINITE), (0.5, 0.5)),
    "ha_dw": ((INFINITE, INFINITE), (0, 0)),
    "opo": ((1, 1), (0, 0)),
}


@pytest.mark.parametrize("name", ENDS)
def test_limits_at_zero_and_one(name, backend):
    scheme = resolve(name)
    ends = backend.array([0.0, 1.0])
    weight, effective = ENDS[name]
    np.testing.assert_allclose(backend.numpy(scheme.weight(ends)), weight, rtol=1e-12)
    np.testing.assert_allclose(backend.numpy(scheme.effective_weight(ends)), effective, rtol=1e-12)
    assert not np.any(np.isnan(backend.numpy(scheme.surrogate(ends))))


def test_every_scheme_with_a_weight_has_its_limits_tested():
    assert {name.partition(":")[0] for name in ENDS} == {
        name for name, scheme in SCHEMES.items() if scheme.has_weight
    }


@pytest.mark.parametrize("name", [name for name in FORMULAS if resolve(name).has_table])
def test_tables_of_large_groups_approach_the_population_weight(name):
    scheme, size = resolve(name), 100_000
    positive, negative = scheme.table(size)
    success = np.arange(size + 1) / size
    inside = (success > 0.1) & (success < 0.9)
    # A group differs from its limit by O(1/M): ddof, leaving one out, drawing without return.
    np.testing.assert_allclose(
        (positive + negative)[inside], scheme.weight(success[inside]), rtol=50 / size
    )


def expected_drift(scheme: Scheme, size: int, success: float) -> float:
    """Expected weight E[Σ_i A_i (r_i − ρ)]/(M ρ(1−ρ)) over all 2^M reward patterns."""
    positive, negative = scheme.table(size)
    total = 0.0
    for pattern in itertools.product((0, 1), repeat=size):
        correct = sum(pattern)
        chance = success**correct * (1 - success) ** (size - correct)
        gain = correct * positive[correct] * (1 - success)
        loss = (size - correct) * negative[correct] * success
        total += chance * (gain + loss)
    return total / (size * success * (1 - success))


@pytest.mark.parametrize("size", range(2, 9))
@pytest.mark.parametrize("success", [0.05, 0.5, 0.9])
def test_maxrl_of_order_t_has_the_truncated_likelihoods_weight_exactly(size, success):
    for order in range(1, size + 1):
        exact = sum((1 - success) ** k for k in range(order))
        drift = expected_drift(SCHEMES["maxrl"].bind(order=order), size, success)
        assert drift == pytest.approx(exact, rel=1e-12)
    kept = expected_drift(SCHEMES["linear_r"], size, success)
    dropped = expected_drift(SCHEMES["linear_r"].bind(zero_success="drop"), size, success)
    assert kept == pytest.approx(sum((1 - success) ** k for k in range(size)), rel=1e-12)
    assert dropped == pytest.approx(sum((1 - success) ** k for k in range(size - 1)), rel=1e-12)


@pytest.mark.parametrize("size", range(2, 9))
@pytest.mark.parametrize("success", [0.05, 0.5, 0.9])
def test_pass_at_k_has_the_gradient_of_pass_at_k_as_expected_weight(size, success):
    for k in range(1, size + 1):
        drift = expected_drift(SCHEMES["pass_at_k"].bind(k=k), size, success)
        assert drift == pytest.approx(k * (1 - success) ** (k - 1), rel=1e-12)


@pytest.mark.parametrize("size", [2, 5, 8, 40])
def test_bernstein_coefficients_are_those_of_the_specification(size):
    """c_J = a⁺_{J+1} + a⁻_J against exact fractions of binomials."""

    def ratio(correct, draws):
        return Fraction(math.comb(size - 1 - correct, draws), math.comb(size - 1, draws))

    for order in {1, 2, size - 1, size}:
        positive, negative = SCHEMES["maxrl"].bind(order=order).table(size)
        exact = [sum(ratio(j, k) for k in range(order)) for j in range(size)]
        np.testing.assert_allclose(positive[1:] + negative[:-1], np.array(exact, float), rtol=1e-12)
        positive, negative = SCHEMES["pass_at_k"].bind(k=order).table(size)
        exact = [order * ratio(j, order - 1) for j in range(size)]
        np.testing.assert_allclose(
            positive[1:] + negative[:-1], np.array(exact, float), rtol=1e-12, atol=1e-300
        )


def test_maxrl_orders_name_the_estimators_they_should():
    size = 6
    maxrl = SCHEMES["maxrl"]
    np.testing.assert_allclose(maxrl.bind(order=size - 1).table(size), maxrl.table(size))
    np.testing.assert_allclose(
        maxrl.bind(order=size).table(size), SCHEMES["linear_r"].table(size), rtol=1e-12
    )
    np.testing.assert_allclose(
        maxrl.bind(order=1).table(size), SCHEMES["rloo"].table(size), rtol=1e-12
    )
    np.testing.assert_allclose(
        SCHEMES["pass_at_k"].bind(k=1).table(size), SCHEMES["rloo"].table(size), rtol=1e-12
    )


def test_plateau_is_linear_r_at_one_end_and_uniform_r_at_the_other():
    plateau = SCHEMES["plateau_r"]
    for threshold, other in ((0.0, "linear_r"), (1.0, "uniform_r")):
        np.testing.assert_allclose(
            plateau.bind(threshold=threshold).table(9), SCHEMES[other].table(9), rtol=1e-12
        )
    below = np.linspace(0.01, 0.3, 5)
    np.testing.assert_allclose(plateau.bind(threshold=0.3).effective_weight(below), 1, rtol=1e-12)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("size", [2, 3, 8])
def test_centred_schemes_and_no_others_sum_to_zero_over_a_mixed_group(name, size):
    scheme = resolve(name)
    positive, negative = scheme.table(size)
    correct = np.arange(size + 1)
    total = (correct * positive - (size - correct) * negative)[1:-1]
    if scheme.centred:
        np.testing.assert_allclose(total, 0, atol=1e-12)
    elif name not in ("pass_at_k:k=1", "reinforce", "ha_dw"):  # RLOO, and two that are 0 at M = 2
        assert np.any(np.abs(total) > 1e-3)


@pytest.mark.parametrize("name", ["linear_r", "sqrt_r", "plateau_r", "uniform_r"])
def test_asymmetric_schemes_penalise_all_wrong_groups_and_leave_all_right_ones(name):
    for size in (1, 2, 16):
        positive, negative = SCHEMES[name].table(size)
        assert negative[0] == 1
        assert positive[-1] == 0
        positive, negative = SCHEMES[name].bind(zero_success="drop").table(size)
        assert negative[0] == 0
        assert SCHEMES[name].bind(zero_success=0.25).table(size)[1][0] == 0.25


@pytest.mark.parametrize("name", ["grpo", "rloo", "dr_grpo", "dapo", "maxrl", "grpo:eps=1e-6"])
def test_symmetric_schemes_give_uniform_groups_nothing(name):
    positive, negative = resolve(name).table(8)
    assert negative[0] == 0
    assert positive[-1] == 0


def test_surrogate_of_grpo_with_eps_is_the_integral_of_its_weight():
    for eps in (1e-9, 1e-4, 0.3, 0.7):
        scheme = SCHEMES["grpo"].bind(eps=eps)
        # With ρ = sin²(θ/2) the integrand sin θ/(sin θ + 2ε) is smooth but for θ of order ε.
        angles = 2 * np.arcsin(np.sqrt([0.2, 0.9]))
        area = integrate.quad(lambda t, a=2 * eps: np.sin(t) / (np.sin(t) + a), *angles)[0]
        low, high = scheme.surrogate(np.array([0.2, 0.9]))
        assert high - low == pytest.approx(area, rel=1e-10)


def test_surrogate_without_closed_form_is_integrated_and_refuses_to_be_traced(backend):
    scheme = SCHEMES["grpo"].bind(eps=0.7)
    values = backend.numpy(scheme.surrogate(backend.array([[0.5, 0.6]])))
    assert values.shape == (1, 2)
    assert values[0, 0] == 0
    assert values[0, 1] == pytest.approx(0.1 * scheme.weight(0.55), rel=1e-3)
    with pytest.raises(ValueError, match="closed-form"):
        jax.jit(scheme.surrogate)(jnp.asarray(0.5))


@pytest.mark.parametrize("name", list(FORMULAS))
def test_weights_trace_under_jit_and_vmap(name):
    scheme = resolve(name)
    methods = [scheme.weight, scheme.effective_weight]
    methods += [scheme.surrogate] if scheme.surrogate_formula else []
    success = np.linspace(0.1, 0.9, 5)
    traced = jax.jit(jax.vmap(lambda p: tuple(method(p) for method in methods)))(success)
    for values, method in zip(traced, methods, strict=True):
        np.testing.assert_allclose(values, method(success), rtol=1e-12, atol=1e-14)


def test_engine_presets_set_the_options_of_the_scheme():
    expected = {"trl": (1, 1e-4), "verl": (1, 1e-6), "openrlhf": (1, 1e-9)}
    for engine, (ddof, eps) in {**expected, "open_instruct": (0, 1e-8)}.items():
        options = resolve("grpo", engine=engine).options
        assert (options["ddof"], options["eps"]) == (ddof, eps)
    assert resolve("grpo:engine=trl,eps=0.1").options["eps"] == 0.1
    assert resolve("rloo", engine="verl").options == {"singleton": "raw", "zero": 0.0}


def test_a_penalty_on_all_wrong_groups_is_all_that_zero_changes():
    for name in ("grpo", "rloo"):
        plain, penalised = resolve(name), resolve(name, zero=0.25)
        for before, after in zip(plain.table(4), penalised.table(4), strict=True):
            np.testing.assert_array_equal(before[1:], after[1:])
        assert penalised.table(4)[1][0] == 0.25
        # An all-wrong group is told by rewards of 0: the scale of the rewards matters now.
        assert plain.shift_invariant
        assert not penalised.shift_invariant


def test_lambda_has_one_name_and_two_aliases():
    for text in ("lam=0.5", "reward=0.5", "positive_advantage_weight=0.5"):
        assert resolve(f"w_reinforce:{text}").options == {"lam": 0.5}
    assert resolve("w_reinforce", lam=0.5).label == "W-REINFORCE (lam=0.5)"


def test_scheduled_options_may_be_traced_numbers():
    def penalty(lam, share):
        first = SCHEMES["w_reinforce"].bind(lam=lam).weight(jnp.asarray(0.5))
        scheme = SCHEMES["linear_r"].bind(zero_success=share)
        return first, scheme.coefficients(jnp.zeros(1), jnp.zeros(1), 4.0)[1]

    weight, negative = jax.jit(penalty)(0.25, 0.5)
    assert float(weight) == 1.25
    assert negative.tolist() == [0.5]


def test_schemes_compare_and_hash_by_name_and_options():
    assert resolve("grpo") == resolve("grpo:ddof=0")
    assert hash(resolve("grpo")) == hash(resolve("grpo:ddof=0"))
    assert resolve("grpo") != resolve("grpo:ddof=1")
    assert resolve(SCHEMES["grpo"]) is SCHEMES["grpo"]
    assert resolve(SCHEMES["grpo"], ddof=1).label == "GRPO (ddof=1)"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: resolve("gpro"), "unknown scheme 'gpro'; known schemes: rloo"),
        (
            lambda: resolve(None),
            "a Scheme, a name or a function of the success probability; got None",
        ),
        (lambda: resolve("rloo", eps=1), "rloo has no option 'eps'; its options are: singleton"),
        (lambda: resolve("psr", lam=1), "psr has no option 'lam'; its options are: none"),
        (lambda: resolve("grpo:eps"), "option=value"),
        (lambda: resolve("grpo", eps=-1), r"eps of grpo must be a number in \[0, inf\); got -1"),
        (lambda: resolve("grpo", eps=math.nan), "eps of grpo must be a number"),
        (lambda: resolve("grpo", eps=math.inf), "eps of grpo must be a number"),
        (lambda: resolve("grpo", eps=True), "eps of grpo must be a number"),
        (lambda: resolve("grpo", ddof=2), "ddof of grpo must be 0 or 1; got 2"),
        (lambda: resolve("grpo", singleton="zero"), "singleton of grpo must be one of refuse, raw"),
        (lambda: resolve("grpo", engine="megatron"), "engine must be one of trl, verl"),
        (lambda: resolve("psr", engine="trl"), "psr is the same in every engine"),
        (lambda: resolve("plateau_r:threshold=1.5"), r"must be a number in \[0, 1\]; got 1.5"),
        (lambda: resolve("linear_r:zero_success=maybe"), "one of keep, drop or a number"),
        (lambda: resolve("linear_r", zero_success=2), r"keep, drop or a number in \[0, 1\]"),
        (lambda: resolve("w_reinforce", lam=np.ones(2)), "must be one number"),
        (lambda: resolve("maxrl", order=0), "whole number of at least 1 or none; got 0"),
        (lambda: resolve("maxrl", order=1.5), "whole number of at least 1 or none; got 1.5"),
        (lambda: resolve("pass_at_k:k=none"), "whole number of at least 1; got None"),
        (lambda: resolve("lens:parts=both"), "parts of lens must be one of full, mixed, negative"),
        (lambda: SCHEMES["grpo"].table(1), "needs group_size of at least 2; got 1"),
        (lambda: SCHEMES["grpo"].table(2.5), "whole number of at least 1; got 2.5"),
        (lambda: SCHEMES["psr"].table(0), "whole number of at least 1; got 0"),
        (lambda: SCHEMES["maxrl"].bind(order=5).table(4), "order of maxrl must be at most"),
        (lambda: SCHEMES["pass_at_k"].table(3), "k of pass_at_k must be at most the group size, 3"),
        (lambda: SCHEMES["lens"].table(4), "lens has no table"),
        (lambda: SCHEMES["ppo"].table(4), "ppo has no table"),
        (lambda: SCHEMES["lens"].weight(0.5), "lens has no table"),
        (lambda: SCHEMES["lens"].surrogate(0.5), "lens has no surrogate"),
        (lambda: SCHEMES["grpo"].weight(1.5), r"success must lie in \[0, 1\]; got 1.5"),
        (lambda: SCHEMES["grpo"].weight([0.5, math.nan]), "got nan at index 1"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_a_singleton_is_its_raw_reward_if_asked_for():
    for name in ("rloo", "grpo", "dr_grpo", "dapo"):
        positive, negative = SCHEMES[name].bind(singleton="raw").table(1)
        assert positive.tolist() == [0, 1]
        assert negative.tolist() == [0, 0]
        np.testing.assert_array_equal(
            SCHEMES[name].bind(singleton="raw").table(4), SCHEMES[name].table(4)
        )


def test_coefficients_that_no_response_uses_become_zero():
    positive, negative = finite_coefficients(np.array([np.inf, 1.0]), np.array([2.0, np.inf]))
    assert positive.tolist() == [0, 1]
    assert negative.tolist() == [2, 0]


def test_schemes_by_name_keeps_what_each_was_called_by_and_refuses_as_resolve_does():
    found = schemes_by_name(["Sqrt-R", "w_reinforce:lam=0.2", SCHEMES["grpo"]])
    assert list(found) == ["Sqrt-R", "w_reinforce:lam=0.2", "grpo"]
    assert found["Sqrt-R"] is SCHEMES["sqrt_r"]
    with pytest.raises(ValueError, match="unknown scheme 'gpro'"):
        schemes_by_name(["gpro"])
