"""Drift, noise and responses of groups, for prompts with group sizes of their own."""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from theory._arrays import Floats
from theory._designs import Design, outcomes_of, tables_of
from theory._scheme import Scheme

_STEP, _REACH = 0.1, 22.0  # of logit ρ
_NODES = expit(np.arange(-_REACH, _REACH + _STEP / 2, _STEP))

Sizes = np.ndarray[tuple[int, ...], np.dtype[np.intp]]


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
        self.known: dict[tuple[Scheme, int], Floats] = {}

    def of(self, scheme: Scheme, sizes: Floats, success: Floats) -> Floats:
        """The same for prompts with sizes of their own; a part of a response is a chance of one."""
        least = np.floor(sizes).astype(np.intp)
        if np.all(sizes == sizes[0]) and sizes[0] == least[0]:
            return group_rates(scheme, self.design, int(least[0]), success)
        # Cubic in logit ρ between nodes, at both sizes.
        place = (logit(success) + _REACH) / _STEP
        first = np.clip(place.astype(np.intp) - 1, 0, _NODES.size - 4)
        part = place - first - 1
        weights = np.stack(
            [
                -part * (part - 1) * (part - 2) / 6,
                (part + 1) * (part - 1) * (part - 2) / 2,
                -(part + 1) * part * (part - 2) / 2,
                (part + 1) * part * (part - 1) / 6,
            ]
        )
        nodes = first + np.arange(4)[:, None]
        low, high = (self._at(scheme, size, nodes, weights) for size in (least, least + 1))
        return np.asarray(low + (sizes - least) * (high - low))

    def _at(self, scheme: Scheme, sizes: Sizes, nodes: Sizes, weights: Floats) -> Floats:
        for size in set(sizes.tolist()):
            if (scheme, size) not in self.known:
                self.known[scheme, size] = group_rates(scheme, self.design, size, _NODES)
        table = np.stack([self.known[scheme, size] for size in sizes.tolist()], axis=1)
        return np.asarray(
            (np.take_along_axis(table, nodes.T[None], axis=2) * weights.T).sum(axis=2)
        )
