"""``apw figures``: draw the figures of the theory and of run folders."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import tyro

from apw.command_line import Answer, parse
from runs.ownership import refuse_file
from runs.terminal import Progress

if TYPE_CHECKING:
    from figures.picture import Picture

_GENERATOR = "apw figures"


@dataclasses.dataclass(frozen=True)
class Options:
    """Draw figures as PNG and SVG, each with its data as CSV and its caption as text."""

    runs: tyro.conf.Positional[tuple[Path, ...]] = ()
    """Run folders to draw, or folders of claims; the figures of the theory if there are none."""

    together: bool = False
    """Draw evaluations in one figure, each named by its folder."""

    out: Path | None = None
    """Folder for the figures; figures/ in the run folder, or results/figures. Earlier figures of
    this command are replaced, and nothing else."""

    json: bool = False
    """Print one JSON object."""


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw figures``."""
    options = parse(Options, arguments, command="figures")
    from figures.catalogue import (
        THEORY,
        evaluations_picture,
        published_sources_picture,
        run_pictures,
    )

    found: list[tuple[Path, Picture]] = []
    if not options.runs:
        folder = options.out or Path("results/figures")
        found = [(folder, make()) for make in (*THEORY.values(), published_sources_picture)]
    if options.together:
        if not options.runs:
            raise ValueError("--together needs the folders of evaluations that it is to draw")
        folder = options.out or Path("results/figures")
        found = [(folder, evaluations_picture(options.runs))]
    for run in () if options.together else options.runs:
        folder = options.out / run.name if options.out else run / "figures"
        found += [(folder, picture) for picture in run_pictures(run)]
    # All or none: a folder that holds another's file is left as it is.
    for folder, picture in found:
        refuse_file(folder)
        picture.refuse_foreign(folder, _GENERATOR)
    written = []
    with Progress("figures", len(found), unit="pictures", shown=len(found) > 1) as progress:
        for folder, picture in found:
            files = [str(file) for file in picture.save(folder, generator=_GENERATOR)]
            written.append(
                {
                    "name": picture.name,
                    "title": picture.title,
                    "caption": picture.caption,
                    "files": files,
                }
            )
            progress.advance()
    lines = [f"{item['files'][0]}\n    {item['caption']}" for item in written]
    return Answer({"figures": written}, "\n".join(lines))
