"""The compiled part of a simulation: some updates, then one measurement, for a batch of cells.

A cell is one scheme under one seed. Schemes with a table differ in numbers only, so all of them
run in one program, vectorised over cells; it is compiled once per shape and kept. Independent
prompts are processed in blocks whose random draws fit in the first-level cache; a prompt's draws
do not depend on its block.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from sim.measure import measure
from sim.optimizers import Moments, initial_moments
from sim.policies.bandit import Bandit
from sim.problems import Problem
from sim.tables import Table
from sim.update import Rules, clock_metrics, update

Array = jax.Array
Metrics = dict[str, Array]
State = tuple[Array, Moments]

_BLOCK = 256
"""Prompts per block: 16 draws for each fit in 16 KiB."""

_COMPILER = {
    # Comparisons into mask registers run once a cycle whatever their width: make them wide.
    "xla_cpu_prefer_vector_width": 512,
    # The library takes matrix products; loops over logits are faster as XLA's own.
    "xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT",
}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Cells:
    """A batch of cells; every array has a leading axis of cells.

    Attributes:
        problem: What is learned, with the initial parameters.
        table: Scheme tables, or none where the scheme is compiled in.
        rate: Step sizes.
        seed: Seeds, uint32.
    """

    problem: Problem
    table: Table | None
    rate: Array
    seed: Array


def initial_state(rules: Rules, cells: Cells) -> State:
    """Parameters and optimiser state before the first update."""
    parameters = cells.problem.parameters
    return parameters, initial_moments(rules.optimizer, parameters)


Program = Callable[[Cells, State, Array, Array], tuple[State, Metrics]]


@functools.lru_cache(maxsize=64)
def compiled(rules: Rules, pass_k: tuple[int, ...]) -> Program:
    """Program (cells, state, first, end) → (state, metrics) of the updates first..end − 1.

    The number of updates may be 0: then the state is only measured. Besides the measurements the
    metrics hold ``responses`` and ``clock/<name>``, the cost of these updates.
    """

    def one(cells: Cells, state: State, first: Array, end: Array) -> tuple[State, Metrics]:
        state, costs = run_updates(rules, cells, state, first, end)
        problem, parameters = cells.problem, state[0]
        metrics = measure(problem.policy, parameters, rules.group_size, pass_k, cells.table)
        if problem.held_out is not None:
            unseen = measure(problem.held_out, parameters, rules.group_size, pass_k, None)
            metrics.update({f"held_out/{name}": value for name, value in unseen.items()})
        return state, {**metrics, **costs}

    program: Program = jax.jit(
        jax.vmap(one, in_axes=(0, 0, None, None)),
        donate_argnums=1,
        compiler_options=compiler_options(),
    )
    return program


def run_updates(
    rules: Rules, cells: Cells, state: State, first: Array, end: Array
) -> tuple[State, Metrics]:
    """Updates first..end − 1 of one cell, and what they cost in total."""
    problem, blocks = cells.problem, _blocks(cells.problem)
    prompts = problem.parameters.shape[-1]
    width = prompts // blocks
    initial = _split(problem.parameters, blocks)
    starts = jnp.arange(blocks, dtype=jnp.uint32) * jnp.uint32(width)

    def step(number: Array, carry: tuple[State, Metrics]) -> tuple[State, Metrics]:
        def block(parameters: Array, state: State, start: Array) -> tuple[State, Metrics]:
            part = dataclasses.replace(problem, parameters=parameters)
            return update(
                rules, part, cells.table, cells.rate, cells.seed, state, number,
                first=start, stride=prompts,
            )  # fmt: skip

        state, totals = carry
        if blocks == 1:
            state, costs = block(initial, state, jnp.uint32(0))
        else:
            state, by_block = jax.vmap(block)(initial, state, starts)
            costs = {name: values.mean() for name, values in by_block.items()}
            costs["responses"] = by_block["responses"].sum()
        return state, {name: totals[name] + cost for name, cost in costs.items()}

    zero = jnp.zeros((), problem.parameters.dtype)
    totals = dict.fromkeys([*clock_metrics(rules.group_size), "responses"], zero)
    split: State = jax.tree.map(lambda x: _split(x, blocks), state)
    split, totals = lax.fori_loop(first, end, step, (split, totals))
    return jax.tree.map(lambda x: _join(x, blocks), split), totals


@functools.cache
def compiler_options() -> dict[str, Any] | None:
    """Options of the compiled programs on this backend, as far as its compiler knows them.

    They change speed alone; another version of JAX may lack one.
    """
    if jax.default_backend() != "cpu":
        return None
    return {name: value for name, value in _COMPILER.items() if _is_known(name, value)}


def _is_known(name: str, value: Any) -> bool:
    try:
        jax.jit(lambda: jnp.zeros(()), compiler_options={name: value})()
    except (jax.errors.JaxRuntimeError, ValueError):
        return False
    return True


def _blocks(problem: Problem) -> int:
    """Number of equal blocks the prompts fall into; 1 where they share anything."""
    if not isinstance(problem.policy, Bandit):
        return 1
    prompts = problem.parameters.shape[1]
    widths = [w for w in range(_BLOCK // 2, _BLOCK + 1) if prompts % w == 0]
    return prompts // widths[-1] if widths else 1


def _split(values: Array, blocks: int) -> Array:
    if blocks == 1:
        return values
    rows, prompts = values.shape
    return values.reshape(rows, blocks, prompts // blocks).transpose(1, 0, 2)


def _join(values: Array, blocks: int) -> Array:
    if blocks == 1:
        return values
    _, rows, width = values.shape
    return values.transpose(1, 0, 2).reshape(rows, blocks * width)
