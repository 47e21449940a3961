"""The time that ``apw train --dry-run`` estimates, against what the run then takes.

Both in processor time of this process on one thread, so that what else the machine does changes
little; the workers that judge answers are not in it. The real model is measured where it was
fetched (``apw models fetch qwen2.5-coder-0.5b-instruct``) and the data of its recipe are there; it
is made smaller, since a whole step of the recipe takes minutes.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from pathlib import Path
from typing import Any

from llm_validation.calibration import calibrate
from llm_validation.config import load_recipe
from llm_validation.dry_run import plan
from llm_validation.train import train
from runs.environment import describe_environment

RUNS: dict[str, dict[str, Any]] = {
    "tiny-post-sft": {"schemes": ("grpo",), "seeds": 1, "steps": 100},
    "qwen2.5-coder-0.5b-math-cpu": {
        "schemes": ("grpo",),
        "steps": 2,
        "prompts_per_step": 1,
        "max_response_tokens": 100,
        "threads": 1,
    },
}
"""Recipes and what is changed in them."""


def run() -> list[dict[str, Any]]:
    """Estimate and measure each run, and return the benchmark's rows."""
    rows = []
    for name, changes in RUNS.items():
        config = dataclasses.replace(load_recipe(name), **changes)
        if plan(config).missing:
            continue
        estimated = calibrate(config, time.process_time)
        with tempfile.TemporaryDirectory() as folder:
            started = time.process_time()
            train(config, Path(folder) / "run", progress=False)
            measured = time.process_time() - started
        rows.append(
            {
                "name": f"dry_run_{name}",
                "ours": estimated.total,
                "peer": measured,
                "ratio": estimated.total / measured,
                "unit": f"processor seconds of {config.steps} steps as estimated, "
                f"{estimated.step:.3g} each, against those measured; ratio = ours / peer, "
                "1 is best",
                "environment": describe_environment(),
            }
        )
    return rows
