"""What of a response is its answer: what stands in ``<answer>`` tags, or all of it."""

from __future__ import annotations

from collections.abc import Sequence

from llm_validation.outcomes import Outcome
from llm_validation.tasks.task import Scorer

_OPEN, _CLOSE = "<answer>", "</answer>"


def last_tagged(response: str) -> str | None:
    """Content of the last closed ``<answer>`` tag, or None.

    >>> last_tagged("<answer>1</answer> no: <answer> 2 </answer> bye"), last_tagged("2")
    ('2', None)
    """
    end = response.rfind(_CLOSE)
    start = response.rfind(_OPEN, 0, end) if end >= 0 else -1
    return response[start + len(_OPEN) : end].strip() if start >= 0 else None


class _Around:
    """A scorer that hands something of every response to another one."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    @property
    def restarts(self) -> int:
        """Worker processes that the other scorer had to replace."""
        return getattr(self.scorer, "restarts", 0)

    def close(self) -> None:
        """Close the other scorer."""
        self.scorer.close()


class TaggedAnswer(_Around):
    """Hands what stands in the last tag to another scorer; without a tag there is no answer."""

    def score(self, golds: Sequence[str], responses: Sequence[str]) -> list[Outcome]:
        """Outcomes in order; ``unparsable`` without a tag."""
        return self.scorer.score(golds, [last_tagged(response) or "" for response in responses])


class WholeAnswer(_Around):
    """Hands whole responses to another scorer, without the blanks around them."""

    def score(self, golds: Sequence[str], responses: Sequence[str]) -> list[Outcome]:
        """Outcomes in order; ``unparsable`` for blanks alone."""
        return self.scorer.score(golds, [response.strip() for response in responses])
