"""``apw explore``: a page to pick a problem and a design on, and see what schemes take."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

from apw.command_line import Answer, parse
from theory.designs import DesignName


@dataclasses.dataclass(frozen=True)
class Options:
    """Write a page that opens in any browser, from disk, and computes as its controls are moved."""

    out: Path = Path("results/explorer.html")
    """The file; an earlier page of this command is replaced, and nothing else."""

    start: float = 0.01
    """Success probability at the start, ρ₀, from 0.0001 to 0.95; the page can change it."""

    target: float = 0.9
    """Success probability to reach, from 0.001 to 0.999; the page can change it."""

    group_size: int = 16
    """Responses in a group, M, from 2 to 128; the page can change it."""

    sampling: DesignName = "fixed"
    """Which groups updates are made of: fixed (all, as TRL and verl do), until_any (drawn again
    until one response is correct), until_mixed (DAPO), first_success (one by one), or population
    (the limit of large groups); the page can change it."""

    json: bool = False
    """Print one JSON object."""

    def __post_init__(self) -> None:
        """Check what the page could not show."""
        if not 1e-4 <= self.start <= 0.95:
            raise ValueError(f"--start must lie between 0.0001 and 0.95; got {self.start}")
        if not self.start < self.target <= 0.999:
            raise ValueError(
                f"--target must lie above --start and be at most 0.999; got {self.target}"
            )
        if not 2 <= self.group_size <= 128:
            raise ValueError(f"--group-size must lie between 2 and 128; got {self.group_size}")


def main(arguments: Sequence[str]) -> Answer:
    """Run ``apw explore``."""
    options = parse(Options, arguments, command="explore")
    from figures.explorer import write_explorer

    write_explorer(
        options.out,
        start=options.start,
        target=options.target,
        group_size=options.group_size,
        design=options.sampling,
    )
    return Answer({"page": str(options.out)}, f"Open {options.out} in a browser.")
