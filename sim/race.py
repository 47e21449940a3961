"""Which step sizes can still be a scheme's best: a race that stops runs once they cannot win.

A run is over where it arrives at the target, and its time lies between the clock's readings at the
last measurement before and the first one there. A rate is out of the race when even if all its
seeds that are under way arrived at once its geometric mean of times would be half as long again
as that of a rate all of whose seeds are there; or when one of its seeds diverged on the way. So the
best rate is the one that it would be if every run went on to its end, to the last digit, and what
is slower by half, which resampled seeds would not pick, is not paid for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

_MARGIN = math.log(1.5)
_TINY = 1e-300


class Race:
    """All runs of a grid of step sizes.

    Args:
        entries: Scheme and step size of every run, the seeds of one after each other or not.
        target: Mean success at which a run has arrived.

    >>> race = Race([("grpo", "1"), ("grpo", "2")], 0.5)
    >>> for clock, success in ((10.0, [0.2, 0.6]), (15.0, [0.3, 0.6]), (20.0, [0.4, 0.6])):
    ...     race.see(slice(0, 2), np.full(2, clock), np.array(success), np.zeros(2, bool))
    ...     print(race.running.tolist())
    [True, False]
    [True, False]
    [False, False]
    """

    def __init__(self, entries: Sequence[tuple[str, str]], target: float) -> None:
        rates = list(dict.fromkeys(entries))
        schemes = list(dict.fromkeys(scheme for scheme, _ in rates))
        self._target = target
        self._rate = np.array([rates.index(entry) for entry in entries])
        self._scheme = np.array([schemes.index(scheme) for scheme, _ in rates])
        self._before, self._there = np.zeros(len(entries)), np.full(len(entries), np.inf)
        self._lost = np.zeros(len(entries), bool)
        self.running = np.ones(len(entries), bool)

    def see(self, part: slice, reading: np.ndarray, success: np.ndarray, lost: np.ndarray) -> None:
        """Take note of a measurement of some runs.

        Args:
            part: Which.
            reading: The clock, shape (runs of the part,).
            success: Mean success.
            lost: Whether it has diverged.
        """
        running, there, before = self.running[part], self._there[part], self._before[part]
        self._lost[part] |= running & lost
        arrived = running & ~lost & (success >= self._target)
        there[arrived] = reading[arrived]
        under_way = running & ~arrived & ~lost
        before[under_way] = reading[under_way]
        self._settle()

    def arrays(self, part: slice) -> dict[str, np.ndarray]:
        """What is known of some runs, for a checkpoint."""
        known = {"before": self._before, "there": self._there, "lost": self._lost}
        return {f"race/{name}": values[part] for name, values in known.items()}

    def restore(self, part: slice, saved: Mapping[str, np.ndarray]) -> None:
        """Take what :meth:`arrays` gave."""
        self._before[part], self._there[part] = saved["race/before"], saved["race/there"]
        self._lost[part] = saved["race/lost"]
        self._settle()

    def _settle(self) -> None:
        """Stop runs that are over, and those of rates that are out."""
        seeds = np.bincount(self._rate)

        def geometric(times: np.ndarray) -> np.ndarray:
            logs = np.log(np.maximum(times, _TINY))
            means: np.ndarray = np.bincount(self._rate, logs) / seeds
            return means

        latest = geometric(self._there)
        best = np.full(self._scheme.max() + 1, np.inf)
        np.minimum.at(best, self._scheme, latest)
        least = geometric(np.where(np.isinf(self._there), self._before, self._there))
        lost = np.bincount(self._rate, self._lost) > 0
        out = lost | (least > best[self._scheme] + _MARGIN)
        self.running = np.isinf(self._there) & ~self._lost & ~out[self._rate]
