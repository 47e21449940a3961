"""Rollouts per second of the simulator against PyTorch, NumPy and the machine's own bound.

The work: 4,096 prompts × 64 answers, groups of 16, GRPO, plain softmax gradient ascent, the same
in every implementation. Contenders take turns within one run. The peers are compared by the clock
on the wall, all cores there for whoever uses them, each by its best round, as what else the machine
does only adds. The bound uses all cores as we do, without waiting, so it is compared by processor
time, which other processes disturb least, and by the median of the ratios of neighbouring rounds:
the speed of a core comes and goes, for both.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from runs.environment import available_cores, describe_environment
from sim.config import SimulationConfig
from sim.cores import compiler_options
from sim.counter import key, uniforms
from sim.problems import build
from sim.program import Cells, Runner
from sim.run import cells_of, plan
from sim.tables import scheme_table, stack
from sim.update import Rules
from theory.schemes import SCHEMES

PROMPTS, ANSWERS, CORRECT, GROUP = 4096, 64, 4, 16
RATE = 0.1
STEPS = {"ours": 60, "bound": 60, "numpy": 5, "torch": 5}
"""Updates per round."""

ROUNDS = 20


def run() -> list[dict[str, Any]]:
    """Time the four and return the three ratios."""
    environment = environment_of_work()
    logits = _initial_logits(PROMPTS)
    # Before PyTorch comes, whose threads go on spinning for a while.
    both = {"ours": ours(PROMPTS), "bound": bound(logits)}
    times = in_turns(both, 100, time.process_time)
    ratio = np.median(times["ours"] / times["bound"]) * STEPS["bound"] / STEPS["ours"]
    rates = (_rate(name, np.median(times[name])) for name in both)
    unit = "million rollouts per second of a core; ratio = peer / ours"
    bound_row = row("sim_vs_bound", *rates, environment)
    rows = [{**bound_row, "ratio": float(ratio), "unit": unit}]
    contenders = {"ours": ours(PROMPTS), "numpy": numpy_peer(logits)}
    with contextlib.suppress(ModuleNotFoundError):
        contenders["torch"] = torch_peer(logits)
    best = {name: float(seconds.min()) for name, seconds in in_turns(contenders, ROUNDS).items()}
    for peer in list(contenders)[1:]:
        rates = (_rate(name, best[name]) for name in ("ours", peer))
        rows.append(row(f"sim_vs_{peer}", *rates, environment))
    return [*rows, measured_seldom(environment)]


def measured_seldom(environment: dict[str, Any]) -> dict[str, Any]:
    """Prompts that share parameters, measured once per ten updates, against at every update."""
    config = SimulationConfig(
        schemes=("grpo",),
        policy="log_linear",
        prompts=256,
        features=32,
        batch=64,
        group_size=GROUP,
        learning_rate=10.0,
        seeds=40,
    )
    steps = 60
    (batch,) = plan(config)
    cells = cells_of(config, batch)

    def training(every: int) -> Callable[[], None]:
        runner = Runner(batch.rules, config.pass_k, cells)

        def call() -> None:
            for first in range(0, steps, every):
                runner.advance(first, first + every)
                runner.measure()

        return call

    contenders = {"ours": training(10), "peer": training(1)}
    times = in_turns(contenders, ROUNDS // 4, time.process_time)
    drawn = config.seeds * 64 * GROUP * steps
    made = row("sim_shared", *(drawn / times[name].min() for name in ("ours", "peer")), environment)
    work = "40 runs of 64 of 256 prompts × 16 answers × 16 responses that share 32 features"
    unit = "million rollouts per second of a core, measured once per 10 updates; peer: at each"
    return {**made, "unit": unit, "environment": {**environment, "work": work}}


def ours(prompts: int, answers: int = ANSWERS, steps: int = STEPS["ours"]) -> Callable[[], None]:
    """The simulator as simulate() runs it, between two measurements."""
    config = SimulationConfig(
        schemes=("grpo",),
        prompts=prompts,
        answers=answers,
        correct_answers=CORRECT,
        start=0.1,
        group_size=GROUP,
        learning_rate=RATE,
        seeds=1,
    )
    cells = Cells(
        jax.tree.map(lambda leaf: leaf[None], build(config, 0)),
        stack([scheme_table(SCHEMES["grpo"], GROUP, "float32")]),
        jnp.float32([RATE]),
        jnp.uint32([0]),
    )
    runner = Runner(Rules(learner="softmax", group_size=GROUP), (1,), cells)

    def call() -> None:
        runner.advance(0, steps)

    return call


def bound(logits: np.ndarray) -> Callable[[], None]:
    """What cannot be left out: the draws, the exponentials, one pass over the logits.

    As fast as we could get it: the simulator's generator, compiler and threads, an equal share of
    the prompts for each core and no waiting between steps.
    """
    cores = available_cores()
    width = logits.shape[1] // cores

    def steps(z: jax.Array) -> jax.Array:
        def step(number: jax.Array, z: jax.Array) -> jax.Array:
            draws = uniforms(key(0, number), GROUP, width)
            return z + 1e-6 * jnp.exp(z) + 1e-6 * draws.sum(axis=0)[None]

        return lax.fori_loop(jnp.uint32(0), jnp.uint32(STEPS["bound"]), step, z)

    parts = [jnp.asarray(logits[:, core * width : (core + 1) * width]) for core in range(cores)]
    options = dict(compiler_options(wide=True, one_core=True))
    program = jax.jit(steps, compiler_options=options).lower(parts[0]).compile()
    pool = ThreadPoolExecutor(cores)

    def call() -> None:
        list(pool.map(lambda part: jax.block_until_ready(program(part)), parts))

    return call


def numpy_peer(logits: np.ndarray) -> Callable[[], None]:
    """Vectorised NumPy: inverse-CDF sampling in float32, counts by bincount."""
    prompts = logits.shape[1]
    rows = np.arange(prompts)[:, None]

    def call() -> None:
        generator = np.random.Generator(np.random.SFC64(0))
        z = logits.T.copy()
        for _ in range(STEPS["numpy"]):
            masses = np.exp(z - z.max(axis=1, keepdims=True))
            cumulative = np.cumsum(masses, axis=1)
            total = cumulative[:, -1:]
            draws = generator.random((prompts, GROUP), dtype=np.float32) * total
            # One sorted array for all prompts: row r occupies the interval [r, r + 1).
            offset = np.arange(prompts)[:, None]
            flat = (cumulative.astype(np.float64) / total + offset).ravel()
            answers = np.searchsorted(flat, (draws / total + offset).ravel(), side="right")
            answers = np.minimum(answers.reshape(prompts, GROUP) - rows * ANSWERS, ANSWERS - 1)
            rewards = (answers < CORRECT).astype(np.float32)
            mean = rewards.mean(axis=1, keepdims=True)
            deviation = rewards.std(axis=1, keepdims=True)
            advantages = (rewards - mean) / np.where(deviation > 0, deviation, 1) / GROUP
            weights = np.bincount(
                (rows * ANSWERS + answers).ravel(), advantages.ravel(), prompts * ANSWERS
            )
            weights = weights.reshape(prompts, ANSWERS).astype(np.float32)
            z += RATE * (weights - masses / total * weights.sum(axis=1, keepdims=True))

    return call


def torch_peer(logits: np.ndarray) -> Callable[[], None]:
    """Straightforward PyTorch: Categorical, sample, log_prob, backward, SGD."""
    import torch

    def call() -> None:
        torch.manual_seed(0)
        z = torch.tensor(logits.T.copy(), requires_grad=True)
        optimizer = torch.optim.SGD([z], lr=RATE)
        for _ in range(STEPS["torch"]):
            policy = torch.distributions.Categorical(logits=z)
            answers = policy.sample((GROUP,))
            rewards = (answers < CORRECT).float()
            deviation = rewards.std(dim=0, correction=0)
            advantages = (rewards - rewards.mean(dim=0)) / torch.where(
                deviation > 0, deviation, torch.ones_like(deviation)
            )
            loss = -(advantages * policy.log_prob(answers)).mean(dim=0).sum()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    return call


def in_turns(
    contenders: dict[str, Callable[[], None]],
    rounds: int,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, np.ndarray]:
    """Seconds of every round of each, taken in turns."""
    times: dict[str, list[float]] = {name: [] for name in contenders}
    for call in contenders.values():
        call()
    for _ in range(rounds):
        for name, call in contenders.items():
            started = clock()
            call()
            times[name].append(clock() - started)
    return {name: np.array(values) for name, values in times.items()}


def _rate(name: str, seconds: float) -> float:
    return PROMPTS * GROUP * STEPS[name] / seconds


def _initial_logits(prompts: int) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.standard_normal((ANSWERS, prompts)).astype(np.float32)


def row(name: str, ours: float, peer: float, environment: dict[str, Any]) -> dict[str, Any]:
    """A row of the table, from rollouts per second."""
    return {
        "name": name,
        "ours": ours / 1e6,
        "peer": peer / 1e6,
        "ratio": ours / peer,
        "unit": "million rollouts/s",
        "environment": environment,
    }


def environment_of_work() -> dict[str, Any]:
    """The environment, how busy it was, and what the work is."""
    described = describe_environment()
    described["load"] = list(os.getloadavg())
    described["work"] = f"{PROMPTS} prompts × {ANSWERS} answers × {GROUP} responses, GRPO, float32"
    return described
