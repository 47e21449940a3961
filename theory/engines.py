"""Conventions of training libraries: how each standardises a group's rewards.

GRPO's advantage (r − mean)/(std + ε) is written the same everywhere, but the libraries divide by
different standard deviations, or by none, and treat a lone response differently. A scheme takes
these as options (``ddof``, ``eps``, ``deviation``, ``singleton``), or all of them at once as
``engine="trl"``. They are the libraries' defaults, read from their code for advantages.
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
        deviation: What GRPO divides by: the standard deviation of the ``"group"``, that of the
            ``"others"`` of each response, whose mean is the baseline then, or nothing (None).
        lone_rloo: What RLOO gives a group of one, where that differs from ``singleton``.

    >>> PRESETS["trl"].eps
    0.0001
    """

    title: str
    ddof: int
    eps: float
    singleton: str = "refuse"
    deviation: str | None = "group"
    lone_rloo: str = ""

    def options(self, scheme: str = "grpo") -> dict[str, float | int | str | None]:
        """Return the conventions as options of a scheme.

        >>> PRESETS["skyrl"].options("rloo")["singleton"], PRESETS["skyrl"].singleton
        ('refuse', 'raw')
        """
        lone = self.lone_rloo if scheme == "rloo" and self.lone_rloo else self.singleton
        return {
            "ddof": self.ddof,
            "eps": self.eps,
            "singleton": lone,
            "deviation": self.deviation,
        }


PRESETS: dict[str, Engine] = {
    "trl": Engine("TRL", ddof=1, eps=1e-4),
    "verl": Engine("verl", ddof=1, eps=1e-6, singleton="raw"),
    "openrlhf": Engine("OpenRLHF", ddof=1, eps=1e-9),
    "open_instruct": Engine("open-instruct", ddof=0, eps=1e-8),
    "nemo_rl": Engine("NeMo-RL", ddof=1, eps=1e-6, deviation="others"),
    "prime_rl": Engine("prime-rl", ddof=0, eps=0.0, deviation=None),
    "skyrl": Engine("SkyRL", ddof=1, eps=1e-6, singleton="raw", lone_rloo="refuse"),
}
"""Conventions by engine name."""
