"""What every launch script shares: machines, the recipe as a file, and writing the files."""

from __future__ import annotations

import dataclasses
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import tomli_w
from annotated_types import Interval

from llm_validation.config import TrainConfig
from runs.configuration import Configuration
from runs.files import refuse_device, write_text
from runs.ownership import refuse_file


@dataclasses.dataclass(frozen=True)
class Machines(Configuration):
    """What a run is launched on."""

    nodes: Annotated[int, Interval(ge=1, le=10_000)] = 1
    """Machines, each with as many GPUs."""

    gpus: Annotated[int, Interval(ge=1, le=1024)] = 8
    """GPUs of one machine; processes of one machine where a run is on the CPU."""

    server_gpus: Annotated[int, Interval(ge=0, le=1024)] = 0
    """GPUs of the first machine that are kept for a vLLM server."""

    def check_together(self) -> None:
        """Check that there are GPUs to train on."""
        if self.server_gpus >= self.gpus:
            raise ValueError(
                f"server_gpus must leave GPUs to train on: fewer than gpus = {self.gpus}; "
                f"got {self.server_gpus}"
            )


def recipe_text(config: TrainConfig) -> str:
    """A configuration as the text of a recipe that gives it back.

    >>> "steps = 7" in recipe_text(TrainConfig(steps=7)).splitlines()
    True
    """
    values = {name: value for name, value in config.to_dict().items() if value is not None}
    return tomli_w.dumps(values)


def script_head(name: str, launcher: str, config: TrainConfig, *notes: str) -> list[str]:
    """First lines of a script: what it is, and where its files are."""
    runs = len(config.schemes) * config.seeds
    each = "" if runs == 1 else f" {runs} trainings, one after another;"
    return [
        "#!/usr/bin/env bash",
        f"# Trains {comment(name)} with {launcher}:{each} started again, it resumes.",
        f"# Written by `apw train --launch {launcher}`; recipe.toml holds the configuration.",
        *(f"# {comment(note)}" for note in notes),
        "set -euo pipefail",
        'here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)',
    ]


def comment(text: str) -> str:
    """Text that cannot end a comment."""
    return " ".join(text.split())


def write_files(files: Mapping[str, str], folder: Path) -> list[Path]:
    """Write the files into a folder, scripts executable.

    Raises:
        FileExistsError: The folder holds another file of such a name.
        ValueError: The folder is a file.
    """
    refuse_file(folder)
    for name, text in files.items():
        path = folder / name
        refuse_device(path)
        if path.exists() and path.read_text(encoding="utf-8") != text:
            raise FileExistsError(f"{path} exists and differs; name another folder with --out")
    paths = []
    for name, text in files.items():
        path = folder / name
        write_text(path, text)
        if path.suffix == ".sh":
            path.chmod(path.stat().st_mode | stat.S_IXUSR)
        paths.append(path)
    return paths
