"""Schedules: ends, monotony, tracing, and what they do to a scheme."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from theory.schedules import (
    ByEntropy,
    Constant,
    Cosine,
    Linear,
    WarmUp,
    parse_schedule,
    scheme_at,
)
from theory.schemes import resolve

EVERY = [Constant(0.3), Linear(1.0, 0.1, 10), Cosine(1.0, 0.1, 10), ByEntropy(), WarmUp(4)]


@pytest.mark.parametrize("kind", [Linear, Cosine])
def test_decays_start_and_end_exactly_and_never_turn_back(kind):
    schedule = kind(start=0.7, end=0.1, steps=50)
    values = [schedule(step) for step in range(80)]
    assert values[0] == 0.7
    assert values[50:] == [pytest.approx(0.1, rel=1e-15)] * 30
    assert np.all(np.diff(values[:51]) < 0)


def test_linear_and_cosine_are_their_formulas():
    steps = np.arange(21)
    np.testing.assert_allclose(Linear(1.0, 0.2, 20)(steps), 1 - 0.8 * steps / 20, rtol=1e-14)
    cosine = 0.2 + 0.8 * (1 + np.cos(np.pi * steps / 20)) / 2
    np.testing.assert_allclose(Cosine(1.0, 0.2, 20)(steps), cosine, rtol=1e-14)


@given(st.floats(0, 5))
def test_by_entropy_interpolates_and_stays_between_its_ends(entropy):
    schedule = ByEntropy(low=0.1, high=0.9, entropy_low=1.0, entropy_high=3.0)
    expected = np.interp(entropy, [1.0, 3.0], [0.1, 0.9])
    assert schedule(0, entropy=entropy) == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("schedule", EVERY, ids=lambda s: type(s).__name__)
def test_schedules_trace_and_accept_every_kind_of_number(schedule):
    torch = pytest.importorskip("torch")
    traced = jax.jit(lambda step, entropy: schedule(step, entropy=entropy))
    for step in (0, 3, 4, 10, 30):
        plain = schedule(step, entropy=0.3)
        assert isinstance(plain, float)
        assert float(traced(step, 0.3)) == pytest.approx(plain, rel=1e-12)
        for array in (np.asarray, jnp.asarray, torch.asarray):
            value = schedule(array(step), entropy=array(0.3))
            assert float(value) == pytest.approx(plain, rel=1e-6)  # torch integers become float32


def test_a_scheduled_scheme_has_the_value_of_its_step():
    schedules = {"lam": Linear(1.0, 0.0, 10)}
    assert scheme_at("w_reinforce", schedules, 5).options["lam"] == 0.5
    warm = {"zero_success": WarmUp(3)}
    for step, same in ((2, "sqrt_r:zero_success=drop"), (3, "sqrt_r")):
        table = scheme_at("sqrt_r", warm, step).table(4)
        np.testing.assert_array_equal(table, resolve(same).table(4))
    with pytest.raises(ValueError, match="rloo has no option 'lam'"):
        scheme_at("rloo", schedules, 0)


def test_a_scheduled_scheme_traces_over_the_step():
    def penalty(step):
        scheme = scheme_at("linear_r", {"zero_success": WarmUp(3)}, step)
        return scheme.coefficients(jnp.zeros(1), jnp.zeros(1), 4.0)[1]

    assert [float(jax.jit(penalty)(step)[0]) for step in (2, 3)] == [0, 1]


def test_schedules_are_parsed_from_recipes():
    assert parse_schedule("cosine:start=1,end=0.1,steps=500") == Cosine(1, 0.1, 500)
    assert parse_schedule("entropy:low=0,high=2") == ByEntropy(low=0, high=2)
    assert parse_schedule("warm_up:steps=100") == WarmUp(100)
    assert parse_schedule("constant") == Constant()
    assert parse_schedule("0.25") == parse_schedule(0.25) == Constant(0.25)
    assert parse_schedule(WarmUp(7)) == WarmUp(7)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: parse_schedule("step:steps=3"), "unknown schedule 'step'; known schedules: con"),
        (lambda: parse_schedule("linear:begin=1"), "linear has no field 'begin'; its fields are"),
        (lambda: parse_schedule("linear:start=high"), "start must be a number; got 'high'"),
        (lambda: Linear(steps=0), "steps must be a whole number of at least 1; got 0"),
        (lambda: Cosine(steps=2.5), "steps must be a whole number"),
        (lambda: WarmUp(-1), "steps must be a whole number of at least 0; got -1"),
        (lambda: Constant(-1), "value must be a finite number of at least 0; got -1"),
        (lambda: Linear(start=float("nan")), "start must be a finite number"),
        (lambda: ByEntropy(entropy_low=1, entropy_high=1), "entropy_high must exceed"),
        (lambda: ByEntropy()(3), "pass entropy="),
        (lambda: ByEntropy()(3, entropy=float("nan")), r"entropy must lie in \[0, inf\); got nan"),
        (lambda: ByEntropy()(3, entropy=-0.1), "entropy must lie in"),
        (lambda: parse_schedule(None), "written as text or a number; got None"),
        (lambda: parse_schedule(True), "value must be a number; got True"),
        (lambda: Linear()(-1), r"step must lie in \[0, inf\); got -1"),
        (lambda: WarmUp()(-1), r"step must lie in \[0, inf\); got -1"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()
