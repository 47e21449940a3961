"""The compiled part of a simulation: many cells, in blocks of prompts, on every core.

A cell is one scheme under one seed. Schemes with a table differ in numbers only, so all of them
run in one program, compiled once per shape and kept. The work falls into items: a block of the
prompts of one cell where prompts share nothing, else some whole cells. An item takes all its
updates up to the next measurement before the next item begins, so that its logits stay in the
cache, and each core takes an equal share of the items without waiting for the others. Items are
chosen by the shape alone and a prompt's draws by its place among all, so the numbers do not
depend on how many cores there are.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from runs.environment import available_cores
from sim.cores import Compiled, Options, compiler_options, on_cores
from sim.divergence import DIVERGED
from sim.measure import by_name, measure
from sim.policies.bandit import Bandit
from sim.policies.base import Policy
from sim.policies.shared_tree import SharedTree
from sim.problems import Problem
from sim.tables import Table
from sim.update import Costs, Memory, Rules, State, initial_state, memory_of, update
from theory.schedules import ByEntropy, parse_schedule

Array = jax.Array
Metrics = dict[str, np.ndarray]

_BLOCK = 256
"""Prompts per block: their draws fit the first-level cache, logits and counts the second."""

_ITEM_ELEMENTS = 1 << 13
"""Parameters per item of small cells, which are vectorised together."""

_ROUND = 16
"""Larger groups of cells are multiples of this."""

_CHUNK = 8
"""Items of small cells in one call, so that the few cells that a sweep measures have the program of
the many that it tunes."""


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


class Layout(NamedTuple):
    """How the work falls into items.

    Attributes:
        cells: Number of cells.
        blocks: Blocks the prompts of a cell fall into.
        group: Cells vectorised in one item; 1 where there are several blocks.
    """

    cells: int
    blocks: int
    group: int

    @property
    def items(self) -> int:
        """Number of items; the last may repeat a cell to be full."""
        return -(-self.cells // self.group) * self.blocks

    def shares(self, cores: int) -> list[range]:
        """Items of each call: of single cells or blocks one call a core, as equal as may be.

        >>> Layout(cells=5, blocks=1, group=1).shares(2)
        [range(0, 3), range(3, 5)]
        """
        size = _CHUNK if self.group > 1 else -(-self.items // min(cores, self.items))
        return [range(first, min(first + size, self.items)) for first in range(0, self.items, size)]


class Inputs(NamedTuple):
    """What does not change while an item learns; arrays lead with (items, group).

    Attributes:
        policy: The policy.
        initial: Initial parameters, where a KL penalty asks for them.
        table: Scheme tables, or none.
        rate: Step sizes.
        seed: Seeds.
        start: Place of the first prompt among all.
    """

    policy: Policy
    initial: Array | None
    table: Table | None
    rate: Array
    seed: Array
    start: Array


def initial_states(rules: Rules, cells: Cells) -> State:
    """States of all cells before the first update."""
    states: State = jax.vmap(lambda problem: initial_state(rules, problem))(cells.problem)
    return states


def layout(rules: Rules, cells: Cells) -> Layout:
    """Items of a batch of cells, from its shape alone."""
    count, rows, prompts = cells.problem.parameters.shape
    policy = cells.problem.policy
    by_entropy = any(isinstance(parse_schedule(text), ByEntropy) for _, text in rules.schedules)
    blocks = 1
    if isinstance(policy, Bandit) and not by_entropy:
        widths = [w for w in range(max(1, _BLOCK // 2), _BLOCK + 1) if prompts % w == 0]
        blocks = prompts // widths[-1] if widths else 1
    if blocks > 1:
        return Layout(count, blocks, 1)
    elements = rows * prompts
    if isinstance(policy, SharedTree):
        elements = policy.shape.answers * (rules.batch or policy.prompts(cells.problem.parameters))
    group = max(1, min(count, _ITEM_ELEMENTS // elements))
    # Some more cells, of which the last is run again: other batches then have the same program.
    return Layout(count, 1, -(-group // _ROUND) * _ROUND if group > _ROUND else group)


class Runner:
    """Cells under way: advanced on all cores, measured as a whole.

    Args:
        rules: How they learn.
        pass_k: The k of pass@k.
        cells: The cells.
        state: Where to go on, from :meth:`state`; none for the beginning.
        cores: Threads to use; none for the cores this process may use.
        measured: Names of what is measured; none for everything.
    """

    def __init__(
        self,
        rules: Rules,
        pass_k: tuple[int, ...],
        cells: Cells,
        state: State | None = None,
        *,
        cores: int | None = None,
        measured: tuple[str, ...] | None = None,
    ) -> None:
        self._rules, self._pass_k, self._measured = rules, pass_k, measured
        self._cores = available_cores() if cores is None else cores
        self._layout = layout(rules, cells)
        # The draws of a block are those it would have within the whole.
        whole = cells.problem.parameters.shape[2]
        self._stride = whole if self._layout.blocks > 1 else None
        self._policies = cells.problem.policy, cells.problem.held_out
        self._table, self._rate = cells.table, cells.rate
        self._shares = self._layout.shares(self._cores)
        # Shares of one size, so that one program serves all; what is added is never run.
        size = _CHUNK if self._layout.group > 1 else len(self._shares[0])
        padded = [range(share.start, share.start + size) for share in self._shares]
        self._inputs = [_inputs(rules, cells, self._layout, share) for share in padded]
        self._held_out = [
            jax.tree.map(_picker(self._layout, share), self._policies[1]) for share in padded
        ]
        start = initial_states(rules, cells) if state is None else state
        self._parts: list[State] = [
            jax.tree.map(lambda x, share=share: jnp.array(_take(x, self._layout, share)), start)
            for share in padded
        ]
        self._size = size
        self._order: list[np.ndarray] = [np.arange(size, dtype=np.int32)] * len(padded)
        self._counts = [len(share) for share in self._shares]

    def keep(self, cells: np.ndarray) -> None:
        """Let only these cells go on, and those that share an item with one of them.

        What stands still costs nothing, and what is measured of it is of no meaning.

        Args:
            cells: Whether a cell goes on, shape (cells,).
        """
        for number, share in enumerate(self._shares):
            goes_on = cells[_places(self._layout, share)[0]].any(axis=1)
            self._order[number] = np.argsort(~goes_on, kind="stable").astype(np.int32)
            self._order[number].resize(self._size, refcheck=False)
            self._counts[number] = int(goes_on.sum())

    def advance(self, first: int, end: int) -> Metrics:
        """Do the updates first..end − 1 and return what they cost, per cell.

        ``responses`` and ``tokens`` are totals over prompts, ``clock/<name>`` the mean.
        """
        steps = jnp.uint32(first), jnp.uint32(end)
        running = [number for number, count in enumerate(self._counts) if count]
        calls = [(self._inputs[n], self._parts[n], *self._chosen(n), *steps) for n in running]
        options = compiler_options(
            wide=isinstance(self._policies[0], Bandit),
            one_core=self._layout.items > 1 or self._layout.group > 1,
        )
        program = _advance_program(self._rules, self._stride, options)
        done = dict(zip(running, on_cores(program.on(calls[0]), calls, self._cores), strict=True))
        for number, (part, _) in done.items():
            self._parts[number] = part
        costs = self._gathered({number: cost for number, (_, cost) in done.items()})
        return {name: self._per_cell(name, values) for name, values in costs.items()}

    def _chosen(self, number: int) -> tuple[Array, Array]:
        """Which items of a share go on, first those, and how many they are."""
        return jnp.asarray(self._order[number]), jnp.int32(self._counts[number])

    def _gathered(self, found: dict[int, Any]) -> Metrics:
        """Values of all items from those of the shares that were run; 0 of the others."""
        some = next(iter(found.values()))
        return {
            name: np.concatenate(
                [
                    np.asarray(found[number][name] if number in found else 0 * value, float)[
                        : len(share)
                    ]
                    for number, share in enumerate(self._shares)
                ]
            )
            for name, value in some.items()
        }

    def measure(self) -> Metrics:
        """Measurements of :func:`sim.measure.measure` and whether it diverged, per cell."""
        parameters = [part[0] for part in self._parts]
        if self._layout.blocks > 1:
            program = _measure_program(self._rules, self._pass_k, self._layout, self._measured)
            metrics = program(*self._policies, self._table, self._rate, parameters)
            arrays = {name: np.asarray(value, float) for name, value in metrics.items()}
            return by_name(arrays, self._pass_k)
        by_item = _measure_program(self._rules, self._pass_k, None, self._measured)
        running = [number for number, count in enumerate(self._counts) if count]
        calls = []
        for n in running:
            given = self._inputs[n]
            fixed = given.policy, self._held_out[n], given.table, given.rate
            calls.append((*fixed, parameters[n], *self._chosen(n)))
        done = dict(zip(running, on_cores(by_item, calls, self._cores), strict=True))
        arrays = {
            name: values.reshape(-1, *values.shape[2:])[: self._layout.cells]
            for name, values in self._gathered(done).items()
        }
        return by_name(arrays, self._pass_k)

    def state(self) -> State:
        """Parameters and optimiser state of all cells, as :func:`initial_states` has them."""
        sizes = [len(share) for share in self._shares]

        def joined(*parts: Array) -> Any:
            used = [np.asarray(part)[:size] for part, size in zip(parts, sizes, strict=True)]
            return _join(np.concatenate(used), self._layout)

        state: State = jax.tree.map(joined, *self._parts)
        return state

    def _per_cell(self, name: str, values: np.ndarray) -> np.ndarray:
        count, blocks, _ = self._layout
        by_block = values.reshape(-1, blocks)[:count]
        totals: np.ndarray = by_block.sum(axis=1)
        return totals if name in ("responses", "tokens") else totals / blocks


def run_updates(
    rules: Rules,
    inputs: Inputs,
    state: State,
    first: Array,
    end: Array,
    stride: int | None,
) -> tuple[State, Costs]:
    """Updates first..end − 1 of one cell or of a block of it, and the sums of their costs."""

    def one(state: State, number: Array, memory: Memory) -> tuple[State, Costs, Memory]:
        return update(
            rules,
            problem(state),
            inputs.table,
            inputs.rate,
            inputs.seed,
            state,
            number,
            first=inputs.start,
            stride=stride,
            memory=memory,
        )

    def problem(state: State) -> Problem:
        initial = state[0] if inputs.initial is None else inputs.initial
        return Problem(inputs.policy, None, initial)

    def step(number: Array, carry: tuple[State, Costs, Memory]) -> tuple[State, Costs, Memory]:
        state, costs, memory = one(carry[0], number, carry[2])
        return state, {name: carry[1][name] + cost for name, cost in costs.items()}, memory

    memory = memory_of(rules, problem(state))
    # Each cost is one number per prompt of an update.
    zero = jnp.zeros(rules.batch or inputs.policy.prompts(state[0]), state[0].dtype)
    zeros = dict.fromkeys(rules.summed, zero)
    state, totals, _ = lax.fori_loop(first, end, step, (state, zeros, memory))
    return state, {name: total.mean() for name, total in totals.items()}


@functools.lru_cache(maxsize=64)
def _advance_program(rules: Rules, stride: int | None, options: Options) -> Compiled:
    """Program (inputs, state, items, how many of them, first, end) → (state, costs) of a share."""

    def advance(
        inputs: Inputs, state: State, order: Array, count: Array, first: Array, end: Array
    ) -> tuple[State, Costs]:
        def one(inputs: Inputs, state: State) -> tuple[State, Costs]:
            return run_updates(rules, inputs, state, first, end, stride)

        def item(number: Array, carry: tuple[State, Costs]) -> tuple[State, Costs]:
            place = order[number]
            own, now = jax.tree.map(
                lambda x: lax.dynamic_index_in_dim(x, place, keepdims=False), (inputs, carry[0])
            )
            now, cost = jax.vmap(one)(own, now)
            result: tuple[State, Costs] = jax.tree.map(
                lambda x, new: lax.dynamic_update_index_in_dim(x, new, place, 0),
                carry,
                (now, cost),
            )
            return result

        zeros = jnp.zeros(inputs.rate.shape, state[0].dtype)
        costs = dict.fromkeys(rules.summed, zeros)
        done: tuple[State, Costs] = lax.fori_loop(0, count, item, (state, costs))
        return done

    return Compiled(jax.jit(advance, donate_argnums=1, compiler_options=dict(options)))


@functools.lru_cache(maxsize=64)
def _measure_program(
    rules: Rules,
    pass_k: tuple[int, ...],
    layout: Layout | None,
    measured: tuple[str, ...] | None,
) -> Callable[..., dict[str, Array]]:
    """Program (policy, held-out one, table, rate, parameters) → measurements.

    Without a layout it measures items, all arrays leading with (items, group), and is told which
    and how many; with one, all cells, whose parameters are a list of every share's.
    """

    def one(
        policy: Policy,
        held_out: Policy | None,
        table: Table | None,
        rate: Array,
        parameters: Array,
    ) -> dict[str, Array]:
        metrics = measure(policy, parameters, rules, pass_k, table, rate)
        if held_out is not None:
            unseen = measure(held_out, parameters, rules, pass_k)
            metrics.update({f"held_out/{name}": value for name, value in unseen.items()})
        metrics[DIVERGED] = ~(jnp.isfinite(parameters).all() & jnp.isfinite(metrics["success"]))
        # What is left out is never computed.
        return {n: value for n, value in metrics.items() if measured is None or n in measured}

    def by_item(*arguments: Any) -> dict[str, Array]:
        *values, order, count = arguments
        shapes = jax.eval_shape(jax.vmap(jax.vmap(one)), *values)

        def item(number: Array, found: dict[str, Array]) -> dict[str, Array]:
            place = order[number]
            own = jax.tree.map(
                lambda x: lax.dynamic_index_in_dim(x, place, keepdims=False), tuple(values)
            )
            new = jax.vmap(one)(*own)
            return {
                name: lax.dynamic_update_index_in_dim(found[name], value, place, 0)
                for name, value in new.items()
            }

        zeros = {name: jnp.zeros(shape.shape, shape.dtype) for name, shape in shapes.items()}
        done: dict[str, Array] = lax.fori_loop(0, count, item, zeros)
        return done

    if layout is None:
        return jax.jit(by_item, compiler_options=dict(compiler_options()))

    def program(
        policy: Policy,
        held_out: Policy | None,
        table: Table | None,
        rate: Array,
        parts: list[Array],
    ) -> dict[str, Array]:
        parameters = _join(jnp.concatenate(parts), layout)
        return jax.vmap(one)(policy, held_out, table, rate, parameters)

    return jax.jit(program, compiler_options=dict(compiler_options()))


def _picker(layout: Layout, items: range) -> Callable[[Array], Array]:
    """Function from an array of all cells to what some items need of it."""
    chosen = _places(layout, items)[0]

    def pick(values: Array) -> Array:
        return jnp.asarray(np.asarray(values)[chosen])

    return pick


def _inputs(rules: Rules, cells: Cells, layout: Layout, items: range) -> Inputs:
    """Inputs of some items."""
    blocks, pick = _places(layout, items)[1], _picker(layout, items)
    width = cells.problem.parameters.shape[2] // layout.blocks
    initial = _take(cells.problem.parameters, layout, items) if rules.kl_penalty else None
    return Inputs(
        jax.tree.map(pick, cells.problem.policy),
        None if initial is None else jnp.asarray(initial),
        jax.tree.map(pick, cells.table),
        pick(cells.rate),
        pick(cells.seed),
        jnp.asarray((blocks * width).astype(np.uint32)),
    )


def _places(layout: Layout, items: range) -> tuple[np.ndarray, np.ndarray]:
    """Cells and blocks of each item, both of shape (items, group).

    What lies beyond the last cell repeats it.
    """
    cells, blocks = np.divmod(np.asarray(items)[:, None], layout.blocks)
    cells = cells * layout.group + np.arange(layout.group)[None]
    return np.minimum(cells, layout.cells - 1), np.broadcast_to(blocks, cells.shape)


def _take(values: Array, layout: Layout, items: range) -> np.ndarray:
    """Items of an array of all cells: (cells, rows, prompts) to (items, group, rows, width)."""
    whole = np.asarray(values)
    by_block = whole.reshape(*whole.shape[:2], layout.blocks, -1).swapaxes(1, 2)
    taken: np.ndarray = by_block[_places(layout, items)]
    return taken


def _join(items: Any, layout: Layout) -> Any:
    """What :func:`_take` took apart."""
    _, _, rows, width = items.shape
    split = items[: layout.items].reshape(-1, layout.blocks, rows, width)[: layout.cells]
    return split.swapaxes(1, 2).reshape(layout.cells, rows, layout.blocks * width)
