"""Drift, noise and responses of groups, for prompts with group sizes of their own."""

from __future__ import annotations

import numpy as np
from scipy.interpolate import CubicSpline
from scipy.special import expit, logit

from theory._arrays import Floats
from theory._designs import Design, outcomes_of, tables_of
from theory._scheme import Scheme

_ODDS = np.linspace(-22.0, 22.0, 441)
"""Nodes of logit ρ, 0.1 apart."""


def group_rates(scheme: Scheme, design: Design, size: int, success: Floats) -> Floats:
    """ω_S, n_S/M and M/P_S of groups of M, shape (3, prompts).

    >>> from theory._designs import DESIGNS
    >>> from theory.schemes import SCHEMES
    >>> group_rates(SCHEMES["rloo"], DESIGNS["fixed"], 2, np.array([0.5])).ravel().tolist()
    [1.0, 0.25, 2.0]
    """
    outcomes = outcomes_of(design, size, success)
    tables = tables_of(scheme, outcomes)
    drift, second = outcomes.drift(*tables), outcomes.second_moment(*tables)
    return np.stack([drift, second / size, design.responses(size, success)])


class GroupRates:
    """Drift, noise and responses of groups as functions of ρ and the group size."""

    def __init__(self, design: Design) -> None:
        self.design = design
        self.known: dict[tuple[Scheme, int], CubicSpline] = {}

    def of(self, scheme: Scheme, sizes: Floats, success: Floats) -> Floats:
        """The same for prompts with sizes of their own; a part of a response is a chance of one."""
        least = np.floor(sizes).astype(np.intp)
        if np.all(sizes == sizes[0]) and sizes[0] == least[0]:
            return group_rates(scheme, self.design, int(least[0]), success)
        odds, found = logit(success), np.empty((3, success.size))
        for size in np.unique(least):
            here = least == size
            low, high = (self._at(scheme, int(one))(odds[here]) for one in (size, size + 1))
            found[:, here] = low + (sizes[here] - size) * (high - low)
        return found

    def _at(self, scheme: Scheme, size: int) -> CubicSpline:
        if (scheme, size) not in self.known:
            rates = group_rates(scheme, self.design, size, expit(_ODDS))
            self.known[scheme, size] = CubicSpline(_ODDS, rates, axis=1)
        return self.known[scheme, size]
