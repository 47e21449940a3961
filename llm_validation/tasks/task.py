"""What a task is: prompts with reference answers, and a way to score responses to them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import Any, Protocol

from llm_validation.outcomes import Outcome
from llm_validation.verifier import Verifier

Prompt = str | list[dict[str, str]]
"""Plain text to continue, or chat messages with the keys role and content."""


def prompt_text(prompt: Prompt) -> str:
    """What a prompt asks: the text, or the last message of a chat.

    >>> prompt_text([{"role": "user", "content": "1 + 1?"}])
    '1 + 1?'
    """
    return prompt if isinstance(prompt, str) else str(prompt[-1]["content"])


MOST_IDS = 100
"""Ids of rows left out for one reason are written down up to so many."""


@dataclasses.dataclass(frozen=True)
class Example:
    """One prompt.

    Attributes:
        prompt: Text, or chat messages for a model with a chat template.
        gold: What the scorer compares a response with; a string whatever the task.
        id: Unique within its split, and the same in every run.
        metadata: What results are broken down by, such as level and subject; JSON types.
    """

    prompt: Prompt
    gold: str
    id: str
    metadata: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Report:
    """What loading a task did to its rows.

    Attributes:
        read: Rows read, by split.
        dropped: Rows left out, by reason; the ids are in ``dropped_ids``.
        dropped_ids: Ids of the rows left out, by reason.
        bad_rows: One sentence per unusable row, with file and line number.
    """

    read: Mapping[str, int] = dataclasses.field(default_factory=dict)
    dropped_ids: Mapping[str, tuple[str, ...]] = dataclasses.field(default_factory=dict)
    bad_rows: tuple[str, ...] = ()

    @property
    def dropped(self) -> dict[str, int]:
        """Number of rows left out, by reason."""
        return {reason: len(ids) for reason, ids in self.dropped_ids.items()}


class Scorer(Protocol):
    """What decides whether a response is correct."""

    def score(self, golds: Sequence[str], responses: Sequence[str]) -> list[Outcome]:
        """Return one outcome per response, in order."""
        ...

    def close(self) -> None:
        """Free what the scorer holds; it may be called twice."""
        ...


@dataclasses.dataclass(frozen=True)
class Task:
    """Prompts, reference answers and the scorer that belongs to them.

    A task is a context manager: leaving it ends the worker processes its scorer may have started.

    Attributes:
        name: Name in ``TASKS``.
        train: Training examples; empty if no training split was asked for.
        test: Held-out examples.
        licence: Licence of the data, in words.
        size: How large the task is, in words.
        scorer: Decides outcomes; use :meth:`score`.
        report: Rows read, dropped and unusable.
        answers: Gold → every right response, for tasks that can list them; else None.
    """

    name: str
    train: Sequence[Example]
    test: Sequence[Example]
    licence: str
    size: str
    scorer: Scorer
    report: Report = dataclasses.field(default_factory=Report)
    answers: Callable[[str], Sequence[str]] | None = None

    def score(
        self,
        golds: Sequence[str],
        responses: Sequence[str],
        prompts: Sequence[Prompt] | None = None,
    ) -> list[Outcome]:
        """Outcomes of responses, in order.

        Args:
            golds: ``Example.gold`` of each response's prompt.
            responses: What the model wrote; hostile input.
            prompts: What was asked, for a scorer that refuses answers which say it again.

        Raises:
            ValueError: Different numbers of golds and responses.
        """
        check_pairs(golds, responses)
        if prompts is not None and isinstance(self.scorer, Verifier):
            return self.scorer.score(golds, responses, [prompt_text(prompt) for prompt in prompts])
        return self.scorer.score(golds, responses)

    def to_dict(self) -> dict[str, Any]:
        """What was read and under which licence, of JSON types; without the examples.

        Ids of what was left out are given where they are few, unlike those of a filter.
        """
        return {
            "name": self.name,
            "licence": self.licence,
            "size": self.size,
            "read": dict(self.report.read),
            "dropped": self.report.dropped,
            "dropped_ids": {
                reason: list(ids)
                for reason, ids in self.report.dropped_ids.items()
                if len(ids) <= MOST_IDS
            },
            "bad_rows": list(self.report.bad_rows),
        }

    def describe(self) -> str:
        """The same in a line for a person, with numbers instead of lists."""
        parts = [f"task {self.name}: {self.size}", f"licence: {self.licence}"]
        dropped = [f"{number:,} ({reason})" for reason, number in self.report.dropped.items()]
        if dropped:
            parts.append(f"left out: {', '.join(dropped)}")
        if self.report.bad_rows:
            parts.append(f"bad rows left out: {len(self.report.bad_rows):,}")
        return "; ".join(parts)

    def close(self) -> None:
        """End the scorer's worker processes, if it has any."""
        self.scorer.close()

    def __enter__(self) -> Task:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def check_pairs(golds: Sequence[str], responses: Sequence[str]) -> None:
    """Raise a ``ValueError`` unless there is one gold answer per response."""
    if len(golds) != len(responses):
        raise ValueError(
            f"golds and responses must be as many; got {len(golds)} and {len(responses)}"
        )
