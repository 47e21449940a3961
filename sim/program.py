"""The compiled part of a simulation: some updates, then one measurement, for a batch of cells.

A cell is one scheme under one seed. Schemes with a table differ in numbers only, so all of them
run in one program, vectorised over cells; it is compiled once per shape and kept.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from sim.bandit import Bandit
from sim.counter import draw
from sim.learners import (
    confidence_weights,
    mirror_step,
    mirror_weight,
    natural_step,
    softmax_step,
    table_weights,
)
from sim.measure import measure, success_and_failure
from sim.tables import Table
from theory.clocks import resolve_clock

Array = jax.Array
Metrics = dict[str, Array]


@dataclasses.dataclass(frozen=True)
class Shape:
    """Everything the compiled program depends on except numbers.

    Attributes:
        learner: ``"mirror"``, ``"natural"`` or ``"softmax"``.
        group_size: M, or none for the population limit.
        scheme: Name of a scheme that has to be compiled by itself (LENS, population limits); none
            for schemes given as tables.
        updates: Updates per call.
        pass_k: The k of pass@k.
        generator: Random bits, see :mod:`sim.counter`.
        precision: Floating type.
    """

    learner: str
    group_size: int | None
    scheme: str | None
    updates: int
    pass_k: tuple[int, ...]
    generator: str
    precision: str


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Cells:
    """A batch of cells; every array has a leading axis of cells.

    Attributes:
        policy: The policies, with what is not learned.
        table: Scheme tables, or none where the scheme is compiled in.
        rate: Step sizes.
        seed: Seeds, uint32.
    """

    policy: Bandit
    table: Table | None
    rate: Array
    seed: Array


def clock_names(group_size: int | None) -> tuple[str, ...]:
    """Clocks whose cost is summed along the run, as references for theory.clocks."""
    if group_size is None or group_size < 2:
        return ("effective",)
    return (
        "effective",
        f"any_success:group_size={group_size}",
        f"mixed_group:group_size={group_size}",
    )


def clock_metrics(group_size: int | None) -> tuple[str, ...]:
    """Names of the metrics of those clocks."""
    return tuple(f"clock/{name.partition(':')[0]}" for name in clock_names(group_size))


@functools.lru_cache(maxsize=32)
def compiled(shape: Shape) -> Callable[[Cells, Array, Array], tuple[Array, Metrics]]:
    """Program (cells, parameters, first step) → (parameters, metrics) of one interval.

    ``clock/<name>`` among the metrics is the cost of the interval's updates, mean over prompts.
    """

    def one(cells: Cells, parameters: Array, first: Array) -> tuple[Array, Metrics]:
        def step(parameters: Array, number: Array) -> tuple[Array, Metrics]:
            return _update(shape, cells, parameters, number)

        numbers = first + jnp.arange(shape.updates, dtype=jnp.uint32)
        parameters, costs = lax.scan(step, parameters, numbers)
        metrics = _measure(shape, cells, parameters)
        metrics.update({name: values.sum(axis=0) for name, values in costs.items()})
        return parameters, metrics

    return jax.jit(jax.vmap(one, in_axes=(0, 0, None)), donate_argnums=1)


@functools.lru_cache(maxsize=32)
def compiled_measurement(shape: Shape) -> Callable[[Cells, Array], Metrics]:
    """Program (cells, parameters) → metrics, for the state before the first update."""
    return jax.jit(jax.vmap(functools.partial(_measure, shape)))


def _measure(shape: Shape, cells: Cells, parameters: Array) -> Metrics:
    return measure(
        cells.policy.masses(parameters),
        cells.policy.correct,
        group_size=shape.group_size,
        pass_k=shape.pass_k,
        table=cells.table,
    )


def _update(shape: Shape, cells: Cells, parameters: Array, number: Array) -> tuple[Array, Metrics]:
    policy, rate = cells.policy, cells.rate
    masses = policy.masses(parameters)
    success, failure = success_and_failure(masses, policy.correct)
    costs = {
        metric: resolve_clock(clock).cost(success).mean()
        for metric, clock in zip(
            clock_metrics(shape.group_size), clock_names(shape.group_size), strict=True
        )
    }
    if shape.learner == "mirror":
        weight = mirror_weight(shape.scheme, cells.table, success, failure)
        return mirror_step(policy, parameters, weight, rate), costs
    assert shape.group_size is not None  # the configuration sees to it
    uniforms = draw(
        shape.generator,  # type: ignore[arg-type]
        cells.seed,
        number,
        shape.group_size,
        masses.shape[1],
        dtype=masses.dtype,
    )
    if cells.table is not None:
        weights = table_weights(policy, masses, uniforms, cells.table)
    else:
        assert shape.scheme is not None
        weights = confidence_weights(policy, masses, uniforms, shape.scheme)
    learn = natural_step if shape.learner == "natural" else softmax_step
    return learn(policy, parameters, masses, weights, rate), costs
