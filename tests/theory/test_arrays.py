"""Array plumbing: kinds, dtypes, tracing, and sentences about what is out of range."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from theory import _arrays


def test_numbers_and_lists_become_float64_and_arrays_stay_what_they_are():
    torch = pytest.importorskip("torch")
    assert _arrays.as_array([1, 2]).dtype == np.float64
    assert _arrays.as_array(3).shape == ()
    for values in (np.arange(2), torch.arange(2), jnp.arange(2)):
        assert _arrays.as_array(values) is values


def test_integers_and_booleans_become_the_default_float_of_their_library():
    torch = pytest.importorskip("torch")
    assert _arrays.as_floating(np.array([True])).dtype == np.float64
    assert _arrays.as_floating(torch.tensor([1])).dtype == torch.float32
    assert _arrays.as_floating(jnp.array([1])).dtype == jnp.float64
    half = torch.tensor([1.0], dtype=torch.bfloat16)
    assert _arrays.as_floating(half) is half


def test_sixteen_bit_floats_are_widened_and_others_are_not():
    torch = pytest.importorskip("torch")
    for values in (
        torch.zeros(1, dtype=torch.bfloat16),
        torch.zeros(1, dtype=torch.float16),
        np.zeros(1, np.float16),
        jnp.zeros(1, jnp.bfloat16),
    ):
        assert str(_arrays.widened(values).dtype).endswith("float32")
    double = np.zeros(1)
    assert _arrays.widened(double) is double


def test_counting_has_the_dtype_of_its_model(backend):
    like = backend.array(np.zeros(1, np.float32))
    counted = _arrays.counting(like, 3)
    assert counted.dtype == like.dtype
    assert backend.numpy(counted).tolist() == [0, 1, 2]


def test_tracers_are_told_from_arrays():
    seen = []
    jax.jit(lambda x: seen.append(_arrays.is_traced(x)) or x)(1.0)
    assert seen == [True]
    assert not _arrays.is_traced(jnp.ones(1))
    assert not _arrays.is_traced(np.ones(1))


def test_values_out_of_range_are_named_with_their_place(backend):
    inside = backend.array([[0.0, 1.0], [0.5, 0.25]])
    _arrays.check_interval("share", inside)
    for bad, message in (
        ([[0.0, 1.0], [0.5, 1.25]], r"share must lie in \[0, 1\]; got 1.25 at index 1, 1"),
        ([[np.nan, 1.0], [0.5, 1.0]], "got nan at index 0, 0"),
        ([[0.0, -np.inf], [0.5, 1.0]], "got -inf at index 0, 1"),
    ):
        with pytest.raises(ValueError, match=message):
            _arrays.check_interval("share", backend.array(bad))
    with pytest.raises(ValueError, match=r"share must lie in \(0, 1\); got 0 at index 0, 0"):
        _arrays.check_interval("share", inside, open_ends=True)
    with pytest.raises(ValueError, match=r"share must lie in \[0, 1\]; got 2$"):
        _arrays.check_interval("share", backend.array(2.0)[()])


def test_infinities_are_refused_even_where_the_interval_has_no_end(backend):
    _arrays.check_interval("logs", backend.array([-1e300, 0.0]), low=-np.inf, high=0.0)
    with pytest.raises(ValueError, match=r"logs must lie in \(-inf, 0\]; got -inf at index 0"):
        _arrays.check_interval("logs", backend.array([-np.inf, 0.0]), low=-np.inf, high=0.0)


def test_values_under_jit_are_not_looked_at():
    @jax.jit
    def checked(values):
        _arrays.check_interval("share", values)
        return values

    assert checked(jnp.array([3.0])).tolist() == [3.0]


def test_mixtures_and_things_that_are_no_numbers_are_refused():
    torch = pytest.importorskip("torch")
    with pytest.raises(ValueError, match="a mixture of numpy, torch"):
        _arrays.namespace(np.ones(1), torch.ones(1))
    for thing in ("text", [[1], [1, 2]], object(), np.array(["a"]), np.array([1j])):
        with pytest.raises(ValueError, match="expected real numbers"):
            _arrays.as_array(thing)
