"""Logit updates and entropy gradients against automatic differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from theory import logit_gradients as lg

LOGITS = np.random.default_rng(0).normal(size=(3, 4, 7)) * 3
TOKEN = np.random.default_rng(1).integers(0, 7, (3, 4))


def test_updates_are_the_gradients_of_the_two_objectives():
    """∇π(y) and ∇ln π(y), with the sign of the reward."""

    def probability(z, y):
        return jax.nn.softmax(z)[y]

    def log_probability(z, y):
        return jax.nn.log_softmax(z)[y]

    flat, token = jnp.asarray(LOGITS.reshape(-1, 7)), jnp.asarray(TOKEN.ravel())
    for name, objective in (("probability", probability), ("log_probability", log_probability)):
        exact = np.asarray(jax.vmap(jax.grad(objective))(flat, token)).reshape(LOGITS.shape)
        raised = lg.psr_logit_update(LOGITS, TOKEN, estimator=name)
        np.testing.assert_allclose(raised, exact, rtol=1e-10, atol=1e-15)
        np.testing.assert_array_equal(lg.nsr_logit_update(LOGITS, TOKEN, estimator=name), -raised)


def test_entropy_and_its_gradient_are_those_of_autodiff():
    def entropy(z):
        log_policy = jax.nn.log_softmax(z)
        return -jnp.sum(jnp.exp(log_policy) * log_policy)

    flat = jnp.asarray(LOGITS.reshape(-1, 7))
    np.testing.assert_allclose(lg.entropy(LOGITS).ravel(), jax.vmap(entropy)(flat), rtol=1e-12)
    exact = np.asarray(jax.vmap(jax.grad(entropy))(flat)).reshape(LOGITS.shape)
    slope = np.stack(
        [lg.entropy_change(LOGITS, np.broadcast_to(unit, LOGITS.shape)) for unit in np.eye(7)],
        axis=-1,
    )
    np.testing.assert_allclose(slope, exact, rtol=1e-9, atol=1e-15)


def test_entropy_change_is_the_slope_along_the_update():
    update = lg.psr_logit_update(LOGITS, TOKEN)
    step = 1e-5
    difference = lg.entropy(LOGITS + step * update) - lg.entropy(LOGITS - step * update)
    # Central differences: error step² for derivatives of order one.
    np.testing.assert_allclose(
        lg.entropy_change(LOGITS, update), difference / (2 * step), rtol=1e-6, atol=1e-9
    )


def test_reinforcing_the_likeliest_token_narrows_and_penalising_it_widens():
    likeliest = LOGITS.argmax(axis=-1)
    assert np.all(lg.entropy_change(LOGITS, lg.psr_logit_update(LOGITS, likeliest)) < 0)
    assert np.all(lg.entropy_change(LOGITS, lg.nsr_logit_update(LOGITS, likeliest)) > 0)


@settings(max_examples=50, deadline=None)
@given(arrays(np.float64, (6,), elements=st.floats(-30, 30)), st.integers(0, 5))
def test_negative_reinforcement_redistributes_by_the_prior(logits, token):
    prior = np.exp(logits - logits.max())
    others = np.where(np.arange(6) == token, 0, prior)
    shares = others / others.sum()
    for estimator in lg.ESTIMATORS:
        update = lg.nsr_logit_update(logits, token, estimator=estimator)
        assert update[token] <= 0
        assert abs(update.sum()) <= 1e-15
        np.testing.assert_allclose(
            update,
            -update[token] * np.where(np.arange(6) == token, -1, shares),
            rtol=1e-9,
            atol=1e-30,
        )


def test_a_confident_token_barely_moves_and_what_it_moves_is_exact():
    """1 − π_y = 1e-20 would be 0 if it were subtracted."""
    logits = np.array([0.0, np.log(1e-20)])
    assert lg.psr_logit_update(logits, 0).tolist() == pytest.approx([1e-20, -1e-20], rel=1e-12)
    update = lg.nsr_logit_update(np.array([50.0, 0.0, 0.0]), 0)
    np.testing.assert_allclose(update / -update[0], [-1, 0.5, 0.5], rtol=1e-14)


def test_the_estimators_differ_by_the_probability_of_the_token(backend):
    logits, token = backend.array(LOGITS), backend.array(TOKEN)
    by_probability = backend.numpy(lg.psr_logit_update(logits, token))
    by_log = backend.numpy(lg.psr_logit_update(logits, token, estimator="log_probability"))
    policy = np.exp(LOGITS - np.log(np.exp(LOGITS).sum(-1, keepdims=True)))
    chosen = np.take_along_axis(policy, TOKEN[..., None], axis=-1)
    np.testing.assert_allclose(by_probability, chosen * by_log, rtol=1e-12)


def test_three_array_libraries_agree_and_jax_traces(backend):
    logits, token = backend.array(LOGITS), backend.array(TOKEN)
    update = lg.psr_logit_update(LOGITS, TOKEN)
    for function, exact in (
        (lg.psr_logit_update, update),
        (lambda z, y: lg.entropy(z), lg.entropy(LOGITS)),
        (
            lambda z, y: lg.entropy_change(z, lg.psr_logit_update(z, y)),
            lg.entropy_change(LOGITS, update),
        ),
    ):
        np.testing.assert_allclose(
            backend.numpy(function(logits, token)), exact, rtol=1e-12, atol=1e-15
        )
        if backend.name == "jax":
            np.testing.assert_allclose(
                jax.jit(function)(logits, token), exact, rtol=1e-12, atol=1e-15
            )


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_sixteen_bits_find_the_right_token_of_a_large_vocabulary(dtype):
    """As 16-bit floats 301 and its neighbours are one number, and 5,000 terms do not add up."""
    torch = pytest.importorskip("torch")
    dtype = getattr(torch, dtype)
    logits = torch.asarray(np.random.default_rng(0).normal(size=5000)).to(dtype)
    exact = logits.double()
    token = torch.tensor(4301)
    for function in (
        lg.psr_logit_update,
        lambda z, y: lg.entropy(z),
        lambda z, y: lg.entropy_change(z, lg.psr_logit_update(z.double(), y).to(z.dtype)),
    ):
        result = function(logits, token)
        assert result.dtype == dtype
        # float16 has no numbers between 0 and 6e-8.
        np.testing.assert_allclose(
            result.double(),
            function(exact, token),
            rtol=2**-7,
            atol=6e-8 if dtype == torch.float16 else 0,
        )


def test_single_precision_stays_single():
    torch = pytest.importorskip("torch")
    update = lg.psr_logit_update(torch.tensor([0.0, 1.0]), torch.tensor(1))
    assert update.dtype == torch.float32


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: lg.psr_logit_update(np.zeros(3), 3), r"token must lie in \[0, 2\]"),
        (lambda: lg.psr_logit_update(np.zeros(3), -1), r"token must lie in \[0, 2\]"),
        (lambda: lg.psr_logit_update(np.zeros(3), 1.0), "token must be integers of shape"),
        (lambda: lg.psr_logit_update(np.zeros((2, 3)), 1), r"integers of shape \(2,\)"),
        (lambda: lg.psr_logit_update(np.zeros(3), 0, estimator="pi"), "estimator must be one of"),
        (lambda: lg.entropy(np.array([0.0, np.nan])), "logits must be finite"),
        (lambda: lg.entropy(np.array([0.0, -np.inf])), "logits must be finite"),
        (lambda: lg.entropy(1.0), "vocabulary on their last axis"),
        (lambda: lg.entropy_change(np.zeros(3), np.zeros(2)), "update must have the shape"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("gap", [5.0, 20.0, 50.0, 300.0])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_entropy_of_a_confident_policy_keeps_its_digits(gap, dtype):
    """H = ln(1 + ε) + gap·ε/(1 + ε) with ε = exp(−gap), which 1 − π would lose."""
    small = np.exp(-gap)
    exact = np.log1p(small) + gap * small / (1 + small)
    if exact < np.finfo(dtype).tiny:
        return
    entropy = lg.entropy(np.array([0.0, -gap], dtype=dtype))
    assert float(entropy) == pytest.approx(exact, rel=8 * float(np.finfo(dtype).eps))


def test_logits_pass_through_torchs_vmap():
    torch = pytest.importorskip("torch")
    logits, token = torch.tensor(LOGITS[0]), torch.tensor(TOKEN[0])
    mapped = torch.func.vmap(lg.psr_logit_update)(logits, token)
    torch.testing.assert_close(mapped, lg.psr_logit_update(logits, token))


def test_a_policy_that_is_certain_has_the_entropy_zero_and_no_minus(backend):
    found = backend.numpy(lg.entropy(backend.array(np.array([[2000.0, 0.0, -5.0]]))))
    assert found.tolist() == [0]
    assert not np.signbit(found).any()
