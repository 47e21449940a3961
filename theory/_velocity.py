"""Velocities: how fast the success probability moves under an update rule, for a unit of weight.

The mirror (natural-gradient) flow has v = ρ(1−ρ), the policy gradient of a softmax 2ρ²(1−ρ)².
"""

from __future__ import annotations

import dataclasses
import numbers
from collections.abc import Callable
from typing import Any

from theory._arrays import Array, as_floating, check_interval, elementwise


@dataclasses.dataclass(frozen=True)
class Dynamics:
    """An update rule in the population limit.

    Attributes:
        name: Registry name, or ``"custom"``.
        formula: v(ρ).
        summary: One sentence on the update rule.
    """

    name: str
    formula: str
    summary: str
    _velocity: Callable[[Array], Array] = dataclasses.field(repr=False)

    def __repr__(self) -> str:
        return f"<{self.name}: {self.formula}>"

    def velocity(self, success: Array) -> Array:
        """Velocity v(ρ), the change of ρ per unit of weight and time.

        Args:
            success: Success probability ρ, any shape, in [0, 1].

        Raises:
            ValueError: ``success`` outside [0, 1].

        Source: arXiv 2602.11128 (mirror flow); the policy gradient of a softmax over two arms.

        >>> float(DYNAMICS["mirror"].velocity(0.5))
        0.25
        """
        success = as_floating(success)
        check_interval("success", success)
        return self._velocity(success)


DYNAMICS: dict[str, Dynamics] = {
    "mirror": Dynamics(
        "mirror",
        "ρ(1−ρ)",
        "KL-proximal (mirror-descent, natural-gradient) step: logit ρ grows by ηω(ρ).",
        lambda success: success * (1 - success),
    ),
    "softmax_gradient": Dynamics(
        "softmax_gradient",
        "2ρ²(1−ρ)²",
        "Policy gradient on the logits of two arms, one of them correct.",
        lambda success: 2 * (success * (1 - success)) ** 2,
    ),
}
"""Every named update rule."""


def resolve_dynamics(dynamics: str | Dynamics | Callable[[Array], Array]) -> Dynamics:
    """Return the dynamics a caller means.

    Args:
        dynamics: A :class:`Dynamics`, a name in ``DYNAMICS``, or a function from ρ to v(ρ) ≥ 0.

    Raises:
        ValueError: An unknown name; the message lists the known ones.

    Source: arXiv 2602.11128.

    >>> resolve_dynamics("mirror").formula
    'ρ(1−ρ)'
    """
    if isinstance(dynamics, Dynamics):
        return dynamics
    if callable(dynamics):
        return Dynamics("custom", "user function", "Given by the caller.", elementwise(dynamics))
    if not isinstance(dynamics, str) or dynamics not in DYNAMICS:
        raise ValueError(f"unknown dynamics {dynamics!r}; known dynamics: {', '.join(DYNAMICS)}")
    return DYNAMICS[dynamics]


def check_range(start: float, target: float) -> None:
    """Raise a ``ValueError`` unless 0 ≤ start < target ≤ 1.

    >>> check_range(0.1, 0.9)
    """
    ends: dict[str, Any] = {"start": start, "target": target}
    for name, value in ends.items():
        if not (isinstance(value, numbers.Real) and 0 <= float(value) <= 1):
            raise ValueError(f"{name} must lie in [0, 1]; got {value}")
    if not start < target:
        raise ValueError(f"target must lie above start; got start {start:g} and target {target:g}")


def check_open_range(start: float, target: float) -> None:
    """Raise a ``ValueError`` unless 0 < start < target < 1.

    >>> check_open_range(0.1, 0.9)
    """
    check_range(start, target)
    if start == 0 or target == 1:
        raise ValueError(
            f"start and target must lie in (0, 1); got start {start:g} and target {target:g}"
        )
