"""The five things that can come of scoring a response."""

from __future__ import annotations

import enum


class Outcome(enum.StrEnum):
    """What came of comparing a response with the reference answer.

    >>> Outcome.CORRECT == "correct", Outcome.TIMEOUT.reward, Outcome.ERROR.reward
    (True, 0.0, None)
    """

    CORRECT = "correct"
    """The response gives the reference answer."""
    WRONG = "wrong"
    """The response gives another answer."""
    UNPARSABLE = "unparsable"
    """The response gives no answer that can be read."""
    TIMEOUT = "timeout"
    """Checking the response overran the limit of time or memory."""
    ERROR = "error"
    """The check itself failed: an unreadable reference answer, or a worker that died."""

    @property
    def reward(self) -> float | None:
        """Reward of the outcome: 1 if correct, 0 if not, None if nothing can be said.

        None is for errors alone, so that a bad reference answer does not punish every response
        to its prompt. An answer that overran its limits has only itself to blame.
        """
        if self is Outcome.ERROR:
            return None
        return 1.0 if self is Outcome.CORRECT else 0.0
