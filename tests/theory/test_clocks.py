"""Clocks against enumeration of what they count."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from theory.clocks import CLOCKS, Clock, resolve_clock

PROBABILITIES = st.floats(1e-6, 1 - 1e-6)


@given(success=PROBABILITIES, group_size=st.integers(1, 300))
def test_any_success_is_the_mean_number_of_groups_until_one_is_informative(success, group_size):
    clock = resolve_clock("any_success", group_size=group_size)
    some = stats.binom.sf(0, group_size, success)  # SciPy's own sum of K ≥ 1
    assert clock.cost(success) == pytest.approx(1 / some, rel=1e-9)


@given(success=PROBABILITIES, group_size=st.integers(2, 60))
def test_mixed_group_is_the_mean_number_of_groups_until_one_is_mixed(success, group_size):
    clock = resolve_clock("mixed_group", group_size=group_size)
    mixed = sum(stats.binom.pmf(k, group_size, success) for k in range(1, group_size))
    assert clock.cost(success) == pytest.approx(1 / mixed, rel=1e-9)


@given(success=PROBABILITIES)
def test_mixed_group_is_symmetric_and_never_cheaper_than_any_success(success):
    cost = resolve_clock("mixed_group", group_size=8).cost
    # 1 − ρ is rounded, hence ρ's relative error of up to 1e-10 at ρ = 1e-6
    assert cost(success) == pytest.approx(cost(1 - success), rel=1e-9)
    assert cost(success) >= resolve_clock("any_success", group_size=8).cost(success) * (1 - 1e-12)


def test_any_success_with_one_response_is_the_effective_clock():
    success = np.linspace(0.0, 1.0, 11)
    one = resolve_clock("any_success:group_size=1").cost(success)
    np.testing.assert_allclose(one, CLOCKS["responses"].cost(success), rtol=1e-14)


def test_affine_joins_the_regular_and_the_effective_clock():
    success = np.array([0.0, 0.2, 1.0])
    assert resolve_clock("affine:update=3,response=0").cost(success).tolist() == [3, 3, 3]
    assert resolve_clock("affine:update=0,response=2").cost(success).tolist() == [math.inf, 10, 2]


@pytest.mark.parametrize("name", CLOCKS)
def test_ends_are_defined_without_warnings(name):
    cost = CLOCKS[name].cost(np.array([0.0, 1.0]))
    assert not np.isnan(cost).any()
    assert (cost > 0).all()


@pytest.mark.parametrize("name", CLOCKS)
def test_jax_and_torch_agree_with_numpy(name):
    torch = pytest.importorskip("torch")
    success = np.linspace(0.0, 1.0, 33)
    expected = CLOCKS[name].cost(success)
    traced = jax.jit(CLOCKS[name].cost)(jnp.asarray(success))
    np.testing.assert_allclose(traced, expected, rtol=1e-12)
    np.testing.assert_allclose(CLOCKS[name].cost(torch.tensor(success)), expected, rtol=1e-12)


def test_a_function_is_a_clock():
    clock = resolve_clock(lambda success: 2 + 0 * success)
    assert isinstance(clock, Clock)
    assert clock.cost([0.1, 0.5]).tolist() == [2.0, 2.0]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: resolve_clock("wall"), "unknown clock 'wall'; known clocks: updates, responses"),
        (lambda: resolve_clock("regular", speed=1), "clock updates has no option 'speed'"),
        (lambda: resolve_clock("affine:update=-1"), "costs update and response of at least 0"),
        (lambda: resolve_clock("affine:update=0,response=0"), "one of them positive"),
        (lambda: resolve_clock("affine:update"), "options are written option=value"),
        (lambda: resolve_clock("mixed_group:group_size=1"), "at least 2; got 1"),
        (lambda: resolve_clock(lambda p: p - 1).cost(0.5), "cost of a clock must be positive"),
        (lambda: resolve_clock(lambda p: p * math.nan).cost(0.5), "cost of a clock must be"),
        (lambda: CLOCKS["updates"].cost(1.2), r"success must lie in \[0, 1\]; got 1.2"),
        (lambda: CLOCKS["updates"].cost([0.5, math.nan]), "got nan at index 1"),
    ],
)
def test_bad_input_says_what_is_allowed(call, sentence):
    with pytest.raises(ValueError, match=sentence):
        call()


@pytest.mark.parametrize("kind", [np.int16, np.int64, float])
def test_clocks_take_group_sizes_of_any_kind_of_number(kind):
    clock = resolve_clock("mixed_group", group_size=kind(100))
    assert clock.cost(0.1) == resolve_clock("mixed_group", group_size=100).cost(0.1)
    with pytest.raises(ValueError, match="group_size of mixed_group must be a whole number"):
        resolve_clock("mixed_group", group_size=True)


@pytest.mark.parametrize(("paper", "name"), [("regular", "updates"), ("effective", "responses")])
def test_the_papers_clocks_go_by_what_they_count(paper, name):
    assert resolve_clock(paper) == CLOCKS[name]


def test_every_clock_has_a_title_and_no_two_share_a_metric():
    assert all(clock.title for clock in CLOCKS.values())
    metrics = [clock.metric for clock in CLOCKS.values() if clock.metric]
    assert len(set(metrics)) == len(metrics) == 4  # a simulation charges no affine costs
