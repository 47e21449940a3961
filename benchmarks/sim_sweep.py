"""A whole sweep against one like that of a public peer, curriculum-maxrl (github.com/linjiw).

The peer's ``run_experiment.py`` tries 5 teachers × 5 estimators × 5 seeds: 400 steps of 8 tasks ×
16 rollouts among 36 tasks that share skills, measured every 10 steps; "about a minute on CPU", its
README says. It has no licence to ship, so :func:`skill_chain` is written from its description:
NumPy, a group at a time, since each group's update changes the policy of the next. Ours is
:func:`sim.run.simulate` with as many runs, steps, groups, rollouts and measurements, into run
folders: 5 regimes in the teachers' place (a teacher chooses how hard the prompts are) × 5 schemes ×
5 seeds of a log-linear policy whose 36 prompts share parameters. A rollout is not the same in both:
the peer's is a chain of 1 to 12 draws among 10 actions, ours one draw among 64 answers.
"""

from __future__ import annotations

import functools
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sim import environment_of_work
from sim.config import SimulationConfig
from sim.run import simulate
from theory.schemes import resolve

SCHEMES = ("reinforce", "rloo", "grpo", "maxrl", "sqrt_r")
STARTS = (0.01, 0.03, 0.1, 0.3, "beta:1,9")
SEEDS, STEPS, BATCH, GROUP, EVERY = 5, 400, 8, 16, 10
CHAINS, LEVELS, ACTIONS = 3, 12, 10
SAMPLE = 2
"""Seeds of the peer that are timed; its 125 runs all cost the same."""


def run() -> list[dict[str, Any]]:
    """Seconds of both sweeps from start to end, ours with what it has to compile."""
    mine = _seconds(_sweep)
    cells = [(scheme, seed) for scheme in SCHEMES for seed in range(SAMPLE)]
    peer = float(np.mean([_seconds(functools.partial(skill_chain, *cell)) for cell in cells]))
    runs = len(STARTS) * len(SCHEMES) * SEEDS
    work = f"{runs} runs of {STEPS} steps × {BATCH} groups of {GROUP}, measured every {EVERY}"
    return [
        {
            "name": "sim_vs_curriculum_maxrl",
            "ours": mine,
            "peer": peer * runs,
            "ratio": peer * runs / mine,
            "unit": f"s, the peer's from {len(cells)} of its {runs} runs; see benchmarks/sim_sweep",
            "environment": {**environment_of_work(), "work": work},
        }
    ]


def skill_chain(scheme: str, seed: int, steps: int = STEPS) -> list[float]:
    """Mean success along one run of the peer's problem, with tasks drawn uniformly.

    Task (c, l) needs the skills 1..l of chain c, each a choice among actions of which the first is
    right; a rollout succeeds if every choice is.
    """
    generator = np.random.default_rng(seed)
    positive, negative = resolve(scheme).table(GROUP)
    logits = np.zeros((CHAINS, LEVELS, ACTIONS))
    means = []
    for step in range(steps):
        for task in generator.integers(CHAINS * LEVELS, size=BATCH):
            chain, level = task // LEVELS, task % LEVELS + 1
            probabilities = _softmax(logits[chain, :level])
            uniforms = generator.random((GROUP, level, 1))
            actions = (uniforms > probabilities.cumsum(axis=1)).sum(axis=2).clip(max=ACTIONS - 1)
            right = (actions == 0).all(axis=1)
            hits = int(right.sum())
            weights = np.where(right, positive[hits], -negative[hits]) / GROUP
            chosen = np.zeros((GROUP, level, ACTIONS))
            np.put_along_axis(chosen, actions[:, :, None], 1.0, axis=2)
            score = chosen - probabilities
            logits[chain, :level] += 0.5 * np.einsum("m,mla->la", weights, score)
        if step % EVERY == 0 or step == steps - 1:
            means.append(float(_softmax(logits)[:, :, 0].cumprod(axis=1).mean()))
    return means


def _sweep() -> None:
    with tempfile.TemporaryDirectory() as folder:
        for number, start in enumerate(STARTS):
            config = SimulationConfig(
                schemes=SCHEMES,
                seeds=SEEDS,
                policy="log_linear",
                prompts=CHAINS * LEVELS,
                answers=64,
                correct_answers=1,
                features=16,
                rule=1.0,
                start=start,
                batch=BATCH,
                group_size=GROUP,
                learning_rate=0.5,
                steps=STEPS,
                measure_every=EVERY,
            )
            simulate(config, Path(folder) / str(number), progress=False)


def _softmax(logits: np.ndarray) -> np.ndarray:
    masses = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: np.ndarray = masses / masses.sum(axis=-1, keepdims=True)
    return shares


def _seconds(call: Callable[[], object]) -> float:
    started = time.perf_counter()
    call()
    return time.perf_counter() - started
