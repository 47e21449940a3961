"""Programs for some of the cores: how they are compiled, and how they are called on threads."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

Array = jax.Array
Options = tuple[tuple[str, Any], ...]

_LOOPS = {
    # The library takes matrix products; loops over logits are faster as XLA's own.
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT",
}
_WIDE = {
    # Comparisons into mask registers run once a cycle whatever their width: make them wide. Other
    # programs do not gain what this takes to compile.
    "xla_cpu_prefer_vector_width": 512,
}
_ONE_CORE = {
    "xla_cpu_multi_thread_eigen": False,
}
_DROP_FENCES = "cse_barrier_expander"
"""Pass that takes the fences away before loops are fused."""
_SHARE_LOOPS = "cpu-parallel-task-assigner"
"""Pass that hands halves of every longer loop to the threads that serve the other items."""
_DISABLED = "xla_disable_hlo_passes"


def compiler_options(*, wide: bool = False, one_core: bool = False) -> Options:
    """Options of a compiled program on this backend, as far as its compiler knows them.

    They change speed alone; another version of JAX may lack one, or fail to compile a fence that
    stays (JAX 0.12 does in a loop), and then goes without it.

    Args:
        wide: Use the widest registers there are.
        one_core: Leave the other cores to other programs.
    """
    if jax.default_backend() != "cpu":
        return ()
    wanted = {**_LOOPS, **(_WIDE if wide else {}), **(_ONE_CORE if one_core else {})}
    known = [(name, value) for name, value in wanted.items() if _works(name, value)]
    passes = [_DROP_FENCES, *([_SHARE_LOOPS] if one_core else [])]
    disabled = ",".join(name for name in passes if _works(_DISABLED, name))
    return (*known, (_DISABLED, disabled)) if disabled else tuple(known)


def fence(values: Array) -> Array:
    """The same values, computed once and kept.

    XLA on the CPU computes what looks cheap again in each loop reading it: a chain of prefix sums
    quadratically often. A barrier stays until loops are fused only under :func:`compiler_options`;
    without them nothing but speed is lost.
    """
    kept: Array = lax.optimization_barrier(values)  # type: ignore[no-untyped-call]
    return kept


class Compiled:
    """A jitted function as executables by shape, which any thread may call.

    A thread does not inherit the precision its caller has set; an executable does not ask.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._executables: dict[Any, Callable[..., Any]] = {}

    def on(self, arguments: tuple[Any, ...]) -> Callable[..., Any]:
        """The executable for arguments of this kind."""
        leaves, structure = jax.tree.flatten(arguments)
        kind = (structure, tuple((leaf.shape, leaf.dtype) for leaf in leaves))
        if kind not in self._executables:
            self._executables[kind] = self._function.lower(*arguments).compile()  # type: ignore[attr-defined]
        return self._executables[kind]


def on_cores(
    function: Callable[..., Any], calls: Sequence[tuple[Any, ...]], cores: int
) -> list[Any]:
    """Results of the calls, on a thread per core; XLA lets go of the interpreter."""

    def call(arguments: tuple[Any, ...]) -> Any:
        return jax.block_until_ready(function(*arguments))  # type: ignore[no-untyped-call]

    if len(calls) == 1 or cores == 1:
        return [call(arguments) for arguments in calls]
    return list(_pool(cores).map(call, calls))


@functools.lru_cache(maxsize=1)
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="sim")


@functools.cache
def _works(name: str, value: Any) -> bool:
    """Tell whether a loop with a fence in it compiles with an option."""

    def loop(values: Array) -> Array:
        done: Array = lax.fori_loop(0, 2, lambda _, kept: fence(kept * 2) + 1, values)
        return done

    try:
        jax.jit(loop, compiler_options={name: value}).lower(jnp.ones(4)).compile()
    except (jax.errors.JaxRuntimeError, ValueError):
        return False
    return True
