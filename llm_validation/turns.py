"""Which rows of a batch a turn of a conversation generates for, when tools answer some of them."""

from __future__ import annotations

from typing import Any


class Turns:
    """The turns of one batch so far.

    Attributes:
        number: Turns that have begun; the first generates for every row.
        size: Rows of this process's batch.

    >>> turns = Turns()
    >>> turns.rows(2)
    [0, 1]
    >>> chats = [[{"role": "assistant"}], [{"role": "assistant"}, {"role": "tool"}]]
    >>> turns.follow(chats)
    >>> turns.rows(1), turns.number
    ([1], 2)
    """

    def __init__(self) -> None:
        self.number = self.size = 0
        self._conversations: list[Any] = []
        self._messages: list[int] = []

    def follow(self, conversations: list[Any]) -> None:
        """Watch the lists of messages that tools will add their answers to, one per row."""
        self._conversations = conversations

    def rows(self, count: int) -> list[int]:
        """Rows of the next turn: all at first, then those that a tool has made longer.

        Args:
            count: How many rows are generated for.

        Raises:
            RuntimeError: The conversations have another number of new answers of tools.
        """
        self.number += 1
        if self.number == 1:
            self.size, self._messages = count, [0] * count
            return list(range(count))
        lengths = [len(messages) for messages in self._conversations]
        rows = [
            row
            for row, (now, before) in enumerate(zip(lengths, self._messages, strict=True))
            if now > before and self._conversations[row][-1].get("role") == "tool"
        ]
        if len(rows) != count:
            raise RuntimeError(
                f"{count} of the batch's rows go on after a tool, but {len(rows)} have its answer; "
                "this version of TRL is not supported with seeded=True"
            )
        for row in rows:
            self._messages[row] = lengths[row]
        return rows
