"""Programs on threads: results in order, errors raised, one executable per shape, known options."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from sim import cores


def test_results_come_in_the_order_of_the_calls_and_errors_come_out():
    assert cores.on_cores(lambda x: 2 * x, [(i,) for i in range(5)], 2) == [0, 2, 4, 6, 8]
    with pytest.raises(ZeroDivisionError):
        cores.on_cores(lambda x: 1 // x, [(1,), (0,)], 2)


def test_an_executable_is_compiled_once_per_shape_and_keeps_its_precision():
    program = cores.Compiled(jax.jit(lambda x: x / 3))
    single, double = jnp.ones(2, jnp.float32), jnp.ones(2, jnp.float64)
    assert program.on((single,)) is program.on((single + 1,))
    assert program.on((single,)) is not program.on((double,))
    # On a thread, which would start out in single precision.
    (one, other) = cores.on_cores(program.on((double,)), [(double,), (3 * double,)], 2)
    assert one.dtype == jnp.float64
    np.testing.assert_array_equal(one, np.full(2, 1 / 3))
    np.testing.assert_array_equal(other, np.ones(2))


def test_options_a_compiler_does_not_know_are_left_out(monkeypatch):
    monkeypatch.setattr(cores, "_WIDE", {"xla_cpu_no_such_option": 1})
    assert "xla_cpu_no_such_option" not in dict(cores.compiler_options(wide=True))
    assert "xla_disable_hlo_passes" in dict(cores.compiler_options(one_core=True))


def test_a_fence_stands_between_loops_and_changes_no_number():
    def twice(x):
        kept = cores.fence(x * 3)
        return kept + 1, kept - 1

    def fusions(options):
        text = (
            jax.jit(twice, compiler_options=dict(options)).lower(jnp.ones(64)).compile().as_text()
        )
        return text.count(" fusion("), text.count(" opt-barrier(")

    stays = "cse_barrier_expander" in str(cores.compiler_options())
    loops, fences = fusions(cores.compiler_options())
    assert fences == stays
    assert not stays or loops == 3
    assert fusions(())[1] == 0
    for ours, theirs in zip(
        jax.jit(twice)(jnp.arange(4.0)), ([1, 4, 7, 10], [-1, 2, 5, 8]), strict=True
    ):
        np.testing.assert_array_equal(ours, theirs)


def test_a_fence_that_does_not_compile_in_a_loop_is_let_go(monkeypatch):
    real = cores.lax.fori_loop

    def fails(*arguments):
        raise jax.errors.JaxRuntimeError("UNIMPLEMENTED: opt-barrier")

    cores._works.cache_clear()
    monkeypatch.setattr(cores.lax, "fori_loop", fails)
    assert "xla_disable_hlo_passes" not in dict(cores.compiler_options(one_core=True))
    monkeypatch.setattr(cores.lax, "fori_loop", real)
    cores._works.cache_clear()
    assert "cpu-parallel-task-assigner" in str(cores.compiler_options(one_core=True))


def test_a_fence_in_a_loop_runs_under_the_options_of_this_jax():
    def loop(x):
        return jax.lax.fori_loop(0, 3, lambda _, kept: cores.fence(kept * 2) + 1, x)

    # 0.12 cannot compile it with the pass disabled that takes fences away.
    for one_core in (False, True):
        options = dict(cores.compiler_options(one_core=one_core))
        np.testing.assert_array_equal(
            jax.jit(loop, compiler_options=options)(jnp.zeros(4)), jnp.full(4, 7.0)
        )
