"""What the simulator costs from a thousand prompts to a million: time and memory.

Every size runs in a process of its own, which reports its rollouts per second of processor time
between measurements, and the peak memory of a whole run with measurements and checkpoints. Rates
are compared with those at 100,000 prompts: 1 is a cost linear in the prompts. What memory grows by
per prompt and answer is compared with what docs/sim.md promises: at most 1.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.sim import CORRECT, GROUP, RATE, environment_of_work, in_turns, ours, row
from sim.config import SimulationConfig
from sim.run import simulate

ANSWERS = 16
SIZES = (1_000, 10_000, 100_000, 1_000_000)
REFERENCE = 100_000
BYTES = 40
"""Promised peak per prompt and answer, beyond what JAX and its compiler need."""


def run() -> list[dict[str, Any]]:
    """Rows of time at every size, and one of memory."""
    environment = environment_of_work()
    environment["work"] = f"{ANSWERS} answers × {GROUP} responses, GRPO, float32"
    found = {prompts: _apart(prompts) for prompts in SIZES}
    environment["peak bytes by prompts"] = {str(n): peak for n, (_, peak) in found.items()}
    rates = {prompts: rate for prompts, (rate, _) in found.items()}
    per_core = "million rollouts per second of a core"
    rows = [
        {**row(f"sim_scaling_{n}_prompts", rate, rates[REFERENCE], environment), "unit": per_core}
        for n, rate in rates.items()
    ]
    most = max(SIZES)
    added = (found[most][1] - found[REFERENCE][1]) / ((most - REFERENCE) * ANSWERS)
    unit = f"bytes per prompt × answer at a run's peak, {REFERENCE:,} to {most:,} prompts"
    memory = {"name": "sim_memory", "ours": added, "peer": BYTES, "ratio": added / BYTES}
    return [*rows, {**memory, "unit": unit, "environment": environment}]


def measure(prompts: int) -> tuple[float, float]:
    """Rollouts per second between measurements, and peak bytes of a process with a whole run."""
    config = SimulationConfig(
        schemes=("grpo",),
        seeds=1,
        prompts=prompts,
        answers=ANSWERS,
        correct_answers=CORRECT,
        group_size=GROUP,
        learning_rate=RATE,
        start=0.1,
        steps=2,
        measure_every=1,
    )
    with tempfile.TemporaryDirectory() as folder:
        simulate(config, Path(folder) / "run", progress=False)
    peak = _peak()
    steps = max(4, 1_000_000 // prompts)
    work = {"ours": ours(prompts, ANSWERS, steps)}
    seconds = float(in_turns(work, 5, time.process_time)["ours"].min())
    return prompts * GROUP * steps / seconds, peak


def _peak() -> float:
    """Largest resident memory of this process so far, in bytes."""
    status = Path("/proc/self/status")
    if status.exists():  # ru_maxrss of Linux knows what the parent had, too
        (line,) = [x for x in status.read_text().splitlines() if x.startswith("VmHWM")]
        return 1024.0 * int(line.split()[1])
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * unit


def _apart(prompts: int) -> tuple[float, float]:
    code = f"from benchmarks.sim_scaling import measure; print(*measure({prompts}))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=600
    )
    rate, peak = done.stdout.split()
    return float(rate), float(peak)
