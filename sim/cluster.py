"""Sweep cells on a Ray cluster: the same cells, the same folders, whichever worker runs them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from sim.config import SimulationConfig

Work = tuple[SimulationConfig, tuple[float, ...], str | None]
"""What goes into a folder: a configuration, and the step sizes to try if it is not its own, with
the clock of the race between them."""


def run_on_ray(
    cells: Mapping[Path, Work], *, retries: int = 5, cpus: float = 1.0
) -> Iterator[Path]:
    """Run cells as Ray tasks and yield their folders as they finish.

    A worker that dies is replaced, and its cell resumes from its last checkpoint: the folder must
    lie on a disk that all machines of the cluster share.

    Args:
        cells: What goes into each run folder.
        retries: How often a cell is started again after its worker died.
        cpus: Processors a cell reserves.

    Raises:
        ModuleNotFoundError: Ray is not installed; the message names the extra.
        RayTaskError: A cell failed by itself, not by its worker's death.
    """
    try:
        import ray
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            "sweeps on several machines need Ray: pip install '.[cluster]'"
        ) from error
    if not ray.is_initialized():
        ray.init(log_to_driver=False)
    remote = ray.remote(num_cpus=cpus, max_retries=retries)(_run_cell)
    waiting = {
        remote.remote(config.to_dict(), rates, race, str(path.resolve())): path
        for path, (config, rates, race) in cells.items()
    }
    while waiting:
        ready, _ = ray.wait(list(waiting), num_returns=1)
        for task in ready:
            ray.get(task)
            yield waiting.pop(task)


def _run_cell(
    config: Mapping[str, Any], rates: tuple[float, ...], race: str | None, path: str
) -> None:
    from runs.folder import is_finished
    from sim.run import simulate

    if not is_finished(path):
        found = SimulationConfig.from_dict(config)
        simulate(found, path, rates=rates, race=race, progress=False)
