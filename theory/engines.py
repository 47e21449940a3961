"""Conventions of training libraries: how each standardises a group's rewards.

GRPO's advantage (r − mean)/(std + ε) is written the same everywhere, but the libraries divide by
different standard deviations and treat a lone response differently. A scheme takes these as
options (``ddof``, ``eps``, ``singleton``), or all of them at once as ``engine="trl"``.
"""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Engine:
    """A training library's conventions for group advantages.

    Attributes:
        title: Name of the library.
        ddof: Degrees of freedom taken off the standard deviation, 0 or 1.
        eps: ε added to the standard deviation (and to MaxRL's mean).
        singleton: What a group of one gets: ``"refuse"`` (an error; nothing, if the others of the
            group could not be scored) or ``"raw"`` (its reward).

    >>> PRESETS["trl"].eps
    0.0001
    """

    title: str
    ddof: int
    eps: float
    singleton: str = "refuse"

    def options(self) -> dict[str, float | int | str]:
        """Return the conventions as options of a scheme."""
        return {"ddof": self.ddof, "eps": self.eps, "singleton": self.singleton}


PRESETS: dict[str, Engine] = {
    "trl": Engine("TRL", ddof=1, eps=1e-4),
    "verl": Engine("verl", ddof=1, eps=1e-6, singleton="raw"),
    "openrlhf": Engine("OpenRLHF", ddof=1, eps=1e-9),
    "open_instruct": Engine("open-instruct", ddof=0, eps=1e-8),
}
"""Conventions by engine name."""
