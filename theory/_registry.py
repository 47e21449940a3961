"""The registry that the papers' schemes are written into, and what their definitions share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from theory._coefficients import Factor
from theory._options import ZERO_SUCCESS, Allowed
from theory._scheme import Coefficients, Scheme

DEFINITIONS: dict[str, Scheme] = {}
"""Schemes by name, in the order in which tables and legends list them."""

BLACK, ORANGE, SKY, GREEN = "#000000", "#E69F00", "#56B4E9", "#009E73"
BLUE, RED, PURPLE, GREY = "#0072B2", "#D55E00", "#CC79A7", "#7F7F7F"

ZeroSuccess = Annotated[Factor, ZERO_SUCCESS.allowed]
Ddof = Annotated[float, Allowed(0, 1, whole=True)]
Eps = Annotated[float, Allowed(0.0)]
Deviation = Annotated[str | None, Allowed(words=("group", "others"), numbers=False, none=True)]
Zero = Annotated[float, Allowed(0.0)]
Singleton = Annotated[str, Allowed(words=("refuse", "raw"), numbers=False)]


def define(
    name: str, title: str, formula: str, source: str, look: tuple[str, str, str], **fields: Any
) -> Callable[[Coefficients], Coefficients]:
    """Register the scheme of the coefficients that follow."""
    color, dash, marker = look
    fields = {**fields, "color": color, "dash": dash, "marker": marker}

    def add(function: Coefficients) -> Coefficients:
        DEFINITIONS[name] = Scheme.from_coefficients(
            function, name, title=title, formula=formula, source=source, **fields
        )
        return function

    return add
