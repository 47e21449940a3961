"""Where a training's curves go beside its run folder: TensorBoard, Trackio or Weights & Biases."""

from __future__ import annotations

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

Reporter = Literal["tensorboard", "trackio", "wandb"]

PACKAGES: dict[Reporter, tuple[str, ...]] = {
    "tensorboard": ("tensorboard", "tensorboardX"),
    "trackio": ("trackio",),
    "wandb": ("wandb",),
}
"""Reporter → packages, any of which writes for it."""

FOLDER = "tensorboard"
"""Folder within a run's that TensorBoard's files go to."""


def check_reporter(reporter: Reporter | None) -> None:
    """Raise if nothing that is installed writes for a reporter.

    Raises:
        ModuleNotFoundError: No package does; the sentence names one.
    """
    if reporter is None:
        return
    packages = PACKAGES[reporter]
    if not any(map(_installed, packages)):
        raise ModuleNotFoundError(f"--report-to {reporter} needs pip install {packages[0]}")


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


@contextlib.contextmanager
def reporting(reporter: Reporter | None, path: Path, training: str) -> Iterator[dict[str, Any]]:
    """Arguments that make TRL's trainer report, for as long as one training lasts.

    Args:
        reporter: Where to; None for nowhere.
        path: The run folder.
        training: Name of the training, fit for a file.

    Yields:
        Fields of TRL's configuration.
    """
    if reporter is None:
        yield {"report_to": "none"}
        return
    before = {name: os.environ.get(name) for name in ("TENSORBOARD_LOGGING_DIR", "WANDB_PROJECT")}
    # Not in the folder of checkpoints, where they would go by themselves and which is removed.
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(path / FOLDER / training)
    os.environ.setdefault("WANDB_PROJECT", "apw")
    try:
        yield {"report_to": reporter, "run_name": f"{path.name}/{training}", "project": "apw"}
    finally:
        for name, value in before.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        if reporter == "wandb":  # the next training is a run of its own
            import wandb

            wandb.finish()
