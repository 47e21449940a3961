"""Scripts that launch a run on many GPUs, written from the run's one configuration.

Nothing here starts anything: each launcher returns the text of files that a person can read, keep
and run, and that hold the whole configuration.
"""

from __future__ import annotations

from llm_validation.config import TrainConfig
from llm_validation.launch.accelerate import KINDS, accelerate_files
from llm_validation.launch.files import Machines, write_files
from llm_validation.launch.verl import verl_files

__all__ = ["LAUNCHERS", "Machines", "launch_files", "write_files"]

LAUNCHERS = (*KINDS, "verl")
"""``accelerate`` (a copy of the model per GPU), ``fsdp``, ``deepspeed`` (ZeRO-3) and ``verl``."""


def launch_files(
    config: TrainConfig, launcher: str, name: str, machines: Machines | None = None
) -> dict[str, str]:
    """Files that launch a run, by name; ``run.sh`` is the one to start.

    Args:
        config: The run.
        launcher: One of ``LAUNCHERS``.
        name: Name of the run: its results go to ``results/<launcher>/<name>/``.
        machines: What it runs on; one machine with 8 GPUs by default.

    Returns:
        File name → text: ``run.sh``, ``recipe.toml`` and what the launcher needs besides.

    Raises:
        ValueError: An unknown launcher, or a run that it cannot carry on such machines.

    >>> sorted(launch_files(TrainConfig(), "fsdp", "mine"))
    ['accelerate.yaml', 'recipe.toml', 'run.sh']
    """
    if launcher not in LAUNCHERS:
        raise ValueError(f"launch must be one of {', '.join(LAUNCHERS)}; got {launcher!r}")
    machines = machines or Machines()
    if launcher == "verl":
        return verl_files(config, name, machines)
    return accelerate_files(config, launcher, name, machines)
