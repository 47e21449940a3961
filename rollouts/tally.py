"""Adds batches of whole groups up to what is known of a training run's rollouts."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from rollouts.credit import advantage_sums
from rollouts.groups import Groups, Integers
from rollouts.outcomes import KEYS, add_up, outcome_table
from rollouts.responses import age_sums, lens_sums, response_sums
from theory.schemes import SCHEMES, Scheme

MOST_STEPS = 100_000
"""More different steps than these are no training steps, and would not fit into memory."""

RECENT_GROUPS = 1000
"""The latest steps that together hold so many groups tell today's pass rates."""

_COMPACT = 32
"""Tables that are added up as soon as there are so many."""


@dataclasses.dataclass(frozen=True)
class Rollouts:
    """What is known of the rollouts of a training run.

    Attributes:
        outcomes: Groups by outcome: step, size, correct, groups.
        responses: Sums over the responses of each step (see ``response_sums``).
        lens: What LENS does with the groups of each outcome (see ``lens_sums``); None without
            log-probabilities.
        recent: Prompts of the latest steps: step (the last), responses, correct, and pass_rate over
            all their groups in those steps.
        advantages: Sums of the logged advantages (see ``advantage_sums``); None without them.
        ages: Sums over the responses of each age (see ``age_sums``); None where it is not known.
    """

    outcomes: pd.DataFrame
    responses: pd.DataFrame
    lens: pd.DataFrame | None
    recent: pd.DataFrame
    advantages: pd.DataFrame | None = None
    ages: pd.DataFrame | None = None


class Tally:
    """Adds groups up, batch by batch; a group must be whole within its batch.

    Args:
        lens: LENS with its options.

    >>> from rollouts.groups import whole_groups
    >>> tally = Tally()
    >>> step, prompt = np.array([1, 1]), np.array([5, 5], np.uint64)
    >>> tally.add(whole_groups(step, prompt, np.array([True, False])))
    >>> tally.result().recent.values.tolist()
    [[1.0, 2.0, 1.0, 0.5]]
    """

    def __init__(self, lens: Scheme | None = None) -> None:
        self._lens_scheme = SCHEMES["lens"] if lens is None else lens
        self._outcomes: list[pd.DataFrame] = []
        self._responses: list[pd.DataFrame] = []
        self._lens: list[pd.DataFrame] = []
        self._recent: list[pd.DataFrame] = []
        self._advantages: list[pd.DataFrame] = []
        self._ages: list[pd.DataFrame] = []

    def add(self, groups: Groups) -> None:
        """Add a batch of groups.

        Raises:
            ValueError: There are more steps than ``MOST_STEPS``.
        """
        if not groups.size.size:
            return
        self._outcomes.append(outcome_table(groups))
        self._responses.append(response_sums(groups))
        if groups.log_confidence is not None:
            self._lens.append(lens_sums(groups, self._lens_scheme))
        if groups.advantage is not None:
            self._advantages.append(advantage_sums(groups))
        if groups.age is not None:
            self._ages.append(age_sums(groups))
        self._recent.append(
            pd.DataFrame(
                {
                    "step": groups.step,
                    "prompt": groups.prompt,
                    "responses": groups.size,
                    "correct": groups.correct,
                }
            )
        )
        self._recent = latest(self._recent, RECENT_GROUPS)
        if len(self._outcomes) >= _COMPACT:
            self._compact()

    def _compact(self) -> None:
        self._outcomes = [add_up(self._outcomes, KEYS)]
        self._responses = [add_up(self._responses, ["step"])]
        if self._lens:
            self._lens = [add_up(self._lens, KEYS)]
        if self._advantages:
            self._advantages = [add_up(self._advantages, KEYS)]
        if self._ages:
            self._ages = [add_up(self._ages, ["age"])]
        if len(self._responses[0]) > MOST_STEPS:
            raise ValueError(
                f"there are more than {MOST_STEPS:,} different steps: name the column of the "
                "training step with --step, or put steps together with --every"
            )

    def result(self) -> Rollouts:
        """Everything added so far.

        Raises:
            ValueError: No group was added.
        """
        if not self._outcomes:
            raise ValueError("there is no group of responses to diagnose")
        self._compact()
        lens = self._lens[0] if self._lens and len(self._lens[0]) else None
        return Rollouts(
            self._outcomes[0],
            self._responses[0],
            lens,
            _pass_rates(self._recent),
            self._advantages[0] if self._advantages else None,
            self._ages[0] if self._ages and len(self._ages[0]) else None,
        )


def latest(tables: list[pd.DataFrame], least: int) -> list[pd.DataFrame]:
    """Rows of the latest steps that together have at least ``least`` rows, or all.

    Tables come with steps increasing from one to the next, as long as batches do; a step that comes
    late is taken for what it is.
    """
    rows = pd.concat(tables, ignore_index=True)
    steps, counts = np.unique(rows["step"].to_numpy(), return_counts=True)
    enough = np.flatnonzero(np.cumsum(counts[::-1]) >= least)
    if not enough.size:
        return [rows]
    first = steps[::-1][enough[0]]
    return [rows[rows["step"] >= first].reset_index(drop=True)]


def _pass_rates(tables: list[pd.DataFrame]) -> pd.DataFrame:
    rows = pd.concat(tables, ignore_index=True)
    pooled = (
        rows.groupby("prompt", sort=True)
        .agg(step=("step", "max"), responses=("responses", "sum"), correct=("correct", "sum"))
        .reset_index(drop=True)
    )
    return pooled.assign(pass_rate=pooled["correct"] / pooled["responses"])


def bins_of_steps(steps: Integers, most: int) -> Integers:
    """First step of the bin of each step: at most ``most`` bins of equally many steps.

    >>> bins_of_steps(np.array([1, 2, 3, 4, 5]), 2).tolist()
    [1, 1, 1, 4, 4]
    """
    different, inverse = np.unique(steps, return_inverse=True)
    width = -(-different.size // most)
    return different[(np.arange(different.size) // width) * width][inverse]
