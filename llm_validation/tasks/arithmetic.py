"""Tasks of a few characters for a tiny model: a rule to be found, and sums to be memorised.

``rule``: "ab+cd=" is answered by "bd", the second digit of each number. There is something to
generalise: what is learned on one prompt helps on the others, held-out ones included.

``memorise``: the answers are drawn at random, unrelated to their prompts. Nothing generalises, so
the test split is the training split.
"""

from __future__ import annotations

import string
from collections.abc import Sequence

import numpy as np

from llm_validation.outcomes import Outcome
from llm_validation.tasks._select import select
from llm_validation.tasks.task import Example, Report, Task

KINDS = ("rule", "memorise")
CHARACTERS = string.digits + "+="
"""Every character of a prompt or an answer."""
ANSWER_LENGTH = 2
"""Characters of an answer, without the end-of-sequence token."""
_PROMPTS = 10**4


class ExactMatch:
    """Scores a response as correct if it is the gold answer, blanks around it aside."""

    def score(self, golds: Sequence[str], responses: Sequence[str]) -> list[Outcome]:
        """Outcomes ``correct`` or ``wrong``, in order; an empty response is ``unparsable``."""
        outcomes = []
        for gold, response in zip(golds, responses, strict=True):
            answer = response.strip()
            if not answer:
                outcomes.append(Outcome.UNPARSABLE)
            else:
                outcomes.append(Outcome.CORRECT if answer == gold else Outcome.WRONG)
        return outcomes

    def close(self) -> None:
        """Nothing to free."""


def load(
    *,
    limit: int | None,
    seed: int,
    kind: str = "rule",
    train_size: int | None = None,
    test_size: int = 500,
) -> Task:
    """Generate the task.

    Args:
        limit: At most so many examples of each split.
        seed: Seed of the prompts, and of the answers to be memorised.
        kind: ``"rule"`` or ``"memorise"``.
        train_size: Training prompts; default 2,000 for the rule and 64 to memorise.
        test_size: Held-out prompts of the rule.

    Raises:
        ValueError: An unknown kind, or more prompts than the 10,000 there are.

    >>> example = load(limit=None, seed=0).train[0]
    >>> example.prompt[1] + example.prompt[4] == example.gold
    True
    """
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}; got {kind!r}")
    train_size = (2000 if kind == "rule" else 64) if train_size is None else train_size
    test_size = test_size if kind == "rule" else 0
    if train_size < 1 or test_size < 0 or train_size + test_size > _PROMPTS:
        raise ValueError(
            f"train_size and test_size must be positive and at most {_PROMPTS} together; "
            f"got {train_size} and {test_size}"
        )
    rng = np.random.default_rng((seed, KINDS.index(kind)))
    codes = [f"{code:04d}" for code in rng.permutation(_PROMPTS)[: train_size + test_size]]
    if kind == "rule":
        golds = [code[1] + code[3] for code in codes]
    else:
        golds = [f"{answer:02d}" for answer in rng.integers(0, 100, size=len(codes))]
    examples = [
        Example(f"{code[:2]}+{code[2:]}=", gold, f"{kind}/{code}")
        for code, gold in zip(codes, golds, strict=True)
    ]
    train = select(examples[:train_size], limit, seed)
    test = select(examples[train_size:], limit, seed) if kind == "rule" else train
    return Task(
        name="arithmetic",
        train=train,
        test=test,
        licence="none needed: generated here",
        size=f"{len(train)} training and {len(test)} test prompts of 6 characters ({kind})",
        scorer=ExactMatch(),
        report=Report(read={"train": train_size, "test": test_size}),
        answers=lambda gold: [gold],
    )
